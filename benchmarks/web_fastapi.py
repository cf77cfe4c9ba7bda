"""
What a gate costs a request of FastAPI: all of it through the app, from a prepared scope to the last message.

Ours takes turns with the same app that has a trivial ``Depends`` in its place, the login that each app has; then with
the limiters that people put there. Those that are not installed are left out. Each app has one route to be measured,
behind as many others: routes are looked through one by one, and the second of two would pay for the first.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.measuring import Measured, alternate_awaited
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.entitlements import AsyncEntitlements
from payaid_entitlements.web.fastapi import Gate

#: Over the same route behind the login alone.
BUDGET: Final = 1.25
#: Of several, and of those that count: measured, not promised beforehand; they are not to become worse unseen.
COUNTED: Final = {"two gates": 1.6, "rate limit": 1.8, "quota": 4.0}
#: Ours may take so much of what theirs takes, which knows of no plans: measured too.
BESIDE: Final = 1.25
#: So many that none is refused.
PLENTY: Final = 1_000_000
PATH: Final = "/it"
#: Other routes of the app, as a small one has.
ROUTES: Final = 20

SOLD: Final = {
    "catalog": 1,
    "default_plan": "pro",
    "modules": {"crm": {"features": {"export": {"kind": "switch"}, "pages": {"kind": "quota"}}}},
    "plans": {"pro": {"modules": ["crm"], "features": {"crm.export": True, "crm.pages": f"{PLENTY}/month"}}},
    "rate_limits": {"api": {"default": f"{PLENTY}/minute"}},
}

Ask = Callable[[], Awaitable[None]]


async def login() -> str:
    """What a token says, which is checked by then."""
    return "acme"


def asking(app: FastAPI) -> Ask:
    """Ask it again and again, as a server does."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver"), (b"accept", b"*/*"), (b"user-agent", b"benchmark")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def ask() -> None:
        await app({**scope, "state": {}}, receive, send)
        if statuses.pop() != 200:
            raise RuntimeError("a request was refused")

    return ask


def app_of(ent: AsyncEntitlements, kind: str = "login") -> FastAPI:
    """An app with one route behind a gate of *kind*, or behind the login alone; everything else is the same."""
    gate = Gate(ent, tenant=login)
    numbers = itertools.count()

    async def named() -> str:
        return f"operation-{next(numbers)}"

    dependencies: dict[str, Sequence[Any]] = {
        "login": [Depends(login)],
        "feature": [gate.require_feature("crm.export")],
        "view": [gate.tenant],
        "two": [gate.require_module("crm"), gate.require_feature("crm.export")],
        "limit": [gate.rate_limit("api")],
        "quota": [gate.consume_quota("crm.pages", operation=named)],
    }
    app = app_of_nothing()
    app.get(PATH, dependencies=dependencies[kind])(_answer)
    gate.init_app(app)
    return app


def app_of_nothing() -> FastAPI:
    """An app with other routes alone."""
    app = FastAPI(openapi_url=None)
    for number in range(ROUTES):
        app.get(f"/other/{number}")(_answer)
    return app


async def _answer() -> Response:
    return Response("it")


def gates(stage: Stage) -> list[Row]:
    """Each kind of gate over the login alone."""
    return asyncio.run(_gates(stage))


async def _gates(stage: Stage) -> list[Row]:
    async with await _sold("memory://") as ent:
        trivial = asking(app_of(ent))
        return [
            row_of(
                f"FastAPI request, {what}, over a trivial Depends",
                await alternate_awaited(asking(app_of(ent, kind)), trivial, stage.effort, stage.tick),
                budget,
            )
            for what, kind, budget in (
                ("gate.require_feature", "feature", BUDGET),
                ("gate.tenant", "view", BUDGET),
                ("two gates", "two", COUNTED["two gates"]),
                ("gate.rate_limit", "limit", COUNTED["rate limit"]),
                ("gate.consume_quota", "quota", COUNTED["quota"]),
            )
        ]


async def _sold(url: str) -> AsyncEntitlements:
    ent = AsyncEntitlements.open("memory://", catalog=Catalog.load(SOLD), limiter=None if url == "memory://" else url)
    await ent.admin("benchmarks", because="figures").subscribe("acme", "pro", operation="acme")
    return ent


def slowapi(url: str) -> FastAPI:
    """Slowapi's decorator, counting by an address, in a fixed window; on Redis it stops the loop while it waits."""
    try:
        from slowapi import Limiter
        from slowapi.util import get_remote_address
    except ImportError:
        raise Absent("slowapi is not installed") from None
    limiter = Limiter(key_func=get_remote_address, storage_uri=url, headers_enabled=True)
    app = app_of_nothing()
    app.state.limiter = limiter

    @app.get(PATH, dependencies=[Depends(login)])
    @limiter.limit(f"{PLENTY}/minute")
    async def it(request: Request, response: Response) -> Response:
        return Response("it")

    return app


def fastapi_limiter(url: str) -> FastAPI:
    """fastapi-limiter's dependency, with the limiter of pyrate-limiter that it is made for."""
    try:
        from fastapi_limiter.depends import RateLimiter
        from pyrate_limiter import GCRA, InMemoryStateStore, Limiter, Rate, StateBucket
    except ImportError:
        raise Absent("fastapi-limiter is not installed") from None
    if url != "memory://":
        raise Absent("fastapi-limiter is compared in memory alone")
    bucket = StateBucket([Rate(PLENTY, 60_000)], GCRA(), InMemoryStateStore())
    app = app_of_nothing()
    app.get(PATH, dependencies=[Depends(login), Depends(RateLimiter(limiter=Limiter(bucket)))])(_answer)
    return app


PEERS: Final = {"slowapi": slowapi, "fastapi-limiter": fastapi_limiter}


def _beside(name: str, place: str) -> Benchmark:
    async def compare(stage: Stage, url: str, theirs: FastAPI) -> Measured:
        async with await _sold(url) as ent:
            return await alternate_awaited(asking(app_of(ent, "limit")), asking(theirs), stage.effort, stage.tick)

    def rows(stage: Stage) -> list[Row]:
        url = "memory://" if place == "memory" else stage.redis()
        measured = asyncio.run(compare(stage, url, PEERS[name](url.replace("unix://", "redis+unix://"))))
        return [row_of(f"limited FastAPI request, {place}: ours over {name}", measured, BESIDE)]

    return Benchmark(f"web_fastapi.{name}{'' if place == 'memory' else '-' + place}", rows)


BENCHMARKS: Final = (
    Benchmark("web_fastapi.gates", gates),
    _beside("slowapi", "memory"),
    _beside("fastapi-limiter", "memory"),
    _beside("slowapi", "redis"),
)
