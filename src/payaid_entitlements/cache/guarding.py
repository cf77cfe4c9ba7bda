"""
Whom a question asks, and a circuit breaker for each: the store, the host's own table, the shared Redis, the ledger.

That one of them is silent says nothing about the others: each is counted by its own name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Final

from payaid_entitlements.cache.breaker import Asking, Breaker
from payaid_entitlements.cache.counting import LedgerStep
from payaid_entitlements.cache.steps import (
    AddTallies,
    Apply,
    AskShared,
    CallHost,
    HostUnavailable,
    Poll,
    Prepare,
    ReadCatalog,
    ReadControls,
    ReadHost,
    ReadTallies,
    ReadTenants,
    Step,
)
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.stores.hurry import is_question, within


class Breakers:
    """
    The circuit breakers of one driver.

    Args:
        clock: Seconds, never running backwards: how long one is left alone.
        observer: Is told when one opens or closes.

    Attributes:
        store: Of the store.
        host: Of ``subscriptions=``. Only a wait opens it: a row that cannot be read says nothing about the next one.
        shared: Of the shared Redis. Any failure opens it, since the store can be asked instead.
        ledger: Of the ledger. A write that waits opens it no sooner than one that fails at once: it may have waited for
            another transaction on the same row, which says nothing about other tenants.
    """

    def __init__(self, clock: Callable[[], float], observer: Observer | None = None) -> None:
        def named(name: str, what: str, **options: Any) -> Breaker:
            def tell(state: str) -> None:
                if observer is not None:
                    observer.count("breaker", name, state)
                    if state == "open":
                        observer.once("breaker.open", of=name, meaning="it is left alone for a moment, again and again")

            return Breaker(what, clock, tell=tell, **options)

        self.store = named("store", "the store")
        self.host = named("host", "subscriptions=", quick=None, unavailable=HostUnavailable)
        self.shared = named("shared", "the shared Redis", quick=1)
        self.ledger = named("ledger", "the ledger")

    def guarding(self, step: Step) -> AbstractContextManager[None]:
        """
        Perform *step* inside the block.

        Raises:
            StoreUnavailable: Whom it asks gave no answer, or a question would ask and there was none a moment ago.
        """
        match step:
            case LedgerStep() if step.is_joined:
                # On the host's connection, which says nothing about others.
                return within(None)
            case LedgerStep() if step.is_write:
                return _InItsTime(self.ledger.asking(is_patient=True))
            case LedgerStep():
                return self.ledger.asking()
            case AskShared():
                # Also for changes, which tell others by it: nobody needs the answer.
                return self.shared.asking()
            case _ if not is_question():
                return _UNGUARDED
            case Prepare() | Poll() | ReadTenants(_, None) | ReadCatalog() | ReadControls():
                return self.store.asking()
            case AddTallies() | ReadTallies():
                return self.store.asking()
            case ReadHost():
                return self.host.asking()
            case CallHost() | Apply():
                # What the host is called for takes its time; and whether a change was done must be known.
                return within(None)
        return _UNGUARDED


_UNGUARDED: Final[AbstractContextManager[None]] = nullcontext()


class _InItsTime:
    """Ask inside the block, for as long as the driver's own limits say."""

    __slots__ = ("_asking", "_time")

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._time = within(None)

    def __enter__(self) -> None:
        self._asking.__enter__()
        self._time.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._time.__exit__()
        self._asking.__exit__(kind, error, trace)
