"""
The answer to "may they?": a verdict, a stable reason, and what else is worth knowing.

A reason is never the verdict: `Decision.allowed` is. Reasons are dotted, ``family.word``; codes
never change their meaning, new ones may come: a caller treats one it does not know as its family.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NoReturn

from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.observing import MISREAD
from payaid_entitlements.core.values import Value
from payaid_entitlements.errors import (
    NotEntitled,
    NotReleased,
    QuotaExceeded,
    Refused,
    StoreUnavailable,
    SubscriptionExpired,
    TenantSuspended,
)

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.usage import Usage

#: What an operation wants to do; a read-only stage of a subscription lets reads pass.
Intent = Literal["read", "write"]


class Reason(StrEnum):
    """
    Why a decision is what it is. `meaning` and `way_out` say it in words.

    The value is the wire name, ``family.word``.
    """

    meaning: str
    way_out: str

    def __new__(cls, value: str, meaning: str, way_out: str) -> Reason:
        """Make a member that carries its documentation."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.way_out = way_out
        return member

    PLAN_GRANTED = ("plan.granted", "The plan, or an add-on to it, includes this.", "Nothing to do.")
    PLAN_DEFAULT = (
        "plan.default_granted",
        "The tenant has no subscription in force; the default plan includes this.",
        "Nothing to do.",
    )
    TRIAL_GRANTED = ("trial.granted", "A running trial includes this.", "Subscribe before the trial ends.")
    OVERRIDE_GRANTED = (
        "override.granted",
        "Somebody of the vendor granted this to the tenant, or to the user, by hand.",
        "Nothing to do; the override says until when.",
    )
    GRANT_HELD = (
        "grant.held",
        "Units of it were granted to the tenant, beside what it bought; nothing that it bought includes it.",
        "Nothing to do.",
    )

    CREDIT_PAYS = (
        "credit.pays",
        "Nothing that is sold to the tenant lists this, but a credit that it holds pays for it.",
        "Nothing to do.",
    )

    PLAN_MODULE_ABSENT = (
        "plan.module_absent",
        "What the tenant holds does not include the module.",
        "Change to a plan, or add an add-on, that includes the module.",
    )
    PLAN_FEATURE_ABSENT = (
        "plan.feature_absent",
        "What the tenant holds includes the module, but not this feature.",
        "Change to a plan, or add an add-on, that includes the feature.",
    )
    PLAN_ZERO = (
        "plan.zero",
        "The feature is listed with an allowance of 0.",
        "Change to a plan, or add an add-on, with an allowance.",
    )
    DEPENDENCY_MISSING = (
        "dependency.missing",
        "The feature needs another module or feature, named in `source`, that is not held.",
        "Get what is missing.",
    )

    SUBSCRIPTION_NONE = (
        "subscription.none",
        "The tenant has no subscription, and there is no default plan.",
        "Subscribe to a plan.",
    )
    SUBSCRIPTION_SCHEDULED = (
        "subscription.scheduled",
        "A subscription that includes this has not begun yet.",
        "Wait until it begins.",
    )
    SUBSCRIPTION_TRIAL_ENDED = (
        "subscription.trial_ended",
        "The trial that included this is over.",
        "Subscribe to a plan.",
    )
    SUBSCRIPTION_ENDED = (
        "subscription.ended",
        "The subscription that included this has ended.",
        "Renew the subscription.",
    )
    SUBSCRIPTION_CANCELLED = (
        "subscription.cancelled",
        "The subscription that included this was cancelled, and its last period is over.",
        "Subscribe again.",
    )
    SUBSCRIPTION_PAST_DUE = (
        "subscription.past_due",
        "Payment is overdue and the time of grace for this is over.",
        "Pay what is due.",
    )
    SUBSCRIPTION_PAUSED = (
        "subscription.paused",
        "The subscription is paused.",
        "Resume the subscription.",
    )
    SUBSCRIPTION_SUSPENDED = (
        "subscription.suspended",
        "The vendor has suspended the tenant.",
        "Talk to the vendor; paying does not lift it.",
    )
    SUBSCRIPTION_REVOKED = (
        "subscription.revoked",
        "The vendor has taken everything back for good.",
        "Talk to the vendor.",
    )

    OVERRIDE_DENIED = (
        "override.denied",
        "Somebody of the vendor took this away by hand.",
        "Talk to the vendor; the override says until when.",
    )
    ENFORCEMENT_KILLED = (
        "enforcement.killed",
        "A kill switch turned this off for everybody.",
        "Wait until the operators restore it.",
    )
    ENFORCEMENT_OBSERVED = (
        "enforcement.observed",
        "It would be refused, but the module is only observed so far; the advisory says why.",
        "Nothing to do until enforcement begins.",
    )
    ENFORCEMENT_OFF = (
        "enforcement.off",
        "It would be refused, but enforcement is off for the module; the advisory says why.",
        "Nothing to do until enforcement begins.",
    )
    ENFORCEMENT_LEGACY = (
        "enforcement.legacy",
        "The host's own old answer decided, because the module is not enforced yet.",
        "Look at the host's own rule.",
    )

    CATALOG_UNKNOWN = (
        "catalog.unknown_feature",
        "The catalog has no module or feature of this key.",
        "Correct the key, or publish the catalog that has it.",
    )
    CATALOG_RETIRED = (
        "catalog.retired",
        "The module or feature was retired.",
        "Remove the check from the code.",
    )
    CATALOG_DEPRECATED = (
        "catalog.deprecated",
        "The feature still works and is going to be retired.",
        "Move to what replaces it.",
    )

    SUBSCRIPTION_IN_GRACE = (
        "subscription.in_grace",
        "Payment is overdue; access goes on for a time of grace.",
        "Pay what is due.",
    )
    SUBSCRIPTION_EXPIRING = (
        "subscription.expiring",
        "The trial or subscription that includes this ends within seven days.",
        "Renew or subscribe.",
    )

    FLAG_ON = (
        "flag.on",
        "The flag that was asked is on.",
        "Nothing to do.",
    )
    FLAG_ROLLOUT_EXCLUDED = (
        "flag.rollout_excluded",
        "A flag, named in `source`, does not let this tenant or user in yet; what is sold has no part in it.",
        "Wait until the rollout reaches them; there is nothing to buy.",
    )
    FLAG_OFF = (
        "flag.off",
        "A flag, named in `source`, is switched off for everybody.",
        "Wait until the operators switch it on again; there is nothing to buy.",
    )

    QUOTA_GRANTED = (
        "quota.granted",
        "There was enough left, and it was taken.",
        "Nothing to do.",
    )
    QUOTA_OVERAGE = (
        "quota.overage",
        "More was used than is sold; it was let pass, and is counted as overage.",
        "Pay for the overage, or change to a plan with a larger allowance.",
    )
    QUOTA_WARNED = (
        "quota.warned",
        "More was used than is sold; nothing happens but this warning.",
        "Change to a plan, or add an add-on, with a larger allowance.",
    )
    QUOTA_IN_GRACE = (
        "quota.in_grace",
        "More was used than is sold; it is let pass for a time of grace.",
        "Change to a plan, or add an add-on, with a larger allowance before the grace is over.",
    )
    QUOTA_EXHAUSTED = (
        "quota.exhausted",
        "Fewer units are left than were asked for; `usage` says how many, and when they come anew.",
        "Wait until the window ends, or change to a plan, or add an add-on, with a larger allowance.",
    )
    QUOTA_GRACE_ENDED = (
        "quota.grace_ended",
        "More was used than is sold, and the time of grace for it is over.",
        "Wait until the window ends, or change to a plan, or add an add-on, with a larger allowance.",
    )
    CREDIT_EXHAUSTED = (
        "credit.exhausted",
        "Too few credits are left to pay for what was asked.",
        "Buy credits, or wait until they come anew.",
    )
    ALLOCATION_FULL = (
        "allocation.full",
        "All slots are held.",
        "Free a slot, or change to a plan, or add an add-on, with more.",
    )
    ALLOCATION_NO_ROOM = (
        "allocation.no_room",
        "As many exist as are sold; no more can be made.",
        "Remove some, or change to a plan, or add an add-on, with more.",
    )

    RATE_WITHIN = (
        "rate.within",
        "The rate limits had room for this call, or nothing limits it.",
        "Nothing to do.",
    )
    RATE_DEFAULT = (
        "rate.default",
        "Nothing that the tenant holds names this rate limit, so its default holds.",
        "Nothing to do.",
    )
    RATE_LIMITED = (
        "rate.limited",
        "More calls were made than a rate limit lets through; the outcome names the limit, and when there is room.",
        "Try again after the time that is said, or change to a plan with a higher limit.",
    )

    STORE_UNAVAILABLE = (
        "store.unavailable",
        "The store gave no answer and nothing recent enough is known; this says nothing about the tenant.",
        "Try again; the operators look at the store.",
    )
    STORE_FAILED_OPEN = (
        "store.failed_open",
        "The store gave no answer; the feature's policy lets it pass.",
        "The operators look at the store.",
    )
    STORE_LAST_KNOWN_GOOD = (
        "store.last_known_good",
        "The store gave no answer; this repeats the last known one within the feature's bound.",
        "The operators look at the store.",
    )

    @property
    def family(self) -> str:
        """The part before the dot."""
        return self.value.partition(".")[0]


