"""
Decorators that let nobody pass who is not entitled, for functions of either colour, methods and generators.

All guards on one function become one wrapper, which asks in one order however they are stacked: rate limits, modules,
features, flags, slots, quotas. They ask the tenant that is bound (by a web gate, or ``with ent.bind(...)``), or the one
that an argument names. A guard in a place where it would never run is loud: inside ``Depends(...)`` it is a
``TypeError``, above a route decorator a web gate finds it at start-up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Final, NoReturn, ParamSpec, TypeVar, cast

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.core.identity import identify, plain
from payaid_entitlements.core.values import Amount
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards.branching import Branch
from payaid_entitlements.guards.late import of_method
from payaid_entitlements.guards.limiting import Limited
from payaid_entitlements.guards.metered import Metered
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.guards.rules import Rules
from payaid_entitlements.guards.saying import Attributes, attributes_of
from payaid_entitlements.guards.whom import Client
from payaid_entitlements.guards.wrapping import wrap
from payaid_entitlements.limiting.asking import require_cost

P = ParamSpec("P")
R = TypeVar("R")

#: Attribute of a function by which it is known that a guard stands around it. It refers to the very function, since
#: `functools.wraps` copies attributes to functions around which no guard stands.
_COVERED: Final = "__payaid_covered__"
_MARK: Final = "__payaid_guard__"


def require_module(
    module: str,
    *,
    access: Intent | None = None,
    tenant: str | None = None,
    legacy: Callable[[], bool] | None = None,
    client: Client | None = None,
) -> Guard:
    """
    Guard a function: only tenants pass that hold *module*.

    Args:
        module: Key of the module.
        access: ``"read"`` passes where only writing is refused. None: what the request is about (GET, HEAD and
            OPTIONS read), and ``"write"`` outside of one.
        tenant: Name of the argument that holds the tenant's id, where nothing is bound: in tasks of a queue.
        legacy: Gives your own old answer, without arguments; it decides until the module is enforced.
        client: Whom to ask about *tenant*; None for the only client that is open.

    Raises:
        Refused: When the guarded function is called, and its tenant is not entitled.
        NoCurrentTenant: When it is called, nothing is bound and no argument is named.
        ConfigurationError: Now: there is no such argument, or guards on one function contradict one another.
    """
    return _requiring(Rank.MODULE, module, access, tenant, legacy, client)


def require_feature(
    feature: str,
    *,
    access: Intent | None = None,
    tenant: str | None = None,
    legacy: Callable[[], bool] | None = None,
    client: Client | None = None,
) -> Guard:
    """Guard a function: only tenants pass that hold *feature*. Everything else as in `require_module`."""
    return _requiring(Rank.FEATURE, feature, access, tenant, legacy, client)


def require_flag(
    key: str,
    *,
    otherwise: Callable[..., object] | None = None,
    attributes: Attributes | None = None,
    tenant: str | None = None,
    client: Client | None = None,
) -> Guard:
    """
    Guard a function: only those run it for whom the flag *key* is on.

    Args:
        key: Of a boolean flag.
        otherwise: Called instead with the same arguments, of which ``self`` is one in a class, and bound to the same
            tenant; None refuses. Modules and features are required of both ways, slots and quotas taken by neither
            but the function itself. It is of the function's kind; a plain one will do for a coroutine function.
        attributes: What the flag's rules may look at besides, over what is bound: a mapping, or a plain function that
            takes the arguments of the call and gives one, or None.
        tenant, client: As in `require_module`.

    Raises:
        NotReleased: When the guarded function is called, the flag is not on, and there is no other way.
        TypeError: When it is called, and the flag is not boolean, or *attributes* gives no mapping of names; now, where
            *otherwise* cannot be called, or *attributes* is neither.
        UnknownFlag: When it is called, there is no such flag, and the client is strict.
        NoCurrentTenant, ConfigurationError: As in `require_module`.
    """
    identify("flag", key)
    attributes = attributes_of(attributes)
    if otherwise is None:
        need = Requirement(Rank.FLAG, key, attributes=attributes)
        return Guard("require_flag", key, Rules((need,), (), tenant, client))
    if not callable(otherwise):
        raise TypeError(f"otherwise={otherwise!r}: give a function that takes the same arguments")
    return Guard("require_flag", key, Rules((), (), tenant, client, (Branch(key, otherwise, attributes),)))


def consume_quota(
    feature: str,
    amount: Amount | str = 1,
    *,
    operation: str,
    tenant: str | None = None,
    client: Client | None = None,
) -> Guard:
    """
    Guard a function: each call uses up units of *feature*, and gives them back when it raises or is cancelled.

    A call that is repeated with the same operation uses up nothing more; one that was given back is made anew. A
    generator uses up what it costs when it is called, an asynchronous one at its first item, and gives it back when it
    raises, not when its reader stops in the middle.

    Args:
        feature: Key of a quota, or of one that credits pay for.
        amount: Units, or the name of the argument that says how many: ``"pages"``, ``"job.pages"``.
        operation: What is done, named by arguments in braces so that it is the same when it is repeated:
            ``"import:{job_id}"``. They are str, int or UUID.
        tenant, client: As in `require_module`.

    Raises:
        QuotaExceeded: When the guarded function is called, and less is left.
        Refused: When it is called, and *feature* is not sold to its tenant.
        TypeError: When it is called, and an argument that is named identifies nothing: None, or ``"undefined"``.
        StoreUnavailable: When it is called, and the ledger gave no answer. `OutcomeUnknown`: call it again.
        ConfigurationError: Now: an argument that is named does not exist, or *operation* names none.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal | str):
        raise TypeError(f"amount={amount!r}: give a number of units, or the name of the argument that says how many")
    return _taking(Rank.QUOTA, feature, plain("operation", operation), amount, tenant, client)


