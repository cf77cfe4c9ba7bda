"""Contract: a tenant that is forgotten leaves a tombstone and nothing personal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.facts import NewFact, TenantDocument, record
from payaid_entitlements.errors import ChangeConflict
from payaid_entitlements.stores.ports import Store, TenantRow, Write
from payaid_entitlements.testing.contracts.writes import forgetting, same_again, tenant_write


def _known(store: Store, name: str = "acme") -> Write:
    write = tenant_write(name, detail={"asked": {"name": "Asha Rao"}})
    store.apply(write, expect=0, actor="asha", because="Asha Rao called", operation="call-1")
    return write


def _forget(store: Store, write: Write) -> Write:
    assert write.document is not None
    erasing = forgetting(write.document)
    store.apply(erasing, expect=write.document.revision, actor="vikram", because="she asked", operation="letter-1")
    return erasing


class Forgetting:
    """A write with `Write.erase`."""

    def test_a_tombstone_stays(self, store: Store) -> None:
        _forget(store, _known(store))
        assert store.read(["acme"]) == {"acme": TenantDocument("acme", revision=2, generation=2)}
        assert list(store.find()) == []
        assert list(store.find(module="crm")) == []
        assert list(store.find(plan="pro")) == []

    def test_what_was_recorded_before_is_gone_and_that_it_was_stays(self, store: Store) -> None:
        write = _known(store)
        before = store.audit()
        erasing = _forget(store, write)
        first, second = store.audit()
        assert first == replace(before[0], because=None, operation=None, facts=(), detail={}, digest=None)
        assert (second.id, second.verb, second.actor, second.because, second.operation, second.generation) == (
            erasing.id,
            "forget",
            "vikram",
            "she asked",
            "letter-1",
            2,
        )
        assert [dict(event.payload) for event in store.outbox()] == [
            {},
            {"change": erasing.id, "revision": 2, "tenant": "acme", "plan": None},
        ]
        assert [entry.revision for entry in store.changes_since(0).entries] == [1, 2]

    def test_nobody_else_is_touched(self, store: Store) -> None:
        other = _known(store, "Acme")
        before = (store.read(["Acme"]), store.find(), store.audit(), store.outbox())
        _forget(store, _known(store))
        assert store.read(["Acme"]) == before[0] == {"Acme": other.document}
        assert store.find() == before[1]
        assert store.audit(tenant="Acme") == before[2]
        assert list(store.outbox())[:1] == list(before[3])

    def test_the_name_can_be_used_anew(self, store: Store) -> None:
        _forget(store, _known(store))
        tombstone = store.read(["acme"])["acme"]
        fact = NewFact(("subscription", "main", "plan"), 0, {"plan": "free", "version": 1})
        outcome = record(tombstone, [fact], recorded=0)
        again = replace(
            tenant_write("acme"), document=outcome.document, facts=outcome.recorded, plan="free", modules=()
        )
        # What was known by this operation is forgotten too.
        applied = store.apply(again, expect=2, actor="asha", because=None, operation="call-1")
        assert (applied.applied, applied.revision) == (True, 3)
        assert store.read(["acme"])["acme"] == outcome.document
        assert outcome.document.generation == 2
        assert list(store.find()) == [TenantRow("acme", 3, "free", ())]

    def test_forgetting_twice_by_one_operation_is_forgetting_once(self, store: Store) -> None:
        erasing = _forget(store, _known(store))
        again = store.apply(same_again(erasing), expect=1, actor="x", because=None, operation="letter-1")
        assert (again.id, again.applied, again.revision) == (erasing.id, False, 2)

    def test_a_late_write_to_the_one_who_was_forgotten_conflicts(self, store: Store) -> None:
        write = _known(store)
        _forget(store, write)
        with pytest.raises(ChangeConflict):
            store.apply(tenant_write("acme", write.document), expect=1, actor="asha", because=None)
        assert store.read(["acme"])["acme"].timelines == {}
