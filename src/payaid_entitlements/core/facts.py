"""
What is known about one tenant: facts, each with the instant from which it holds and the one when it was recorded.

A fact says "from *since* on, *subject* is *value*": ``("subscription", "main", "plan")`` is
``{"plan": "starter", "version": 2}``. The facts of one subject form a timeline; a new fact holds
until a later one begins. Nothing is ever changed in place: a new fact replaces what the timeline
said *from its beginning on* and leaves the past alone. That is what makes
"what was true last Tuesday" and "what will be true in May" the same question.

The tenant document is the facts that decisions need, now and later, as one JSON value. The same
text is in the database row, in every cache and in a snapshot file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import cast

from payaid_entitlements.core.instant import EARLIEST, LATEST, Instant
from payaid_entitlements.errors import StoreDamaged

#: What a fact is about; a path whose parts may be anything, so it is never joined by a separator.
Subject = tuple[str, ...]

#: How long facts that no longer hold stay in the document: a host whose clock is behind still needs them.
KEPT_BEHIND = 3_600_000_000

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Fact:
    """
    From *since* on, a subject has *value*.

    Attributes:
        since: When it begins to hold. Inclusive.
        value: JSON data; None says that there is nothing (from here on).
        recorded: When it was written.
        revision: The tenant's revision that wrote it.
    """

    since: Instant
    value: object
    recorded: Instant
    revision: int


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to be recorded."""

    subject: Subject
    since: Instant
    value: object


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    A fact that was recorded, and what it replaced, so that it can be undone and shown.

    Attributes:
        before: The subject's value at *since* before.
        replaced: What the timeline said later than *since*, dropped by this fact, as (since, value).
    """

    subject: Subject
    since: Instant
    value: object
    before: object = None
    replaced: tuple[tuple[Instant, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """
    The facts of one subject, in the order in which they begin.

    Attributes:
        as_of: The newest instant at which a source (a payment provider) said something of this subject;
            what it said earlier and arrives later is superseded.
    """

    facts: tuple[Fact, ...]
    as_of: Instant | None = None

    def at(self, at: Instant) -> object:
        """The value at *at*; None where nothing was said yet."""
        for fact in reversed(self.facts):
            if fact.since <= at:
                return fact.value
        return None


@dataclass(frozen=True, slots=True)
class TenantDocument:
    """
    All facts about one tenant that decisions need.

    Attributes:
        revision: Grows by one with each change; 0 for a tenant of whom nothing was ever recorded.
        generation: Grows when the tenant is forgotten, so that its successor is somebody else.
    """

    tenant: str
    revision: int = 0
    generation: int = 1
    timelines: Mapping[Subject, Timeline] = field(default_factory=dict)

    def value(self, subject: Subject, at: Instant) -> object:
        """What *subject* is at *at*; None where nothing is known."""
        timeline = self.timelines.get(subject)
        return None if timeline is None else timeline.at(at)

    def to_json(self) -> str:
        """The document as the one text that is stored, cached and shipped."""
        lines = [
            [list(subject), line.as_of, [[f.since, f.value, f.recorded, f.revision] for f in line.facts]]
            for subject, line in self.timelines.items()
        ]
        return json.dumps(
            {
                "schema": _SCHEMA,
                "tenant": self.tenant,
                "generation": self.generation,
                "revision": self.revision,
                "facts": lines,
            },
            separators=(",", ":"),
            ensure_ascii=False,
        )

    @staticmethod
    def from_json(text: str | bytes, *, tenant: str) -> TenantDocument:
        """
        Read a document of *tenant*.

        Raises:
            StoreDamaged: It is of another schema, of another tenant or damaged.
        """
        try:
            match json.loads(text):
                case {
                    "schema": schema,
                    "tenant": str(whose),
                    "revision": int(revision),
                    "generation": int(generation),
                    "facts": list(lines),
                } if schema == _SCHEMA and whose == tenant:
                    return TenantDocument(tenant, revision, generation, dict(_timeline(line) for line in lines))
                case other:
                    raise ValueError(f"it reads {str(other)[:100]!r}")
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreDamaged(
                f"the document of tenant {tenant!r} is damaged, of somebody else or of a newer release: {error}"
            ) from error


def _timeline(data: object) -> tuple[Subject, Timeline]:
    """Read the timeline of one subject; ValueError where it is none."""
    match data:
        case [[*path], None | int() as as_of, [*facts]] if _is_subject(path):
            line = Timeline(tuple(_fact(fact) for fact in facts), as_of)
            if all(one.since < other.since for one, other in pairwise(line.facts)):
                return cast("Subject", tuple(path)), line
    raise ValueError(f"no timeline: {str(data)[:100]}")


def _is_subject(path: list[object]) -> bool:
    if not all(isinstance(part, str) for part in path):
        return False
    match path:
        case ["subscription", _, "add_on" | "provider_id", *rest]:
            return len(rest) == 1
        case ["subscription", _, _, *_] | ["override", _] | ["override", _, _]:
            return True
    return bool(path) and path[0] not in ("subscription", "override")


def _fact(data: object) -> Fact:
    match data:
        case [int(since), value, int(recorded), int(revision)] if EARLIEST <= since <= LATEST:
            return Fact(since, value, recorded, revision)
    raise ValueError(f"no fact: {str(data)[:100]}")


def damaged(tenant: str, subject: Subject, value: object) -> StoreDamaged:
    """The error for a fact whose value nothing can be made of: where it is not understood, nothing is given."""
    return StoreDamaged(
        f"the fact about {' '.join(subject)} of tenant {tenant!r} is damaged, or of a newer release: "
        f"{str(value)[:100]!r}"
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What recording came to.

    Attributes:
        document: The document afterwards; the same one when nothing was applied.
        recorded: The facts that were applied; empty when each was superseded.
    """

    document: TenantDocument
    recorded: tuple[Recorded, ...]