def assign_slot(feature: str, *, holder: str, tenant: str | None = None, client: Client | None = None) -> Guard:
    """
    Guard a function: each call gives a slot of *feature* to its holder, who may have it already.

    The slot stays when the function raises: repeat the call, or free it with ``ent.unassign(...)``. It is not freed
    here, since another call for the same holder may have done its work.

    Args:
        feature: Key of an allocation.
        holder: Who gets it, named by arguments in braces: ``"member:{member_id}"``.
        tenant, client: As in `require_module`.

    Raises:
        QuotaExceeded: When the guarded function is called, and no slot is free.
        Refused, TypeError, StoreUnavailable, ConfigurationError: As in `consume_quota`.
    """
    return _taking(Rank.SLOT, feature, plain("holder", holder), 1, tenant, client)


def rate_limit(
    limit: str,
    *,
    cost: int = 1,
    wait: timedelta | None = None,
    tenant: str | None = None,
    client: Client | None = None,
) -> Guard:
    """
    Guard a function: each call is counted on a rate limit, before anything else is asked, and refused without room.

    It limits the tenant that is bound, its user where the limit counts by user, and the address where it counts by
    that: ``ent.bind(tenant, user=..., address=...)``, or what a web gate takes from the request. A call stays counted
    when the function raises.

    Args:
        limit: Key of a rate limit of the catalog, not one of so many at once: that is ``ent.concurrent(...)``.
        cost: Units that a call weighs; 1 or more.
        wait: Sleep until there is room, for so long in total, instead of refusing at once.
        tenant, client: As in `require_module`; then no user and no address is known.

    Raises:
        RateLimited: When the guarded function is called, and there is no room.
        UnknownRateLimit: When it is called, and the catalog has no such limit.
        StoreUnavailable: When it is called, the limiter gives no answer, and the limit lets nobody pass then.
        TypeError: When it is called, and the limit counts by user or address and none is bound; or it would have to
            wait, is a plain function, and an event loop is running.
        NoCurrentTenant, ConfigurationError: As in `require_module`.
    """
    if wait is not None and wait < timedelta():
        raise ConfigurationError(f"wait is {wait}; it is 0 or more")
    if require_cost(cost) == 0:
        raise ConfigurationError(f"rate_limit({limit!r}): cost is 0, so nothing would be counted; it is 1 or more")
    counted = Limited(identify("limit", limit), cost, wait)
    return Guard("rate_limit", limit, Rules((), (), tenant, client, limits=(counted,)))


