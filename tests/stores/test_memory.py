"""What is the memory store's own: it joins nothing, and a fork waits for no lock of its parent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.testing.contracts.writes import tenant_write


def _put(store):
    return store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)


def test_a_child_waits_for_no_lock_of_its_parent():
    store = MemoryStore()
    store._lock.acquire()  # as another thread of the parent did, which the child does not have
    store._renew_lock()  # as every forked child does
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_put, store).result(10).applied


def test_two_colours_share_one_memory():
    store = MemoryStore()
    _put(store)
    assert AsyncMemoryStore(store)._store is store
    assert AsyncMemoryStore()._store.read(["acme"]) == {}


def test_each_store_has_a_memory_of_its_own():
    _put(MemoryStore())
    assert MemoryStore().read(["acme"]) == {}
