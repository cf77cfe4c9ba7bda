"""Contract: all that a store has can be moved into an empty one, and answers there as it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from payaid_entitlements.errors import OperationConflict, StoreNotEmpty
from payaid_entitlements.stores.backup.walking import walked
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.ports import KeptChange, KeptTenant, Part, Scope, Store
from payaid_entitlements.stores.writing import continued
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    everything,
    flags_write,
    forgetting,
    next_write,
    same_again,
    tenant_write,
)


class _Stopped(Exception):
    """What a source of pages may raise in the middle."""


def _other() -> MemoryStore:
    """A store with some of everything: each change is by an operation of its own, ``op-1`` and so on."""
    acme, beta = tenant_write("acme", modules=("hr", "crm")), tenant_write("beta", plan=None, modules=())
    gone, published, controls = tenant_write("gone"), catalog_write(), controls_write()
    assert gone.document is not None
    flags = flags_write()
    writes = [acme, published, beta, gone, controls, next_write(acme), forgetting(gone.document), next_write(published)]
    writes += [flags, next_write(flags)]
    store = MemoryStore()
    for number, write in enumerate(writes, start=1):
        made = write.document or write.published or write.controls or write.flags
        assert made is not None
        because, operation = f"ticket {number}", f"op-{number}"
        store.apply(write, expect=made.revision - 1, actor="asha", because=because, operation=operation, as_of=number)
    return store


def _pages(store: Store) -> Iterator[Sequence[Part]]:
    """What *store* has, three parts at a time."""
    parts = [part for page in walked(store) for part in page]
    for first in range(0, len(parts), 3):
        yield parts[first : first + 3]


class Restoring:
    """`Store.restore` and `Store.listed`."""

    def test_tenants_are_listed_as_they_are_found(self, store: Store) -> None:
        writes = [tenant_write("acme", modules=("hr", "crm", "hr")), tenant_write("beta", plan=None, modules=())]
        gone = tenant_write("gone")
        assert gone.document is not None
        for write in (*writes, gone):
            store.apply(write, expect=0, actor="asha", because=None)
        store.apply(forgetting(gone.document), expect=1, actor="asha", because=None)
        found = {row.tenant: row for row in store.find()}
        assert sorted(found) == ["acme", "beta"]
        assert store.listed(["acme", "beta", "gone", "nobody", "Acme"]) == found
        assert store.listed([]) == {}

    def test_a_digest_is_kept_with_an_operation(self, store: Store) -> None:
        for number, operation in enumerate(("op-1", None)):
            store.apply(tenant_write(f"tenant-{number}"), expect=0, actor="asha", because=None, operation=operation)
        first, second = store.audit()
        assert len(str(first.digest)) == 64
        assert second.digest is None

    def test_all_is_there_as_it_was(self, store: Store) -> None:
        other = _other()
        store.restore(_pages(other))
        assert everything(store) == everything(other)
        assert list(walked(store)) == list(walked(other))

    def test_another_client_sees_it(self, store: Store, open_store: Callable[[], Store]) -> None:
        other, another = _other(), open_store()
        store.restore(_pages(other))
        assert everything(another) == everything(other) == everything(open_store())

    def test_operations_are_known(self, store: Store) -> None:
        first = tenant_write("acme", detail={"asked": {"plan": "pro"}})
        other = MemoryStore()
        for write in (first, controls_write()):
            other.apply(write, expect=0, actor="asha", because=None, operation="op-1")
        store.restore(_pages(other))
        for write in (first, *([] if first.document is None else [next_write(first)])):
            again = replace(same_again(write), detail={"asked": {"plan": "pro"}})
            applied = store.apply(again, expect=0, actor="asha", because=None, operation="op-1")
            assert (applied.id, applied.applied, applied.revision, applied.position) == (first.id, False, 1, 1)
        with pytest.raises(OperationConflict):
            store.apply(next_write(first), expect=1, actor="asha", because=None, operation="op-1")
        with pytest.raises(OperationConflict):
            store.apply(catalog_write(), expect=0, actor="asha", because=None, operation="op-1")
        assert len(store.audit()) == 2

    def test_writing_goes_on(self, store: Store) -> None:
        other = _other()
        least = continued(other.changes_since(None).position)
        store.restore(_pages(other))
        write = tenant_write("acme", store.read(["acme"])["acme"])
        applied = store.apply(write, expect=2, actor="asha", because=None)
        assert (applied.applied, applied.revision) == (True, 3)
        assert applied.position > least
        assert [entry.position for entry in store.audit(tenant="acme")] == [1, 6, applied.position]
        assert store.changes_since(None).position == applied.position

    def test_who_is_ahead_in_the_log_must_forget(self, store: Store) -> None:
        """Processes that read the store which is gone, further than its backup reaches."""
        other = _other()
        last = other.changes_since(None).position
        least = continued(last)
        store.restore(_pages(other))
        end = store.changes_since(None).position
        assert end >= least
        for position in (last + 1, last + 1000):
            page = store.changes_since(position)
            assert (page.entries, page.gap, page.position) == ((), True, end)
        write = tenant_write("new")
        applied = store.apply(write, expect=0, actor="asha", because=None)
        for position in (last + 1, last + 1000):
            page = store.changes_since(position)
            assert (page.gap, page.position) == (True, applied.position)
        assert [entry.tenant for entry in store.changes_since(end).entries] == ["new"]
        assert not store.changes_since(end).gap

    def test_the_log_is_read_from_its_beginning(self, store: Store) -> None:
        other = _other()
        store.restore(_pages(other))
        page = store.changes_since(0, limit=3)
        assert (page.entries, page.more, page.gap) == (other.changes_since(0, limit=3).entries, True, False)

    def test_what_comes_again_holds_as_it_came_last(self, store: Store) -> None:
        first = tenant_write("acme", plan="free", modules=("crm", "hr"))
        second = next_write(first)
        published = [catalog_write()]
        published.append(next_write(published[0]))
        switches = [controls_write()]
        switches.append(next_write(switches[0]))
        other = MemoryStore()
        given: list[list[Part]] = []
        for write, expect in zip((first, second, *published, *switches), (0, 1) * 3, strict=True):
            other.apply(write, expect=expect, actor="asha", because=None)
            # As one who reads while these are written: the change, and what it made.
            given.append([part for page in walked(other) for part in page][-2:])
        store.restore([given[0] + given[1] + given[2], given[3] + given[4], given[5]])
        assert everything(store) == everything(other)

    def test_a_tenant_that_comes_again_may_be_forgotten(self, store: Store) -> None:
        other = _other()
        parts = [part for page in walked(other) for part in page]
        gone = next(part for part in parts if isinstance(part, KeptTenant) and part.row is None)
        before = replace(gone, row=next(part.row for part in parts if isinstance(part, KeptTenant) and part.row))
        assert before.row is not None
        before = replace(before, row=replace(before.row, tenant=gone.document.tenant))
        store.restore([[before], parts])
        assert everything(store) == everything(other)

    def test_what_is_told_to_others_no_more_is_not_told(self, store: Store) -> None:
        other = _other()
        pages = [
            [replace(part, event=None) if isinstance(part, KeptChange) else part for part in page]
            for page in walked(other)
        ]
        store.restore(pages)
        assert list(store.outbox()) == []
        assert list(store.audit()) == list(other.audit())

    def test_a_store_in_use_is_not_touched(self, store: Store) -> None:
        for write in (controls_write(), tenant_write("acme"), catalog_write()):
            store.apply(write, expect=0, actor="asha", because=None)
            before = everything(store)
            with pytest.raises(StoreNotEmpty):
                store.restore(_pages(_other()))
            assert everything(store) == before

    def test_it_is_done_once(self, store: Store) -> None:
        other = _other()
        store.restore(_pages(other))
        with pytest.raises(StoreNotEmpty):
            store.restore(_pages(other))
        assert everything(store) == everything(other)

    def test_what_ends_in_the_middle_leaves_nothing(self, store: Store, open_store: Callable[[], Store]) -> None:
        before = everything(store)
        other = _other()

        def broken() -> Iterator[Sequence[Part]]:
            yield from list(_pages(other))[:2]
            raise _Stopped

        for _ in range(2):
            with pytest.raises(_Stopped):
                store.restore(broken())
            assert everything(store) == before
            assert everything(open_store()) == before
        store.restore(_pages(other))
        # Not `store`: to a client that has read the log before, a store that was filled may be another one.
        assert everything(open_store()) == everything(other)

    def test_nothing_can_be_moved(self, store: Store) -> None:
        store.restore(_pages(MemoryStore()))
        assert everything(store) == everything(MemoryStore())
        assert store.changes_since(None).position == 0
        assert store.apply(tenant_write("acme"), expect=0, actor="asha", because=None).applied
        assert [entry.scope for entry in store.audit()] == [Scope.TENANT]
