"""Is it the same act? What was asked says so, and where nobody said, what is to be stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.controls import ENFORCE, OBSERVE, Controls, Stage
from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.ports import Write
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    flags_write,
    forgetting,
    next_write,
    same_again,
    tenant_write,
)

WRITES = {
    "tenant": tenant_write("acme"),
    "catalog": catalog_write(),
    "controls": controls_write(),
    "flags": flags_write(),
    "forgetting": forgetting(tenant_write("acme").document),
}


@pytest.mark.parametrize("kind", WRITES)
def test_the_same_act_has_the_same_digest(kind):
    assert digest(WRITES[kind]) == digest(same_again(WRITES[kind]))
    assert len(digest(WRITES[kind])) == 64


@pytest.mark.parametrize("kind", ["tenant", "catalog", "controls", "flags"])
def test_other_content_has_another(kind):
    assert digest(WRITES[kind]) != digest(next_write(WRITES[kind]))


@pytest.mark.parametrize("kind", WRITES)
def test_another_verb_has_another(kind):
    assert digest(WRITES[kind]) != digest(replace(WRITES[kind], verb="another"))


def test_whom_a_mode_has_reached_is_content_too():
    """While controls without stages keep the digest that they had before there were any."""
    write = WRITES["controls"]
    stage = Stage(ENFORCE, 5)
    staged = replace(write.controls, modes={"crm": OBSERVE}, stages={"crm": stage})
    others = [
        replace(write, controls=staged),
        replace(write, controls=replace(staged, stages={})),
        replace(write, controls=replace(staged, stages={"crm": replace(stage, parts=6)})),
    ]
    assert len({digest(each) for each in others}) == 3
    plain = Write("id", "verb", 0, controls=Controls(1, {"crm": OBSERVE}, frozenset({"hr"})))
    assert digest(plain) == "ba7b870a4af2f22a71bbbdfb4cc3834e8fbc422765eeb240d19ab7ca20e3c06e"


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
