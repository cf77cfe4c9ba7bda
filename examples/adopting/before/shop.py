"""The app as it was: each place knows the plans."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Org:
    """A customer; *plan* is a column."""

    id: str
    plan: str


def export(org: Org) -> str:
    """Give all contacts, to those who have paid for that."""
    if org.plan in ("pro", "enterprise", "gold"):
        return f"contacts of {org.id}"
    raise PermissionError(org.id)


def campaign(org: Org) -> str:
    """Write to all contacts."""
    if org.plan == "enterprise":
        return f"{org.id} writes"
    raise PermissionError(org.id)


def contacts_kept(org: Org) -> int:
    """Say how many contacts are kept."""
    return {"basic": 100, "pro": 10_000, "enterprise": 1_000_000}.get(org.plan, 100)
