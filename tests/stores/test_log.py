"""The change log under slow writers, between two reads, and after its beginning was cut off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import event, text

from payaid_entitlements.stores.ports import LogPage
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.testing.contracts.writes import at_once, tenant_write, whole_log


def _put(store, tenant, tx=None):
    return store.apply(tenant_write(tenant), expect=0, actor="asha", because=None, tx=tx)


def _slow_writers(database_url, engine, writers: int, times: int) -> None:
    """
    Hosts whose transactions do other work before and after ours, and one reader who must see every change.

    With positions from an identity column, such a reader lost a quarter of them: a number is taken early, appears
    late, and the reader has passed it.
    """
    store = SQLStore(database_url)
    with engine.begin() as tx:
        tx.execute(text("CREATE TABLE work (id VARCHAR(40))"))
    done = threading.Event()
    seen: list[tuple[int, str | None]] = []

    def read() -> None:
        position, is_last = 0, False
        while not is_last:
            is_last = done.is_set()
            page = store.changes_since(position)
            assert not page.gap
            seen.extend((entry.position, entry.tenant) for entry in page.entries)
            position = page.position

    def write(writer: int) -> None:
        for number in range(times):
            with engine.begin() as tx:
                name = f"{writer}-{number}"
                tx.execute(text("INSERT INTO work VALUES (:id)"), {"id": name})
                _put(store, name, tx)
                if number % 3 == 0:
                    time.sleep(0.003)  # the host's other work, between ours and its commit

    reader = threading.Thread(target=read)
    reader.start()
    outcomes = at_once([lambda writer=writer: write(writer) for writer in range(writers)])
    done.set()
    reader.join()
    assert outcomes == [None] * writers
    assert [position for position, _ in seen] == list(range(1, writers * times + 1))
    assert sorted(name for _, name in seen) == sorted(f"{w}-{n}" for w in range(writers) for n in range(times))
    store.close()


def test_no_change_of_slow_writers_is_skipped(database_url, host_engine):
    _slow_writers(database_url, host_engine, writers=4, times=12)


@pytest.mark.soak
def test_no_change_of_slow_writers_is_ever_skipped(database_url, host_engine):
    _slow_writers(database_url, host_engine, writers=4, times=300)


def _between(opened, part: str, act: Callable[[], object]) -> None:
    """Do *act* once, just before a statement about *part* is sent."""
    is_done = []

    def before(connection, cursor, statement, *rest):
        if part in statement and not is_done:
            is_done.append(True)
            act()

    event.listen(opened.engine, "before_cursor_execute", before)


def test_a_change_between_the_two_reads_is_not_skipped(opened, database_url):
    """The reader found nothing new, somebody committed, and then it asked where the log ends."""
    other = SQLStore(database_url)
    position = _put(other, "acme").position
    _between(opened, "payaid_sequencer", lambda: _put(other, "beta"))
    page = opened.store.changes_since(position)
    assert [entry.tenant for entry in page.entries] == ["beta"]
    assert page.position == position + 1
    other.close()


def test_a_log_whose_beginning_was_cut_off_says_so(opened, engine_on, database_url):
    for number in range(6):
        _put(opened.store, f"tenant-{number}")
    with engine_on(database_url).begin() as connection:
        connection.execute(text("DELETE FROM payaid_changes WHERE position <= 4"))
    assert not opened.store.changes_since(4).gap
    for position in (0, 3):
        page = opened.store.changes_since(position)
        assert (page.gap, page.position, [entry.position for entry in page.entries]) == (True, 6, [5, 6])
    assert len(whole_log(opened.store, 4)) == 2


def test_a_log_that_was_emptied_says_so(opened, engine_on, database_url):
    for number in range(3):
        _put(opened.store, f"tenant-{number}")
    with engine_on(database_url).begin() as connection:
        connection.execute(text("DELETE FROM payaid_changes"))
    assert opened.store.changes_since(1) == LogPage((), 3, gap=True)
    assert opened.store.changes_since(3) == LogPage((), 3)


def test_a_backup_that_was_restored_is_noticed(opened, engine_on, database_url):
    for number in range(3):
        _put(opened.store, f"tenant-{number}")
    with engine_on(database_url).begin() as connection:
        connection.execute(text("DELETE FROM payaid_changes WHERE position > 1"))
        connection.execute(text("UPDATE payaid_sequencer SET position = 1"))
    assert opened.store.changes_since(3) == LogPage((), 1, gap=True)