def record(
    document: TenantDocument, facts: Iterable[NewFact], *, recorded: Instant, as_of: Instant | None = None
) -> Outcome:
    """
    Add *facts* to *document*, the newest winning from its beginning on.

    Pure. Superseding is per subject: with *as_of*, a fact of a subject about which the source has
    already said something newer is left out; the others are applied.

    Args:
        document: What is known; facts that ended more than an hour before *recorded* are dropped from the result.
        facts: What is new. Of two about one subject both are applied, in their order.
        recorded: Now.
        as_of: When the source said it; None for what has no order but that of arrival.

    Returns:
        The new document, its revision one higher, and what was applied; or *document* itself and nothing.
    """
    timelines = dict(document.timelines)
    applied: list[Recorded] = []
    revision = document.revision + 1
    for new in facts:
        line = timelines.get(new.subject, Timeline(()))
        # `document`, not `line`: two facts of one subject in one change share one as_of.
        known = document.timelines.get(new.subject, Timeline(())).as_of
        if as_of is not None and known is not None and as_of < known:
            continue
        kept = tuple(fact for fact in line.facts if fact.since < new.since)
        dropped = line.facts[len(kept) :]
        fact = Fact(new.since, new.value, recorded, revision)
        newest = line.as_of if as_of is None else as_of
        timelines[new.subject] = Timeline((*kept, fact), newest)
        applied.append(
            Recorded(
                new.subject,
                new.since,
                new.value,
                before=line.at(new.since),
                replaced=tuple((old.since, old.value) for old in dropped if old.since > new.since),
            )
        )
    if not applied:
        return Outcome(document, ())
    changed = replace(document, revision=revision, timelines=timelines)
    return Outcome(trimmed(changed, recorded - KEPT_BEHIND), tuple(applied))


def trimmed(document: TenantDocument, before: Instant) -> TenantDocument:
    """Leave out what ended before *before*: answers for *before* and later stay the same."""
    timelines: dict[Subject, Timeline] = {}
    for subject, line in document.timelines.items():
        first = 0
        for index, fact in enumerate(line.facts):
            if fact.since <= before:
                first = index
        facts = line.facts[first:]
        if len(facts) == 1 and facts[0].value is None and facts[0].since <= before and line.as_of is None:
            continue
        timelines[subject] = Timeline(facts, line.as_of)
    return replace(document, timelines=timelines)


def replay(
    tenant: str, changes: Iterable[tuple[int, Instant, Iterable[Recorded]]], generation: int = 1
) -> TenantDocument:
    """
    Build the whole history of a tenant from its changes, nothing left out.

    Args:
        changes: (revision, recorded, facts) of each change, oldest first.
        generation: Of the tenant, where it was forgotten before.
    """
    document = TenantDocument(tenant, generation=generation)
    for revision, recorded, facts in changes:
        timelines = dict(document.timelines)
        for fact in facts:
            line = timelines.get(fact.subject, Timeline(()))
            kept = tuple(old for old in line.facts if old.since < fact.since)
            timelines[fact.subject] = Timeline((*kept, Fact(fact.since, fact.value, recorded, revision)), line.as_of)
        document = replace(document, revision=revision, timelines=timelines)
    return document


def recorded_to_json(facts: Iterable[Recorded]) -> str:
    """The facts of a change as one JSON text."""
    return json.dumps(
        [[list(f.subject), f.since, f.value, f.before, [list(pair) for pair in f.replaced]] for f in facts],
        separators=(",", ":"),
        ensure_ascii=False,
    )


def recorded_from_json(text: str) -> tuple[Recorded, ...]:
    """Read what `recorded_to_json` wrote."""
    return tuple(
        Recorded(
            tuple(subject),
            since,
            value,
            before,
            tuple(cast("tuple[Instant, object]", tuple(pair)) for pair in replaced),
        )
        for subject, since, value, before, replaced in json.loads(text)
    )
