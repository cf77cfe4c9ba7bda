"""
Two versions of a module behind one ASGI app: a canary first, then blue beside green, and back at once.

    python examples/routing/asgi.py

Which version answers a tenant is a small pure decision; this file only hands the request on. Where you keep the route
is up to you: here it is a value that is swapped, elsewhere a row or a file that each process reads again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from payaid_entitlements.core.flags.routing import Route, promoted, switched_back, version
from payaid_entitlements.core.instant import HOUR

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Callable[[Mapping[str, Any]], Awaitable[None]]], Awaitable[None]]


class Versions:
    """
    Hands each request on to the version that answers its tenant.

    Args:
        apps: By version; proxies to other servers are apps too.
        tenant: The id that your login has verified; never a header that anybody can write.
    """

    def __init__(self, apps: Mapping[str, App], route: Route, tenant: Callable[[Scope], str]) -> None:
        self.apps = apps
        self.route = route
        self.tenant = tenant

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request. The route is looked at once: a swap in between changes nothing for it."""
        await self.apps[version(self.route, self.tenant(scope))](scope, receive, send)


def says(name: str) -> App:
    """A version of a module, as far as this example needs one."""

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": name.encode()})

    return app


async def answers(app: Versions, tenants: int = 1000) -> Counter[str]:
    """Which version answers how many tenants."""
    bodies: list[str] = []

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            bodies.append(message["body"].decode())

    for number in range(tenants):
        await app({"type": "http", "session": {"org": f"org-{number}"}}, None, send)
    return Counter(bodies)


async def main() -> None:
    """Tell the story."""
    versions = {name: says(name) for name in ("crm-1.4", "crm-1.5")}
    app = Versions(versions, Route("crm", "crm-1.4"), lambda scope: str(scope["session"]["org"]))
    now = 0
    for share in (5_000, 25_000):
        app.route = Route("crm", "crm-1.4", canaries=(("crm-1.5", share),))
        print(f"canary of {share // 1000} %:", (await answers(app))["crm-1.5"], "of 1000 tenants")
    app.route = promoted(app.route, "crm-1.5", now)
    print("promoted:", dict(await answers(app)), "and", app.route.previous, "is kept for a day")
    app.route = switched_back(app.route, now + HOUR)
    print("switched back:", dict(await answers(app)))


if __name__ == "__main__":
    asyncio.run(main())
