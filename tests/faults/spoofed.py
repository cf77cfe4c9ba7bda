"""Two apps that say whose request it is, as the table of attempts configures it; and the servers that run them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from payaid_entitlements.web.request import EnvironRequest, ScopeRequest
from tests.web.tenancy.spoofing import answer

_HEADERS = [("content-type", "text/plain")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """For ASGI."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = answer(ScopeRequest(scope)).encode()
    fields = [(name.encode(), value.encode()) for name, value in _HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """For WSGI."""
    start_response("200 OK", _HEADERS)
    return [answer(EnvironRequest(environ)).encode()]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


def serve(kind: str, port: int) -> None:
    """Serve with one of the servers that have no command of their own."""
    if kind == "wsgiref":
        make_server("127.0.0.1", port, application, handler_class=_Quiet).serve_forever()
    else:
        from werkzeug.serving import run_simple

        run_simple("127.0.0.1", port, application)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
