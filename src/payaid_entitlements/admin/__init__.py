"""Changing things: `Admin` and `AsyncAdmin`, and what their verbs return."""

from payaid_entitlements.admin.change import Change, ChangeReason
from payaid_entitlements.admin.clients import Admin, AsyncAdmin
from payaid_entitlements.admin.rollouts import RolloutStep
from payaid_entitlements.admin.trail import AuditEntry
from payaid_entitlements.core.altered import Altered

__all__ = ["Admin", "Altered", "AsyncAdmin", "AuditEntry", "Change", "ChangeReason", "RolloutStep"]
