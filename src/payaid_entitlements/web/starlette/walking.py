"""Routes of an app of Starlette, or of one that is built on it, and of all apps that are mounted in it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Host, Mount, Router, WebSocketRoute

#: So many middlewares around one app are looked through.
_DEEPEST: Final = 50


@dataclass(frozen=True, slots=True)
class Found:
    """
    A route, as it is reached.

    Attributes:
        route: As it was made.
        path: Below the app or router that it was found in, with names in braces; of what is mounted, where.
        methods: In upper case, sorted; or what stands in for them: ``websocket``, ``any method``, ``app``.
        endpoint: What runs; of what is mounted, the app.
        context: What FastAPI knows about it besides.
    """

    route: BaseRoute
    path: str
    methods: tuple[str, ...]
    endpoint: Any
    context: Any


def found_in(routes: Sequence[BaseRoute]) -> Iterator[Found]:
    """Each of *routes*, those of included routers too. What is mounted is not entered."""
    for context in _contexts(routes):
        route = getattr(context, "original_route", context)
        if is_mount(route):
            yield Found(route, getattr(context, "path", None) or "", methods_of(route, None), route.app, context)
        else:
            yield Found(
                route,
                getattr(context, "path_format", None) or getattr(context, "path", None) or "",
                methods_of(route, getattr(context, "methods", None)),
                getattr(context, "endpoint", None) or route,
                context,
            )


def _contexts(routes: Sequence[BaseRoute]) -> Iterator[Any]:
    # Since FastAPI 0.137 included routers are nodes of a tree; a flat loop would miss what is inside. Where nobody has
    # imported FastAPI there are none.
    if "fastapi" not in sys.modules:
        return iter(routes)
    from fastapi.routing import iter_route_contexts

    return iter_route_contexts(routes)


def apps(app: Starlette) -> Iterator[Starlette]:
    """*app* and all apps that are mounted in it, however deep, also inside middleware and under host names."""
    yield app
    yield from _mounted(app.routes)


def _mounted(routes: Sequence[BaseRoute]) -> Iterator[Starlette]:
    for found in found_in(routes):
        if is_mount(found.route):
            inside = unwrapped(found.endpoint)
            if isinstance(inside, Starlette):
                yield from apps(inside)
            elif inside is not None:
                yield from _mounted(inside.routes)


def routes_in(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    """Each of *routes*, and of all apps that are mounted there, however deep. What has none inside is one itself."""
    for found in found_in(routes):
        inside = unwrapped(found.endpoint) if is_mount(found.route) else None
        if inside is None:
            yield found.route
        else:
            yield from routes_in(inside.routes)


def is_mount(route: BaseRoute) -> TypeGuard[Mount | Host]:
    """Is it an app that is mounted?"""
    return isinstance(route, Mount | Host)


def chain(app: object) -> Iterator[object]:
    """*app* and what is inside, as far as middleware keeps what it wraps as `app`, as all of Starlette's does."""
    for _ in range(_DEEPEST):
        if app is None:
            return
        yield app
        if isinstance(app, Starlette | Router):
            return
        app = getattr(app, "app", None)


def unwrapped(app: object) -> Starlette | Router | None:
    """The app with routes inside middleware; None where there is none."""
    for each in chain(app):
        if isinstance(each, Starlette | Router):
            return each
    return None


def answers_preflights(app: object) -> bool:
    """Is *app* Starlette's own middleware for CORS, or has an app of Starlette it before all other middleware?"""
    first: object = type(app)
    if isinstance(app, Starlette):
        # What is made of an app may answer by itself, or put something before all middleware.
        if not (_is_own(app, "__call__") and _is_own(app, "build_middleware_stack") and app.user_middleware):
            return False
        first = app.user_middleware[0].cls
    # What is made of it may pass on, or answer in another way.
    return (
        isinstance(first, type)
        and issubclass(first, CORSMiddleware)
        and first.__call__ is CORSMiddleware.__call__
        and first.preflight_response is CORSMiddleware.preflight_response
    )


def _is_own(app: Starlette, name: str) -> bool:
    """Is this method of *app* that of Starlette or FastAPI, or what instrumentation has put in its place?"""
    # By the class that has it: Sentry replaces it there, for all apps. What a function says of itself is copied by
    # whoever wraps it.
    owner = next(each for each in type(app).__mro__ if name in vars(each))
    if owner.__module__ not in ("starlette.applications", "fastapi.applications"):
        return False
    # OpenTelemetry replaces it in a single app, and says by `functools.wraps` what it stands around.
    replaced = vars(app).get(name)
    return replaced is None or getattr(inspect.unwrap(replaced), "__func__", None) is vars(owner)[name]


def methods_of(route: BaseRoute, methods: Collection[str] | None) -> tuple[str, ...]:
    """The methods of *route* in upper case, sorted; or what stands in for them, as in `Found`."""
    if is_mount(route):
        return ("app",)
    if isinstance(route, WebSocketRoute):
        return ("websocket",)
    return tuple(sorted(methods or ("any method",)))
