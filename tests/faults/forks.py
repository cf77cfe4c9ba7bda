"""
A parent that is warm and forks, as ``gunicorn --preload`` does, and what its children find.

    python -m tests.faults.forks change URL CHILDREN ROUNDS
    python -m tests.faults.forks locked URL FORKS
    python -m tests.faults.forks outlived URL [1]

Prints JSON: what went wrong, and figures.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import random
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any

from payaid_entitlements import AsyncEntitlements, Decision, Entitlements
from payaid_entitlements.cache.local import LEASE
from tests.faults.apps import CATALOG
from tests.waiting import until

#: Seconds that a child may take.
LONGEST = 120
_HISTORY = struct.Struct("qd")


class Shared:
    """
    What all processes see: for each child, which value it is about to commit, and which it has committed, and when.

    A child writes its own only. It says what it is about to do before it does it, and what it has done afterwards.
    """

    def __init__(self, children: int, rounds: int) -> None:
        self._rounds = rounds
        self._size = 16 + _HISTORY.size * (rounds + 1)
        self._memory = mmap.mmap(-1, self._size * children)

    def begins(self, child: int, value: int) -> None:
        """*value* is about to be committed."""
        struct.pack_into("q", self._memory, child * self._size, value)

    def has(self, child: int, value: int) -> None:
        """*value* has been committed."""
        _HISTORY.pack_into(self._memory, child * self._size + 16 + value * _HISTORY.size, value, time.monotonic())
        struct.pack_into("q", self._memory, child * self._size + 8, value)

    def newest(self, child: int) -> int:
        """What may be seen at most."""
        return int(struct.unpack_from("q", self._memory, child * self._size)[0])

    def overtaken(self, child: int, value: int, asked: float) -> float:
        """For how many seconds there had been something newer than *value* at *asked*; 0 when there was nothing."""
        done = struct.unpack_from("q", self._memory, child * self._size + 8)[0]
        if value >= done:
            return 0.0
        _, at = _HISTORY.unpack_from(self._memory, child * self._size + 16 + (value + 1) * _HISTORY.size)
        return float(max(0.0, asked - at))


def value_of(ent: Entitlements, child: int) -> int:
    """What is said about the tenant of *child*."""
    decision = ent.check(f"t{child}", "crm.page_size")
    assert not decision.degraded, decision.reason
    value = decision.value
    assert isinstance(value, int)
    return value


def change(url: str, children: int, rounds: int) -> dict[str, Any]:
    """Each child changes its own tenant and asks about those of the others, in transactions that stay open a while."""
    ent = Entitlements.open(url, catalog=CATALOG)
    shared = Shared(children, rounds)
    for child in range(children):
        value_of(ent, child)
    hears = ent.health().channel is not None
    while hears and not ent.health().channel.connected:  # type: ignore[union-attr] # just asked
        time.sleep(0.01)
    reading, writing = os.pipe()
    pids = []
    for child in range(children):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                told = json.dumps(of_child(ent, url, shared, child, children, rounds))
                os.write(writing, f"{told}\n".encode())
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    # The parent asks on; its own copy must follow too.
    stops, lags = threading.Event(), [0.0]

    def asks() -> None:
        while not stops.is_set():
            lags.append(lag(ent, shared, random.randrange(children)))

    thread = threading.Thread(target=asks)
    thread.start()
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    stops.set()
    thread.join()
    os.close(writing)
    with os.fdopen(reading) as said:
        told = [json.loads(line) for line in said]
    ent.close()
    everything = sorted([*lags, *(each for one in told for each in one["lags"])])
    return {
        "statuses": statuses,
        "hears": hears,
        "connected": [one["connected"] for one in told],
        "from_the_future": sum(one["from_the_future"] for one in told),
        "was_empty": [one["was_empty"] for one in told],
        "final": [one["final"] for one in told],
        "answers": len(everything),
        "p99": everything[int(len(everything) * 0.99)],
        "most": everything[-1],
    }


def lag(ent: Entitlements, shared: Shared, child: int) -> float:
    """Ask about the tenant of *child*; how old the answer was when it was asked for."""
    asked = time.monotonic()
    return shared.overtaken(child, value_of(ent, child), asked)


def of_child(ent: Entitlements, url: str, shared: Shared, me: int, children: int, rounds: int) -> dict[str, Any]:
    """What one child does and finds."""
    was_empty = ent.peek(f"t{me}", "crm.page_size") is None
    chance, lags, from_the_future = random.Random(me), [], 0
    admin = ent.admin(f"child-{me}", because="test")
    # Of our engine the view for transactions, as a host has: on the other one each statement commits by itself.
    engine = ent._store._writing if url.startswith("postgresql") else None  # type: ignore[attr-defined] # it is SQL
    for value in range(1, rounds + 1):
        with ExitStack() as open_:
            tx = None if engine is None else open_.enter_context(engine.begin())
            if tx is None:
                shared.begins(me, value)
            admin.override(f"t{me}", "crm.page_size", value, **({} if tx is None else {"tx": tx}))
            if tx is not None:
                time.sleep(chance.random() * 0.004)
                # From here on it may be seen, and not a moment before.
                shared.begins(me, value)
        shared.has(me, value)
        for _ in range(4):
            other = chance.randrange(children)
            asked = time.monotonic()
            found = value_of(ent, other)
            from_the_future += found > shared.newest(other)
            lags.append(shared.overtaken(other, found, asked))
    deadline = time.monotonic() + LONGEST
    # The others may still be at it.
    while time.monotonic() < deadline and any(shared.newest(other) != rounds for other in range(children)):
        time.sleep(0.01)
    done = time.monotonic()
    while time.monotonic() < done + LEASE and any(value_of(ent, other) != rounds for other in range(children)):
        time.sleep(0.005)
    final = [value_of(ent, other) for other in range(children)]
    channel = ent.health().channel
    connected = None if channel is None else channel.connected
    ent.close()
    return {
        "was_empty": was_empty,
        "from_the_future": from_the_future,
        "lags": lags,
        "final": final,
        "connected": connected,
    }


def locked(url: str, forks: int) -> dict[str, Any]:
    """Fork again and again while other threads of the parent ask, change and listen; each child asks and ends."""
    ent = Entitlements.open(url, catalog=CATALOG)
    ent.check("acme", "crm.page_size")
    stops = threading.Event()

    def asks(thread: int) -> None:
        number = 0
        while not stops.is_set():
            number += 1
            ent.check(f"cold-{thread}-{number}", "crm.page_size")

    def changes() -> None:
        admin = ent.admin("test", because="test")
        number = 0
        while not stops.is_set():
            number += 1
            admin.override("acme", "crm.page_size", number)
            # The listener and whoever asks take in what happened, under their locks.
            time.sleep(0.001)

    threads = [threading.Thread(target=asks, args=(number,)) for number in range(2)]
    threads.append(threading.Thread(target=changes))
    for thread in threads:
        thread.start()
    statuses = []
    line = None if ent._setting.listener is None else ent._setting.listener._line
    for number in range(forks):
        time.sleep(0.01)
        with ExitStack() as held:
            # Every other time all that can be held is held, by this very thread.
            if number % 2:
                for lock in (
                    ent._near.lock,
                    ent._driver._lock,
                    ent._observer._lock,  # type: ignore[attr-defined] # it is a tally
                    nullcontext() if line is None else ent._setting.listener._lock,  # type: ignore[union-attr]
                    nullcontext() if line is None else line._lock,
                ):
                    held.enter_context(lock)
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    answered(ent, "acme")
                    change = ent.admin("child", because="test").override(f"child-{number}", "crm.page_size", number)
                    mine = answered(ent, f"child-{number}").value
                    ent.close()
                    code = 0 if change.applied and mine == number else 2
                finally:
                    os._exit(code)
        statuses.append(wait(pid))
    stops.set()
    for thread in threads:
        thread.join()
    ent.close()
    return {"statuses": statuses}


def answered(ent: Entitlements, tenant: str) -> Decision:
    """
    What is said about *tenant*, once the store has answered. It may be slow while the parent's threads ask all the
    time, and a question waits for it a quarter of a second; for a lock that nobody lets go of it waits for ever.
    """
    found: list[Decision] = []

    def has_answered() -> bool:
        found.append(ent.check(tenant, "crm.page_size"))
        return not found[-1].degraded

    until(has_answered, 5)
    return found[-1]


def outlived(url: str, is_async: int = 0) -> dict[str, Any]:
    """A child goes on when its warm parent is gone, and others come and go: what it is told is done stays done."""
    ent: Any = (AsyncEntitlements if is_async else Entitlements).open(url, catalog=CATALOG)

    def run(work: Callable[[], Any]) -> Any:
        return asyncio.run(awaited(work())) if is_async else work()

    async def awaited(work: Any) -> Any:
        return await work

    def changes(tenant: str) -> None:
        admin = ent.admin("test", because="test")
        assert run(lambda: admin.override(tenant, "crm.page_size", 1)).applied

    changes("parent")
    (ready, begins), (waits, go_on) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            changes("child")
            os.write(begins, b"x")
            os.read(waits, 1)
            changes("child-alone")
            code = 0
        finally:
            os._exit(code)
    os.read(ready, 1)
    run(ent.aclose if is_async else ent.close)
    found = [another(url, "first")]
    os.write(go_on, b"x")
    statuses = [wait(pid)]
    found.append(another(url, "last"))
    return {"statuses": statuses, "found": found}


def another(url: str, tenant: str) -> list[str]:
    """A process of its own changes something, and tells of whom it then knows."""
    work = f"""
from payaid_entitlements import AsyncEntitlements, Entitlements
with Entitlements.open({url!r}) as ent:
    ent.admin("test", because="test").override({tenant!r}, "crm.page_size", 1)
    print(*(row.tenant for row in ent._store.find()))
"""
    done = subprocess.run([sys.executable, "-c", work], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return done.stdout.splitlines()[-1].split()


def wait(pid: int) -> int | None:
    """How the child ended; None when it did not, and was killed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    what, url, *numbers = sys.argv[1:]
    print(json.dumps({"change": change, "locked": locked, "outlived": outlived}[what](url, *map(int, numbers))))
