"""Contract: an operation takes effect once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.metering.posting import Adjust, Hold, Line, Posting, Refund, Settle
from payaid_entitlements.errors import OperationConflict
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.testing.contracts.ledger_postings import NOW, SECOND, all_entries, debit, everything, use, used

#: Postings that are known by their operation.
ACTS: dict[str, Posting] = {
    "debit": debit(4),
    "hold": Hold(debit(4), 60 * SECOND),
    "adjust": Adjust(Line("calls", "w0", 10), 4),
}


class LedgerOperations:
    """`Ledger.post` with an operation."""

    @pytest.mark.parametrize("kind", ACTS)
    def test_repeated_it_gives_the_first_outcome(self, ledger: Ledger, kind: str) -> None:
        first = ledger.post("acme", [ACTS[kind]], operation="op-1", digest="4", now=NOW)
        use(ledger, 1, "op-2")
        before = everything(ledger)
        again = ledger.post("acme", [ACTS[kind]], operation="op-1", digest="4", now=NOW + SECOND)
        assert again == replace(first, replayed=True)
        assert everything(ledger) == before

    @pytest.mark.parametrize("kind", ACTS)
    def test_repeated_with_another_digest_it_conflicts(self, ledger: Ledger, kind: str) -> None:
        ledger.post("acme", [ACTS[kind]], operation="op-1", digest="4", now=NOW)
        before = everything(ledger)
        with pytest.raises(OperationConflict, match="op-1"):
            ledger.post("acme", [ACTS[kind]], operation="op-1", digest="5", now=NOW)
        with pytest.raises(OperationConflict, match="op-1"):
            ledger.post("acme", [ACTS[kind]], operation="op-1", now=NOW)
        assert everything(ledger) == before

    @pytest.mark.parametrize("kind", ACTS)
    def test_used_for_another_act_it_conflicts(self, ledger: Ledger, kind: str) -> None:
        ledger.post("acme", [ACTS[kind]], operation="op-1", digest="4", now=NOW)
        before = everything(ledger)
        for other, posting in ACTS.items():
            if other != kind:
                with pytest.raises(OperationConflict, match="op-1"):
                    ledger.post("acme", [posting], operation="op-1", digest="4", now=NOW)
        assert everything(ledger) == before

    def test_the_digest_says_whether_it_is_the_same_act_and_not_the_lots(self, ledger: Ledger) -> None:
        first = ledger.post("acme", [debit(4)], operation="op-1", digest="4", now=NOW)
        later = ledger.post("acme", [debit(4, Line("calls", "w1", 10))], operation="op-1", digest="4", now=NOW + SECOND)
        assert later == replace(first, replayed=True)
        assert list(ledger.balances("acme", [("calls", "w0"), ("calls", "w1")], now=NOW)) == [("calls", "w0")]

    def test_a_shortage_is_not_remembered(self, ledger: Ledger) -> None:
        use(ledger, 8, "op-1")
        assert use(ledger, 4, "op-2").short is not None
        raised = use(ledger, 4, "op-2", cap=20)
        assert (raised.short, raised.replayed, raised.filled[0].amount) == (None, False, 4)

    def test_it_is_answered_also_when_nothing_is_left(self, ledger: Ledger) -> None:
        first = use(ledger, 10, "op-1")
        assert use(ledger, 10, "op-1", cap=0) == replace(first, replayed=True)

    def test_it_is_the_tenants_own(self, ledger: Ledger) -> None:
        for tenant in ("acme", "Acme", "beta"):
            replayed = use(ledger, 1, "op-1", tenant=tenant).replayed
            assert not replayed, f"{tenant!r} got the outcome of another tenant: an operation is known by tenant and id"

    def test_it_is_compared_by_its_bytes(self, ledger: Ledger) -> None:
        operations = ("Op", "op", "op ", " op", "\u00f6p", "o\u0308p", "\U0001d560p", "op%", "op_", '["op",1]')
        for number, operation in enumerate(operations, 1):
            assert not use(ledger, 1, operation).replayed, operation
            assert used(ledger) == (number, 0)
        assert use(ledger, 1, "op").replayed

    def test_what_is_kept_of_one_is_read_whatever_else_is_kept(self, ledger: Ledger) -> None:
        use(ledger, 1, "op-1")
        use(ledger, 1, "op-1", tenant="beta")
        for operation in ("op", "op-10", "op-1~2"):
            use(ledger, 1, operation)
        ledger.post("acme", [Hold(debit(1), 60 * SECOND)], operation="op-2", now=NOW)
        ledger.post("acme", [Settle("op-2")], now=NOW)
        for refunded in ("op-1", "op-2"):
            ledger.post("acme", [Refund(refunded)], now=NOW)
        kept = all_entries(ledger)
        for operation, parts in (("op-1", [0, 2]), ("op-2", [0, 1, 2]), ("op-3", [])):
            found = list(ledger.entries_of("acme", operation))
            assert found == [entry for entry in kept if entry.operation == operation]
            assert [entry.part for entry in found] == parts
        assert ledger.entries_of("nobody", "op-1") == []
