"""That somebody made a rate limit begin anew is in the audit trail, though no fact of the tenant has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.admin.tenants import Request, change_tenant

if TYPE_CHECKING:
    from payaid_entitlements.admin.change import Author, Change
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.ground import Ground


def record_reset(
    setting: Setting, author: Author, tenant: str, limit: str, *, user: str | None, address: str | None
) -> Flow[Change]:
    """
    Write down that what was counted on *limit* is to be forgotten: before it is, so that nobody does it unseen.

    Raises:
        StoreUnavailable: No answer.
    """
    said: dict[str, object] = {"limit": limit, "user": user, "address": address}
    request = Request(tenant, "reset_rate_limit", _nothing, said, author, is_forced=True)
    return (yield from change_tenant(setting, request))


def _nothing(on: Ground) -> tuple[()]:
    return ()
