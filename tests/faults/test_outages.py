"""
Servers that hang, die and come back, alone and together: answers stay right or say that they may not be, and recover.

What a single part does by itself has tests beside it; here everything is real and at work at once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import psycopg
import pytest

from payaid_entitlements import Entitlements, Reason
from payaid_entitlements.cache.local import LEASE
from payaid_entitlements.errors import StoreUnavailable
from tests.faults.apps import CATALOG
from tests.waiting import until

FEATURE = "crm.page_size"
#: Seconds for which a question may wait for a store that hangs: a quarter, and some for a machine that does much else.
WAIT = 0.75
#: Seconds after which all must be well again.
RECOVERED = 2.0


def long(*values: Any) -> Any:
    """A case of the long run."""
    return pytest.param(*values, marks=pytest.mark.soak)


@pytest.fixture
def opened():
    """A function that opens a client; all are closed after the test."""
    clients: list[Entitlements] = []

    def start(url: str, **options: Any) -> Entitlements:
        clients.append(Entitlements.open(url, catalog=CATALOG, **options))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def put(ent: Entitlements, value: int, tenant: str = "acme") -> None:
    ent.admin("test", because="test").override(tenant, FEATURE, value)


def plain(ent: Entitlements, tenant: str = "acme") -> object:
    """What is said of *tenant* without a doubt; None when it is doubted."""
    decision = ent.check(tenant, FEATURE)
    return None if decision.degraded else decision.value


# -- one store, all of its connections --------------------------------------------------------------------------------

ENDS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "redis"])
def test_all_connections_are_ended_by_an_administrator(request, ready_url, opened, kind: str):
    """Who is near is answered as before; others, and changes, are at once or very soon."""
    url = ready_url(kind)
    ent = opened(url)
    put(ent, 1)
    for turn in range(3):
        assert plain(ent) == turn + 1
        if kind == "postgresql":
            with psycopg.connect(url, autocommit=True) as direct:
                direct.execute(ENDS)
        elif kind == "mysql":
            request.getfixturevalue("mariadb_of_the_session").end_sessions()
        else:
            server, _ = request.getfixturevalue("emptied_redis")
            with server.client() as direct:
                for each in ("normal", "pubsub"):
                    direct.client_kill_filter(_type=each, skipme=True)
        assert plain(ent) == turn + 1
        until(lambda turn=turn: plain(ent, f"cold-{turn}") == 0, RECOVERED)
        put(ent, turn + 2)


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "redis"])
def test_a_server_that_closes_its_half_of_all_connections(ready_url, proxies, opened, kind: str):
    """What is said to it still arrives and no answer will: nobody waits for one, and new connections serve."""
    proxy = proxies(ready_url(kind))
    ent = opened(proxy.url)
    put(ent, 1)
    for turn in range(3):
        assert plain(ent) == turn + 1
        proxy.half_close()
        asked = time.monotonic()
        decision = ent.check(f"cold-{turn}", FEATURE)
        assert time.monotonic() - asked < WAIT
        assert decision.degraded or decision.value == 0
        until(lambda turn=turn: plain(ent, f"cold-{turn}") == 0, RECOVERED)
        put(ent, turn + 2)


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "redis"])
def test_a_server_that_is_slow_and_alive_is_no_outage(ready_url, proxies, opened, kind: str):
    proxy = proxies(ready_url(kind))
    ent = opened(proxy.url)
    assert plain(ent, "warm") == 0
    proxy.delay(0.05)
    for number in range(5):
        asked = time.monotonic()
        assert plain(ent, f"cold-{number}") == 0
        assert time.monotonic() - asked >= 0.05
    assert ("store.unavailable",) not in ent.counts


@pytest.mark.parametrize("kind", ["postgresql", long("mysql"), long("redis")])
def test_a_store_that_hangs_and_comes_back(ready_url, proxies, opened, kind: str):
    """Nobody is refused as if he had not paid or answered by what is old without a word, and all is well soon."""
    url = ready_url(kind)
    proxy = proxies(url)
    ent, direct = opened(proxy.url), opened(url)
    put(direct, 1)
    assert plain(ent) == 1
    ent.check("acme", "crm.export")
    proxy.freeze()
    put(direct, 2)
    changed = time.monotonic()
    cold = ent.check("cold", "crm.export")
    assert (cold.allowed, cold.reason, cold.degraded) == (False, Reason.STORE_UNAVAILABLE, True)
    with pytest.raises(StoreUnavailable):
        ent.require("cold", "crm.export")
    while time.monotonic() < changed + LEASE + 1:
        asked = time.monotonic()
        decision = ent.check("acme", FEATURE)
        assert time.monotonic() - asked < WAIT
        assert decision.value == 1
        assert decision.degraded or asked - changed < LEASE
        time.sleep(0.2)
    assert ent.check("acme", FEATURE).degraded
    assert ent.counts[("store.stale",)] > 0
    assert ent.counts[("store.unavailable",)] > 0
    proxy.heal()
    until(lambda: plain(ent) == 2 and plain(ent, "cold") == 0, RECOVERED)
    put(ent, 3)
    assert plain(ent) == 3


# -- a shared Redis in front of PostgreSQL ----------------------------------------------------------------------------


@pytest.fixture
def stage(ready_url, proxies, opened, redis_servers):
    """A database and a shared Redis, both by way of a network that fails, and how clients reach them."""

    class Stage:
        def __init__(self) -> None:
            self.url = ready_url("postgresql")
            self.redis = redis_servers()
            self.database, self.shared = proxies(self.url), proxies(self.redis.url)

        def open(self) -> Entitlements:
            return opened(self.database.url, shared=self.shared.url)

        def open_direct(self) -> Entitlements:
            return opened(self.url, shared=self.redis.url)

    return Stage()


@pytest.mark.parametrize("how", ["freeze", long("refuse")])
def test_without_the_shared_redis_everything_is_answered_by_the_store(stage, how: str):
    """It is only nearer: answers are as plain as before, changes are seen within the bound, and writes succeed."""
    ent, other = stage.open(), stage.open()
    put(ent, 1)
    until(lambda: plain(other) == 1, LEASE)
    getattr(stage.shared, how)()
    for value in (2, 3):
        put(ent, value)
        assert plain(ent) == value
        until(lambda value=value: plain(other) == value, LEASE)
        assert plain(other, f"cold-{value}") == 0
    stage.shared.heal()
    put(other, 4)
    until(lambda: plain(ent) == 4, LEASE)


def test_without_the_database_copies_in_redis_serve_and_say_when_they_are_old(stage):
    """Who was asked about elsewhere is found there; whatever is older than five seconds is not plain any more."""
    ent, other = stage.open(), stage.open()
    put(ent, 1)
    assert plain(ent) == plain(other) == 1
    put(ent, 7, "elsewhere")
    assert plain(ent, "elsewhere") == 7
    stage.database.freeze()
    frozen = time.monotonic()
    seen = 0
    while time.monotonic() < frozen + LEASE + 1:
        for client in (ent, other):
            for tenant, value in (("acme", 1), ("elsewhere", 7)):
                asked = time.monotonic()
                decision = client.check(tenant, FEATURE)
                if decision.reason is Reason.STORE_UNAVAILABLE:
                    assert decision.degraded
                    continue
                seen += 1
                assert decision.value == value
                assert decision.degraded or asked - frozen < LEASE + 0.5
        time.sleep(0.1)
    assert seen > 20
    cold = ent.check("cold", "crm.export")
    assert (cold.reason, cold.degraded) == (Reason.STORE_UNAVAILABLE, True)
    with pytest.raises(StoreUnavailable):
        put(ent, 2)
    stage.database.heal()
    until(lambda: plain(ent) == 1 and plain(other, "elsewhere") == 7 and plain(ent, "cold") == 0, RECOVERED + LEASE)


def test_with_both_gone_what_is_near_serves_and_nothing_else(stage):
    ent = stage.open()
    put(ent, 1)
    assert plain(ent) == 1
    stage.database.refuse()
    stage.shared.refuse()
    gone = time.monotonic()
    while time.monotonic() < gone + LEASE + 0.5:
        asked = time.monotonic()
        decision = ent.check("acme", FEATURE)
        assert decision.value == 1
        assert decision.degraded or asked - gone < LEASE
        cold = ent.check("cold", "crm.export")
        assert (cold.allowed, cold.reason, cold.degraded) == (False, Reason.STORE_UNAVAILABLE, True)
        time.sleep(0.2)
    assert ent.check("acme", FEATURE).degraded
    stage.database.heal()
    stage.shared.heal()
    until(lambda: plain(ent) == 1 and plain(ent, "cold") == 0, RECOVERED)


def test_a_shared_redis_that_comes_back_with_old_data_brings_back_nothing(stage):
    """A dump of before a change is loaded, as by an operator who restores a backup: no answer is of before."""
    ent, other = stage.open_direct(), stage.open_direct()
    put(ent, 1)
    assert plain(ent) == plain(other) == 1
    dump = stage.redis.folder / "dump.rdb"
    with stage.redis.client() as direct:
        direct.save()
    kept = dump.with_name("kept.rdb")
    shutil.copy(dump, kept)
    put(ent, 2)
    until(lambda: plain(other) == 2, LEASE)
    stage.redis.kill()
    shutil.copy(kept, dump)
    stage.redis.start()
    fresh = stage.open_direct()
    for _ in range(20):
        assert [plain(each) for each in (fresh, ent, other)] == [2, 2, 2]
        time.sleep(0.02)
    put(other, 3)
    until(lambda: plain(ent) == plain(fresh) == 3, LEASE)
    assert plain(stage.open_direct()) == 3


# -- a process that was away ------------------------------------------------------------------------------------------

SLEEPER = """
import json, sys
from payaid_entitlements import Entitlements
ent = Entitlements.open(sys.argv[1], **json.loads(sys.argv[2]))
print("said", ent.check("acme", "crm.page_size").value, flush=True)
for line in sys.stdin:
    decision = ent.check("acme", "crm.page_size")
    print("said", json.dumps([decision.value, decision.degraded]), flush=True)
"""


@pytest.mark.parametrize(
    ("kind", "shares", "seconds"),
    [
        ("postgresql", False, 5.5),
        long("postgresql", True, 10),
        long("redis", False, 10),
        long("mysql", False, 10),
    ],
)
def test_a_process_that_wakes_up_does_not_answer_by_what_it_knew(
    request, ready_url, opened, kind: str, shares: bool, seconds: float
):
    url = ready_url(kind)
    options = {"shared": request.getfixturevalue("redis_url")} if shares else {}
    ent = opened(url, **options)
    put(ent, 1)
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER, url, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as sleeper:
        assert sleeper.stdin is not None
        assert sleeper.stdout is not None
        # Among what is logged.
        said = (json.loads(line.removeprefix("said ")) for line in sleeper.stdout if line.startswith("said "))
        assert next(said) == 1
        os.kill(sleeper.pid, signal.SIGSTOP)
        try:
            put(ent, 2)
            # It is asked while it sleeps, so that it answers before it can do anything else.
            sleeper.stdin.write("ask\n")
            sleeper.stdin.flush()
            time.sleep(seconds)
        finally:
            os.kill(sleeper.pid, signal.SIGCONT)
        assert next(said) == [2, False]
        sleeper.stdin.close()
