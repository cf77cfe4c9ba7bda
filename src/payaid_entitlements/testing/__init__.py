"""
What a host app's tests use, and the contracts that stores of others must keep.

The pytest plugin comes with the package: name your client in pytest's ini as
``payaid_entitlements = "app.main:ent"`` and ask for the fixtures `entitlements` and `clock`.
Importing this needs no pytest; using a contract does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.testing.clock import FakeClock
from payaid_entitlements.testing.faults import FaultyStore
from payaid_entitlements.testing.sandbox import Sandbox, sandbox

if TYPE_CHECKING:
    from payaid_entitlements.testing.contracts import (
        ActivityContract,
        AsyncActivityContract,
        AsyncLedgerContract,
        AsyncLimiterContract,
        AsyncStoreContract,
        JoiningContract,
        LedgerContract,
        LedgerJoiningContract,
        LimiterContract,
        StoreContract,
    )

__all__ = [
    "ActivityContract",
    "AsyncActivityContract",
    "AsyncLedgerContract",
    "AsyncLimiterContract",
    "AsyncStoreContract",
    "FakeClock",
    "FaultyStore",
    "JoiningContract",
    "LedgerContract",
    "LedgerJoiningContract",
    "LimiterContract",
    "Sandbox",
    "StoreContract",
    "sandbox",
]

_CONTRACTS = "payaid_entitlements.testing.contracts"
_IN_CONTRACTS = frozenset(
    {
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
    }
)


def __getattr__(name: str) -> object:
    if name not in _IN_CONTRACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib
    import sys

    import pytest

    # A contract that fails should show what was compared, as any test does. It is too late where it was imported.
    if _CONTRACTS not in sys.modules:
        pytest.register_assert_rewrite(_CONTRACTS)
    return getattr(importlib.import_module(_CONTRACTS), name)
