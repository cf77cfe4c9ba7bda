"""
How old answers are, measured: one process changes a tenant, and a flag, all the time, others ask all the time.

`python -m tests.channels.staleness URL [SHARED]` is one that asks. Instants are readings of the clock that all
processes of a machine share.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from payaid_entitlements import Admin, Entitlements
from payaid_entitlements.cache.renewing import announce
from payaid_entitlements.errors import ChangeConflict, OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.ports import Scope, Write
from payaid_entitlements.testing.contracts.writes import tenant_write

#: Seconds between two questions of one process, and between two changes.
ASKS_EACH, CHANGES_EACH = 0.004, 0.02
TENANT = "acme"
#: The flag that is turned, of the tests' catalog, and the changes of the tenant between two turns. They are further
#: apart than a turn may take to be seen: one that is turned back before anybody has looked is seen by nobody.
FLAG, TURNS_EVERY = "new", 12


@dataclass
class Seen:
    """
    What one process was answered.

    Attributes:
        reads: How many answers there were.
        flagged: How many of them said that they are old.
        revisions: When each revision was seen first and last, in answers that did not say so.
        turns: When the flag was first seen on, then off again, and so on, in the same answers.
    """

    reads: int = 0
    flagged: int = 0
    revisions: dict[int, tuple[float, float]] = field(default_factory=dict)
    turns: list[float] = field(default_factory=list)


class Reader:
    """A process that asks until it is told to stop."""

    def __init__(self, url: str, shared: str | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.channels.staleness", url, *([] if shared is None else [shared])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        """Until it has begun, and hears of changes."""
        assert self._process.stdout is not None
        # What it warns of comes before that, and in the end before what it has seen.
        while (said := self._process.stdout.readline()) != "ready\n":
            assert said, "it has ended"

    def kill(self) -> None:
        """Let it end, whatever it does; one that has ended is left alone."""
        self._process.kill()
        with self._process:
            pass

    def stop(self, newest: int, turns: int) -> Seen:
        """Let it end once it has seen the *newest* revision and all *turns*, or will not in time; what it has seen."""
        said, _ = self._process.communicate(f"{newest} {turns}\n", timeout=60)
        found = json.loads(said.splitlines()[-1])
        return Seen(found[0], found[1], {int(revision): tuple(when) for revision, when in found[2].items()}, found[3])


@dataclass
class Staleness:
    """
    What was measured, in seconds.

    Attributes:
        commits: When each revision was there for everybody, at the latest.
        turns: When somebody began to turn the flag, once for each turn: before any part of it was written.
        seen: What each reader was answered.
    """

    commits: dict[int, float]
    turns: Sequence[float]
    seen: Sequence[Seen]

    @property
    def oldest(self) -> float:
        """How long ago what an answer said had ceased to be true, at most; of answers that did not say so."""
        return max(
            last - self.commits[revision + 1]
            for each in self.seen
            for revision, (_, last) in each.revisions.items()
            if revision + 1 in self.commits
        )

    @property
    def delays(self) -> list[float]:
        """For each change and each reader: until it was seen, sorted."""
        found = []
        for each in self.seen:
            firsts = sorted((first, revision) for revision, (first, _) in each.revisions.items())
            for revision, committed in self.commits.items():
                seen = [first for first, known in firsts if known >= revision]
                if revision > min(each.revisions) and seen:
                    found.append(seen[0] - committed)
        return sorted(found)

    @property
    def flag_delays(self) -> list[float]:
        """For each turn of the flag and each reader: until it was seen, sorted; without end where it was not."""
        return sorted(
            seen - turned
            for each in self.seen
            for turned, seen in zip_longest(self.turns, each.turns[: len(self.turns)], fillvalue=math.inf)
        )

    @staticmethod
    def at(share: float, delays: Sequence[float]) -> float:
        """The one below which that share of *delays* are, which are sorted."""
        return delays[min(int(len(delays) * share), len(delays) - 1)]


def measure(
    url: str,
    *,
    seconds: float,
    readers: int,
    shared: str | None = None,
    turns_flag: bool = False,
    fault: Callable[[float], None] | None = None,
) -> Staleness:
    """
    Change and ask for so many seconds, while *fault* is told again and again how many have passed.

    Changes of the tenant that fail are tried again. With a *shared* Redis all share it, and hear of changes by it.
    """
    processes = [Reader(url, shared) for _ in range(readers)]
    try:
        with Entitlements.open(url, shared=shared) as writer:
            admin = writer.admin("writer", because="somebody looks how soon it is seen")
            found = _measured(writer, seconds, processes, _turning(admin) if turns_flag else None, fault)
            if turns_flag:
                # As the next measurement finds it: off, and nobody has killed it.
                admin.restore(FLAG)
                admin.rollout(FLAG, 0)
            return found
    finally:
        for process in processes:
            process.kill()


def _turning(admin: Admin) -> Iterator[object]:
    """Turn the flag on, off, on and off again, one step for each `next`; it is off when this begins."""
    while True:
        yield admin.rollout(FLAG, 100)
        yield admin.kill(FLAG)
        yield admin.restore(FLAG)
        yield admin.rollout(FLAG, 0)


def _measured(
    writer: Entitlements,
    seconds: float,
    processes: Sequence[Reader],
    turning: Iterator[object] | None,
    fault: Callable[[float], None] | None,
) -> Staleness:
    for process in processes:
        process.wait()
    commits: dict[int, float] = {}
    turns: list[float] = []
    is_over = threading.Event()
    changing = threading.Thread(target=_change, args=(writer, commits, turning, turns, is_over), daemon=True)
    changing.start()
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        if fault is not None:
            fault(passed)
        time.sleep(0.01)
    is_over.set()
    changing.join(60)
    return Staleness(commits, turns, [process.stop(max(commits), len(turns)) for process in processes])


def _change(
    writer: Entitlements,
    commits: dict[int, float],
    turning: Iterator[object] | None,
    turns: list[float],
    is_over: threading.Event,
) -> None:
    store: Any = writer._store
    writer.tenant(TENANT)
    known = store.read([TENANT])[TENANT]
    while not is_over.wait(CHANGES_EACH):
        # Facts stay the same, so that the last change costs what the first does.
        document = replace(known, revision=known.revision + 1)
        write: Write = replace(tenant_write(TENANT), document=document, facts=(), plan="pro", modules=())
        applied = None
        try:
            applied = store.apply(write, expect=known.revision, actor="writer", because=None)
        except (StoreUnavailable, OutcomeUnknown, ChangeConflict):
            # A change to a server that hangs may be done whenever that goes on: also just before it is tried again.
            try:
                now = store.read([TENANT])[TENANT]
            except StoreUnavailable:
                continue
            if now.revision == known.revision:
                continue
        commits[document.revision] = time.monotonic()
        known = document
        if applied is not None:
            writer._driver.run(announce(writer._setting, Scope.TENANT, TENANT, applied))
        if turning is not None and len(commits) % TURNS_EVERY == 0:
            turns.append(time.monotonic())
            next(turning)


def _ask(url: str, shared: str | None = None) -> None:
    seen = Seen()
    newest: list[int] = []
    was_on = False

    def listen() -> None:
        said = sys.stdin.readline()
        if not said:
            # Whoever started this was killed.
            os._exit(1)
        newest.extend(int(word) for word in said.split())

    threading.Thread(target=listen, daemon=True).start()
    patience = 6.0
    with Entitlements.open(url, shared=shared) as ent:
        ent.tenant(TENANT)
        listener = ent._setting.listener
        while listener is not None and not listener.status.connected:
            time.sleep(0.001)
        print("ready", flush=True)
        while patience > 0 and not (newest and newest[0] in seen.revisions and newest[1] <= len(seen.turns)):
            time.sleep(ASKS_EACH)
            patience -= ASKS_EACH if newest else 0
            view = ent.tenant(TENANT)
            now = time.monotonic()
            seen.reads += 1
            if view.stale:
                seen.flagged += 1
            else:
                seen.revisions[view.revision] = seen.revisions.get(view.revision, (now, now))[0], now
                is_on = view.flag(FLAG)
                if is_on is not was_on:
                    was_on = is_on
                    seen.turns.append(now)
        print(json.dumps([seen.reads, seen.flagged, seen.revisions, seen.turns]))


if __name__ == "__main__":
    _ask(*sys.argv[1:])
