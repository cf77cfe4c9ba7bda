"""Which routes of an app a table does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from payaid_entitlements.web.patterns import WEBSOCKET
from payaid_entitlements.web.routing import Routes
from payaid_entitlements.web.starlette.walking import Found, found_in, is_mount, unwrapped

#: Stands for a method and a segment that nobody has written down.
_ANY_METHOD: Final = "ANY"
_ANY_SEGMENT: Final = "~"
_NAMED: Final = re.compile(r"\{[^{}]*\}")


def unmapped_routes(app: object, routes: Routes) -> list[str]:
    """
    Each route of *app*, and of the apps mounted in it, that some request reaches and *routes* answers with 404.

    Nothing where *app* is not built on Starlette: nobody can tell its routes then.
    """
    inside = unwrapped(app)
    return [] if inside is None else list(_unmapped(inside.routes, "", routes))


def _unmapped(inside: Any, prefix: str, routes: Routes) -> Iterator[str]:
    for found in found_in(inside):
        path = prefix + found.path
        if is_mount(found.route):
            app = unwrapped(found.endpoint)
            if app is not None:
                yield from _unmapped(app.routes, path, routes)
                continue
        for method in found.methods:
            asked = {"websocket": WEBSOCKET, "any method": _ANY_METHOD, "app": _ANY_METHOD}.get(method, method)
            if any(routes.match(asked, sample) is None for sample in _samples(found, path)):
                yield f"{method} {path or '/'}"


def _samples(found: Found, path: str) -> Iterator[str]:
    """Paths that reach *found*: with one segment for each name, and with two where a name may hold slashes."""
    one = _NAMED.sub(_ANY_SEGMENT, path) or "/"
    if is_mount(found.route):
        yield f"{one.rstrip('/')}/{_ANY_SEGMENT}"
        return
    yield one
    kinds = getattr(found.context, "param_convertors", None) or getattr(found.route, "param_convertors", {})
    for name, kind in kinds.items():
        if re.fullmatch(kind.regex, "a/a"):
            yield _NAMED.sub(_ANY_SEGMENT, path.replace(f"{{{name}}}", f"{_ANY_SEGMENT}/{_ANY_SEGMENT}"))
