"""
The wrapper that all guards on one function become: plain functions, coroutines, generators of both colours.

The wrapper of a generator asks when it is called, not when the first item is taken: a streamed response is then
refused before its first byte.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import ParamSpec, TypeVar, cast

from payaid_entitlements.binding import CURRENT, Binding, bound, current_binding
from payaid_entitlements.guards.charging import charged
from payaid_entitlements.guards.delegating import Items, after
from payaid_entitlements.guards.naming import Find, argument
from payaid_entitlements.guards.requirement import conclude, enforce, enforce_async, would_refuse
from payaid_entitlements.guards.rules import Rules
from payaid_entitlements.guards.whom import bind, bind_async

P = ParamSpec("P")
R = TypeVar("R")

_Coroutine = Coroutine[object, object, object]


def wrap(function: Callable[P, R], rules: Rules) -> Callable[P, R]:
    """Guard *function* by *rules*."""
    if rules.metered:
        return charged(function, rules)
    if rules.tenant is not None:
        return _wrap_by_argument(function, rules, argument(function, rules.tenant, "tenant"))
    if inspect.iscoroutinefunction(function):
        return cast("Callable[P, R]", _coroutine(cast("Callable[P, _Coroutine]", function), rules))
    if inspect.isasyncgenfunction(function):
        return cast("Callable[P, R]", _async_generator(cast("Callable[P, Items]", function), rules))
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


def _async_generator(function: Callable[P, Items], rules: Rules) -> Callable[P, Items]:
    needs = rules.requirements

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Items:
        binding = current_binding()
        if not would_refuse(binding, needs):
            conclude(binding, needs)
            return function(*args, **kwargs)
        return after(lambda: enforce_async(binding, needs), lambda: function(*args, **kwargs))

    return guarded


# -- the tenant that an argument names ----------------------------------------------------------------------------


def _wrap_by_argument(function: Callable[P, R], rules: Rules, find: Find) -> Callable[P, R]:
    needs = rules.requirements

    async def let_in(args: tuple[object, ...], kwargs: dict[str, object]) -> Binding:
        binding = await bind_async(find(args, kwargs), rules.client, function)
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
        def guarded_items(*args: P.args, **kwargs: P.kwargs) -> Items:
            return after(lambda: let_in(args, kwargs), lambda: cast("Items", function(*args, **kwargs)))

        return cast("Callable[P, R]", guarded_items)

    @functools.wraps(function)
    def guarded_call(*args: P.args, **kwargs: P.kwargs) -> R:
        binding = bind(find(args, kwargs), rules.client, function)
        enforce(binding, needs)
        # The body of a generator runs later, in whatever context takes its items: nothing is bound for it.
        with bound(binding):
            return function(*args, **kwargs)

    return guarded_call
