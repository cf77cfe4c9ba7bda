"""The same app: all processes count together, what is let through is in the catalog, and plans say it too."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI, Request

from payaid_entitlements import AsyncEntitlements, Catalog
from payaid_entitlements.web import exempt
from payaid_entitlements.web.fastapi import Gate


def account(request: Request) -> str:
    """Who has logged in; a header stands in for your login."""
    return request.headers["x-account"]


catalog = Catalog.load(Path(__file__).with_name("catalog.yaml"))
ent = AsyncEntitlements.open(os.environ["PAYAID_URL"], catalog=catalog)
gate = Gate(ent, tenant=account, proxies=0)

app = FastAPI()


@app.post("/sign-in", dependencies=[gate.rate_limit("sign_in", before_login=True)])
@exempt
async def sign_in() -> str:
    return "signed in"


@app.get("/reports", dependencies=[gate.rate_limit("reports")])
async def reports() -> str:
    return "reports"


@app.get("/export", dependencies=[gate.rate_limit("heavy")])
async def export() -> str:
    return "exported"


@app.get("/print", dependencies=[gate.rate_limit("heavy")])
async def print_all() -> str:
    return "printed"


@app.post("/bulk", dependencies=[gate.rate_limit("bulk", cost=4)])
async def bulk() -> str:
    return "done"


gate.init_app(app)
