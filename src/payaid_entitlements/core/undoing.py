"""Undoing: what was recorded, said the other way round from now on. The past stays as it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from payaid_entitlements.core.adding import endings
from payaid_entitlements.core.facts import NewFact, Recorded, Subject
from payaid_entitlements.core.instant import Instant

if TYPE_CHECKING:
    from payaid_entitlements.core.ground import Ground


def undone(on: Ground, facts: Iterable[Recorded]) -> tuple[NewFact, ...]:
    """
    Undo a change: as `restored`, and an add-on that came since ends where it is not for the plan of before.

    Args:
        facts: Of the change, in their order.
    """
    said = restored(facts, on.now)
    subscriptions = dict.fromkeys(fact.subject[1] for fact in said if fact.subject[0] == "subscription")
    return (*said, *(fact for name in subscriptions for fact in endings(on, said, name, on.now)))


def restored(facts: Iterable[Recorded], now: Instant) -> tuple[NewFact, ...]:
    """
    Give the facts that let each subject be, from *now* on, what it would be without *facts*.

    Args:
        facts: Of one change, in their order.
    """
    first: dict[Subject, Recorded] = {}
    for fact in facts:
        # Of two about one subject the first one replaced what others had said; the second only what the first had.
        first.setdefault(fact.subject, fact)
    return tuple(new for fact in first.values() for new in _restored(fact, now))


def _restored(fact: Recorded, now: Instant) -> Iterable[NewFact]:
    begins = max(fact.since, now)
    value = fact.before
    # What was kept is said again too: undoing is the last word, and would replace it.
    later = fact.later
    for since, other in later:
        if since <= begins:
            value = other
    yield NewFact(fact.subject, begins, value)
    for since, other in later:
        if since > begins:
            yield NewFact(fact.subject, since, other)
