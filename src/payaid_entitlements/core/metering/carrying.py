"""
What changes of plan left behind, as facts: in which lot a feature is counted since, and what is left of an older one.

The names of lots follow from windows, so most changes leave nothing to be remembered: the new plan goes on counting
where the old one did. What does not follow is written down at the change, until it does not matter any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from payaid_entitlements.core.facts import Subject, TenantDocument, damaged
from payaid_entitlements.core.instant import Instant

#: What a change of plan does with what was used in the window that is running.
CarryMode = Literal["carry_usage", "carry_balance", "fresh"]


@dataclass(frozen=True, slots=True)
class Carry:
    """
    What a change of plan at *at* did with the window of *feature* that was running then.

    With ``fresh`` and ``carry_balance`` the window that runs at *at* under the new plan has a lot of its own, whose
    name ends in ``.<at>``; with ``carry_balance`` what was left of *lot* can be used besides until its window ends.
    With ``carry_usage`` the new plan counts on *lot* until then.

    Attributes:
        lot: In which was counted when the plan changed.
        until: When the window of *lot* ends; None where it has no window.
        cap: For ``carry_balance``: what *lot* holds, in the smallest units of *feature*.
    """

    at: Instant
    mode: CarryMode
    feature: str
    lot: str
    until: Instant | None
    cap: int = 0


#: All of them.
CARRY_MODES: Final[tuple[CarryMode, ...]] = ("carry_usage", "carry_balance", "fresh")


@dataclass(frozen=True, slots=True)
class Kept:
    """
    A `Carry` as it is kept.

    Attributes:
        ends: When it does not matter any more; None for never.
    """

    carry: Carry
    ends: Instant | None

    def matters(self, at: Instant) -> bool:
        """Does it still say something at *at*?"""
        return self.ends is None or at < self.ends


def carried_subject(name: str) -> Subject:
    """The subject of what changes of the plan of the subscription *name* left."""
    return ("carried", name)


def kept_at(document: TenantDocument, name: str, at: Instant) -> tuple[Kept, ...]:
    """
    Read what changes of the plan of the subscription *name* left that still matters at *at*, the oldest first.

    Raises:
        StoreDamaged: It cannot be read.
    """
    about = carried_subject(name)
    match document.value(about, at):
        case None:
            return ()
        case {"carries": list(lines)}:
            return tuple(each for each in (_kept(document.tenant, about, line) for line in lines) if each.matters(at))
        case other:
            raise damaged(document.tenant, about, other)


def carries_at(document: TenantDocument, names: Iterable[str], at: Instant) -> Iterator[Carry]:
    """What changes of plan of the subscriptions *names* left that matters at *at*."""
    for name in names:
        for kept in kept_at(document, name, at):
            yield kept.carry


def written(kept: Sequence[Kept]) -> object:
    """The value of the fact; None for nothing."""
    lines = [[c.feature, c.mode, c.at, c.lot, c.until, c.cap, each.ends] for each in kept for c in (each.carry,)]
    return {"carries": lines} if lines else None


def _kept(tenant: str, about: Subject, line: object) -> Kept:
    match line:
        case [
            str(feature),
            str(mode),
            int(at),
            str(lot),
            None | int() as until,
            int(cap),
            None | int() as ends,
        ] if mode in CARRY_MODES:
            return Kept(Carry(at, mode, feature, lot, until, cap), ends)
    raise damaged(tenant, about, line)
