"""What of an unused allowance moves to the next window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core import changing, overriding
from payaid_entitlements.core.adding import set_add_on
from payaid_entitlements.core.facts import TenantDocument, record
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY, HOUR, Instant, instant
from payaid_entitlements.core.metering.lots import metered
from payaid_entitlements.core.metering.posting import MOST, OPENED, AccountId, Balance, Open
from payaid_entitlements.core.metering.rollover import MOST_WINDOWS, Rolling, rolling
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.subscription import Subscription, terms_of
from payaid_entitlements.core.world import World
from tests.admin.conftest import utc
from tests.core.conftest import world_of

BEGIN = instant(utc(2026, 1, 31))


def sold(rule: Mapping[str, object] | None, per: str = "month", **feature: Any) -> World:
    """A shop in which calls roll over by *rule*."""
    calls = {"kind": "quota", **({} if rule is None else {"rollover": rule}), **feature}
    plans = {
        "free": {"features": {"calls": f"3/{per}"}},
        "small": {"features": {"calls": f"100/{per}"}},
        "big": {"features": {"calls": f"300/{per}"}},
        "bare": {"features": {}},
        "endless": {"features": {"calls": "unlimited"}},
        "once": {"features": {"calls": "9/lifetime"}},
    }
    add_ons = {"more": {"increment": {"calls": f"100/{per}"}, "for_plans": ["small", "bare"]}}
    return world_of(
        {"catalog": 1, "default_plan": "free", "features": {"calls": calls}, "plans": plans, "add_ons": add_ons}
    )


class Story:
    """A tenant and a ledger that adds up: windows are opened as its flow would open them."""

    def __init__(self, world: World, plan: str | None = "small") -> None:
        self.world = world
        self.now: Instant = BEGIN
        self.document = TenantDocument("acme")
        self.balances: dict[AccountId, Balance] = {}
        if plan is not None:
            self.do(changing.subscribe, plan)

    def do(self, verb: Any, *args: Any, **named: Any) -> None:
        facts = verb(Ground(self.document, self.world, self.now), *args, **named)
        self.document = record(self.document, facts, recorded=self.now).document

    def at(self, *day: int) -> Story:
        self.now = instant(utc(*day))
        return self

    @property
    def rolling(self) -> Rolling | None:
        segment = resolve(self.document, self.world, self.now, self.now + 1)[0]
        feature = self.world.catalog.features["calls"]
        return rolling(feature, self.now, standpoint=segment.standpoint, meters=segment.meters)

    def caps(self) -> list[tuple[AccountId, int]]:
        """The lots that can be used now, opened where that is due."""
        segment = resolve(self.document, self.world, self.now, self.now + 1)[0]
        counted = metered(
            self.world.catalog.features["calls"],
            self.now,
            standpoint=segment.standpoint,
            meters=segment.meters,
            world=self.world,
        )
        found = []
        for line in counted.lines:
            if line.cap == OPENED and line.account not in self.balances:
                needed = self.rolling
                assert needed is not None and needed.opens == line.account
                read = {account: self.balances[account] for account in needed.accounts if account in self.balances}
                opened = needed.opened(read)
                self.balances[opened.account] = Balance(cap=opened.cap, is_opened=True)
            cap = self.balances[line.account].cap if line.cap == OPENED else line.cap
            found.append((line.account, int(cap or 0)))
        return found

    @property
    def left(self) -> int:
        return sum(max(0, cap - self.known(account).used) for account, cap in self.caps())

    def known(self, account: AccountId) -> Balance:
        return self.balances.get(account, Balance())

    def use(self, amount: int, *, held: int = 0, over: int = 0) -> Story:
        lots = self.caps()
        for account, cap in lots:
            was = self.known(account)
            taken = min(max(0, cap - was.used), amount)
            self.balances[account] = replace(was, used=was.used + taken, cap=cap)
            amount -= taken
        assert not amount
        account, cap = lots[-1]
        was = self.known(account)
        self.balances[account] = replace(was, used=was.used + over, held=held, cap=cap)
        return self


def test_what_is_left_moves_on_once():
    """30 of 100 were used: 70 roll over into the next month, and what is not used of them is gone after it."""
    story = Story(sold({"max": 500})).use(30)
    assert story.left == 70
    assert story.at(2026, 2, 28).left == 170
    story.use(20)
    # Burnt first is what rolled over: 50 of it are left, and 100 of the month.
    assert story.left == 150
    assert story.at(2026, 3, 31).left == 100 + 150


@pytest.mark.parametrize(
    ("rule", "used", "left"),
    [
        ({"max": 50}, 30, 150),
        ({"max": 50}, 70, 130),
        ({"min": 20, "max": 50}, 100, 120),
        ({"min": 20, "max": 50}, 90, 120),
        ({"min": 20}, 10, 190),
        ({"max": 0}, 10, 100),
    ],
)
def test_at_least_and_at_most_so_much_rolls_over(rule, used, left):
    """The rule of the feature, as the catalog says it."""
    assert Story(sold(rule)).use(used).at(2026, 2, 28).left == left


def test_windows_in_which_nobody_used_anything_are_counted_through():
    """No job runs at the end of a window; whoever comes after months finds what had grown until then."""
    assert Story(sold({"max": 250})).use(30).at(2026, 3, 30).left == 170
    assert Story(sold({"max": 250})).use(30).at(2026, 3, 31).left == 100 + 170
    assert Story(sold({"max": 250})).use(30).at(2026, 12, 31).left == 100 + 250
    assert Story(sold({})).use(30).at(2027, 1, 31).left == 100 + 70 + 11 * 100


def test_nothing_rolls_over_from_before_the_subscription_began():
    """Also where the calendar has the same windows for what was there before."""
    story = Story(sold({"max": 500}, window="calendar")).use(30).at(2026, 2, 10)
    story.do(changing.cancel, when="now")
    story.at(2026, 2, 11).do(changing.subscribe, "small")
    assert story.at(2026, 3, 1).left == 200
    needed = story.rolling
    assert needed is not None
    assert [each.cap for each in needed.past] == [100]


def test_who_comes_first_fixes_it_and_overage_is_forgiven():
    """What was used beyond all caps lowers what rolls over, and nothing after that."""
    story = Story(sold({"max": 500})).use(100, over=40).at(2026, 2, 28)
    assert story.left == 100
    assert story.at(2026, 3, 31).left == 200


def test_what_is_held_at_the_end_does_not_roll_over():
    """It may still be charged."""
    assert Story(sold({"max": 500})).use(30, held=20).at(2026, 2, 28).left == 150


def test_a_window_of_another_plan_counts_by_what_the_ledger_knows():
    """Where nothing was used under that plan nobody knows what it gave, so nothing rolls over."""
    story = Story(sold({"max": 500})).use(30).at(2026, 2, 5)
    story.do(changing.change_plan, "big")
    # The change is in January's window, whose account has the cap of its last posting.
    assert story.at(2026, 2, 28).left == 300 + 70
    idle = Story(sold({"max": 500})).use(30).at(2026, 3, 5)
    idle.do(changing.change_plan, "big")
    idle.at(2026, 4, 2)
    assert [each.cap for each in idle.rolling.past] == [300, None]  # type: ignore[union-attr]
    # January left 70 of 100, February began with them, and ended under the new plan.
    assert idle.left == 300 + 370
    late = Story(sold({"max": 500})).at(2026, 4, 2)
    late.do(changing.change_plan, "big")
    assert late.at(2026, 5, 1).left == 300 + 300


def test_what_was_added_since_enlarges_no_window_that_is_over():
    """Who buys an add-on, or is given more by hand, has not had it in the months in which nobody came."""
    story = Story(sold({})).at(2026, 5, 2)
    assert story.left == 100 + 300
    story = Story(sold({})).at(2026, 5, 2)
    story.do(set_add_on, "more", 2)
    assert story.left == 300 + 300
    # In a window in which it was held it counts.
    assert story.at(2026, 6, 2).left == 300 + 300 + 300
    story = Story(sold({})).at(2026, 5, 2)
    story.do(overriding.override, "calls", 40, until=None, user=None, because="a test", actor="asha")
    assert story.left == 40 + 120
    story = Story(sold({}), "bare").at(2026, 3, 2)
    story.do(set_add_on, "more", 1)
    assert story.left == 100


def test_after_a_change_that_began_anew_the_new_lot_counts():
    """What was left of the old one is gone; what is left of the new one rolls over."""
    story = Story(sold({"max": 500})).use(30).at(2026, 2, 5)
    story.do(changing.change_plan, "big", usage="fresh")
    assert story.use(50).left == 250
    assert story.at(2026, 2, 28).left == 300 + 250


@pytest.mark.parametrize("plan", ["bare", "endless", "once", None])
def test_nothing_rolls_over_where_there_is_no_window_or_no_limit(plan):
    """Or no subscription: since when the default plan is held, nobody knows."""
    story = Story(sold({"max": 500}), plan)
    for _ in range(2):
        assert story.rolling is None
        assert not any(lot[0] == "r" for (_, lot), _ in story.caps())
        story.at(2026, 3, 5)
    if plan is None:
        assert story.left == 3


def test_nothing_rolls_over_into_the_first_window():
    """So nothing has to be opened there: one round trip is enough."""
    story = Story(sold({"min": 5, "max": 500}))
    assert story.rolling is None
    assert story.left == 100
    assert story.at(2026, 2, 27).rolling is None
    assert story.at(2026, 2, 28).rolling is not None


def test_without_a_rule_nothing_rolls_over():
    """A feature that says nothing of it begins each window anew."""
    story = Story(sold(None)).use(30)
    assert story.rolling is None
    assert story.at(2026, 2, 28).left == 100


def test_a_rule_that_is_new_begins_with_what_is_left_then():
    """What was used in a window into which nothing had rolled over is taken from its allowance alone."""
    before = Story(sold(None)).use(30).at(2026, 2, 28).use(10)
    story = Story(sold({"max": 500}))
    story.balances = before.balances
    assert story.at(2026, 3, 31).left == 100 + 90


def test_an_unlimited_window_of_before_counts_as_the_present_allowance():
    """No number is left of what has no end."""
    story = Story(sold({"max": 500})).use(30)
    account = ("calls", f"w{BEGIN}")
    story.balances[account] = replace(story.balances[account], cap=None)
    assert story.at(2026, 2, 28).left == 170


def test_at_most_so_many_windows_are_looked_at():
    """What nobody has touched for longer does not grow any more; and one reading is enough."""
    story = Story(sold({}, per="day"))
    story.now = BEGIN + 400 * DAY + HOUR
    needed = story.rolling
    assert needed is not None
    assert len(needed.past) == MOST_WINDOWS
    assert needed.opened({}) == Open(("calls", f"r{BEGIN + 400 * DAY}"), 100 * MOST_WINDOWS)
    assert needed.most == MOST


def test_a_host_that_keeps_subscriptions_says_when_they_began():
    """What it does not say began at no time, so nothing rolls over."""
    world = sold({"max": 500})
    now = BEGIN + 70 * DAY
    for starts, past in ((utc(2026, 1, 31), 2), (utc(2026, 3, 31), None), (None, None)):
        host = (terms_of(Subscription("small", starts=starts)),)
        segment = resolve(TenantDocument("acme"), world, now, now + 1, host=host)[0]
        needed = rolling(world.catalog.features["calls"], now, standpoint=segment.standpoint, meters=segment.meters)
        assert (None if needed is None else len(needed.past)) == past


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.none() | st.integers(0, 130), min_size=1, max_size=9),
    st.integers(0, 60),
    st.none() | st.integers(0, 300),
)
def test_the_chain_is_what_counting_month_by_month_gives(months, least, more):
    """However many months are skipped: the same as if somebody had been there at the end of each."""
    rule: dict[str, object] = {"min": least} | ({} if more is None else {"max": least + more})
    story = Story(sold(rule))
    most = 10**9 if more is None else least + more
    rolled, is_first = 0, True
    for index, usage in enumerate(months):
        story.at(2026 + (index // 12), index % 12 + 1, (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[index % 12])
        if not is_first:
            rolled = min(most, max(least, ending))  # noqa: F821 - of the month before
        used = 0
        if usage is not None:
            assert story.left == 100 + rolled
            used = min(usage, 100 + rolled)
            story.use(used)
        ending, is_first = 100 + rolled - used, False
    assert story.left == ending
