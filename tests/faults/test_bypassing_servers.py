"""Odd ways to write a request, byte by byte, to servers of ASGI, over HTTP/2 too; and greenlets that take turns."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.servers.process import Process, free_port
from tests.web.bypasses import ATTEMPTS, PREFLIGHT

ROOT = Path(__file__).parents[2]
APP = "tests.faults.bypassed:app"
SERVERS = {
    "uvicorn": ("-m", "uvicorn", "--port={port}", "--log-level=critical", APP),
    "hypercorn": ("-m", "hypercorn", "--bind=127.0.0.1:{port}", APP),
}
#: What is open by the table, in whatever way it is written.
OPEN = {"/static", "/static/.../hr/pay"}

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Both, started at once."""
    folder = tmp_path_factory.mktemp("servers")
    paths = os.pathsep.join([str(ROOT), *sys.path])
    with ExitStack() as ending:
        started: dict[str, tuple[int, Process]] = {}
        for kind, command in SERVERS.items():
            port = free_port()
            words = [word.format(port=port) for word in command]
            process = Process(["/usr/bin/env", f"PYTHONPATH={paths}", sys.executable, *words], folder / f"{kind}.log")
            ending.callback(process.end, "KILL")
            started[kind] = port, process
        for port, process in started.values():
            process.wait_until(lambda port=port: answered(port, "GET", "/open", {}).endswith("reached /open"))
        yield {kind: port for kind, (port, _) in started.items()}


def answered(port: int, method: str, target: str, headers: dict[str, str]) -> str:
    """Everything that comes back over HTTP/1.1; empty while nobody listens."""
    fields = {"Host": "app.example", "Connection": "close", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
    except OSError:
        return ""
    return answer.decode("latin-1").removesuffix("\r\n0\r\n\r\n")


@pytest.mark.parametrize("kind", SERVERS)
def test_no_server_reads_a_request_in_a_way_that_gets_past_the_table(ports: dict[str, int], kind: str) -> None:
    # A websocket is opened in another way, and what a preflight may is told elsewhere.
    tried = [each for each in ATTEMPTS if each != PREFLIGHT and "Upgrade" not in each.headers]
    past = [
        str(attempt)
        for attempt in tried
        if attempt.target not in OPEN
        and "reached" in answered(ports[kind], attempt.method, attempt.target, dict(attempt.headers))
    ]
    assert past == []


#: Paths that are not one (RFC 9113 section 8.3.1), and those that are something else to somebody.
PSEUDO_PATHS = (
    "hr/pay",
    "",
    "*",
    "http://app.example/hr/pay",
    "http://app.example/open/../hr/pay",
    "//hr/pay",
    "/hr/pay",
    "/static/../hr/pay",
    "/static/..%2fhr%2fpay",
    "/hr%2fpay",
    "/hr\\pay",
    "/hr/pay#x",
    "/hr/pay\n",
    "/hr pay",
)


def test_nor_over_http_2(ports: dict[str, int]) -> None:
    assert [path for path in PSEUDO_PATHS if "reached" in answered_over_2(ports["hypercorn"], path)] == []
    assert answered_over_2(ports["hypercorn"], "/open") == "reached /open"


def answered_over_2(port: int, path: str) -> str:
    """The body that comes back for a pseudo-path, with prior knowledge (RFC 9113 section 3.3); empty for a reset."""
    config = h2.config.H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding=None
    )
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "app.example"), (":path", path)]
    connection.send_headers(1, fields, end_stream=True)
    body = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(connection.data_to_send())
        while data := link.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
                    return body.decode()
            link.sendall(connection.data_to_send())
    return body.decode()


@pytest.mark.parametrize("switches", [500, pytest.param(20_000, marks=pytest.mark.soak)])
def test_greenlets_that_take_turns_keep_their_tenants(switches: int) -> None:
    """In a process of its own: gevent patches all of one."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.faults.greenlets", str(switches)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")
