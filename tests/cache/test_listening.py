"""The thread that hears of changes: it decides nothing, survives everything, and ends with its client."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
import time
import weakref
from collections.abc import Sequence

import pytest

from payaid_entitlements.cache import listening
from payaid_entitlements.cache.listening import Listener, Listening
from payaid_entitlements.cache.local import NEVER, POLL_AFTER
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ports import LogEntry, Scope
from tests.waiting import until

#: Seconds that something may take which happens at once on a quiet machine.
LONGEST = 20.0


def line(position: int, tenant: str | None = "acme") -> LogEntry:
    return LogEntry(position, Scope.TENANT if tenant else Scope.CATALOG, tenant, 2)


class TestWire:
    """A wire that says what a test wants, and then waits."""

    __test__ = False

    def __init__(self, channel: TestChannel) -> None:
        self.channel = channel
        self.said: queue.SimpleQueue[Sequence[LogEntry | None] | Exception] = queue.SimpleQueue()
        self.is_closed = False

    def next(self, timeout: float) -> Sequence[LogEntry | None]:
        try:
            said = self.said.get(timeout=timeout)
        except queue.Empty:
            return ()
        if isinstance(said, Exception):
            raise said
        return said

    def head(self) -> tuple[int, float] | None:
        self.channel.beats += 1
        found = self.channel.end
        if isinstance(found, Exception):
            raise found
        return found

    def interrupt(self) -> None:
        self.said.put(ConnectionError("interrupted"))

    def close(self) -> None:
        self.is_closed = True
        raise OSError("closing fails too")


class TestChannel:
    """A channel of such wires."""

    __test__ = False

    def __init__(self) -> None:
        self.end: tuple[int, float] | Exception | None = (7, 0.0)
        self.refusals: list[Exception] = []
        self.wires: list[TestWire] = []
        self.beats = 0
        self.tries = 0

    def connect(self) -> TestWire:
        self.tries += 1
        if self.refusals:
            raise self.refusals.pop(0)
        self.wires.append(TestWire(self))
        return self.wires[-1]

    def say(self, *lines: LogEntry | None) -> None:
        self.wires[-1].said.put(lines)

    def fail(self, error: Exception | None = None) -> None:
        self.wires[-1].said.put(error or ConnectionError("reset by peer"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Beats and pauses of a hundredth of what they are."""
    monkeypatch.setattr(listening, "BEAT", 0.01)
    monkeypatch.setattr(listening, "GRACE", 0.02)
    monkeypatch.setattr(listening, "BACKOFF", 0.001)


@pytest.fixture
def channel() -> TestChannel:
    return TestChannel()


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def listener(channel, near, tally, hand):
    near.reach(7)
    near.extend(hand.now)
    made = Listener(channel, near, tally)
    yield made
    made.close()
    until(lambda: not [each for each in threading.enumerate() if each.name == "payaid-channel"])


def test_nothing_happens_before_it_is_started(listener, channel):
    before = threading.active_count()
    assert listener.status == Listening(False, 0.0, None, 0)
    assert channel.tries == 0
    assert threading.active_count() == before


def test_one_thread_and_one_connection(listener, channel):
    before = threading.active_count()
    for _ in range(3):
        listener.start()
    until(lambda: channel.beats > 2)
    assert threading.active_count() == before + 1
    assert len(channel.wires) == 1


def test_what_is_heard_is_taken_in(listener, channel, near):
    listener.start()
    until(lambda: channel.wires)
    channel.end = (9, 0.0)
    channel.say(line(8), line(9))
    until(lambda: near.position == 9)


def test_while_all_is_known_no_question_pays_for_a_reading_of_the_log(listener, channel, near, hand):
    listener.start()
    hand.advance(1.5)
    until(lambda: near.lease == hand.now + POLL_AFTER)
    hand.advance(1.5)
    until(lambda: near.lease == hand.now + POLL_AFTER)
    assert listener.status.connected
    assert listener.status.heartbeat < LONGEST
    assert listener.status.reconnects == 0


def test_the_end_as_somebody_else_has_read_it_vouches_from_then_on(listener, channel, near, hand):
    """Behind a shared layer the end of the log is told with its age."""
    channel.end = (7, 0.4)
    hand.advance(1.0)
    listener.start()
    until(lambda: near.confirmed == hand.now - 0.4)


def test_an_end_that_is_not_known_vouches_for_nothing(listener, channel, near, hand):
    channel.end = None
    hand.advance(1.0)
    listener.start()
    until(lambda: channel.beats > 3)
    assert near.lease == hand.now - 1.0 + POLL_AFTER
    assert listener.status.connected


def test_a_message_may_come_a_little_later_than_the_end_is_read(listener, channel, near, hand, tally, monkeypatch):
    monkeypatch.setattr(listening, "GRACE", LONGEST)
    listener.start()
    until(lambda: listener.status.connected)
    beats = channel.beats
    channel.end = (8, 0.0)
    until(lambda: channel.beats > beats)
    hand.advance(1.0)
    channel.say(line(8))
    until(lambda: near.lease == hand.now + POLL_AFTER)
    assert tally.counts() == {}


