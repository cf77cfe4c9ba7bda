"""Contract, for ledgers that accept ``tx=``: what is posted in the host's transaction lives and dies with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from payaid_entitlements.core.metering.posting import Assign, Hold, Mark, Refund, Settle
from payaid_entitlements.errors import ConfigurationError, OperationConflict, ReservationExpired
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.testing.contracts.joining import Begin, HostFailed
from payaid_entitlements.testing.contracts.ledger_postings import ACCOUNT, NOW, SECOND, debit, everything, use, used


class LedgerJoiningContract:
    """
    What a ledger with ``tx=`` must keep; inherit from it besides `LedgerContract` or `AsyncLedgerContract`.

    Override the fixture `begin` too.
    """

    @pytest.fixture
    def begin(self) -> Begin:
        """Same as `JoiningContract.begin`."""
        # A contract has no database of its own: whoever runs it on theirs brings one.
        raise NotImplementedError("override the fixture begin: return a function that begins a host's transaction")

    def test_it_is_counted_when_the_host_commits(self, ledger: Ledger, begin: Begin) -> None:
        marked = debit(3, marks=(Mark("calls", 2),))
        with begin() as tx:
            posted = ledger.post("acme", [marked], operation="op-1", digest="3", now=NOW, tx=tx)
            assert posted.filled[0].amount == 3
            assert used(ledger) == (0, 0)
            # Who tells of events waits for no host.
            assert ledger.claim_events(10, SECOND, now=NOW) == []
        assert used(ledger) == (3, 0)
        assert ledger.post("acme", [marked], operation="op-1", digest="3", now=NOW) == replace(posted, replayed=True)
        assert len(ledger.claim_events(10, SECOND, now=NOW)) == 1

    def test_nothing_happened_when_the_host_rolls_back(self, ledger: Ledger, begin: Begin) -> None:
        use(ledger, 1, "op-1")
        before = everything(ledger)
        with pytest.raises(HostFailed), begin() as tx:
            ledger.post("acme", [debit(3)], operation="op-2", now=NOW, tx=tx)
            ledger.post("acme", [Hold(debit(3), SECOND)], operation="hold-1", now=NOW, tx=tx)
            ledger.post("acme", [Assign("seats", "asha", 1)], now=NOW, tx=tx)
            ledger.post("acme", [Refund("op-1")], now=NOW, tx=tx)
            raise HostFailed
        assert everything(ledger) == before
        assert not ledger.post("acme", [debit(3)], operation="op-2", now=NOW).replayed

    def test_the_transaction_reads_what_it_has_counted(self, ledger: Ledger, begin: Begin) -> None:
        use(ledger, 3, "op-1")
        with begin() as tx:
            ledger.post("acme", [debit(4)], operation="op-2", now=NOW, tx=tx)
            assert ledger.balances("acme", [ACCOUNT], now=NOW, tx=tx)[ACCOUNT].used == 7
            assert ledger.post("acme", [debit(4)], operation="op-3", now=NOW, tx=tx).short is not None
            assert ledger.post("acme", [debit(4)], operation="op-2", now=NOW, tx=tx).replayed
        assert used(ledger) == (7, 0)

    def test_a_refused_posting_leaves_the_transaction_usable(self, ledger: Ledger, begin: Begin) -> None:
        use(ledger, 3, "op-1")
        ledger.post("acme", [Hold(debit(1), SECOND)], operation="hold-1", now=NOW - SECOND)
        with begin() as tx:
            with pytest.raises(OperationConflict):
                ledger.post("acme", [debit(4)], operation="op-1", digest="4", now=NOW, tx=tx)
            with pytest.raises(ReservationExpired):
                ledger.post("acme", [Settle("hold-1")], now=NOW, tx=tx)
            with pytest.raises(ConfigurationError):
                ledger.post("acme", [debit(0)], operation="op-2", now=NOW, tx=tx)
            ledger.post("acme", [debit(4)], operation="op-2", now=NOW, tx=tx)
        assert used(ledger) == (7, 0)

    def test_a_tenant_is_forgotten_with_the_host(self, ledger: Ledger, begin: Begin) -> None:
        use(ledger, 3, "op-1")
        with pytest.raises(HostFailed), begin() as tx:
            ledger.forget("acme", tx=tx)
            raise HostFailed
        assert used(ledger) == (3, 0)
        with begin() as tx:
            ledger.forget("acme", tx=tx)
        assert ledger.tenants() == []

    def test_a_transaction_that_is_over_is_refused(self, ledger: Ledger, begin: Begin) -> None:
        with begin() as tx:
            pass
        before = everything(ledger)
        with pytest.raises(ConfigurationError):
            ledger.post("acme", [debit(1)], operation="op-1", now=NOW, tx=tx)
        with pytest.raises(ConfigurationError):
            ledger.balances("acme", [ACCOUNT], now=NOW, tx=tx)
        with pytest.raises(ConfigurationError):
            ledger.lock("acme", "projects", tx=tx)
        with pytest.raises(ConfigurationError):
            ledger.forget("acme", tx=tx)
        assert everything(ledger) == before

    def test_nobody_else_passes_until_the_host_is_done(
        self, ledger: Ledger, open_ledger: Callable[[], Ledger], begin: Begin
    ) -> None:
        another, passed, done = open_ledger(), threading.Event(), []

        def wait() -> None:
            with begin() as tx:
                another.lock("acme", "projects", tx=tx)
                passed.set()
                done.append(used(ledger))

        with begin() as tx:
            ledger.lock("acme", "projects", tx=tx)
            ledger.lock("acme", "projects", tx=tx)
            thread = threading.Thread(target=wait)
            thread.start()
            assert not passed.wait(0.3)
            ledger.post("acme", [debit(2)], operation="op-1", now=NOW, tx=tx)
        thread.join(60)
        assert done == [(2, 0)]
        assert ledger.tenants() == ["acme"]
