"""
What the limiter in memory makes of a group, to be used again; and a short way for what is asked most.

That is GCRA. Where a unit takes whole microseconds, a state is one number and a call is one sum; else debt is counted
in quota-ths of a microsecond. It comes to what `payaid_entitlements.core.ratelimit.gcra` says; the contract compares
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.ratelimit.policy import LONGEST_DEBT, NEVER, Algorithm, Policy, Verdict
from payaid_entitlements.stores.limiter import Ruling
from payaid_entitlements.stores.memory_counters import QUOTA_BITS, REST_BITS, Part, packer, unpack


class Made:
    """
    What was made of a group.

    Attributes:
        limiter: Whose it is.
        places: Where each counter is, or would be.
        packs: What writes the states of each.
        rates: The counters, where all of them are GCRA; else none.
    """

    __slots__ = ("limiter", "packs", "places", "policies", "rates")

    def __init__(self, limiter: object, places: Sequence[tuple[Part, bytes]], policies: Sequence[Policy]) -> None:
        self.limiter = limiter
        self.places = places
        self.policies = policies
        self.packs = [packer(policy) for policy in policies]
        self.rates: tuple[Rate, ...] = ()
        if all(each.algorithm is Algorithm.GCRA for each in policies):
            is_even = len(policies) == 1 and policies[0].window % policies[0].quota == 0
            make = Even if is_even else Rate
            self.rates = tuple(make(self, *place, policy) for place, policy in zip(places, policies, strict=True))


class Rate:
    """
    A GCRA counter.

    Attributes:
        made: The group for which it was made.
        empty: The number of a counter on which nothing was counted, by this quota, at the epoch.
        foreign: Numbers from here on have a rest, or are of a higher quota; those below `empty` are of a lower one.
        scale: Debt is counted in so many parts of a microsecond.
        interval: Debt that a unit makes.
        tolerance: Debt that a full burst makes.
    """

    __slots__ = (
        "burst",
        "empty",
        "foreign",
        "interval",
        "is_enforced",
        "key",
        "limiter",
        "made",
        "scale",
        "states",
        "tolerance",
    )

    def __init__(self, made: Made, part: Part, key: bytes, policy: Policy) -> None:
        self.made = made
        self.limiter = made.limiter
        self.states = cast("dict[bytes, int]", part.states)  # of GCRA: numbers
        self.key = key
        self.empty = policy.quota << QUOTA_BITS
        self.foreign = policy.quota + 1 << QUOTA_BITS
        self.scale = 1 if policy.window % policy.quota == 0 else policy.quota
        self.interval = policy.window * self.scale // policy.quota
        self.tolerance = policy.burst * self.interval
        self.burst = policy.burst
        self.is_enforced = policy.is_enforced

    def debt(self, now: Instant) -> int | None:
        """What is not worked off at *now*; None where it is to be asked by the long way."""
        packed = self.states.get(self.key)
        if packed is None:
            return None
        ahead = packed - self.empty - now
        if ahead < 0:
            return 0 if packed >= self.empty else None
        if ahead <= LONGEST_DEBT:
            return ahead * self.scale
        tat, rest, counted = unpack(packed)
        if self.scale == 1 or counted != self.scale:
            # Another quota has counted it, or has left a part of a microsecond where this one counts none.
            return None
        return (tat - now) * self.scale + rest if tat >= now else 0

    def write(self, debt: int, now: Instant) -> None:
        """Write a debt of *now*."""
        if self.scale == 1:
            # Mostly it is so, and nothing is to be divided.
            self.states[self.key] = self.empty + now + debt
            return
        ahead, rest = divmod(debt, self.scale)
        packed = self.empty + now + ahead
        self.states[self.key] = packed | rest << REST_BITS if rest else packed

    def verdict(self, debt: int, cost: int, is_allowed: bool) -> Verdict:
        """
        Say how it stands.

        Args:
            debt: Of everything that was counted, with this call whether it was allowed or not.
        """
        room = self.tolerance - debt
        if is_allowed and room >= 0:
            return Verdict(True, room // self.interval, 0, -(-debt // self.scale))
        # This call was not counted.
        taken = self.interval * cost
        left = max((room + taken) // self.interval, 0)
        wait = 0 if room >= 0 else NEVER if cost > self.burst else -(room // self.scale)
        return Verdict(room >= 0, left, wait, -((taken - debt) // self.scale))


class Even(Rate):
    """The only counter of its group, of which a unit takes whole microseconds."""

    __slots__ = ()


class EvenRuling(Ruling):
    """What became of a call on one even counter, of which a verdict is made when somebody asks for it."""

    __slots__ = ("cost", "debt", "even")
    even: Even
    cost: int
    debt: int

    # Who makes one sets all of it: that spares a call.
    __init__ = object.__init__

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Same as `Ruling.verdicts`."""
        return (self.even.verdict(self.debt, self.cost, self.is_allowed),)


class RatesRuling(Ruling):
    """The same, on any rates."""

    __slots__ = ("cost", "debts", "rates")
    rates: Sequence[Rate]
    debts: Sequence[int]
    cost: int

    __init__ = object.__init__  # as above

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Same as `Ruling.verdicts`."""
        return tuple(
            rate.verdict(debt, self.cost, self.is_allowed) for rate, debt in zip(self.rates, self.debts, strict=True)
        )


def count(rates: Sequence[Rate], cost: int, now: Instant) -> Ruling | None:
    """
    Count a call of at least one unit on several counters, or on none. Whoever calls this has the lock.

    Returns:
        None where a counter is not there yet, or is to be asked by the long way.
    """
    debts, is_allowed = [], True
    for rate in rates:
        debt = rate.debt(now)
        if debt is None:
            return None
        debt += rate.interval * cost
        if debt > rate.tolerance and rate.is_enforced:
            is_allowed = False
        debts.append(debt)
    if is_allowed:
        for rate, debt in zip(rates, debts, strict=True):
            if debt <= rate.tolerance:
                rate.write(debt, now)
    ruling: RatesRuling = RatesRuling()
    ruling.is_allowed = is_allowed
    ruling.now = now
    ruling.rates = rates
    ruling.debts = debts
    ruling.cost = cost
    return ruling
