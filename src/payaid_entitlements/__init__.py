"""
Licensing and entitlements inside your own SaaS: may this tenant use this, now, and if not, why?

The public names. Nothing here imports a framework, a database driver or any other optional dependency; what changes
things is loaded by whoever does.
"""

from typing import TYPE_CHECKING

from payaid_entitlements.answering import Health
from payaid_entitlements.binding import current_tenant, current_tenant_async
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.comparison import Comparison, compare
from payaid_entitlements.core.controls import ENFORCE, OBSERVE, OFF, Enforcement
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.explanation import Explanation
from payaid_entitlements.core.flags.details import FlagDetails
from payaid_entitlements.core.flags.exposures import Exposure, ExposureSink
from payaid_entitlements.core.identity import Operation
from payaid_entitlements.core.metering.assignment import Assignment
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.remedies import AddAddOn, ChangePlan, Contact, ReleaseSlots, Remedy, WaitUntil
from payaid_entitlements.core.subscription import State, Subscription
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.guards import (
    assign_slot,
    consume_quota,
    rate_limit,
    require_feature,
    require_flag,
    require_module,
)
from payaid_entitlements.limiting.outcome import PolicyStanding, RateLimitOutcome
from payaid_entitlements.metering.hearing import Event
from payaid_entitlements.metering.leasing import Lease
from payaid_entitlements.metering.reservations import AsyncReservation, Reservation
from payaid_entitlements.view import TenantView

if TYPE_CHECKING:
    from payaid_entitlements.admin import Admin, AsyncAdmin, Change

__version__ = "0.1.0"

__all__ = [
    "DENY",
    "ENFORCE",
    "OBSERVE",
    "OFF",
    "UNLIMITED",
    "AddAddOn",
    "Admin",
    "Allowance",
    "Assignment",
    "AsyncAdmin",
    "AsyncEntitlements",
    "AsyncReservation",
    "Catalog",
    "Change",
    "ChangePlan",
    "Comparison",
    "Contact",
    "Decision",
    "Enforcement",
    "Entitlements",
    "Event",
    "Explanation",
    "Exposure",
    "ExposureSink",
    "FlagDetails",
    "Health",
    "Lease",
    "Operation",
    "PolicyStanding",
    "RateLimitOutcome",
    "Reason",
    "ReleaseSlots",
    "Remedy",
    "Reservation",
    "State",
    "Subscription",
    "TenantView",
    "Usage",
    "WaitUntil",
    "assign_slot",
    "compare",
    "consume_quota",
    "current_tenant",
    "current_tenant_async",
    "rate_limit",
    "require_feature",
    "require_flag",
    "require_module",
]


def __getattr__(name: str) -> object:
    if name not in {"Admin", "AsyncAdmin", "Change"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from payaid_entitlements import admin

    return getattr(admin, name)
