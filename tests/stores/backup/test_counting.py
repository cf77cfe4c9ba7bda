"""What is used moves too: from every ledger to every other one, before all else, and anew where it was broken off."""

import io

import pytest

from payaid_entitlements.core.metering.posting import Assign, Debit, Hold, Line, Refund, Settle
from payaid_entitlements.errors import BackupInvalid, ConfigurationError, StoreIncomplete, StoreNotEmpty
from payaid_entitlements.stores.backup import export_to, import_from, verify, walking
from payaid_entitlements.stores.backup.counting import KeptEntries, KeptUsage
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.memory_ledger import MemoryLedger
from payaid_entitlements.stores.opening import open_store
from tests.stores.backup.conftest import change, written

LINES = (Line("api", "w1", 100), Line("api", "g1", 2**53 - 1, 3))
AGES = 2**50  # so long are holds kept, by any ledger's clock


def used(ledger, tenant="acme"):
    def post(posting, operation=None):
        return ledger.post(tenant, [posting], operation=operation, digest=operation)

    post(Debit("api", 120, LINES), "o1")
    post(Debit("api", 1, LINES), '["o",2]')
    post(Refund('["o",2]'))
    post(Hold(Debit("api", 5, LINES), AGES), "h1")
    post(Hold(Debit("api", 4, LINES), AGES), "h2")
    post(Settle("h2", 3))
    post(Assign("seats", "ann", 5, expires_in=AGES))
    post(Assign("seats", "ben", None))


def known(ledger):
    """All that a ledger keeps, whatever order it gives it in."""
    found = {}
    for tenant in ledger.tenants():
        book = ledger.book(tenant)
        found[tenant] = [
            sorted(book.accounts, key=repr),
            sorted(book.holds, key=repr),
            sorted(book.slots, key=repr),
            list(ledger.entries(tenant)),
        ]
    return found


@pytest.fixture
def source(full):
    for tenant in ("acme", "ä:{🙂}"):
        used(full.ledger, tenant)
    return full


@pytest.mark.parametrize("place", ["sqlite_url", "migrated_url", "mariadb_url", "redis_url", "redis_cluster_url"])
def test_usage_moves_to_every_ledger_and_back(request, place, source):
    url = request.getfixturevalue(place)
    there = open_store(url)
    if place == "mariadb_url":
        there.upgrade()
    content = import_from(there, io.BytesIO(written(source)))
    assert content.metered == 2
    assert known(there.ledger) == known(source.ledger)
    again = there.ledger.post("acme", [Debit("api", 120, LINES)], operation="o1", digest="o1")
    assert again.replayed
    back = MemoryStore()
    import_from(back, io.BytesIO(written(there)))
    assert known(back.ledger) == known(source.ledger)
    there.close()


def test_a_thousand_acts_move_in_pages(full):
    for number in range(1001):
        full.ledger.post("acme", [Debit("api", 1, LINES)], operation=f"o{number:04}", digest="d")
    there = MemoryStore()
    import_from(there, io.BytesIO(written(full)))
    assert known(there.ledger) == known(full.ledger)


def test_what_an_attempt_before_has_written_is_forgotten(source):
    there = MemoryStore()
    used(there.ledger)
    there.ledger.post("acme", [Debit("api", 1, LINES)], operation="of another file", digest="d")
    import_from(there, io.BytesIO(written(source)))
    assert known(there.ledger) == known(source.ledger)


def test_a_store_that_is_in_use_keeps_what_it_counts(source):
    there = MemoryStore()
    change(there, "beta")
    there.ledger.post("acme", [Debit("api", 1, LINES)], operation="o9", digest="d")
    before = known(there.ledger)
    with pytest.raises(StoreNotEmpty):
        import_from(there, io.BytesIO(written(source)))
    assert known(there.ledger) == before


def test_a_ledger_elsewhere_is_written_and_read_when_it_is_named(full):
    ledger, file = MemoryLedger(), io.BytesIO()
    used(ledger, "beta")
    export_to(full, file, ledger=ledger)
    there, counts = MemoryStore(), MemoryLedger()
    import_from(there, io.BytesIO(file.getvalue()), ledger=counts)
    assert known(counts) == known(ledger)
    assert known(there.ledger) == {}


def test_without_a_ledger_there_is_no_place_for_usage(source):
    there = MemoryStore()
    there.ledger = None
    with pytest.raises(ConfigurationError, match="no ledger"):
        import_from(there, io.BytesIO(written(source)))
    assert there.changes_since(None).position == 0
    change(there, "beta")
    assert verify(io.BytesIO(written(there))).metered == 0


def test_usage_behind_the_store_is_no_backup(source, monkeypatch):
    def late(ledger):
        return iter(())

    usage = [KeptUsage("acme", source.ledger.book("acme")), KeptEntries("acme", tuple(source.ledger.entries("acme")))]
    monkeypatch.setattr("payaid_entitlements.stores.backup.files.counted", late)

    def walked(store):
        yield from walking.walked(store)
        yield usage

    monkeypatch.setattr("payaid_entitlements.stores.backup.files.walked", walked)
    content = written(source)
    with pytest.raises(BackupInvalid, match="not in its place"):
        import_from(MemoryStore(), io.BytesIO(content))


def test_a_backup_of_usage_alone_leaves_the_store_empty():
    store, there = MemoryStore(), MemoryStore()
    used(store.ledger)
    import_from(there, io.BytesIO(written(store)))
    assert known(there.ledger) == known(store.ledger)
    assert there.changes_since(None).position == 0


def test_what_was_broken_off_is_begun_anew_with_its_usage(source, monkeypatch):
    there = MemoryStore()

    def broken(position, *, limit=1000):
        raise StoreIncomplete("it was broken off")

    monkeypatch.setattr(there, "changes_since", broken)
    import_from(there, io.BytesIO(written(source)))
    assert known(there.ledger) == known(source.ledger)
