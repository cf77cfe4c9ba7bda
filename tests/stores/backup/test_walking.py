"""A walk gives what the store was at one position, whatever is written meanwhile, or it says that it cannot."""

from __future__ import annotations

import itertools
import threading

import pytest
from sqlalchemy import create_engine, text

from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.errors import ConfigurationError, StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.backup import walking
from payaid_entitlements.stores.backup.walking import ForgottenMeanwhile, walked
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.ports import KeptChange, KeptTenant, LogPage
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    everything,
    flags_write,
    next_write,
    tenant_write,
)
from tests.stores.backup.conftest import change, forget, put
from tests.stores.conftest import driven


def parts_of(store):
    return [part for page in walked(store) for part in page]


def restored(parts):
    store = MemoryStore()
    store.restore([parts])
    return store


class Meddled(MemoryStore):
    """
    Something is done to it before some of its reads.

    Attributes:
        acts: By the name of a read: what is done before it, once each.
    """

    def __init__(self):
        super().__init__()
        self.acts = {}
        self._is_acting = False

    def _meddle(self, name):
        acts = self.acts.get(name, [])
        if acts and not self._is_acting:
            self._is_acting = True
            acts.pop(0)()
            self._is_acting = False

    def audit(self, **named):
        self._meddle("audit")
        return super().audit(**named)

    def outbox(self, **named):
        self._meddle("outbox")
        return super().outbox(**named)

    def listed(self, tenants):
        self._meddle("listed")
        return super().listed(tenants)

    def read(self, tenants, **named):
        self._meddle("read")
        return super().read(tenants, **named)

    def controls(self):
        self._meddle("controls")
        return super().controls()

    def flags(self):
        self._meddle("flags")
        return super().flags()


def test_what_a_change_made_is_behind_it(full):
    parts = parts_of(full)
    kinds = ["change" if isinstance(part, KeptChange) else type(part).__name__ for part in parts]
    assert kinds == [
        "change", "Published", "change", "change", "KeptTenant", "change", "Controls", "change", "change", "KeptTenant",
        "change", "KeptTenant",
    ]  # fmt: skip
    assert [part.row is None for part in parts if isinstance(part, KeptTenant)] == [False, False, True]


def test_an_empty_store_gives_nothing():
    assert parts_of(MemoryStore()) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_pages_of_any_size_give_the_same(full, monkeypatch, size):
    whole = parts_of(full)
    monkeypatch.setattr(walking, "PAGE", size)
    assert parts_of(full) == whole


@pytest.mark.parametrize("size", [2, 100])
@pytest.mark.parametrize("read", ["audit", "outbox", "listed", "read", "controls", "flags"])
def test_what_is_written_between_two_reads_is_in_it_as_it_came_last(monkeypatch, read, size):
    monkeypatch.setattr(walking, "PAGE", size)
    store = Meddled()
    for tenant in ("acme", "beta", "acme"):
        change(store, tenant)
    switches = controls_write()
    put(store, switches)
    flags = flags_write()
    put(store, flags)

    def meddle():
        change(store, "acme", plan="other", modules=())
        put(store, controls_write(switches.controls))
        put(store, next_write(flags))
        change(store, "new")

    store.acts = {read: [meddle, lambda: change(store, "beta")]}
    parts = parts_of(store)
    assert len(store.acts[read]) < 2
    store.acts = {}
    # What came after the last reading of the log may be missing as a whole.
    last = max(part.entry.position for part in parts if isinstance(part, KeptChange))
    copy = restored(parts)
    if last == store.changes_since(None).position:
        assert everything(copy) == everything(store)
    assert list(copy.audit()) == list(store.audit(limit=last))
    assert list(copy.outbox()) == list(store.outbox(limit=last))
    for tenant, document in copy.read(["acme", "beta", "new"]).items():
        assert copy.audit(tenant=tenant)[-1].revision == document.revision


@pytest.mark.parametrize("read", ["audit", "outbox", "listed", "read"])
def test_who_is_forgotten_meanwhile_is_not_given(monkeypatch, read):
    monkeypatch.setattr(walking, "PAGE", 2)
    store = Meddled()
    for tenant in ("acme", "beta", "gone", "acme", "beta"):
        change(store, tenant)
    store.acts = {read: [lambda: None, lambda: forget(store, "acme")]}
    with pytest.raises(ForgottenMeanwhile):
        parts_of(store)
    assert everything(restored(parts_of(store))) == everything(store)


def test_who_was_forgotten_before_is_no_reason_to_begin_anew(monkeypatch):
    monkeypatch.setattr(walking, "PAGE", 2)
    store = Meddled()
    for _ in range(3):
        change(store, "acme")
    forget(store, "acme")
    change(store, "beta")
    store.acts = {"listed": [lambda: None, lambda: change(store, "acme")]}
    assert everything(restored(parts_of(store))) == everything(store)
    assert store.acts == {"listed": []}


def test_who_comes_and_is_forgotten_meanwhile_makes_it_begin_anew():
    store = Meddled()
    change(store, "beta")

    def meddle():
        change(store, "acme")
        change(store, "beta")
        forget(store, "acme")

    store.acts = {"listed": [meddle]}
    with pytest.raises(ForgottenMeanwhile):
        parts_of(store)