def _requiring(
    rank: Rank,
    key: str,
    access: Intent | None,
    tenant: str | None,
    legacy: Callable[[], bool] | None,
    client: Client | None,
) -> Guard:
    if access not in (None, "read", "write"):
        raise ValueError(f"access is {access!r}; it is 'read' or 'write'")
    if legacy is not None and not callable(legacy):
        raise TypeError(f"legacy={legacy!r}: give a function without arguments that gives True or False")
    requirement = Requirement(rank, identify(rank.name.lower(), key), access, legacy)
    return Guard(f"require_{rank.name.lower()}", key, Rules((requirement,), (), tenant, client))


def _taking(rank: Rank, key: str, name: str, amount: Amount | str, tenant: str | None, client: Client | None) -> Guard:
    metered = Metered(rank, identify("feature", key), name, amount)
    word = "consume_quota" if rank is Rank.QUOTA else "assign_slot"
    return Guard(word, key, Rules((), (metered,), tenant, client))


class Guard:
    """What `rate_limit`, `require_module` and the others give."""

    __slots__ = ("_key", "_name", "_rules")

    def __init__(self, name: str, key: str, rules: Rules) -> None:
        self._name = name
        self._key = key
        self._rules = rules

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Put the guard around *function*; with a guard that is already there it becomes one."""
        if isinstance(function, partial) and inspect.ismethod(function.func):
            function = of_method(function)
        if not inspect.isfunction(function):
            raise TypeError(
                f"{self!r} goes on a function or a method, not on {function!r}; "
                "put it below @staticmethod, @classmethod and @property, and on the methods of a class"
            )
        there: _Mark | None = getattr(function, _MARK, None)
        rules, original = self._rules, cast("Callable[P, R]", function)
        if there is not None and there.wrapper is function:
            rules, original = rules.merged(there.rules), cast("Callable[P, R]", there.original)
        wrapper = wrap(original, rules)
        setattr(wrapper, _MARK, _Mark(original, wrapper, rules))
        cover(function)
        return wrapper

    @property
    def rules(self) -> Rules:
        """What it asks and takes, by itself."""
        return self._rules

    @property
    def __signature__(self) -> NoReturn:
        # FastAPI takes the signature of whatever is in Depends(...). Given one, it would read `function` from the
        # query string, let everybody pass, and give them the guard instead of guarding.
        way_out = (
            f"use gate.{self._name}({self._key!r}) of a payaid_entitlements.web.fastapi.Gate there"
            if self._rules.requirements or self._rules.limits
            else "put it on the function, below the route decorator"
        )
        raise TypeError(f"{self!r} is a decorator and does nothing inside Depends(); {way_out}")

    def __repr__(self) -> str:
        return f"{self._name}({self._key!r})"


@dataclass(frozen=True, slots=True)
class _Mark:
    original: Callable[..., object]
    wrapper: Callable[..., object]
    rules: Rules


def rules_of(function: object) -> Rules | None:
    """What the guards on *function* ask, also below other decorators that use `functools.wraps`; None without any."""
    while function is not None:
        mark = getattr(function, _MARK, None)
        if isinstance(mark, _Mark) and mark.wrapper is function:
            return mark.rules
        function = getattr(function, "__wrapped__", None)
    return None


def cover(function: object) -> None:
    """
    Remember that a guard stands around *function*.

    And around all that is below other decorators too: a route decorator may stand under them.
    """
    while inspect.isfunction(function):
        setattr(function, _COVERED, function)
        function = getattr(function, "__wrapped__", None)


def is_covered(function: object) -> bool:
    """Does a guard stand around just this function? Whoever calls it directly goes round the guard."""
    return function is not None and getattr(function, _COVERED, None) is function
