"""What the tests of backups share: a store with some of everything, and files in memory."""

from __future__ import annotations

import io

import pytest

from payaid_entitlements.stores.backup import export_to
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing.contracts.writes import catalog_write, controls_write, forgetting, tenant_write


def put(store, write, **named):
    made = write.document or write.published or write.controls or write.flags
    return store.apply(write, expect=made.revision - 1, **{"actor": "asha", "because": "a ticket", **named})


def change(store, tenant, operation=None, **named):
    """Change *tenant* once more."""
    return put(store, tenant_write(tenant, store.read([tenant]).get(tenant), **named), operation=operation)


def forget(store, tenant):
    return put(store, forgetting(store.read([tenant])[tenant]))


def written(store) -> bytes:
    """The file of *store*."""
    file = io.BytesIO()
    export_to(store, file)
    return file.getvalue()


@pytest.fixture
def full() -> MemoryStore:
    """Some of everything."""
    store = MemoryStore()
    put(store, catalog_write(), operation="first")
    change(store, "acme", modules=("hr", "crm"), detail={"note": ["ä", "\x00", None, 1.5]})
    change(store, "beta", plan=None, modules=())
    put(store, controls_write(), operation="second")
    change(store, "gone")
    change(store, "acme")
    forget(store, "gone")
    return store
