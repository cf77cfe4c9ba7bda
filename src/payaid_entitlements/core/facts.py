"""
What is known about one tenant: facts, each with the instant from which it holds and the one when it was recorded.

A fact says "from *since* on, *subject* is *value*": ``("subscription", "main", "plan")`` is
``{"plan": "starter", "version": 2}``. The facts of one subject form a timeline. Nothing is ever changed
in place. That is what makes "what was true last Tuesday" and "what will be true in May" the same question.

The law of a timeline: **at any instant, of all facts that have begun by then, the one that was said last holds.**
So a fact replaces, from its beginning on, all that was said before it, and is replaced by what was said after it
from where that begins. An upgrade that was said on the 5th and arrives after a downgrade "from the 1st of February
on" that was said on the 6th holds until the 1st of February. Since the law names a *set* of facts and not the order in
which they came, messages that arrive in any order come to the same end. Of two that were said at the same
instant, the one that arrives later counts as said later.

Facts that can hold at no instant are not kept; what is left begins, and was said, in the same order.

The tenant document is the facts that decisions need, now and later, as one JSON value. The same
text is in the database row, in every cache and in a snapshot file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias, cast

from payaid_entitlements.core.instant import DAY, EARLIEST, HOUR, LATEST, Instant
from payaid_entitlements.errors import StoreDamaged

#: What a fact is about; a path whose parts may be anything, so it is never joined by a separator.
Subject = tuple[str, ...]

#: How long facts that no longer hold stay in the document: a host whose clock is behind still needs them.
KEPT_BEHIND: Final = HOUR

#: How long it is known that there is nothing (nothing due, no suspension): so late may a message come and still lose
#: against it. Providers repeat theirs for some days.
KEPT_NOTHING: Final = 30 * DAY

_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Fact:
    """
    From *since* on, a subject has *value*.

    Attributes:
        since: When it begins to hold. Inclusive.
        value: JSON data; None says that there is nothing (from here on).
        recorded: When it was written.
        revision: The tenant's revision that wrote it.
        said: When its source said it; what nobody dates was said when it was recorded.
    """

    since: Instant
    value: object
    recorded: Instant
    revision: int
    said: Instant


@dataclass(frozen=True, slots=True)
class NewFact:
    """
    A fact to be recorded.

    Attributes:
        said: For what only follows from something that is known: when that was said, with which it stands and falls.
            None for when the change that records it was said.
    """

    subject: Subject
    since: Instant
    value: object
    said: Instant | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    A fact that was recorded, and what it replaced, so that it can be undone and shown.

    Attributes:
        before: The subject's value at *since* before.
        replaced: What the timeline said later than *since*, dropped by this fact, as (since, value).
        kept: What it goes on saying later than *since*, as (since, value): it was said after this fact.
        said: When it was said.
    """

    subject: Subject
    since: Instant
    value: object
    before: object = None
    replaced: tuple[tuple[Instant, object], ...] = ()
    kept: tuple[tuple[Instant, object], ...] = ()
    said: Instant = field(kw_only=True)

    @property
    def later(self) -> tuple[tuple[Instant, object], ...]:
        """What the timeline said later than *since* before, as (since, value)."""
        # What is kept was said last, so it begins last.
        return (*self.replaced, *self.kept)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The facts of one subject that can hold at some instant, in the order in which they begin, and were said."""

    facts: tuple[Fact, ...] = ()

    @property
    def said(self) -> Instant:
        """When something was said of it last."""
        return self.facts[-1].said if self.facts else EARLIEST

    def at(self, at: Instant) -> object:
        """The value at *at*; None where nothing was said yet."""
        for fact in reversed(self.facts):
            if fact.since <= at:
                return fact.value
        return None

    def joined(self, new: Fact) -> Timeline | None:
        """The timeline with one more fact; None where all that it says is superseded. See the law of this module."""
        earlier = tuple(fact for fact in self.facts if fact.since <= new.since)
        if earlier and earlier[-1].said > new.said:
            return None
        kept = tuple(fact for fact in self.facts[len(earlier) :] if fact.said > new.said)
        if earlier and earlier[-1].since == new.since:
            earlier = earlier[:-1]
        return Timeline((*earlier, new, *kept))


@dataclass(frozen=True, slots=True)
class TenantDocument:
    """
    All facts about one tenant that decisions need.

    Attributes:
        revision: Grows by one with each change; 0 for a tenant of whom nothing was ever recorded.
        generation: Grows when the tenant is forgotten, so that its successor is somebody else.
        forgotten: When it was forgotten last; what was said of it before is about somebody else.
    """

    tenant: str
    revision: int = 0
    generation: int = 1
    timelines: Mapping[Subject, Timeline] = field(default_factory=dict)
    forgotten: Instant | None = None

    def is_of_another(self, as_of: Instant | None) -> bool:
        """Was it said before the tenant was forgotten, and so about somebody else?"""
        return as_of is not None and self.forgotten is not None and as_of < self.forgotten

    def value(self, subject: Subject, at: Instant) -> object:
        """What *subject* is at *at*; None where nothing is known."""
        timeline = self.timelines.get(subject)
        return None if timeline is None else timeline.at(at)

    def to_json(self) -> str:
        """The document as the one text that is stored, cached and shipped."""
        # The facts of one change share their times and are most of a document: each such stamp is written once.
        stamps: dict[_Stamp, int] = {}
        lines = [
            [
                list(subject),
                [
                    [stamps.setdefault((f.since, f.said, f.recorded, f.revision), len(stamps)), f.value]
                    for f in line.facts
                ],
            ]
            for subject, line in self.timelines.items()
        ]
        return json.dumps(
            {
                "schema": _SCHEMA,
                "tenant": self.tenant,
                "generation": self.generation,
                "revision": self.revision,
                "forgotten": self.forgotten,
                "stamps": list(stamps),
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
                    "forgotten": None | int() as forgotten,
                    "stamps": list(written),
                    "facts": list(lines),
                } if schema == _SCHEMA and whose == tenant:
                    stamps = [_stamp(each) for each in written]
                    timelines = dict(_timeline(line, stamps) for line in lines)
                    return TenantDocument(tenant, revision, generation, timelines, forgotten)
                case other:
                    raise ValueError(f"it reads {str(other)[:100]!r}")
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreDamaged(
                f"the document of tenant {tenant!r} is damaged, of somebody else or of a newer release: {error}"
            ) from error


#: Since, said, recorded, revision.
_Stamp: TypeAlias = tuple[Instant, Instant, Instant, int]


def _stamp(data: object) -> _Stamp:
    match data:
        case [int(since), int(said), int(recorded), int(revision)] if EARLIEST <= since <= LATEST:
            return since, said, recorded, revision
    raise ValueError(f"no times of a fact: {str(data)[:100]}")


def _timeline(data: object, stamps: Sequence[_Stamp]) -> tuple[Subject, Timeline]:
    """Read the timeline of one subject; ValueError or TypeError where it is none."""
    match data:
        case [[*path], [*written]]:
            facts = tuple([_fact(fact, stamps) for fact in written])
            # Most have one, and are read on each miss: there is no pair to look for.
            if len(facts) == 1 or all(
                one.since < other.since and one.said <= other.said for one, other in pairwise(facts)
            ):
                return _subject(tuple(path)), Timeline(facts)
    raise ValueError(f"no timeline: {str(data)[:100]}")


@lru_cache(1024)
def _subject(path: tuple[object, ...]) -> Subject:
    """
    The subject that *path* is, one object for all who have it; ValueError where it is none.

    The ids of few users and grants stay, as those of users do elsewhere in the process, until others have come.
    """
    if all(isinstance(part, str) for part in path):
        match path:
            case ["subscription", _, "add_on" | "provider_id", *rest] if len(rest) != 1:
                pass
            case ["subscription", _, _, *_] | ["override", _] | ["override", _, _] | ["grant", _]:
                return cast("Subject", path)
            case [other, *_] if other not in ("subscription", "override", "grant"):
                return cast("Subject", path)
    raise ValueError(f"no subject: {str(path)[:100]}")


def _fact(data: object, stamps: Sequence[_Stamp]) -> Fact:
    match data:
        case [int(stamp), value] if 0 <= stamp < len(stamps):
            since, said, recorded, revision = stamps[stamp]
            return Fact(since, value, recorded, revision, said)
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
    Add *facts* to *document* by the law of this module.

    Pure. Superseding is per fact: what was said earlier than something that is known holds until that begins. Where
    with *as_of* none of the facts holds now or later, nothing is recorded: the message is superseded.

    Args:
        document: What is known; facts that ended more than an hour before *recorded* are dropped from the result.
        facts: What is new. Of two about one subject both are applied, in their order.
        recorded: Now.
        as_of: When the source said it. None for now: it then always holds, also against a source whose clock is ahead.

    Returns:
        The new document, its revision one higher, and what was applied; or *document* itself and nothing.
    """
    outcome = joined(document, facts, recorded=recorded, as_of=as_of)
    if not outcome.recorded or (as_of is not None and not _reaches(outcome, recorded)):
        return Outcome(document, ())
    return Outcome(trimmed(outcome.document, recorded - KEPT_BEHIND), outcome.recorded)


