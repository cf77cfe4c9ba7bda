"""An app that limits its routes with slowapi: each process counts on its own, and plans are asked by hand."""

from __future__ import annotations

from fastapi import FastAPI, Request
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address


def account(request: Request) -> str:
    """Who has logged in; a header stands in for your login."""
    return request.headers["x-account"]


def reports_of(key: str) -> str:
    """What the plan of an account lets through."""
    return "50/hour" if key == "rich" else "5/hour"


limiter = Limiter(key_func=get_remote_address)
heavy = limiter.shared_limit("4/hour", scope="heavy", key_func=account)

app = FastAPI()
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)  # type: ignore[arg-type]


@app.post("/sign-in")
@limiter.limit("3/hour")
async def sign_in(request: Request) -> str:
    return "signed in"


@app.get("/reports")
@limiter.limit(reports_of, key_func=account)
async def reports(request: Request) -> str:
    return "reports"


@app.get("/export")
@heavy
async def export(request: Request) -> str:
    return "exported"


@app.get("/print")
@heavy
async def print_all(request: Request) -> str:
    return "printed"


@app.post("/bulk")
@limiter.limit("10/hour", key_func=account, cost=4)
async def bulk(request: Request) -> str:
    return "done"
