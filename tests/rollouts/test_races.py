"""Of many that find at one time that a rollout is to go on, one makes the step: processes, and clients of servers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.core.flags.model import Stage
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.testing.clock import FakeClock
from tests.rollouts.conftest import DAY, FLAG, START, WATCHED

MANY = 3
#: Measures, then waits for a line, then steps, and says which steps it made.
PROCESS = """
import json, sys
from payaid_entitlements import Entitlements

url, at = sys.argv[1], float(sys.argv[2])
with Entitlements.open(url, clock=lambda: at) as ent:
    for n in range(30):
        ent.measure(ent.tenant(f"t{n}"), "new-checkout")
    ent._driver.run(ent._measuring.flush())
    print("ready", flush=True)
    sys.stdin.readline()
    made = ent.admin("conductor").step_rollouts()
    print(json.dumps([[each.stage.value, each.step] for each in made]), flush=True)
"""


def race(url: str, run: Callable[[str, FakeClock], list[list[list[object]]]]) -> None:
    """Begin a rollout, let *run* step it at one time, and let one that starts later take the next step by itself."""
    clock = FakeClock(START)
    with closing(open_store(url)) as store:
        if isinstance(store, SQLStore):
            store.upgrade()
        with Entitlements.open(url, catalog=WATCHED, clock=clock) as ent:
            assert [each.stage for each in ent.admin("asha").step_rollouts()] == [Stage.RUNNING]
        clock.advance(DAY)
        made = run(url, clock)
        assert sorted(made, key=len) == [*([[]] * (len(made) - 1)), [["running", 1]]]
        progress = store.flags().progress[FLAG]
        assert (progress.stage, progress.step, progress.attempt) == (Stage.RUNNING, 1, 2)
        told = store.tallies(f"rollout/{FLAG}/1")
        assert told["in/samples"] + told["out/samples"] == 30 * len(made)
        assert told["processes"] == len(made)
        clock.advance(DAY)
        with Entitlements.open(url, clock=clock) as ent:
            for n in range(30):
                ent.measure(ent.tenant(f"t{n}"), FLAG)
            clock.advance(seconds=10)
            ent.measure(ent.tenant("t0"), FLAG)
        assert store.flags().progress[FLAG].step == 2


def processes(url: str, clock: FakeClock) -> list[list[list[object]]]:
    command = [sys.executable, "-c", PROCESS, url, str(clock())]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for each in running:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in running:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        return [json.loads(each.communicate(timeout=60)[0]) for each in running]
    finally:
        for each in running:
            each.kill()
            each.wait()


def clients(url: str, clock: FakeClock) -> list[list[list[object]]]:
    made: list[list[list[object]]] = []
    gate = threading.Barrier(MANY)

    def step() -> None:
        with Entitlements.open(url, clock=clock) as ent:
            for n in range(30):
                ent.measure(ent.tenant(f"t{n}"), FLAG)
            ent._driver.run(ent._measuring.flush())
            gate.wait(60)
            made.append([[each.stage.value, each.step] for each in ent.admin("conductor").step_rollouts()])

    threads = [threading.Thread(target=step) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


def test_processes_on_a_sqlite_file(tmp_path: Path) -> None:
    race(f"sqlite:///{tmp_path / 'flags.db'}", processes)


@pytest.mark.parametrize("server", ["postgres_url", "redis_url"])
def test_clients_of_a_server(server: str, request: pytest.FixtureRequest) -> None:
    race(request.getfixturevalue(server), clients)
