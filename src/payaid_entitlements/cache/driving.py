"""
The two drivers of flows, and single flight. They execute; they decide nothing.

What a question waits for is bounded (`stores.hurry`), also where it waits for somebody else's reading, and a store that
gives no answer is left alone for a moment (`cache.breaker`). Changes and listings have the limits of their store.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
from asyncio import _get_running_loop
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, assert_never, cast

from payaid_entitlements.cache.counting import ForgetUsage, LedgerStep
from payaid_entitlements.cache.gathering import Gathering
from payaid_entitlements.cache.guarding import Breakers
from payaid_entitlements.cache.steps import (
    AddTallies,
    AfterCommit,
    Apply,
    AskShared,
    CallHost,
    DropTallies,
    Find,
    Flow,
    ForgetActivity,
    HostUnavailable,
    Join,
    Pause,
    Poll,
    Prepare,
    ReadAudit,
    ReadCatalog,
    ReadControls,
    ReadFlags,
    ReadHost,
    ReadTallies,
    ReadTenants,
    Step,
)
from payaid_entitlements.cache.taking_turns import TakingTurns
from payaid_entitlements.cache.waiting import Ticking, in_time
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.core.subscription import Subscription
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.activity import Activity, AsyncActivity
from payaid_entitlements.stores.hurry import BEGINNING, GRACE, QUESTION, is_question, within
from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS, AsyncStore, Store

if TYPE_CHECKING:
    from payaid_entitlements.cache.shared.asking import AsyncSharedRedis, SharedRedis

T = TypeVar("T")
L = TypeVar("L")

#: Seconds that a caller waits for a reading that somebody else began, where it is no question's.
PATIENCE: Final = 2.0

#: How a host tells which subscription a tenant has.
HostSubscriptions = Callable[[str], Subscription | None]
AsyncHostSubscriptions = Callable[[str], Awaitable[Subscription | None] | Subscription | None]


class _Flight:
    """A flow that is running in some thread, and those who wait for it."""

    __slots__ = ("done", "error", "landed", "result", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.done = threading.Event()
        self.landed = False
        self.result: object = None
        self.error: Exception | None = None


class Driver:
    """
    Performs steps on a store and a ledger, in the thread that asks.

    Args:
        ledger: Where usage is counted; None where nothing can be.
        activity: Where is recorded what tenants do; None where nothing is.
        shared: Asked where flows say so; they do where there is one.
        clock: Seconds, never running backwards: how long a store that gave no answer is left alone.
        observer: Is told when that begins and ends.
        never_waits: The store is memory, so it may be asked where an event loop is running.
    """

    def __init__(
        self,
        store: Store,
        host: HostSubscriptions | None = None,
        *,
        ledger: Ledger | None = None,
        activity: Activity | None = None,
        shared: SharedRedis | None = None,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
        never_waits: bool = False,
    ) -> None:
        self.store = store
        self.host = host
        self.ledger = ledger
        self.activity = activity
        self._ready: Ledger | None = None
        self.shared = shared
        self.clock = clock
        self.observer = observer
        self._never_waits = never_waits
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Forget who is flying, as after a fork."""
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight] = {}
        self._turns = TakingTurns(PATIENCE)
        self.breakers = Breakers(self.clock, self.observer)

    def ask(self, flow: Flow[T]) -> T:
        """Same as `run`, for a question: what it waits for is bounded."""
        with within(QUESTION):
            return self.run(flow)

    def run(self, flow: Flow[T]) -> T:
        """
        Perform the steps of *flow* until it returns.

        Raises:
            TypeError: An event loop is running in this thread; it would stand still meanwhile.
        """
        try:
            step = next(flow)
            if not self._never_waits:
                refuse_in_loop()
            while True:
                try:
                    with self.breakers.guarding(step):
                        answer = self._perform(step)
                except Exception as error:  # every failure belongs to the flow; it catches those it can handle
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as landed:
            return cast("T", landed.value)

    def _perform(self, step: Step) -> object:
        store = self.store
        match step:
            case ForgetUsage() if self.ledger is None:
                return None
            case LedgerStep():
                ledger = _there(self.ledger)
                if ledger is not self._ready:
                    # Of two that come first both make it ready: that is harmless.
                    ledger.prepare()
                    _say_concerns(ledger, self.observer)
                    self._ready = ledger
                return step.on(ledger)
            case Join(key, begin, wait, begins):
                return self._join(key, begin, wait, _patience(begins, self.shared is not None))
            case ReadTenants(tenants, None):
                return self._turns.read(tenants, partial(store.read, tx=None))
            case ReadTenants(tenants, tx):
                return store.read(tenants, tx=tx)
            case Poll(position):
                return store.changes_since(position)
            case ReadHost(tenant):
                with _host_answers(tenant):
                    return cast("HostSubscriptions", self.host)(tenant)
            case Prepare():
                store.prepare()
                return store.concerns
            case ReadCatalog():
                return store.catalog()
            case ReadControls():
                return store.controls()
            case ReadFlags():
                return store.flags()
            case Apply():
                return store.apply(
                    step.write,
                    expect=step.expect,
                    actor=step.actor,
                    because=step.because,
                    operation=step.operation,
                    as_of=step.as_of,
                    tx=step.tx,
                )
            case ReadAudit():
                return store.audit(
                    tenant=step.tenant,
                    scope=step.scope,
                    id=step.id,
                    operation=step.operation,
                    since=step.since,
                    after=step.after,
                    limit=step.limit,
                )
            case Find():
                return store.find(module=step.module, plan=step.plan, after=step.after, limit=step.limit)
            case AddTallies(name, amounts):
                store.add_tallies(name, amounts)
                return None
            case ReadTallies(name):
                return store.tallies(name)
            case DropTallies(name):
                store.drop_tallies(name)
                return None
            case ForgetActivity(tenant, tx):
                if self.activity is not None:
                    self.activity.prepare()
                    self.activity.forget(tenant, tx=tx)
                return None
            case AskShared():
                return cast("SharedRedis", self.shared).ask(step)
            case CallHost(function):
                return function()
            case AfterCommit(tx, begin):
                return _after_commit(tx, lambda: self._let_go(begin()))
            case Pause(seconds):
                time.sleep(seconds)
                return None
            case _:
                assert_never(step)

    def _let_go(self, flow: Flow[object]) -> None:
        # The host's commit is done, and must not seem to fail.
        with suppress(Exception):
            self.run(flow)

    def _join(self, key: str, begin: Callable[[], Flow[object]], wait: bool, patience: float) -> object:
        while True:
            with self._lock:
                flight = self._flights.get(key)
                leads = flight is None
                if flight is None:
                    flight = self._flights[key] = _Flight()
            if leads:
                return self._lead(key, flight, begin)
            if not wait:
                return None
            if flight.thread == threading.get_ident():
                raise _asked_inside(key)
            if not flight.done.wait(patience):
                raise StoreUnavailable(f"waited {patience:.2f} s for the store to answer somebody else")
            if flight.error is not None:
                raise flight.error
            if flight.landed:
                return flight.result
            # Its leader was interrupted (KeyboardInterrupt, SystemExit): that harms nobody else; take over.

    def _lead(self, key: str, flight: _Flight, begin: Callable[[], Flow[object]]) -> object:
        try:
            flight.result = self.run(begin())
            flight.landed = True
            return flight.result
        except Exception as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                self._flights.pop(key, None)
            flight.done.set()


