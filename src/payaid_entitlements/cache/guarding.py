"""
Whom a question asks, and a circuit breaker for each: the store, the host's own table, the shared Redis, the ledger.

That one of them is silent says nothing about the others: each is counted by its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from payaid_entitlements.cache.breaker import Breaker
from payaid_entitlements.cache.counting import LedgerStep
from payaid_entitlements.cache.steps import (
    Apply,
    AskShared,
    CallHost,
    HostUnavailable,
    Poll,
    Prepare,
    ReadCatalog,
    ReadControls,
    ReadHost,
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

    @contextmanager
    def guarding(self, step: Step) -> Iterator[None]:
        """
        Perform *step* inside the block.

        Raises:
            StoreUnavailable: Whom it asks gave no answer, or a question would ask and there was none a moment ago.
        """
        match step:
            case AskShared():
                # Also for changes, which tell others by it: nobody needs the answer.
                with self.shared.asking():
                    yield
            case LedgerStep() if step.is_joined:
                # On the host's connection, which says nothing about others.
                with within(None):
                    yield
            case LedgerStep():
                with self.ledger.asking(is_patient=step.is_write), within(None) if step.is_write else nullcontext():
                    yield
            case _ if not is_question():
                yield
            case Prepare() | Poll() | ReadTenants(_, None) | ReadCatalog() | ReadControls():
                with self.store.asking():
                    yield
            case ReadHost():
                with self.host.asking():
                    yield
            case CallHost():
                # It asks what it asks, and takes the time that it takes.
                with within(None):
                    yield
            case Apply():
                # Whether it was done must be known: a change has more time.
                with within(None):
                    yield
            case _:
                yield