#: Reasons of answers that enforcement modes have turned around.
SOFTENED = frozenset({Reason.ENFORCEMENT_OBSERVED, Reason.ENFORCEMENT_OFF, Reason.ENFORCEMENT_LEGACY})
#: Refusals that are not about money: no enforcement mode, old answer or fail policy turns them around.
HARD = frozenset(
    {
        Reason.SUBSCRIPTION_REVOKED,
        Reason.SUBSCRIPTION_SUSPENDED,
        Reason.ENFORCEMENT_KILLED,
        Reason.OVERRIDE_DENIED,
        Reason.CATALOG_UNKNOWN,
        Reason.CATALOG_RETIRED,
        Reason.FLAG_ROLLOUT_EXCLUDED,
        Reason.FLAG_OFF,
        Reason.STORE_UNAVAILABLE,
    }
)
#: Reasons that are counted each time they are given: from the first the host learns who would be refused, the
#: others are mistakes of the code that asks.
COUNTED = SOFTENED | {Reason.CATALOG_UNKNOWN, Reason.CATALOG_RETIRED}

_EXPIRED = frozenset(
    {
        Reason.SUBSCRIPTION_SCHEDULED,
        Reason.SUBSCRIPTION_TRIAL_ENDED,
        Reason.SUBSCRIPTION_ENDED,
        Reason.SUBSCRIPTION_CANCELLED,
        Reason.SUBSCRIPTION_PAST_DUE,
        Reason.SUBSCRIPTION_PAUSED,
    }
)
_EXCEEDED = frozenset(
    {
        Reason.QUOTA_EXHAUSTED,
        Reason.QUOTA_GRACE_ENDED,
        Reason.CREDIT_EXHAUSTED,
        Reason.ALLOCATION_FULL,
        Reason.ALLOCATION_NO_ROOM,
    }
)
_SUSPENDED = frozenset({Reason.SUBSCRIPTION_SUSPENDED, Reason.SUBSCRIPTION_REVOKED})
#: What flags say of keys that they narrow.
BY_FLAGS = frozenset({Reason.FLAG_ROLLOUT_EXCLUDED, Reason.FLAG_OFF})


