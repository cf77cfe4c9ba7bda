"""
The wrapper that all guards on one function become: plain functions, coroutines, generators of both colours.

The wrapper of a generator asks when it is called, not when the first item is taken: a streamed response is then
refused before its first byte.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar, cast

from payaid_entitlements.binding import CURRENT, AsyncBinding, Binding, SyncBinding, bound, current_binding
from payaid_entitlements.client import OPENED
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards.requirement import Requirement, conclude, enforce, enforce_async, would_refuse

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Client = Entitlements | AsyncEntitlements

_Coroutine = Coroutine[object, object, object]
_Items = AsyncGenerator[object, object]


@dataclass(frozen=True, slots=True)
class Rules:
    """
    All that the guards on one function ask.

    Attributes:
        tenant: Name of the argument that holds the tenant; None for the tenant that is bound.
        client: Whom to ask where the argument names the tenant; None for the only one that is open.
    """

    requirements: tuple[Requirement, ...]
    tenant: str | None = None
    client: Client | None = None

    def merged(self, inner: Rules) -> Rules:
        """These rules and those of a guard below, in the fixed order."""
        return Rules(
            # sorted() is stable: of two modules, the one that is read first is asked first.
            tuple(sorted((*self.requirements, *inner.requirements), key=lambda need: need.rank)),
            _agreed("tenant", self.tenant, inner.tenant),
            cast("Client | None", _agreed("client", self.client, inner.client)),
        )


def _agreed(word: str, outer: T | None, inner: T | None) -> T | None:
    if outer is not None and inner is not None and outer is not inner and outer != inner:
        raise ConfigurationError(f"guards on one function merge; they cannot say {word}={outer!r} and {word}={inner!r}")
    return inner if outer is None else outer


def wrap(function: Callable[P, R], rules: Rules) -> Callable[P, R]:
    """Guard *function* by *rules*."""
    if rules.tenant is not None:
        return _wrap_by_argument(function, rules, _argument(function, rules.tenant))
    if inspect.iscoroutinefunction(function):
        return cast("Callable[P, R]", _coroutine(cast("Callable[P, _Coroutine]", function), rules))
    if inspect.isasyncgenfunction(function):
        return cast("Callable[P, R]", _async_generator(cast("Callable[P, _Items]", function), rules))
    return _plain(function, rules)


# -- the tenant that is bound -----------------------------------------------------------------------------------


def _plain(function: Callable[P, R], rules: Rules) -> Callable[P, R]:
    needs, current = rules.requirements, CURRENT.get
    first, access, is_alone = needs[0].key, needs[0].access, len(needs) == 1 and needs[0].legacy is None

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        binding = current()
        # One requirement that is plainly met by a young view is answered here, by parts of the view since a method
        # call would cost a fifth of the whole; everything else, also every no, takes the long way.
        if binding is not None and is_alone:
            view = binding.view
            table = view._table if (access or binding.access) == "write" else view._reads
            if table[first].settled and view._clock() < view._expires:
                return function(*args, **kwargs)
        enforce(current_binding(), needs)
        return function(*args, **kwargs)

    return guarded


def _coroutine(function: Callable[P, _Coroutine], rules: Rules) -> Callable[P, _Coroutine]:
    needs, current = rules.requirements, CURRENT.get
    first, access, is_alone = needs[0].key, needs[0].access, len(needs) == 1 and needs[0].legacy is None

    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> object:
        binding = current()
        if binding is not None and is_alone:
            view = binding.view
            table = view._table if (access or binding.access) == "write" else view._reads
            if table[first].settled and view._clock() < view._expires:
                return await function(*args, **kwargs)
        await enforce_async(current_binding(), needs)
        return await function(*args, **kwargs)

    return guarded


def _async_generator(function: Callable[P, _Items], rules: Rules) -> Callable[P, _Items]:
    needs = rules.requirements

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> _Items:
        binding = current_binding()
        if not would_refuse(binding, needs):
            conclude(binding, needs)
            return function(*args, **kwargs)
        return _after(lambda: enforce_async(binding, needs), lambda: function(*args, **kwargs))

    return guarded


async def _after(first: Callable[[], Awaitable[object]], begin: Callable[[], _Items]) -> _Items:
    """What *begin* gives, after *first*: ``yield from``, which async generators do not have (PEP 380, PEP 525)."""
    await first()
    inner = begin()
    try:
        item = await anext(inner)
        while True:
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:
                item = await inner.athrow(error)
            else:
                item = await inner.asend(sent)
    except StopAsyncIteration:
        return
    finally:
        await inner.aclose()


# -- the tenant that an argument names ----------------------------------------------------------------------------


def _argument(function: Callable[..., object], name: str) -> Callable[[tuple[object, ...], dict[str, object]], object]:
    """Find the argument *name* in a call of *function*."""
    parameters = inspect.signature(function).parameters
    if name not in parameters:
        raise ConfigurationError(
            f"tenant={name!r}: {function.__qualname__} has no such parameter; it has {', '.join(parameters) or 'none'}"
        )
    parameter = parameters[name]
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ConfigurationError(f"tenant={name!r}: {parameter} of {function.__qualname__} holds several arguments")
    can_be_named = parameter.kind is not parameter.POSITIONAL_ONLY
    position = list(parameters).index(name) if parameter.kind is not parameter.KEYWORD_ONLY else None

    def find(args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if position is not None and position < len(args):
            return args[position]
        # A positional-only parameter cannot be given by name: a `**kwargs` beside it may hold another of the same name.
        found = kwargs.get(name, parameter.default) if can_be_named else parameter.default
        if found is parameter.empty:
            raise TypeError(f"{function.__qualname__}() was called without {name!r}, which names the tenant")
        return found

    return find


def _wrap_by_argument(
    function: Callable[P, R], rules: Rules, find: Callable[[tuple[object, ...], dict[str, object]], object]
) -> Callable[P, R]:
    needs = rules.requirements

    async def let_in(args: tuple[object, ...], kwargs: dict[str, object]) -> Binding:
        binding = await _bind_async(find(args, kwargs), rules, function)
        await enforce_async(binding, needs)
        return binding

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> object:
            with bound(await let_in(args, kwargs)):
                return await function(*args, **kwargs)

        return cast("Callable[P, R]", guarded)

    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        def guarded_items(*args: P.args, **kwargs: P.kwargs) -> _Items:
            return _after(lambda: let_in(args, kwargs), lambda: cast("_Items", function(*args, **kwargs)))

        return cast("Callable[P, R]", guarded_items)

    @functools.wraps(function)
    def guarded_call(*args: P.args, **kwargs: P.kwargs) -> R:
        binding = _bind(find(args, kwargs), rules, function)
        enforce(binding, needs)
        # The body of a generator runs later, in whatever context takes its items: nothing is bound for it.
        with bound(binding):
            return function(*args, **kwargs)

    return guarded_call


def _bind(tenant: object, rules: Rules, function: Callable[..., object]) -> Binding:
    client = rules.client or _only(Entitlements)
    if not isinstance(client, Entitlements):
        raise ConfigurationError(
            f"the guard of {function.__qualname__}, a plain function, needs an Entitlements to ask: "
            "open one and pass client=, or make it a coroutine function"
        )
    return SyncBinding(client.tenant(cast("str", tenant)), client.confirm)


async def _bind_async(tenant: object, rules: Rules, function: Callable[..., object]) -> Binding:
    client: Client | None = rules.client or _only(AsyncEntitlements) or _only(Entitlements)
    if isinstance(client, AsyncEntitlements):
        return AsyncBinding(await client.tenant(cast("str", tenant)), client.confirm)
    if client is None:
        raise ConfigurationError(f"the guard of {function.__qualname__} has nobody to ask: {_OPEN_ONE}")
    return SyncBinding(await asyncio.to_thread(client.tenant, cast("str", tenant)), client.confirm)


_OPEN_ONE: Final = "open an Entitlements or AsyncEntitlements when the process starts, or pass client="


def _only(kind: type[T]) -> T | None:
    found = [client for client in tuple(OPENED) if isinstance(client, kind)]
    if len(found) > 1:
        raise ConfigurationError(
            f"{len(found)} clients are open; say which the guard shall ask: require_feature(..., client=ent)"
        )
    return found[0] if found else None
