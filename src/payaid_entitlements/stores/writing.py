"""What every store does alike with a write: what it is about, what others are told, how its errors read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.flag_set import to_json as flags_to_json
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.errors import ChangeConflict, OperationConflict, StoreNotEmpty
from payaid_entitlements.stores.ports import MOST_TALLIES, AuditEntry, OutboxEvent, Scope, Write

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.publishing import Published
    from payaid_entitlements.core.controls import Controls
    from payaid_entitlements.core.facts import TenantDocument

#: How far behind what was restored the log of a store goes on, at least.
LEAP: Final = 1_000_000_000
#: The generation by which changes of flags are told from those of the controls, where they are stored.
_OF_FLAGS: Final = -1
#: Of names and fields of tallies: characters.
_LONGEST: Final = 255
#: What a tally is added to at once; a signed number of 64 bits takes a thousand of them.
_GREATEST: Final = 2**53


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
        ValueError: It carries not exactly one of document, published, controls and flags.
    """
    match write.document, write.published, write.controls, write.flags:
        case document, None, None, None if document is not None:
            return Scope.TENANT, document.tenant, document.generation, document.revision
        case None, published, None, None if published is not None:
            return Scope.CATALOG, None, 0, published.revision
        case None, None, controls, None if controls is not None:
            return Scope.CONTROLS, None, 0, controls.revision
        case None, None, None, flags if flags is not None:
            return Scope.FLAGS, None, 0, flags.revision
    raise ValueError("a write carries exactly one of document, published, controls and flags")


def kept(write: Write) -> str:
    """What *write* carries, as the one text that is stored."""
    carried = [each for each in (write.document, write.published, write.controls, write.flags) if each is not None]
    return part_kept(carried[0])


def part_kept(part: TenantDocument | Published | Controls | FlagSet) -> str:
    """A document, the catalog, the controls or the flags as the one text that is stored."""
    return flags_to_json(part) if isinstance(part, FlagSet) else part.to_json()


def scope_kept(scope: Scope) -> tuple[str, int]:
    """
    How a scope is written in the log that is stored: its word, and the generation that says the rest.

    Processes of the release before read the same log while this one is rolled out, and know no flags. Changes of flags
    are told to them as changes of the controls, of generation -1, which no tenant has: they read the switches again,
    find nothing new and go on. A word that they do not know would be an error in each of their questions.
    """
    return (Scope.CONTROLS.value, _OF_FLAGS) if scope is Scope.FLAGS else (scope.value, 0)


def scope_read(word: str, generation: int) -> Scope:
    """What `scope_kept` wrote."""
    return Scope.FLAGS if generation == _OF_FLAGS else Scope(word)


def require_tallies(name: str, amounts: Mapping[str, int]) -> None:
    """
    Check what is to be added to tallies.

    Raises:
        ValueError: A name is empty, has more than 255 characters, or some that no database takes; there are more than
            `MOST_TALLIES` amounts, or one is beyond 2**53.
    """
    if len(amounts) > MOST_TALLIES:
        raise ValueError(f"{len(amounts)} amounts at once; at most {MOST_TALLIES} are added to tallies together")
    for each in (name, *amounts):
        if not 0 < len(each) <= _LONGEST or "\0" in each:
            raise ValueError(f"{each[:40]!r}: tallies are named by 1 to {_LONGEST} characters, none of them NUL")
        each.encode()  # half of a character is a ValueError too
    for field, amount in amounts.items():
        if type(amount) is not int or abs(amount) > _GREATEST:  # a bool is an int too
            raise ValueError(f"{field}={amount!r}: whole numbers from -2**53 to 2**53 are added to tallies")


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
