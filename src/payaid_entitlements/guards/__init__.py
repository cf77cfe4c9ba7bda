"""
Decorators that let nobody pass who is not entitled, for functions of either colour, methods and generators.

All guards on one function become one wrapper, which asks in one order however they are stacked: modules, then
features. They ask the tenant that is bound (by a web gate, or ``with ent.bind(...)``), or the one that an argument
names. A guard in a place where it would never run is loud: inside ``Depends(...)`` it is a ``TypeError``, above a
route decorator a web gate finds it at start-up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn, ParamSpec, TypeVar, cast

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.core.identity import identify
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.guards.wrapping import Client, Rules, wrap

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
    return Guard(Rank.MODULE, module, access, tenant, legacy, client)


def require_feature(
    feature: str,
    *,
    access: Intent | None = None,
    tenant: str | None = None,
    legacy: Callable[[], bool] | None = None,
    client: Client | None = None,
) -> Guard:
    """Guard a function: only tenants pass that hold *feature*. Everything else as in `require_module`."""
    return Guard(Rank.FEATURE, feature, access, tenant, legacy, client)


class Guard:
    """What `require_module` and `require_feature` give: put it on a function."""

    __slots__ = ("_rules",)

    def __init__(
        self,
        rank: Rank,
        key: str,
        access: Intent | None,
        tenant: str | None,
        legacy: Callable[[], bool] | None,
        client: Client | None,
    ) -> None:
        if access not in (None, "read", "write"):
            raise ValueError(f"access is {access!r}; it is 'read' or 'write'")
        if legacy is not None and not callable(legacy):
            raise TypeError(f"legacy={legacy!r}: give a function without arguments that gives True or False")
        requirement = Requirement(rank, identify(rank.name.lower(), key), access, legacy)
        self._rules = Rules((requirement,), tenant, client)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Put the guard around *function*; with a guard that is already there it becomes one."""
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
        # All that is below other decorators too: a route decorator may stand under them.
        covered: object = function
        while inspect.isfunction(covered):
            setattr(covered, _COVERED, covered)
            covered = getattr(covered, "__wrapped__", None)
        return wrapper

    @property
    def __signature__(self) -> NoReturn:
        # FastAPI takes the signature of whatever is in Depends(...). Given one, it would read `function` from the
        # query string, let everybody pass, and give them the guard instead of guarding.
        raise TypeError(
            f"{self!r} is a decorator and does nothing inside Depends(); use gate.{self._name}({self._key!r}) of a "
            "payaid_entitlements.web.fastapi.Gate there"
        )

    @property
    def _name(self) -> str:
        return f"require_{self._rules.requirements[0].rank.name.lower()}"

    @property
    def _key(self) -> str:
        return self._rules.requirements[0].key

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


def is_covered(function: object) -> bool:
    """Does a guard stand around just this function? Whoever calls it directly goes round the guard."""
    return function is not None and getattr(function, _COVERED, None) is function
