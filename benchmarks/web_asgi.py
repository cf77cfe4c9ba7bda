"""
What the middleware for ASGI adds to an app that does nothing else, and slowapi's beside it.

Requests are called as a server calls them, with a scope of its own each, on one loop and without a network.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import structlog

from benchmarks.limiting import PLENTY, SOLD
from benchmarks.measuring import UNIT, Timed, measure
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.entitlements import AsyncEntitlements
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.routing import Routes, needs

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

#: What is promised of the middleware where nothing is asked: units above a bare ASGI callable, some two microseconds.
BUDGET: Final = 40.0
#: With a table, a module of a tenant who is near. Measured, not promised beforehand: it is not to become worse unseen.
ASKED_BUDGET: Final = 260.0
#: The same, refused, with what that tenant could buy: whoever is refused asks again, and must not cost a server most.
REFUSED_BUDGET: Final = 2_000.0
REFUSED: Final = "ASGI middleware with a table, refused, over a bare ASGI callable"
#: Ours, where one limit is counted, may take so much of what slowapi's takes.
BESIDE_BUDGET: Final = 1.0
TENANT: Final = "acme"


def scope() -> dict[str, Any]:
    """As a server makes it for a request of a browser."""
    return {
        "type": "http",
        "method": "GET",
        "path": "/deals/7",
        "raw_path": b"/deals/7",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"app.example"), (b"accept", b"*/*"), (b"user-agent", b"Mozilla/5.0")],
        "client": ("203.0.113.9", 5000),
        "state": {},
    }


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The app."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def receive() -> Message:
    """No body."""
    return {"type": "http.request"}


async def send(message: Message) -> None:
    """The server's."""


def served(loop: asyncio.AbstractEventLoop, served_app: App, **more: Any) -> Timed:
    """Time requests to *served_app*, one after the other."""

    async def requests(times: int) -> float:
        begun = time.perf_counter()
        for _ in range(times):
            await served_app(scope() | more, receive, send)
        return time.perf_counter() - begun

    return lambda times: loop.run_until_complete(requests(times))


@contextmanager
def _opened(catalog: Any = SOLD) -> Iterator[tuple[asyncio.AbstractEventLoop, AsyncEntitlements]]:
    with asyncio.Runner() as runner:
        ent = AsyncEntitlements.open("memory://", catalog=Catalog.load(catalog))
        runner.run(ent.__aenter__())
        runner.run(ent.tenant(TENANT))
        try:
            yield runner.get_loop(), ent
        finally:
            runner.run(ent.__aexit__(None, None, None))


def _over(
    operation: str, app: Callable[[AsyncEntitlements], App], budget: float, catalog: Any = SOLD
) -> Callable[[Stage], list[Row]]:
    def rows(stage: Stage) -> list[Row]:
        """Units that the middleware adds."""
        with _opened(catalog) as (loop, ent):
            ours, theirs = served(loop, app(ent)), served(loop, bare)

            def added(times: int) -> float:
                # By turns, as everywhere; a difference of noise is no time.
                return max(ours(times) - theirs(times), 1e-9)

            return [row_of(operation, measure(added, UNIT, stage.effort, stage.tick), budget)]

    return rows


def _asks_nothing(ent: AsyncEntitlements) -> App:
    return EntitlementsMiddleware(bare, ent, tenant=lambda scope: TENANT)


def _asks_a_module(ent: AsyncEntitlements) -> App:
    routes = Routes({"/deals/*": "crm"})
    return EntitlementsMiddleware(bare, ent, tenant=lambda scope: TENANT, routes=routes)


def _refuses(ent: AsyncEntitlements) -> App:
    routes = Routes({"/deals/*": "invoicing"})
    return EntitlementsMiddleware(bare, ent, tenant=lambda scope: TENANT, routes=routes)


def refused(stage: Stage) -> list[Row]:
    """Units that a refusal adds, with what that tenant could buy, for a host whose log is for warnings."""
    of_host = structlog.get_config()
    structlog.reset_defaults()
    try:
        return _over(REFUSED, _refuses, REFUSED_BUDGET, CATALOG)(stage)
    finally:
        structlog.configure(**of_host)


def beside_slowapi(stage: Stage) -> list[Row]:
    """Ours with one limit in memory over theirs with the same, so 1 is as fast; theirs asks no tenant and no plan."""
    try:
        from slowapi import Limiter
        from slowapi.middleware import SlowAPIASGIMiddleware
        from starlette.applications import Starlette
        from starlette.routing import Route
    except ImportError:
        raise Absent("slowapi is not installed") from None

    async def deal(request: Any) -> None:
        """What it finds for the path; it is not called."""

    around = Starlette(routes=[Route("/deals/{id}", deal)])
    around.state.limiter = Limiter(key_func=lambda: TENANT, default_limits=[f"{PLENTY}/hour"], headers_enabled=True)
    routes = Routes({"/deals/*": needs(limits=["api"])})
    with _opened() as (loop, ent):
        ours = served(loop, EntitlementsMiddleware(bare, ent, tenant=lambda scope: TENANT, routes=routes))
        theirs = served(loop, SlowAPIASGIMiddleware(bare), app=around)
        measured = measure(ours, theirs, stage.effort, stage.tick)
    return [row_of("ASGI middleware, one limit, over slowapi's", measured, BESIDE_BUDGET)]


BENCHMARKS: Final = (
    Benchmark("web.asgi", _over("ASGI middleware, over a bare ASGI callable", _asks_nothing, BUDGET)),
    Benchmark(
        "web.asgi.module",
        _over("ASGI middleware with a table, one module, over a bare ASGI callable", _asks_a_module, ASKED_BUDGET),
    ),
    Benchmark("web.asgi.refused", refused),
    Benchmark("web.asgi.slowapi", beside_slowapi),
)
