"""
What became of a call that is limited: let through or not, how much is left, and when there is room again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.observing import MISREAD
from payaid_entitlements.core.ratelimit.policy import NEVER, Algorithm, Policy, Verdict
from payaid_entitlements.errors import RateLimited, StoreUnavailable
from payaid_entitlements.stores.limiter import Ruling

if TYPE_CHECKING:
    from payaid_entitlements.core.ratelimit.limits import OnOutage


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What a call of the limit *key* is held against.

    Attributes:
        policies: Its own and those of the limits that it counts toward, in the order of a ruling's verdicts.
        is_denied: An override lets no call pass.
    """

    key: str
    policies: tuple[Policy, ...]
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class PolicyStanding:
    """
    How one policy stands after a call.

    Attributes:
        name: The limit's key; ``key.60s`` where the limit has several policies.
        quota: Units in each *window*; of a limit that says ``at once``, as many.
        burst: Most units at once.
        remaining: Units that could be taken now.
        resets_after: How long until all is as if nothing had been counted.
        algorithm: How it counts.
    """

    name: str
    quota: int
    window: timedelta
    burst: int
    remaining: int
    resets_after: timedelta
    algorithm: Algorithm


class RateLimitOutcome:
    """
    What became of a call: ask `allowed`; it has no truth value, since one that nobody reads would let everybody pass.

    Attributes:
        allowed: It was let through, and counted.
        cost: Units that it asked for; 0 where it was only asked how things stand.
        on_outage: Which policy answered since the limiter did not; None where it did.
    """

    # What most callers never read is worked out when they do: an answer of a limiter in memory costs less than that.
    __slots__ = ("_ruling", "_terms", "allowed", "cost", "on_outage")

    def __init__(self, terms: Terms, ruling: Ruling, cost: int, on_outage: OnOutage | None = None) -> None:
        self.allowed = ruling.is_allowed
        self.cost = cost
        self.on_outage: OnOutage | None = on_outage
        self._terms = terms
        self._ruling = ruling

    @property
    def key(self) -> str:
        """Key of the limit."""
        return self._terms.key

    @property
    def reason(self) -> Reason:
        """Why it is what it is."""
        if self._terms.is_denied:
            return Reason.OVERRIDE_DENIED
        if self.on_outage == "closed":
            return Reason.STORE_UNAVAILABLE
        if self.on_outage == "open":
            return Reason.STORE_FAILED_OPEN
        return Reason.RATE_WITHIN if self.allowed else Reason.RATE_LIMITED

    @property
    def policies(self) -> tuple[PolicyStanding, ...]:
        """How each policy that may refuse stands; empty where nothing limits, and where nobody could say."""
        return tuple(_standing(*each) for each in self._enforced())

    @property
    def observed(self) -> tuple[PolicyStanding, ...]:
        """How each policy stands that is only observed, and refuses nobody."""
        return tuple(_standing(*each) for each in self._verdicts() if not each[0].is_enforced)

    @property
    def limit(self) -> int | None:
        """Quota of the tightest policy; None where nothing limits, and where nobody could say."""
        tightest = self._tightest()
        return None if tightest is None else tightest[0].quota

    @property
    def remaining(self) -> int | None:
        """Units that could be taken now; None where nothing limits, and where nobody could say."""
        tightest = self._tightest()
        return None if tightest is None else tightest[1].remaining

    @property
    def retry_after(self) -> timedelta | None:
        """
        How long until the same call is let through, if nobody else makes one.

        Returns:
            Exactly so long where it was refused. None where it was let through, where it asked for more units than are
            ever let through at once, and where nobody could say.
        """
        waits = [verdict.retry_after for _, verdict in self._refusing()]
        if self.allowed or not waits or NEVER in waits:
            return None
        return timedelta(microseconds=max(waits))

    @property
    def resets_at(self) -> datetime | None:
        """
        When the tightest policy is as if nothing had been counted, by the limiter's own clock.

        Returns:
            None where nothing limits, and where nobody could say.
        """
        tightest = self._tightest()
        return None if tightest is None else moment(self._ruling.now + tightest[1].reset_after)

    @property
    def retry_at(self) -> datetime | None:
        """When `retry_after` is over, by the limiter's own clock."""
        after = self.retry_after
        return None if after is None else moment(self._ruling.now) + after

    @property
    def limited_by(self) -> tuple[str, ...]:
        """Names of the policies that had no room; empty where it was let through."""
        return () if self.allowed else tuple(policy.name for policy, _ in self._refusing())

    @property
    def would_be_limited_by(self) -> tuple[str, ...]:
        """Names of the policies that had no room and are only observed."""
        return tuple(
            policy.name for policy, verdict in self._verdicts() if not policy.is_enforced and not verdict.is_within
        )

    def decision(self) -> Decision:
        """The same as a decision, as refusals carry it."""
        return Decision(
            self.allowed, self.reason, self.key, source=", ".join(self.limited_by), degraded=self.on_outage is not None
        )

    def or_raise(self, *, tenant: str | None = None) -> RateLimitOutcome:
        """
        Return the outcome where it was let through.

        Raises:
            RateLimited: It was not.
            StoreUnavailable: The limiter gave no answer, and the limit lets nobody pass then.
        """
        if self.allowed:
            return self
        if self.reason is Reason.STORE_UNAVAILABLE:
            raise StoreUnavailable(f"the limiter gave no answer about {self.key!r}; this is not a refusal")
        raise RateLimited(self, tenant=tenant or "")

    def __reduce__(self) -> tuple[object, ...]:
        # Task queues pickle exceptions, which carry it; a limiter's ruling may be of its own kind.
        ruling = self._ruling
        return RateLimitOutcome, (
            self._terms,
            Ruling(ruling.is_allowed, ruling.now, tuple(ruling.verdicts)),
            self.cost,
            self.on_outage,
        )

    def __repr__(self) -> str:
        said = [f"allowed={self.allowed}", f"cost={self.cost}"]
        said += [f"{each.name}: {each.remaining} of {each.burst} left" for each in self.policies]
        if self.on_outage is not None:
            said.append(f"on_outage={self.on_outage!r}")
        return f"<RateLimitOutcome of {self.key!r}: {', '.join(said)}>"

    if not TYPE_CHECKING:  # pragma: no branch - whatever runs is not being type-checked
        # Hidden from type checkers, so that mypy's truthy-bool reports it.
        def __bool__(self) -> NoReturn:
            MISREAD.count("rate_limit.truth_value", self.key)
            raise TypeError(
                f"a RateLimitOutcome has no truth value; use .allowed (asked: {self.key!r}). "
                "A refusal that reads as yes would fail open."
            )

    def _verdicts(self) -> Iterator[tuple[Policy, Verdict]]:
        # There is none where nobody could say.
        return zip(self._terms.policies, self._ruling.verdicts, strict=False)

    def _enforced(self) -> list[tuple[Policy, Verdict]]:
        return [each for each in self._verdicts() if each[0].is_enforced]

    def _refusing(self) -> list[tuple[Policy, Verdict]]:
        return [each for each in self._enforced() if not each[1].is_within]

    def _tightest(self) -> tuple[Policy, Verdict] | None:
        """Of those that refused, else of all: the one with the least left, and of those the one that resets last."""
        found = self._refusing() or self._enforced()
        return min(found, key=lambda each: (each[1].remaining, -each[1].reset_after), default=None)


def _standing(policy: Policy, verdict: Verdict) -> PolicyStanding:
    return PolicyStanding(
        policy.name,
        policy.quota,
        timedelta(microseconds=policy.window),
        policy.burst,
        verdict.remaining,
        timedelta(microseconds=verdict.reset_after),
        policy.algorithm,
    )
