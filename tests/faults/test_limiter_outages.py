"""
A limiter that stands still, dies, refuses to write or is not reached: calls go on, as each limit says (RL-3).

Four processes call all the time. Nobody waits longer than the limiter's own 50 ms, and most do not wait at all; two
seconds after it is well again it answers everybody.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from payaid_entitlements.stores.opening import open_store
from tests.faults.calling import END, PROCESSES, SHARE, WARM, Call, Called, call_on

pytestmark = pytest.mark.alone

#: Seconds that a call may take longer than one that was answered: of a hundred all but one, and any.
MOST, LONGEST = 0.060, 0.250
#: Seconds after which all must be well again, and after which nobody asks a limiter any more that gives no answer.
RECOVERED, NOTICED = 2.0, 0.75
#: Seconds by which a server may be well again before this process knows it.
SLACK = 0.1


@contextmanager
def stopped(server: Any, proxy: Any, seconds: float) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def killed(server: Any, proxy: Any, seconds: float) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def paused(server: Any, proxy: Any, seconds: float) -> Iterator[None]:
    """Nobody can end it before its time: whoever would say so is paused too."""
    with server.client() as client:
        client.client_pause(int(seconds * 1000))
    yield


@contextmanager
def full(server: Any, proxy: Any, seconds: float) -> Iterator[None]:
    with server.client() as client:
        client.config_set("maxmemory", "1")
        try:
            yield
        finally:
            client.config_set("maxmemory", "0")


@contextmanager
def half_open(server: Any, proxy: Any, seconds: float) -> Iterator[None]:
    """Nothing comes back, and nothing is closed: as behind a firewall that has forgotten the connections."""
    proxy.freeze()
    try:
        yield
    finally:
        proxy.heal()


@contextmanager
def asleep(server: Any, proxy: Any, seconds: float) -> Iterator[None]:
    """A command that takes long: nobody else is served meanwhile."""
    with server.client(socket_timeout=None) as client:
        pipe = client.connection_pool.get_connection()
        pipe.send_command("DEBUG", "SLEEP", seconds)
        yield
        pipe.read_response()
        client.connection_pool.release(pipe)


FAULTS = [stopped, killed, paused, full, half_open, asleep]


@pytest.fixture
def calling(four, proxies, tmp_path) -> Callable[..., tuple[list[Called], float, float]]:
    """A function that lets four processes call, lets a fault happen, and gives their calls and when it was."""

    def called(
        url: str, server: Any, fault: Callable[..., Any], seconds: float, after: float
    ) -> tuple[list[Called], float, float]:
        proxy = proxies(url)
        running = four.start(call_on, proxy.url, str(tmp_path))
        until = time.monotonic() + 60
        while len(list(tmp_path.glob(f"{WARM}-*"))) < PROCESSES:
            assert time.monotonic() < until
            time.sleep(0.02)
        begun = time.monotonic()
        with fault(server, proxy, seconds):
            time.sleep(seconds)
        repaired = time.monotonic()
        time.sleep(after)
        (tmp_path / END).touch()
        return [each.result(30) for each in running], begun, repaired

    return called


@pytest.fixture
def redis(redis_servers) -> Any:
    """A server that may be made to stand still."""
    return redis_servers(enable_debug_command="yes")


def within(calls: list[Call], since: float, until: float) -> list[Call]:
    return [call for call in calls if since <= call.began and call.began + call.seconds <= until]


def assert_outlasts(
    done: tuple[list[Called], float, float], record: Callable[..., None], longest: float = LONGEST
) -> None:
    each, begun, repaired = done
    calls = [call for called in each for call in called.calls]
    before = within(calls, 0, begun)
    usual = statistics.median(call.seconds for call in before)
    during = [call for call in calls if begun <= call.began < repaired]
    added = sorted(call.seconds - usual for call in during)
    record("calls during the fault", len(during))
    record("added at p99, ms", round(added[len(added) * 99 // 100] * 1000, 1))
    record("added at most, ms", round(added[-1] * 1000, 1))
    assert added[len(added) * 99 // 100] <= MOST
    assert added[-1] <= longest

    # What holds is what each limit says.
    silent = within(calls, begun + NOTICED, repaired - SLACK)
    assert silent
    assert all(call.on_outage == call.limit for call in silent)
    assert all(call.is_allowed for call in silent if call.limit == "open")
    assert not any(call.is_allowed for call in silent if call.limit == "closed")
    for called in each:
        shared = within(called.calls, begun, repaired)
        passed = sum(call.is_allowed for call in shared if call.on_outage == "local_share")
        assert 0 < passed <= SHARE + SHARE * (repaired - begun) + 1

    # It is well again soon, and whoever looks at the counts knows what was.
    unwell = [call.began for call in calls if call.began >= repaired and call.on_outage is not None]
    record("well again after, s", round(max(unwell, default=repaired) - repaired, 2))
    late = [call for call in calls if call.began > repaired + RECOVERED]
    assert late
    # A process that gets no processor for 50 ms has waited too long: one in a hundred may.
    assert sum(call.on_outage is not None for call in late) <= len(late) // 100
    for called in each:
        said = Counter(call.on_outage for call in called.calls if call.on_outage is not None)
        assert said == {
            name[0].rpartition(".")[2]: count
            for name, count in called.counts.items()
            if name[0].startswith("rate_limit.on_outage.")
        }


@pytest.mark.parametrize("fault", [stopped, half_open], ids=lambda fault: fault.__name__)
def test_calls_go_on_without_the_limiter(calling, redis, record, fault):
    assert_outlasts(calling(redis.url, redis, fault, 1.5, RECOVERED + 0.3), record)


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_calls_go_on_without_the_limiter_for_long(calling, redis, record, fault):
    assert_outlasts(calling(redis.url, redis, fault, 5.0, 13.8), record)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["postgres_url", "mariadb_url"])
def test_calls_go_on_without_a_database_that_counts_them(request, calling, record, kind):
    """One call of a process waits for as long as a question does, and whatever the machine adds; then none does."""
    url = str(request.getfixturevalue(kind))
    store: Any = open_store(url)
    store.upgrade()
    store.close()
    assert_outlasts(calling(url, None, half_open, 5.0, 13.8), record, longest=0.5)
