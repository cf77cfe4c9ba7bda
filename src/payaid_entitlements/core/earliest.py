"""
The earliest instant that was said since the last reset: when a subscription is cancelled, since when payment is due.

Sources say such a thing more than once: a card fails again, a customer cancels twice. The earliest counts, until it is
reset (paid; begun anew; a trial bought). A minimum is the same in whatever order things were said; but a reset that
arrives late must find what was said after it, and what arrives late must find the reset, when both have long left
the document. So where there was more than one word the fact keeps what may still matter:
``{"first": what counts, "said": [[when it was said, what was said], ...], "after": when it was reset}``.
All others are the plain instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payaid_entitlements.core.facts import KEPT_NOTHING, Fact, NewFact, Subject, Timeline, damaged
from payaid_entitlements.core.instant import EARLIEST, Instant

if TYPE_CHECKING:
    from payaid_entitlements.core.ground import Ground

#: The fields of a subscription whose earliest instant counts.
EARLIEST_COUNTS = frozenset({"past_due_since", "cancel_at"})


def counting(value: object) -> object:
    """What the value of such a fact comes to; what is none of them comes back as it is."""
    match value:
        case {"first": first, "said": _}:
            return first
    return value


def earliest(
    on: Ground, about: Subject, word: Instant | None, *, at: Instant | None = None, said: Instant | None = None
) -> tuple[NewFact, ...]:
    """
    Say *word* of *about*, or (None) reset it; what was said later and is known already is worked out anew.

    Args:
        at: From when on; None for when the source said it.
        said: Where it only follows from what is known: when that was said.

    Raises:
        StoreDamaged: What is known cannot be read.
    """
    at = on.at if at is None else at
    line = on.document.timelines.get(about, Timeline())
    when = next((each for each in (said, on.as_of) if each is not None), max(on.now, line.said))
    before = _Words()
    found: list[NewFact] = []
    for fact in line.facts:
        words = _words(on, about, fact)
        if fact.since <= at:
            before = words
        elif fact.value is None:
            break
        elif words != (otherwise := words.reset(when) if word is None else words.joined(when, word)):
            found.append(NewFact(about, fact.since, otherwise.value(fact.said), fact.said))
    if word is None:
        return (NewFact(about, at, None, said), *found)
    is_known = bool(before.said) and before.said[0][1] <= word and line.facts[-1].since <= at
    if on.as_of is None and is_known:
        return ()
    return (NewFact(about, at, before.joined(when, word).value(when), said), *found)


@dataclass(frozen=True, slots=True)
class _Words:
    """
    What was said since the last reset, as far as it may ever count: when, and what. In the order of both.

    Attributes:
        after: When the last reset was said.
    """

    said: tuple[tuple[Instant, Instant], ...] = ()
    after: Instant = EARLIEST

    def reset(self, when: Instant) -> _Words:
        """What is left behind a reset."""
        return _Words(tuple(each for each in self.said if each[0] > when), max(self.after, when))

    def joined(self, when: Instant, word: Instant) -> _Words:
        """One more, without those that a later word makes needless, whatever is reset."""
        if when < self.after:
            return self
        needed: list[tuple[Instant, Instant]] = []
        for each in sorted((*self.said, (when, word)), key=lambda each: (-each[0], each[1])):
            if not needed or each[1] < needed[-1][1]:
                needed.append(each)
        # So late no message comes any more: of the words of long ago the earliest is enough.
        long_ago = [each for each in needed if each[0] < needed[0][0] - KEPT_NOTHING]
        return _Words(tuple(reversed([*needed[: len(needed) - len(long_ago)], *long_ago[-1:]])), self.after)

    def value(self, said: Instant) -> object:
        """As the value of a fact that was said then."""
        is_reset_lately = self.after >= said - KEPT_NOTHING
        match self.said:
            case ((when, word),) if when == said and not is_reset_lately:
                return word
        value = {"first": self.said[0][1], "said": [list(each) for each in self.said]}
        return {**value, "after": self.after} if is_reset_lately else value


def _words(on: Ground, about: Subject, fact: Fact) -> _Words:
    match fact.value:
        case None:
            return _Words(after=fact.said)
        case int(word):
            return _Words(((fact.said, word),))
        case {"first": int(), "said": [_, *_] as said, **more} if all(_is_word(each) for each in said):
            after = more.get("after", EARLIEST)
            if isinstance(after, int):
                return _Words(tuple((when, word) for when, word in said), after)
    raise damaged(on.document.tenant, about, fact.value)


def _is_word(data: object) -> bool:
    match data:
        case [int(), int()]:
            return True
    return False
