"""
What is said in English. Reasons explain themselves to the host; here a customer of the host reads what was refused.
"""

from __future__ import annotations

from typing import Final

from payaid_entitlements.core.decision import Reason

_MORE: Final = "Wait until your allowance renews, or change to a plan, or add an add-on, with a larger one."
#: Title and detail of what a customer is refused for.
_REFUSED: Final = {
    Reason.PLAN_MODULE_ABSENT: ("Your plan does not include this module.", Reason.PLAN_MODULE_ABSENT.way_out),
    Reason.PLAN_FEATURE_ABSENT: ("Your plan does not include this feature.", Reason.PLAN_FEATURE_ABSENT.way_out),
    Reason.PLAN_ZERO: ("Your plan has an allowance of 0 for this.", Reason.PLAN_ZERO.way_out),
    Reason.DEPENDENCY_MISSING: (
        "This needs another module or feature, which your plan does not include.",
        Reason.DEPENDENCY_MISSING.way_out,
    ),
    Reason.SUBSCRIPTION_NONE: ("You have no subscription.", "Subscribe to a plan."),
    Reason.SUBSCRIPTION_SCHEDULED: ("Your subscription that includes this has not begun yet.", "Wait until it begins."),
    Reason.SUBSCRIPTION_TRIAL_ENDED: ("Your trial is over.", "Subscribe to a plan."),
    Reason.SUBSCRIPTION_ENDED: ("Your subscription that included this has ended.", "Renew the subscription."),
    Reason.SUBSCRIPTION_CANCELLED: (
        "Your subscription that included this was cancelled, and its last period is over.",
        "Subscribe again.",
    ),
    Reason.SUBSCRIPTION_PAST_DUE: (
        "A payment is overdue, and the grace period for it is over.",
        "Pay what is due.",
    ),
    Reason.SUBSCRIPTION_PAUSED: ("Your subscription is paused.", "Resume the subscription."),
    Reason.SUBSCRIPTION_SUSPENDED: ("Your account is suspended.", "Talk to us; paying does not lift it."),
    Reason.SUBSCRIPTION_REVOKED: ("Your license was withdrawn.", "Talk to us."),
    Reason.OVERRIDE_DENIED: ("This was switched off for your account.", "Talk to us."),
    Reason.ENFORCEMENT_KILLED: ("This is switched off for everybody at the moment.", "Try again later."),
    Reason.ENFORCEMENT_LEGACY: ("This is not open to your account.", "Talk to us."),
    Reason.CATALOG_UNKNOWN: ("There is no module or feature of this name.", "Talk to us."),
    Reason.CATALOG_RETIRED: ("This is no longer there.", "Look at what replaces it."),
    Reason.FLAG_ROLLOUT_EXCLUDED: (
        "This is made available step by step, and has not reached you yet.",
        "Wait until it does; there is nothing to buy.",
    ),
    Reason.FLAG_OFF: ("This is switched off for everybody.", "Try again later; there is nothing to buy."),
    Reason.QUOTA_EXHAUSTED: ("Fewer units are left than were asked for.", _MORE),
    Reason.QUOTA_GRACE_ENDED: (
        "More was used than your plan includes, and the grace period for it is over.",
        _MORE,
    ),
    Reason.CREDIT_EXHAUSTED: (
        "You do not have enough credits for this.",
        "Buy credits, or wait until you are given new ones.",
    ),
    Reason.ALLOCATION_FULL: ("All slots are taken.", Reason.ALLOCATION_FULL.way_out),
    Reason.ALLOCATION_NO_ROOM: ("You have as many as your plan allows.", Reason.ALLOCATION_NO_ROOM.way_out),
}
#: Of what is no reason of a decision, or is told to clients in other words than to the host.
_EDGE: Final = {
    # Also `dependency.missing`, where what is missing cannot be bought.
    "dependency.forbidden": (
        "This needs another module or feature, which is not available to you at the moment.",
        "Talk to us; there is nothing to buy.",
    ),
    "tenant.unidentified": ("The request does not say for whom it is.", "Log in."),
    "tenant.conflict": ("The request names more than one tenant.", "Name one tenant."),
    "store.unavailable": ("This cannot be decided at the moment.", "Try again in a moment."),
    "store.outcome_unknown": ("It is not known whether this has happened.", "Check before you try again."),
    "rate.limited": ("More requests were made than the rate limit lets through.", "Wait, then try again."),
    # Also `rate.limited`, where waiting does not help.
    "rate.never": (
        "More requests were made than the rate limit lets through.",
        "Ask for less at once: the limit never lets so much through.",
    ),
    "operation.unnamed": (
        "The request does not say by which key it is known when it is repeated.",
        "Send a key of your own in Idempotency-Key.",
    ),
    "operation.conflict": (
        "The same operation was asked for before, with other content.",
        "Take a new operation for what is new, and repeat an old one unchanged.",
    ),
    "reservation.expired": (
        "What was set aside is free again: it was not used in time. Nothing was charged.",
        "Begin again.",
    ),
    "change.conflict": ("Somebody else changed the same thing first.", "Look at it as it is now, and decide again."),
    "slot.taken": ("The slot cannot be handed over: both have one, or neither has.", "Check who has one now."),
    "version.unknown": ("There is no such version of this API.", "Ask for one of the versions that are named here."),
    "version.conflict": ("The request asks for several versions of this API.", "Ask for one version, in one place."),
    "version.missing": ("The request does not say which version of this API it is for.", "Ask for a version."),
    "version.retired": ("This version of the API has ended.", "Ask for one of the versions that are named here."),
    "version.absent": (
        "This version of the API has nothing at this address.",
        "Ask for one of the versions that are named here.",
    ),
    "module.failed": ("A part of the product failed.", "Quote the reference to support."),
    "module.unavailable": ("A part of the product is not available at the moment.", "Try again in a moment."),
    "route.unknown": ("There is nothing at this address.", "Check the address."),
}

#: By language, as a file of another language has it: by reason, then ``title`` and ``detail``; ``page`` has the labels.
ENGLISH: Final[dict[str, dict[str, str]]] = {
    **{reason.value: {"title": reason.meaning, "detail": reason.way_out} for reason in Reason},
    **{reason.value: {"title": title, "detail": detail} for reason, (title, detail) in _REFUSED.items()},
    **{reason: {"title": title, "detail": detail} for reason, (title, detail) in _EDGE.items()},
    "page": {
        "change_plan": "Change to $title",
        "subscribe": "Subscribe to $title",
        "add_add_on": "Add $title",
        "contact": "Contact us",
        "wait_until": "Available from $at",
        "release_slots": "Slots to free: $amount",
        "versions": "Versions: $versions",
        "reference": "Reference for support: $reference",
    },
}
