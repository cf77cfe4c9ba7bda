"""The app of `gated` on FastAPI, for servers of ASGI."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, FastAPI

from payaid_entitlements import AsyncEntitlements, Usage
from payaid_entitlements.web import exempt
from payaid_entitlements.web.fastapi import Gate
from tests.faults.apps import options, sockets, watch_sockets


def make_asgi() -> FastAPI:
    """An app with lifespan, gates on its routers, and an awaited client."""
    watch_sockets()
    ent = AsyncEntitlements.open(os.environ["APP_URL"], **options())

    def tenant_of(tenant: str) -> str:
        return tenant

    def operation_of(operation: str) -> str:
        return operation

    gate = Gate(ent, tenant=tenant_of)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await ent.aclose()

    app = FastAPI(lifespan=lifespan)
    taken = gate.consume_quota("crm.calls", operation=operation_of)
    for limit in ("few", "many"):
        calls = APIRouter(prefix=f"/{limit}", dependencies=[gate.require_module("crm"), gate.rate_limit(limit)])

        @calls.post("/{tenant}/{operation}")
        async def call(usage: Annotated[Usage, taken]) -> dict[str, object]:
            return {"pid": os.getpid(), "used": str(usage.used)}

        app.include_router(calls)

    @app.get("/sockets")
    @exempt
    async def used() -> dict[str, object]:
        return sockets(ent)

    gate.init_app(app, unguarded="refuse")
    return app
