"""
The wrapper of a function whose calls take something: asked first, then taken, given back when the function raises.

A plain generator takes when it is called, so that a stream is refused before its first byte; an asynchronous one at its
first item, since nothing can be awaited before. A reader who stops in the middle has had what was taken.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, TypeVar, cast

from payaid_entitlements.binding import Binding, bound, current_binding
from payaid_entitlements.guards.branching import is_coroutine_function
from payaid_entitlements.guards.delegating import Items, after
from payaid_entitlements.guards.metered import Meter, Verb, giving_back
from payaid_entitlements.guards.naming import argument
from payaid_entitlements.guards.requirement import conclude, enforce, enforce_async, of_call, would_refuse
from payaid_entitlements.guards.rules import Rules
from payaid_entitlements.guards.whom import bind, bind_async
from payaid_entitlements.metering.cancelling import begun, ended

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_Verbs = Generator[Verb, object, T]
_Plain = Generator[object, object, object]


def charged(function: Callable[P, R], rules: Rules) -> Callable[P, R]:
    """Guard *function* by *rules*, which take something for each call."""
    meter, whom = Meter(function, rules.metered), _Whom(function, rules)
    if is_coroutine_function(function):
        awaited = cast("Callable[P, Coroutine[object, object, object]]", function)
        return cast("Callable[P, R]", _coroutine(awaited, rules, meter, whom))
    if inspect.isasyncgenfunction(function):
        return cast("Callable[P, R]", _async_generator(cast("Callable[P, Items]", function), rules, meter, whom))
    return _plain(function, rules, meter, whom)


class _Whom:
    """Whose call is it?"""

    __slots__ = ("_client", "_find", "_function")

    def __init__(self, function: Callable[..., object], rules: Rules) -> None:
        self._function = function
        self._client = rules.client
        self._find = None if rules.tenant is None else argument(function, rules.tenant, "tenant")

    def bound_already(self) -> Binding | None:
        """What is bound here; None where an argument names the tenant."""
        return current_binding() if self._find is None else None

    def find(self, args: Sequence[object], kwargs: Mapping[str, object]) -> Binding:
        return current_binding() if self._find is None else bind(self._find(args, kwargs), self._client, self._function)

    async def find_async(self, args: Sequence[object], kwargs: Mapping[str, object]) -> Binding:
        if self._find is None:
            return current_binding()
        return await bind_async(self._find(args, kwargs), self._client, self._function)

    def inside(self, binding: Binding) -> AbstractContextManager[object]:
        """Where the function runs: in what it is bound to already, else in *binding*."""
        return nullcontext() if self._find is None else bound(binding)


def _plain(function: Callable[P, R], rules: Rules, meter: Meter, whom: _Whom) -> Callable[P, R]:
    is_generator = inspect.isgeneratorfunction(function)

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        taking = meter.taking(args, kwargs)
        binding = whom.find(args, kwargs)
        enforce(binding, of_call(rules.requirements, args, kwargs))
        taken = carry_out(binding, taking(binding.view.tenant))
        try:
            with whom.inside(binding):
                result = function(*args, **kwargs)
        except BaseException:
            carry_out(binding, giving_back(taken))
            raise
        return cast("R", _items(cast("_Plain", result), binding, taken)) if is_generator else result

    return guarded


def _items(inner: _Plain, binding: Binding, taken: Sequence[Verb]) -> _Plain:
    try:
        return (yield from inner)
    except GeneratorExit:
        raise
    except BaseException:
        carry_out(binding, giving_back(taken))
        raise


def _coroutine(
    function: Callable[P, Coroutine[object, object, object]], rules: Rules, meter: Meter, whom: _Whom
) -> Callable[P, Coroutine[object, object, object]]:
    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> object:
        taking = meter.taking(args, kwargs)
        binding = await whom.find_async(args, kwargs)
        await enforce_async(binding, of_call(rules.requirements, args, kwargs))
        taken = await _take(binding, taking(binding.view.tenant))
        try:
            with whom.inside(binding):
                return await function(*args, **kwargs)
        except BaseException:
            await _give_back(binding, taken)
            raise

    return guarded


def _async_generator(function: Callable[P, Items], rules: Rules, meter: Meter, whom: _Whom) -> Callable[P, Items]:
    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Items:
        needs = of_call(rules.requirements, args, kwargs)
        taking = meter.taking(args, kwargs)
        binding = whom.bound_already()
        if binding is not None and binding.is_found and not would_refuse(binding, needs):
            conclude(binding, needs)
        taken: tuple[Binding, tuple[Verb, ...]] | None = None

        async def first() -> None:
            nonlocal taken
            found = binding or await whom.find_async(args, kwargs)
            await enforce_async(found, needs)
            taken = found, await _take(found, taking(found.view.tenant))

        async def failed() -> None:
            assert taken is not None  # after() begins behind first()
            await _give_back(*taken)

        return after(first, lambda: function(*args, **kwargs), failed)

    return guarded


def carry_out(binding: Binding, verbs: _Verbs[T]) -> T:
    """Have the client of *binding* do all *verbs*."""
    try:
        verb = next(verbs)
        while True:
            try:
                answer = binding.act(verb)
            except Exception as error:  # every failure belongs to the verbs
                verb = verbs.throw(error)
            else:
                verb = verbs.send(answer)
    except StopIteration as end:
        return cast("T", end.value)


async def carry_out_async(binding: Binding, verbs: _Verbs[T]) -> T:
    """Same as `carry_out`, awaited."""
    try:
        verb = next(verbs)
        while True:
            try:
                answer = await binding.act_async(verb)
            except Exception as error:  # as above
                verb = verbs.throw(error)
            else:
                verb = verbs.send(answer)
    except StopIteration as end:
        return cast("T", end.value)


async def _take(binding: Binding, verbs: _Verbs[tuple[Verb, ...]]) -> tuple[Verb, ...]:
    """Take all, and give it back where this task is cancelled meanwhile."""
    return await begun(carry_out_async(binding, verbs), lambda taken: carry_out_async(binding, giving_back(taken)))


async def _give_back(binding: Binding, taken: Sequence[Verb]) -> None:
    """Give back, also in a task that is cancelled."""
    await ended(carry_out_async(binding, giving_back(taken)))
