"""The contract of a ledger, as one class; its parts are in the files beside this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import pytest

from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.ports import Concern
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread
from payaid_entitlements.testing.contracts.ledger_corrections import Corrections
from payaid_entitlements.testing.contracts.ledger_debits import Debits
from payaid_entitlements.testing.contracts.ledger_holds import Holds
from payaid_entitlements.testing.contracts.ledger_hurrying import Hurrying
from payaid_entitlements.testing.contracts.ledger_keeping import Keeping
from payaid_entitlements.testing.contracts.ledger_marks import Marks
from payaid_entitlements.testing.contracts.ledger_operations import LedgerOperations
from payaid_entitlements.testing.contracts.ledger_postings import everything, use, used
from payaid_entitlements.testing.contracts.ledger_refusing import Refusing
from payaid_entitlements.testing.contracts.ledger_seats import Seats


class LedgerContract(Debits, LedgerOperations, Holds, Corrections, Seats, Marks, Keeping, Refusing, Hurrying):
    """
    What every `Ledger` must keep; each sentence of the port is a test.

    Subclass it and override the fixture `new_ledger`.
    """

    @pytest.fixture
    def new_ledger(self) -> Callable[[], Ledger]:
        """
        Give a function that makes a client of your ledger.

        All clients of one test are of one place, in which nothing is counted when the test begins, and which has its
        tables where `prepare` does not make them. A client that the function gave is closed after the test.
        """
        # A contract has no ledger of its own: whoever runs it on theirs brings one.
        raise NotImplementedError(
            "override the fixture new_ledger: return a function that makes a client of your ledger"
        )

    @pytest.fixture
    def open_ledger(self, new_ledger: Callable[[], Ledger]) -> Iterator[Callable[[], Ledger]]:
        """A function that opens another client, ready for use; all are closed after the test."""
        with _opening(new_ledger) as another:
            yield another

    @pytest.fixture
    def ledger(self, open_ledger: Callable[[], Ledger]) -> Ledger:
        """A client of a ledger in which nothing is counted."""
        return open_ledger()

    def test_it_says_where_it_is_and_whether_that_lasts(self, ledger: Ledger) -> None:
        assert isinstance(ledger.name, str)
        assert ledger.name != ""
        assert isinstance(ledger.is_durable, bool)
        for concern in ledger.concerns:
            assert isinstance(concern, Concern)
            assert concern.promise
            assert concern.found
            assert concern.way_out
        assert ledger.is_durable or ledger.concerns

    def test_preparing_again_changes_nothing(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        use(ledger, 3, "op-1")
        before = everything(ledger)
        ledger.prepare()
        assert everything(ledger) == before
        assert everything(open_ledger()) == before

    def test_what_one_client_posts_another_counts_on(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        use(ledger, 7, "op-1")
        another = open_ledger()
        assert use(another, 4, "op-2").short is not None
        assert use(another, 3, "op-2").short is None
        assert used(ledger) == (10, 0)

    def test_a_closed_ledger_can_be_used_again(self, ledger: Ledger) -> None:
        use(ledger, 3, "op-1")
        ledger.close()
        assert used(ledger) == (3, 0)
        ledger.close()
        ledger.close()
        use(ledger, 3, "op-2")
        assert used(ledger) == (6, 0)


class AsyncLedgerContract(LedgerContract):
    """Same as `LedgerContract`, for an `AsyncLedger`: `new_ledger` gives a function that makes one."""

    @pytest.fixture
    def loop(self) -> Iterator[LoopThread]:
        """The event loop on which the ledger is used: what belongs to a loop must be made by ``loop.run(...)``."""
        with LoopThread() as loop:
            yield loop

    @pytest.fixture
    def open_ledger(self, new_ledger: Callable[[], AsyncLedger], loop: LoopThread) -> Iterator[Callable[[], Ledger]]:
        """Same as `LedgerContract.open_ledger`."""
        with _opening(lambda: cast("Ledger", Awaited(new_ledger(), loop))) as another:
            yield another


@contextmanager
def _opening(new_ledger: Callable[[], Ledger]) -> Iterator[Callable[[], Ledger]]:
    with ExitStack() as stack:

        def another() -> Ledger:
            ledger = new_ledger()
            stack.callback(ledger.close)
            ledger.prepare()
            return ledger

        yield another
