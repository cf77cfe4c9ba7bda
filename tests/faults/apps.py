"""
The apps of the tests that need a real web server: one for WSGI here, one for ASGI in `asgi`, of the same few routes.

    GET  /asked/TENANT              what `check` says: {"pid", "value", "degraded", "reason"}
    GET  /viewed/TENANT             the same, by a view (WSGI) or a gate (ASGI)
    GET  /guarded/TENANT            a guarded function: 200, or 402
    POST /change/TENANT/NUMBER      sets the tenant's value, with the number as operation
    GET  /sockets                   {"pid", "used"}: the sockets on which this process has asked a store anything

They are made as an app makes them, when it is imported: with ``gunicorn --preload`` that is before workers
are forked. `APP_URL` and `APP_SHARED` in the environment say where the store and the shared layer are; with `APP_WARM`
the parent has asked a question of its own before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from payaid_entitlements import Catalog, Entitlements, require_feature
from payaid_entitlements.errors import Refused

#: How many requests a day the gated routes let through.
FEW, MANY = 20, 1_000

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {
                "features": {
                    "page_size": {"kind": "config", "type": "int", "merge": "max"},
                    "export": {"kind": "switch"},
                    "calls": {"kind": "quota", "unit": "call"},
                }
            }
        },
        # Closed: of a process that stood still for 50 ms nobody is let through whom the others may have counted too.
        "rate_limits": {
            "few": {"default": f"{FEW}/day", "on_outage": "closed"},
            "many": {"default": f"{MANY}/day", "on_outage": "closed"},
        },
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.page_size": 0, "crm.calls": "1000000/month"}},
            "pro": {"extends": "free"},
        },
    }
)

USED: set[int] = set()
# What a parent has used is not what its child uses.
os.register_at_fork(after_in_child=USED.clear)


def _note(descriptor: int) -> None:
    USED.add(os.fstat(descriptor).st_ino)


def watch_sockets() -> None:
    """Note each socket on which a driver asks."""
    from redis.asyncio.connection import AbstractConnection as AsyncRedisConnection
    from redis.connection import AbstractConnection as RedisConnection
    from sqlalchemy import Pool, event

    event.listen(Pool, "checkout", lambda adapted, record, proxy: _note(record.driver_connection.pgconn.socket))
    sending, sending_async = RedisConnection.send_packed_command, AsyncRedisConnection.send_packed_command

    def noted(self: Any, *args: Any, **named: Any) -> Any:
        answer = sending(self, *args, **named)
        _note(self._sock.fileno())
        return answer

    async def noted_async(self: Any, *args: Any, **named: Any) -> Any:
        answer = await sending_async(self, *args, **named)
        _note(self._writer.get_extra_info("socket").fileno())
        return answer

    RedisConnection.send_packed_command = noted  # type: ignore[method-assign]
    AsyncRedisConnection.send_packed_command = noted_async  # type: ignore[method-assign]


def sockets(ent: Any) -> dict[str, object]:
    """What ``/sockets`` says; *hears* when the listener has a connection."""
    listener = ent._setting.listener
    wire = None if listener is None or listener._line is None else listener._line._wire
    handle = getattr(wire, "_handle", None)
    if handle is not None:
        _note(handle._socket.fileno())
    return {"pid": os.getpid(), "used": sorted(USED), "hears": wire is not None}


def said(decision: Any) -> dict[str, object]:
    """What ``/asked`` says."""
    return {
        "pid": os.getpid(),
        "value": decision.value,
        "degraded": decision.degraded,
        "reason": str(decision.reason),
    }


def options() -> dict[str, Any]:
    """How both apps open their client."""
    shared = os.environ.get("APP_SHARED")
    return {"catalog": CATALOG} | ({"shared": shared} if shared else {})


def make_wsgi() -> Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]:
    """A plain WSGI app."""
    watch_sockets()
    ent = Entitlements.open(os.environ["APP_URL"], **options())

    @require_feature("crm.export")
    def export() -> dict[str, object]:
        return {"pid": os.getpid()}

    def answer(method: str, path: list[str]) -> dict[str, object]:
        match method, path:
            case "GET", ["asked", tenant]:
                return said(ent.check(tenant, "crm.page_size"))
            case "GET", ["viewed", tenant]:
                return said(ent.tenant(tenant).check("crm.page_size"))
            case "GET", ["guarded", tenant]:
                with ent.bind(tenant):
                    return export()
            case "POST", ["change", tenant, number]:
                admin = ent.admin("app", because="told to")
                change = admin.override(tenant, "crm.page_size", int(number), operation=f"n-{number}")
                return {"pid": os.getpid(), "applied": change.applied, "revision": change.revision}
            case "GET", ["sockets"]:
                return sockets(ent)
        raise LookupError(path)

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        try:
            status, body = "200 OK", answer(environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/").split("/"))
        except Refused as refused:
            status, body = "402 Payment Required", {"pid": os.getpid(), "reason": str(refused.decision.reason)}
        text = json.dumps(body).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    if os.environ.get("APP_WARM"):
        ent.check("warm", "crm.page_size")
    return app
