"""
The thread that hears of changes as they happen, one for each client of a store that can tell of them.

It decides nothing. What it hears is taken in by `LocalCache.hear`; once a second it reads through the same wire where
the change log ends, and if all up to there is known, the lease goes on without a question having to pay for it.
Whatever goes wrong here costs readings of the log by whoever asks, and never makes an answer older.

The first question starts it. It holds no reference to its client: it ends when that is closed or given up.
"""

from __future__ import annotations

import asyncio
import os
import queue
import random
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from payaid_entitlements.cache.local import LocalCache
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.channel import Channel, Wire

#: Seconds between two readings of where the change log ends.
BEAT: Final = 1.0
#: Seconds within which a message follows the change that it tells of.
GRACE: Final = 0.2
#: Seconds before it is tried again to connect, at first and at most; less some of it, at random, so that a thousand
#: processes do not come back at once.
BACKOFF, LONGEST_BACKOFF = 0.1, 5.0
#: Seconds after which a wire that held was a good one, if it did not lose messages: the next one is made at once.
GOOD_AFTER: Final = 0.5
#: Seconds for which closing waits for the thread. Only a connection that is being made takes longer; it ends then.
PATIENCE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Listening:
    """
    How hearing of changes goes.

    Attributes:
        connected: Changes are heard of as they happen; else the change log is read every 2 seconds.
        seconds: For how long it has been so.
        heartbeat: Seconds since the end of the change log was last read through the wire; None when it never was.
        reconnects: How many times a connection was made again.
    """

    connected: bool
    seconds: float
    heartbeat: float | None
    reconnects: int


class LostMessages(Exception):
    """The log has a line of which nobody told, though that was to be heard."""


class Listener:
    """
    Hears of changes for one client.

    Args:
        channel: How the store tells of them.
        near: What they are about.
        observer: Is told what goes wrong. Must not raise.
    """

    def __init__(self, channel: Channel, near: LocalCache, observer: Observer) -> None:
        self._channel = channel
        self._near = near
        self._observer = observer
        self._line: _Line | None = None
        self._forget()
        after_fork(self._forget)

    def _forget(self) -> None:
        # After a fork the thread does not exist, and its connection is the parent's: it is kept, since to let it go
        # might end it.
        self._inherited, self._line = self._line, None
        self._lock = threading.Lock()

    @property
    def status(self) -> Listening:
        """How it goes; a client that nobody has asked yet is not connected."""
        line = self._line
        return Listening(False, 0.0, None, 0) if line is None else line.status

    def start(self) -> None:
        """Begin to listen, in a thread, unless one listens."""
        with self._lock:
            if self._line is not None and self._line.thread.is_alive():
                return
            line = _Line(self._channel, self._near, weakref.WeakMethod(self._fails))
            try:
                line.thread.start()
            except RuntimeError as error:
                # There are too many, or the interpreter is about to end. Whoever asks reads the log.
                self._observer.once("channel.no_thread", store_error=str(error))
                return
            self._line = line
            # Not also when the interpreter ends: a daemon is not waited for.
            weakref.finalize(self, line.end).atexit = False

    def close(self) -> None:
        """Listen no more. The next question of a client that is used again starts anew."""
        thread = self._end()
        if thread is not None:
            thread.join(PATIENCE)

    async def aclose(self) -> None:
        """Same as `close`, awaited."""
        thread = self._end()
        deadline = time.monotonic() + PATIENCE
        # A thread's end is no event of a loop.
        while thread is not None and thread.is_alive() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)

    def _end(self) -> threading.Thread | None:
        with self._lock:
            line, self._line = self._line, None
        if line is None:
            return None
        line.end()
        # An observer that closes the client when it hears of trouble does so in this very thread.
        return None if line.thread is threading.current_thread() else line.thread

    def _fails(self, error: Exception) -> None:
        """Say what went wrong: each time to who counts, once to who reads."""
        if isinstance(error, LostMessages):
            self._observer.count("channel.lost_messages")
            self._observer.once(
                "channel.lost_messages",
                store_error=str(error),
                way_out="connect to the server itself, not by a pooler that shares connections between transactions",
            )
        else:
            self._observer.count("channel.disconnected")
            self._observer.once("channel.disconnected", kind=type(error).__name__, store_error=str(error))


