"""
The wrapper of a function whose calls are limited: counted before anything else is asked, and perhaps after a wait.

A plain generator is counted when it is called, so that a stream is refused before its first byte; an asynchronous one
at its first item, since nothing can be awaited before.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from payaid_entitlements.binding import Binding, bound, current_binding
from payaid_entitlements.cache.driving import refuse_in_loop
from payaid_entitlements.guards.branching import Kind
from payaid_entitlements.guards.delegating import Items, after
from payaid_entitlements.guards.naming import argument
from payaid_entitlements.guards.whom import bind, bind_async

if TYPE_CHECKING:
    from payaid_entitlements.guards.rules import Rules
    from payaid_entitlements.limiting.outcome import RateLimitOutcome

P = ParamSpec("P")
R = TypeVar("R")

_Coroutine = Coroutine[object, object, object]


@dataclass(frozen=True, slots=True)
class Limited:
    """
    A rate limit on which each call of a function is counted.

    Attributes:
        key: Of the limit.
        cost: Units that a call weighs.
        wait: How long a call waits for room, in total; None refuses at once.
    """

    key: str
    cost: int = 1
    wait: timedelta | None = None


def limited(function: Callable[P, R], kind: Kind, rules: Rules, original: Callable[..., object]) -> Callable[P, R]:
    """
    Count the calls of *function* on the limits of *rules*.

    Args:
        function: With what else is asked around it.
        kind: Of *original*, whose arguments may name the tenant.
    """
    find = None if rules.tenant is None else argument(original, rules.tenant, "tenant")

    def inside(binding: Binding) -> AbstractContextManager[object]:
        return nullcontext() if find is None else bound(binding)

    async def count(args: tuple[object, ...], kwargs: dict[str, object]) -> Binding:
        if find is None:
            binding = current_binding()
        else:
            binding = await bind_async(find(args, kwargs), rules.client, original)
        await enforce_limits_async(binding, rules.limits)
        return binding

    if kind is Kind.COROUTINE:
        awaited = cast("Callable[P, _Coroutine]", function)

        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> object:
            with inside(await count(args, kwargs)):
                return await awaited(*args, **kwargs)

        return cast("Callable[P, R]", guarded)

    if kind is Kind.ITEMS:

        @functools.wraps(function)
        def guarded_items(*args: P.args, **kwargs: P.kwargs) -> Items:
            # Of the call, as everywhere: whoever takes the first item may be another one.
            binding = current_binding() if find is None else None

            async def first() -> None:
                nonlocal binding
                if binding is None:
                    binding = await count(args, kwargs)
                else:
                    await enforce_limits_async(binding, rules.limits)

            def begin() -> Items:
                assert binding is not None  # after() begins behind first()
                with bound(binding):
                    return cast("Items", function(*args, **kwargs))

            return after(first, begin)

        return cast("Callable[P, R]", guarded_items)

    @functools.wraps(function)
    def guarded_call(*args: P.args, **kwargs: P.kwargs) -> R:
        binding = current_binding() if find is None else bind(find(args, kwargs), rules.client, original)
        enforce_limits(binding, rules.limits)
        with inside(binding):
            return function(*args, **kwargs)

    return guarded_call


def enforce_limits(binding: Binding, limits: tuple[Limited, ...]) -> None:
    """
    Count a call of whoever is bound, in the order of *limits*; what was counted before one that refuses stays counted.

    Raises:
        RateLimited: There is no room, also after the wait.
        StoreUnavailable: The limiter gave no answer, and the limit lets nobody pass then.
        TypeError: A limit counts by user or address, and none is bound; or an event loop would have to wait.
        ViewExpired: The view was bound too long ago.
    """
    for limit in limits:
        patience = _Patience(limit.wait)
        while True:
            outcome = cast("RateLimitOutcome", binding.act(_asked(binding, limit)))
            seconds = patience.seconds(outcome)
            if seconds is None:
                break
            # A plain function inside a coroutine would let everybody else wait too.
            refuse_in_loop()
            time.sleep(seconds)
        _tell(binding, outcome)
        outcome.or_raise(tenant=binding.view.tenant)


async def enforce_limits_async(binding: Binding, limits: tuple[Limited, ...]) -> None:
    """Same as `enforce_limits`, awaited."""
    if not binding.is_found:
        await binding.found_async()
    for limit in limits:
        patience = _Patience(limit.wait)
        while True:
            outcome = cast("RateLimitOutcome", await binding.act_async(_asked(binding, limit)))
            seconds = patience.seconds(outcome)
            if seconds is None:
                break
            await asyncio.sleep(seconds)
        _tell(binding, outcome)
        outcome.or_raise(tenant=binding.view.tenant)


def _tell(binding: Binding, outcome: RateLimitOutcome) -> None:
    if binding.outcomes is not None:
        binding.outcomes.append(outcome)


def _asked(binding: Binding, limit: Limited) -> Callable[[Any], Any]:
    view = binding.view
    view.require_young()
    return lambda client: client.try_rate_limit(
        view.tenant, limit.key, cost=limit.cost, user=view.user, address=binding.address
    )


class _Patience:
    """
    How long one call may still wait, in total.

    By the clock, and not by what it slept: where many wait for the same room, somebody is faster most of the times, and
    what each try takes adds up.
    """

    __slots__ = ("_until",)

    def __init__(self, wait: timedelta | None) -> None:
        self._until = time.monotonic() + (0.0 if wait is None else wait.total_seconds())

    def seconds(self, outcome: RateLimitOutcome) -> float | None:
        """How long to sleep until there is room; None where there was, there never is, or it takes too long."""
        after = outcome.retry_after
        if after is None:
            return None
        seconds = after.total_seconds()
        return None if seconds > self._until - time.monotonic() else seconds
