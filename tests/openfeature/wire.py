"""Requests to an ASGI app, without a client between that would take out what is wrong with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PATH = "/ofrep/v1/evaluate/flags"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


def by_header(scope: Mapping[str, Any]) -> str | None:
    """A login that believes a header, as tests may."""
    found = dict(scope["headers"]).get(b"x-tenant")
    return None if found is None else found.decode()


def asgi(served: Any, scope: Mapping[str, Any], *messages: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the app sends for *messages*."""
    said, sent = iter(messages), []
    asyncio.run(_talk(served, scope, said, sent))
    return sent


async def _talk(
    served: Any, scope: Mapping[str, Any], said: Iterator[Mapping[str, Any]], sent: list[dict[str, Any]]
) -> None:
    async def receive() -> Mapping[str, Any]:
        return next(said)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await served(scope, receive, send)


def http(path: str, *, method: str = "POST", **headers: str) -> dict[str, Any]:
    """The scope of a request; a header that is empty is left out."""
    given = {"x-tenant": "free", "content-type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    path, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
    }


def answer_of(sent: list[dict[str, Any]]) -> Answer:
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert headers.get("content-length") in (None, str(len(body["body"])))
    return Answer(start["status"], headers, body["body"])


async def post_async(served: Any, path: str, body: Any = None, **how: str) -> Answer:
    """Same as `post`, awaited."""
    sent: list[dict[str, Any]] = []
    content = body if isinstance(body, bytes) else json.dumps({"context": {}} if body is None else body).encode()
    await _talk(served, http(path, **how), iter([{"type": "http.request", "body": content}]), sent)
    return answer_of(sent)


def post(served: Any, path: str, body: Any = None, **how: str) -> Answer:
    """One request; *body* is JSON data, or bytes as they are."""
    return asyncio.run(post_async(served, path, body, **how))
