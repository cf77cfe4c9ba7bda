"""What a change of plan does with what was used, and with what was left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core import changing
from payaid_entitlements.core.facts import NewFact, Recorded, TenantDocument, record
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY, Instant, instant
from payaid_entitlements.core.metering.carrying import CARRY_MODES, carried_subject, carries_at, kept_at
from payaid_entitlements.core.metering.lots import Metered, Own, metered, own_allowance
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.undoing import undone
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import StoreDamaged
from tests.admin.conftest import utc
from tests.core.conftest import world_of

SOLD: Mapping[str, object] = {
    "catalog": 1,
    "default_plan": "free",
    "features": {
        "calls": {"kind": "quota"},
        "rolling": {"kind": "quota", "rollover": {"max": 10}},
        "seats": {"kind": "allocation"},
    },
    "plans": {
        "free": {"features": {}},
        "small": {"features": {"calls": "100/month", "seats": 1}, "price": {"monthly": 1, "currency": "INR"}},
        "big": {"features": {"calls": "300/month", "seats": 3}, "trial": "9 days"},
        "yearly": {"features": {"calls": "1200/year"}},
        "once": {"features": {"calls": "50/lifetime"}},
        "endless": {"features": {"calls": "unlimited"}},
        "rolls": {"features": {"calls": "300/month", "rolling": "5/month"}},
    },
    "add_ons": {"more": {"increment": {"calls": "7/month"}, "for_plans": ["small"]}},
}
WORLD = world_of(SOLD)
BEGIN = instant(utc(2026, 9, 1))
OCTOBER, NOVEMBER, YEAR = instant(utc(2026, 10, 1)), instant(utc(2026, 11, 1)), instant(utc(2027, 9, 1))


class Story:
    """A tenant, what happens to it, and a ledger that does no more than adding up by account."""

    def __init__(self, plan: str = "small", *, world: World = WORLD, **named: Any) -> None:
        self.world = world
        self.document = TenantDocument("acme")
        self.now = BEGIN
        self.used: dict[tuple[str, str], int] = {}
        self.said: list[tuple[Recorded, ...]] = []
        self.do(changing.subscribe, plan, **named)

    def do(
        self, verb: Any, *args: Any, as_of: Instant | None = None, change: str = "", **named: Any
    ) -> tuple[NewFact, ...]:
        facts = verb(Ground(self.document, self.world, self.now, as_of, change), *args, **named)
        outcome = record(self.document, facts, recorded=self.now, as_of=as_of)
        self.document = outcome.document
        self.said.append(outcome.recorded)
        return facts

    def change(self, plan: str, usage: Any = "carry_usage", **named: Any) -> tuple[NewFact, ...]:
        return self.do(changing.change_plan, plan, usage=usage, **named)

    def at(self, when: Instant) -> Story:
        self.now = when
        return self

    def day(self, day: int) -> Story:
        return self.at(BEGIN + day * DAY)

    @property
    def counted(self) -> Metered:
        segment = resolve(self.document, self.world, self.now, self.now + 1)[0]
        return metered(
            self.world.catalog.features["calls"],
            self.now,
            standpoint=segment.standpoint,
            meters=segment.meters,
            world=self.world,
        )

    @property
    def plan(self) -> str:
        return resolve(self.document, self.world, self.now, self.now + 1)[0].standpoint.plan or ""

    @property
    def own(self) -> Own | None:
        segment = resolve(self.document, self.world, self.now, self.now + 1)[0]
        return own_allowance(
            self.world.catalog.features["calls"], self.now, standpoint=segment.standpoint, meters=segment.meters
        )

    def free(self) -> list[tuple[tuple[str, str], int]]:
        found = [(line.account, line.cap) for line in self.counted.lines]
        return [(account, max(0, int(cap or 0) - self.used.get(account, 0))) for account, cap in found]

    @property
    def left(self) -> int:
        return sum(units for _, units in self.free())

    def use(self, amount: int) -> Story:
        for account, units in self.free():
            taken = min(units, amount)
            self.used[account] = self.used.get(account, 0) + taken
            amount -= taken
        assert not amount, "more than there is"
        return self


@pytest.mark.parametrize(
    ("mode", "plan", "then", "next_month", "next_year"),
    [
        ("carry_usage", "big", 260, 300, 300),
        ("carry_balance", "big", 360, 300, 300),
        ("fresh", "big", 300, 300, 300),
        ("carry_usage", "yearly", 1160, 1160, 1200),
        ("carry_balance", "yearly", 1260, 1200, 1200),
        ("fresh", "yearly", 1200, 1200, 1200),
        ("carry_usage", "once", 10, 10, 10),
        ("carry_balance", "once", 110, 50, 50),
        ("fresh", "once", 50, 50, 50),
        ("carry_usage", "free", 0, 0, 0),
        ("fresh", "free", 0, 0, 0),
        ("carry_balance", "free", 0, 0, 0),
    ],
)
def test_an_upgrade_in_the_middle_of_a_window(mode, plan, then, next_month, next_year):
    """40 of 100 were used in September when the plan changes on the 11th."""
    story = Story().use(40).day(10)
    story.change(plan, mode)
    assert story.left == then
    assert story.at(OCTOBER - 1).left == then
    assert story.at(OCTOBER).left == next_month
    assert story.at(YEAR).left == next_year


@pytest.mark.parametrize(
    ("mode", "then", "november"),
    [("carry_usage", 0, 100), ("carry_balance", 1050 + 100, 1050 + 100), ("fresh", 100, 100)],
)
def test_from_a_year_to_months(mode, then, november):
    """150 of 1200 were used; the balance of a year can be used as long as the year lasts."""
    story = Story("yearly").use(150).day(10)
    story.change("small", mode)
    assert story.left == then
    assert story.at(NOVEMBER).left == november
    assert story.at(YEAR).left == 100


@pytest.mark.parametrize("mode", CARRY_MODES)
def test_at_the_end_of_the_period_everything_is_new(mode):
    """A change that waits for it leaves no balance: no window was running."""
    story = Story().use(40).day(10)
    story.change("big", mode, when="period_end")
    assert story.left == 60
    assert story.at(OCTOBER).left == 300
    assert story.at(NOVEMBER).left == 300


@pytest.mark.parametrize(("mode", "then"), [("carry_usage", 1160), ("carry_balance", 1260), ("fresh", 1200)])
def test_a_change_for_later_carries_then(mode, then):
    """What is used until then counts too."""
    story = Story().use(10).day(5)
    story.change("yearly", mode, when=BEGIN + 20 * DAY)
    assert story.day(6).left == 90
    story.use(30)
    assert story.day(20).left == then
    story.change("small", when="now")
    assert story.left == {"carry_usage": 60, "carry_balance": 60 + 100, "fresh": 100}[mode]


@pytest.mark.parametrize("mode", CARRY_MODES)
def test_a_window_that_has_just_begun_has_no_balance(mode):
    """Else a change at the end of the period would give the old allowance once more; and a fresh start keeps none."""
    story = Story().use(40).day(10)
    story.change("yearly", mode, when="period_end")
    assert story.at(OCTOBER).left == 1200
    story = Story("yearly").day(10)
    story.change("small", "carry_balance")
    story.change("big", mode, when="period_end")
    assert story.at(OCTOBER).left == (300 if mode == "fresh" else 1500)


def test_a_scheduled_change_that_is_dropped_carries_nothing():
    """A change of now takes the place of one for later, with all that it would have left."""
    story = Story().use(10).day(5)
    story.change("yearly", "fresh", when=BEGIN + 20 * DAY)
    story.change("big")
    assert story.day(25).left == 290


def test_changing_there_and_back_gives_nothing_for_nothing():
    """Whoever carries what was used finds it again."""
    story = Story().use(90).day(1)
    for plan in ("big", "yearly", "big", "small", "free", "small"):
        story.change(plan)
        story.day((story.now - BEGIN) // DAY + 1)
    assert story.left == 10


@pytest.mark.parametrize(
    ("plan", "allowance", "begin"), [("yearly", 1200, ()), ("once", 50, ()), ("yearly", 1200, ("small",))]
)
def test_a_long_window_is_not_given_again_to_whoever_was_on_months_in_between(plan, allowance, begin):
    """A month begins anew, and was no way back to a whole year."""
    story = Story(*begin or (plan,))
    if begin:
        story.day(1).change(plan)
    story.use(allowance).day(3).change("small")
    for month in range(1, 5):
        story.day(31 * month)
        assert story.left == 100
        story.use(60).change(plan)
        assert story.left == 0
        story.day(31 * month + 1).change("small")
        assert story.left == 40


def test_back_from_a_balance_nothing_is_looked_up():
    """What was said with ``carry_balance`` has given the old window away; usage goes on from the plan that is held."""
    story = Story("yearly").use(150).day(3)
    story.change("small", "carry_balance")
    story.day(31 + 3).use(1050 + 40).change("yearly")
    assert story.left == 1200 - 40


@pytest.mark.parametrize("mode", CARRY_MODES)
def test_the_plan_that_is_held_gives_nothing_again(mode):
    """However often a source says it; but whoever buys what was on trial has begun something else."""
    story = Story().use(40).day(3)
    story.change("small", mode)
    assert story.left == 60
    story.change("yearly", "fresh", when=BEGIN + 5 * DAY)
    story.change("small", mode)
    assert story.day(6).left == 60
    story.change("big", mode)
    left = story.left
    story.day(7).change("big", mode)
    assert story.left == left
    trial = Story("big", trial=True).use(40).day(3)
    trial.change("big", mode)
    assert trial.left == {"carry_usage": 260, "carry_balance": 560, "fresh": 300}[mode]


def test_what_was_used_since_the_period_began_is_gone_where_a_late_message_begins_it_anew():
    """Providers date a change to the very start of the period, and say so minutes later."""
    story = Story().at(OCTOBER + 1).use(30)
    story.change("big", "fresh", as_of=OCTOBER)
    assert story.left == 300
    story = Story().at(OCTOBER + 1).use(30)
    story.change("big", as_of=OCTOBER)
    assert story.left == 270


def test_two_changes_in_one_window():
    """The second begins where the first has led to."""
    story = Story().use(40).day(3)
    story.change("big", "fresh")
    assert story.use(10).left == 290
    story.day(6).change("yearly")
    assert story.left == 1190
    story.day(9).change("small", "carry_balance")
    assert story.left == 1290
    story.day(12).change("big", "carry_balance")
    assert story.left == 1190 + 100 + 300
    assert story.use(1190 + 100).left == 300
    story.day(13).change("yearly", "fresh")
    assert story.left == 1200
    assert story.at(NOVEMBER).left == 1200


def test_what_has_no_limit_leaves_no_balance():
    """The balance of everything is nothing that could be carried; what was used is."""
    story = Story("endless").day(3)
    story.used[story.counted.lines[0].account] = 70
    story.change("small", "carry_balance")
    assert story.left == 100
    story = Story("endless").day(3)
    story.used[story.counted.lines[0].account] = 70
    story.change("small")
    assert story.left == 30


def test_undoing_brings_back_what_had_been_used():
    """The old plan counts on in its lot, as if the other had never been."""
    story = Story().use(40).day(3)
    for mode, usage in (("fresh", 5), ("carry_balance", 70), ("fresh", 3)):
        story.change("yearly", mode)
        said = story.said[-1]
        story.use(usage)
        story.do(undone, said)
        assert story.left == (60 if mode == "fresh" and usage == 5 else 0)
        story.day((story.now - BEGIN) // DAY + 1)
    assert story.at(OCTOBER).left == 100


def test_what_is_left_of_a_plan_ends_with_its_subscription():
    """Cancelled, or begun anew, there is no old balance to live on."""
    story = Story().use(40).day(3)
    story.change("big", "carry_balance")
    story.do(changing.cancel, when="now")
    assert story.left == 0
    story = Story().use(40).day(3)
    story.change("big", "carry_balance")
    story.do(changing.subscribe, "small")
    assert story.left == 100
    assert not kept_at(story.document, "main", story.now)


def test_add_ons_that_end_with_the_old_plan_are_in_its_balance():
    """What was sold beside it too."""
    story = Story(add_ons={"more": 2}).use(40).day(3)
    story.change("big", "carry_balance")
    assert story.left == 100 + 14 - 40 + 300


def test_what_does_not_matter_any_more_leaves_the_document():
    """Names of lots are kept until their window ends, and longer where it rolls over."""
    story = Story().use(40).day(3)
    story.change("rolls", "fresh")
    (first,) = [each for each in kept_at(story.document, "main", story.now) if each.carry.feature == "calls"]
    assert first.ends == OCTOBER
    rolling = [each for each in kept_at(story.document, "main", story.now) if each.carry.feature == "rolling"]
    assert [each.ends for each in rolling] == [OCTOBER + 60 * DAY]
    story.at(OCTOBER).change("small")
    story.day(40).change("big", "fresh")
    assert {each.carry.at for each in kept_at(story.document, "main", story.now)} == {
        BEGIN + 3 * DAY,
        BEGIN + 40 * DAY,
    }
    story.day(100).do(changing.set_status, "suspended")
    assert carried_subject("main") not in story.document.timelines


def test_changes_that_leave_nothing_write_nothing():
    """The common case: the same windows, and what was used counts on."""
    story = Story().use(40).day(3)
    assert [fact.subject[0] for fact in story.change("big")] == ["subscription"] * 2


@pytest.mark.parametrize(
    "value", [7, {"carries": 7}, {"carries": [7]}, {"carries": [["calls", "gone", 1, "w1", None, 0, None]]}]
)
def test_what_cannot_be_read_is_not_taken_for_nothing(value):
    """Else used-up units would come back."""
    document = record(TenantDocument("acme"), [NewFact(carried_subject("main"), 0, value)], recorded=BEGIN).document
    with pytest.raises(StoreDamaged):
        list(carries_at(document, ["main"], BEGIN))


changes = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.sampled_from(["small", "big", "yearly", "once"]),
        st.sampled_from(CARRY_MODES),
        st.integers(0, 400),
    ),
    max_size=6,
)


#: Used on the year, after the month had begun anew.
BACK = [(3, "small", "carry_usage", 5)]


@settings(max_examples=80, deadline=None)
@example([(7, "yearly", "carry_usage", 0), (17, "small", "carry_usage", 1), (6, "yearly", "carry_usage", 0), *BACK])
@given(changes)
def test_no_unit_comes_back(steps):
    """
    Carrying what was used gives what the new limit is above that, whatever was changed when; besides, balances that
    earlier changes have left stay as they are. In every mode a change gives at most the new limit.

    It falls short where somebody comes back to another lot than the one that was counted on (year, month, year in the
    next month, month): names of lots carry no amounts, so what the year used meanwhile is not charged to the month.
    There the law is that nothing of what the month itself had used comes back.
    """
    story = Story()
    counted = set()
    for pause, plan, mode, usage in steps:
        story.at(story.now + pause * DAY)
        story.use(min(usage, story.left))
        before, own = story.left, story.own
        used = 0 if own is None else story.used.get(("calls", own.lot), 0)
        besides = before - (0 if own is None else max(0, (own.cap or 0) - used))
        if plan == story.plan:
            continue
        counted.add(None if own is None else own.lot)
        story.change(plan, mode)
        if own is not None and story.own is not None and story.own.lot in counted - {own.lot}:
            used = story.used.get(("calls", story.own.lot), 0)
        limit = {"small": 100, "big": 300, "yearly": 1200, "once": 50}[plan]
        assert story.left <= (besides + max(0, limit - used) if mode == "carry_usage" else before + limit)
