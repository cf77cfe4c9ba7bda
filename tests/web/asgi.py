"""Bare ASGI apps for tests, and how to call them without a server: what a server would hear is a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def scope_of(method: str, path: str, *, kind: str = "http", **more: Any) -> dict[str, Any]:
    """A scope; headers as a mapping of text."""
    headers: Mapping[str, str] = more.pop("headers", {})
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("203.0.113.9", 5000),
        **more,
    }
    return scope | ({"method": method} if kind == "http" else {"subprotocols": []})


async def heard(app: Any, scope: Mapping[str, Any], *messages: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Everything that *app* sends; it receives *messages*, and then that the client has gone."""
    sent: list[dict[str, Any]] = []
    coming = list(messages)

    async def receive() -> Any:
        if coming:
            return coming.pop(0)
        return {"type": "http.disconnect" if scope["type"] == "http" else "websocket.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(dict(scope), receive, send)
    return sent


def body_of(sent: list[dict[str, Any]]) -> bytes:
    """The body that was sent."""
    return b"".join(each.get("body", b"") for each in sent)


def fields_of(sent: list[dict[str, Any]]) -> dict[str, str]:
    """The fields of the response."""
    start = next(each for each in sent if each["type"].endswith("response.start"))
    return {name.decode(): value.decode() for name, value in start["headers"]}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answers everybody."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})
