"""The store that the documentation takes as an example keeps the contract, as that of anybody has to."""

from __future__ import annotations

import dbm.dumb
import fcntl
from contextlib import closing

import pytest

from examples.store.dbm_store import CONTROLS, TENANT, DbmStore
from payaid_entitlements import Entitlements, Reason
from payaid_entitlements.errors import StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.hurry import within
from payaid_entitlements.testing import FakeClock, StoreContract
from tests.entitlements.conftest import CATALOG


class TestDbmStore(StoreContract):
    """All that a store must keep."""

    @pytest.fixture
    def new_store(self, tmp_path):
        """Clients of one file."""
        return lambda: DbmStore(tmp_path / "payaid")


@pytest.fixture
def store(tmp_path):
    return DbmStore(tmp_path / "payaid")


def test_an_application_runs_on_it(tmp_path):
    clock = FakeClock()
    ours, theirs = (Entitlements(DbmStore(tmp_path / "payaid"), catalog=CATALOG, clock=clock) for _ in range(2))
    assert not ours.check("acme", "crm.export").allowed

    change = theirs.admin("sales").subscribe("acme", "pro")

    assert ours.tenant("acme", after=change.revision).check("crm.export").allowed
    assert theirs.check("acme", "crm.export").allowed


def test_a_place_that_is_not_there_is_an_outage(tmp_path):
    with pytest.raises(StoreUnavailable):
        DbmStore(tmp_path / "nowhere" / "payaid").prepare()


def test_who_keeps_it_to_himself_for_too_long_is_an_outage(store, tmp_path):
    store.prepare()
    with (tmp_path / "payaid.lock").open("a") as lock, within(0.0):
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable):
            store.read(["acme"])


@pytest.mark.parametrize("line", [b"nonsense", None], ids=["no line", "of something else"])
def test_what_cannot_be_read_opens_nothing(store, tmp_path, line):
    ent = Entitlements(store, catalog=CATALOG)
    ent.admin("sales").subscribe("acme", "pro")
    ent.admin("operator").kill("crm")
    with closing(dbm.dumb.open(str(tmp_path / "payaid"), "c")) as file:
        file[TENANT + b"acme"] = line or file[CONTROLS]

    with pytest.raises(StoreDamaged):
        store.read(["acme"])

    decision = Entitlements(store).check("acme", "crm.export")
    assert (decision.allowed, decision.reason) == (False, Reason.STORE_UNAVAILABLE)
