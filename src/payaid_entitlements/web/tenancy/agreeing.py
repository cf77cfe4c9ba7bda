"""Whose request it is: what all places together say, or that they disagree. Never "the first one wins"."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from payaid_entitlements.core.identity import identify
from payaid_entitlements.errors import ConfigurationError, TenantConflict, TenantUnidentified
from payaid_entitlements.web.later import Later, close, is_pending
from payaid_entitlements.web.request import Incoming, ScopeRequest
from payaid_entitlements.web.tenancy.source import Source, Unknown, shown

#: What a place has named.
Named: TypeAlias = tuple[Source, object]


class Tenancy:
    """
    Finds the tenant of a request in all the places that name one.

    A place that the host has verified (a token, a session, an API key, a certificate, a header behind a proxy's proof)
    names it. One that any client can write (a subdomain, a path, a header without proof) only agrees, or disagrees,
    with those: a request that nothing else names a tenant for is one of nobody. Whenever two differ the request is
    refused with `TenantConflict`, a 403, and the log says which.

    Args:
        verified: Places that may name a tenant, in any order: all of them are asked.
        beside: Places that any client can write.

    Raises:
        ConfigurationError: No place is verified, or one of *verified* cannot be; something is no place; or two have the
            same name.
    """

    __slots__ = ("_dependency", "_sources")

    def __init__(self, *verified: Source, beside: Sequence[Source] = ()) -> None:
        if not verified:
            raise ConfigurationError(
                "a Tenancy needs a place that your login has verified: claim(...), session(...), api_key(...), "
                "mtls(...), by(...), or header(..., behind=...)"
            )
        for source in (*verified, *beside):
            if not isinstance(source, Source):
                raise ConfigurationError(f"{source!r} is no place of a Tenancy; for a callable of yours write by(...)")
        for source in verified:
            if source.proof is None:
                raise ConfigurationError(
                    f"any client can write the {source.name}; put it into beside=, where it must agree with what is "
                    "verified" + (", or say behind= which proxy it comes" if source.name.startswith("header") else "")
                )
        sources = (*verified, *beside)
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"two places of a Tenancy are called {name!r}; give one of them a name=")
        self._sources = sources
        self._dependency = _dependency(self)

    @property
    def dependency(self) -> Callable[[Any], Awaitable[str | None]]:
        """
        Give what finds the id for a route of FastAPI or Starlette.

        ``Depends(tenancy.dependency)`` in FastAPI; ``await tenancy.dependency(request)`` in Starlette.
        """
        # FastAPI hands over what the annotation names. Whoever hands this to it has imported it: we need not.
        framework = sys.modules.get("starlette.requests")
        if framework is not None:
            self._dependency.__annotations__["connection"] = framework.HTTPConnection
        return self._dependency

    def seek(self, incoming: Incoming) -> str | Awaitable[str | None] | None:
        """
        Say whose request it is; to be awaited where one of the places is.

        Returns:
            The id that is verified and that nothing contradicts; None where nothing verified names one.

        Raises:
            TenantConflict: Two places disagree; or one names several, or in a way that others may read otherwise.
            TenantUnidentified: What is verified identifies nobody, or a key was sent that is none.
            TypeError: What is verified is no str: a mistake of the host.
        """
        found: str | Awaitable[str | None] | None = self._from(0, (), incoming)
        return found

    def find(self, incoming: Incoming) -> str | None:
        """
        Say whose request it is. Everything as in `seek`, but nothing can be awaited.

        Raises:
            TypeError: A place must be awaited.
        """
        found = self.seek(incoming)
        if found is None or isinstance(found, str):
            return found
        close(found)
        raise TypeError(
            "a place that names the tenant is a coroutine function, which cannot be awaited here; make it a plain "
            "one, or await tenancy.find_async(...)"
        )

    async def find_async(self, incoming: Incoming) -> str | None:
        """Same as `seek`, awaited."""
        found = self.seek(incoming)
        return found if found is None or isinstance(found, str) else await found

    def _from(self, index: int, named: tuple[Named, ...], incoming: Incoming) -> Any:
        for later in range(index, len(self._sources)):
            source = self._sources[later]
            found = source.read(incoming)
            if is_pending(found):
                return Later(found, partial(self._awaited, later, named, incoming))
            if found is not None:
                named = (*named, (source, found))
        return agreed(named, incoming)

    def _awaited(self, index: int, named: tuple[Named, ...], incoming: Incoming, found: object) -> Any:
        more = () if found is None else ((self._sources[index], found),)
        return self._from(index + 1, (*named, *more), incoming)


def agreed(named: Sequence[Named], incoming: Incoming) -> str | None:
    """Decide of what the places *named*. Errors as in `Tenancy.seek`."""
    verified: str | None = None
    for source, found in named:
        if source.proof is not None and source.proof(incoming):
            if isinstance(found, Unknown):
                raise TenantUnidentified(f"{source.name}: {shown(found)}")
            if not isinstance(found, str):
                raise TypeError(
                    f"the {source.name} names {shown(found)}, a {type(found).__name__}; a tenant's id is a str: "
                    "convert it where you verify it"
                )
            try:
                verified = identify("tenant", found)
            except TypeError as error:
                raise TenantUnidentified(f"{source.name}: {error}") from None
    if verified is not None and any(found != verified for _, found in named):
        raise TenantConflict({source.name: shown(found) for source, found in named})
    return verified


class _HasScope(Protocol):
    @property
    def scope(self) -> Any: ...


def _dependency(tenancy: Tenancy) -> Callable[[_HasScope], Awaitable[str | None]]:
    async def tenant(connection: _HasScope) -> str | None:
        return await tenancy.find_async(ScopeRequest(connection.scope, connection))

    return tenant


def finder_of(tenant: Tenancy | Callable[..., object], read: Callable[..., Incoming]) -> Callable[..., object]:
    """
    Make what an adapter calls for the tenant of a request: of a `Tenancy`, or of its framework's own callable.

    Args:
        tenant: What the host gave.
        read: Makes an `Incoming` of what the adapter calls a callable with.

    Returns:
        A callable with the arguments of *read*. It returns an id or None, or what must be awaited for that.

    Raises:
        ConfigurationError: *tenant* is neither.
    """
    require_callable(tenant)
    if not isinstance(tenant, Tenancy):
        return tenant

    def find(*native: object) -> object:
        return tenant.seek(read(*native))

    return find


def require_callable(tenant: object) -> None:
    """
    Look at what a host has given to find tenants with.

    Raises:
        ConfigurationError: It is no callable, and no `Tenancy`; else the first request would find that out.
    """
    if not callable(tenant) and not isinstance(tenant, Tenancy):
        raise ConfigurationError(
            f"tenant={tenant!r}: give a function that returns the id which your login has verified, or a Tenancy"
        )
