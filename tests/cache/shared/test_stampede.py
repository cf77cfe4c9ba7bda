"""
C-1: many processes with many threads ask about one tenant who is nowhere near; the store is slow.

The store is one process of its own, so that each reading of it is counted where it happens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from payaid_entitlements import Entitlements
from tests.entitlements.conftest import CATALOG

PROCESSES, THREADS = 3, 10
ROOT = Path(__file__).parents[3]
TENANT = "acme"

#: A process of the host: it begins, says so, waits for the word, and then all its threads ask at once.
ASKING = """
import json, sys, threading, time
import redis
from payaid_entitlements import Entitlements
from payaid_entitlements.stores.sql import SQLStore

url, shared, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Slow(SQLStore):
    def read(self, tenants, *, tx=None):
        wire.rpush("readings", json.dumps([sys.argv[4], list(tenants)]))
        time.sleep(0.2)
        return super().read(tenants, tx=tx)

wire = redis.Redis.from_url(shared)
ent = Entitlements(Slow(url), shared=shared)
ent.check("somebody", "crm")
print("ready", flush=True)
rounds = iter(sys.stdin)
for line in rounds:
    tenant, found, gate = line.strip(), [], threading.Barrier(threads)
    def ask():
        gate.wait()
        # A question waits a quarter of a second at most; whoever was told of an outage asks again.
        longest, allowed, ends = 0.0, False, time.monotonic() + 5
        while not allowed and time.monotonic() < ends:
            began = time.perf_counter()
            allowed = ent.check(tenant, "crm.export").allowed
            longest = max(longest, time.perf_counter() - began)
        found.append((longest, allowed))
    each = [threading.Thread(target=ask) for _ in range(threads)]
    [one.start() for one in each]
    [one.join() for one in each]
    print(json.dumps(found), flush=True)
ent.close()
"""


class Crowd:
    """Processes that are ready to ask."""

    def __init__(self, url, shared, processes, threads):
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        self.members = [
            subprocess.Popen(
                [sys.executable, "-c", ASKING, url, shared, str(threads), str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
            )
            for number in range(processes)
        ]
        for member in self.members:
            assert member.stdout.readline().strip() == "ready"

    def ask(self, tenant):
        for member in self.members:
            member.stdin.write(tenant + "\n")
            member.stdin.flush()

    def answers(self):
        return [answer for member in self.members if member.poll() is None for answer in self._of(member)]

    @staticmethod
    def _of(member):
        for line in member.stdout:
            # Warnings are logged there too.
            if line.startswith("[["):
                return json.loads(line)
        return []

    def end(self):
        for member in self.members:
            member.kill()
            member.wait()
            member.stdin.close()
            member.stdout.close()


@pytest.fixture
def crowded(tmp_path, redis_url):
    url = f"sqlite:///{tmp_path}/app.db"
    crowds = []

    def begin(processes=PROCESSES, threads=THREADS, tenants=("acme",)):
        with Entitlements.open(url, catalog=CATALOG) as ent:
            for tenant in tenants:
                ent.admin("test", because="a test").subscribe(tenant, "pro")
        crowds.append(Crowd(url, redis_url + "?socket_timeout=5&socket_connect_timeout=5", processes, threads))
        return crowds[-1]

    with redis.Redis.from_url(redis_url) as wire:
        yield begin, wire
    for crowd in crowds:
        crowd.end()


def readings(wire, tenant):
    found = [json.loads(each) for each in wire.lrange("readings", 0, -1)]
    return [process for process, tenants in found if tenant in tenants]


def stampede(crowded, rounds, processes, threads):
    begin, wire = crowded
    tenants = [f"tenant{number}" for number in range(rounds)]
    crowd = begin(processes, threads, tenants)
    waits = []
    for tenant in tenants:
        crowd.ask(tenant)
        answers = crowd.answers()
        assert [allowed for _, allowed in answers] == [True] * (processes * threads)
        assert len(readings(wire, tenant)) == 1
        waits += [seconds for seconds, _ in answers]
    waits.sort()
    return waits


def test_all_processes_together_read_a_cold_tenant_once(crowded):
    """And nobody waits much longer than that reading takes."""
    waits = stampede(crowded, 3, PROCESSES, THREADS)
    assert waits[-1] < 2


@pytest.mark.soak
def test_the_same_with_more_of_everything(crowded):
    waits = stampede(crowded, 20, 8, 25)
    assert waits[len(waits) * 99 // 100] <= 0.5


def test_a_reader_that_is_killed_is_replaced_by_one(crowded):
    """At most two readings, and waiting has an end."""
    begin, wire = crowded
    crowd = begin()
    began = time.monotonic()
    crowd.ask(TENANT)
    while not readings(wire, TENANT):
        assert time.monotonic() - began < 10
        time.sleep(0.002)
    (leader,) = readings(wire, TENANT)
    crowd.members[int(leader)].kill()
    crowd.members[int(leader)].wait()
    answers = crowd.answers()
    assert [allowed for _, allowed in answers] == [True] * ((PROCESSES - 1) * THREADS)
    assert len(readings(wire, TENANT)) == 2
    assert max(seconds for seconds, _ in answers) < 2
