"""Contract: a store that can tell of changes as they happen tells of each, once it is there for everybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from payaid_entitlements.stores.channel import Wire
from payaid_entitlements.stores.ports import LogEntry, Scope, Store
from payaid_entitlements.testing.contracts.writes import catalog_write, controls_write, tenant_write

#: Seconds that a message may take on a machine that does much else.
LONGEST = 20.0


class Telling:
    """`Channel` and `Wire`, where the store's attribute ``channel`` is one; else the tests have nothing to ask."""

    @pytest.fixture
    def wire(self, store: Store) -> Iterator[Wire | None]:
        """A wire of the store's channel; None where it has none."""
        channel = getattr(store, "channel", None)
        wire = None if channel is None else channel.connect()
        yield wire
        if wire is not None:
            wire.close()

    def test_a_channel_tells_of_each_change_in_its_order(self, store: Store, wire: Wire | None) -> None:
        if wire is None:
            return
        first = tenant_write("acme")
        places = [
            store.apply(write, expect=expect, actor="asha", because=None).position
            for write, expect in ((first, 0), (catalog_write(), 0), (controls_write(), 0))
        ]
        assert _told(wire, 3) == [
            LogEntry(places[0], Scope.TENANT, "acme", 1),
            LogEntry(places[1], Scope.CATALOG, None, 1),
            LogEntry(places[2], Scope.CONTROLS, None, 1),
        ]
        assert list(wire.next(0.0)) == []

    def test_what_a_channel_tells_of_can_be_read(self, store: Store, wire: Wire | None) -> None:
        if wire is None:
            return
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        assert [entry.revision for entry in _told(wire, 1) if entry is not None] == [1]
        assert store.read(["acme"])["acme"].revision == 1

    def test_a_wire_says_where_the_log_ends(self, store: Store, wire: Wire | None) -> None:
        if wire is None:
            return
        applied = store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        head = wire.head()
        assert head is not None
        assert (head[0], head[1] >= 0) == (applied.position, True)
        # Asking does not swallow what was told meanwhile.
        assert [entry.position for entry in _told(wire, 1) if entry is not None] == [applied.position]

    def test_a_wire_waits_no_longer_than_it_may(self, wire: Wire | None) -> None:
        if wire is None:
            return
        began = time.monotonic()
        assert list(wire.next(0.05)) == []
        assert time.monotonic() - began < LONGEST

    def test_another_thread_ends_the_waiting_of_a_wire(self, wire: Wire | None) -> None:
        if wire is None:
            return
        threading.Timer(0.05, wire.interrupt).start()
        began = time.monotonic()
        with pytest.raises(Exception):  # noqa: B017 # any that a driver has
            while True:
                wire.next(LONGEST)
        assert time.monotonic() - began < LONGEST


def _told(wire: Wire, count: int) -> list[LogEntry | None]:
    """The next messages, as many as are awaited."""
    found: list[LogEntry | None] = []
    end = time.monotonic() + LONGEST
    while len(found) < count:
        assert time.monotonic() < end, f"told of {found} only"
        found += wire.next(0.5)
    return found
