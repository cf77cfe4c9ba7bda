"""
T-4: the data, keys and users of each tenant have a word in them, which no other tenant, log or metric ever says.

Anything may be asked in any order and at once, by those who may and those who may not, also while the store is down and
where a route breaks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from pathlib import Path

import pytest

from payaid_entitlements import Catalog, Entitlements, current_tenant
from tests.examples.payaid.calling import call
from tests.examples.payaid.loading import FOLDER, loaded
from tests.servers.process import Process, free_port

#: By tenant its plan and its word. The name is one too: a tenant is not told who else is there.
TENANTS = {
    f"tenant-{word}": (plan, f"canary-{word}")
    for word, plan in {"b71f": "enterprise", "0e3a": "professional", "9d4c": "starter", "22aa": "free"}.items()
}
WORDS = re.compile("|".join(part for tenant, (_, word) in TENANTS.items() for part in (tenant, word)))

#: Of what somebody asks: the method, the path, and what is sent.
PLAIN = [
    ("GET", "/crm/contacts"),
    ("GET", "/crm/export"),
    ("GET", "/invoices"),
    ("POST", "/invoices"),
    ("POST", "/invoices/recurring"),
    ("GET", "/accounting/ledgers"),
    ("POST", "/hr/payroll-runs"),
    ("GET", "/whatsapp/messages"),
    ("GET", "/analytics/dashboards"),
    ("GET", "/billing"),
    ("GET", "/billing/usage"),
    ("GET", "/billing/upgrade?feature=analytics.realtime"),
    ("GET", "/billing/upgrade?feature=no.such"),
    ("GET", "/broken"),
    ("GET", "/nowhere"),
    ("PATCH", "/billing"),
]

Headers = dict[str, str]
Plan = tuple[str, str, str, Headers, object]


def plans(dice: random.Random, count: int, tokens: dict[str, str]) -> Iterator[Plan]:
    """What random people ask, and for which tenant."""
    for _ in range(count):
        tenant = dice.choice(list(TENANTS))
        other = dice.choice(list(TENANTS))
        word = TENANTS[tenant][1]
        headers = {
            "Authorization": f"Bearer {tokens[tenant]}",
            "Idempotency-Key": f"{word}-{dice.randrange(4)}",
            # A client may say it; nobody may believe it.
            "X-Tenant": other if dice.random() < 0.5 else tenant,
            "Accept": dice.choice(["application/json", "text/html", "*/*"]),
        }
        match dice.randrange(10):
            case 0:
                yield tenant, "POST", "/crm/contacts", headers, {"name": f"{word} of {tenant}"}
            case 1:
                yield tenant, "POST", "/crm/contacts", headers, {"title": word}
            case 2:
                yield tenant, "GET", f"/crm/contacts/{dice.randrange(1, 60)}", headers, None
            case 3:
                yield tenant, "DELETE", f"/crm/contacts/{dice.randrange(1, 200)}", headers, None
            case _:
                method, path = dice.choice(PLAIN)
                yield tenant, method, path, headers, None


def require_own(tenant: str, said: str, where: str) -> None:
    """Refuse a word of anybody else's."""
    foreign = set(WORDS.findall(said)) - {tenant, TENANTS[tenant][1]}
    assert not foreign, f"{where} of {tenant} says {foreign}: {said[:2_000]}"


def require_of_one(lines: Iterable[str]) -> None:
    """What is logged may say whose request it was, and nobody else; never what is in their rows."""
    for line in lines:
        found = set(WORDS.findall(line))
        assert len({each.partition("-")[2] for each in found}) <= 1, line


