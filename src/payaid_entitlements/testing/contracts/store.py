"""The contract of a store, as one class; its parts are in the files beside this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import pytest

from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread
from payaid_entitlements.testing.contracts.changelog import ChangeLog
from payaid_entitlements.testing.contracts.finding import Finding
from payaid_entitlements.testing.contracts.forgetting import Forgetting
from payaid_entitlements.testing.contracts.opening import Opening
from payaid_entitlements.testing.contracts.operations import Operations
from payaid_entitlements.testing.contracts.reading import Reading
from payaid_entitlements.testing.contracts.restoring import Restoring
from payaid_entitlements.testing.contracts.tallies import Tallies
from payaid_entitlements.testing.contracts.telling import Telling
from payaid_entitlements.testing.contracts.trail import Trail
from payaid_entitlements.testing.contracts.writing import Writing


class StoreContract(
    Opening, Reading, Writing, Operations, ChangeLog, Finding, Trail, Forgetting, Restoring, Telling, Tallies
):
    """
    What every `Store` must keep; each sentence of the port is a test.

    Subclass it and override the fixture `new_store`.
    """

    @pytest.fixture
    def new_store(self) -> Callable[[], Store]:
        """
        Give a function that makes a client of your store.

        All clients of one test are of one place, which is empty when the test begins, and has its tables where
        `prepare` does not make them. A client that the function gave is closed after the test.
        """
        # A contract has no store of its own: whoever runs it on theirs brings one.
        raise NotImplementedError("override the fixture new_store: return a function that makes a client of your store")

    @pytest.fixture
    def open_store(self, new_store: Callable[[], Store]) -> Iterator[Callable[[], Store]]:
        """A function that opens another client, ready for use; all are closed after the test."""
        with _opening(new_store) as another:
            yield another

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Store:
        """A client of an empty store."""
        return open_store()


class AsyncStoreContract(StoreContract):
    """Same as `StoreContract`, for an `AsyncStore`: `new_store` gives a function that makes one."""

    @pytest.fixture
    def loop(self) -> Iterator[LoopThread]:
        """The event loop on which the store is used: what belongs to a loop must be made by ``loop.run(...)``."""
        with LoopThread() as loop:
            yield loop

    @pytest.fixture
    def open_store(self, new_store: Callable[[], AsyncStore], loop: LoopThread) -> Iterator[Callable[[], Store]]:
        """Same as `StoreContract.open_store`."""
        with _opening(lambda: cast("Store", Awaited(new_store(), loop))) as another:
            yield another


@contextmanager
def _opening(new_store: Callable[[], Store]) -> Iterator[Callable[[], Store]]:
    with ExitStack() as stack:

        def another() -> Store:
            store = new_store()
            stack.callback(store.close)
            store.prepare()
            return store

        yield another
