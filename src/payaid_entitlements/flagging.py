"""
Flags of a client for those who bring a context of their own, from OpenFeature or over the wire: also of visitors, of
whom no tenant is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from payaid_entitlements.answering import view_of
from payaid_entitlements.cache.loading import Found, flags_known, hold_flags, seen_at
from payaid_entitlements.client import Client
from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.asking import OWN
from payaid_entitlements.core.flags.context import TARGETING_KEY, FlagContext
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.view import TenantView


async def view_near(ent: Entitlements | AsyncEntitlements, tenant: str, user: str | None) -> TenantView:
    """Take a view of either client; what has to wait for the store lets no event loop stand still."""
    near = ent.peek_tenant(tenant, user=user)
    if near is not None:
        return near
    if isinstance(ent, AsyncEntitlements):
        return await ent.tenant(tenant, user=user)
    return await asyncio.to_thread(ent.tenant, tenant, user=user)


def old_view(client: Client, tenant: str, user: str | None) -> TenantView | None:
    """The view of what is near, though nobody has asked the change log about it for a while; None where nothing is."""
    near = client._near
    now = near.clock()
    entry = near.current(tenant, now)
    if entry is None:
        return None
    return view_of(client._setting, tenant, user, Found(entry, now, age=now - seen_at(client._setting, entry)))


def flags_near(ent: Entitlements | AsyncEntitlements) -> tuple[FlagSnapshot, bool]:
    """
    All flags, and whether they are only those that were last known since the store gave no answer.

    An async client that is not awaited cannot ask the store: its flags are those that are near.
    """
    if isinstance(ent, AsyncEntitlements) or is_vouched_for(ent):
        return flags_known(ent._setting), False
    return ent._driver.ask(hold_flags(ent._setting))


async def flags_near_async(ent: Entitlements | AsyncEntitlements) -> tuple[FlagSnapshot, bool]:
    """Same as `flags_near`, awaited."""
    if is_vouched_for(ent):
        return flags_known(ent._setting), False
    if isinstance(ent, AsyncEntitlements):
        return await ent._driver.ask(hold_flags(ent._setting))
    return await asyncio.to_thread(flags_near, ent)


def is_vouched_for(client: Client) -> bool:
    """Does the change log say that the flags that are near are those of now?"""
    near = client._near
    return near.flags is not None and near.clock() < near.lease


def is_known(client: Client, flags: FlagSnapshot) -> bool:
    """Is *flags* what was known once? Else there is none because nothing is known, and not because there is none."""
    return bool(flags.flags) or client._near.flags is not None


def visitor(client: Client, user: str | None, attributes: Mapping[str, object]) -> FlagContext:
    """
    What flags may look at where no tenant is known: nothing that is sold.

    A flag that buckets by tenant lets no visitor in.
    """
    said: dict[str, object] = {name: value for name, value in attributes.items() if name not in OWN}
    if user is not None:
        said |= {TARGETING_KEY: user, "user": user}
    return FlagContext(
        tenant=None,
        user=user,
        at=client._setting.now(),
        attributes=said,
        tenant_text=None,
        user_text=None if user is None else cbor.text(user),
    )
