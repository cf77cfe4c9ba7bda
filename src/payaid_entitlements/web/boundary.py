"""
A wall around a module: what goes wrong inside is told as that module's failure, and stays there.

A decorator, a context manager of both colours, and (`web.isolating`) a middleware. What is an answer to a request
passes: a refusal, a redirect, "not found". Everything else becomes `ModuleFailed`, which web gates answer with a
problem document that names the module; after several in a row the module is left alone for a moment
(`ModuleUnavailable`), so that what it waits for can recover and nobody else waits with it.

A module may be down, or fail on the data of one tenant. So there are two kinds of breakers: one for each tenant for
whom it fails, and one for the module, which opens when it fails for several. Both keep workers from vain waits; the
first keeps somebody's bad data from being the outage of all others.

Source: Nygard, Release It! (2nd edition), sections 5.2 (circuit breaker) and 5.3 (bulkheads).
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, ParamSpec, Self, TypeVar, cast

from payaid_entitlements.cache.breaker import Breaker
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.observing import log
from payaid_entitlements.errors import ConfigurationError, EntitlementError, ModuleFailed, ModuleUnavailable
from payaid_entitlements.forking import after_fork
from payaid_entitlements.guards.branching import Kind, kind_of
from payaid_entitlements.web.answers import answerable
from payaid_entitlements.web.failing import failure_of, report, whose

P = ParamSpec("P")
R = TypeVar("R")

#: Failures in a row after which a module is left alone: of one tenant, for that one; of so many tenants, for all.
FAILURES: Final = 5
#: Tenants for whom that is known at once, of one module; of more, who failed longest ago is forgotten.
MOST_TENANTS: Final = 256
#: Seconds for which it is left alone at most; half a second at first, and twice as long after each try that fails.
LONGEST: Final = 30.0

#: What frameworks raise that is an answer and no failure: by where it is defined, so that none of them is imported.
_ANSWERS: Final = frozenset(
    {
        ("starlette.exceptions", "HTTPException"),
        ("starlette.exceptions", "WebSocketException"),
        ("fastapi.exceptions", "RequestValidationError"),
        ("werkzeug.exceptions", "HTTPException"),
        ("django.http.response", "Http404"),
        ("django.core.exceptions", "PermissionDenied"),
        ("django.core.exceptions", "BadRequest"),
        ("django.core.exceptions", "SuspiciousOperation"),
        ("django.http.multipartparser", "MultiPartParserError"),
        ("rest_framework.exceptions", "APIException"),
    }
)
#: What they raise where the client has gone in the middle of what it sent, or of what it was sent.
_GONE: Final = frozenset(
    {
        ("starlette.requests", "ClientDisconnect"),
        ("starlette.websockets", "WebSocketDisconnect"),
        ("werkzeug.exceptions", "ClientDisconnected"),
        ("django.http.request", "UnreadablePostError"),
        ("django.core.exceptions", "RequestAborted"),
    }
)
#: Mistakes of the host among our own errors: they are failures of its code.
_OURS: Final = (LookupError, ValueError)

#: Who has entered which boundary, the innermost last; by context, since one object may serve many requests at once.
_entered: ContextVar[tuple[_Visit, ...]] = ContextVar("payaid_entitlements.boundaries", default=())


class ClientGone(Exception):
    """
    To be raised inside a boundary where a server has said, by an error of its own, that the client has gone.

    Attributes:
        error: What the server raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _Failed(Exception):
    """Stands for any failure, to the breaker."""


