"""What a refused tenant could do is found once, for as long as the same facts hold, and not kept for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core import offering
from payaid_entitlements.core.controls import ENFORCE, EVERYWHERE, OBSERVE, Controls, Stage
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.offering import offered
from payaid_entitlements.core.raising import raising
from payaid_entitlements.core.remedies import remedies
from payaid_entitlements.core.replenishing import replenishing
from tests.core.conftest import situation_of, sub, world_of

CATALOG = {
    "catalog": 1,
    "default_plan": "free",
    "modules": {"crm": {"features": {"export": {"kind": "switch"}, "calls": {"kind": "quota"}}}},
    # By the key of a feature, which is another refusal.
    "rate_limits": {"crm.calls": {"default": "10/hour"}},
    "plans": {
        "free": {"modules": ["crm"], "features": {"crm.calls": "10/month"}},
        "pro": {
            "extends": "free",
            "features": {"crm.export": True, "crm.calls": "20/month"},
            "rate_limits": {"crm.calls": "20/hour"},
        },
        "max": {"extends": "pro", "features": {"crm.calls": "90/month"}},
    },
}
ABSENT = Decision(False, Reason.PLAN_FEATURE_ABSENT, "crm.export")
TOO_FAST = Decision(False, Reason.RATE_LIMITED, "crm.calls")


def short(used: int) -> Decision:
    usage = Usage("crm.calls", "calls", None, 10, used, 0, 0, 0, None, None)
    return replace(Decision(False, Reason.QUOTA_EXHAUSTED, "crm.calls"), usage=usage)


@pytest.fixture
def world():
    return world_of(CATALOG)


@pytest.fixture
def free(world):
    return situation_of(*sub("free"), world=world)


def plans(found):
    return [each.plan for each in found]


def test_each_refusal_is_answered_by_what_it_is_about(world, free):
    assert offered(free, world, ABSENT) == remedies(free, world, "crm.export") != ()
    assert offered(free, world, TOO_FAST) == raising(free, world, TOO_FAST) != ()
    assert offered(free, world, short(10)) == replenishing(free, world, short(10)) != ()
    assert plans(offered(free, world, TOO_FAST)) == plans(offered(free, world, ABSENT)) == ["pro", "max"]


@pytest.mark.parametrize("refused", [ABSENT, TOO_FAST, short(10)], ids=["absent", "too fast", "short"])
def test_who_asks_again_is_told_what_was_found(world, free, refused):
    assert offered(free, world, replace(refused)) is offered(free, world, refused)


def test_other_figures_are_found_anew(world, free):
    """Whoever has used more needs more."""
    assert plans(offered(free, world, short(10))) == ["pro", "max"]
    assert plans(offered(free, world, short(50))) == ["max"]


def test_other_facts_are_found_anew(world, free):
    """A purchase makes another situation, of which nothing was kept."""
    assert plans(offered(free, world, short(10))) == ["pro", "max"]
    assert plans(offered(situation_of(*sub("pro"), world=world), world, short(10))) == ["max"]


def test_no_more_are_kept_than_that(world, monkeypatch):
    """Also where situations come and go, of which another may have the id of one before."""
    monkeypatch.setattr(offering, "MOST", 2)
    for plan in ("free", "pro", "max") * 5:
        found = offered(situation_of(*sub(plan), world=world), world, ABSENT)
        assert plans(found) == (["pro", "max"] if plan == "free" else [])
        assert len(world.offered) <= 2


def test_nor_where_modes_are_decided_by_tenant(monkeypatch):
    """All worlds that stages make keep so many together; what was found under other modes is none of another."""
    monkeypatch.setattr(offering, "MOST", 3)
    controls = Controls(1)
    for scope in ("crm", EVERYWHERE):
        controls = controls.with_mode(scope, OBSERVE, Stage(ENFORCE, PARTS // 2))
    staged = world_of(CATALOG, controls)
    worlds = {id(each): each for each in (staged.for_tenant(f"tenant-{number}") for number in range(20))}
    assert len(worlds) > 2
    free = situation_of(*sub("free"), world=staged)
    found = [offered(free, each, ABSENT) for each in worlds.values()]
    assert len({id(each) for each in found}) == len(worlds)
    kept = {id(each): each for world in worlds.values() for each in world.offered.values()}
    assert len(kept) <= 3
