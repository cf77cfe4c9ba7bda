"""Guards in tasks: an argument names the tenant, the task's id names what is done, and retries pay once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
from celery import Celery
from celery.exceptions import MaxRetriesExceededError

from payaid_entitlements import Entitlements, consume_quota, current_tenant, require_feature, require_module
from payaid_entitlements.errors import NoCurrentTenant, NotEntitled, QuotaExceeded
from tests.faults.apps import CATALOG
from tests.faults.serving import ROOT
from tests.servers.process import Process


@pytest.fixture
def ent() -> Iterator[Entitlements]:
    with Entitlements.open("memory://", catalog=CATALOG) as found:
        yield found


@pytest.fixture
def app() -> Celery:
    app = Celery("eager", broker="memory://", backend="cache+memory://")
    app.conf.task_always_eager = True
    app.conf.task_store_eager_result = True
    return app


def used(ent: Entitlements, tenant: str = "acme") -> int:
    return int(ent.usage(tenant)["crm.calls"].used)


def test_a_task_that_names_its_tenant_is_guarded_and_bound(ent, app):
    @app.task
    @require_module("crm", tenant="org_id", client=ent)
    def allowed(org_id: str) -> str:
        return current_tenant().tenant

    @app.task
    @require_feature("crm.export", tenant="org_id", client=ent)
    def refused(org_id: str) -> str:
        return "exported"

    assert allowed.delay("acme").get() == "acme"
    assert allowed.apply_async(kwargs={"org_id": "acme"}).get() == "acme"
    with pytest.raises(NotEntitled) as error:
        refused.delay("acme").get()
    assert error.value.tenant == "acme"


def test_a_task_that_names_none_raises_and_does_not_run(ent, app):
    """What was bound where it was called is no matter of a worker."""
    ran = []

    @app.task
    @require_module("crm")
    def forgotten(org_id: str) -> None:
        ran.append(org_id)

    with pytest.raises(NoCurrentTenant, match="tenant='org_id'"):
        forgotten.delay("acme").get()
    with ent.bind("acme"), ThreadPoolExecutor(1) as worker, pytest.raises(NoCurrentTenant):
        worker.submit(forgotten.run, "acme").result()
    assert ran == []


def test_retries_pay_once_and_a_task_that_gives_up_pays_nothing(ent, app):
    tries: dict[str, int] = {}

    @app.task(bind=True, max_retries=2, default_retry_delay=0)
    @consume_quota("crm.calls", operation="call:{self.request.id}", tenant="org_id", client=ent)
    def call(self, org_id: str, fails: int) -> int:
        tries[self.request.id] = tries.get(self.request.id, 0) + 1
        if self.request.retries < fails:
            raise self.retry()
        return used(ent)

    assert call.delay("acme", 2).get() == 1
    assert used(ent) == 1
    with pytest.raises(MaxRetriesExceededError):
        call.delay("acme", 9).get()
    assert used(ent) == 1
    assert sorted(tries.values()) == [3, 3]


def test_a_task_that_is_delivered_twice_pays_once(ent, app):
    @app.task(bind=True)
    @consume_quota("crm.calls", operation="call:{self.request.id}", tenant="org_id", client=ent)
    def call(self, org_id: str) -> None: ...

    for _ in range(2):
        call.apply(("acme",), task_id="the-same")
    assert used(ent) == 1


def test_what_is_used_up_refuses_a_task(ent, app):
    @app.task
    @consume_quota("crm.calls", "n", operation="call:{job}", tenant="org_id", client=ent)
    def call(org_id: str, n: int, job: str) -> None: ...

    with pytest.raises(QuotaExceeded):
        call.delay("acme", 1_000_001, "a").get()
    assert used(ent) == 0


def test_threads_and_pools_are_guarded_by_an_argument(ent):
    seen: list[str] = []

    @require_module("crm", tenant="org_id", client=ent)
    @consume_quota("crm.calls", operation="job:{job}")
    def work(org_id: str, job: int) -> str:
        seen.append(current_tenant().tenant)
        return current_tenant().tenant

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, ["a", "b"] * 20, range(40)))
    thread = Thread(target=work, args=("c", 1))
    thread.start()
    thread.join()
    assert found == ["a", "b"] * 20
    assert (used(ent, "a"), used(ent, "b"), used(ent, "c")) == (20, 20, 1)
    assert seen.count("c") == 1


@pytest.mark.soak
def test_a_worker_of_many_processes_counts_exactly(tmp_path: Path, monkeypatch, ready_url):
    url = ready_url("postgresql")
    monkeypatch.setenv("APP_URL", url)
    monkeypatch.setenv("APP_BROKER", str(tmp_path))
    for folder in ("queue", "control", "results"):
        (tmp_path / folder).mkdir()
    from tests.faults import tasks

    told = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "APP_URL": url, "APP_BROKER": str(tmp_path)}
    worker = Process(
        [
            "/usr/bin/env",
            *(f"{key}={value}" for key, value in told.items()),
            *(sys.executable, "-m", "celery", "-A", "tests.faults.tasks", "worker", "--concurrency=4"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"),
        ],
        tmp_path / "worker.log",
    )
    try:
        waiting = [(f"t{n % 3}", tasks.call.delay(f"t{n % 3}", n % 3)) for n in range(150)]
        refused = tasks.export.delay("t0")
        assert [each.get(timeout=240) for _, each in waiting] == [tenant for tenant, _ in waiting]
        # Results of Celery are JSON, which carries no more of an error than its text.
        with pytest.raises(Exception, match=r"NotEntitled.*plan\.feature_absent"):
            refused.get(timeout=60)
        assert [used(tasks.ent, f"t{n}") for n in range(3)] == [100, 100, 100]
    finally:
        worker.end("TERM")
        tasks.ent.close()
