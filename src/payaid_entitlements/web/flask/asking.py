"""
What a gate asks before a view: as a function for ``before_request``, or as a decorator of the view itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast, overload

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.core.values import Amount
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards import cover
from payaid_entitlements.guards.limiting import Limited
from payaid_entitlements.guards.requirement import of_call
from payaid_entitlements.web.needs import Needs, ask, ask_async
from payaid_entitlements.web.request import EnvironRequest
from payaid_entitlements.web.taking import Failing, Taken, Takings, operation_of, take, take_async

if TYPE_CHECKING:
    from payaid_entitlements.limiting.outcome import RateLimitOutcome
    from payaid_entitlements.web.flask.gate import Gate
    from payaid_entitlements.web.flask.visiting import Visit

V = TypeVar("V", bound=Callable[..., Any])

#: Attribute of a view by which it is known what the decorators of a gate ask of it. It refers to the wrapper itself,
#: since `functools.wraps` copies attributes to functions that ask nothing.
_MARK: Final = "__payaid_gate__"
#: Attribute of what a gate gave.
_ASKS: Final = "__payaid_asks__"


@dataclass(frozen=True, slots=True)
class Take:
    """
    Units of a quota that each request uses up.

    Attributes:
        feature: Key of the quota.
        amount: Units, or what says how many.
        operation: Names what is done; None where the client does, by its ``Idempotency-Key``.
        failing: With which statuses they are given back.
    """

    feature: str
    amount: Amount | Callable[[], Amount]
    operation: Callable[[], Any] | None
    failing: Failing

    def said(self, visit: Visit) -> tuple[dict[str, Amount], Any]:
        """Ask the host what this request takes, and under which name."""
        units = self.amount() if callable(self.amount) else self.amount
        if self.operation is not None:
            return {self.feature: units}, self.operation()
        return {self.feature: units}, operation_of(EnvironRequest(visit.environ()), self.feature, visit.view.user)


_NOTHING: Final = Needs()


@dataclass(frozen=True, slots=True)
class Steps:
    """
    What is asked, in this order.

    Attributes:
        before_login: Rate limits that count by address, for which nobody is looked for.
        needs: Rate limits, modules, features and flags.
        takes: What is used up, when all of that is met.
    """

    before_login: tuple[Limited, ...] = ()
    needs: Needs = _NOTHING
    takes: tuple[Take, ...] = ()

    def __add__(self, other: Steps) -> Steps:
        """Both."""
        return Steps(
            tuple(dict.fromkeys((*self.before_login, *other.before_login))),
            self.needs + other.needs,
            (*self.takes, *other.takes),
        )

    @property
    def is_limit(self) -> bool:
        """Does it say how often, and not who?"""
        return not self.is_entitling and bool(self.before_login or self.needs.limits)

    @property
    def is_entitling(self) -> bool:
        """Does it refuse those who do not hold something?"""
        return self.needs.is_entitling or bool(self.takes)

    def carry_out(self, visit: Visit) -> None:
        """
        Return only if the request may pass.

        Raises:
            Refused, StoreUnavailable, TenantUnidentified, TenantConflict, TypeError: As `ask` and `take` say.
        """
        for limit in self.before_login:
            _counted(visit, visit.act(_by_address(visit, limit)))
        ask(visit, self.needs if self.needs.only is not None else _of_request(self.needs))
        for each in self.takes:
            _keep(visit, each, take(visit, *each.said(visit), failing=each.failing))

    async def carry_out_async(self, visit: Visit) -> None:
        """Same as `carry_out`, awaited."""
        for limit in self.before_login:
            _counted(visit, await visit.act_async(_by_address(visit, limit)))
        await ask_async(visit, _of_request(self.needs))
        for each in self.takes:
            await visit.found_async()
            _keep(visit, each, await take_async(visit, *each.said(visit), failing=each.failing))


def _of_request(needs: Needs) -> Needs:
    """*needs*, with what flags may look at of this request."""
    asked = of_call(needs.requirements, (), {})
    return needs if asked is needs.requirements else Needs(needs.limits, asked)


def _by_address(visit: Visit, limit: Limited) -> Callable[[Any], Any]:
    return lambda client: client.try_rate_limit(None, limit.key, cost=limit.cost, address=visit.address)


def _counted(visit: Visit, outcome: RateLimitOutcome) -> None:
    assert visit.outcomes is not None  # a visit tells of all of them
    visit.outcomes.append(outcome)
    outcome.or_raise()


def _keep(visit: Visit, each: Take, taken: Taken) -> None:
    if visit.takings is None:
        visit.takings = Takings()
    visit.takings.add(taken)
    visit.usages[each.feature] = taken.usages[each.feature]


class Asking(Protocol):
    """
    What ``gate.require_module(...)`` and the others give.

    Without an argument it asks before each view of a blueprint or an app:
    ``crm.before_request(gate.require_module("crm"))``. Given a view it gives the view that asks first, for
    ``@gate.require_feature("crm.export")`` below its route.

    Views that are marked with `payaid_entitlements.web.exempt` are not asked for by ``before_request``, nor are paths
    that are not there, which stay 404, nor an OPTIONS that Flask answers itself: a preflight has no credentials
    (WHATWG Fetch section 4.8).
    """

    @overload
    def __call__(self) -> None: ...

    @overload
    def __call__(self, view: V) -> V: ...


def asking(gate: Gate, name: str, steps: Steps) -> Asking:
    """
    Make what asks *steps* of *gate*.

    A function, since Flask looks with each request whether what it calls is a coroutine function, and any other object
    is looked at for long.
    """

    def asked(view: Any = None) -> Any:
        if view is not None:
            return _around(view, gate, name, steps)
        visit = gate.visit()
        if not visit.is_open():
            # Until the response is made, or another gate is asked.
            CURRENT.set(visit)
            steps.carry_out(visit)
        return None

    asked.__name__ = asked.__qualname__ = f"gate.{name}"
    setattr(asked, _ASKS, steps)
    return cast("Asking", asked)


def asked_by(function: object) -> Steps | None:
    """What *function* asks where it is what a gate gave; None for any other."""
    found = getattr(function, _ASKS, None)
    return found if isinstance(found, Steps) else None


def _around(view: V, gate: Gate, name: str, steps: Steps) -> V:
    if not inspect.isfunction(view):
        raise TypeError(
            f"gate.{name} goes on a view function, not on {view!r}; on a class of views write "
            f"decorators = [gate.{name}], and on a blueprint before_request(gate.{name})"
        )
    original = cast("V", view)
    there = getattr(view, _MARK, None)
    if isinstance(there, _Mark) and there.wrapper is view and there.gate is gate:
        steps, original = steps + there.steps, cast("V", there.original)
    wrapper = _wrapped(original, gate, steps)
    setattr(wrapper, _MARK, _Mark(gate, steps, original, wrapper))
    cover(view)
    return wrapper


@dataclass(frozen=True, slots=True)
class _Mark:
    gate: Gate
    steps: Steps
    original: Callable[..., Any]
    wrapper: Callable[..., Any]


@contextmanager
def _current(visit: Visit) -> Iterator[Visit]:
    """Bind, and look for nobody: a limit before the login has nobody to look for."""
    token = CURRENT.set(visit)
    try:
        yield visit
    finally:
        CURRENT.reset(token)


def _wrapped(view: V, gate: Gate, steps: Steps) -> V:
    if inspect.iscoroutinefunction(view):

        @functools.wraps(view)
        async def gated_later(*args: Any, **kwargs: Any) -> Any:
            with _current(gate.visit()) as visit:
                await steps.carry_out_async(visit)
                return await view(*args, **kwargs)

        return cast("V", gated_later)

    @functools.wraps(view)
    def gated(*args: Any, **kwargs: Any) -> Any:
        with _current(gate.visit()) as visit:
            steps.carry_out(visit)
            return view(*args, **kwargs)

    return cast("V", gated)


def steps_of(view: object) -> Steps:
    """What decorators of gates ask before *view*, also below other decorators that use `functools.wraps`."""
    found = Steps()
    while view is not None:
        mark = getattr(view, _MARK, None)
        if isinstance(mark, _Mark) and mark.wrapper is view:
            found += mark.steps
        view = getattr(view, "__wrapped__", None)
    return found


def not_installed() -> ConfigurationError:
    """A gate was asked in an app that does not know it."""
    return ConfigurationError(
        "this gate is not installed in this app: call gate.init_app(app); and in a test ask by app.test_client()"
    )
