"""Contract: what is read, and that ids are compared by their bytes."""

from __future__ import annotations

from dataclasses import replace

from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.stores.ports import Store
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    flags_write,
    next_write,
    tenant_write,
)

#: Ids that a database might take for one another: by case, accent, blanks, width, normal form, look, or as a pattern.
ALIKE = (
    "Acme",
    "acme",
    "ACME",
    "acme ",
    "acme  ",
    "acme\u00a0",
    "\u0430cme",
    " acme",
    "acme_",
    "acme%",
    "acmé",
    "acme\u0301",
    "ａcme",
    "strasse",
    "straße",
    "\U0001d552cme",
    "\U0001f9d1\U0001f4bb",
    "ö",
    "o",
    "'; --",
    '"acme"',
    "\\acme",
    ":acme",
    "=acme",
    "{acme}",
    "acme}",
    "acme*",
    "acme?",
    "[acme]",
    "4:acme",
    "a b:c/d",
    "1",
    "01",
    "é" * 255,
    "é" * 254 + "e",
    "\U0001f9d1" * 255,
)


class Reading:
    """`Store.read`, `Store.catalog`, `Store.controls`, `Store.flags`."""

    def test_an_empty_store_knows_nobody_and_sells_nothing(self, store: Store) -> None:
        assert store.read(["acme"]) == {}
        assert store.catalog() is None
        assert store.controls() == Controls()
        assert store.controls().revision == 0
        assert store.flags() == FlagSet()

    def test_a_document_is_read_as_it_was_written(self, store: Store) -> None:
        write = tenant_write("acme")
        store.apply(write, expect=0, actor="asha", because=None)
        assert store.read(["acme"]) == {"acme": write.document}

    def test_many_are_read_at_once_and_the_unknown_are_absent(self, store: Store) -> None:
        names = [f"tenant-{number:03}" for number in range(30)]
        for name in names:
            store.apply(tenant_write(name), expect=0, actor="asha", because=None)
        found = store.read([*names, *(f"nobody-{number}" for number in range(500)), names[0]])
        assert sorted(found) == names
        assert all(document.tenant == name and document.revision == 1 for name, document in found.items())

    def test_nobody_is_read_as_nobody(self, store: Store) -> None:
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        assert store.read([]) == {}

    def test_ids_are_compared_by_their_bytes(self, store: Store) -> None:
        documents = {}
        for number, name in enumerate(ALIKE):
            write = tenant_write(name, plan=f"plan-{number}")
            assert store.read([name]) == {}, f"{name!r} was taken for another tenant: compare ids by their bytes"
            applied = store.apply(write, expect=0, actor="asha", because=None)
            assert (applied.applied, applied.revision) == (True, 1)
            documents[name] = write.document
        assert store.read(ALIKE) == documents
        for number, name in enumerate(ALIKE):
            assert store.read([name]) == {name: documents[name]}
            assert store.read([name, "nobody"]) == {name: documents[name]}
            assert [row.tenant for row in store.find(plan=f"plan-{number}")] == [name]
            assert [entry.tenant for entry in store.audit(tenant=name)] == [name], "compare ids by their bytes"
        assert [row.tenant for row in store.find()] == sorted(ALIKE, key=str.encode)
        assert [entry.tenant for entry in store.changes_since(0).entries] == list(ALIKE)

    def test_the_catalog_is_what_was_published_last(self, store: Store) -> None:
        first = catalog_write()
        second = next_write(first)
        for write in (first, second):
            assert write.published is not None
            store.apply(write, expect=write.published.revision - 1, actor="asha", because=None)
            found = store.catalog()
            assert found is not None
            assert found.to_json() == write.published.to_json()

    def test_the_controls_are_as_they_were_set_last(self, store: Store) -> None:
        first = controls_write()
        second = next_write(first)
        for write in (first, second):
            assert write.controls is not None
            store.apply(write, expect=write.controls.revision - 1, actor="asha", because=None)
            assert store.controls() == write.controls

    def test_the_flags_are_as_they_were_set_last(self, store: Store) -> None:
        first = flags_write()
        assert first.flags is not None
        removed = replace(first, id=flags_write().id, flags=FlagSet(2, {**first.flags.flags, "gone": None}))
        for write in (first, removed):
            assert write.flags is not None
            store.apply(write, expect=write.flags.revision - 1, actor="asha", because=None)
            assert store.flags() == write.flags
            assert store.controls() == Controls()
