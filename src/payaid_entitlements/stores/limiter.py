"""
What a limiter must promise: the `Limiter` protocol, its async twin, and what passes through them.

A limiter counts calls, quickly and exactly, and may lose what it counted. Every sentence below is a test in
`payaid_entitlements.testing.LimiterContract`, which runs on every limiter in both colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.ratelimit.policy import Policy, Verdict
from payaid_entitlements.stores.ports import Concern


@dataclass(frozen=True, slots=True)
class Counter:
    """
    A place where calls are counted, and what it is held against.

    Attributes:
        key: A digest of all that tells it from other counters of its owner, the policy's window and algorithm among
            it: never what a user has typed. At most 40 characters of ``a-z2-7``.
    """

    key: str
    policy: Policy


class Group:
    """
    Counters of one owner that are asked together: all of them count a call, or none does.

    Make it once and use it for all calls that are alike.

    Attributes:
        owner: A digest of the tenant or the address; on a cluster its counters are on one server. At most 40
            characters of ``a-z2-7``.
        counters: In the order in which they are answered; each once.
        made: What a limiter has made of it, to be used again; its own business. A group is used with one limiter.
    """

    __slots__ = ("counters", "made", "owner")

    def __init__(self, owner: str, counters: Sequence[Counter]) -> None:
        self.owner = owner
        self.counters = tuple(counters)
        self.made: object = None


class Ruling:
    """
    What became of a call. Not to be changed: it is no frozen dataclass because that takes longer than the decision.

    Attributes:
        is_allowed: All enforced policies had room, and it was counted.
        now: The limiter's own time, by which it was decided.
    """

    __slots__ = ("_verdicts", "is_allowed", "now")

    def __init__(self, is_allowed: bool, now: Instant, verdicts: tuple[Verdict, ...]) -> None:
        self.is_allowed = is_allowed
        self.now = now
        self._verdicts = verdicts

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """
        One for each counter, in their order.

        A policy that is not enforced may have no room for a call that was let through: then its counter is as it was.
        """
        return self._verdicts

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ruling):
            return NotImplemented
        mine, theirs = ((each.is_allowed, each.now, each.verdicts) for each in (self, other))
        return mine == theirs

    def __hash__(self) -> int:
        return hash((self.is_allowed, self.now, self.verdicts))

    def __reduce__(self) -> tuple[type[Ruling], tuple[object, ...]]:
        # What a limiter made of it stays where the limiter is.
        return Ruling, (self.is_allowed, self.now, self.verdicts)

    def __repr__(self) -> str:
        return f"Ruling(is_allowed={self.is_allowed}, now={self.now}, verdicts={self.verdicts})"


class Limiter(Protocol):
    """
    Counters of calls. Every method may raise `StoreUnavailable`, with the driver's error as its cause.

    ``now`` is the limiter's own clock where it is None (of Redis and of databases: the server's); tests, and hosts that
    want it so, hand in theirs. Time that runs backwards lets no more through than if it stood still; GCRA, which has
    nothing to tell that by, less.
    """

    @property
    def name(self) -> str:
        """Where this is, for people: without a password."""
        ...

    @property
    def is_shared(self) -> bool:
        """Do other processes count here too? False for memory."""
        ...

    @property
    def concerns(self) -> Sequence[Concern]:
        """What about this limiter, as it is configured, breaks a promise. Complete after `prepare`."""
        ...

    def prepare(self) -> None:
        """Make ready for use, as `Store.prepare`."""
        ...

    def hit(self, group: Group, cost: int = 1, *, permit: int = 0, now: Instant | None = None) -> Ruling:
        """
        Count a call of *cost* units on all counters of *group*, or on none.

        Atomic among all processes: units that were let through never exceed what the policies allow. What was counted
        before a policy's quota or burst changed is still counted; another window or algorithm is another counter.

        Args:
            cost: 0 or more. 0 asks how things stand: it is always within, and nothing is written.
            permit: Of concurrency policies: a number from 1 to 2**52 that the caller has drawn; taken again with the
                same number it is extended, and counts once.
        """
        ...

    def give_back(self, group: Group, permit: int) -> None:
        """Free a permit of the group's concurrency policies before its time. One that is free already is no error."""
        ...

    def reset(self, group: Group) -> None:
        """Forget what was counted on the counters of *group*."""
        ...

    def close(self) -> None:
        """Let go of connections. Repeating it is harmless."""
        ...


class AsyncLimiter(Protocol):
    """Same as `Limiter`, awaited. Calls that are made in one turn of an event loop may travel together."""

    @property
    def name(self) -> str:
        """Same as `Limiter.name`."""
        ...

    @property
    def is_shared(self) -> bool:
        """Same as `Limiter.is_shared`."""
        ...

    @property
    def concerns(self) -> Sequence[Concern]:
        """Same as `Limiter.concerns`."""
        ...

    async def prepare(self) -> None:
        """Same as `Limiter.prepare`."""
        ...

    async def hit(self, group: Group, cost: int = 1, *, permit: int = 0, now: Instant | None = None) -> Ruling:
        """Same as `Limiter.hit`."""
        ...

    async def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        ...

    async def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        ...

    async def aclose(self) -> None:
        """Same as `Limiter.close`."""
        ...
