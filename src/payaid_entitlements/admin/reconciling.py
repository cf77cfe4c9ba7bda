"""
Slots and the host's own rows, brought together again: who deletes rows by hand leaves their slots taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payaid_entitlements.admin.change import Author
from payaid_entitlements.admin.tenants import Request, change_tenant
from payaid_entitlements.cache.counting import Post
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.metering.posting import Assign, Unassign
from payaid_entitlements.metering.assigning import seat, slots_of

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.ground import Ground
    from payaid_entitlements.core.instant import Instant


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """
    How slots and holders had drifted apart.

    Attributes:
        feature: Key of the allocation.
        assigned: Holders that had no slot and have one now, also beyond what is sold: they are there.
        freed: Holders of slots that are not there any more.
        applied: It was repaired; False for a dry run, and where nothing had drifted.
    """

    feature: str
    assigned: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    applied: bool = False


def reconcile(
    setting: Setting, author: Author, tenant: str, feature: str, holders: Iterable[str], as_of: Instant | None
) -> Flow[Reconciliation]:
    """
    Free slots of nobody, and give those who are there one.

    Raises:
        TypeError: A holder is nobody, or *feature* is no allocation.
        ConfigurationError: It is counted otherwise, or there is no ledger.
        StoreUnavailable: No answer; some may be repaired. Repeating it repairs the rest.
    """
    if isinstance(holders, str):
        raise TypeError(f"reconcile(..., {holders!r}): give all holders, as a list")
    there = {identify("holder", holder) for holder in holders}
    slots = yield from slots_of(setting, seat(tenant, feature, "all"))
    freed = tuple(slot.holder for slot in slots if slot.holder not in there and (as_of is None or slot.since <= as_of))
    assigned = tuple(sorted(there - {slot.holder for slot in slots}))
    if author.is_dry or not (assigned or freed):
        return Reconciliation(feature, assigned, freed)
    for holder in freed:
        yield Post(tenant, (Unassign(feature, holder),), now=setting.told_time())
    for holder in assigned:
        yield Post(tenant, (Assign(feature, holder, None, None),), now=setting.told_time())
    said = {"feature": feature, "assigned": list(assigned), "freed": list(freed)}
    yield from change_tenant(setting, Request(tenant, "reconcile", _nothing, {}, author, notes=said, is_forced=True))
    return Reconciliation(feature, assigned, freed, applied=True)


def _nothing(on: Ground) -> tuple[()]:
    return ()
