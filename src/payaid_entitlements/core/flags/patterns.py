r"""
Regular expressions that take time linear in the text, whatever the expression: a flag must not stop a process.

The standard library's engine goes back, and ``(a+)+$`` takes it for ever; nothing that counts quantifiers tells the
harmless expressions from the others. So this is the construction of Thompson (1968), with states made when they are
first met, as in RE2 (Cox 2010). It only says yes or no.

What is understood, as in RE2: literals, ``.``, classes with ranges and ``^``, ``\d \w \s`` and their opposites
(ASCII), ``^`` and ``$`` for the ends of the text, groups, ``|``, ``* + ? {m,n}``, and ``(?i)`` at the very
beginning. Nothing that needs going back exists: no references, no looking around.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from payaid_entitlements.core.flags.expressions import END, START, Char, Program, program

#: Longer texts match nothing: that bounds what a question costs.
LONGEST_TEXT: Final = 1_000

_MOST_MOVES: Final = 4_096


class _State:
    """A set of places in the program, and what is known of where each character leads."""

    __slots__ = ("accepts", "accepts_at_end", "moves", "places")

    def __init__(self, places: frozenset[int], *, accepts: bool, accepts_at_end: bool) -> None:
        self.places = places
        self.accepts = accepts
        self.accepts_at_end = accepts_at_end
        self.moves: dict[str, _State] = {}


class Pattern:
    """An expression, ready to be searched for. Many threads may use it; what they learn is bounded."""

    def __init__(self, steps: Program) -> None:
        self._steps = steps
        self._known: dict[frozenset[int], _State] = {}
        self._learnt = 0
        # Known by no other place: in an empty text it is at both ends.
        self._first = self._made(self._reach((0,), at_start=True, at_end=False), at_start=True)

    def search(self, text: str) -> bool:
        """Whether it occurs anywhere in *text*."""
        if len(text) > LONGEST_TEXT:
            return False
        state = self._first
        for char in text:
            if state.accepts:
                return True
            state = state.moves.get(char) or self._move(state, char)
        return state.accepts or state.accepts_at_end

    def _move(self, state: _State, char: str) -> _State:
        if self._learnt >= _MOST_MOVES:
            # Forgotten as a whole; whoever is in a state goes on from it.
            self._learnt = 0
            self._known = {}
            self._first.moves = {}
        # 0 is in again at each character: the expression may begin anywhere.
        after = [0]
        for place in state.places:
            step = self._steps[place]
            if isinstance(step, Char) and step.has(char):
                after.append(place + 1)
        following = self._state(self._reach(after, at_start=False, at_end=False))
        state.moves[char] = following
        # A state takes memory by the places that are in it.
        self._learnt += 1 + len(following.places) // 16
        return following

    def _state(self, places: frozenset[int]) -> _State:
        known = self._known.get(places)
        if known is None:
            known = self._known[places] = self._made(places, at_start=False)
        return known

    def _made(self, places: frozenset[int], *, at_start: bool) -> _State:
        accept = len(self._steps)
        at_end = self._reach(places, at_start=at_start, at_end=True)
        return _State(places, accepts=accept in places, accepts_at_end=accept in at_end)

    def _reach(self, places: Iterable[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        """All places that are reached from *places* without a character."""
        reached: set[int] = set()
        waiting = list(places)
        while waiting:
            place = waiting.pop()
            if place in reached:
                continue
            reached.add(place)
            step = self._steps[place] if place < len(self._steps) else None
            if isinstance(step, tuple):
                waiting.extend(step)
            elif (step == START and at_start) or (step == END and at_end):
                waiting.append(place + 1)
        return frozenset(reached)


@lru_cache(maxsize=256)
def pattern(written: str) -> Pattern:
    """
    Read an expression.

    Raises:
        RuleInvalid: It is not understood, or too long.
    """
    return Pattern(program(written))
