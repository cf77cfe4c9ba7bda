"""
What a guard or a gate asks for, and carrying it out on a binding, in either colour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, cast

from payaid_entitlements.binding import Binding
from payaid_entitlements.cache.loading import SURE_WITHIN
from payaid_entitlements.core.decision import Decision, Intent
from payaid_entitlements.guards.saying import Attributes, said
from payaid_entitlements.view import TenantView


class Rank(IntEnum):
    """In which order requirements are asked, however guards are stacked."""

    LIMIT = 0
    MODULE = 1
    FEATURE = 2
    FLAG = 3
    SLOT = 4
    QUOTA = 5


@dataclass(frozen=True, slots=True)
class Requirement:
    """
    One thing to which a tenant must be entitled.

    Attributes:
        key: Of a module, a feature or a flag.
        access: What is about to be done; None for what the request is about.
        legacy: Gives the host's own old answer, which decides until the module is enforced.
        attributes: Of a flag: what its rules may look at besides.
    """

    rank: Rank
    key: str
    access: Intent | None = None
    legacy: Callable[[], bool] | None = None
    attributes: Attributes | None = None


#: Requirements of what is in a module.
_OF_MODULES: Final = frozenset({Rank.MODULE, Rank.FEATURE})


def of_call(
    requirements: tuple[Requirement, ...], args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[Requirement, ...]:
    """Make of *requirements* those of one call, where some take what they say of its arguments."""
    if all(need.attributes is None for need in requirements):
        return requirements
    return tuple(replace(need, attributes=said(need.attributes, args, kwargs)) for need in requirements)


def of_any_call(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Those of *requirements* that can be asked before there is a call."""
    return tuple(need for need in requirements if not callable(need.attributes))


def enforce(binding: Binding, requirements: Iterable[Requirement]) -> None:
    """
    Return only if the tenant that is bound may do all of it.

    Raises:
        Refused: It may not. The store was asked again before, unless the copy is younger than a second.
        StoreUnavailable: Nothing is known because the store gave no answer.
        ViewExpired: The view was bound too long ago.
    """
    if _pass(binding, requirements):
        return
    if would_refuse(binding, requirements):
        binding.confirmed()
    conclude(binding, requirements)


async def enforce_async(binding: Binding, requirements: Iterable[Requirement]) -> None:
    """Same as `enforce`, awaited."""
    if not binding.is_found:
        await binding.found_async()
    if _pass(binding, requirements):
        return
    if would_refuse(binding, requirements):
        await binding.confirmed_async()
    conclude(binding, requirements)


def _pass(binding: Binding, requirements: Iterable[Requirement]) -> bool:
    """Do all pass, with nothing to be said of it? So it is nearly always, and then each is decided once."""
    binding.view.require_young()
    for need in requirements:
        decision = _decided(binding, need)
        if decision.noteworthy or not decision.allowed or need.legacy is not None:
            return False
    return True


def would_refuse(binding: Binding, requirements: Iterable[Requirement]) -> bool:
    """Would somebody be refused by a copy that is older than a second, and that can be made sure of?"""
    view = binding.view
    view.require_young()
    if all(_decided(binding, need).allowed for need in requirements):
        return False
    return not (view.stale or view.is_sure(SURE_WITHIN))


def conclude(binding: Binding, requirements: Iterable[Requirement]) -> None:
    """Decide each requirement, in its order, by the view as it is; raises as `enforce` does."""
    view = binding.view
    for need in requirements:
        decision = _decided(binding, need)
        if need.legacy is not None:
            decision = view.against_legacy(decision, is_legacy_allowed=_old_answer(need.key, need.legacy))
        if decision.noteworthy:
            view.note(decision)
        if not decision.allowed:
            decision.or_raise(tenant=view.tenant, reference=view.reference(decision))
    note_passed(view, requirements)


def note_passed(view: TenantView, requirements: Iterable[Requirement]) -> None:
    """Note what somebody who was let pass uses, unless just that was noted just before."""
    if view._passed is not requirements:
        view._passed = requirements
        view.used(need.key for need in requirements if need.rank in _OF_MODULES)


def _decided(binding: Binding, need: Requirement) -> Decision:
    if need.rank is Rank.FLAG:
        # None of them is a function here: that was called for this call.
        return binding.view.decide_flag(need.key, cast("Mapping[str, object] | None", need.attributes))
    return binding.view.decide(need.key, need.access or binding.access)


def _old_answer(key: str, legacy: Callable[[], bool]) -> bool:
    answer = legacy()
    if type(answer) is not bool:
        # Also a forgotten await: a coroutine would read as yes.
        raise TypeError(f"legacy= of the guard for {key!r} gave {answer!r}; it must give True or False")
    return answer
