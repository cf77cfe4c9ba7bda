"""Each request of the table, byte by byte, to each server that people run."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, StreamEnded, StreamReset

from tests.servers.process import Process, free_port
from tests.web.tenancy.spoofing import ATTEMPTS, CONFLICT

ROOT = Path(__file__).parents[2]
APP, WSGI = "tests.faults.spoofed:app", "tests.faults.spoofed:application"

#: How each is started at ``{port}``, and what it does with underscores in names of fields.
SERVERS = {
    "gunicorn": ("dropping", ("-m", "gunicorn", "--bind=127.0.0.1:{port}", WSGI)),
    "waitress": ("dropping", ("-m", "waitress", "--listen=127.0.0.1:{port}", WSGI)),
    "werkzeug": ("dropping", ("-m", "tests.faults.spoofed", "werkzeug", "{port}")),
    "wsgiref": ("joining", ("-m", "tests.faults.spoofed", "wsgiref", "{port}")),
    "uvicorn": ("asgi", ("-m", "uvicorn", "--port={port}", "--log-level=warning", APP)),
    "hypercorn": ("asgi", ("-m", "hypercorn", "--bind=127.0.0.1:{port}", APP)),
}

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """All of them, started at once: each takes a second."""
    folder = tmp_path_factory.mktemp("servers")
    paths = os.pathsep.join([str(ROOT), *sys.path])
    with ExitStack() as ending:
        started: dict[str, tuple[int, Process]] = {}
        for kind, (_, command) in SERVERS.items():
            port = free_port()
            words = [word.format(port=port) for word in command]
            process = Process(["/usr/bin/env", f"PYTHONPATH={paths}", sys.executable, *words], folder / f"{kind}.log")
            ending.callback(process.end, "KILL")
            started[kind] = port, process
        for port, process in started.values():
            process.wait_until(lambda port=port: bool(said(port, ATTEMPTS[0].raw)))
        yield {kind: port for kind, (port, _) in started.items()}


def said(port: int, raw: bytes) -> str:
    """The body of the answer, or the status of a server that refused before the app; empty while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(raw)
            answer = b""
            while part := connection.recv(65536):
                answer += part
    except OSError:
        return ""
    head, _, body = answer.decode("latin-1").partition("\r\n\r\n")
    status = head.split(" ", 2)[1]
    if "chunked" in head.lower():
        body = body.split("\r\n")[1]
    return body if status == "200" else f"{status} of the server"


@pytest.mark.parametrize("kind", SERVERS)
def test_only_who_is_verified_and_uncontradicted_is_found(ports: dict[str, int], kind: str) -> None:
    wrong = {}
    for attempt in ATTEMPTS:
        expected = attempt.outcome(SERVERS[kind][0])
        outcome = said(ports[kind], attempt.raw)
        if outcome != expected:
            wrong[attempt.name] = (outcome, expected)
    assert wrong == {}


def said_over_http2(port: int, *fields: tuple[str, str], authority: str = "localhost") -> str:
    """The same over HTTP/2 without TLS (RFC 9113 section 3.3); empty where the server breaks off."""
    plain = H2Configuration(client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
    state = H2Connection(plain)
    state.initiate_connection()
    pseudo = [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", authority)]
    state.send_headers(1, [*pseudo, *fields], end_stream=True)
    body = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(state.data_to_send())
        while part := connection.recv(65536):
            for event in state.receive_data(part):
                if isinstance(event, DataReceived):
                    body += event.data
                elif isinstance(event, StreamEnded | StreamReset | ConnectionTerminated):
                    return body.decode()
    return body.decode()


def test_pseudo_headers_of_http2_are_no_way_round(ports: dict[str, int]) -> None:
    port, token = ports["hypercorn"], ("authorization", "Bearer acme")
    assert said_over_http2(port, token, authority="acme.example.com") == "acme"
    assert said_over_http2(port, token, authority="evil.example.com") == CONFLICT
    assert said_over_http2(port, token, ("x_tenant_id", "evil")) == CONFLICT
    assert said_over_http2(port, token, ("x-tenant-id", "acme"), ("x-tenant-id", "evil")) == CONFLICT
    # The server takes neither of two hosts.
    assert said_over_http2(port, token, ("host", "acme.example.com"), authority="evil.example.com") == ""
