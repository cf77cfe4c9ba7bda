"""
What a guard or a gate asks for, and carrying it out on a binding, in either colour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from payaid_entitlements.binding import Binding
from payaid_entitlements.cache.loading import SURE_WITHIN
from payaid_entitlements.core.decision import Intent


class Rank(IntEnum):
    """In which order requirements are asked, however guards are stacked."""

    MODULE = 1
    FEATURE = 2
    SLOT = 3
    QUOTA = 4


@dataclass(frozen=True, slots=True)
class Requirement:
    """
    One thing to which a tenant must be entitled.

    Attributes:
        key: Of a module or a feature.
        access: What is about to be done; None for what the request is about.
        legacy: Gives the host's own old answer, which decides until the module is enforced.
    """

    rank: Rank
    key: str
    access: Intent | None = None
    legacy: Callable[[], bool] | None = None


def enforce(binding: Binding, requirements: Iterable[Requirement]) -> None:
    """
    Return only if the tenant that is bound may do all of it.

    Raises:
        Refused: It may not. The store was asked again before, unless the copy is younger than a second.
        StoreUnavailable: Nothing is known because the store gave no answer.
        ViewExpired: The view was bound too long ago.
    """
    if would_refuse(binding, requirements):
        binding.confirmed()
    conclude(binding, requirements)


async def enforce_async(binding: Binding, requirements: Iterable[Requirement]) -> None:
    """Same as `enforce`, awaited."""
    if would_refuse(binding, requirements):
        await binding.confirmed_async()
    conclude(binding, requirements)


def would_refuse(binding: Binding, requirements: Iterable[Requirement]) -> bool:
    """Would somebody be refused by a copy that is older than a second, and that can be made sure of?"""
    view = binding.view
    view.require_young()
    if all(view.decide(need.key, need.access or binding.access).allowed for need in requirements):
        return False
    return not (view.stale or view.is_sure(SURE_WITHIN))


def conclude(binding: Binding, requirements: Iterable[Requirement]) -> None:
    """Decide each requirement, in its order, by the view as it is; raises as `enforce` does."""
    view = binding.view
    for need in requirements:
        decision = view.decide(need.key, need.access or binding.access)
        if need.legacy is not None:
            decision = view.against_legacy(decision, is_legacy_allowed=_old_answer(need.key, need.legacy))
        if decision.noteworthy:
            view.note(decision)
        if not decision.allowed:
            decision.or_raise(tenant=view.tenant, reference=view.reference(decision))


def _old_answer(key: str, legacy: Callable[[], bool]) -> bool:
    answer = legacy()
    if type(answer) is not bool:
        # Also a forgotten await: a coroutine would read as yes.
        raise TypeError(f"legacy= of the guard for {key!r} gave {answer!r}; it must give True or False")
    return answer
