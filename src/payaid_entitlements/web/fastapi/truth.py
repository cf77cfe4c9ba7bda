"""
One request, one truth: the bindings of a request, kept with it. Whoever asks about the same tenant gets the same one.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import HTTPConnection

from payaid_entitlements.binding import AsyncBinding, Binding, SyncBinding
from payaid_entitlements.core.decision import Intent
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.guards import rules_of
from payaid_entitlements.guards.requirement import would_refuse
from payaid_entitlements.view import TenantView

Client = AsyncEntitlements | Entitlements

#: Where the scope of a request keeps its bindings.
_KEY: Final = "payaid_entitlements"
#: Methods that only read (RFC 9110 section 9.2.1, safe methods).
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


async def binding_of(ent: Client, connection: HTTPConnection, tenant: str, user: str | None) -> Binding:
    """
    The binding of *tenant* for this request: made at the first question, the same afterwards.

    A guard on an endpoint that is a generator is asked where nothing can be awaited any more. So a view by which the
    endpoint's guard would refuse is made sure of here.
    """
    kept = _kept(connection)
    binding = kept.get((ent, tenant, user))
    if binding is None:
        binding = kept[ent, tenant, user] = await _new(ent, connection, tenant, user)
        rules = rules_of(connection.scope.get("endpoint"))
        if rules is not None and rules.tenant is None and would_refuse(binding, rules.requirements):
            await binding.confirmed_async()
    return binding


async def view_that_refused(ent: Client, connection: HTTPConnection, tenant: str) -> TenantView | None:
    """
    The view by which *tenant* was refused in this request.

    Where none was bound, a new one; None where only others were: what they may learn about *tenant* is its refusal.
    """
    kept = _kept(connection)
    for (_, whose, _), binding in kept.items():
        if whose == tenant:
            return binding.view
    return None if kept else await view_of(ent, tenant)


async def view_of(ent: Client, tenant: str, user: str | None = None) -> TenantView:
    """Take a view with a client of either colour; from a synchronous one in a thread, where the store must be asked."""
    if isinstance(ent, AsyncEntitlements):
        return await ent.tenant(tenant, user=user)
    near = ent.peek_tenant(tenant, user=user)
    return await asyncio.to_thread(ent.tenant, tenant, user=user) if near is None else near


async def _new(ent: Client, connection: HTTPConnection, tenant: str, user: str | None) -> Binding:
    # A websocket has no method: what comes over it may write.
    access: Intent = "read" if connection.scope.get("method") in _READS else "write"
    view = await view_of(ent, tenant, user)
    if isinstance(ent, AsyncEntitlements):
        return AsyncBinding(view, ent, access)
    return SyncBinding(view, ent, access)


def _kept(connection: HTTPConnection) -> dict[tuple[Client, str, str | None], Binding]:
    kept: dict[tuple[Client, str, str | None], Binding] = connection.scope.setdefault(_KEY, {})
    return kept