def test_a_message_that_was_swallowed_is_missed_within_a_heartbeat(listener, channel, near, tally):
    """Answers end, they are not prolonged: the next question reads the log."""
    listener.start()
    until(lambda: listener.status.connected)
    channel.end = (8, 0.0)
    until(lambda: near.lease == NEVER)
    until(lambda: len(channel.wires) == 2)
    assert channel.wires[0].is_closed
    assert tally.counts() == {("channel.lost_messages",): 1}
    # Nobody asks: it is not found again and again.
    beats = channel.beats
    until(lambda: channel.beats > beats + 3)
    assert len(channel.wires) == 2


def test_what_was_written_before_anybody_listened_was_not_swallowed(listener, channel, near, tally):
    channel.end = (8, 0.0)
    listener.start()
    until(lambda: listener.status.connected)
    assert near.lease == NEVER
    assert tally.counts() == {}
    assert len(channel.wires) == 1


def test_a_log_that_ends_before_what_is_known_was_cut(listener, channel, near, tally):
    """As by a backup that was restored: whoever reads the log then drops everything."""
    listener.start()
    until(lambda: listener.status.connected)
    channel.end = (3, 0.0)
    until(lambda: near.lease == NEVER)
    assert near.position == 7
    assert tally.counts() == {}


def test_what_was_told_while_nobody_listened_is_in_the_log(listener, channel, near, tally, caplog):
    listener.start()
    until(lambda: listener.status.connected)
    channel.fail()
    until(lambda: listener.status.reconnects == 1)
    assert near.lease == NEVER
    assert channel.wires[0].is_closed
    assert tally.counts() == {("channel.disconnected",): 1}
    assert caplog.text.count("channel.disconnected") == 1


def test_who_cannot_connect_tries_again_and_says_so_once(listener, channel, near, tally, caplog):
    channel.refusals = [OSError("no route")] * 6
    listener.start()
    until(lambda: listener.status.connected)
    assert channel.tries == 7
    assert tally.counts() == {("channel.disconnected",): 6}
    assert caplog.text.count("channel.disconnected") == 1
    assert listener.status.reconnects == 0


def test_pauses_grow_and_are_spread(listener, channel, near, monkeypatch):
    pauses: list[float] = []

    class Bell(queue.SimpleQueue):
        def get(self, block: bool = True, timeout: float | None = None) -> None:
            if threading.current_thread().name == "payaid-channel" and len(pauses) < 9:
                pauses.append(timeout)
                raise queue.Empty
            return super().get(block, timeout)

    monkeypatch.setattr(listening.queue, "SimpleQueue", Bell)
    monkeypatch.setattr(listening, "BACKOFF", 0.1)
    channel.refusals = [OSError("no route")] * 9
    listener.start()
    until(lambda: len(pauses) == 9)
    for number, pause in enumerate(pauses, start=1):
        longest = min(5.0, 0.1 * 2**number)
        assert longest / 2 <= pause <= longest
    assert len({pause / 2**number for number, pause in enumerate(pauses)}) > 1


def test_a_wire_that_held_is_replaced_at_once(listener, channel, near, monkeypatch):
    monkeypatch.setattr(listening, "GOOD_AFTER", 0.0)
    monkeypatch.setattr(listening, "BACKOFF", 0.05)
    listener.start()
    began = time.monotonic()
    for number in range(1, 6):
        until(lambda number=number: len(channel.wires) == number and listener.status.connected)
        channel.fail()
        until(lambda number=number: len(channel.wires) == number + 1)
    assert time.monotonic() - began < 5 * 0.05 + LONGEST


def test_a_wire_that_loses_messages_is_no_good_one(listener, channel, near, monkeypatch, hand):
    """It holds, and the next one will lose them too: a pooler is in between. Pauses grow."""
    monkeypatch.setattr(listening, "GOOD_AFTER", 0.0)
    monkeypatch.setattr(listening, "BACKOFF", 0.05)
    listener.start()
    until(lambda: listener.status.connected)
    began = time.monotonic()
    for position in (8, 9, 10):
        channel.end = (position, 0.0)
        until(lambda position=position: len(channel.wires) == position - 6 and listener.status.connected)
        near.reach(position)
        near.extend(hand.now, near.doubts)
    assert time.monotonic() - began > 0.05 * (2 + 4 + 8) / 2


def test_what_can_never_be_is_not_tried_again(listener, channel, tally):
    channel.refusals = [ConfigurationError("psycopg is missing")]
    listener.start()
    until(lambda: not listener._line.thread.is_alive())
    assert channel.tries == 1
    assert tally.counts() == {("channel.disconnected",): 1}
    listener.start()
    until(lambda: listener.status.connected)


