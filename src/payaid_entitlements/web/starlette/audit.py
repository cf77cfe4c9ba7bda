"""The look over all routes when the app starts: what would let everybody pass without anybody noticing is loud here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards import is_covered, rules_of
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.web.exempting import is_exempt
from payaid_entitlements.web.needs import unknown
from payaid_entitlements.web.starlette.asking import Asked, is_entitling
from payaid_entitlements.web.starlette.walking import Found, chain, found_in, is_mount, unwrapped


def audit(app: Starlette, catalog: Catalog | None, *, refuse_unguarded: bool) -> None:
    """
    Look over all routes of *app* and of the apps that are mounted in it.

    Raises:
        ConfigurationError: Names every route with a mistake, and the way out.
    """
    mistakes = list(_of_app(app, "", catalog, is_closed=not refuse_unguarded))
    if mistakes:
        raise ConfigurationError("\n".join(("routes are not guarded as they look:", *(f"  {m}" for m in mistakes))))


def _of_app(app: Any, prefix: str, catalog: Catalog | None, *, is_closed: bool) -> Iterator[str]:
    around = any(map(_is_entitling_middleware, getattr(app, "user_middleware", ())))
    # A router has made its middleware already.
    within = any(map(_is_entitling, chain(getattr(app, "middleware_stack", None))))
    is_closed = is_closed or around or within
    yield from _of_routes(app.routes, prefix, catalog, is_closed=is_closed)


def _of_routes(routes: Sequence[BaseRoute], prefix: str, catalog: Catalog | None, *, is_closed: bool) -> Iterator[str]:
    for found in found_in(routes):
        path = prefix + found.path
        around = any(map(_is_entitling, chain(getattr(found.route, "app", None))))
        closed = is_closed or around or _is_open_on_purpose(found)
        inside = unwrapped(found.endpoint) if is_mount(found.route) else None
        if inside is not None:
            yield from _of_app(inside, path, catalog, is_closed=closed)
            continue
        for mistake in _mistakes(found, catalog, is_closed=closed):
            yield f"{'/'.join(found.methods)} {path or '/'}: {mistake}"


def _mistakes(found: Found, catalog: Catalog | None, *, is_closed: bool) -> Iterator[str]:
    if is_covered(found.endpoint):
        yield "a guard stands above a decorator that has taken the function before, where it never runs; put it below"
    rules = rules_of(found.endpoint)
    if rules is not None:
        for need in (*rules.requirements, *(Requirement(Rank.LIMIT, limit.key) for limit in rules.limits)):
            yield from unknown(catalog, need)
    # How often is not who: a limit alone lets everybody pass.
    if not is_closed and not (rules is not None and (rules.requirements or rules.metered)):
        yield (
            "no gate or guard stands before it; add middleware=[gate.require_module(...)] or a guard, or mark it with "
            "exempt(...)"
        )


def _is_open_on_purpose(found: Found) -> bool:
    return is_exempt(found.endpoint) or any(map(is_exempt, chain(found.endpoint)))


def _is_entitling(app: object) -> bool:
    return isinstance(app, Asked) and app.is_entitling


def _is_entitling_middleware(middleware: Middleware) -> bool:
    ours: object = Asked
    if middleware.cls is not ours:
        return False
    made: Any = middleware.args
    _, needs, take, _ = made
    return is_entitling(needs, take)
