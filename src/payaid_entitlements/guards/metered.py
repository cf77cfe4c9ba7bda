"""
What each call of a guarded function takes: a slot for somebody, units of a quota. In which order, and how it is given
back.

All of it is a generator of verbs, which the wrapper of either colour has its client carry out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from payaid_entitlements.core.observing import log
from payaid_entitlements.core.values import Amount
from payaid_entitlements.errors import ConfigurationError, EntitlementError
from payaid_entitlements.guards.naming import Find, Name, argument, naming
from payaid_entitlements.guards.requirement import Rank
from payaid_entitlements.metering.attempts import require_another, was_given_back
from payaid_entitlements.metering.returning import refund_attempt

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.assignment import Assignment
    from payaid_entitlements.core.metering.usage import Usage

#: Something that a client of either colour does: of an asynchronous one that is awaited.
Verb: TypeAlias = Callable[[Any], Any]
#: Yields verbs, is sent what came of them or thrown their errors, and returns what gives back what was taken.
Taking: TypeAlias = Generator[Verb, object, tuple[Verb, ...]]
#: The same, which returns how much is left as well, by feature.
Using: TypeAlias = "Generator[Verb, object, tuple[Mapping[str, Usage], tuple[Verb, ...]]]"


@dataclass(frozen=True, slots=True)
class Metered:
    """
    What a guard takes for each call.

    Attributes:
        key: Of the feature.
        name: Names the operation (quota) or the holder (slot), with arguments in braces.
        amount: Of a quota: units, or the argument that says how many.
    """

    rank: Rank
    key: str
    name: str
    amount: Amount | str = 1


@dataclass(frozen=True, slots=True)
class _Bound:
    """What guards of one rank and one name take together: by feature, how much."""

    rank: Rank
    name: Name
    amounts: Mapping[str, Find]


class Meter:
    """What is taken for each call of one function."""

    __slots__ = ("_needs",)

    def __init__(self, function: Callable[..., object], needs: Sequence[Metered]) -> None:
        """
        Put *needs* on *function*.

        Quotas of one operation are used up together, all or none: an operation is one act.

        Raises:
            ConfigurationError: An argument that a need names is not there, or two take the same.
        """
        together: dict[tuple[Rank, str], dict[str, Find]] = {}
        for need in needs:
            amounts = together.setdefault((need.rank, need.name), {})
            if need.key in amounts:
                raise ConfigurationError(f"two guards of {function.__qualname__} take {need.key!r} for {need.name!r}")
            amounts[need.key] = _amount(function, need.amount)
        self._needs = tuple(
            _Bound(rank, _name(function, rank, name), amounts) for (rank, name), amounts in together.items()
        )

    def taking(self, args: Sequence[object], kwargs: Mapping[str, object]) -> Callable[[str], Taking]:
        """
        Prepare to take what this call takes, of the tenant that is named then.

        Raises:
            TypeError: An argument that is to identify something does not; nothing was taken.
        """
        asked = [
            (need.rank, need.name(args, kwargs), {key: find(args, kwargs) for key, find in need.amounts.items()})
            for need in self._needs
        ]
        return lambda tenant: _all_of(tenant, asked)


def _name(function: Callable[..., object], rank: Rank, name: str) -> Name:
    is_quota = rank is Rank.QUOTA
    return naming(function, name, "operation" if is_quota else "holder", is_constant_allowed=not is_quota)


def _amount(function: Callable[..., object], amount: Amount | str) -> Find:
    if not isinstance(amount, str):
        return lambda args, kwargs: amount
    return argument(function, amount[1:-1] if amount[:1] + amount[-1:] == "{}" else amount, "amount")


def _all_of(tenant: str, asked: Sequence[tuple[Rank, str, Mapping[str, object]]]) -> Taking:
    slots: list[Verb] = []
    quotas: list[Verb] = []
    try:
        for rank, name, amounts in asked:
            if rank is Rank.QUOTA:
                _, back = yield from use_up(tenant, amounts, name)
                quotas += back
                continue
            for key in amounts:
                slots += yield from _slot(tenant, key, name)
    except Exception:
        # The function does not run: nothing of it stays.
        yield from giving_back((*slots, *quotas))
        raise
    # Slots stay when the function has run and failed: another call for the same holder, which found it there, may have
    # done its work on it, and a slot that is given away under a member is one too many.
    return tuple(quotas)


def giving_back(verbs: Sequence[Verb]) -> Generator[Verb, object, None]:
    """Carry out *verbs*, the last one first. One that fails is told, and hides no error of the function."""
    for verb in reversed(verbs):
        try:
            yield verb
        except EntitlementError as error:
            log.warning("guard.not_given_back", what=repr(error), way_out="ent.refund(), by the operation of the call")


def _slot(tenant: str, key: str, holder: str) -> Taking:
    assigned = cast("Assignment", (yield lambda client: client.assign(tenant, key, holder)))
    return () if assigned.replayed else (lambda client: client.unassign(tenant, key, holder),)


def use_up(tenant: str, amounts: Mapping[str, object], name: str) -> Using:
    """
    Use up *amounts*, once for all calls of this name that do their work.

    A call that failed was given back: the next one of its name is no repetition of it, and pays. Of one that is a
    repetition there is nothing to give back.
    """
    names = require_another(name)
    while True:
        operation = next(names)
        usages = cast("Mapping[str, Usage]", (yield _consume(tenant, amounts, operation)))
        if not any(usage.replayed for usage in usages.values()):
            return usages, (_refund(tenant, operation),)
        if not (yield _was_given_back(tenant, operation)):
            return usages, ()


def _consume(tenant: str, amounts: Mapping[str, object], operation: str) -> Verb:
    return lambda client: client.consume_many(tenant, amounts, operation=operation)


def _refund(tenant: str, operation: str) -> Verb:
    return lambda client: client._driver.ask(refund_attempt(client._setting, tenant, operation))


def _was_given_back(tenant: str, operation: str) -> Verb:
    return lambda client: client._driver.ask(was_given_back(tenant, operation))
