"""The contract of ledgers, on every ledger in both colours."""

from __future__ import annotations

import pytest

from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.memory_ledger import AsyncMemoryLedger, MemoryLedger
from payaid_entitlements.testing import AsyncLedgerContract, LedgerContract


class TestMemory(LedgerContract):
    @pytest.fixture
    def new_ledger(self):
        ledger = MemoryLedger()
        return lambda: ledger


class TestAsyncMemory(AsyncLedgerContract):
    @pytest.fixture
    def new_ledger(self):
        ledger = MemoryLedger()
        return lambda: AsyncMemoryLedger(ledger)


def test_a_store_in_memory_has_a_ledger_in_memory():
    store = MemoryStore()
    assert isinstance(store.ledger, MemoryLedger)
    assert store.ledger is store.ledger
    twin = AsyncMemoryStore(store)
    assert isinstance(twin.ledger, AsyncMemoryLedger)
    assert twin.ledger is twin.ledger
