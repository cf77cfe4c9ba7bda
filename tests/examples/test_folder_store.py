"""The store that others begin from keeps the contract, in both colours, and answers through the front door."""

import asyncio
import importlib.util
import multiprocessing
import os
import sys
from functools import partial
from pathlib import Path

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ChangeConflict, OutcomeUnknown, StoreUnavailable
from payaid_entitlements.testing import AsyncStoreContract, StoreContract
from payaid_entitlements.testing.contracts.writes import everything, tenant_write

if sys.platform == "win32":
    pytest.skip("its lock is that of POSIX", allow_module_level=True)

FILE = Path(__file__).parents[2] / "examples" / "folder_store" / "folder_store.py"
CATALOG = {"catalog": 1, "modules": {"crm": {}}, "plans": {"pro": {"modules": ["crm"]}}}


def _example():
    name = "folder_store"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, FILE)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


FolderStore, AsyncFolderStore = _example().FolderStore, _example().AsyncFolderStore


class TestFolder(StoreContract):
    @pytest.fixture
    def new_store(self, tmp_path):
        return partial(FolderStore, tmp_path / "store")


class TestAsyncFolder(AsyncStoreContract):
    @pytest.fixture
    def new_store(self, tmp_path):
        return partial(AsyncFolderStore, tmp_path / "store")


@pytest.fixture
def store(tmp_path):
    store = FolderStore(tmp_path / "store")
    store.prepare()
    return store


def test_it_answers_through_the_front_door(store, tmp_path):
    with Entitlements(store, catalog=CATALOG) as ent:
        ent.admin("asha", because="sold").subscribe("acme", "pro")
        assert ent.check("acme", "crm").allowed

    async def ask():
        async with AsyncEntitlements(AsyncFolderStore(tmp_path / "store")) as ent:
            return await ent.check("acme", "crm"), await ent.check("Acme", "crm")

    known, unknown = asyncio.run(ask())
    assert (known.allowed, unknown.allowed) == (True, False)


def _race(folder, number, results):
    store = FolderStore(folder)
    for _ in range(10):
        known = store.read(["acme"]).get("acme")
        expect = 0 if known is None else known.revision
        try:
            store.apply(tenant_write("acme", known), expect=expect, actor=str(number), because=None)
            results.put(1)
        except ChangeConflict:
            results.put(0)


def test_of_processes_that_race_no_change_is_lost(store):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    racers = [context.Process(target=_race, args=(store._folder, number, results)) for number in range(3)]
    for racer in racers:
        racer.start()
    won = sum(results.get(timeout=60) for _ in range(30))
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    assert store.read(["acme"])["acme"].revision == won == len(store.audit())


@pytest.mark.parametrize("left", [b"", b"7\n{half"])
def test_who_died_while_writing_left_nothing(store, left):
    write = tenant_write("acme")
    store.apply(write, expect=0, actor="asha", because=None)
    before = everything(store)
    (store._folder / "content.new").write_bytes(left)
    assert everything(store) == before
    assert store.apply(tenant_write("acme", write.document), expect=1, actor="asha", because=None).revision == 2


def test_a_full_disk_changes_nothing(store, monkeypatch):
    before = everything(store)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    assert everything(store) == before


def test_what_is_perhaps_not_kept_is_said(store, monkeypatch):
    real = os.fsync
    calls = []

    def second_fails(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", second_fails)
    write = tenant_write("acme")
    with pytest.raises(OutcomeUnknown):
        store.apply(write, expect=0, actor="asha", because=None, operation="once")
    again = store.apply(write, expect=0, actor="asha", because=None, operation="once")
    assert (again.applied, again.revision) == (False, 1)
