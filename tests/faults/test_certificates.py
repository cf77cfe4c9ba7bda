"""Tenants by the certificates of clients, over real TLS: which gunicorn ends itself, or a proxy before any server."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.faults.certified import SECRET
from tests.servers.process import Process, free_port

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "certificates"
CA, SERVER = str(HERE / "ca.pem"), str(HERE / "server.pem")
APP, WSGI = "tests.faults.certified:app", "tests.faults.certified:application"

_GUNICORN = ("-m", "gunicorn", "--bind=127.0.0.1:{port}", WSGI)
_GUNICORN_TLS = (*_GUNICORN, f"--certfile={SERVER}", f"--keyfile={SERVER}", f"--ca-certs={CA}", "--cert-reqs=1")
_UVICORN = ("-m", "uvicorn", "--port={port}", "--log-level=critical", APP)
_HYPERCORN = ("-m", "hypercorn", "--bind=127.0.0.1:{port}", APP)
#: How each is started at ``{port}``: those that end TLS themselves, and ask for a certificate without insisting on it.
ENDING = {
    "gunicorn": _GUNICORN_TLS,
    "threads": (*_GUNICORN_TLS, "--threads=4"),
    "gevent": (*_GUNICORN_TLS, "--worker-class=gevent"),
    "uvicorn": (*_UVICORN, f"--ssl-certfile={SERVER}", f"--ssl-ca-certs={CA}", "--ssl-cert-reqs=1"),
    "hypercorn": (
        *_HYPERCORN,
        *(f"--certfile={SERVER}", f"--keyfile={SERVER}", f"--ca-certs={CA}", "--verify-mode=CERT_OPTIONAL"),
    ),
}
#: And those that stand behind the proxy.
BEHIND = {"plain gunicorn": _GUNICORN, "plain uvicorn": _UVICORN, "plain hypercorn": _HYPERCORN}

pytestmark = pytest.mark.alone


def client(certificate: str | None) -> ssl.SSLContext:
    """What a client has: one of the certificates, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CA)
    if certificate is not None:
        context.load_cert_chain(HERE / f"{certificate}.pem")
    return context


def asked(port: int, certificate: str | None, **fields: str) -> str:
    """What is answered, or the status of what is none of success."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=client(certificate), timeout=10)
    try:
        return _answer(connection, fields)
    finally:
        connection.close()


def _answer(connection: http.client.HTTPConnection, fields: dict[str, str]) -> str:
    connection.request("GET", "/", headers={name.replace("__", "-"): value for name, value in fields.items()})
    answer = connection.getresponse()
    body = answer.read().decode()
    return body if answer.status == 200 else str(answer.status)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """All of them, started at once."""
    folder = tmp_path_factory.mktemp("servers")
    paths = os.pathsep.join([str(ROOT), *sys.path])
    with ExitStack() as ending:
        started: dict[str, tuple[int, Process]] = {}
        for kind, command in {**ENDING, **BEHIND}.items():
            port = free_port()
            words = [word.format(port=port) for word in command]
            told = [f"PYTHONPATH={paths}", f"APP_BEHIND={'yes' if kind in BEHIND else ''}"]
            process = Process(["/usr/bin/env", *told, sys.executable, *words], folder / f"{kind}.log")
            ending.callback(process.end, "KILL")
            started[kind] = port, process
        for kind, (port, process) in started.items():
            process.wait_until(lambda port=port, kind=kind: _listens(port, kind))
        yield {kind: port for kind, (port, _) in started.items()}


def _listens(port: int, kind: str) -> bool:
    context = client(None) if kind in ENDING else None
    to = (http.client.HTTPSConnection, {"context": context}) if context else (http.client.HTTPConnection, {})
    connection = to[0]("127.0.0.1", port, timeout=10, **to[1])
    try:
        return _answer(connection, {}) == "401"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Proxy(BaseHTTPRequestHandler):
    """Ends TLS as nginx does: what clients send of its own fields is dropped, and what it knows is written."""

    protocol_version = "HTTP/1.1"
    to: int
    _OURS = ("x-client-subject", "x-client-verify", "x-proxy-secret")

    def do_GET(self) -> None:
        connection = self.connection
        assert isinstance(connection, ssl.SSLSocket)
        sent = {name: value for name, value in self.headers.items() if name.lower().replace("_", "-") not in self._OURS}
        certificate = connection.getpeercert()
        sent |= {"X-Client-Verify": "SUCCESS" if certificate else "NONE", "X-Proxy-Secret": SECRET}
        if certificate:
            sent["X-Client-Subject"] = _named(certificate["subject"])
        behind = http.client.HTTPConnection("127.0.0.1", self.to, timeout=10)
        behind.request("GET", self.path, headers=sent)
        answer = behind.getresponse()
        body = answer.read()
        behind.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


def _named(subject: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """As RFC 4514 writes it: the last one first."""
    short = {"commonName": "CN", "organizationName": "O", "countryName": "C"}
    return ",".join(f"{short[kind]}={value.replace(',', chr(92) + ',')}" for ((kind, value),) in reversed(subject))


@contextmanager
def proxy(to: int) -> Iterator[int]:
    """The proxy, before the server at *to*."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("To", (Proxy,), {"to": to}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SERVER)
    context.load_verify_locations(CA)
    context.verify_mode = ssl.CERT_OPTIONAL
    # Hands shaken in the thread of each connection.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("kind", ["gunicorn", "threads", "gevent"])
