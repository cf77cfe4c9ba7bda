"""A flag that can be asked, and what it was compiled with: apart from compiling, which only who has flags loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagDetails
from payaid_entitlements.forking import IMPORTING

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.model import Condition, Flag, Progress

#: Answers a flag.
Evaluate: TypeAlias = Callable[[FlagContext], FlagDetails]


@dataclass(frozen=True, slots=True)
class CompiledFlag:
    """
    A flag that can be asked.

    Attributes:
        evaluate: Answers for a context. Raises nothing: what went wrong is in the details.
        reads_clock: Time alone may change the answer.
        of_user: For a plain percentage of users: the same answer, from the CBOR text of the user's id alone.
    """

    flag: Flag
    evaluate: Evaluate
    reads_clock: bool
    of_user: Callable[[bytes], FlagDetails] | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a flag is compiled with.

    Attributes:
        compiled: The flags that may be prerequisites, by key.
        progress: Of guarded rollouts, by flag.
        condition: Makes a function of a condition.
    """

    compiled: Mapping[str, CompiledFlag] = field(default_factory=dict)
    progress: Mapping[str, Progress] = field(default_factory=dict)
    condition: Callable[[Condition], Callable[[FlagContext], bool]] = field(default_factory=lambda: _without_segments)


def _without_segments(condition: Condition) -> Callable[[FlagContext], bool]:
    with IMPORTING:
        from payaid_entitlements.core.flags.lowering import conditions
    return conditions({})(condition)
