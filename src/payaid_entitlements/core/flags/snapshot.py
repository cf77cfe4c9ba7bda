"""All flags as they can be asked: immutable, made once for each change, swapped as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from payaid_entitlements.core.flags.compiled import CompiledFlag, Evaluate, Surroundings
from payaid_entitlements.core.flags.details import FlagDetails
from payaid_entitlements.core.flags.kills import variable
from payaid_entitlements.core.flags.model import Condition, Flag, FlagSet, Progress
from payaid_entitlements.core.flags.ordering import in_order
from payaid_entitlements.core.flags.rollouts.measured import Measuring
from payaid_entitlements.core.flags.salvaging import salvaged
from payaid_entitlements.forking import IMPORTING


@dataclass(frozen=True, slots=True)
class FlagSnapshot:
    """
    Flags at one revision.

    Attributes:
        flags: By key.
        narrowing: By key of a module or a feature the flags that may refuse it, in the order of their keys.
        revision: Of the flag set.
        progress: Of guarded rollouts, by flag.
        segments: By name; those of the catalog are among them.
        origin: The snapshot of which this one is the same but for that evaluations are told of; None where nobody
            listens. For looking at flags without showing anybody anything.
        around: What the flags were compiled with; for explaining them.
        measured: By key of a flag the step of its rollout that is measured.
        killed: Keys of the flags that an operator or the environment has killed.
        flag_set: Of which it was made.
        asks: What answers each of *flags*, by key: a view comes here first.
        of_user: The same of those that need no more than a user: `CompiledFlag.of_user`.
    """

    flags: Mapping[str, CompiledFlag] = field(default_factory=dict)
    narrowing: Mapping[str, tuple[CompiledFlag, ...]] = field(default_factory=dict)
    revision: int = 0
    progress: Mapping[str, Progress] = field(default_factory=dict)
    segments: Mapping[str, Condition] = field(default_factory=dict)
    origin: FlagSnapshot | None = None
    around: Surroundings = field(default_factory=Surroundings)
    measured: Mapping[str, Measuring] = field(default_factory=dict)
    killed: frozenset[str] = frozenset()
    flag_set: FlagSet = field(default_factory=FlagSet)
    asks: Mapping[str, Evaluate] = field(init=False, compare=False, repr=False, default_factory=dict)

    of_user: Mapping[str, Callable[[bytes], FlagDetails]] = field(
        init=False, compare=False, repr=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "asks", {key: flag.evaluate for key, flag in self.flags.items()})
        plain = {key: flag.of_user for key, flag in self.flags.items() if flag.of_user is not None}
        object.__setattr__(self, "of_user", plain)

    @classmethod
    def of(
        cls,
        catalog_flags: Mapping[str, Flag],
        flag_set: FlagSet,
        killed: Collection[str] = frozenset(),
        environment: Collection[str] = frozenset(),
        *,
        segments: Mapping[str, Condition] | None = None,
    ) -> FlagSnapshot:
        """
        Compile what counts. A flag that cannot be compiled fails alone, when it is asked.

        Args:
            catalog_flags: What the catalog says: first values.
            flag_set: What was changed since.
            killed: Keys that operators have killed (``Controls.killed``), among those of modules and features.
            environment: What `payaid_entitlements.core.flags.kills.flag_kills` read when the process started.
            segments: What the catalog says of them: first definitions, as with flags.
        """
        named = counting(segments or {}, flag_set)
        flags = effective(catalog_flags, flag_set)
        if not flags:
            return cls(
                revision=flag_set.revision,
                progress=flag_set.progress,
                segments=MappingProxyType(named),
                flag_set=flag_set,
            )
        # Who has no flags does not load what compiles them.
        with IMPORTING:
            from payaid_entitlements.core.flags.evaluating import compile_flag
            from payaid_entitlements.core.flags.lowering import conditions
            from payaid_entitlements.core.flags.rollouts.arms import measuring

        compiled: dict[str, CompiledFlag] = {}
        around = Surroundings(compiled, flag_set.progress, conditions(named))
        measured: dict[str, Measuring] = {}
        stopped: list[str] = []
        needs = {key: frozenset(each.flag for each in flag.needs) for key, flag in flags.items()}
        for key, stuck in in_order(needs):
            why, broken = "", flags[key].broken or stuck
            if variable(key) in environment:
                why = f"killed in this process by PAYAID_FLAG_{variable(key)}"
            elif key in killed:
                why = "killed by an operator"
            if why:
                stopped.append(key)
            compiled[key] = compile_flag(flags[key], around, killed=why, broken=broken)
            if not why and not broken and (measures := measuring(flags[key], around)) is not None:
                measured[key] = measures
        narrowing: dict[str, list[CompiledFlag]] = {}
        for key in sorted(flags):
            for narrowed in flags[key].narrows:
                narrowing.setdefault(narrowed, []).append(compiled[key])
        return cls(
            MappingProxyType({key: compiled[key] for key in flags}),
            MappingProxyType({key: tuple(each) for key, each in narrowing.items()}),
            flag_set.revision,
            flag_set.progress,
            MappingProxyType(named),
            around=around,
            measured=MappingProxyType(measured),
            killed=frozenset(stopped),
            flag_set=flag_set,
        )


def effective(catalog_flags: Mapping[str, Flag], flag_set: FlagSet) -> dict[str, Flag]:
    """
    Say which flags count: those of the catalog, each as the set has it where the set has it.

    One that the set has in a way that cannot be read is broken, and so is one of which it cannot be read where its
    rollout stands: begun anew, a rollout that was rolled back would let people in again.
    """
    both: dict[str, Flag | None] = {**catalog_flags, **flag_set.flags}
    for (kind, key), unread in sorted(flag_set.unread.items()):
        flag = both.get(key)
        if kind == "flag":
            both[key] = replace(salvaged(key, unread.text, flag), enabled=True, broken=unread.why)
        elif kind == "progress" and flag is not None:
            both[key] = replace(flag, broken=f"where its rollout stands cannot be read: {unread.why}")
    return {key: flag for key, flag in both.items() if flag is not None}


def counting(catalog_segments: Mapping[str, Condition], flag_set: FlagSet) -> dict[str, Condition]:
    """Say which segments count, as with flags. One that cannot be read is left out: flags that name it fail."""
    both = {**catalog_segments, **flag_set.segments}
    return {name: each for name, each in both.items() if ("segment", name) not in flag_set.unread}
