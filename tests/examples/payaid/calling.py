"""Asking an app of ASGI without a client: hundreds of requests in a second, and many of them at once."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """
    All that can be seen of an answer.

    Attributes:
        raised: What the server's log says of an exception that nobody answered; not for clients.
    """

    status: int
    headers: dict[str, str]
    content: bytes
    raised: str = ""

    @property
    def reason(self) -> object:
        """Of a problem document."""
        return json.loads(self.content).get("reason")

    def text(self) -> str:
        """What a client can read."""
        return f"{self.status} {self.headers} {self.content.decode('utf-8', 'replace')}"


async def call(
    app: Any, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: object = None
) -> Answer:
    """One request. *body* is sent as JSON."""
    sent = b"" if body is None else json.dumps(body).encode()
    route, _, query = path.partition("?")
    fields = {"host": "testserver"} | {name.lower(): value for name, value in (headers or {}).items()}
    if body is not None:
        fields |= {"content-type": "application/json", "content-length": str(len(sent))}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": route,
        "raw_path": route.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("testserver", 80),
        "state": {},
    }
    answered: dict[str, Any] = {"content": b""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answered["status"] = message["status"]
            answered["headers"] = {key.decode("latin-1"): value.decode("latin-1") for key, value in message["headers"]}
        elif message["type"] == "http.response.body":
            answered["content"] += message.get("body", b"")

    raised = ""
    try:
        await app(scope, receive, send)
    except Exception:
        raised = traceback.format_exc()
    return Answer(answered["status"], answered["headers"], answered["content"], raised)
