"""What the tests of metering share: a catalog in which everything is counted in some way, and how it is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.carrying import Carry
from payaid_entitlements.core.metering.lots import Metered, metered
from payaid_entitlements.core.metering.meters import Lot
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.world import World

#: Each way of counting there is.
COUNTED: Mapping[str, object] = {
    "catalog": 1,
    "timezone": "Asia/Kolkata",
    "default_plan": "free",
    "modules": {
        "crm": {
            "features": {
                "calls": {"kind": "quota", "unit": "call"},
                "letters": {"kind": "quota", "window": "calendar"},
                "soft": {"kind": "quota", "on_exceed": "soft"},
                "until": {"kind": "quota", "on_exceed": "soft_until 110%"},
                "grace": {"kind": "quota", "on_exceed": "grace_then_block 3 days", "rollover": {"max": 500}},
                "warned": {"kind": "quota", "on_exceed": "warn"},
                "summaries": {"kind": "quota", "unit": "summary"},
                "minutes": {"kind": "quota", "decimals": 2, "unit": "minute"},
                "export": {"kind": "switch"},
            }
        },
    },
    "features": {
        "seats": {"kind": "allocation", "unit": "seat", "title": "Team members"},
        "credits": {"kind": "credit", "pays_for": {"crm.summaries": 5}},
        "coins": {"kind": "credit", "decimals": 3, "pays_for": {"crm.minutes": Decimal("0.1"), "crm.summaries": 2}},
    },
    "plans": {
        "free": {"modules": ["crm"], "features": {"seats": 2, "crm.calls": "10/month"}},
        "pro": {
            "extends": "free",
            "features": {
                "seats": 25,
                "crm.calls": "100/month",
                "crm.letters": "7/week",
                "crm.soft": "50/month",
                "crm.until": "55/month",
                "crm.grace": "1000/month",
                "crm.warned": "3/lifetime",
                "crm.minutes": "2.50/day",
                "credits": "100/month",
            },
        },
        "max": {
            "extends": "pro",
            "features": {"seats": "unlimited", "crm.calls": "unlimited", "coins": "3/year", "crm.summaries": "4/month"},
        },
        "bare": {"modules": [], "features": {}},
    },
    "add_ons": {"calls": {"increment": {"crm.calls": "5/month"}}},
}


def counted(
    document: TenantDocument,
    feature: str,
    world: World,
    at: Instant,
    *facts: Lot | Carry,
    user: str | None = None,
) -> Metered:
    """How *feature* is counted for a tenant of whom, besides, these *facts* are known."""
    segment = resolve(document, world, at, at + 1, user=user)[0]
    meters = replace(segment.meters, facts=facts)
    return metered(world.catalog.features[feature], at, standpoint=segment.standpoint, meters=meters, world=world)