@pytest.mark.parametrize("calls", [300])
def test_nobody_is_told_what_is_anothers(caplog: pytest.LogCaptureFixture, calls: int) -> None:
    caplog.set_level(logging.DEBUG)
    dice = random.Random(4)
    statuses: set[int] = set()
    with loaded() as app:
        rows, tokens = app.app.rows, {}

        @app.app.app.get("/broken", dependencies=[app.app.gate.tenant])
        async def broken() -> None:
            raise RuntimeError(f"cannot write {rows.of(current_tenant().tenant)}")

        for tenant, (plan, word) in TENANTS.items():
            if plan != "free":
                app.inside.subscribe(tenant, plan)
            app.inside.override(tenant, "hr", True)
            rows.add(tenant, app.app.NewContact(name=word))
            tokens[tenant] = app.login.token(tenant, f"user-of-{tenant}")

        async def ask(plan: Plan) -> None:
            tenant, method, path, headers, body = plan
            answer = await call(app.app.app, method, path, headers=headers, body=body)
            statuses.add(answer.status)
            require_own(tenant, answer.text(), f"the answer to {method} {path}")
            require_own(tenant, answer.raised, f"the exception of {method} {path}")
            if path == "/broken" and answer.status == 500:
                assert TENANTS[tenant][1] in answer.raised

        async def run() -> None:
            some = list(plans(dice, calls, tokens))
            for at in range(0, calls, 20):
                crowd = asyncio.gather(*map(ask, some[at : at + 20]))
                if at % 100 == 80:
                    with app.inside.outage(is_warm=at % 200 == 80):
                        await crowd
                else:
                    await crowd

        asyncio.run(run())
        counted = json.dumps([*map(str, app.inside.counts)])

    assert statuses >= {200, 201, 204, 402, 404, 405, 422, 429, 500, 503}
    require_of_one(json.dumps(vars(record), default=repr) for record in caplog.records)
    assert any("refused" in record.getMessage() for record in caplog.records)
    assert not WORDS.findall(counted), "metrics say of no tenant anything"
    # Of what is in rows no log says anything, but for the traceback of the host's own exception.
    assert not [record for record in caplog.records if "canary-" in record.getMessage()]


@pytest.mark.soak
def test_nobody_is_told_what_is_anothers_by_four_processes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'payaid.db'}"
    with Entitlements.open(url, catalog=Catalog.load(FOLDER / "catalog.yaml")) as ent:
        admin = ent.admin("test", because="canaries")
        admin.publish(Catalog.load(FOLDER / "catalog.yaml"))
        for tenant, (plan, _) in TENANTS.items():
            admin.subscribe(tenant, plan, operation=tenant)
    with loaded() as app:
        tokens = {tenant: app.login.token(tenant, f"user-of-{tenant}") for tenant in TENANTS}
    ports = [free_port() for _ in range(4)]
    logs = [tmp_path / f"{port}.log" for port in ports]
    statuses: dict[int, int] = {}
    with ExitStack() as stack:
        for port, log in zip(ports, logs, strict=True):
            log.touch()
            command = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(FOLDER), "--port", str(port)]
            command += ["--timeout-keep-alive", "300"]
            server = Process(["env", f"PAYAID_URL={url}", *command], log)
            stack.callback(server.end, "TERM")
            server.wait_until(partial(_is_up, port))

        def drive(number: int) -> None:
            dice = random.Random(number)
            with ExitStack() as open_ones:
                connections = {port: open_ones.enter_context(connected(port)) for port in ports}
                drive_by(dice, connections)

        def drive_by(dice: random.Random, connections: dict[int, HTTPConnection]) -> None:
            for tenant, method, path, headers, body in plans(dice, 1_250, tokens):
                connection = connections[dice.choice(ports)]
                sent = None if body is None else json.dumps(body)
                response = _asked(connection, method, path, sent, headers | {"Content-Type": "application/json"})
                said = f"{response.status} {response.getheaders()} {response.read().decode()}"
                statuses[response.status] = statuses.get(response.status, 0) + 1
                require_own(tenant, said, f"the answer to {method} {path}")

        with ThreadPoolExecutor(8) as threads:
            for _ in threads.map(drive, range(8)):
                pass

    assert sum(statuses.values()) > 9_000  # threads may lose a few of what they count
    assert set(statuses) >= {200, 201, 204, 402, 404, 405, 422}
    require_of_one(line for log in logs for line in log.read_text(encoding="utf-8").splitlines())


def _asked(connection: HTTPConnection, method: str, path: str, body: str | None, headers: Headers) -> HTTPResponse:
    """Ask, and again where the server has answered, and closed, before it had all of the body."""
    for _ in range(5):
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse()
        except (BrokenPipeError, ConnectionResetError, RemoteDisconnected):
            connection.close()
    raise AssertionError("the server hangs up each time")


def connected(port: int) -> closing[HTTPConnection]:
    """A connection that is closed behind the block."""
    return closing(HTTPConnection("127.0.0.1", port, timeout=60))


def _is_up(port: int) -> bool:
    try:
        with connected(port) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
    except OSError:
        return False
