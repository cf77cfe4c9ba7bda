"""
Eight processes that take units of one hot counter until it is empty: how fast, and how many more than there are.

Each of them does the same by a consume, by hand with a conditional statement, and with a naive counter.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import Any, Final

from benchmarks.by_hand import BY_HAND, DIGEST, Counter
from payaid_entitlements.core.metering.posting import Debit, Line
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.ports import Store

PROCESSES: Final = 8
#: Whose units all take, and how many there are. A naive counter sells up to ten times as many, each of them a wait for
#: the disk, on four stores.
TENANT: Final = "crowded"
UNITS: Final = 100
#: Taken of others beforehand: connections are open then, and statements known to the server.
WARMING: Final = 12
#: Ways to take them, in their order.
WAYS: Final = ("consume", "by hand", "naive")

#: What all of them need; what is not installed is passed over.
_PRELOADED: Final = (
    "__main__",
    "benchmarks.crowding",
    "payaid_entitlements.stores.sql",
    "payaid_entitlements.stores.redis",
    "psycopg",
    "pymysql",
)

#: Seconds that a process waits for the others.
_PATIENCE: Final = 120.0


def debit(cap: int) -> Debit:
    """What a consume of one unit posts, in the common case."""
    return Debit("credits", 1, (Line("credits", "w0", cap),))


def ledger_of(store: Store) -> Ledger:
    """
    Where *store* counts.

    Raises:
        RuntimeError: It does not.
    """
    ledger: Ledger | None = getattr(store, "ledger", None)
    if ledger is None:
        raise RuntimeError(f"{store.name} has no ledger")
    return ledger


@dataclass(frozen=True, slots=True)
class Crowd:
    """
    What became of one way.

    Attributes:
        sold: Units that were taken, in the eyes of who took them.
        seconds: From when all began until nobody found any left.
    """

    sold: int
    seconds: float


def crowd(places: Mapping[str, tuple[str, str]]) -> dict[tuple[str, str], Crowd]:
    """
    Let eight processes empty a counter on each store in each of `WAYS`, one after another.

    Args:
        places: For each kind of store where counters by hand are, and where the ledger is.

    Returns:
        What became of each way on each store.

    Raises:
        RuntimeError: A process failed.
    """
    for dialect, (url, _) in places.items():
        by_hand = BY_HAND[dialect](url)
        for tenant in (TENANT, *(f"warming-{number}" for number in range(PROCESSES))):
            by_hand.make(tenant, UNITS)
        by_hand.close()
    # A server of forks, that has imported everything once: to do so in eight processes takes longer than all they do.
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload([*_PRELOADED])
    barrier, results = forking.Barrier(PROCESSES), forking.Queue()
    everybody = [
        forking.Process(target=_take_all, args=(number, dict(places), barrier, results)) for number in range(PROCESSES)
    ]
    for process in everybody:
        process.start()
    # Read before they are waited for: a process ends when all that it has said was taken.
    said = [results.get(timeout=_PATIENCE) for _ in range(PROCESSES * len(WAYS) * len(places))]
    for process in everybody:
        process.join(_PATIENCE)
    if any(process.exitcode != 0 for process in everybody):
        raise RuntimeError(f"of {PROCESSES} processes some failed: {[process.exitcode for process in everybody]}")
    return {
        (dialect, way): _sum_of([each[2:] for each in said if each[:2] == (dialect, way)])
        for dialect in places
        for way in WAYS
    }


def _sum_of(said: Sequence[Sequence[float]]) -> Crowd:
    sold, begun, ended = zip(*said, strict=True)
    return Crowd(int(sum(sold)), max(ended) - min(begun))


def _take_all(
    number: int, places: Mapping[str, tuple[str, str]], barrier: Barrier, results: Queue[Sequence[Any]]
) -> None:
    for dialect, (url, own) in places.items():
        store, by_hand = open_store(own), BY_HAND[dialect](url)
        for way, take in _ways(store, by_hand).items():
            if way == "naive" and number == 0:
                by_hand.make(TENANT, UNITS)
            for warming in range(WARMING):
                take(f"warming-{number}", f"{way}/{warming}")
            barrier.wait(_PATIENCE)
            begun, sold = time.time(), 0
            while take(TENANT, f"{way}/{number}/{sold}"):
                sold += 1
            results.put((dialect, way, sold, begun, time.time()))
            barrier.wait(_PATIENCE)
        store.close()
        by_hand.close()


def _ways(store: Store, by_hand: Counter) -> Mapping[str, Callable[[str, str], bool]]:
    ledger, asked = ledger_of(store), (debit(UNITS),)
    return {
        "consume": lambda tenant, act: ledger.post(tenant, asked, operation=act, digest=DIGEST).short is None,
        "by hand": by_hand.take,
        "naive": lambda tenant, act: by_hand.take_naively(tenant),
    }
