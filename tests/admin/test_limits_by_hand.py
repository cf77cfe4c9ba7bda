"""Overrides of rate limits: said, heard, listed, undone and explained as those of features are."""

from __future__ import annotations

from typing import Any

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.values import DENY, UNLIMITED
from payaid_entitlements.errors import ConfigurationError, UnknownFeature
from tests.admin.conftest import Shop, at, facts
from tests.core.conftest import SMALL

LIMITED = Catalog.load(
    {
        **SMALL,
        "rate_limits": {
            "export": {"default": ["30/minute", "100/hour"]},
            "report": {"per": "user", "default": "5/hour"},
        },
    }
)


@pytest.fixture
def shop(colour: str):
    opened = Shop(colour, catalog=LIMITED)
    yield opened
    opened.close()


def quotas(shop: Shop, key: str = "export", user: str | None = None) -> list[int] | None:
    """What is let through in each window; None for a limit that lets nothing through."""
    limit = shop.run(shop.ent.tenant("acme", user=user)).rate_limits[key]
    return None if limit.is_denied else [policy.quota for policy in limit.policies]


def test_an_override_is_heard_until_it_ends(shop, admin):
    assert quotas(shop) == [30, 100]
    change = admin.override("acme", "rate_limits.export", "500/hour", until=at(1))
    assert change.gains == (
        "rate limit export: 30 in 1 minute -> any number in 1 minute",
        "rate limit export: 100 in 1 hour -> 500 in 1 hour",
    )
    assert change.losses == ()
    assert [str(each) for each in change.altered] == [
        "override of rate_limits.export: none -> 500/hour until 2026-09-22 14:13:20+00:00"
    ]
    assert quotas(shop) == [500]
    shop.clock.advance(days=1)
    assert quotas(shop) == [30, 100]


@pytest.mark.parametrize(
    ("to", "heard"),
    [
        (["10/second", "500/hour"], [10, 500]),
        (("10/second", "500/hour"), [10, 500]),
        ("unlimited", []),
        (UNLIMITED, []),
        (DENY, None),
    ],
)
def test_all_that_may_be_said_is_heard_in_every_process(shop: Shop, admin: Any, to: Any, heard: Any):
    admin.override("acme", "rate_limits.export", to)
    assert quotas(shop) == heard
    other = shop.beside(catalog=LIMITED)
    assert quotas(other) == heard
    if shop.colour == "sync":
        other.close()


def test_who_is_denied_loses_the_limit(shop, admin):
    change = admin.override("acme", "rate_limits.export", DENY)
    assert (change.gains, change.losses) == ((), ("rate limit export: not denied -> denied",))
    change = admin.clear_override("acme", "rate_limits.export")
    assert (change.gains, change.losses) == (("rate limit export: denied -> not denied",), ())
    assert quotas(shop) == [30, 100]


def test_two_denials_are_one(shop, admin):
    admin.override("acme", "rate_limits.report", DENY)
    change = admin.override("acme", "rate_limits.report", DENY, user="ravi")
    assert (change.gains, change.losses) == ((), ())


def test_a_user_has_limits_of_their_own_where_users_are_told_apart(shop, admin):
    admin.override("acme", "rate_limits.report", "50/hour", user="ravi")
    assert (quotas(shop, "report", "ravi"), quotas(shop, "report", "asha")) == ([50], [5])
    with pytest.raises(ConfigurationError, match="per tenant"):
        admin.override("acme", "rate_limits.export", "50/hour", user="ravi")


def test_it_is_undone_and_its_trail_is_found_by_its_key(shop, admin):
    change = admin.override("acme", "rate_limits.export", "500/hour")
    admin.undo(change.id)
    assert quotas(shop) == [30, 100]
    assert [entry.verb for entry in shop.trail("acme", feature="rate_limits.export")] == ["override", "undo"]
    assert shop.trail("acme", feature="rate_limits.report") == []


def test_saying_it_again_changes_nothing_and_a_dry_run_neither(shop, admin):
    assert admin.override("acme", "rate_limits.export", ["500/hour"]).applied
    assert not admin.override("acme", "rate_limits.export", "500/hour").applied
    dry = shop.admin(dry_run=True).override("acme", "rate_limits.export", "9/hour")
    assert facts(dry) == (False, "change.dry_run")
    assert dry.losses == ("rate limit export: 500 in 1 hour -> 9 in 1 hour",)
    assert quotas(shop) == [500]


def test_it_is_explained_with_who_said_so(shop, admin):
    admin.override("acme", "rate_limits.export", "500/hour")
    found = shop.run(shop.ent.explain("acme", "rate_limits.export"))
    assert (found.decision.reason, found.decision.value) == (Reason.OVERRIDE_GRANTED, "500/hour")
    assert [(each.feature, each.actor) for each in found.overrides] == [("rate_limits.export", "asha")]
    seen = shop.view("acme").explain("rate_limits.export")
    assert (seen.decision, seen.steps) == (found.decision, found.steps)


def test_a_misspelt_limit_is_refused(admin):
    with pytest.raises(UnknownFeature, match="did you mean 'export'"):
        admin.override("acme", "rate_limits.exprot", "500/hour")
    with pytest.raises(UnknownFeature, match="did you mean 'export'"):
        admin.clear_override("acme", "rate_limits.exprot")


def test_a_new_catalog_is_heard_without_asking_the_tenant_again(shop, admin):
    assert quotas(shop) == [30, 100]
    later = {**SMALL, "rate_limits": {"export": {"default": "7/hour"}}}
    admin.publish(Catalog.load(later))
    assert quotas(shop) == [7]
    assert "report" not in shop.view("acme").rate_limits


def test_in_an_outage_those_hold_that_are_known(shop, admin):
    """The last known ones of a tenant, else the defaults, else none at all."""
    admin.override("acme", "rate_limits.export", "500/hour")
    assert quotas(shop) == [500]
    shop.faults.is_down = True
    shop.clock.advance(days=1)
    assert shop.view("acme").stale
    assert quotas(shop) == [500]
    stranger = shop.run(shop.ent.tenant("stranger"))
    assert stranger.rate_limits["export"].policies[0].quota == 30
    cold = Shop(shop.colour, memory=shop.memory, clock=shop.clock, catalog=LIMITED)
    cold.faults.is_down = True
    assert cold.view("acme").rate_limits == {}
    cold.close()
