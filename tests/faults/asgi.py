"""The app of `apps` on FastAPI, for servers of ASGI."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI

from payaid_entitlements import AsyncEntitlements
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.fastapi import Gate
from tests.faults.apps import options, said, sockets, watch_sockets


def make_asgi() -> FastAPI:
    """An app with lifespan, a gate, and an awaited client."""
    watch_sockets()
    ent = AsyncEntitlements.open(os.environ["APP_URL"], **options())

    def tenant_of(tenant: str) -> str:
        return tenant

    gate = Gate(ent, tenant=tenant_of)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await ent.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/asked/{tenant}")
    async def asked(tenant: str) -> dict[str, object]:
        return said(await ent.check(tenant, "crm.page_size"))

    @app.get("/viewed/{tenant}")
    async def viewed(view: Annotated[TenantView, gate.tenant]) -> dict[str, object]:
        return said(view.check("crm.page_size"))

    @app.get("/guarded/{tenant}", dependencies=[gate.require_feature("crm.export")])
    async def guarded(tenant: str) -> dict[str, object]:
        return {"pid": os.getpid()}

    @app.post("/change/{tenant}/{number}")
    async def change(tenant: str, number: int) -> dict[str, object]:
        admin = ent.admin("app", because="told to")
        change = await admin.override(tenant, "crm.page_size", number, operation=f"n-{number}")
        return {"pid": os.getpid(), "applied": change.applied, "revision": change.revision}

    @app.get("/sockets")
    async def used() -> dict[str, object]:
        return sockets(ent)

    gate.init_app(app)
    return app
