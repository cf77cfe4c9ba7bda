"""What every store does alike with a write: what it is about, what others are told, how its errors read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from payaid_entitlements.errors import ChangeConflict, OperationConflict, StoreNotEmpty
from payaid_entitlements.stores.ports import AuditEntry, OutboxEvent, Scope, Write

#: How far behind what was restored the log of a store goes on, at least.
LEAP: Final = 1_000_000_000


def continued(last: int) -> int:
    """
    Say behind which position the log of a store goes on that is now restored up to position *last*; 0 for nothing.

    A process that was near the store which is gone has perhaps read further than the backup reaches. Without a leap,
    new changes would take positions that it has read already, and it would not notice them. The same backup may be
    restored twice, so the leap goes to the time, in microseconds: no store makes a change in each of them. A clock that
    is behind leaps all the same. Positions stay exact as doubles, which is what numbers are in scripts of Redis.
    """
    return max(last + LEAP, time.time_ns() // 1000) if last else 0


def target(write: Write) -> tuple[Scope, str | None, int, int]:
    """
    What a write is about: its scope, tenant, the tenant's generation (0 elsewhere) and the new revision.

    Raises:
        ValueError: It carries not exactly one of document, published and controls.
    """
    match write.document, write.published, write.controls:
        case document, None, None if document is not None:
            return Scope.TENANT, document.tenant, document.generation, document.revision
        case None, published, None if published is not None:
            return Scope.CATALOG, None, 0, published.revision
        case None, None, controls if controls is not None:
            return Scope.CONTROLS, None, 0, controls.revision
    raise ValueError("a write carries exactly one of document, published and controls")


def event_of(write: Write, position: int) -> OutboxEvent:
    """What is told to others of *write*, after it has become true."""
    scope, tenant, _, revision = target(write)
    payload: dict[str, object] = {"change": write.id, "revision": revision}
    if tenant is not None:
        payload |= {"tenant": tenant, "plan": write.plan}
    return OutboxEvent(position, f"{scope.value}.{write.verb}", payload)


def scrubbed(entry: AuditEntry) -> AuditEntry:
    """An entry without what is personal to its tenant: that it happened, when and by whom remains."""
    return replace(entry, because=None, operation=None, facts=(), detail={}, digest=None)


def change_conflict(scope: Scope, tenant: str | None, expect: int, found: int, faster: Sequence[str]) -> ChangeConflict:
    """The error for a lost race; *faster* names the changes that won, as ``verb by actor``."""
    what = f"tenant {tenant!r}" if tenant is not None else f"the {scope.value}"
    who = f": {', '.join(faster)}" if faster else ""
    return ChangeConflict(
        f"{what} is at revision {found}, and this change was worked out from {expect}{who}; read again and repeat",
        expected=expect,
        found=found,
    )


def operation_conflict(operation: str) -> OperationConflict:
    """The error for an operation that was used before for something else."""
    return OperationConflict(
        f"operation {operation!r} was used before for another change; an operation names one act, once"
    )


def not_empty(name: str) -> StoreNotEmpty:
    """The error for a backup that would be read into the store *name*, which is in use."""
    return StoreNotEmpty(
        f"{name} is not empty, and a backup is read into an empty store only: it would mix two histories; "
        "name a new database, schema or prefix with --url"
    )