class _Line:
    """
    One thread and what it has in hand.

    It knows the cache and not the client, so that a client which nobody refers to any more is given up, and ends it.
    """

    def __init__(
        self, channel: Channel, near: LocalCache, tell: weakref.WeakMethod[Callable[[Exception], None]]
    ) -> None:
        self.thread = threading.Thread(target=self.run, name="payaid-channel", daemon=True)
        self._channel = channel
        self._near = near
        self._tell = tell
        self._process = os.getpid()
        self._is_ended = False
        # Both may be used by a client's end in the middle of their use: the collector of garbage runs where it likes.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._wire: Wire | None = None
        self._is_connected = False
        self._since = time.monotonic()
        self._beat: float | None = None
        self._connections = 0

    @property
    def status(self) -> Listening:
        """How it goes."""
        now, beat = time.monotonic(), self._beat
        return Listening(
            connected=self._is_connected,
            seconds=now - self._since,
            heartbeat=None if beat is None else now - beat,
            reconnects=max(self._connections - 1, 0),
        )

    def end(self) -> None:
        """Let the thread end, at once. Nothing happens in the child of a fork: what is here is the parent's."""
        if self._process != os.getpid():
            return
        self._is_ended = True
        self._bell.put(None)
        with self._lock:
            if self._wire is not None:
                with suppress(Exception):
                    self._wire.interrupt()

    def run(self) -> None:
        """Connect, listen until that fails, and connect again, until the end."""
        failures = 0
        while not self._is_ended:
            try:
                self._listen()
            except ConfigurationError as error:
                self._fails(error)
                return
            except Exception as error:  # whatever it is, listening goes on
                held = self.status
                is_good = held.connected and held.seconds > GOOD_AFTER and not isinstance(error, LostMessages)
                failures = 0 if is_good else failures + 1
                self._fails(error)
            pause = min(LONGEST_BACKOFF, BACKOFF * 2 ** min(failures, 10))
            with suppress(queue.Empty):
                self._bell.get(timeout=pause * random.uniform(0.5, 1.0))

    def _fails(self, error: Exception) -> None:
        self._turns(False)
        # What was told while nobody listened is in the log.
        self._near.doubt()
        tell = self._tell()
        if tell is not None and not self._is_ended:
            with suppress(Exception):
                tell(error)

    def _turns(self, connected: bool) -> None:
        if connected is not self._is_connected:
            self._is_connected = connected
            self._since = time.monotonic()
            self._connections += connected

    def _listen(self) -> None:
        wire = self._channel.connect()
        try:
            with self._lock:
                self._wire = wire
            beat_at = time.monotonic()
            # The end may have come before there was a wire to interrupt.
            while not self._is_ended:
                pause = beat_at - time.monotonic()
                if pause <= 0:
                    beat_at = time.monotonic() + BEAT
                    self._read_head(wire)
                    self._turns(True)
                else:
                    self._hear(wire, pause)
        finally:
            with self._lock:
                self._wire = None
            with suppress(Exception):
                wire.close()

    def _hear(self, wire: Wire, seconds: float) -> None:
        for entry in wire.next(seconds):
            self._near.hear(entry)

    def _read_head(self, wire: Wire) -> None:
        """
        Read where the log ends. If all up to there is known here, then what is near was true when it was asked.

        Raises:
            LostMessages: It is not, and no message about it comes.
        """
        near = self._near
        asked_at, position = near.clock(), near.position
        head = wire.head()
        self._beat = time.monotonic()
        if head is None:
            return
        end, age = head
        if position is not None and end < position:
            # The log was cut, as by a backup that was restored. Whoever reads it drops everything.
            near.doubt()
            return
        deadline = self._beat + GRACE
        while not near.extend_at(end, asked_at - age):
            pause = deadline - time.monotonic()
            if not self._is_connected:
                # It was written before anybody listened on this wire.
                near.doubt()
            elif pause <= 0:
                raise LostMessages(f"the change log ends at {end} and nobody told of what is behind {near.position}")
            else:
                self._hear(wire, pause)
