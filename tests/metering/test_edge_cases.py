"""Edge cases of what is counted, by the numbers of docs/explanation/edge-cases.md, on a client and its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payaid_entitlements import AddAddOn, Catalog, ChangePlan, Entitlements, Reason, ReleaseSlots, WaitUntil
from payaid_entitlements.errors import ConfigurationError, QuotaExceeded
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing import FakeClock
from tests.entitlements.conftest import START
from tests.metering.conftest import Counting, Told

SOLD: dict[str, Any] = {
    "catalog": 1,
    "default_plan": "free",
    "features": {
        "calls": {"kind": "quota", "rollover": {"max": 50}},
        "mails": {"kind": "quota"},
        "summaries": {"kind": "quota"},
        "zero": {"kind": "quota"},
        "seats": {"kind": "allocation"},
        "credits": {"kind": "credit", "pays_for": {"summaries": 5}},
    },
    "plans": {
        "free": {"features": {"zero": 0}},
        "pro": {
            "extends": "free",
            "price": {"monthly": 5, "currency": "EUR"},
            "features": {"calls": "100/month", "mails": "100/month", "seats": 2},
        },
        "all": {
            "extends": "pro",
            "price": {"monthly": 9, "currency": "EUR"},
            "features": {"calls": "300/month", "mails": "300/month", "seats": 5},
        },
    },
    "add_ons": {"pack": {"grant": {"credits": 20, "expires": "90 days"}}, "more": {"increment": {"seats": 1}}},
}
CATALOG = Catalog.load(SOLD)
JUNE = datetime(2030, 6, 1, 12, tzinfo=UTC)


class Selling(Counting):
    """Same as `Counting`, with another catalog."""

    def open(self, **named: Any) -> Told:
        return super().open(**{"catalog": CATALOG, **named})


@pytest.fixture(params=["sync", "async"])
def stage(request: pytest.FixtureRequest) -> Iterator[Selling]:
    with asyncio.Runner() as runner:
        found = Selling(request.param, runner, CATALOG)
        yield found
        found.close()


def left(ent: Told, feature: str, tenant: str = "acme") -> Any:
    return ent.usage(tenant, feature)[feature].remaining


def test_edge_16_a_grant_with_a_date_in_the_past_holds_since_then(ent, stage):
    """Nothing was computed from later balances, so nothing is computed again; its life counts from its date."""
    stage.clock.advance(days=3)
    ent.consume("acme", "mails", 100, operation="all")
    ent.admin().grant(
        "acme", "mails", 7, expires="1 month", operation="late", as_of=stage.clock_now() - timedelta(days=2)
    )
    assert left(ent, "mails") == 7
    stage.clock.travel_to(START + timedelta(days=1 + 31))
    assert left(ent, "mails") == 100


def test_edge_17_at_the_same_instant_it_is_rolled_over_then_new_then_granted(ent, stage):
    """What expires at that instant is gone, what rolled over is burnt before what is new, and grants are whole."""
    admin = ent.admin()
    admin.grant("acme", "calls", 9, expires=JUNE, operation="gone")
    ent.consume("acme", "calls", 79, operation="most")
    stage.clock.travel_to(JUNE)
    admin.grant("acme", "calls", 5, operation="new")
    # Both ended at that instant, so what comes anew was burnt first: 21 of it are left, and move on.
    assert left(ent, "calls") == 21 + 100 + 5
    ent.consume("acme", "calls", 22, operation="first")
    lines = ent.tenant("acme").metering("calls").lines
    assert [line.lot[0] for line in lines] == ["r", "w", "g"]
    assert left(ent, "calls") == 99 + 5


@pytest.fixture
def shop() -> Iterator[Entitlements]:
    """A client that threads share; a clock that stands at the begin of a window that nobody has used."""
    clock = FakeClock(START)
    ent = Entitlements(MemoryStore(), catalog=CATALOG, clock=clock)
    ent.admin("test", because="a test").subscribe("acme", "pro")
    ent.consume("acme", "calls", 60, operation="may")
    clock.travel_to(JUNE)
    yield ent
    ent.close()


def race(ent: Entitlements, *others: Any) -> int:
    """How many of 240 units were admitted, wanted by eight threads at once, while *others* do something else."""

    def consume(worker: int) -> int:
        answers = (ent.try_consume("acme", "calls", operation=("race", worker, index)) for index in range(30))
        return sum(answer.allowed for answer in answers)

    with ThreadPoolExecutor(8 + len(others)) as threads:
        beside = [threads.submit(other) for other in others]
        admitted = sum(threads.map(consume, range(8)))
        for each in beside:
            each.result()
    return admitted


def test_edge_18_a_reset_and_credits_that_come_together_lose_nothing(shop):
    """The window begins, it is granted and consumed at once: exactly as many are admitted as there are then."""
    admin = shop.admin("test", because="a test")
    admitted = race(shop, lambda: admin.grant("acme", "calls", 30, operation="a"))
    # 40 rolled over, 100 are new, 30 granted, and whoever was refused before that comes again.
    rest = sum(shop.try_consume("acme", "calls", operation=("rest", index)).allowed for index in range(240))
    assert admitted + rest == 40 + 100 + 30
    assert shop.usage("acme", "calls")["calls"].overage == 0


def test_edge_19_two_who_use_a_window_first_open_it_once(shop):
    """What rolled over is fixed by one of them, for all."""
    assert race(shop) == 40 + 100
    assert shop.usage("acme", "calls")["calls"].used == 140


def test_edge_22_what_remains_is_by_lot(ent, stage):
    """Not what was granted less what was used: there are expired, held, rolled over and overdrawn units."""
    admin = ent.admin()
    ent.consume("acme", "calls", 90, operation="may")
    stage.clock.travel_to(JUNE)
    admin.grant("acme", "calls", 8, expires=JUNE + timedelta(days=1), operation="soon over")
    ent.consume("acme", "calls", 28, operation="june")
    ent.reserve("acme", "calls", 20, operation="held").hand_over()
    usage = ent.usage("acme", "calls")["calls"]
    # 8 of the grant, 10 that rolled over and 10 of the month were used.
    assert (usage.limit, usage.used, usage.held, usage.remaining) == (118, 28, 20, 70)
    stage.clock.advance(days=1)
    usage = ent.usage("acme", "calls")["calls"]
    assert (usage.limit, usage.used, usage.held, usage.remaining, usage.overage) == (110, 20, 0, 90, 0)
    admin.override("acme", "calls", 5)
    usage = ent.usage("acme", "calls")["calls"]
    assert (usage.limit, usage.used, usage.remaining, usage.overage) == (15, 20, 0, 5)


def test_edge_27_of_a_limit_of_0_nothing_can_be_used(ent):
    """A refusal of its own, and no fraction of nothing."""
    decision = ent.try_consume("acme", "zero", operation="a")
    assert (decision.allowed, decision.reason) == (False, Reason.PLAN_ZERO)
    usage = ent.usage("acme", "zero")["zero"]
    assert (usage.limit, usage.remaining, usage.fraction) == (0, 0, None)
    ent.admin().grant("acme", "zero", 2, operation="a")
    assert ent.consume("acme", "zero", operation="b").remaining == 1


@pytest.mark.parametrize(("mode", "then"), [("carry_usage", 260), ("carry_balance", 360), ("fresh", 300)])
def test_edge_31_an_upgrade_says_what_becomes_of_what_was_used(ent, stage, mode, then):
    """In one change, at once; the next window is whole in each way."""
    ent.consume("acme", "mails", 40, operation="a")
    stage.clock.advance(days=1)
    ent.admin().change_plan("acme", "all", usage=mode)
    assert left(ent, "mails") == then
    ent.consume("acme", "mails", then, operation="b")
    assert not ent.try_consume("acme", "mails", operation="c").allowed
    stage.clock.travel_to(JUNE)
    assert left(ent, "mails") == 300


def test_edge_32_a_scheduled_downgrade_changes_no_count_until_then(ent, stage):
    """It is previewed, waits for the window that it lowers, and can be taken back."""
    admin = ent.admin()
    admin.change_plan("acme", "all")
    ent.consume("acme", "mails", 200, operation="a")
    change = admin.change_plan("acme", "pro", when="period_end")
    assert change.exceeds == ()
    assert left(ent, "mails") == 100
    admin.undo(change.id)
    stage.clock.travel_to(JUNE)
    assert left(ent, "mails") == 300


def test_edge_33_above_a_lower_limit_nothing_is_deleted_and_nothing_new_let_pass(ent):
    """What was used stays used, also when the limit comes back; the way out is told."""
    admin = ent.admin()
    admin.change_plan("acme", "all")
    ent.consume("acme", "mails", 200, operation="a")
    change = admin.change_plan("acme", "pro")
    assert change.exceeds == ("mails: 200 used, 100 allowed",)
    decision = ent.try_consume("acme", "mails", operation="b")
    assert (decision.reason, decision.usage.used, decision.usage.overage) == (Reason.QUOTA_EXHAUSTED, 200, 100)
    assert [type(each) for each in ent.tenant("acme").remedies(decision)] == [WaitUntil, ChangePlan]
    admin.change_plan("acme", "all")
    assert left(ent, "mails") == 100


def test_edge_34_a_downgrade_while_slots_are_held_throws_nobody_out(ent):
    """Who sits stays, nobody new comes, and it is told by how many there are too many."""
    admin = ent.admin()
    admin.change_plan("acme", "all")
    for holder in ("a", "b", "c", "d"):
        ent.assign("acme", "seats", holder)
    assert ent.dry_admin().change_plan("acme", "pro").exceeds == ("seats: 4 used, 2 allowed",)
    admin.change_plan("acme", "pro")
    assert [each.holder for each in ent.assignments("acme", "seats")] == ["a", "b", "c", "d"]
    decision = ent.try_assign("acme", "seats", "e")
    assert not decision.allowed
    free, buy, change = ent.tenant("acme").remedies(decision)
    assert (free, buy) == (ReleaseSlots("seats", 3), AddAddOn("more", "more", 3))
    assert isinstance(change, ChangePlan)
    for holder in ("a", "b", "c"):
        ent.unassign("acme", "seats", holder)
    assert ent.try_assign("acme", "seats", "e").allowed
    with pytest.raises(QuotaExceeded):
        ent.assign("acme", "seats", "f")


def test_edge_35_an_upgrade_that_is_taken_back_leaves_what_was_used_used(ent, stage):
    """Whoever upgrades, uses 250 and has it refunded, is above the old limit until the window ends."""
    stage.clock.advance(days=1)
    change = ent.admin().change_plan("acme", "all")
    ent.consume("acme", "mails", 250, operation="a")
    undone = ent.admin().undo(change.id)
    assert undone.exceeds == ("mails: 250 used, 100 allowed",)
    assert left(ent, "mails") == 0
    stage.clock.travel_to(JUNE)
    assert left(ent, "mails") == 100


def test_edge_41_editing_a_plan_touches_no_balance(ent):
    """Nor does moving those who hold the old version."""
    ent.consume("acme", "mails", 40, operation="a")
    edited = {**SOLD, "plans": {**SOLD["plans"], "pro": {**SOLD["plans"]["pro"], "features": {"mails": "70/month"}}}}
    ent.admin().publish(Catalog.load(edited))
    assert left(ent, "mails") == 60
    ent.admin().migrate("pro")
    assert left(ent, "mails") == 30


def test_edge_42_bought_credits_outlive_subscriptions(ent, stage):
    """They end when they expire, and not when something else begins or ends."""
    admin = ent.admin()
    admin.set_add_on("acme", "pack", 1)
    ent.consume("acme", "summaries", operation="a")
    admin.subscribe("acme", "all")
    admin.cancel("acme", when="now")
    stage.clock.advance(days=1)
    assert left(ent, "summaries") == 3
    admin.subscribe("acme", "pro")
    assert left(ent, "summaries") == 3
    stage.clock.travel_to(START + timedelta(days=90))
    decision = ent.try_consume("acme", "summaries", operation="b")
    assert (decision.allowed, decision.reason) == (False, Reason.PLAN_FEATURE_ABSENT)
    assert AddAddOn("pack", "pack", 1) in ent.tenant("acme").remedies(decision)


def test_what_is_voided_gives_nothing_more_and_takes_nothing_back(ent):
    """Used units stay used, and a refund finds its lot out of use."""
    admin = ent.admin()
    change = admin.grant("acme", "summaries", 5, operation="bonus")
    ent.consume("acme", "summaries", 3, operation="a")
    voided = admin.void("acme", change.id)
    assert voided.losses == ("summaries",)
    assert not ent.try_consume("acme", "summaries", operation="b").allowed
    ent.refund("acme", operation="a")
    assert not ent.try_consume("acme", "summaries", operation="b").allowed
    admin.undo(voided.id)
    assert left(ent, "summaries") == 5
    with pytest.raises(ConfigurationError):
        admin.void("acme", "another")


def test_credits_are_bought_while_nothing_is_left(ent):
    """What was refused is tried again by the same operation, once the pack is there."""
    ent.admin().grant("acme", "credits", 7, operation="few")
    assert ent.consume("acme", "summaries", operation="a").remaining == 0
    decision = ent.try_consume("acme", "summaries", operation="b")
    assert decision.reason is Reason.CREDIT_EXHAUSTED
    assert ent.tenant("acme").remedies(decision)[0] == AddAddOn("pack", "pack", 1)
    ent.admin().set_add_on("acme", "pack", 1)
    # 2 are left of the grant, which no unit can be paid with, and 20 of the pack: burnt first, since they expire.
    assert ent.consume("acme", "summaries", operation="b").remaining == 3