def test_any_error_is_survived(listener, channel, near):
    listener.start()
    for number, error in enumerate([ValueError("?"), RecursionError(), MemoryError(), ZeroDivisionError()], start=1):
        until(lambda number=number: len(channel.wires) == number and listener.status.connected)
        channel.fail(error)
    until(lambda: len(channel.wires) == 5 and listener.status.connected)


def test_an_observer_that_fails_is_survived(near, channel):
    class Broken(Tally):
        def count(self, name: str, *labels: str) -> None:
            raise RuntimeError("the counter is broken")

    listener = Listener(channel, near, Broken())
    channel.refusals = [OSError("no route")] * 3
    listener.start()
    until(lambda: listener.status.connected)
    listener.close()


def test_closing_ends_it_at_once_and_it_can_be_started_again(listener, channel):
    listener.start()
    until(lambda: listener.status.connected)
    thread = listener._line.thread
    began = time.monotonic()
    listener.close()
    assert time.monotonic() - began < 1.0
    assert not thread.is_alive()
    assert channel.wires[0].is_closed
    listener.close()
    assert listener.status == Listening(False, 0.0, None, 0)

    listener.start()
    until(lambda: listener.status.connected)
    assert len(channel.wires) == 2


def test_closing_while_it_waits_to_connect_again(listener, channel, monkeypatch):
    monkeypatch.setattr(listening, "BACKOFF", 100.0)
    channel.refusals = [OSError("no route")]
    listener.start()
    until(lambda: channel.tries)
    thread = listener._line.thread
    listener.close()
    until(lambda: not thread.is_alive())
    assert channel.tries == 1


def test_closing_while_it_connects(listener, channel, monkeypatch):
    """A connection that is being made is not waited for; it ends as soon as it is there."""
    monkeypatch.setattr(listening, "PATIENCE", 0.01)
    is_late, goes_on = threading.Event(), threading.Event()
    connect = channel.connect

    def late() -> TestWire:
        is_late.set()
        goes_on.wait(LONGEST)
        return connect()

    monkeypatch.setattr(channel, "connect", late)
    listener.start()
    assert is_late.wait(LONGEST)
    thread = listener._line.thread
    listener.close()
    assert thread.is_alive()
    goes_on.set()
    until(lambda: not thread.is_alive())
    assert channel.beats == 0
    assert channel.wires[0].is_closed


def test_closing_awaited(listener, channel):
    async def closed() -> float:
        began = time.monotonic()
        await listener.aclose()
        await listener.aclose()
        return time.monotonic() - began

    listener.start()
    until(lambda: listener.status.connected)
    thread = listener._line.thread
    assert asyncio.run(closed()) < 1.0
    assert not thread.is_alive()


def test_an_observer_may_close_the_client(near, channel):
    class Closing(Tally):
        def once(self, event: str, **fields: object) -> None:
            listener.close()

    listener = Listener(channel, near, Closing())
    listener.start()
    until(lambda: listener.status.connected)
    thread = listener._line.thread
    channel.fail()
    until(lambda: not thread.is_alive())


def test_nobody_is_told_of_what_goes_wrong_after_the_end(listener, channel, tally):
    listener.start()
    until(lambda: listener.status.connected)
    listener.close()
    assert tally.counts() == {}


def test_a_client_that_is_given_up_ends_it(near, channel, tally):
    """Nobody closed it. The thread refers to the cache, and not to what owns it."""
    listener = Listener(channel, near, tally)
    listener.start()
    line, gone = listener._line, weakref.ref(listener)
    until(lambda: line.status.connected)
    del listener
    gc.collect()
    assert gone() is None
    until(lambda: not line.thread.is_alive())
    assert channel.wires[0].is_closed
    assert tally.counts() == {}


def test_a_machine_without_room_for_a_thread_reads_the_log(listener, channel, near, caplog, monkeypatch):
    def refuses(self) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as only_here:
        only_here.setattr(threading.Thread, "start", refuses)
        listener.start()
    assert "channel.no_thread" in caplog.text
    assert not listener.status.connected
    listener.start()
    until(lambda: listener.status.connected)


def test_the_child_of_a_fork_leaves_the_parents_line_alone(listener, channel, monkeypatch):
    """What ends there must not end the parent's connection, which is the same one."""
    listener.start()
    until(lambda: listener.status.connected)
    line, process = listener._line, listening.os.getpid()
    monkeypatch.setattr(listening.os, "getpid", lambda: process + 1)
    line.end()
    listener._forget()
    assert not listener.status.connected
    listener.close()
    monkeypatch.undo()
    beats = channel.beats
    until(lambda: channel.beats > beats)
    line.end()
    line.thread.join()


def test_status_says_for_how_long(listener, channel):
    listener.start()
    until(lambda: listener.status.connected)
    connected = listener.status.seconds
    until(lambda: listener.status.seconds > connected + 0.01)
    channel.refusals = [OSError("no route")] * 2
    channel.fail()
    until(lambda: not listener.status.connected)
    until(lambda: listener.status.connected)
    assert listener.status.reconnects == 1
