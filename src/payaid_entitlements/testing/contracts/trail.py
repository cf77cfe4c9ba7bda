"""Contract: who changed what is kept, and others are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.ports import AuditEntry, OutboxEvent, Scope, Store
from payaid_entitlements.testing.contracts.writes import (
    NOW,
    catalog_write,
    controls_write,
    flags_write,
    same_again,
    tenant_write,
)


def _ids(entries: Sequence[AuditEntry]) -> list[str]:
    return [entry.id for entry in entries]


class Trail:
    """`Store.audit` and `Store.outbox`."""

    def test_an_entry_says_who_what_when_and_why(self, store: Store) -> None:
        detail = {"asked": {"plan": "pro"}, "note": ["ä", None, 1.5, True, {"deep": "\x00"}]}
        write = tenant_write("acme", detail=detail)
        because = "she said \u201cnow\u201d,\nthen \U0001f642"
        applied = store.apply(write, expect=0, actor="asha", because=because, operation="webhook-1", as_of=NOW - 5)
        assert list(store.audit()) == [
            AuditEntry(
                write.id,
                applied.position,
                Scope.TENANT,
                "acme",
                1,
                1,
                write.recorded,
                "subscribe",
                "asha",
                because,
                "webhook-1",
                NOW - 5,
                write.facts,
                detail,
                digest(write),
            )
        ]

    def test_an_entry_of_catalog_controls_or_flags_has_no_tenant(self, store: Store) -> None:
        for write in (catalog_write(), controls_write(), flags_write()):
            store.apply(write, expect=0, actor="asha", because=None)
        assert [(entry.scope, entry.tenant, entry.because, entry.facts) for entry in store.audit()] == [
            (Scope.CATALOG, None, None, ()),
            (Scope.CONTROLS, None, None, ()),
            (Scope.FLAGS, None, None, ()),
        ]
        assert [entry.generation for entry in store.audit()] == [0, 0, 0]
        for number, scope in enumerate((Scope.CATALOG, Scope.CONTROLS, Scope.FLAGS), 1):
            assert [entry.position for entry in store.audit(scope=scope)] == [number]

    def test_facts_come_with_what_they_replaced(self, store: Store) -> None:
        first = tenant_write("acme", plan="free")
        second = tenant_write("acme", first.document, plan="pro")
        store.apply(first, expect=0, actor="asha", because=None)
        store.apply(second, expect=1, actor="asha", because=None)
        (fact,) = store.audit(id=second.id)[0].facts
        assert fact.value == {"plan": "pro", "version": 1}
        assert fact.before == {"plan": "free", "version": 1}
        assert second.facts == (fact,)

    def test_it_is_read_oldest_first_and_in_pages(self, store: Store) -> None:
        writes = [tenant_write(f"tenant-{number}") for number in range(5)]
        places = [store.apply(write, expect=0, actor="asha", because=None).position for write in writes]
        assert _ids(store.audit()) == [write.id for write in writes]
        assert _ids(store.audit(limit=2)) == [write.id for write in writes[:2]]
        assert _ids(store.audit(after=places[1], limit=2)) == [write.id for write in writes[2:4]]
        assert _ids(store.audit(after=places[4])) == []

    def test_filters_join_by_and(self, store: Store) -> None:
        first = tenant_write("acme")
        second = tenant_write("acme", first.document)
        other = replace(tenant_write("beta"), recorded=second.recorded)
        for write, expect in ((first, 0), (second, 1), (other, 0)):
            store.apply(write, expect=expect, actor="asha", because=None)
        assert _ids(store.audit(tenant="acme")) == [first.id, second.id]
        assert _ids(store.audit(since=second.recorded)) == [second.id, other.id]
        assert _ids(store.audit(since=second.recorded + 1)) == []
        assert _ids(store.audit(id=other.id)) == [other.id]
        assert _ids(store.audit(tenant="acme", since=second.recorded)) == [second.id]
        assert _ids(store.audit(tenant="acme", id=other.id)) == []
        assert _ids(store.audit(tenant="nobody")) == []
        switch = controls_write()
        store.apply(switch, expect=0, actor="asha", because=None)
        assert _ids(store.audit(scope=Scope.TENANT)) == [first.id, second.id, other.id]
        assert _ids(store.audit(scope=Scope.CONTROLS)) == [switch.id]
        assert _ids(store.audit(scope=Scope.CATALOG)) == []
        assert _ids(store.audit(scope=Scope.CONTROLS, since=switch.recorded + 1)) == []
        assert _ids(store.audit(scope=Scope.CONTROLS, tenant="acme")) == []

    def test_what_an_operation_did_is_found(self, store: Store) -> None:
        first = tenant_write("acme")
        writes = [first, tenant_write("acme", first.document), tenant_write("beta"), controls_write()]
        for write, expect, operation in zip(writes, (0, 1, 0, 0), ("op", "Op", "op", "op"), strict=True):
            store.apply(write, expect=expect, actor="asha", because=None, operation=operation)
        store.apply(catalog_write(), expect=0, actor="asha", because=None)
        assert _ids(store.audit(operation="op")) == [writes[0].id, writes[2].id, writes[3].id]
        assert _ids(store.audit(operation="Op")) == [writes[1].id]
        assert _ids(store.audit(operation="op", tenant="acme")) == [writes[0].id]
        assert _ids(store.audit(operation="op", scope=Scope.CONTROLS)) == [writes[3].id]
        assert _ids(store.audit(operation="op", limit=1)) == [writes[0].id]
        assert _ids(store.audit(operation="op", after=store.changes_since(None).position)) == []
        assert _ids(store.audit(operation="op ")) == []

    def test_each_change_is_told_once(self, store: Store) -> None:
        writes = (catalog_write(), tenant_write("acme", plan="pro"), controls_write())
        places = [store.apply(write, expect=0, actor="asha", because=None).position for write in writes]
        assert list(store.outbox()) == [
            OutboxEvent(places[0], "catalog.publish", {"change": writes[0].id, "revision": 1}),
            OutboxEvent(
                places[1],
                "tenant.subscribe",
                {"change": writes[1].id, "revision": 1, "tenant": "acme", "plan": "pro"},
            ),
            OutboxEvent(places[2], "controls.kill", {"change": writes[2].id, "revision": 1}),
        ]
        assert [event.position for event in store.outbox(limit=1)] == places[:1]
        assert [event.position for event in store.outbox(after=places[0], limit=1)] == places[1:2]
        assert list(store.outbox(after=places[2])) == []

    def test_what_is_repeated_is_not_told_again(self, store: Store) -> None:
        write = tenant_write("acme")
        for each in (write, same_again(write)):
            store.apply(each, expect=0, actor="asha", because=None, operation="webhook-1")
        assert len(store.outbox()) == 1
