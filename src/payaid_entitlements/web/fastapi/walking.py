"""Every route of an app, also of included routers and of apps that are mounted, and what stands around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, Router

from payaid_entitlements.web.exempting import is_exempt as is_marked_exempt
from payaid_entitlements.web.fastapi.marks import is_gate
from payaid_entitlements.web.starlette.walking import is_mount, methods_of, unwrapped


@dataclass(frozen=True, slots=True)
class Place:
    """
    One route, or one app that is mounted.

    Attributes:
        path: As API descriptions write it, below the app where the walk began.
        methods: In upper case, sorted; or what stands in for them: ``websocket``, ``any method``, ``app``.
        endpoint: What runs.
        dependant: What FastAPI resolves for it; None for whatever is no route of FastAPI.
        is_exempt: It, or an app around it, is marked as open on purpose.
        is_bypassing: A router or an app around it has a gate that FastAPI does not ask here: dependencies are for
            routes of FastAPI, not for plain ones of Starlette, and not for what is mounted.
    """

    path: str
    methods: tuple[str, ...]
    endpoint: object
    dependant: Dependant | None
    is_exempt: bool
    is_bypassing: bool

    def __str__(self) -> str:
        return f"{'/'.join(self.methods)} {self.path or '/'}"


def places(app: Starlette) -> Iterator[Place]:
    """The routes of *app* itself, without those of mounted apps and without the pages that FastAPI adds to itself."""
    yield from (place for route, place in _walk(app, "", False, False) if not is_mount(route))


def all_places(
    app: Starlette | Router, path: str = "", *, is_exempt: bool = False, is_bypassing: bool = False
) -> Iterator[Place]:
    """
    The routes of *app* and of all apps that are mounted in it. A mounted app without routes is a place itself.

    Args:
        path: Where *app* is mounted.
        is_exempt, is_bypassing: What stands around it, as in `Place`.
    """
    for route, place in _walk(app, path, is_exempt, is_bypassing):
        inside = unwrapped(route.app) if is_mount(route) else None
        if inside is not None:
            yield from all_places(inside, place.path, is_exempt=place.is_exempt, is_bypassing=place.is_bypassing)
        else:
            yield place


def _walk(app: Starlette | Router, prefix: str, is_open: bool, is_bypassing: bool) -> Iterator[tuple[BaseRoute, Place]]:
    """Each route and what it is; what is mounted is not entered."""
    has_gate = isinstance(app, FastAPI) and any(map(is_gate, app.router.dependencies))
    not_asked = {id(route) for route in _not_asked(app.routes, has_gate)}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        mounted = route.app if is_mount(route) else None
        endpoint = mounted or context.endpoint or route
        if isinstance(route, Route) and getattr(endpoint, "__module__", "") == FastAPI.__module__:
            continue
        yield (
            route,
            Place(
                prefix + ((context.path if mounted else context.path_format) or ""),
                methods_of(route, context.methods),
                endpoint,
                context.dependant if isinstance(route, APIRoute | APIWebSocketRoute) else None,
                is_open or is_marked_exempt(endpoint) or is_marked_exempt(unwrapped(mounted)),
                is_bypassing or id(route) in not_asked,
            ),
        )


def _not_asked(routes: Sequence[BaseRoute], is_gated: bool) -> Iterator[BaseRoute]:
    """The routes that stand in a router with a gate and yet not behind it, since FastAPI only asks for its own."""
    for route in routes:
        # What FastAPI makes of include_router() has no public name; without these attributes it is no such node.
        router, context = getattr(route, "original_router", None), getattr(route, "include_context", None)
        if isinstance(router, APIRouter) and context is not None:
            around = (*context.dependencies, *router.dependencies)
            yield from _not_asked(router.routes, is_gated or any(map(is_gate, around)))
        elif is_gated and not isinstance(route, APIRoute | APIWebSocketRoute):
            yield route
