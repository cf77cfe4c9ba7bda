"""What a request says: its path, and a JSON body of bounded size. Whatever else it is, it is refused here."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from email.message import Message
from typing import Any, Final, NoReturn, TypeAlias, cast

from payaid_entitlements.core.flags.details import FlagError
from payaid_entitlements.web.ofrep.refusing import Refusing, Scope

Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]

#: Where the protocol lives, below the place where the app is mounted.
PLACE: Final = "/ofrep/v1/evaluate/flags"


class Gone(Exception):
    """The client has gone away before it had said all; nobody waits for an answer."""


def flag_of(scope: Scope) -> str | None:
    """
    Read which flag is asked about; None for all.

    Raises:
        Refusing: 404, the path is none of the protocol's; 405, the method is not POST.
    """
    path, root = scope["path"], scope.get("root_path", "")
    # As ASGI says since 2021, the path begins with the root; some older servers leave it out.
    path = path.removeprefix(root)
    if path != PLACE and not path.startswith(f"{PLACE}/"):
        raise Refusing(404)
    if scope["method"] != "POST":
        raise Refusing(405, headers={"Allow": "POST"})
    if path == PLACE:
        return None
    # Keys may hold a slash; paths come decoded.
    key: str = path[len(PLACE) + 1 :]
    if not key or not _is_text(key):
        raise Refusing(404)
    return key


def _is_text(key: str) -> bool:
    """Whether *key* can be sent back: some servers decode what is no UTF-8 to halves of characters."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request, by their names in small letters; of repeated ones all values, with commas."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def context_of(headers: Mapping[str, str], receive: Receive, most: int) -> Mapping[str, object]:
    """
    Read the context that the body holds.

    Args:
        most: Bytes that the body may have.

    Raises:
        Refusing: 400, 413 or 415.
        Gone: Nobody waits any more.
    """
    # A page of another origin can send anything else without asking first; JSON it cannot (Fetch, "CORS-safelisted").
    kind = Message()
    kind["content-type"] = headers.get("content-type", "")
    if "content-type" not in headers or kind.get_content_type() != "application/json":
        raise Refusing(415, FlagError.PARSE_ERROR, "The body is JSON: Content-Type: application/json.")
    declared = headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > most:
        raise _too_large(most)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        body += message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        if not message.get("more_body", False):
            return _context(bytes(body))


def _too_large(most: int) -> Refusing:
    return Refusing(413, FlagError.INVALID_CONTEXT, f"The body is larger than {most} bytes.")


def _context(body: bytes) -> Mapping[str, object]:
    try:
        said = json.loads(body.decode(), parse_constant=_no_number)
        if b"\\u" in body:
            # Halves of characters pass as JSON and can be neither hashed nor sent back.
            json.dumps(said, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        # Which also is what bytes that are no UTF-8, and numbers of thousands of digits, raise.
        raise Refusing(400, FlagError.PARSE_ERROR, "The body is no JSON that can be read.") from None
    # The protocol requires a context; its official clients leave it out where nobody has set one.
    if not isinstance(said, dict) or not isinstance(said.get("context", {}), dict):
        raise Refusing(400, FlagError.INVALID_CONTEXT, 'The body is {"context": {...}}.')
    context = cast("dict[str, object]", said.get("context", {}))
    if not isinstance(context.get("targetingKey", ""), str):
        raise Refusing(400, FlagError.INVALID_CONTEXT, "targetingKey is a string.")
    return context


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)
