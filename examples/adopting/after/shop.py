"""The app on its way: the old rule decides beside the new one, until a module is enforced."""

from __future__ import annotations

from dataclasses import dataclass

from payaid_entitlements import Entitlements


@dataclass
class Org:
    """A customer; *plan* is a column, and stays the truth for now."""

    id: str
    plan: str


def export(ent: Entitlements, org: Org) -> str:
    """Give all contacts, to those who have paid for that."""
    decision = ent.check(org.id, "crm.export", legacy=_could_export(org))
    if not decision.allowed:
        decision.or_raise(tenant=org.id)
    ent.saw(org.id, "crm.export")
    return f"contacts of {org.id}"


def campaign(ent: Entitlements, org: Org) -> str:
    """Write to all contacts."""
    decision = ent.check(org.id, "crm.campaigns", legacy=_could_write(org))
    if not decision.allowed:
        decision.or_raise(tenant=org.id)
    ent.saw(org.id, "crm.campaigns")
    return f"{org.id} writes"


def _could_export(org: Org) -> bool:
    return org.plan in ("pro", "enterprise", "gold")


def _could_write(org: Org) -> bool:
    return org.plan == "enterprise"