class ModuleBoundary:
    """What `module_boundary` gives."""

    __slots__ = ("_passes", "module")

    def __init__(self, module: str, passes: tuple[type[Exception], ...]) -> None:
        self.module = module
        self._passes = passes

    def __enter__(self) -> Self:
        """Begin the block, unless the module is left alone."""
        _entered.set((*_entered.get(), self._enter()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let answers pass, and make `ModuleFailed` of a failure."""
        *others, entered = _entered.get()
        _entered.set(tuple(others))
        self._leave(entered, error)

    @contextmanager
    def piecewise(self) -> Iterator[None]:
        """
        Give the boundary for what runs in pieces: ``with`` around a ``yield``.

        Its pieces may run in different contexts, and between them others enter; so it keeps by itself when it began.
        """
        entered = self._enter()
        try:
            yield
        except BaseException as error:
            self._leave(entered, error)
            raise
        else:
            self._leave(entered, None)

    def _enter(self) -> _Visit:
        tenant, _ = whose()
        try:
            return MODULES.of(self.module).enter(tenant)
        except _Open:
            raise ModuleUnavailable(self.module) from None

    def _leave(self, visit: _Visit, error: BaseException | None) -> None:
        module = MODULES.of(self.module)
        if error is not None and (not isinstance(error, Exception) or is_gone(error)):
            # Who has gone, or was cancelled, says nothing about the module; who got an answer does.
            module.said_nothing(visit, error)
            return
        if error is None or isinstance(error, self._passes) or is_answer(error):
            module.worked(visit)
            return
        failure = failure_of(self.module, error)
        module.failed(visit, failure.tenant)
        report(failure)
        raise ModuleFailed(self.module, reference=failure.reference) from error

    async def __aenter__(self) -> Self:
        """Same as ``with``."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Same as ``with``."""
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Put the boundary around *function*: plain, a coroutine, or a generator of either colour."""
        kind = kind_of(function)
        if kind is Kind.COROUTINE:
            awaited = cast("Callable[P, Coroutine[Any, Any, Any]]", function)

            @functools.wraps(function)
            async def isolated(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self:
                    return await awaited(*args, **kwargs)

            return cast("Callable[P, R]", isolated)
        if kind is Kind.ITEMS:
            items = cast("Callable[P, AsyncGenerator[Any, Any]]", function)

            @functools.wraps(function)
            async def isolated_items(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
                with self.piecewise():
                    async for item in items(*args, **kwargs):
                        yield item

            return cast("Callable[P, R]", isolated_items)

        @functools.wraps(function)
        def isolated_call(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                result = function(*args, **kwargs)
            return cast("R", self._generator(result)) if isinstance(result, Generator) else result

        return isolated_call

    def _generator(self, inner: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        with self.piecewise():
            return (yield from inner)

    def __repr__(self) -> str:
        return f"module_boundary({self.module!r})"


def module_boundary(module: str, *, passes: tuple[type[Exception], ...] = ()) -> ModuleBoundary:
    """
    Keep what goes wrong in *module* inside: as a decorator, or ``with`` and ``async with`` around a block.

    All boundaries of one module in a process count together. After five failures in a row for one tenant the module is
    left alone for that tenant; after failures in a row for five of them, or for nobody who is known, for everybody.

    Args:
        module: Key of the module.
        passes: Errors of yours that are answers, and that your framework handles outside of the boundary.

    Raises:
        ModuleFailed: From the block: it raised something that is no answer, which is the cause.
        ModuleUnavailable: Instead of running the block: the module is left alone, for all or for who is bound.
    """
    identify("module", module)
    given: Sequence[object] = passes
    if not all(isinstance(each, type) and issubclass(each, Exception) for each in given):
        raise ConfigurationError(f"passes={passes!r}: give a tuple of types of exceptions")
    return ModuleBoundary(module, passes)


def is_answer(error: Exception) -> bool:
    """Is *error* how a framework, or this library, says something to the client, rather than a failure?"""
    if isinstance(error, ExceptionGroup):
        return answerable(error.split(is_gone)[1]) is not None
    if isinstance(error, ModuleFailed | ModuleUnavailable):
        # Of a module inside this one: it has been told of.
        return True
    if isinstance(error, EntitlementError):
        return not isinstance(error, _OURS)
    return _is(error, _ANSWERS)


def is_gone(error: BaseException) -> bool:
    """Does *error* say no more than that the client has gone? A group does where all in it do."""
    if isinstance(error, ExceptionGroup):
        return all(map(is_gone, error.exceptions))
    return isinstance(error, ClientGone) or _is(error, _GONE)


def _is(error: BaseException, kinds: frozenset[tuple[str, str]]) -> bool:
    return any((kind.__module__, kind.__name__) in kinds for kind in type(error).__mro__)


class _Open(EntitlementError):
    """The breaker is open."""


class _Entry(NamedTuple):
    """How a breaker let somebody in."""

    breaker: Breaker
    is_trial: bool
    began: float

    @classmethod
    def by(cls, breaker: Breaker) -> _Entry:
        """Enter by *breaker*."""
        return cls(breaker, *breaker.enter())

    def leave(self, outcome: BaseException | None) -> None:
        """Tell it what came of that."""
        self.breaker.leave(outcome, self.is_trial, self.began, is_patient=True)


class _Visit(NamedTuple):
    """
    Somebody inside.

    Attributes:
        tenant: Who; None for nobody, or where it was not known at the door.
        own: By the tenant's breaker, where there was one.
        common: By that of the module.
    """

    tenant: str | None
    own: _Entry | None
    common: _Entry


class _Answer(NamedTuple):
    """For whom a module has worked, None where that is not known, and when."""

    tenant: str | None
    at: float


class _Module:
    """What this process knows of one module: for whom it has failed, and whether it is left alone."""

    __slots__ = ("_answered", "_common", "_failed_for", "_key", "_lock", "_own", "_tried_for")

    def __init__(self, key: str) -> None:
        self._key = key
        self._common = self._breaker(None)
        #: By tenant for whom it failed when it was last asked; in the order of their last failures.
        self._own: dict[str, Breaker] = {}
        #: For whom it has failed since it has worked for anybody; no more than it takes to open the common breaker.
        self._failed_for: frozenset[str] = frozenset()
        #: For whom it worked last, and for whom before that who is not the same: whoever fails, one of them is another.
        self._answered = (_Answer(None, -math.inf), _Answer(None, -math.inf))
        #: For whom somebody last tried in vain, while it was left alone for all.
        self._tried_for: str | None = None
        self._lock = threading.Lock()

    def enter(self, tenant: str | None) -> _Visit:
        """
        Let *tenant* in.

        Raises:
            _Open: It is left alone, for this one or for all.
        """
        # His own is asked first: who is kept out by that must not be the one who tries for all others.
        breaker = None if tenant is None else self._own.get(tenant)
        own = None if breaker is None else _Entry.by(breaker)
        try:
            return _Visit(tenant, own, _Entry.by(self._common))
        except _Open as error:
            if own is not None:
                own.leave(error)
            raise

    def worked(self, visit: _Visit) -> None:
        """It gave an answer."""
        self._failed_for = frozenset()
        tenant = visit.tenant or whose()[0]
        last, before = self._answered
        self._answered = (_Answer(tenant, time.monotonic()), before if last.tenant == tenant else last)
        if tenant in self._own:
            with self._lock:
                own = self._own.pop(tenant, None)
            if own is not None:
                own.leave(None, False, 0.0, is_patient=True)
        visit.common.leave(None)

    def said_nothing(self, visit: _Visit, error: BaseException) -> None:
        """It was left without an outcome: whoever is next may try."""
        if visit.own is not None:
            visit.own.leave(error)
        visit.common.leave(error)

    def failed(self, visit: _Visit, tenant: str | None) -> None:
        """It failed for *tenant*, who may have become known only inside."""
        tenant = visit.tenant or tenant
        counts = tenant is None or self._failed_own(visit, tenant)
        if visit.common.is_trial:
            visit.common.leave(_Open(self._key) if self._is_told_again(visit, tenant) else _Failed())
        elif counts:
            visit.common.leave(_Failed())

    def _is_told_again(self, visit: _Visit, tenant: str | None) -> bool:
        """Did it fail for the same one when it was last tried, so that whoever is next should try for all others?"""
        last, self._tried_for = self._tried_for, tenant
        # Who is known at the door is kept out there. And where nobody else has ever been met there is none to try for.
        if visit.tenant is not None or tenant is None or tenant != last:
            return False
        return bool(self._failed_for - {tenant}) or self._worked_for_others(tenant, since=-math.inf)

    def _failed_own(self, visit: _Visit, tenant: str) -> bool:
        """Count it for *tenant*, and tell whether it counts for all."""
        with self._lock:
            own = self._own_of(tenant)
            is_first = tenant not in self._failed_for
            if is_first and len(self._failed_for) < FAILURES:
                self._failed_for |= {tenant}
        own.leave(_Failed(), visit.own is not None and visit.own.is_trial, 0.0, is_patient=True)
        # Who is not known at the door is not kept out there. What his own breaker cannot do the common one must, unless
        # that would take the module from others for whom it works.
        is_kept_out = visit.tenant is not None or own.state == "closed"
        return is_first or not (is_kept_out or self._worked_for_others(tenant, since=time.monotonic() - LONGEST))

    def _worked_for_others(self, tenant: str, since: float) -> bool:
        return any(each.tenant != tenant and each.at > since for each in self._answered)

    def _own_of(self, tenant: str) -> Breaker:
        # Taken out and put in again: so it is the last in the order.
        own = self._own.pop(tenant, None) or self._breaker(tenant)
        if len(self._own) >= MOST_TENANTS:
            del self._own[next(iter(self._own))]
        self._own[tenant] = own
        return own

    def _breaker(self, tenant: str | None) -> Breaker:
        return Breaker(
            self._key,
            time.monotonic,
            quick=FAILURES,
            longest=LONGEST,
            unavailable=_Open,
            failure=_Failed,
            tell=lambda state: _tell(self._key, tenant, state),
        )


class _Modules:
    """Those of this process."""

    def __init__(self) -> None:
        self._known: dict[str, _Module] = {}
        # A child knows nothing of what failed in its parent, and waits for no lock of it.
        after_fork(self.forget)

    def forget(self) -> None:
        self._known.clear()

    def of(self, module: str) -> _Module:
        # One that is made twice at once is kept once.
        return self._known.get(module) or self._known.setdefault(module, _Module(module))


def _tell(module: str, tenant: str | None, state: Literal["closed", "open"]) -> None:
    if state == "open":
        log.warning("module.left_alone", module=module, tenant=tenant)
    else:
        log.info("module.recovered", module=module, tenant=tenant)


MODULES: Final = _Modules()
