"""Undoing: what was recorded, said the other way round from now on. The past stays as it was."""

from __future__ import annotations

from collections.abc import Iterable

from payaid_entitlements.core.facts import NewFact, Recorded, Subject
from payaid_entitlements.core.instant import Instant


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
    for since, replaced in fact.replaced:
        if since <= begins:
            value = replaced
    yield NewFact(fact.subject, begins, value)
    for since, replaced in fact.replaced:
        if since > begins:
            yield NewFact(fact.subject, since, replaced)