def joined(
    document: TenantDocument, facts: Iterable[NewFact], *, recorded: Instant, as_of: Instant | None = None
) -> Outcome:
    """Same as `record`, also what holds only in the past, and nothing is dropped that could be asked for."""
    timelines = dict(document.timelines)
    applied: list[Recorded] = []
    revision = document.revision + 1
    for new in facts:
        line = timelines.get(new.subject, Timeline())
        # What nobody dates is the last word, whoever's clock is ahead.
        said = next((each for each in (new.said, as_of) if each is not None), max(recorded, line.said))
        after = line.joined(Fact(new.since, new.value, recorded, revision, said))
        if after is None:
            continue
        timelines[new.subject] = after
        later = [fact for fact in line.facts if fact.since > new.since]
        applied.append(
            Recorded(
                new.subject,
                new.since,
                new.value,
                before=line.at(new.since),
                replaced=tuple((fact.since, fact.value) for fact in later if fact.said <= said),
                kept=tuple((fact.since, fact.value) for fact in later if fact.said > said),
                said=said,
            )
        )
    return Outcome(replace(document, revision=revision, timelines=timelines), tuple(applied))


def _reaches(outcome: Outcome, now: Instant) -> bool:
    """Does something of what was recorded last hold now, or later?"""
    return any(
        fact.revision == outcome.document.revision and (following is None or following.since > now)
        for subject in {fact.subject for fact in outcome.recorded}
        for fact, following in followed(outcome.document.timelines[subject])
    )


