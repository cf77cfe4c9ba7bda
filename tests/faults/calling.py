"""
What a process does whose limiter fails: it goes on calling, and notes how long each call took and who answered it.

Each runs in a process of its own, with a client of its own whose facts are in memory: only the limiter is somewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements, RateLimitOutcome

#: How many processes call, as they are told.
PROCESSES = 4
#: What a share of a process is, in units of each second, and at once.
SHARE = 10
CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"crm": {}},
        "plans": {"free": {"modules": ["crm"]}},
        "rate_limits": {
            "open": {"default": "1000000/second", "on_outage": "open"},
            "closed": {"default": "1000000/second", "on_outage": "closed"},
            "local_share": {"default": f"{SHARE * PROCESSES}/second", "on_outage": "local_share"},
        },
    }
)
#: Seconds between two calls: a process that does nothing but call leaves none for the others and for the server.
PAUSE = 0.002
#: The file that ends the calls, and what those are called that say that a process is warm: the limiter has answered so
#: many calls in a row.
END, WARM = "end", "warm"
WARMING = 90


class Call(NamedTuple):
    """When a call began, how many seconds it took, and what came of it."""

    began: float
    seconds: float
    limit: str
    on_outage: str | None
    is_allowed: bool


@dataclass
class Called:
    """All calls of one process, and what its client has counted."""

    calls: list[Call] = field(default_factory=list)
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)


def call_on(number: int, url: str, folder: str) -> Called:
    """
    Call each limit in turn until there is a file `END`: every other process with a client of the other colour.

    Args:
        url: Of the limiter.
        folder: Where that file will be, and where each process leaves one when it has called often enough to be warm.
    """
    calls = Calls(Path(folder), number)
    return asyncio.run(_awaited(url, calls)) if number % 2 else _plain(url, calls)


class Calls:
    """The turns of one process, and whether it is warm."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number
        self.called = Called()

    def __iter__(self) -> Iterator[str]:
        is_warm = False
        while not (self._folder / END).exists():
            yield from CATALOG.rate_limits
            lately = self.called.calls[-WARMING:]
            # While all processes start, the limiter may seem to be silent.
            if not is_warm and len(lately) == WARMING and all(call.on_outage is None for call in lately):
                (self._folder / f"{WARM}-{self._number}").touch()
                is_warm = True

    def note(self, began: float, limit: str, outcome: RateLimitOutcome) -> None:
        """Keep what came of a call."""
        seconds = time.monotonic() - began
        self.called.calls.append(Call(began, seconds, limit, outcome.on_outage, outcome.allowed))


def _plain(url: str, calls: Calls) -> Called:
    with Entitlements.open("memory://", limiter=url, catalog=CATALOG, processes=PROCESSES) as ent:
        for limit in calls:
            began = time.monotonic()
            outcome = ent.try_rate_limit("acme", limit)
            calls.note(began, limit, outcome)
            time.sleep(PAUSE)
        calls.called.counts.update(ent.counts)
    return calls.called


async def _awaited(url: str, calls: Calls) -> Called:
    async with AsyncEntitlements.open("memory://", limiter=url, catalog=CATALOG, processes=PROCESSES) as ent:
        for limit in calls:
            began = time.monotonic()
            outcome = await ent.try_rate_limit("acme", limit)
            calls.note(began, limit, outcome)
            await asyncio.sleep(PAUSE)
        calls.called.counts.update(ent.counts)
    return calls.called
