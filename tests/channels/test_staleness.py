"""
Bounded staleness: 250 ms at the 99th percentile with the channel up, 5 seconds whatever happens.

The bound is the point, so time is real here: other processes ask all the time, while one changes what is true.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest
import redis

from payaid_entitlements.stores.sql import store as store_module
from tests.channels.conftest import prepared
from tests.channels.staleness import Staleness, measure
from tests.servers.postgres import start_again

#: Promised: seconds of the 99th percentile with the channel up, and seconds whatever happens.
WITHIN, AT_MOST = 0.25, 5.0

#: Seconds, readers, and seconds of a fault: in the normal suite, and in the long run.
SHORT, LONG = (2.5, 2, 1.0), (60.0, 4, 5.0)
sizes = pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.soak)], ids=["short", "long"])


def assert_prompt(measures: Callable[[], Staleness], size: tuple[float, int, float]) -> None:
    """
    Without a fault the bound is a quarter of a second.

    Another program that wakes up in the middle spoils a run of seconds; what is slower than promised is so in each.
    """
    for _ in range(3):
        found = measures()
        assert_bounded(found, size)
        assert all(each.flagged == 0 for each in found.seen)
        assert found.turns
        late = found.at(0.99, found.delays), found.at(0.99, found.flag_delays)
        print(f"{len(found.turns)} turns of a flag; seen after {told(found, found.flag_delays)}")
        if max(late) <= WITHIN:
            return
    raise AssertionError(f"seen after {late[0]} s, a flag after {late[1]} s in 99 of 100 cases, three times")


def told(found: Staleness, delays: Sequence[float]) -> str:
    return f"{found.at(0.5, delays) * 1000:.1f} ms (p50), {found.at(0.99, delays) * 1000:.1f} ms (p99)"


def assert_bounded(found: Staleness, size: tuple[float, int, float]) -> None:
    seconds = size[0]
    print(
        f"{len(found.commits)} changes, {sum(each.reads for each in found.seen)} answers "
        f"({sum(each.flagged for each in found.seen)} said that they were old); seen after "
        f"{told(found, found.delays)}; oldest {found.oldest:.3f} s"
    )
    assert len(found.commits) > 5 * seconds
    assert all(each.reads > 20 * seconds for each in found.seen)
    assert found.oldest < AT_MOST
    # All that was written was seen by everybody.
    assert all(max(found.commits) in each.revisions for each in found.seen)


@sizes
def test_a_change_is_seen_everywhere_within_a_quarter_of_a_second(either_url, size):
    seconds, readers, _ = size
    assert_prompt(lambda: measure(either_url, seconds=seconds, readers=readers, turns_flag=True), size)


@pytest.mark.parametrize(
    ("fault", "size"),
    [
        pytest.param("none", SHORT, id="short"),
        pytest.param("none", LONG, id="long", marks=pytest.mark.soak),
        pytest.param("killed", LONG, id="killed", marks=pytest.mark.soak),
        pytest.param("hangs", LONG, id="hangs", marks=pytest.mark.soak),
    ],
)
def test_a_redis_in_front_of_a_database_that_tells_nobody(tmp_path, redis_servers, size, fault):
    """It may lose connections, or hang: then the change log is read, by one process or by all."""
    seconds, readers, length = size
    server = redis_servers()
    killed: list[float] = []

    def kill(passed: float) -> None:
        if passed >= len(killed) + 0.5:
            killed.append(passed)
            _kill_listeners(server.url)

    faults = {"killed": kill, "hangs": _during(length, server.pause, server.resume)}
    url = prepared(f"sqlite:///{tmp_path}/payaid.db")
    if fault == "none":
        assert_prompt(lambda: measure(url, seconds=seconds, readers=readers, shared=server.url, turns_flag=True), size)
    else:
        found = measure(url, seconds=seconds, readers=readers, shared=server.url, fault=faults[fault])
        assert_bounded(found, size)


@pytest.mark.soak
def test_a_change_in_a_cluster_is_seen_as_soon(redis_cluster_url):
    prepared(redis_cluster_url)
    assert_prompt(lambda: measure(redis_cluster_url, seconds=LONG[0], readers=LONG[1], turns_flag=True), LONG)


@sizes
def test_listeners_whose_connection_is_killed_all_the_time(either_url, size):
    seconds, readers, _ = size
    each = min(1.0, seconds / 4)
    killed: list[float] = []

    def kill(passed: float) -> None:
        if passed >= each * (len(killed) + 1):
            killed.append(passed)
            _kill_listeners(either_url)

    assert_bounded(measure(either_url, seconds=seconds, readers=readers, fault=kill), size)
    assert len(killed) >= 3


def _kill_listeners(url: str) -> None:
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            client.client_kill_filter(_type="pubsub")
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND query ~ '^(LISTEN|SELECT payaid_sequencer.position *\\nFROM)'"
        )


@sizes
def test_a_redis_that_hangs(redis_servers, size):
    seconds, readers, length = size
    server = redis_servers()
    found = measure(
        prepared(server.url), seconds=seconds, readers=readers, fault=_during(length, server.pause, server.resume)
    )
    assert_bounded(found, size)


@sizes
def test_a_postgresql_that_is_killed_and_started_again(own_postgres, size):
    seconds, readers, length = size
    server, url = own_postgres
    found = measure(
        prepared(url),
        seconds=seconds,
        readers=readers,
        fault=_during(length, lambda: os.kill(server.get_pid(), signal.SIGKILL), lambda: start_again(server)),
    )
    assert_bounded(found, size)


@sizes
def test_a_channel_that_swallows_what_is_told(one_url, size, monkeypatch):
    """Nothing is published at all, as behind a pooler: the end of the log gives it away within a second."""
    seconds, readers, _ = size
    monkeypatch.setattr(store_module, "may_notify", lambda connection: False)
    assert_bounded(measure(one_url, seconds=seconds, readers=readers), size)


def _during(length: float, begin: Callable[[], object], end: Callable[[], object]) -> Callable[[float], None]:
    """A fault that begins after a second and lasts for *length* seconds."""
    steps: list[tuple[float, Callable[[], Any]]] = [(1.0, begin), (1.0 + length, end)]

    def fault(passed: float) -> None:
        if steps and passed >= steps[0][0]:
            steps.pop(0)[1]()

    return fault
