"""
One request, one truth: the bindings of a request, kept with it. Whoever asks about the same tenant gets the same one.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection

from payaid_entitlements.binding import AsyncBinding, Binding, SyncBinding
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.guards import rules_of
from payaid_entitlements.guards.requirement import of_any_call, would_refuse
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.address import client_address
from payaid_entitlements.web.finding import view_of
from payaid_entitlements.web.request import intent_of
from payaid_entitlements.web.versions.current import note_version

Client = AsyncEntitlements | Entitlements

#: Where the scope of a request keeps its bindings.
_KEY: Final = "payaid_entitlements"
#: Where it keeps what rate limits said, for the fields of its response.
OUTCOMES: Final = "payaid_rate_limits"


async def binding_of(
    ent: Client, connection: HTTPConnection, tenant: str, user: str | None, proxies: int | None
) -> Binding:
    """
    The binding of *tenant* for this request: made at the first question, the same afterwards.

    A guard on an endpoint that is a generator is asked where nothing can be awaited any more. So a view by which the
    endpoint's guard would refuse is made sure of here.
    """
    kept = _kept(connection)
    binding = kept.get((ent, tenant, user))
    if binding is None:
        binding = kept[ent, tenant, user] = await _new(ent, connection, tenant, user, address_of(connection, proxies))
        rules = rules_of(connection.scope.get("endpoint"))
        if rules is not None and rules.tenant is None and would_refuse(binding, of_any_call(rules.requirements)):
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


def address_of(connection: HTTPConnection, proxies: int | None) -> str | None:
    """From where a request comes, behind so many proxies; None where nobody has said how many there are."""
    if proxies is None:
        return None
    peer = None if connection.client is None else connection.client.host
    return client_address(peer, connection.headers.getlist("x-forwarded-for"), proxies=proxies)


async def _new(ent: Client, connection: HTTPConnection, tenant: str, user: str | None, address: str | None) -> Binding:
    access = intent_of(connection.scope.get("method", ""))
    view = ent.peek_tenant(tenant, user=user) or await view_of(ent, tenant, user)
    binding: Binding
    if isinstance(ent, AsyncEntitlements):
        binding = AsyncBinding(view, ent, access, address=address)
    else:
        binding = SyncBinding(view, ent, access, address=address)
    # Where it is told how limits stand, guards say it too.
    binding.outcomes = connection.scope.get(OUTCOMES)
    note_version(ent, tenant)
    return binding


def _kept(connection: HTTPConnection) -> dict[tuple[Client, str, str | None], Binding]:
    kept: dict[tuple[Client, str, str | None], Binding] = connection.scope.setdefault(_KEY, {})
    return kept
