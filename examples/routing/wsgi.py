"""
Two versions of a module behind one WSGI app; `asgi.py` tells the longer story.

    python examples/routing/wsgi.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from payaid_entitlements.core.flags.routing import Route, version

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Versions:
    """
    Hands each request on to the version that answers its tenant.

    Args:
        apps: By version.
        tenant: The id that your login has verified; never a header that anybody can write.
    """

    def __init__(self, apps: Mapping[str, App], route: Route, tenant: Callable[[Environ], str]) -> None:
        self.apps = apps
        self.route = route
        self.tenant = tenant

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        return self.apps[version(self.route, self.tenant(environ))](environ, start_response)


def says(name: str) -> App:
    """A version of a module, as far as this example needs one."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [name.encode()]

    return app


def main() -> None:
    """Tell the story."""
    # The vendor's own company tries everything first, whatever its position.
    route = Route("crm", "crm-1.4", canaries=(("crm-1.5", 5_000),), pinned=(("us", "crm-1.5"),))
    app = Versions({name: says(name) for name in ("crm-1.4", "crm-1.5")}, route, lambda environ: environ["app.org"])
    for tenant in ("us", "kaveri", "anand"):
        print(tenant, b"".join(app({"app.org": tenant}, lambda *_: None)).decode())


if __name__ == "__main__":
    main()
