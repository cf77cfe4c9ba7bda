"""
Licensing and entitlements inside your own SaaS: may this tenant use this, now, and if not, why?

The public names. Nothing here imports a framework, a database driver or any other optional dependency.
"""

from payaid_entitlements.admin import Admin, AsyncAdmin, Change
from payaid_entitlements.answering import Health
from payaid_entitlements.binding import current_tenant
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.comparison import Comparison, compare
from payaid_entitlements.core.controls import ENFORCE, OBSERVE, OFF, Enforcement
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.explanation import Explanation
from payaid_entitlements.core.identity import Operation
from payaid_entitlements.core.metering.assignment import Assignment
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.remedies import AddAddOn, ChangePlan, Contact, ReleaseSlots, Remedy, WaitUntil
from payaid_entitlements.core.subscription import State, Subscription
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.guards import assign_slot, consume_quota, require_feature, require_module
from payaid_entitlements.metering.hearing import Event
from payaid_entitlements.metering.leasing import Lease
from payaid_entitlements.metering.reservations import AsyncReservation, Reservation
from payaid_entitlements.view import TenantView

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
    "Health",
    "Lease",
    "Operation",
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
    "require_feature",
    "require_module",
]
