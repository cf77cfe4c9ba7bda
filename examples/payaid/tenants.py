"""
Twelve customers, one for each thing that a subscription can be. `payaid demo` and `payaid seed` call `seed`.

Everything is done through `Admin`, as an app or an operator does it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from payaid_entitlements import Catalog, Entitlements

CATALOG = Path(__file__).parent / "catalog.yaml"

TENANTS = {
    "tiny-shop": "free tier: no subscription at all",
    "crm-only": "free plan, subscribed: only crm",
    "kaveri": "starter: crm and invoicing",
    "everything": "enterprise: all six modules",
    "lapsed": "starter, expired since yesterday",
    "trial": "starter, on trial for 14 days",
    "late-payer": "professional, 3 days overdue: in grace",
    "very-late": "professional, 10 days overdue: reads only",
    "on-leave": "starter, paused: reads only",
    "favoured": "starter, and hr by an override",
    "old-friend": "starter, an older version: 3 seats, not 5",
    "growing": "starter, from next month professional",
}


def first_catalog() -> Catalog:
    """What was sold at first: a smaller starter. Whoever bought it then keeps it."""
    today = Catalog.load(CATALOG).document
    plans = cast("dict[str, Any]", today["plans"])
    starter = {**plans["starter"], "features": {**plans["starter"]["features"], "seats": 3}}
    return Catalog.load({**today, "plans": {**plans, "starter": starter}})


def seed(ent: Entitlements, now: datetime, *, because: str = "tenants to try things out with") -> dict[str, str]:
    """
    Publish the catalog, in two steps as history did, and let every tenant become what `TENANTS` says.

    Into an empty store, or one where the catalog alone is published; repeating it changes nothing.
    """
    admin = ent.admin("seed", because=because)
    if next(admin.audit(list(TENANTS)[-1]), None) is not None:
        return TENANTS

    admin.publish(first_catalog())
    admin.subscribe("old-friend", "starter", operation="seed:old-friend")
    admin.publish(Catalog.load(CATALOG))

    for tenant, plan in {
        "crm-only": "free",
        "kaveri": "starter",
        "everything": "enterprise",
        "lapsed": "starter",
        "late-payer": "professional",
        "very-late": "professional",
        "on-leave": "starter",
        "favoured": "starter",
        "growing": "starter",
    }.items():
        admin.subscribe(tenant, plan, operation=f"seed:{tenant}")
    admin.subscribe("trial", "starter", trial=True, operation="seed:trial")

    admin.cancel("lapsed", when=now - timedelta(days=1))
    admin.past_due("late-payer", now - timedelta(days=3))
    admin.past_due("very-late", now - timedelta(days=10))
    admin.pause("on-leave")
    admin.override("favoured", "hr", True, until=now + timedelta(days=30))
    admin.change_plan("growing", "professional", when=now + timedelta(days=30))
    return TENANTS
