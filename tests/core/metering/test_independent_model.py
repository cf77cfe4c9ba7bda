"""
Lots, grants and upgrades, written a second time as people tell it: piles of units, each with an end. Both must agree.

Nothing of `core.metering` is used by the model: it knows no names of lots, no carries, no facts and no ledger. A pile
is used up, ends, or is handed on when the plan changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core import changing
from payaid_entitlements.core.adding import set_add_on
from payaid_entitlements.core.instant import HOUR, Instant, instant, moment
from payaid_entitlements.core.metering import granting
from tests.core.conftest import world_of
from tests.core.metering.test_upgrading import BEGIN, SOLD, Story

MONTHLY, YEARLY = {"small": 100, "big": 300}, {"yearly": 1200}
WORLD = world_of({**SOLD, "add_ons": {"more": {"increment": {"calls": "7/month"}, "for_plans": ["small", "big"]}}})


@dataclass
class Pile:
    """Units that are left, or (less than 0) owed; and when they end."""

    left: int
    until: datetime | None


@dataclass
class Model:
    """What acme has of calls, by the words of docs/explanation/lots-and-windows.md."""

    now: datetime = field(default_factory=lambda: moment(BEGIN))
    plan: str = "small"
    more: int = 0
    used: int = 0
    until: datetime = datetime(2026, 10, 1, tzinfo=UTC)
    kept: list[Pile] = field(default_factory=list)
    grants: dict[str, Pile] = field(default_factory=dict)

    def end(self) -> datetime:
        """The first of the next month, or of September."""
        if self.plan in YEARLY:
            return datetime(self.now.year + (self.now.month >= 9), 9, 1, tzinfo=UTC)
        month = self.now.year * 12 + self.now.month
        return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)

    @property
    def limit(self) -> int:
        return MONTHLY[self.plan] + 7 * self.more if self.plan in MONTHLY else YEARLY[self.plan]

    def advance(self, by: timedelta) -> None:
        self.now += by
        if self.now >= self.until:
            self.used, self.until = 0, self.end()
        self.kept = [pile for pile in self.kept if pile.until is None or self.now < pile.until]
        self.grants = {key: pile for key, pile in self.grants.items() if pile.until is None or self.now < pile.until}

    def change(self, plan: str, mode: str) -> None:
        if plan == self.plan:
            return
        has_begun = self.until != self.end() or self.now.day > 1 or self.now.hour > 0
        old = Pile(self.limit - self.used, self.until)
        self.plan = plan
        if plan not in MONTHLY:
            self.more = 0
        self.until = self.end()
        if mode == "fresh":
            self.kept = []
        if mode == "carry_balance" and has_begun:
            self.kept.append(old)
        if mode != "carry_usage":
            self.used = 0

    @property
    def left(self) -> int:
        others = sum(max(0, pile.left) for pile in (*self.kept, *self.grants.values()))
        return others + max(0, self.limit - self.used)

    def use(self, amount: int) -> None:
        last = datetime.max.replace(tzinfo=UTC)
        piles = [(pile.until or last, 0, pile) for pile in self.kept]
        piles += [(pile.until or last, 2, pile) for pile in self.grants.values()]
        own = Pile(self.limit - self.used, self.until)
        piles.append((self.until, 1, own))
        for _, _, pile in sorted(piles, key=lambda each: each[:2]):
            taken = min(max(0, pile.left), amount)
            pile.left -= taken
            amount -= taken
        self.used = self.limit - own.left


class Both:
    """The model and the real thing, told the same."""

    def __init__(self) -> None:
        self.model = Model()
        self.real = Story(world=WORLD)

    def at(self) -> Instant:
        return instant(self.model.now)


steps = st.lists(
    st.tuples(
        st.integers(0, 45),
        st.one_of(
            st.tuples(st.just("use"), st.integers(1, 250)),
            st.tuples(st.just("grant"), st.integers(1, 99), st.none() | st.integers(1, 60)),
            st.tuples(st.just("void"), st.integers(0, 3)),
            st.tuples(st.just("add"), st.integers(0, 3)),
            st.tuples(
                st.just("change"),
                st.sampled_from(["small", "big", "yearly"]),
                st.sampled_from(["carry_usage", "carry_balance", "fresh"]),
            ),
        ),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_what_is_left_is_what_people_would_say(told):
    """Whatever is granted, used up, changed and waited for."""
    play(told)


def play(told):
    both = Both()
    model, real = both.model, both.real
    for number, (days, step) in enumerate(told):
        # An hour more each time: nothing ends at the very instant at which something else is said.
        model.advance(timedelta(days=days, hours=1))
        real.at(both.at())
        assert real.left == model.left
        match step:
            case ("use", amount):
                wanted = min(amount, model.left)
                model.use(wanted)
                real.use(wanted)
            case ("grant", amount, length):
                ends = None if length is None else both.at() + length * 24 * HOUR + HOUR // 2 + number
                real.do(
                    granting.grant,
                    "calls",
                    amount,
                    expires=ends,
                    priority=50,
                    promotional=False,
                    because="a test",
                    actor="asha",
                    change=f"{number}",
                )
                model.grants[f"{number}"] = Pile(amount, None if ends is None else moment(ends))
            case ("void", index):
                for known in list(model.grants)[index : index + 1]:
                    del model.grants[known]
                    real.do(granting.void, known)
            case ("add", quantity):
                if model.plan in MONTHLY:
                    model.more = quantity
                    real.do(set_add_on, "more", quantity)
            case ("change", plan, mode):
                model.change(plan, mode)
                real.do(changing.change_plan, plan, usage=mode)
        assert real.left == model.left, (number, step)


@pytest.mark.soak
@settings(max_examples=5_000, deadline=None)
@given(steps)
def test_for_long(told):
    """The same, thousands of times."""
    play(told)
