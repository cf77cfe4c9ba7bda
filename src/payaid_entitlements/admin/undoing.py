"""Undoing a change: only where nobody has changed the same thing since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

from payaid_entitlements.admin.change import Author, Change
from payaid_entitlements.admin.flagging import FlagRequest, change_flags, undo_flags
from payaid_entitlements.admin.switches import turn
from payaid_entitlements.admin.tenants import PAGE, Request, change_tenant, current_world
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Flow, ReadAudit
from payaid_entitlements.core.controls import Position, Switch
from payaid_entitlements.core.facts import NewFact, TenantDocument
from payaid_entitlements.core.flags.touching import is_note, things_of
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.undoing import undone
from payaid_entitlements.errors import ChangeConflict, ConfigurationError
from payaid_entitlements.stores.ports import AuditEntry, Scope


def undo_change(setting: Setting, author: Author, change_id: str, operation: str | None) -> Flow[Change]:
    """
    Undo one change, whatever it was about.

    Raises:
        ChangeConflict: Something of it was changed since by another change, which the message names.
        ConfigurationError: There is no such change, or it cannot be undone.
    """
    yield from current_world(setting)
    found = cast("Sequence[AuditEntry]", (yield ReadAudit(id=change_id)))
    if not found:
        raise ConfigurationError(f"there is no change {change_id!r} in this store; `payaid audit` lists them")
    entry = found[0]
    asked = {"change": change_id}
    match entry.scope:
        case Scope.CATALOG:
            raise ConfigurationError(
                f"change {change_id!r} published a catalog; publish the earlier file again: "
                "`payaid catalog publish FILE`"
            )
        case Scope.CONTROLS:
            switch = cast("Switch", tuple(cast("Sequence[str]", entry.detail["about"])))
            was = cast("Position", entry.detail["was"])
            check = partial(_require_untouched, entry)
            notes = {"undoes": change_id}
            return (
                yield from turn(
                    setting, author, "undo", switch, was, asked, operation, notes, check, after=entry.position
                )
            )
        case Scope.FLAGS:
            undoing = FlagRequest(
                "undo",
                partial(undo_flags, entry.detail),
                asked,
                author,
                operation,
                notes={"undoes": change_id},
                check=partial(_require_untouched, entry),
                after=entry.position,
            )
            return (yield from change_flags(setting, undoing))
        case Scope.TENANT:  # pragma: no branch - there is no other scope
            request = Request(
                str(entry.tenant),
                "undo",
                partial(_undone, entry=entry),
                asked,
                author,
                operation=operation,
                notes={"undoes": change_id},
                check=partial(_require_undoable, entry),
            )
            return (yield from change_tenant(setting, request))


def _undone(on: Ground, *, entry: AuditEntry) -> tuple[NewFact, ...]:
    return undone(on, entry.facts)


def _require_undoable(entry: AuditEntry, document: TenantDocument) -> Flow[None]:
    if entry.verb == "forget" or entry.generation != document.generation:
        raise ConfigurationError(f"tenant {entry.tenant!r} was forgotten; what was known then cannot come back")
    if entry.verb == "adjust":
        raise ConfigurationError(f"change {entry.id!r} corrected what is counted; adjust it by the opposite")
    yield from _require_untouched(entry)


def _require_untouched(entry: AuditEntry) -> Flow[None]:
    about = _about(entry)
    for other in standing_changes((yield from _since(entry))):
        if about & _about(other):
            raise ChangeConflict(
                f"what change {entry.id!r} touched was changed since, by {other.verb} of {other.actor} at "
                f"{moment(other.recorded)}; undo {other.id!r} first",
                expected=entry.revision,
                found=other.revision,
            )


def _about(entry: AuditEntry) -> set[tuple[str, ...]]:
    if entry.scope is Scope.FLAGS:
        return set(things_of(cast("Mapping[str, Mapping[str, object]]", entry.detail["was"])))
    about = entry.detail.get("about")
    return {tuple(about)} if isinstance(about, list) else {fact.subject for fact in entry.facts}


def _since(entry: AuditEntry) -> Flow[list[AuditEntry]]:
    """Read what came after *entry* about the same tenant, the controls or the flags."""
    found: list[AuditEntry] = []
    after = entry.position
    while True:
        step = ReadAudit(tenant=entry.tenant, scope=entry.scope, after=after, limit=PAGE)
        page = cast("Sequence[AuditEntry]", (yield step))
        found += page
        if len(page) < PAGE:
            return found
        after = page[-1].position


def standing_changes(later: Sequence[AuditEntry]) -> list[AuditEntry]:
    """
    Leave out pairs of a change and its undoing, which together changed nothing, and notes: see `is_note`. Oldest first,
    as they are given.
    """
    later = [entry for entry in later if not (entry.scope is Scope.FLAGS and _is_note(entry))]
    ids = {entry.id for entry in later}
    undone: set[object] = set()
    standing: list[AuditEntry] = []
    for entry in reversed(later):
        undoes = entry.detail.get("undoes")
        if entry.id in undone:
            continue
        if undoes in ids:
            undone.add(undoes)
        else:
            standing.append(entry)
    return standing[::-1]


def _is_note(entry: AuditEntry) -> bool:
    was, becomes = (cast("Mapping[str, Mapping[str, object]]", entry.detail[name]) for name in ("was", "is"))
    return is_note(was, becomes)
