"""
What a store, ledger or limiter must keep: subclass a contract, say how a client of yours is made, let pytest run it.

::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def new_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "there")

Each test is written once, as plain calls; a store of the other colour is driven on an event loop. This needs pytest.
"""

from payaid_entitlements.testing.contracts.activity import ActivityContract, AsyncActivityContract
from payaid_entitlements.testing.contracts.joining import JoiningContract
from payaid_entitlements.testing.contracts.ledger import AsyncLedgerContract, LedgerContract
from payaid_entitlements.testing.contracts.ledger_joining import LedgerJoiningContract
from payaid_entitlements.testing.contracts.limiter import AsyncLimiterContract, LimiterContract
from payaid_entitlements.testing.contracts.store import AsyncStoreContract, StoreContract

__all__ = [
    "ActivityContract",
    "AsyncActivityContract",
    "AsyncLedgerContract",
    "AsyncLimiterContract",
    "AsyncStoreContract",
    "JoiningContract",
    "LedgerContract",
    "LedgerJoiningContract",
    "LimiterContract",
    "StoreContract",
]
