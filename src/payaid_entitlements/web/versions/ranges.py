"""For which versions a route is there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar, cast

from payaid_entitlements.errors import UnknownApiVersion
from payaid_entitlements.web.versions.current import current_version
from payaid_entitlements.web.versions.version import Version

P = ParamSpec("P")
R = TypeVar("R")


class Range:
    """
    Versions that follow each other, made by `ApiVersions.since`, ``until`` and ``between``.

    A decorator of what answers in them alone, ``@versions.since("2")``; ``Depends(versions.since("2").dependency)`` in
    FastAPI; ``needs(..., versions=versions.since("2"))`` in a table of routes. In others there is nothing: 404, with
    the names of those that have it.

    Attributes:
        versions: The names, the oldest first.
    """

    __slots__ = ("_within", "versions")

    def __init__(self, versions: Sequence[str]) -> None:
        self.versions = tuple(versions)
        self._within = frozenset(versions)

    def __repr__(self) -> str:
        return f"Range({', '.join(self.versions)})"

    def __contains__(self, version: Version | str) -> bool:
        """Is it among them?"""
        return (version.name if isinstance(version, Version) else version) in self._within

    @property
    def is_current(self) -> bool:
        """
        Is the request for one of them?

        Raises:
            ConfigurationError: As `current_version`.
        """
        return current_version().name in self._within

    def require(self) -> Version:
        """
        Give the version of the request.

        Raises:
            UnknownApiVersion: It is none of these.
            ConfigurationError: As `current_version`.
        """
        version = current_version()
        if version.name not in self._within:
            raise UnknownApiVersion("absent", self.versions)
        return version

    async def dependency(self) -> Version:
        """Same as `require`, as a dependency of FastAPI: ``Depends(versions.since("2").dependency)``."""
        return self.require()

    # Positional only: FastAPI, which was given the range where `.dependency` was meant, hands over by name, and then
    # lets nobody pass.
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Let *function*, plain or a coroutine function, run in these versions alone; put it below the route."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: P.args, **kwargs: P.kwargs) -> object:
                self.require()
                return await function(*args, **kwargs)

            return cast("Callable[P, R]", later)

        @functools.wraps(function)
        def now(*args: P.args, **kwargs: P.kwargs) -> R:
            self.require()
            return function(*args, **kwargs)

        return now
