"""
The wrapper that all guards on one function become: plain functions, coroutines, generators of both colours.

The wrapper of a generator asks when it is called, not when the first item is taken: a streamed response is then
refused before its first byte.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeVar, cast

from payaid_entitlements.binding import CURRENT, Binding, bound, current_binding
from payaid_entitlements.guards.branching import Kind, choosing, kind_of
from payaid_entitlements.guards.charging import charged
from payaid_entitlements.guards.delegating import Items, after
from payaid_entitlements.guards.limiting import limited
from payaid_entitlements.guards.naming import Find, argument
from payaid_entitlements.guards.requirement import (
    Rank,
    Requirement,
    conclude,
    enforce,
    enforce_async,
    note_passed,
    of_call,
    would_refuse,
)
from payaid_entitlements.guards.rules import Rules
from payaid_entitlements.guards.whom import bind, bind_async

P = ParamSpec("P")
R = TypeVar("R")

_Coroutine = Coroutine[object, object, object]


def wrap(function: Callable[P, R], rules: Rules) -> Callable[P, R]:
    """Guard *function* by *rules*."""
    kind = kind_of(function)
    if rules.limits:
        rest = replace(rules, limits=(), tenant=None)
        has_more = rest.may_refuse or rest.branches
        return limited(wrap(function, rest) if has_more else function, kind, rules, function)
    if rules.branches:
        taking = replace(rules, requirements=(), branches=(), tenant=None)
        function = choosing(charged(function, taking) if rules.metered else function, kind, rules.branches)
        if not rules.requirements and rules.tenant is None:
            return function
    elif rules.metered:
        return charged(function, rules)
    if rules.tenant is not None:
        return _wrap_by_argument(function, kind, rules, argument(function, rules.tenant, "tenant"))
    if kind is Kind.COROUTINE:
        return cast("Callable[P, R]", _coroutine(cast("Callable[P, _Coroutine]", function), rules))
    if kind is Kind.ITEMS:
        return cast("Callable[P, R]", _async_generator(cast("Callable[P, Items]", function), rules))
    return _plain(function, rules)


def _is_alone(needs: Sequence[Requirement]) -> bool:
    """Is one decision of a table all that is asked?"""
    return len(needs) == 1 and needs[0].legacy is None and needs[0].rank is not Rank.FLAG


# -- the tenant that is bound -----------------------------------------------------------------------------------


def _plain(function: Callable[P, R], rules: Rules) -> Callable[P, R]:
    needs, current = rules.requirements, CURRENT.get
    first, access, is_alone = needs[0].key, needs[0].access, _is_alone(needs)

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        binding = current()
        # One requirement that is plainly met by a young view is answered here, by parts of the view since a method
        # call would cost a fifth of the whole; everything else, also every no, takes the long way.
        if binding is not None and is_alone:
            view = binding.view
            table = view._table if (access or binding.access) == "write" else view._reads
            if table[first].settled and view._clock() < view._expires:
                if view._passed is not needs:
                    note_passed(view, needs)
                return function(*args, **kwargs)
        enforce(current_binding(), of_call(needs, args, kwargs))
        return function(*args, **kwargs)

    return guarded


def _coroutine(function: Callable[P, _Coroutine], rules: Rules) -> Callable[P, _Coroutine]:
    needs, current = rules.requirements, CURRENT.get
    first, access, is_alone = needs[0].key, needs[0].access, _is_alone(needs)

    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> object:
        binding = current()
        if binding is not None and is_alone and binding.is_found:
            view = binding.view
            table = view._table if (access or binding.access) == "write" else view._reads
            if table[first].settled and view._clock() < view._expires:
                if view._passed is not needs:
                    note_passed(view, needs)
                return await function(*args, **kwargs)
        await enforce_async(current_binding(), of_call(needs, args, kwargs))
        return await function(*args, **kwargs)

    return guarded


def _async_generator(function: Callable[P, Items], rules: Rules) -> Callable[P, Items]:
    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Items:
        needs = of_call(rules.requirements, args, kwargs)
        binding = current_binding()
        if binding.is_found and not would_refuse(binding, needs):
            conclude(binding, needs)
            return function(*args, **kwargs)

        def begin() -> Items:
            # It begins in whatever context takes the first item; a flag in it is asked of this tenant.
            with bound(binding):
                return function(*args, **kwargs)

        return after(lambda: enforce_async(binding, needs), begin)

    return guarded


# -- the tenant that an argument names ----------------------------------------------------------------------------


def _wrap_by_argument(function: Callable[P, R], kind: Kind, rules: Rules, find: Find) -> Callable[P, R]:
    needs = rules.requirements

    async def let_in(args: tuple[object, ...], kwargs: dict[str, object]) -> Binding:
        binding = await bind_async(find(args, kwargs), rules.client, function)
        await enforce_async(binding, of_call(needs, args, kwargs))
        return binding

    if kind is Kind.COROUTINE:
        awaited = cast("Callable[P, _Coroutine]", function)

        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> object:
            with bound(await let_in(args, kwargs)):
                return await awaited(*args, **kwargs)

        return cast("Callable[P, R]", guarded)

    if kind is Kind.ITEMS:

        @functools.wraps(function)
        def guarded_items(*args: P.args, **kwargs: P.kwargs) -> Items:
            binding: Binding | None = None

            async def first() -> None:
                nonlocal binding
                binding = await let_in(args, kwargs)

            def begin() -> Items:
                assert binding is not None  # after() begins behind first()
                with bound(binding):
                    return cast("Items", function(*args, **kwargs))

            return after(first, begin)

        return cast("Callable[P, R]", guarded_items)

    @functools.wraps(function)
    def guarded_call(*args: P.args, **kwargs: P.kwargs) -> R:
        binding = bind(find(args, kwargs), rules.client, function)
        enforce(binding, of_call(needs, args, kwargs))
        # The body of a generator runs later, in whatever context takes its items: nothing is bound for it.
        with bound(binding):
            return function(*args, **kwargs)

    return guarded_call