def _patience(begins: bool, asks_shared: bool) -> float:
    """Seconds to wait for what somebody else has begun."""
    if not is_question():
        return PATIENCE
    if begins:
        return BEGINNING
    # Where a shared Redis stands still, the reading waits for that first, and then has an answer from the store.
    return QUESTION + GRACE + (QUESTION if asks_shared else 0)


def _asked_inside(key: str) -> ConfigurationError:
    # A reading that waits for itself would wait until its patience ends, each time.
    return ConfigurationError(f"subscriptions= asks its own client about {key!r}, of whom it is to tell")


@contextmanager
def _host_answers(tenant: str) -> Iterator[None]:
    """The host's table is a store like ours: when it gives no answer, what is near and fail policies decide."""
    try:
        yield
    except Exception as error:
        raise HostUnavailable(
            f"subscriptions= gave no answer about {tenant!r}: {type(error).__name__}: {error}"
        ) from error


def _after_commit(tx: object, then: Callable[[], object]) -> bool:
    if "sqlalchemy" not in sys.modules:
        return False  # a transaction of a store of somebody's own
    from payaid_entitlements.stores.sql.committing import after_commit

    return after_commit(tx, then)


def _say_concerns(ledger: Ledger | AsyncLedger, observer: Observer | None) -> None:
    """Warn of what breaks a promise about *ledger*; what is so of the store too is said once."""
    for concern in ledger.concerns:
        if observer is not None and concern != LOST_WITH_THE_PROCESS:
            observer.once("store.concern", promise=concern.promise, found=concern.found, way_out=concern.way_out)


