"""
What a flag is, as immutable values. Nothing here checks anything: readers build these and refuse what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from payaid_entitlements.core.flags.details import FlagValue

if TYPE_CHECKING:
    from payaid_entitlements.core.instant import Instant

#: Shares are whole numbers of these: 1 is 0.001 %.
PARTS: Final = 100_000


class FlagType(StrEnum):
    """What a flag's variants are worth."""

    BOOLEAN = "boolean"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Test:
    """
    An attribute compared with a value; false where the attribute is missing or of another kind.

    Attributes:
        attribute: Its path, split at dots: ``plan``, ``user``, ``country``, ``company.size``.
        operator: ``eq neq in not_in lt lte gt gte before after starts_with ends_with contains matches
            semver_eq semver_lt semver_lte semver_gt semver_gte semver_tilde semver_caret cidr exists``.
    """

    __test__: ClassVar = False  # it is no test of pytest's, which would collect it wherever it is imported

    attribute: str
    operator: str
    value: FlagValue


@dataclass(frozen=True, slots=True)
class All:
    """True when each of *conditions* is; there is at least one."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when one of *conditions* is; there is at least one."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when *condition* is not."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Segment:
    """True for those in a named segment."""

    name: str


Condition: TypeAlias = Test | All | AnyOf | Not | Segment


@dataclass(frozen=True, slots=True)
class Metric:
    """
    A bound on what is measured while a step runs; when it is broken, the rollout is rolled back.

    Attributes:
        name: ``error_rate``, ``latency``, or one of the host's own.
        quantile: For lengths of time and other amounts: which quantile, in parts of `PARTS` (95,000 is p95). None for
            a rate: how many of those that were measured were bad.
        bound: For a rate in parts of `PARTS`; for an amount in its unit, microseconds for ``latency``.
        against_control: *bound* is how much worse than those outside of the rollout it may be; else it is absolute.
    """

    name: str
    quantile: int | None
    bound: int
    against_control: bool


@dataclass(frozen=True, slots=True)
class Guard:
    """
    What a rollout waits for, and what ends it.

    Attributes:
        metrics: Each may roll it back.
        samples: A step lasts until so many were measured inside, besides its time.
        approval: A step lasts until somebody approves, besides its time.
    """

    metrics: tuple[Metric, ...] = ()
    samples: int = 0
    approval: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """
    How many are in: of those to whom a rule applies.

    Without a guard it is a function of time alone, with one it stands where the flag set says (`Progress`).

    Attributes:
        steps: Shares in parts of `PARTS`, ascending, each from an instant on, ascending. Before the first one nobody is
            in. A plain percentage is one step from the beginning of time (`EARLIEST`). With a guard the instants say
            no more than how long each step lasts at least; the last one as long as the one before.
        hold: How long the only step of a guarded rollout lasts at least, in microseconds: no instant says that. Else 0.
    """

    steps: tuple[tuple[Instant, int], ...]
    guard: Guard | None = None
    hold: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """
    The first rule whose condition is true and whose rollout lets one in decides.

    Attributes:
        id: Unique within the flag; what `explain` and exposures name.
        when: None applies to everybody.
        serve: The variant, or arms with weights. Arms are chosen by a hash of their own, so that a growing rollout
            moves nobody from arm to arm.
        rollout: Who is not in goes on to the next rule; None lets everybody in.
    """

    id: str
    serve: str | tuple[tuple[str, int], ...]
    when: Condition | None = None
    rollout: Rollout | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """Another flag that must come out as one of *variants*; else this one is off."""

    flag: str
    variants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Share:
    """
    Positions in a group that flags share, half-open, in parts of `PARTS`: who is in one flag's share is in no other's.

    Attributes:
        group: Names the group; positions are hashed by it and not by the flag.
    """

    group: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Flag:
    """
    A flag.

    Attributes:
        key: Never reused.
        variants: What may come out, by name; all of one type.
        default: The variant where no rule decides; None leaves it to the caller's own default.
        off: The variant when it is killed, disabled, held out, excluded, or a prerequisite is missing; None as above.
        enabled: False is off for everybody; as flagd's ``DISABLED``, it leaves the value to the caller.
        salt: Hashed with the id; its own key unless it was written otherwise. Never changes on a live flag.
        bucket_by: Whose id is hashed: ``tenant``, ``user``, or the path of an attribute. Never changes on a live flag.
        fallback: Whose id is hashed where that of *bucket_by* is missing; None excludes.
        rules: In order; the first that decides.
        needs: Prerequisites, all of them; no cycles.
        exclusion: Where the flag may be on, among flags that exclude each other.
        holdout: Who is held out of it, though the rules would let them in.
        narrows: Keys of modules and features that are refused where the flag comes out false; it is a boolean one.
        owner, remove_by, title: For people, and for the report of stale flags.
        metadata: Told with each answer.
        targeting: For a flag that was read from flagd: its targeting as it was written (JSON); then there are no rules.
        scheme: How the buckets of *targeting* are hashed.
        broken: Why it has no answer: a published catalog, or the stored flag set, has it in a way that this release
            cannot read. Then the rest is what could be read. Empty otherwise, as in all that people write.
    """

    key: str
    type: FlagType
    variants: Mapping[str, FlagValue]
    default: str | None
    off: str | None
    enabled: bool = True
    salt: str = ""
    bucket_by: str = "tenant"
    fallback: str | None = None
    rules: tuple[Rule, ...] = ()
    needs: tuple[Needs, ...] = ()
    exclusion: Share | None = None
    holdout: Share | None = None
    narrows: tuple[str, ...] = ()
    owner: str | None = None
    remove_by: date | None = None
    title: str = ""
    metadata: Mapping[str, FlagValue] = field(default_factory=dict)
    targeting: FlagValue = None
    scheme: Literal["v2", "v3"] = "v3"
    broken: str = ""


class Stage(StrEnum):
    """How a guarded rollout stands."""

    PENDING = "pending"  # its first step has not begun
    RUNNING = "running"
    PAUSED = "paused"  # stands still; nobody leaves
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"  # nobody is in


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Where a guarded rollout stands. Part of the flag set, so that a step is a change like any other.

    Attributes:
        rule: Of which rule.
        step: Index into `Rollout.steps`; what is let in now.
        since: When that step began.
        attempt: Grows with each step and each new start: names what is measured meanwhile.
        approved: Somebody has approved this step.
        because: Why it stands as it does: what was measured, who paused it.
    """

    rule: str
    stage: Stage
    step: int
    since: Instant
    attempt: int
    approved: bool = False
    because: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """
    What is stored and cannot be read by this release. It is written back as it is: a newer one may read it.

    Attributes:
        text: As it is stored; JSON, but where a whole flag set cannot be read.
        why: In words.
    """

    text: str
    why: str


