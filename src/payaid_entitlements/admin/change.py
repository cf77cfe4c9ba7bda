"""What a change came to, and who asks for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.flags.forecasting import Forecast


class ChangeReason(StrEnum):
    """Why a change was applied or not."""

    APPLIED = "change.applied"
    REPEATED = "change.repeated"  # the same operation was applied before
    SUPERSEDED = "change.superseded"  # the source has said something newer
    UNCHANGED = "change.unchanged"  # it is so already
    DRY_RUN = "change.dry_run"  # nothing was written; this is what would be


@dataclass(frozen=True, slots=True)
class Change:
    """
    What a change came to.

    Attributes:
        id: What `undo` takes; that of the first one for a repeated operation; None where nothing was written, and
            for changes of many tenants, each of which has an id of its own in the audit trail.
        applied: Something was written now.
        revision: Of the tenant afterwards: hand it to ``check(after=...)``. None for a change of the catalog, of the
            switches or of many tenants, which is none of a tenant's.
        effective_at: From when on it holds; in the past where the source said it earlier.
        gains, losses: Modules and features that it opens and closes, now or at that instant.
        exceeds: Where more is in use than it leaves: ``seats: 7 used, 5 allowed``. Nothing is taken from anybody.
        altered: What is otherwise than before, in words.
        tenants: How many tenants it changed, or would change.
        forecasts: For flags that were defined or imported: whom each of them moves, of what a listing of tenants knows.
            Flags that move nobody by themselves have none; of very many only the first are counted.
        uncounted: How many more flags it changes, of which nobody was counted.
    """

    id: str | None
    applied: bool
    reason: ChangeReason
    revision: int | None
    effective_at: datetime
    gains: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    exceeds: tuple[str, ...] = ()
    altered: tuple[Altered, ...] = ()
    tenants: int = 1
    forecasts: tuple[Forecast, ...] = ()
    uncounted: int = 0


@dataclass(frozen=True, slots=True)
class Author:
    """
    Who changes something.

    Attributes:
        actor: A person, or a program.
        is_dry: Nothing is to be written.
    """

    actor: str
    because: str | None
    is_dry: bool
