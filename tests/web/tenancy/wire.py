"""What servers make of the requests of the table."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import unquote

from tests.web.tenancy.spoofing import Attempt

Fields = list[tuple[str, str]]


def fields_of(attempt: Attempt) -> Fields:
    lines = attempt.raw.decode("latin-1").split("\r\n")[1:-2]
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def scope_of(attempt: Attempt) -> dict[str, Any]:
    """What uvicorn and hypercorn make of it."""
    path, _, query = attempt.target.partition("?")
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields_of(attempt)]
    return {
        "type": "http",
        "method": "GET",
        "path": unquote(path),
        "query_string": query.encode(),
        "headers": headers,
        "client": ("10.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }


def environ_of(attempt: Attempt, *, drops: bool) -> dict[str, Any]:
    """What gunicorn, waitress and werkzeug make of it; and wsgiref, which does not drop."""
    path, _, query = attempt.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": "10.0.0.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    for name, value in fields_of(attempt):
        if drops and "_" in name:
            continue
        key = f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
