"""
Who holds a slot: a seat, a project, a connected phone number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from payaid_entitlements.core.instant import moment

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.posting import Slot


@dataclass(frozen=True, slots=True)
class Assignment:
    """
    A slot of an allocation and its holder.

    Attributes:
        feature: Key of the allocation.
        holder: Who has it, by the id that the host gave.
        since: Since when.
        expires_at: When it is freed by itself; None for never.
        replayed: The holder had it already; nothing was given now.
    """

    feature: str
    holder: str
    since: datetime
    expires_at: datetime | None = None
    replayed: bool = False

    @classmethod
    def of(cls, slot: Slot, *, replayed: bool = False) -> Self:
        """Show what a ledger keeps."""
        expires = None if slot.expires is None else moment(slot.expires)
        return cls(slot.feature, slot.holder, moment(slot.since), expires, replayed)
