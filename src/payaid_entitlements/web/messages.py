"""A refusal as an ASGI server is told it: the messages of a response, and those that end a websocket. Pure."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from payaid_entitlements.web.refusing import Refusal

Message: TypeAlias = MutableMapping[str, Any]

#: Close codes for what policy forbids, and for what the server did not expect: RFC 6455 section 7.4.1.
_POLICY, _UNEXPECTED = 1008, 1011
#: A close frame holds 125 bytes, two of them the code (RFC 6455 section 5.5).
_LONGEST_REASON: Final = 123


def response_of(said: Refusal, method: str) -> tuple[Message, Message]:
    """Answer a request of *method* with *said*."""
    content = said.content
    fields = said.headers | {"Content-Length": str(len(content))}
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    # To HEAD with the fields that GET would have, and without a body (RFC 9110 section 9.3.2).
    body = b"" if method == "HEAD" else content
    return (
        {"type": "http.response.start", "status": said.status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


def denial_of(said: Refusal, scope: Mapping[str, Any], *, is_open: bool) -> tuple[Message, ...]:
    """
    Refuse the websocket of *scope* with *said*.

    As a response where the handshake is not answered yet and the server can do it (ASGI extension
    ``websocket.http.response``); else it is closed, and its reason says why.

    Args:
        is_open: It was accepted.
    """
    if not is_open and "websocket.http.response" in (scope.get("extensions") or ()):
        start, body = response_of(said, "GET")
        return {**start, "type": "websocket.http.response.start"}, {**body, "type": "websocket.http.response.body"}
    code = _UNEXPECTED if said.status >= 500 else _POLICY
    return ({"type": "websocket.close", "code": code, "reason": str(said.body["reason"])[:_LONGEST_REASON]},)
