"""Who asks: what flags may look at, gathered when first one looks, and nothing that a host's caller can take over."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.evaluation import Situation
from payaid_entitlements.core.flags.asking import Asker, read_attributes, user_of
from payaid_entitlements.core.flags.cbor import text
from payaid_entitlements.core.resolution import Standpoint
from payaid_entitlements.core.subscription import State


def standpoint(plan, state):
    return Standpoint({}, {}, plan, state, frozenset({"hr", "crm"}), Situation(()))


def test_what_the_library_knows_is_there():
    """As JSON data: a set of modules is a list, in one order."""
    asker = Asker("acme", "mia", 7, standpoint("pro", State.ACTIVE))
    assert (asker.tenant, asker.user, asker.at) == ("acme", "mia", 7)
    assert (asker.tenant_text, asker.user_text) == (text("acme"), text("mia"))
    assert asker.attributes == {
        "tenant": "acme",
        "user": "mia",
        "targetingKey": "mia",
        "plan": "pro",
        "state": "active",
        "modules": ["crm", "hr"],
    }
    assert asker.attributes is asker.attributes


@pytest.mark.parametrize(("holds", "expected"), [(None, {}), (standpoint(None, None), {"modules": ["crm", "hr"]})])
def test_what_is_not_known_is_missing_and_not_none(holds, expected):
    """A rule on it is then false."""
    asker = Asker("acme", None, 7, holds)
    assert asker.attributes == {"tenant": "acme", "targetingKey": "acme", **expected}
    assert asker.user_text is None


def test_what_the_host_says_never_replaces_what_the_library_knows():
    """Nor fills it, where it knows nothing: a user whom nobody verified is none."""
    said = {"tenant": "x", "user": "root", "plan": "all", "modules": [], "state": "x", "country": "IN"}
    assert Asker("acme", None, 7, None, said).attributes == {
        "tenant": "acme",
        "targetingKey": "acme",
        "country": "IN",
    }
    assert Asker("acme", "mia", 7, None, {"targetingKey": "device"}).attributes["targetingKey"] == "device"


def test_who_asks_has_no_other_parts():
    """Only the attributes are gathered late."""
    with pytest.raises(AttributeError, match="nothing"):
        Asker("acme", None, 7, None).nothing  # noqa: B018 # it is the access that fails


def test_ids_that_identify_nobody_are_refused_each_time():
    """What was refused is not remembered as good."""
    for _ in range(2):
        with pytest.raises(TypeError, match="identifies nobody"):
            user_of("None")
    assert user_of("mia") == user_of("mia") == "mia"


def test_attributes_are_named_by_text():
    """Whatever their values are."""
    given = {"a": object(), "": None}
    assert read_attributes(given) == given
    assert read_attributes(given) is not given
    with pytest.raises(TypeError, match="mapping of names"):
        read_attributes([("a", 1)])
