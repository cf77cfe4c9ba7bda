"""What an act wants, judged by the facts: how each feature is counted, or why it is refused before anything is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payaid_entitlements.cache.loading import SURE_WITHIN
from payaid_entitlements.core.catalog.model import Kind
from payaid_entitlements.core.controls import Enforcement
from payaid_entitlements.core.decision import HARD, SOFTENED, Decision, Reason
from payaid_entitlements.core.metering.amounts import to_units

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.lots import Metered
    from payaid_entitlements.metering.act import Act
    from payaid_entitlements.view import TenantView


@dataclass(frozen=True, slots=True)
class Want:
    """
    One feature of an act.

    Attributes:
        units: How much of it is wanted, in its smallest units.
        mode: Of its module.
    """

    units: int
    metered: Metered
    decision: Decision
    mode: Enforcement

    @property
    def key(self) -> str:
        """Of the feature."""
        return self.metered.feature.key

    @property
    def is_enforced(self) -> bool:
        """False where it is counted, and let pass, although nothing is left."""
        return self.mode is Enforcement.ENFORCE

    @property
    def is_let_pass(self) -> bool:
        """It would be refused by the facts, where that is enforced."""
        return self.decision.reason in SOFTENED


def judge(view: TenantView, act: Act) -> tuple[tuple[Want, ...], Decision | None]:
    """
    Judge all that *act* wants.

    Returns:
        What is wanted of features that are known; and the refusal, where there is one.

    Raises:
        TypeError: A feature is not used up, or an amount is no number. Said whether it is sold or not.
        ConfigurationError: An amount is not possible.
    """
    if view.stale:
        return (), _unknown(view, act)
    wants = []
    refusal = None
    for key, amount in act.wants:
        decision = view.decide(key, "write")
        if act.legacy is not None and not may_be_old(view, decision):
            decision = view.against_legacy(decision, is_legacy_allowed=act.legacy)
        metered = countable(view, key)
        if metered is not None:
            wants.append(Want(to_units(amount, metered.feature), metered, decision, view.mode_of(key)))
        if refusal is None and not decision.allowed:
            refusal = decision
    return tuple(wants), refusal


def countable(view: TenantView, key: str) -> Metered | None:
    """
    Say how the quota or credit *key* is counted; None where the catalog has no such key.

    Raises:
        TypeError: It is of another kind.
    """
    kind = view.kind(key)
    if kind is None:
        return None
    if kind in _NOT_USED_UP:
        raise _not_used_up(key, kind)
    return view.metering(key)


def require_countable(view: TenantView, key: str) -> Metered:
    """
    Same as `countable`, for those who must know.

    Raises:
        TypeError: It is of another kind.
        UnknownFeature: The catalog has no such key.
        StoreUnavailable: The store gave no answer.
    """
    metered = view.metering(key)
    if metered.feature.kind is Kind.ALLOCATION:
        raise _not_used_up(key, Kind.ALLOCATION.value)
    return metered


def _not_used_up(key: str, kind: str) -> TypeError:
    article = "an" if kind == Kind.ALLOCATION.value else "a"
    return TypeError(f"{key!r} is {article} {kind}, which is not used up; {_NOT_USED_UP[kind]}")


_NOT_USED_UP: Final = {
    "module": "ask with check()",
    Kind.SWITCH.value: "ask with check()",
    Kind.CONFIG.value: "ask with value()",
    Kind.ALLOCATION.value: "take a slot with assign(), or ask for room with require_room()",
}


def may_be_old(view: TenantView, decision: Decision) -> bool:
    """Is *decision* a refusal by facts that may have changed since they were read?"""
    is_refusal = not decision.allowed and decision.reason is not Reason.CATALOG_UNKNOWN
    return is_refusal and not view.stale and not view.is_sure(SURE_WITHIN)


def unavailable(feature: str) -> Decision:
    """Nobody could be asked, which is no refusal."""
    return Decision(False, Reason.STORE_UNAVAILABLE, feature, degraded=True)


def _unknown(view: TenantView, act: Act) -> Decision:
    """Who cannot count lets nobody pass, whatever the fail policy; what the vendor took away stays away."""
    for key, _ in act.wants:
        decision = view.decide(key, "write")
        if decision.reason in HARD and decision.reason is not Reason.STORE_UNAVAILABLE:
            return decision
    return unavailable(act.wants[0][0])