#: A thing in a flag set: ``("flag", key)``, ``("segment", name)``, ``("progress", key)`` or ``("removed", key)``.
Thing: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class FlagSet:
    """
    All flags that were ever changed, and all segments. Has a revision of its own: a step re-resolves no tenant.

    What the catalog says of a flag counts until it is in here; from its first change on only this counts.

    Attributes:
        flags: By key; None for one that was removed, so that the catalog's does not come back.
        segments: By name.
        progress: Of guarded rollouts, by flag.
        removed: What was live when it was removed, as it was then, by key: who defines it anew may not deal anew.
        unread: What is in the set and cannot be read; it is not among the others, and fails alone.
        damage: The set as a whole, where that cannot be read; then there is nothing in it, but in a process that read
            it before: what it knew. Nobody changes such a set, but replaces it.
    """

    revision: int = 0
    flags: Mapping[str, Flag | None] = field(default_factory=dict)
    segments: Mapping[str, Condition] = field(default_factory=dict)
    progress: Mapping[str, Progress] = field(default_factory=dict)
    removed: Mapping[str, Flag] = field(default_factory=dict)
    unread: Mapping[Thing, Unread] = field(default_factory=dict)
    damage: Unread | None = None

    @property
    def changed(self) -> frozenset[str]:
        """Keys of the flags of which this set has the word, readable or not, and not the catalog."""
        return frozenset({*self.flags, *(key for kind, key in self.unread if kind == "flag")})

    def without(self, *things: Thing) -> dict[Thing, Unread]:
        """What is `unread`, but for *things*: they are replaced."""
        return {thing: each for thing, each in self.unread.items() if thing not in things}
