"""The ASGI app: from a request to who asks, from who asks to what the flags say."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from payaid_entitlements.core.flags.asking import text_of
from payaid_entitlements.core.flags.details import FlagError
from payaid_entitlements.core.observing import log
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import QuotaExceeded, Refused, StoreUnavailable, TenantUnidentified
from payaid_entitlements.flagging import flags_near_async, is_known, view_near, visitor
from payaid_entitlements.web.ofrep.answers import Written, etag_of, failure, is_same, status_of, to_json
from payaid_entitlements.web.ofrep.caller import Authenticate, Caller, believed, caller_of
from payaid_entitlements.web.ofrep.refusing import Refusing, Scope
from payaid_entitlements.web.ofrep.requests import Gone, Receive, context_of, flag_of, headers_of

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.compiled import CompiledFlag
    from payaid_entitlements.core.flags.context import FlagContext
    from payaid_entitlements.core.flags.snapshot import FlagSnapshot

Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Bytes that the body of a request may have: a context is a page at most.
MOST_BYTES: Final = 64 * 1024
#: Seconds after which a client that asked too often may ask again, where nothing better is known.
RETRY_AFTER: Final = 60

_ALWAYS: Final = {"Cache-Control": "no-store"}


def app(
    ent: Entitlements | AsyncEntitlements,
    *,
    authenticate: Authenticate,
    flags: Collection[str] | None = None,
    strict_reasons: bool = False,
    max_bytes: int = MOST_BYTES,
) -> App:
    """
    Serve flags by OFREP 0.3.0, as an ASGI app to mount: ``/ofrep/v1/evaluate/flags`` and below.

    A request chooses its context, and never who asks: that is what *authenticate* says.

    Args:
        authenticate: The host's login, a coroutine function, or a plain one, which is called in a thread: from the
            ASGI scope to a `Caller`, a tenant's id, or a pair of a tenant's and a user's. None, or
            `TenantUnidentified`, is answered 401; `PermissionError` and `Refused` 403; `QuotaExceeded` 429; an error
            with a ``status_code`` of these (as ``HTTPException`` has) by it and its ``headers``. Anything else is a
            500, of which the client learns nothing.
        flags: Keys that may be asked; None for all. Others do not exist.
        strict_reasons: Say ``UNKNOWN`` for ``DEFAULT`` and other reasons that the protocol's schema does not list.
        max_bytes: Longest body.

    Raises:
        TypeError: *flags* is one text: all its letters would be shown, and no flag.
    """
    if isinstance(flags, str):
        raise TypeError(f"flags={flags!r}: give several keys, such as [{flags!r}]")
    return _Server(ent, authenticate, None if flags is None else frozenset(flags), strict_reasons, max_bytes)


class _Server:
    def __init__(
        self,
        ent: Entitlements | AsyncEntitlements,
        authenticate: Authenticate,
        visible: frozenset[str] | None,
        is_strict: bool,
        most: int,
    ) -> None:
        self._ent = ent
        self._authenticate = authenticate
        self._visible = visible
        self._is_strict = is_strict
        self._most = most
        self._of: FlagSnapshot | None = None
        self._shown: tuple[CompiledFlag, ...] = ()
        self._written = Written(is_strict=is_strict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI 3.0 asks."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _live(receive, send)
            case _:
                # A web socket that is closed before it was accepted is a 403.
                await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = None
        try:
            key = flag_of(scope)
            status, headers, body = await self._answer(key, scope, receive)
        except Gone:
            return
        except Refusing as refusing:
            said = b"" if refusing.code is None else to_json(failure(refusing.code, key, refusing.says))
            status, headers, body = refusing.status, refusing.headers, said
        except Exception as error:  # the client learns nothing of it, and the host's log all
            log.warning("ofrep.failed", kind=type(error).__name__, error=str(error))
            status, headers, body = 500, {}, to_json({"errorDetails": "The flags cannot be evaluated at the moment."})
        await _send(send, status, headers, body)

    async def _answer(self, key: str | None, scope: Scope, receive: Receive) -> tuple[int, Mapping[str, str], bytes]:
        headers = headers_of(scope)
        # Before the body is read: nobody's body costs nothing.
        caller = await self._caller(scope)
        said = await context_of(headers, receive, self._most)
        snapshot, context = await self._asked(caller, said)
        if key is not None:
            flag = snapshot.flags.get(key) if self._visible is None or key in self._visible else None
            if flag is None:
                return 404, {}, to_json(failure(FlagError.FLAG_NOT_FOUND, key))
            details = flag.evaluate(context)
            return status_of(details), {}, self._written.of(details, flag.flag.type)
        body = self._all(context)
        etag = etag_of(body)
        if is_same(etag, headers.get("if-none-match", "")):
            return 304, {"ETag": etag}, b""
        return 200, {"ETag": etag}, body

    async def _caller(self, scope: Scope) -> Caller:
        try:
            if inspect.iscoroutinefunction(self._authenticate):
                said = await self._authenticate(scope)
            else:
                # It may look something up, and would stop all other requests.
                said = await asyncio.to_thread(self._authenticate, scope)
            return caller_of(await said if inspect.isawaitable(said) else said)
        except TenantUnidentified:
            raise Refusing(401, headers={"WWW-Authenticate": "Bearer"}) from None
        except QuotaExceeded as error:
            usage = error.decision.usage
            wait = _seconds(None if usage is None else usage.resets_at, self._ent._setting.wall())
            raise Refusing(429, headers={"Retry-After": str(wait)}) from None
        except (PermissionError, Refused):
            raise Refusing(403) from None
        except Exception as error:
            # HTTPException of Starlette and others, which need not be installed.
            status = getattr(error, "status_code", None)
            if status not in (401, 403, 429):
                raise
            raise Refusing(status, headers=getattr(error, "headers", None)) from None

    async def _asked(self, caller: Caller, said: Mapping[str, object]) -> tuple[FlagSnapshot, FlagContext]:
        """The flags as they are near, and whom they are asked about."""
        of_request = believed(caller, said)
        if caller.tenant is None:
            snapshot, is_old = await flags_near_async(self._ent)
            context = visitor(self._ent, caller.user, of_request.attributes)
        else:
            view = await view_near(self._ent, caller.tenant, caller.user)
            snapshot, is_old = view._flags, view.stale
            context = view._context_for(None, of_request.attributes)
        if of_request.key is not None:
            # Nobody has this context yet: both are made for attributes that are this request's.
            context.user_text = text_of(of_request.key)
        if is_old and not is_known(self._ent, snapshot):
            # No answer is better than none of the flags: clients keep what they have.
            raise StoreUnavailable("the store gave no answer, and no flags are known")
        if snapshot is not self._of:
            # What was written is of answers that nobody gives any more.
            visible = self._visible
            # All at once is not yet shown: no exposure is told of.
            flags = (snapshot.origin or snapshot).flags
            self._shown = tuple(flags[key] for key in sorted(flags) if visible is None or key in visible)
            self._of, self._written = snapshot, Written(is_strict=self._is_strict)
        return snapshot, context

    def _all(self, context: FlagContext) -> bytes:
        write = self._written.of
        said = [write(flag.evaluate(context), flag.flag.type) for flag in self._shown]
        return b'{"flags":[' + b",".join(said) + b"]}"


def _seconds(resets_at: datetime | None, now: float) -> int:
    """Whole seconds until *resets_at*, never too few; at least one."""
    return RETRY_AFTER if resets_at is None else max(1, math.ceil(resets_at.timestamp() - now))


async def _live(receive: Receive, send: Send) -> None:
    """Begin and end with the server, where it is served by itself: there is nothing to do."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    said = {**_ALWAYS, **headers}
    if body:
        said["Content-Type"] = "application/json"
    if status != 304:
        said["Content-Length"] = str(len(body))
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in said.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