def test_gunicorn_ends_tls_and_says_whose_certificate_it_is(ports: dict[str, int], kind: str) -> None:
    port = ports[kind]
    assert [asked(port, each) for each in ("acme", "globex", "acme")] == ["acme", "globex", "acme"]
    assert asked(port, None) == "401"
    assert asked(port, "both") == "403"
    forged = {"X__Client__Subject": "CN=acme", "SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN_CN": "acme"}
    assert asked(port, "globex", **forged) == "globex"
    assert asked(port, None, **forged) == "401"


@pytest.mark.parametrize("kind", ["gunicorn", "threads", "gevent", "uvicorn", "hypercorn"])
def test_a_certificate_of_somebody_elses_making_is_not_let_in(ports: dict[str, int], kind: str) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        asked(ports[kind], "stranger")


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn"])
def test_servers_that_do_not_say_whose_it_is_let_nobody_in(ports: dict[str, int], kind: str) -> None:
    """Should one of them learn to, the how-to is to be told."""
    assert asked(ports[kind], "acme") == "401"


@pytest.mark.parametrize("kind", BEHIND)
def test_a_proxy_ends_tls_and_says_whose_certificate_it_is(ports: dict[str, int], kind: str) -> None:
    with proxy(ports[kind]) as port:
        assert [asked(port, each) for each in ("acme", "globex", "acme")] == ["acme", "globex", "acme"]
        assert asked(port, None) == "401"
        assert asked(port, "both") == "403"
        for forged in ("X__Client__Subject", "X_Client_Subject"):
            fields = {forged: "CN=acme", "X__Client__Verify": "SUCCESS"}
            assert asked(port, "globex", **fields) == "globex"
            assert asked(port, None, **fields) == "401"
        with pytest.raises((OSError, http.client.HTTPException)):
            asked(port, "stranger")


@pytest.mark.parametrize("kind", BEHIND)
def test_who_comes_past_the_proxy_is_nobody(ports: dict[str, int], kind: str) -> None:
    fields = {"X__Client__Subject": "CN=acme", "X__Client__Verify": "SUCCESS", "X__Proxy__Secret": "wrong"}
    connection = http.client.HTTPConnection("127.0.0.1", ports[kind], timeout=10)
    try:
        assert _answer(connection, fields) == "401"
    finally:
        connection.close()
