"""
Room in an allocation, judged by the facts: how many there may be, and what is said when there are as many.

Two kinds of allocations, and one verb for each: of those that the ledger counts a named holder gets a slot (`assign`);
of those that are the host's own rows it asks for room before it makes one (`require_room`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NoReturn, cast

from payaid_entitlements.answering import confirm, look, near_view
from payaid_entitlements.cache.loading import SURE_WITHIN
from payaid_entitlements.core.catalog.model import Kind
from payaid_entitlements.core.controls import Enforcement
from payaid_entitlements.core.decision import HARD, SOFTENED, Decision, Reason
from payaid_entitlements.core.metering.usage import usage
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.metering.counted import let_pass
from payaid_entitlements.metering.judging import may_be_old, unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.metering.lots import Metered
    from payaid_entitlements.core.metering.posting import Balance
    from payaid_entitlements.core.metering.usage import Usage
    from payaid_entitlements.view import TenantView

#: Who counts an allocation.
Counting = Literal["ledger", "host"]


@dataclass(frozen=True, slots=True)
class Room:
    """
    What an allocation is, for one tenant.

    Attributes:
        decision: Whether it is sold.
        metered: How many there may be; None where *decision* refuses.
        is_enforced: Nobody is let pass when there is no room.
        is_sure: It was known to be true a second ago, so somebody may be turned away by it.
    """

    view: TenantView
    decision: Decision
    metered: Metered | None = None
    is_enforced: bool = True
    is_sure: bool = True

    @property
    def is_let_pass(self) -> bool:
        """None are sold, and that is not enforced."""
        return self.decision.reason in SOFTENED

    @property
    def cap(self) -> int | None:
        """So many there may be; None without a limit."""
        return cast("int | None", self._known.lines[0].cap)

    @property
    def _known(self) -> Metered:
        return cast("Metered", self.metered)

    def said(self, balances: Sequence[Balance], *, would_refuse: bool = False) -> Usage:
        """How many there are."""
        return usage(self._known, balances, would_refuse=would_refuse)

    def granted(self, said: Usage, why_not: Reason | None = None) -> Decision:
        """
        The decision that it was allowed.

        Args:
            why_not: Where there was no room, and it was let pass.
        """
        if self.is_let_pass:
            return replace(self.decision, usage=said)
        if why_not is None:
            return replace(self.decision, reason=Reason.QUOTA_GRANTED, usage=said)
        return let_pass(self.view.mode_of(self.decision.feature), self.decision, why_not, said)

    def full(self, reason: Reason, balances: Sequence[Balance]) -> Decision:
        """The decision that there is no room."""
        return replace(self.decision, allowed=False, reason=reason, usage=self.said(balances))

    def refuse(self, refusal: Decision) -> NoReturn:
        """
        Raise what *refusal* says.

        Raises:
            Refused: It is refused.
            StoreUnavailable: Nothing is known because the store gave no answer.
        """
        is_known = refusal.reason is not Reason.STORE_UNAVAILABLE
        refusal.or_raise(tenant=self.view.tenant, reference=self.view.reference(refusal) if is_known else "")
        # For type checkers, which do not know that `or_raise` of a refusal never returns.
        raise AssertionError(refusal)  # pragma: no cover - a refusal raises


def room(setting: Setting, tenant: str, feature: str, counting: Counting) -> Flow[Room]:
    """
    Judge *feature*, sure of it where it is refused.

    Raises:
        TypeError: It is no allocation.
        ConfigurationError: It is counted otherwise.
        UnknownFeature: The key is in no catalog, and the client is strict.
    """
    view = near_view(setting, tenant, None) or (yield from look(setting, tenant))
    found = _judged(view, feature, counting)
    if may_be_old(view, found.decision):
        return (yield from surely(setting, found, counting))
    return _noted(found)


def surely(setting: Setting, found: Room, counting: Counting) -> Flow[Room]:
    """Judge again by facts by which somebody may be turned away."""
    view = yield from confirm(setting, found.view)
    return _noted(replace(_judged(view, found.decision.feature, counting), is_sure=True))


def allocation(view: TenantView, feature: str, counting: Counting) -> Metered | None:
    """
    Say how many of *feature* there may be; None where that is not known: in an outage, or the catalog has no such key.

    Raises:
        TypeError: It is no allocation.
        ConfigurationError: It is counted otherwise.
    """
    kind = view.kind(feature)
    if kind is None:
        return None
    if kind != Kind.ALLOCATION.value:
        raise TypeError(f"{feature!r} is a {kind}, which has no slots; {_NO_SLOTS.get(kind, 'ask with check()')}")
    if view.stale:
        return None
    metered = view.metering(feature)
    if metered.feature.count != counting:
        raise ConfigurationError(_OTHERWISE[counting].format(feature))
    return metered


def _judged(view: TenantView, feature: str, counting: Counting) -> Room:
    decision, metered = view.decide(feature, "write"), allocation(view, feature, counting)
    if view.stale:
        # Who cannot count lets nobody pass, whatever the fail policy; what the vendor took away stays away.
        return Room(view, decision if decision.reason in HARD else unavailable(feature))
    if metered is None:
        return Room(view, decision)
    is_enforced = view.mode_of(feature) is Enforcement.ENFORCE
    return Room(view, decision, metered, is_enforced, view.is_sure(SURE_WITHIN))


def _noted(found: Room) -> Room:
    if found.decision.noteworthy:
        found.view.note(found.decision)
    return found


_NO_SLOTS: Final = {Kind.QUOTA.value: "use consume()", Kind.CREDIT.value: "use consume()"}
_OTHERWISE: Final[dict[Counting, str]] = {
    "ledger": "{!r} is counted on your own rows (`count: host`); ask for room with require_room(..., tx=tx) instead",
    "host": "{!r} is counted by the ledger, by its holders; use assign(...), or write `count: host` in the catalog",
}
