"""
Real web servers with several workers: each worker answers, hears of changes and ends by itself.

What is asked goes over HTTP; what is changed, is changed by this process, or by a worker.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import psycopg
import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.cache.local import LEASE
from payaid_entitlements.stores.ports import Scope
from payaid_entitlements.stores.sql import SQLStore
from tests.faults.serving import WORKERS, Crowd, Served, Truth

HOT = [f"hot-{number}" for number in range(10)]

END_LISTENERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND query ~ '^(LISTEN|SELECT .*sequencer)'"
)

Serve = Callable[..., Served]
Ready = Callable[[str], str]


def some_path() -> Callable[[], tuple[str, str]]:
    """Mostly tenants that are asked about again and again, some of whom nobody has asked before, some refusals."""
    chance, cold = random.Random(1), itertools.count()

    def path() -> tuple[str, str]:
        kind = chance.choices(["asked", "viewed", "cold", "guarded"], [50, 20, 25, 5])[0]
        tenant = f"cold-{next(cold)}" if kind == "cold" else chance.choice(HOT)
        return f"/{'asked' if kind == 'cold' else kind}/{tenant}", "GET"

    return path


def turn(url: str, truth: Truth, changes: int, pause: float) -> None:
    """Change the hot tenants, one after the other."""
    with Entitlements.open(url) as ent:
        admin = ent.admin("test", because="test")
        for number in range(1, changes + 1):
            tenant = HOT[number % len(HOT)]
            admin.override(tenant, "crm.page_size", number)
            truth.now(tenant, number)
            time.sleep(pause)


def until_each_shows(served: Served, truth: Truth) -> float:
    """Wait until all workers show the last value of all; for how many seconds that took since the last commit."""
    last = {tenant: known[-1][1] for tenant, known in truth.commits.items()}
    begun = max(known[-1][0] for known in truth.commits.values())
    while any(
        answer["value"] != value
        for tenant, value in last.items()
        for answer in served.each(f"/asked/{tenant}").values()
    ):
        assert time.monotonic() - begun < 2 * LEASE
    return time.monotonic() - begun


def answers_right_while_things_change(served: Served, url: str, requests: int, changes: int, pause: float) -> Truth:
    crowd, truth = Crowd(served, some_path()), Truth()
    with crowd.asking(requests):
        turn(url, truth, changes, pause)
    guarded = sum(answer.path.startswith("/guarded/") for answer in crowd.answers)
    assert crowd.statuses() == {200: len(crowd.answers) - guarded, 402: guarded}
    assert len(crowd.answers) >= requests
    assert not [answer for answer in crowd.answers if answer.body.get("degraded")]
    assert {answer.body["pid"] for answer in crowd.answers if answer.status == 200} == set(served.each("/sockets"))
    assert truth.contradicted(crowd.answers, LEASE) == []
    assert until_each_shows(served, truth) < LEASE
    return truth


def share_no_socket(served: Served) -> None:
    used = [set(answer["used"]) for answer in served.each("/sockets").values()]
    assert all(used)
    assert sum(map(len, used)) == len(set().union(*used))


SERVED = [
    ("gunicorn", "postgresql", {}),
    ("gunicorn", "postgresql", {"APP_WARM": "1"}),
    ("threads", "redis", {"APP_WARM": "1"}),
    ("gevent", "postgresql", {}),
    ("uvicorn", "postgresql", {}),
    ("uvicorn", "redis", {}),
]


@pytest.mark.parametrize(
    ("kind", "store", "told"), SERVED, ids=lambda each: "warm" if each == {"APP_WARM": "1"} else None
)
def test_all_workers_answer_right_while_things_change(serve: Serve, ready_url: Ready, kind, store, told):
    url = ready_url(store)
    served = serve(kind, APP_URL=url, **told)
    answers_right_while_things_change(served, url, requests=1_000, changes=40, pause=0.02)
    share_no_socket(served)
    assert served.end() < 5
    assert "Traceback" not in served.log.read_text(), served.log.read_text()


@pytest.mark.parametrize("kind", ["gunicorn", "threads", "gevent", "uvicorn"])
def test_a_worker_that_is_killed_harms_nobody_else(serve: Serve, ready_url: Ready, kind):
    """Whoever was asking it gets no answer, at most one for each connection; all others do, and a new worker too."""
    served = serve(kind, APP_URL=ready_url("postgresql"))
    before = set(served.each("/asked/hot-0"))
    crowd = Crowd(served, some_path())
    with crowd.asking(600):
        until(lambda: len(crowd.answers) > 100)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: min(before) not in (now := set(served.each("/asked/hot-0"))) and len(now) == WORKERS[kind])
    lost = crowd.statuses()[0]
    assert lost <= crowd.size
    assert crowd.statuses().keys() <= {0, 200, 402}
    assert crowd.statuses()[200] > 400
    assert not [answer for answer in crowd.answers if answer.body.get("degraded")]
    assert served.end() < 5


@pytest.mark.parametrize("kind", ["gunicorn", "threads", "gevent", "uvicorn"])
def test_an_end_under_load_is_quick_and_loses_nothing_that_was_acknowledged(serve: Serve, ready_url: Ready, kind):
    url = ready_url("postgresql")
    served = serve(kind, APP_URL=url)
    numbers = itertools.count(1)

    def changing() -> tuple[str, str]:
        number = next(numbers)
        return f"/change/{HOT[number % len(HOT)]}/{number}", "POST"

    crowd = Crowd(served, changing)
    with crowd.asking():
        until(lambda: len(crowd.answers) > 40)
        assert served.end() < 5
    acknowledged = {answer.path.rpartition("/")[2] for answer in crowd.answers if answer.status == 200}
    assert len(acknowledged) >= 20
    store = SQLStore(url)
    done = Counter(entry.operation for entry in store.audit(scope=Scope.TENANT, limit=10_000))
    store.close()
    assert set(done.values()) == {1}
    assert {f"n-{number}" for number in acknowledged} <= done.keys()
    # The rest were refused as such: somebody else was faster, or there was no answer.
    assert crowd.statuses().keys() <= {0, 200, 500, 503}


def test_a_connection_that_hears_of_changes_is_ended_again_and_again(serve: Serve, ready_url: Ready):
    """An administrator, a firewall or a fail-over ends it: nobody is told anything wrong, and it comes back."""
    url = ready_url("postgresql")
    served = serve("gunicorn", APP_URL=url)
    crowd, truth = Crowd(served, some_path()), Truth()
    ended = 0
    with crowd.asking(), psycopg.connect(url, autocommit=True) as direct:
        for _ in range(5):
            turn(url, truth, 5, 0.02)
            # What they last said is where the change log ends; questions read tenants and the log itself.
            ended += len(direct.execute(END_LISTENERS).fetchall())
            until(lambda: all(answer["hears"] for answer in served.each("/sockets").values()))
    assert ended >= 10
    assert truth.contradicted(crowd.answers, LEASE) == []
    assert until_each_shows(served, truth) < LEASE


def until(is_so: Callable[[], bool]) -> None:
    """Wait for other processes."""
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)
