"""The example of Flask does what it says, over real HTTP."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.servers.process import Process

FILE = Path(__file__).parents[2] / "examples" / "flask_app" / "app.py"


class Browser:
    """Somebody with cookies."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, Any]:
        """The status, and the document or the text."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        asked = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with self._opener.open(asked, timeout=10) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        return status, json.loads(text) if text.startswith("{") else text

    def log_in(self, tenant: str, password: str = "demo") -> int:
        return self.ask("POST", "/login", {"tenant": tenant, "password": password})[0]


def does_what_it_says(port: int) -> None:
    nobody, acme, tiny = Browser(port), Browser(port), Browser(port)
    status, said = nobody.ask("GET", "/contacts/")
    assert (status, said["reason"]) == (401, "tenant.unidentified")
    assert nobody.ask("GET", "/nowhere")[0] == 404
    assert (acme.log_in("acme"), tiny.log_in("tiny-shop")) == (200, 200)
    assert acme.ask("GET", "/contacts/") == (200, {"contacts": ["Kaveri Traders"], "can_export": True})
    assert tiny.ask("GET", "/contacts/")[1]["can_export"] is False
    assert acme.ask("GET", "/contacts/export") == (200, "name\nKaveri Traders\n")
    status, said = tiny.ask("GET", "/contacts/export")
    assert (status, said["reason"], said["remedies"][0]["plan"]) == (402, "plan.feature_absent", "team")
    assert tiny.ask("POST", "/invoices/")[0] == 402
    assert acme.ask("POST", "/invoices/")[0] == 400
    keyed = [acme.ask("POST", "/invoices/", **{"Idempotency-Key": key}) for key in ("1", "2", "2", "3")]
    assert keyed == [
        (201, {"used": 1, "left": 2}),
        (201, {"used": 2, "left": 1}),
        (200, {"used": 2, "left": 1}),
        (201, {"used": 3, "left": 0}),
    ]
    status, said = acme.ask("POST", "/invoices/", **{"Idempotency-Key": "4"})
    assert (status, said["reason"]) == (402, "quota.exhausted")
    # Two have logged in already.
    assert [nobody.log_in("x", "wrong") for _ in range(4)] == [403, 403, 403, 429]


@pytest.fixture
def port() -> Iterator[int]:
    spec = importlib.util.spec_from_file_location("flask_app_example", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = make_server("127.0.0.1", 0, module.create_app("memory://"), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_does_what_it_says(port):
    does_what_it_says(port)


@pytest.mark.soak
def test_flask_run_finds_it(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"PYTHONPATH={os.pathsep.join(sys.path)}"
    command = ["/usr/bin/env", path, sys.executable, "-m", "flask", "--app", str(FILE), "run", f"--port={port}"]
    server = Process(command, tmp_path / "log")

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