def test_a_store_that_changes_too_fast_is_no_endless_walk(monkeypatch):
    monkeypatch.setattr(walking, "MOST_BEHIND", 20)
    store = Meddled()
    change(store, "acme")
    store.acts = {"read": [lambda: change(store, "acme")] * 50}
    with pytest.raises(StoreUnavailable, match="changes faster than it can be read"):
        parts_of(store)
    assert 20 < 50 - len(store.acts["read"]) < 50


def test_a_document_behind_its_log_is_damage(full):
    full._content.documents["acme"] = TenantDocument("acme", 1)
    with pytest.raises(StoreDamaged, match="memory: tenant 'acme' is at revision 1, and its change log at 2"):
        parts_of(full)


def test_a_lost_document_is_damage(full):
    del full._content.documents["beta"]
    with pytest.raises(StoreDamaged, match="tenant 'beta' is at revision 0"):
        parts_of(full)


@pytest.mark.parametrize(("write", "what"), [(catalog_write, "catalog"), (controls_write, "controls")])
def test_a_lost_catalog_is_damage(monkeypatch, write, what):
    store = MemoryStore()
    put(store, write())
    monkeypatch.setattr(store, what, lambda: None)
    with pytest.raises(StoreDamaged, match=f"memory: {what} is at revision 0, and its change log at 1"):
        parts_of(store)


def test_a_document_that_no_log_knows_is_damage(full):
    full._content.documents["acme"] = TenantDocument("acme", 9)
    with pytest.raises(StoreDamaged, match="knows 3 tenants, and 2 have the document"):
        parts_of(full)


def test_a_log_that_was_cut_off_is_refused(database_url, engine_on):
    store = SQLStore(database_url)
    for tenant in ("acme", "beta", "acme"):
        change(store, tenant)
    engine = engine_on(database_url)
    for delete in ("position = 1", "position > 0"):
        with engine.begin() as connection:
            connection.execute(text(f"DELETE FROM payaid_changes WHERE {delete}"))
        with pytest.raises(ConfigurationError, match="does not reach back to its beginning"):
            parts_of(store)
    store.close()


@pytest.mark.parametrize("tenants", [[], ["acme"]])
def test_a_gap_that_only_this_client_has_is_none(monkeypatch, tenants):
    """As after a server of Redis was started again."""
    store = MemoryStore()
    for tenant in tenants:
        change(store, tenant)
    end = store.changes_since(None)
    monkeypatch.setattr(
        store, "changes_since", lambda position, limit=1: end if position is None else LogPage((), len(tenants), True)
    )
    assert len(parts_of(store)) == 2 * len(tenants)


def _while_others_write(url, rounds, tenants):
    """Walk while a thread writes; each document must be one that was written, at its place in the log."""
    store, other = SQLStore(url), SQLStore(url)
    made = {}
    for number in range(tenants):
        change(store, f"tenant-{number}")
    done = threading.Event()
    errors = []

    def write():
        try:
            for number in itertools.count():
                if done.is_set():
                    return
                tenant = f"tenant-{number * 7 % (tenants + 5)}"
                known = other.read([tenant]).get(tenant)
                write = tenant_write(tenant, known, plan=f"plan-{number}", modules=(f"module-{number}",))
                made[tenant, write.document.revision] = (write.document, write.plan, write.modules)
                put(other, write)
        except Exception as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        walks = [parts_of(store)]
        # As many as it takes for something to have been written between them.
        while len(walks) < rounds or (len(walks[-1]) == len(walks[0]) and len(walks) < 1000):
            walks.append(parts_of(store))
    finally:
        done.set()
        writer.join()
    assert errors == []
    ends = []
    for parts in walks:
        copy = restored(parts)
        last = max(part.entry.position for part in parts if isinstance(part, KeptChange))
        ends.append(last)
        assert [entry.position for entry in copy.audit(limit=1_000_000)] == list(range(1, last + 1))
        newest = {entry.tenant: entry.revision for entry in copy.audit(limit=1_000_000)}
        documents = copy.read(list(newest))
        rows = copy.listed(list(newest))
        assert {tenant: document.revision for tenant, document in documents.items()} == newest
        for tenant, revision in newest.items():
            if (tenant, revision) in made:
                row = rows[tenant]
                assert (documents[tenant], row.plan, row.modules) == made[tenant, revision]
            assert rows[tenant].revision == revision
        assert list(copy.audit(limit=1_000_000)) == list(store.audit(limit=last))
        assert list(copy.outbox(limit=1_000_000)) == list(store.outbox(limit=last))
    assert ends[-1] > ends[0] >= tenants
    store.close()
    other.close()


def test_it_is_one_moment_while_others_write(database_url, monkeypatch):
    monkeypatch.setattr(walking, "PAGE", 20)
    _while_others_write(database_url, rounds=6, tenants=60)


@pytest.mark.soak
def test_it_is_always_one_moment_while_others_write(database_url):
    _while_others_write(database_url, rounds=60, tenants=3000)


def test_a_driver_of_the_host_can_be_walked(database_url, full):
    engine = create_engine(driven(database_url))
    store = SQLStore(engine)
    store.restore(walked(full))
    assert everything(store) == everything(full)
    engine.dispose()
