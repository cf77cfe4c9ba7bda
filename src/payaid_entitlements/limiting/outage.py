"""
What answers while the limiter does not: each limit says whether its calls pass, are turned away, or have a share of
the limit in this process.

A share is a part of the quota that the processes would have together: with as many as were said, and a caller whose
calls come to all of them alike, no more than the limit is let through; with a caller who keeps to one, less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

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
        whole, part = (min(_bursts(policies)) for policies in (course.terms.policies, terms.policies))
        # A call that weighs more than the share takes all of it, or would have to wait for the end of the outage.
        units = min(cost, part) if cost <= whole else cost
        try:
            ruling = self._memory.hit(share, units, permit=permit, now=self._setting.now())
        except StoreUnavailable:
            # So many callers at once that memory has no room to count them apart.
            return RateLimitOutcome(course.terms, REFUSES, cost, "closed")
        return RateLimitOutcome(terms, ruling, cost, "local_share")

    def _share(self, course: Course) -> Group:
        if course.share is None:
            assert course.group is not None  # without one the limiter is not asked
            # Not the group of the limiter, which has made something of it.
            counters = [Counter(each.key, _share(each.policy, self._processes)) for each in course.group.counters]
            course.share = Group(course.group.owner, counters)
        return course.share


def _bursts(policies: Iterable[Policy]) -> Iterator[int]:
    """Most units at once, of those that may refuse: of the others there would be no outage."""
    return (policy.burst for policy in policies if policy.is_enforced)


def _share(policy: Policy, processes: int) -> Policy:
    """One process's part of *policy*; at least one unit, so that nobody is shut out."""
    return replace(policy, quota=max(1, policy.quota // processes), burst=max(1, policy.burst // processes))
