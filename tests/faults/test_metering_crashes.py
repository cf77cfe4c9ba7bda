"""
Whoever meters, and whatever counts, may be killed at any time: what was acknowledged is there, and nothing twice.

After each run the same equalities: what is used is the sum of what the processes were told, and of those acts of the
killed that nobody repeated and that are there all the same; nothing is held any more; no balance that was ever seen
was below 0 or beyond its cap; and repeating what was left open ends it.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from datetime import timedelta

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.errors import StoreUnavailable
from tests.faults.crashing import LEASE, Noted, work
from tests.faults.metering import PATIENCE, SOLD, known, sell
from tests.servers.postgres import start_again

TENANTS = ["tenant-0", "tenant-1", "tenant-2"]
#: One of which there is always enough, and one that all want.
FEATURES = ["shop.many", "shop.m0"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.crashing"])


class Workers:
    """
    Processes that meter, of which some are killed and replaced.

    Attributes:
        kills: How many were killed.
    """

    def __init__(self, url, folder, count):
        self.url, self.folder = url, folder
        self.kills = self._started = 0
        self._chance = random.Random(count)
        self._processes = {}
        for _ in range(count):
            self._start([])

    def _start(self, pending):
        number = self._started
        self._started += 1
        process = CONTEXT.Process(target=work, args=(number, self.url, str(self.folder), TENANTS, FEATURES, pending))
        process.start()
        self._processes[number] = process

    def kill_one(self):
        """Kill one by chance. Each second one's successor repeats what it has left open; the others' do not."""
        number = self._chance.choice(sorted(self._processes))
        process = self._processes.pop(number)
        process.kill()
        process.join(30)
        self.kills += process.exitcode == -signal.SIGKILL
        path = self.folder / f"{number}.jsonl"
        pending = Noted.of(iter([path] if path.exists() else [])).pending
        self._start(list(pending.values()) if self.kills % 2 else [])

    def wait_until_at_work(self):
        """Wait until something was charged: on a slow machine it takes long until a process has begun."""
        end = time.monotonic() + PATIENCE
        while not any(self.noted().charged.values()):
            assert time.monotonic() < end
            time.sleep(0.02)

    def stop(self):
        """Let all end what they do."""
        (self.folder / "stop").touch()
        for process in self._processes.values():
            process.join(90)
            assert process.exitcode == 0

    def noted(self):
        """What all have noted."""
        return Noted.of(self.folder.glob("*.jsonl"))


@pytest.fixture
def workers(tmp_path):
    """A function that starts so many workers on a store; they end with the test."""
    started = []

    def start(url, count):
        folder = tmp_path / "notes"
        folder.mkdir()
        started.append(Workers(url, folder, count))
        return started[-1]

    yield start
    for each in started:
        for process in each._processes.values():
            process.kill()


def seen(ent):
    """All balances now; none where nobody answers."""
    try:
        return [usage for tenant in TENANTS for usage in ent.usage(tenant, *FEATURES).values()]
    except StoreUnavailable:
        return []


def watch(ent, seconds, every, fault):
    """Look at the balances for so long, and do *fault* each *every* seconds; how often was looked."""
    end, following, looks = time.monotonic() + seconds, time.monotonic() + every, 0
    while (now := time.monotonic()) < end:
        for usage in seen(ent):
            assert usage.used >= 0
            assert usage.held >= 0
            assert usage.used + usage.held <= usage.limit
            assert usage.overage == 0
            looks += 1
        if now >= following:
            fault()
            # A machine that does much else is given the time that it needs, not more faults at once.
            following = max(following + every, time.monotonic() - every)
        time.sleep(0.01)
    return looks


def kept(ent):
    """
    What the ledger has kept of each act: units that were used, and given back.

    What was set aside anew, since it had expired, has the name of the first time and a number behind it: charged both
    times it would be twice as much here.
    """
    used = Counter()
    for tenant in TENANTS:
        after = None
        while page := ent._ledger.entries(tenant, after=after):
            for entry in page:
                used[entry.operation.partition("~")[0]] += sum(take.used for take in entry.takes)
            after = page[-1].operation, page[-1].part
    return {operation: amount for operation, amount in used.items() if amount}


def assert_equal(ent, workers, most_unknown, record):
    """All that was promised, of balances and of what is kept."""
    noted = workers.noted()
    assert noted.wrong == []
    time.sleep((LEASE + timedelta(seconds=1)).total_seconds())
    found = kept(ent)
    unknown = {operation: found[operation] for operation in noted.pending if operation in found}
    record("kills", workers.kills)
    record("acts", len(noted.charged))
    record("charged", sum(noted.charged.values()))
    record("unacknowledged", len(noted.pending))
    record("unacknowledged_and_there", len(unknown))
    told = {operation: amount for operation, amount in noted.charged.items() if amount}
    assert told
    assert found == told | unknown
    assert len(unknown) <= len(noted.pending) <= most_unknown
    balances = seen(ent)
    assert len(balances) == len(TENANTS) * len(FEATURES)
    assert sum(usage.used for usage in balances) == sum(found.values())
    assert [usage.held for usage in balances] == [0] * len(balances)
    ended = {operation: act.carry_out(ent) for operation, act in noted.pending.items()}
    assert kept(ent) == told | {operation: amount for operation, amount in ended.items() if amount}
    assert sum(usage.used for usage in seen(ent)) == sum(told.values()) + sum(ended.values())
    assert max(usage.used for usage in seen(ent) if usage.feature == "shop.m0") <= SOLD


def run(ent, workers, seconds, every, fault, record, most_unknown=None):
    workers.wait_until_at_work()
    began = time.monotonic()
    record("looks", watch(ent, seconds, every, fault))
    workers.stop()
    record("seconds", round(time.monotonic() - began, 1))
    assert_equal(ent, workers, workers.kills if most_unknown is None else most_unknown, record)


def assert_workers_may_die(url, workers, seconds, every, count, record):
    sell(url, TENANTS)
    working = workers(url, count)
    with Entitlements.open(url) as ent:
        run(ent, working, seconds, every, working.kill_one, record)
    assert working.kills > 0


def test_processes_that_are_killed_lose_nothing_and_charge_nothing_twice(counting_url, workers, record):
    assert_workers_may_die(counting_url, workers, 1, 0.25, 3, record)


@pytest.mark.soak
def test_six_processes_of_which_one_is_killed_each_tenth_of_a_second(counting_url, workers, record):
    assert_workers_may_die(counting_url, workers, 30, 0.1, 6, record)


class Postgres:
    """A PostgreSQL that is killed, with all its sessions, and started again."""

    def __init__(self, request):
        self._server, self.url = request.getfixturevalue("own_postgres")

    def kill(self):
        os.kill(self._server.get_pid(), signal.SIGKILL)
        start_again(self._server)


class Other:
    """A MariaDB, or a Redis that writes down each change before it answers."""

    def __init__(self, server):
        self._server, self.url = server, server.url

    def kill(self):
        self._server.kill()
        self._server.start()


class Cluster:
    """A Redis Cluster, of which each master in turn is killed and started again."""

    def __init__(self, cluster):
        self._cluster, self.url, self._killed = cluster, cluster.url, 0

    def kill(self):
        server = self._cluster.masters[self._killed % len(self._cluster.masters)]
        self._killed += 1
        server.kill()
        server.start()


@pytest.fixture(params=["postgresql", "mysql", "redis", pytest.param("cluster", marks=pytest.mark.soak)])
def mortal(request):
    """What counts, on a server of its own that may be killed; a cluster only where there is time for it."""
    durable = {"appendonly": "yes", "appendfsync": "always"}
    match request.param:
        case "postgresql":
            return Postgres(request)
        case "mysql":
            return Other(request.getfixturevalue("mariadb_servers")())
        case "redis":
            return Other(request.getfixturevalue("redis_servers")(**durable))
    return Cluster(request.getfixturevalue("redis_clusters")(**durable))


def assert_servers_may_die(mortal, workers, seconds, every, count, record):
    sell(mortal.url, TENANTS)
    working, deaths = workers(mortal.url, count), []
    with Entitlements.open(mortal.url) as ent:

        def fault():
            mortal.kill()
            began = time.monotonic()
            known(lambda: ent.usage(TENANTS[0], *FEATURES))
            deaths.append(round(time.monotonic() - began, 2))

        run(ent, working, seconds, every, fault, record, most_unknown=0)
    record("server_kills", len(deaths))
    assert deaths


def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(mortal, workers, record):
    assert_servers_may_die(mortal, workers, 2, 1, 3, record)


@pytest.mark.soak
def test_a_server_that_is_killed_every_ten_seconds_for_a_minute(mortal, workers, record):
    assert_servers_may_die(mortal, workers, 60, 9.9, 6, record)
