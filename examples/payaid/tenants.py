"""
Twelve customers, one for each thing that a subscription can be. `payaid demo` and `payaid seed` call `seed`.

Everything is done through `Admin`, as an app or an operator does it; running it twice changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from payaid_entitlements import Catalog, Entitlements

CATALOG = Path(__file__).parent / "catalog.yaml"

TENANTS = {
    "tiny-shop": "free tier: no subscription at all, so the default plan",
    "crm-only": "free plan, subscribed: crm and nothing else",
    "kaveri": "starter: crm and invoicing",
    "everything": "enterprise: all six modules",
    "lapsed": "starter until yesterday: expired, back on the default plan",
    "trial": "starter, on trial for 14 days",
    "late-payer": "professional, past due for 3 days: in grace, everything works",
    "very-late": "professional, past due for 10 days: reading only",
    "on-leave": "starter, paused: reading only",
    "favoured": "starter, and hr by an override for 30 days",
    "old-friend": "starter as it was first sold: version 1, with 3 seats instead of 5",
    "growing": "starter now, professional from next month on: a scheduled change",
}


def first_catalog() -> Catalog:
    """What was sold at first: a smaller starter. Whoever bought it then keeps it."""
    today = Catalog.load(CATALOG)
    plans = dict(today.document["plans"])
    plans["starter"] = {**plans["starter"], "features": {**plans["starter"]["features"], "seats": 3}}
    return Catalog.load({**today.document, "plans": plans})


def seed(ent: Entitlements, now: datetime) -> dict[str, str]:
    """Publish the catalog, in two steps as history did, and let every tenant become what `TENANTS` says."""
    admin = ent.admin("seed", because="tenants to try things out with")

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
