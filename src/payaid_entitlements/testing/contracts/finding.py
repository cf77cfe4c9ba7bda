"""Contract: tenants are listed by key, by module and by plan."""

from __future__ import annotations

from collections.abc import Sequence

from payaid_entitlements.stores.ports import Store, TenantRow
from payaid_entitlements.testing.contracts.writes import tenant_write


def _fill(store: Store, tenants: Sequence[tuple[str, str | None, Sequence[str]]]) -> None:
    for name, plan, modules in tenants:
        store.apply(tenant_write(name, plan=plan, modules=modules), expect=0, actor="asha", because=None)


def _names(rows: Sequence[TenantRow]) -> list[str]:
    return [row.tenant for row in rows]


class Finding:
    """`Store.find`."""

    def test_a_row_has_the_key_the_revision_the_plan_and_the_modules(self, store: Store) -> None:
        _fill(store, [("acme", "pro", ["invoicing", "crm", "crm"]), ("beta", None, [])])
        assert list(store.find()) == [
            TenantRow("acme", 1, "pro", ("crm", "invoicing")),
            TenantRow("beta", 1, None, ()),
        ]

    def test_nobody_is_found_in_an_empty_store(self, store: Store) -> None:
        assert list(store.find()) == []

    def test_the_order_is_that_of_bytes(self, store: Store) -> None:
        names = ["b", "B", "a", "ä", "Z", "_", "10", "9", "ａ", "\U0001d552", "a b", "ab"]
        _fill(store, [(name, "pro", ["crm"]) for name in names])
        assert _names(store.find()) == sorted(names, key=str.encode)

    def test_pages_begin_behind_the_last_key(self, store: Store) -> None:
        names = ["B", "a", "b", "c ", "é", "\U0001d552"]
        _fill(store, [(name, "pro", ["crm", "hr"]) for name in names])
        found: list[str] = []
        while page := store.find(module="hr", after=found[-1] if found else None, limit=2):
            assert len(page) <= 2
            found += _names(page)
        assert found == sorted(names, key=str.encode)
        assert _names(store.find(after="az")) == ["b", "c ", "é", "\U0001d552"]

    def test_module_and_plan_narrow_the_list(self, store: Store) -> None:
        _fill(
            store,
            [
                ("a", "pro", ["crm", "hr"]),
                ("b", "pro", ["crm"]),
                ("c", "free", ["hr"]),
                ("d", None, ["crm"]),
                ("e", "Pro", ["CRM"]),
            ],
        )
        assert _names(store.find(module="crm")) == ["a", "b", "d"]
        assert _names(store.find(plan="pro")) == ["a", "b"]
        assert _names(store.find(module="hr", plan="pro")) == ["a"]
        assert _names(store.find(module="hr", plan="free", after="c")) == []
        assert _names(store.find(module="sms")) == []
        assert store.find(module="crm", limit=1)[0].modules == ("crm", "hr")

    def test_a_change_moves_a_tenant(self, store: Store) -> None:
        first = tenant_write("acme", plan="free", modules=["crm"])
        store.apply(first, expect=0, actor="asha", because=None)
        second = tenant_write("acme", first.document, plan="pro", modules=["hr"])
        store.apply(second, expect=1, actor="asha", because=None)
        assert list(store.find()) == [TenantRow("acme", 2, "pro", ("hr",))]
        assert list(store.find(plan="free")) == []
        assert list(store.find(module="crm")) == []
        assert _names(store.find(plan="pro", module="hr")) == ["acme"]