@dataclass(frozen=True, slots=True)
class Decision:
    """
    May they use this feature?

    One decision is shared by everybody on the same plan version, so it carries no tenant and no
    instant: ask the view for those. It has no truth value; use ``.allowed``.

    Attributes:
        allowed: The verdict.
        reason: What decided.
        feature: The key that was asked.
        source: What exactly decided, in words of the catalog: ``plan starter@2``, ``add-on whatsapp``,
            ``override``, ``requires crm.contacts``, ``credit ai_credits``, ``flag new-editor``; empty where the
            reason says it all.
        plan: Key of the plan that decided; None where none did.
        value: What the feature is worth: a config value, an `Allowance`, ``True`` for a switch or a module;
            None where it is not held, or is only granted or paid for by credits: then only the ledger knows.
        advisories: Reasons that did not decide but are worth knowing.
        degraded: The answer comes from a fail policy or from a copy that is too old, and says so.
        usage: What the ledger said; None where it was not asked, as by every view.
    """

    allowed: bool
    reason: Reason
    feature: str
    source: str = ""
    plan: str | None = None
    value: Value | None = None
    advisories: tuple[Reason, ...] = ()
    degraded: bool = False
    usage: Usage | None = None
    # Two questions of the hit path, answered once. `settled`: allowed, and nothing else is to be done.
    # `noteworthy`: to be counted each time it is given, or not to be given as it is.
    settled: bool = field(init=False, repr=False, compare=False, default=False)
    noteworthy: bool = field(init=False, repr=False, compare=False, default=False)
    # Flags have still to be asked: this holds where they let it pass. None where no flag narrows the key.
    beneath: Decision | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        noteworthy = self.degraded or self.reason in COUNTED
        object.__setattr__(self, "noteworthy", noteworthy)
        object.__setattr__(self, "settled", self.allowed and not noteworthy)

    def narrowed(self) -> Decision:
        """
        Give the same, marked so that nobody gives it before flags were asked; itself where it is a refusal.

        Such a decision stands in tables only. A copy of it is not marked.
        """
        if not self.allowed:
            return self
        marked = replace(self)
        object.__setattr__(marked, "beneath", self)
        object.__setattr__(marked, "noteworthy", True)
        object.__setattr__(marked, "settled", False)
        return marked

    if not TYPE_CHECKING:  # pragma: no branch - whatever runs is not being type-checked
        # Hidden from type checkers, so that mypy's truthy-bool and a missing `await` are reported by them.

        def __bool__(self) -> NoReturn:
            MISREAD.count("decision.truth_value", self.feature)
            MISREAD.once("decision.truth_value", feature=self.feature, way_out="use .allowed")
            raise TypeError(
                f"a Decision has no truth value; use .allowed (asked: {self.feature!r}). "
                "A refusal that reads as yes would fail open."
            )

        def __await__(self) -> Generator[None, None, Decision]:
            # AsyncEntitlements.check gives a decision that is already known as it is: awaiting it costs no task.
            return self
            yield

    def or_raise(self, *, tenant: str = "", reference: str = "") -> Decision:
        """
        Return the decision when it allows.

        Raises:
            Refused: The subclass that fits the reason, carrying this decision.
            StoreUnavailable: Nothing is known because the store gave no answer.
        """
        if self.allowed:
            return self
        if self.reason is Reason.STORE_UNAVAILABLE:
            raise StoreUnavailable(f"the store gave no answer about {self.feature!r}; this is not a refusal")
        kind: type[Refused] = NotEntitled
        if self.reason in _EXPIRED:
            kind = SubscriptionExpired
        elif self.reason in _SUSPENDED:
            kind = TenantSuspended
        elif self.reason in _EXCEEDED:
            kind = QuotaExceeded
        elif self.reason in BY_FLAGS:
            kind = NotReleased
        raise kind(self, tenant=tenant, reference=reference)

    def to_public(self) -> Mapping[str, object]:
        """The decision as JSON data that a customer may see: no actor, override reason or internal source."""
        public: dict[str, object] = {
            "feature": self.feature,
            "allowed": self.allowed,
            "reason": self.reason.value,
            "plan": self.plan,
            "value": encode_value(self.value),
            "advisories": [advisory.value for advisory in self.advisories],
            "degraded": self.degraded,
        }
        if self.usage is not None:
            public["usage"] = self.usage.to_json()
        return public
