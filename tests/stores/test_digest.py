"""Is it the same act? What was asked says so, and where nobody said, what is to be stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.stores.digest import digest
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    forgetting,
    next_write,
    same_again,
    tenant_write,
)

WRITES = {
    "tenant": tenant_write("acme"),
    "catalog": catalog_write(),
    "controls": controls_write(),
    "forgetting": forgetting(tenant_write("acme").document),
}


@pytest.mark.parametrize("kind", WRITES)
def test_the_same_act_has_the_same_digest(kind):
    assert digest(WRITES[kind]) == digest(same_again(WRITES[kind]))
    assert len(digest(WRITES[kind])) == 64


@pytest.mark.parametrize("kind", ["tenant", "catalog", "controls"])
def test_other_content_has_another(kind):
    assert digest(WRITES[kind]) != digest(next_write(WRITES[kind]))


@pytest.mark.parametrize("kind", WRITES)
def test_another_verb_has_another(kind):
    assert digest(WRITES[kind]) != digest(replace(WRITES[kind], verb="another"))


def test_no_two_kinds_meet():
    writes = [replace(write, verb="do") for write in WRITES.values()]
    assert len({digest(write) for write in writes}) == len(writes)


@pytest.mark.parametrize("asked", [None, {}, [], "", {"a": 1}, {"b": [1, 2], "a": None}])
def test_what_was_asked_replaces_the_content(asked):
    one = replace(WRITES["tenant"], detail={"asked": asked})
    other = replace(next_write(WRITES["tenant"]), detail={"note": "x", "asked": asked})
    assert digest(one) == digest(other) != digest(WRITES["tenant"])


def test_the_order_of_what_was_asked_does_not_matter():
    one, other = (replace(WRITES["tenant"], detail={"asked": asked}) for asked in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert digest(one) == digest(other)


def test_it_is_the_same_in_every_release():
    """A webhook may be repeated after an upgrade; what was written before must be known again."""
    write = replace(tenant_write("acme"), verb="subscribe", detail={"asked": {"plan": "pro", "add_ons": {"ä": 1}}})
    assert digest(write) == "51ad64c1bd2b8562f5dbf045f96452cc05fad7cab6b5f2442fc5bfa3db09f3a5"