def _there(ledger: L | None) -> L:
    if ledger is None:
        raise ConfigurationError(
            "nothing can be counted: the store has no ledger. Open one beside it, as in "
            "Entitlements.open(url, ledger='postgresql://...'), or hand one in: Entitlements(store, ledger=...)"
        )
    return ledger


def refuse_in_loop() -> None:
    """
    Refuse to wait where everybody else would have to.

    Raises:
        TypeError: An event loop is running in this thread.
    """
    # Not `get_running_loop`, which raises where there is none: as a rule.
    if _get_running_loop() is not None:
        raise TypeError(
            "this question needs the store, and an event loop is running in this thread: it would stand still. "
            "Use AsyncEntitlements in coroutines, or peek(), which never waits"
        )


class AsyncDriver:
    """Same as `Driver`, awaited. A reading lives in a task of its own, so a cancelled caller harms nobody who waits."""

    def __init__(
        self,
        store: AsyncStore,
        host: AsyncHostSubscriptions | None = None,
        *,
        ledger: AsyncLedger | None = None,
        activity: AsyncActivity | None = None,
        shared: AsyncSharedRedis | None = None,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        self.store = store
        self.host = host
        self.ledger = ledger
        self.activity = activity
        self._ready: AsyncLedger | None = None
        self.shared = shared
        self.clock = clock
        self.observer = observer
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Forget who is flying, as after a fork."""
        self._flights: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Task[object]] = {}
        self._gatherings: dict[asyncio.AbstractEventLoop, Gathering] = {}
        #: What runs after a host's commit: a loop alone does not hold on to its tasks.
        self._loose: set[asyncio.Task[object]] = set()
        self.breakers = Breakers(self.clock, self.observer)

    async def ask(self, flow: Flow[T]) -> T:
        """Same as `Driver.ask`, awaited."""
        with within(QUESTION):
            return await self.run(flow)

    async def run(self, flow: Flow[T]) -> T:
        """Perform the steps of *flow* until it returns."""
        try:
            step = next(flow)
            while True:
                try:
                    with self.breakers.guarding(step):
                        async with in_time(step):
                            answer = await self._perform(step)
                except Exception as error:  # every failure belongs to the flow; it catches those it can handle
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as landed:
            return cast("T", landed.value)

    async def _perform(self, step: Step) -> object:
        store = self.store
        match step:
            case ForgetUsage() if self.ledger is None:
                return None
            case LedgerStep():
                ledger = _there(self.ledger)
                if ledger is not self._ready:
                    await ledger.prepare()
                    _say_concerns(ledger, self.observer)
                    self._ready = ledger
                return await step.on(ledger)
            case Join(key, begin, wait, begins):
                return await self._join(key, begin, wait, _patience(begins, self.shared is not None))
            case ReadTenants(tenants, None):
                return await self._read(tenants)
            case ReadTenants(tenants, tx):
                return await store.read(tenants, tx=tx)
            case Poll(position):
                return await store.changes_since(position)
            case ReadHost(tenant):
                with _host_answers(tenant):
                    found = cast("AsyncHostSubscriptions", self.host)(tenant)
                    return await found if inspect.isawaitable(found) else found
            case Prepare():
                await store.prepare()
                return store.concerns
            case ReadCatalog():
                return await store.catalog()
            case ReadControls():
                return await store.controls()
            case ReadFlags():
                return await store.flags()
            case Apply():
                return await store.apply(
                    step.write,
                    expect=step.expect,
                    actor=step.actor,
                    because=step.because,
                    operation=step.operation,
                    as_of=step.as_of,
                    tx=step.tx,
                )
            case ReadAudit():
                return await store.audit(
                    tenant=step.tenant,
                    scope=step.scope,
                    id=step.id,
                    operation=step.operation,
                    since=step.since,
                    after=step.after,
                    limit=step.limit,
                )
            case Find():
                return await store.find(module=step.module, plan=step.plan, after=step.after, limit=step.limit)
            case AddTallies(name, amounts):
                await store.add_tallies(name, amounts)
                return None
            case ReadTallies(name):
                return await store.tallies(name)
            case DropTallies(name):
                await store.drop_tallies(name)
                return None
            case ForgetActivity(tenant, tx):
                if self.activity is not None:
                    await self.activity.prepare()
                    await self.activity.forget(tenant, tx=tx)
                return None
            case AskShared():
                return await cast("AsyncSharedRedis", self.shared).ask(step)
            case CallHost(function):
                given = function()
                return await given if inspect.isawaitable(given) else given
            case AfterCommit(tx, begin):
                return _after_commit(tx, lambda: self._let_go(begin()))
            case Pause(seconds):
                await asyncio.sleep(seconds)
                return None
            case _:
                assert_never(step)

    def _let_go(self, flow: Flow[object]) -> None:
        # The host's commit runs in a greenlet, in which nothing can be awaited: it is a task of its own.
        task = asyncio.get_running_loop().create_task(self.run(flow))
        self._loose.add(task)
        task.add_done_callback(self._landed_loose)

    def _landed_loose(self, done: asyncio.Task[object]) -> None:
        self._loose.discard(done)
        if not done.cancelled():
            done.exception()  # marks it as seen

    async def _read(self, tenants: tuple[str, ...]) -> object:
        # By loop, as flights are: threads with a loop each share nothing that is awaited.
        loop = asyncio.get_running_loop()
        gathering = self._gatherings.get(loop)
        if gathering is None:
            gathering = self._gatherings[loop] = Gathering(lambda together: self.store.read(together, tx=None))
        try:
            return await gathering.read(tenants)
        finally:
            if gathering.is_idle:
                self._gatherings.pop(loop, None)

    async def _join(self, key: str, begin: Callable[[], Flow[object]], wait: bool, patience: float) -> object:
        # Flights belong to a loop: a future of another loop (threads with a loop each) must not be awaited here.
        place = (asyncio.get_running_loop(), key)
        flight = self._flights.get(place)
        if flight is None:
            flight = place[0].create_task(self.run(begin()))
            self._flights[place] = flight
            flight.add_done_callback(lambda done: self._landed(place, done))
        elif not wait:
            return None
        elif flight is asyncio.current_task():
            raise _asked_inside(key)
        # Not wait_for: whoever is cancelled or impatient leaves, and the reading goes on for the others.
        with suppress(TimeoutError):
            async with Ticking(patience):
                await asyncio.wait({flight})
        if not flight.done():
            raise StoreUnavailable(f"waited {patience:.2f} s for the store to answer")
        return flight.result()

    def _landed(self, place: tuple[asyncio.AbstractEventLoop, str], flight: asyncio.Task[object]) -> None:
        self._flights.pop(place, None)
        if not flight.cancelled():
            flight.exception()  # marks it as seen, in case nobody waits any more
