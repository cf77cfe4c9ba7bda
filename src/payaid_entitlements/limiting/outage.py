"""
What answers while the limiter does not: each limit says whether its calls pass, are turned away, or have a share of
the limit in this process.

A share is a part of the quota that the processes would have together: with as many as were said, and a caller whose
calls come to all of them alike, no more than the limit is let through; with a caller who keeps to one, less.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.ratelimit.policy import LONGEST_DEBT, Algorithm
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.stores.limiter import Counter, Group, Ruling
from payaid_entitlements.stores.memory_limiter import MemoryLimiter

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.core.ratelimit.policy import Policy
    from payaid_entitlements.limiting.groups import Course

#: Answers of nobody: there are no counters.
PASSES: Final = Ruling(True, 0, ())
REFUSES: Final = Ruling(False, 0, ())


class Standby:
    """
    Answers in place of a limiter. Safe to share between threads and tasks: it never waits.

    Args:
        processes: Among how many a limit is shared.
    """

    def __init__(self, setting: Setting, processes: int) -> None:
        self._setting = setting
        self._processes = processes
        self._memory = MemoryLimiter()

    def answer(self, course: Course, cost: int, permit: int, error: StoreUnavailable) -> RateLimitOutcome:
        """
        Answer a call as the limit's policy says, and count that it did.

        Args:
            error: Why the limiter did not.
        """
        policy, key = course.on_outage, course.terms.key
        observer = self._setting.observer
        cause = None if error.__cause__ is None else type(error.__cause__).__name__
        observer.once("rate_limit.on_outage", limit=key, policy=policy, cause=cause, store_error=str(error))
        if policy == "open":
            observer.count("rate_limit.on_outage.open", key)
            return RateLimitOutcome(course.terms, PASSES, cost, policy)
        if policy == "closed":
            observer.count("rate_limit.on_outage.closed", key)
            return RateLimitOutcome(course.terms, REFUSES, cost, policy)
        observer.count("rate_limit.on_outage.local_share", key)
        return self._shared(course, cost, permit)

    def give_back(self, course: Course, permit: int, taken: RateLimitOutcome) -> None:
        """Free a permit, where it was given here."""
        if taken.on_outage == "local_share" and taken.allowed:
            self._memory.give_back(self._share(course), permit)

    def reset(self, course: Course) -> None:
        """Forget what was counted here."""
        if course.group is not None:
            self._memory.reset(self._share(course))

    def _shared(self, course: Course, cost: int, permit: int) -> RateLimitOutcome:
        share = self._share(course)
        terms = replace(course.terms, policies=tuple(counter.policy for counter in share.counters))
        is_heavy = any(cost > policy.burst for policy in terms.policies)
        asked = self._part(course, cost) if is_heavy else share
        try:
            ruling = self._memory.hit(asked, cost, permit=permit, now=self._setting.now())
        except StoreUnavailable:
            # So many callers at once that memory has no room to count them apart.
            return RateLimitOutcome(course.terms, REFUSES, cost, "closed")
        return RateLimitOutcome(terms, _left_of(share, asked, ruling) if is_heavy else ruling, cost, "local_share")

    def _share(self, course: Course) -> Group:
        if course.share is None:
            course.share = self._part(course, 1)
        return course.share

    def _part(self, course: Course, cost: int) -> Group:
        """The counters of this process, with room for a call of *cost*: the same ones for each."""
        assert course.group is not None  # without one the limiter is not asked
        # Not the group of the limiter, which has made something of it.
        counters = [Counter(each.key, _share(each.policy, self._processes, cost)) for each in course.group.counters]
        return Group(course.group.owner, counters)


def _share(policy: Policy, processes: int, cost: int) -> Policy:
    """
    One process's part of *policy*; at least one call of *cost*, so that nobody is shut out whom it lets through.

    All that such a call weighs is counted and has to come back: by GCRA at the rate of the share, elsewhere with the
    window.
    """
    burst = max(1, policy.burst // processes, cost if cost <= policy.burst else 0)
    if policy.algorithm is not Algorithm.GCRA:
        return replace(policy, quota=burst, burst=burst)
    # No slower than can be counted: a burst of years is not worked off before the outage ends anyway.
    slowest = -(-burst * policy.window // LONGEST_DEBT)
    return replace(policy, quota=max(policy.quota // processes, slowest), burst=burst)


def _left_of(share: Group, asked: Group, ruling: Ruling) -> Ruling:
    """Say what is left of *share*: what this call might have beyond it, others may not."""
    more = [wide.policy.burst - own.policy.burst for wide, own in zip(asked.counters, share.counters, strict=True)]
    verdicts = [
        verdict._replace(remaining=max(verdict.remaining - units, 0))
        for verdict, units in zip(ruling.verdicts, more, strict=True)
    ]
    return Ruling(ruling.is_allowed, ruling.now, tuple(verdicts))
