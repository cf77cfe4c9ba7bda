"""
Was what several processes saw of one meter possible for a meter that does one thing after the other?

The search of Wing and Gong, with Lowe's memory of what was tried: an order of all acts is looked for in which none
comes before one that had ended when it began, and in which each answer is the one that a plain counter gives. It knows
nothing of the library.

An act without an answer may or may not have happened, at any time since it began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any


@dataclass(frozen=True)
class Seen:
    """
    One act, as a process saw it.

    Attributes:
        began, ended: By one clock for all processes; *ended* is infinite where no answer came.
        verb: ``take``, ``hold``, ``settle``, ``release``, ``refund`` or ``read``.
        name: Of the act that takes or holds, and of that which is settled, released or given back.
        amount: How many units.
        answer: ``new`` it was done; ``again`` it had been done before; ``done`` one of both; ``short`` too little was
            left; for ``read`` what was used and held. None where no answer came.
    """

    began: float
    ended: float
    verb: str
    name: str
    amount: int = 0
    answer: Any = None


@dataclass(frozen=True)
class Meter:
    """A plain counter: *used* units, units that are *held* by name, and what was *done*, up to *cap*."""

    cap: int
    used: int = 0
    held: frozenset[tuple[str, int]] = frozenset()
    done: frozenset[str] = field(default=frozenset())

    @property
    def left(self) -> int:
        """What nobody has used or holds."""
        return self.cap - self.used - sum(amount for _, amount in self.held)

    def after(self, seen: Seen) -> Meter | None:
        """The counter after an act, if it would have given this answer; else None."""
        if seen.verb == "read":
            is_so = seen.answer == (self.used, sum(amount for _, amount in self.held))
            return self if is_so else None
        if seen.answer == "short":
            is_so = self.left < seen.amount and seen.name not in self.done
            return self if is_so else None
        key = f"{seen.verb} {seen.name}" if seen.verb in ("settle", "refund", "release") else seen.name
        if key in self.done:
            return self if seen.answer in ("again", "done", None) else None
        return self._first(seen, key) if seen.answer in ("new", "done", None) else None

    def _first(self, seen: Seen, key: str) -> Meter | None:
        used, held = self.used, self.held
        match seen.verb:
            case "take" if seen.amount <= self.left:
                used += seen.amount
            case "hold" if seen.amount <= self.left:
                held |= {(seen.name, seen.amount)}
            case "settle" if any(name == seen.name for name, _ in held):
                used += seen.amount
                held = frozenset(each for each in held if each[0] != seen.name)
            case "release" if any(name == seen.name for name, _ in held):
                held = frozenset(each for each in held if each[0] != seen.name)
            case "refund" if seen.name in self.done:
                used -= seen.amount
            case _:
                return None
        return Meter(self.cap, used, held, self.done | {key})


def is_possible(history: Sequence[Seen], cap: int) -> bool:
    """Is there an order of *history* in which a counter with *cap* units gives all these answers?"""
    acts = sorted(history, key=lambda seen: seen.began)
    answered = sum(1 << place for place, seen in enumerate(acts) if seen.ended < inf)
    start = Meter(cap)
    tried = {(0, start)}
    ways = [_next(acts, 0, start)]
    while ways:
        for done, meter in ways[-1]:
            if done & answered == answered:
                return True
            if (done, meter) not in tried:
                tried.add((done, meter))
                ways.append(_next(acts, done, meter))
                break
        else:
            ways.pop()
    return not answered


def _next(acts: Sequence[Seen], done: int, meter: Meter) -> Iterator[tuple[int, Meter]]:
    """What may come first of what is not *done*: whatever began before any of it had ended."""
    first_end, candidates = inf, []
    for place in range((~done & (done + 1)).bit_length() - 1, len(acts)):
        seen = acts[place]
        if seen.began > first_end:
            break
        if not done >> place & 1:
            first_end = min(first_end, seen.ended)
            candidates.append(place)
    # Those without an answer last: they may have happened long after, or not at all.
    for place in sorted(candidates, key=lambda place: acts[place].ended):
        after = meter.after(acts[place])
        if after is not None:
            yield done | 1 << place, after
