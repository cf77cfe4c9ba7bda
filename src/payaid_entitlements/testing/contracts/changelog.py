"""Contract: the change log shows each committed change, once, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from payaid_entitlements.stores.ports import LogEntry, LogPage, Scope, Store
from payaid_entitlements.testing.contracts.writes import (
    at_once,
    catalog_write,
    controls_write,
    tenant_write,
    whole_log,
)


class ChangeLog:
    """`Store.changes_since`."""

    def test_it_says_where_it_ends(self, store: Store) -> None:
        begun = store.changes_since(None)
        assert (begun.entries, begun.gap, begun.more) == ((), False, False)
        applied = store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        assert store.changes_since(None) == LogPage((), applied.position)
        assert store.changes_since(begun.position).position == applied.position

    def test_a_line_says_what_was_changed(self, store: Store) -> None:
        places = [
            store.apply(write, expect=0, actor="asha", because=None).position
            for write in (catalog_write(), tenant_write("acme"), controls_write())
        ]
        assert whole_log(store) == [
            LogEntry(places[0], Scope.CATALOG, None, 1),
            LogEntry(places[1], Scope.TENANT, "acme", 1),
            LogEntry(places[2], Scope.CONTROLS, None, 1),
        ]

    def test_it_is_read_in_pages(self, store: Store) -> None:
        begun = store.changes_since(None).position
        places = [
            store.apply(tenant_write(f"tenant-{number}"), expect=0, actor="asha", because=None).position
            for number in range(6)
        ]
        first = store.changes_since(begun, limit=4)
        assert [entry.position for entry in first.entries] == places[:4]
        assert not first.gap, "a reader that has missed nothing is told to forget: are there holes between positions?"
        assert (first.position, first.gap, first.more) == (places[3], False, True)
        second = store.changes_since(first.position, limit=4)
        assert [entry.position for entry in second.entries] == places[4:]
        assert (second.position, second.gap, second.more) == (places[5], False, False)

    def test_a_page_that_is_full_at_the_end_is_the_last(self, store: Store) -> None:
        begun = store.changes_since(None).position
        for number in range(3):
            store.apply(tenant_write(f"tenant-{number}"), expect=0, actor="asha", because=None)
        assert store.changes_since(begun, limit=3).more is False

    def test_at_the_end_there_is_nothing(self, store: Store) -> None:
        applied = store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        assert store.changes_since(applied.position) == LogPage((), applied.position)

    def test_a_reader_who_is_ahead_of_the_log_must_forget(self, store: Store) -> None:
        applied = store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        assert store.changes_since(applied.position + 5) == LogPage((), applied.position, gap=True)

    def test_none_is_skipped_while_others_write(self, store: Store, open_store: Callable[[], Store]) -> None:
        begun = store.changes_since(None).position
        done = threading.Event()
        seen: list[LogEntry] = []

        def read() -> None:
            position, is_last = begun, False
            while not is_last:
                is_last = done.is_set()
                more = True
                while more:
                    page = store.changes_since(position, limit=3)
                    assert not page.gap
                    seen.extend(page.entries)
                    position, more = page.position, page.more

        def write(client: Store, name: str) -> list[int]:
            known, places = None, []
            for revision in range(8):
                write = tenant_write(name, known)
                places.append(client.apply(write, expect=revision, actor="asha", because=None).position)
                known = write.document
            return places

        reader = threading.Thread(target=read)
        reader.start()
        written = at_once([partial(write, open_store(), f"tenant-{number}") for number in range(4)])
        done.set()
        reader.join()
        assert [outcome for outcome in written if isinstance(outcome, Exception)] == []
        places = sorted(place for outcome in written if not isinstance(outcome, Exception) for place in outcome)
        assert [entry.position for entry in seen] == places
        for number in range(4):
            revisions = [entry.revision for entry in seen if entry.tenant == f"tenant-{number}"]
            assert revisions == list(range(1, 9))
