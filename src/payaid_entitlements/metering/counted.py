"""What became of an act: usages and decisions, from what the ledger answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.catalog.model import Kind
from payaid_entitlements.core.controls import Enforcement
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.metering.lots import UNSOLD
from payaid_entitlements.core.metering.usage import Usage, usage

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.core.metering.lots import Metered
    from payaid_entitlements.core.metering.posting import AccountId, Balance, Posted, Shortage
    from payaid_entitlements.metering.judging import Want
    from payaid_entitlements.view import TenantView


@dataclass(frozen=True, slots=True)
class Counted:
    """
    What became of an act: either it was refused, or all that it wanted was counted.

    Attributes:
        refusal: None where it was counted.
        wants: In the order of the features' keys, as *usages*.
        posted: What the ledger answered; None where it was refused.
    """

    view: TenantView
    refusal: Decision | None = None
    wants: Sequence[Want] = ()
    usages: Mapping[str, Usage] | None = None
    posted: Posted | None = None

    def or_raise(self) -> dict[str, Usage]:
        """
        Give the usages.

        Raises:
            Refused: Nothing was counted.
            StoreUnavailable: Nothing is known, because the store gave no answer.
        """
        refusal = self.refusal
        if refusal is not None:
            is_known = refusal.reason is not Reason.STORE_UNAVAILABLE
            refusal.or_raise(tenant=self.view.tenant, reference=self.view.reference(refusal) if is_known else "")
        return dict(self.usages or {})

    def decisions(self) -> dict[str, Decision]:
        """The same as decisions, by feature; where it was refused, the one refusal."""
        if self.refusal is not None:
            return {self.refusal.feature: self.refusal}
        filled = () if self.posted is None else self.posted.filled
        usages = self.usages or {}
        return {
            want.key: _decided(want, each.overage > 0, usages[want.key])
            for want, each in zip(self.wants, filled, strict=True)
        }


def counted(
    setting: Setting,
    view: TenantView,
    wants: Sequence[Want],
    posted: Posted,
    overflowing: Collection[str],
    balances: Mapping[AccountId, Balance] | None,
) -> Counted:
    """
    Say what was counted.

    Args:
        overflowing: Features of which nothing was left, and which were let pass.
        balances: Where it was counted before, what is used now.
    """
    usages = {}
    for want, filled in zip(wants, posted.filled, strict=True):
        would_refuse = want.is_let_pass or want.key in overflowing
        usages[want.key] = usage(
            want.metered,
            filled.balances if balances is None else want.metered.in_order(balances),
            replayed=posted.replayed,
            would_refuse=would_refuse,
            taken=filled.amount,
        )
        if posted.replayed:
            setting.observer.count("usage.replayed", want.key)
        if would_refuse:
            setting.observer.count("usage.would_refuse", want.key)
        if want.decision.noteworthy:
            view.note(want.decision)
    return Counted(view, None, wants, usages, posted)


#: What is said of units that were counted beyond what is sold, by what the catalog says should happen.
_BEYOND: Final = {
    "warn": Reason.QUOTA_WARNED,
    "grace_then_block": Reason.QUOTA_IN_GRACE,
}
_LET_PASS: Final = {Enforcement.OBSERVE: Reason.ENFORCEMENT_OBSERVED, Enforcement.OFF: Reason.ENFORCEMENT_OFF}


def let_pass(mode: Enforcement, decision: Decision, why: Reason, said: Usage) -> Decision:
    """The decision where it is not enforced: allowed, with why it would not be as an advisory."""
    return replace(decision, reason=_LET_PASS[mode], advisories=(why, *decision.advisories), usage=said)


def _decided(want: Want, is_beyond: bool, said: Usage) -> Decision:
    """The decision that this was allowed, and why."""
    decision = want.decision
    if want.is_let_pass:
        return replace(decision, usage=said)
    if said.would_refuse:
        return let_pass(want.mode, decision, exhausted(want.metered), said)
    notes = decision.advisories
    if is_beyond:
        notes = (*notes, _BEYOND.get(want.metered.feature.on_exceed.kind, Reason.QUOTA_OVERAGE))
    return replace(decision, reason=Reason.QUOTA_GRANTED, advisories=notes, usage=said)


def is_short(setting: Setting, view: TenantView, want: Want, short: Shortage) -> Counted:
    """Say that there is less of it than is wanted, and that nothing was counted."""
    reason = why_short(want.metered, short.balances)
    setting.observer.count("usage.refused", want.key, reason.value)
    said = usage(want.metered, short.balances)
    return Counted(view, replace(want.decision, allowed=False, reason=reason, usage=said))


def why_short(metered: Metered, balances: Sequence[Balance]) -> Reason:
    """Why there is not enough: by which rule."""
    if metered.grace is not None and balances[metered.sink].over_since is not None:
        return Reason.QUOTA_GRACE_ENDED
    return exhausted(metered)


def exhausted(metered: Metered) -> Reason:
    """Nothing is left: of slots, of a quota, or of the credits that pay."""
    if metered.feature.kind is Kind.ALLOCATION:
        return Reason.ALLOCATION_FULL
    # Where only granted credits pay there is a lot of the quota's own too, of 0: what is beyond is counted there.
    sold = {line.meter for line in metered.lines if line.lot != UNSOLD}
    is_credit = metered.feature.kind is Kind.CREDIT or (sold and metered.feature.key not in sold)
    return Reason.CREDIT_EXHAUSTED if is_credit else Reason.QUOTA_EXHAUSTED
