"""Trying a change out: all of it is worked out, nothing of it is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.admin import ChangeReason
from payaid_entitlements.errors import ConfigurationError, UnknownPlan
from tests.admin.conftest import TODAY, edited, facts
from tests.admin.test_webhooks import VERBS


@pytest.mark.parametrize("operation", [None, "evt_9"])
@pytest.mark.parametrize(("verb", "arguments", "named"), VERBS, ids=[verb for verb, _, _ in VERBS])
def test_a_dry_run_says_what_would_be_and_writes_nothing(shop, admin, verb, arguments, named, operation):
    """It is the change that would be made then, but for its id, its revision and that it is not applied."""
    admin.subscribe("acme", "pro")
    before, trail = shop.document("acme"), shop.trail()
    tried = getattr(shop.admin(dry_run=True), verb)("acme", *arguments, operation=operation, **named)
    assert (shop.document("acme"), shop.trail()) == (before, trail)
    done = getattr(admin, verb)("acme", *arguments, operation=operation, **named)
    assert not tried.applied
    if done.applied and done.altered:
        assert facts(tried) == (False, "change.dry_run")
    assert replace(tried, id=done.id, applied=done.applied, reason=done.reason, revision=done.revision) == done


def test_what_was_done_before_is_told_by_a_dry_run(shop, admin):
    """Repeated and superseded messages, and what is so already."""
    admin.subscribe("acme", "pro", operation="evt_1", as_of=TODAY)
    dry = shop.admin(dry_run=True)
    assert facts(dry.subscribe("acme", "pro", operation="evt_1", as_of=TODAY)) == (False, "change.repeated")
    assert facts(dry.paid("acme")) == (False, "change.unchanged")
    assert facts(dry.paid("acme", operation="evt_2")) == (False, "change.unchanged")
    admin.kill("crm", operation="evt_3")
    assert facts(dry.kill("crm")) == (False, "change.unchanged")
    assert facts(dry.kill("crm", operation="evt_3")) == (False, "change.repeated")


def test_switches_and_catalogs_are_tried_out(shop, admin):
    """Nobody notices."""
    dry = shop.admin(dry_run=True)
    assert [str(each) for each in dry.kill("crm").altered] == ["kill switch of crm: off -> on"]
    assert facts(dry.set_enforcement("crm", "off")) == (False, ChangeReason.DRY_RUN)
    tried = dry.publish(edited(pro={"seats": 3}), migrate=["pro"])
    assert (facts(tried), [str(each) for each in tried.altered]) == (
        (False, "change.dry_run"),
        ["plan pro: version 1 -> version 2"],
    )
    assert shop.check("acme", "crm").allowed
    assert [entry.verb for entry in shop.trail()] == ["publish"]


def test_what_would_be_refused_is_refused(shop, admin):
    """A dry run is a rehearsal of the errors too."""
    dry = shop.admin(dry_run=True, because=None)
    with pytest.raises(UnknownPlan):
        dry.subscribe("acme", "por")
    with pytest.raises(TypeError, match="without a reason"):
        dry.override("acme", "seats", 5)
    with pytest.raises(ConfigurationError):
        dry.undo("0000")
