"""The example of Starlette and of an app without a framework does what it says, by a real server."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient, WebSocketDenialResponse

from tests.servers.process import Process, free_port

FOLDER = Path(__file__).parents[2] / "examples" / "asgi_starlette"


def asked(port: int, method: str, path: str, token: str = "", **headers: str) -> tuple[int, Any]:
    """The status, and the document or the text."""
    fields = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=fields, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    return status, json.loads(text) if text.startswith("{") else text


def does_what_it_says(port: int) -> None:
    acme, tiny = "acme-token", "tiny-token"
    status, said = asked(port, "GET", "/contacts/")
    assert (status, said["reason"]) == (401, "tenant.unidentified")
    assert asked(port, "GET", "/health") == (200, {"ok": True})
    assert asked(port, "GET", "/contacts/", acme) == (200, {"contacts": ["Kaveri Traders"], "can_export": True})
    assert asked(port, "GET", "/contacts/", tiny)[1]["can_export"] is False
    assert asked(port, "GET", "/contacts/export", acme) == (200, "name\nKaveri Traders\n")
    status, said = asked(port, "GET", "/contacts/export", tiny)
    assert (status, said["reason"], said["remedies"][0]["plan"]) == (402, "plan.feature_absent", "team")
    assert asked(port, "POST", "/invoices/", tiny)[0] == 402
    assert asked(port, "POST", "/invoices/", acme)[0] == 400
    keyed = [asked(port, "POST", "/invoices/", acme, Idempotency_Key=key) for key in ("1", "2", "2", "3")]
    assert keyed == [
        (201, {"used": "1", "left": "2"}),
        (201, {"used": "2", "left": "1"}),
        (200, {"used": "2", "left": "1"}),
        (201, {"used": "3", "left": "0"}),
    ]
    status, said = asked(port, "POST", "/invoices/", acme, Idempotency_Key="4")
    assert (status, said["reason"]) == (402, "quota.exhausted")
    assert asked(port, "GET", "/files/invoices/1.pdf", acme) == (200, "the file of /files/invoices/1.pdf")
    statuses = [
        asked(port, "GET", f"/files/{path}", tiny)[0]
        for path in ("invoices/1.pdf", "contacts/1.csv", "logo.png", "else", "contacts/../invoices/1.pdf")
    ]
    assert statuses == [402, 200, 200, 404, 404]


@pytest.fixture
def module() -> Any:
    spec = spec_from_file_location("asgi_starlette_example", FOLDER / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def port(module: Any) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(module.create_app("memory://"), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def test_it_does_what_it_says(port):
    does_what_it_says(port)


def test_its_websocket_is_gated_too(module):
    with TestClient(module.create_app("memory://")) as client:
        with client.websocket_connect("/contacts/live", headers={"Authorization": "Bearer tiny-token"}) as told:
            assert told.receive_json() == {"contact": "Kaveri Traders"}
        with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/contacts/live"):
            pass
    assert denied.value.status_code == 401


@pytest.mark.soak
def test_uvicorn_finds_it(tmp_path):
    port = free_port()
    path = f"PYTHONPATH={os.pathsep.join(sys.path)}"
    command = [sys.executable, "-m", "uvicorn", f"--port={port}", f"--app-dir={FOLDER}", "app:app"]
    server = Process(["/usr/bin/env", path, *command], tmp_path / "log")

    def is_up() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    server.wait_until(is_up)
    try:
        does_what_it_says(port)
    finally:
        server.end("TERM")
