"""Every route of an app, also of included routers and of apps that are mounted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute


@dataclass(frozen=True, slots=True)
class Place:
    """
    One route.

    Attributes:
        path: As it is written, below the app that holds it.
        methods: In upper case; empty for a websocket.
        dependant: What FastAPI resolves for it; None for a route of plain Starlette.
    """

    path: str
    methods: tuple[str, ...]
    endpoint: object
    dependant: Dependant | None

    def __str__(self) -> str:
        return f"{'/'.join(self.methods) or 'websocket'} {self.path}"


def apps(app: Starlette) -> Iterator[Starlette]:
    """*app* and all apps that are mounted in it, however deep."""
    yield app
    yield from _mounted(app.routes)


def _mounted(routes: Sequence[BaseRoute]) -> Iterator[Starlette]:
    # Since FastAPI 0.137 included routers are nodes of a tree; a flat loop would miss what is inside.
    for context in iter_route_contexts(routes):
        route = context.original_route
        if isinstance(route, Mount):
            if isinstance(route.app, Starlette):
                yield from apps(route.app)
            else:
                yield from _mounted(route.routes)


def places(app: Starlette) -> Iterator[Place]:
    """The routes of *app* itself, without mounted apps and without the pages that FastAPI adds to itself."""
    yield from _places(app.routes, "")


def _places(routes: Sequence[BaseRoute], prefix: str) -> Iterator[Place]:
    for context in iter_route_contexts(routes):
        route = context.original_route
        path = f"{prefix}{context.path or ''}"
        if isinstance(route, APIRoute | APIWebSocketRoute):
            methods = tuple(sorted(context.methods or ()))
            yield Place(path, methods, context.endpoint, context.dependant)
        elif isinstance(route, Route | WebSocketRoute):
            if getattr(route.endpoint, "__module__", "") != FastAPI.__module__:
                yield Place(path, tuple(sorted(getattr(route, "methods", None) or ())), route.endpoint, None)
        elif isinstance(route, Mount) and not isinstance(route.app, Starlette):
            yield from _places(route.routes, path)