def followed(line: Timeline) -> Iterator[tuple[Fact, Fact | None]]:
    """Each fact with the one that follows it."""
    return zip(line.facts, (*line.facts[1:], None), strict=False)


def trimmed(document: TenantDocument, before: Instant) -> TenantDocument:
    """Leave out what ended before *before*: answers for *before* and later stay the same."""
    timelines: dict[Subject, Timeline] = {}
    for subject, line in document.timelines.items():
        first = 0
        for index, fact in enumerate(line.facts):
            if fact.since <= before:
                first = index
        facts = line.facts[first:]
        if len(facts) == 1 and facts[0].value is None:
            (nothing,) = facts
            if nothing.since <= before and nothing.recorded <= before - KEPT_NOTHING:
                continue
        timelines[subject] = Timeline(facts)
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
        again = [NewFact(fact.subject, fact.since, fact.value, fact.said) for fact in facts]
        document = replace(joined(document, again, recorded=recorded).document, revision=revision)
    return document


def recorded_to_json(facts: Iterable[Recorded]) -> str:
    """The facts of a change as one JSON text."""
    return json.dumps(
        [[list(f.subject), f.since, f.said, f.value, f.before, f.replaced, f.kept] for f in facts],
        separators=(",", ":"),
        ensure_ascii=False,
    )


def recorded_from_json(text: str) -> tuple[Recorded, ...]:
    """Read what `recorded_to_json` wrote."""
    return tuple(
        Recorded(tuple(subject), since, value, before, _course(replaced), _course(kept), said=said)
        for subject, since, said, value, before, replaced, kept in json.loads(text)
    )


def _course(pairs: Iterable[Iterable[object]]) -> tuple[tuple[Instant, object], ...]:
    return tuple(cast("tuple[Instant, object]", tuple(pair)) for pair in pairs)
