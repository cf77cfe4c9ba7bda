"""
Under which keys what is kept, and how it is written there.

All keys have one hash tag, so one script can change them together, on a cluster too. What people name (tenants,
modules, plans, operations) is never a part of a key, but that of tallies is the end of theirs: it is a field or a
member, behind its length where something follows. So two different things never have one name, whatever characters are
in them.

======== ======== ====================================================================================
key      type     holds
======== ======== ====================================================================================
documents hash    ``=tenant``, ``catalog``, ``controls``, ``flags``: revision, newline, JSON; ``position``: the newest;
                  ``layout``: the version of all this; ``origin``: made by chance when the store was
rows      hash    tenant: revision, newline, JSON of plan and modules; a tenant that was forgotten has none
index     sorted  ``ttenant``, ``m3:crmtenant``, ``p3:protenant``, ``a5:=acme0000000000000007``,
                  ``q9:operation0000000000000007``: members in the order of bytes
log       stream  the change log; the id of an entry is its position
trail     hash    position: what stays of a change, newline, what is personal, newline, its operation's field in `known`
known     hash    ``iid``: the position of a change; ``o5:=acmeoperation``: the outcome of an operation
tallies:  hash    a key for each name, which follows: what was measured, by field
======== ======== ====================================================================================

Documents, catalog and the newest position are one key: a server that evicts it has lost all, and says so; it never
has all but one tenant.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from payaid_entitlements.core.facts import recorded_from_json, recorded_to_json
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import StoreDamaged
from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.ports import AuditEntry, OutboxEvent, Scope, TenantRow, Write
from payaid_entitlements.stores.writing import event_of, scope_kept, scope_read, target

#: Grows when any of this changes.
VERSION: Final = "1"
#: What stands in its place while a store is filled from a backup, and after that was killed.
FILLING: Final = "0"

#: What a fresh store calls itself in its documents.
LAYOUT: Final = "layout"
CATALOG: Final = "catalog"
CONTROLS: Final = "controls"
FLAGS: Final = "flags"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one store."""

    documents: str
    rows: str
    index: str
    log: str
    trail: str
    known: str

    @staticmethod
    def of(prefix: str) -> Keys:
        """The keys that begin with *prefix*."""
        return Keys(*(f"{{{prefix}}}:{name}" for name in ("documents", "rows", "index", "log", "trail", "known")))

    @property
    def all(self) -> tuple[str, ...]:
        """In the order in which scripts take them."""
        return (self.documents, self.rows, self.index, self.log, self.trail, self.known)


def tallies_key(prefix: str, name: str) -> str:
    """Where the tallies *name* are: a key of their own, on the server that has the others."""
    return f"{{{prefix}}}:tallies:{name}"


def channel_of(prefix: str, number: int = 0) -> str:
    """
    The name of the channel on which each change is published, by the script that makes it.

    Keys of numbered databases are apart, channels are not: what another store under our prefix tells is not about us.
    """
    name = f"{{{prefix}}}:changes"
    return f"{name}:{number}" if number else name


def tenant_field(tenant: str) -> str:
    """Where the document of *tenant* is."""
    return f"={tenant}"


def trail_path(scope: Scope, tenant: str | None) -> bytes:
    """What the members begin with that lead to the trail of a tenant, of the catalog, the controls or the flags."""
    return sized("a", scope.value if tenant is None else tenant_field(tenant))


def sized(kind: str, name: str) -> bytes:
    """What members and fields about *name* begin with; nobody else's do, whatever follows."""
    encoded = name.encode()
    return b"%s%d:%s" % (kind.encode(), len(encoded), encoded)


def operation_field(tenant: str | None, operation: str | None) -> bytes:
    """Where the outcome of *operation* is; empty when there is none. Catalog, controls and flags share theirs."""
    if operation is None:
        return b""
    return sized("o", "" if tenant is None else tenant_field(tenant)) + operation.encode()


def content_of(held: bytes) -> str:
    """
    The JSON of what is kept behind its revision.

    Raises:
        StoreDamaged: It is no text.
    """
    try:
        return held.partition(b"\n")[2].decode()
    except UnicodeDecodeError as error:
        raise StoreDamaged(f"what is kept cannot be read: {error}") from error


def row_of(write: Write) -> str:
    """Plan and modules of a tenant, as its row has them."""
    return row_in(write.plan, sorted(set(write.modules)))


def row_in(plan: str | None, modules: Sequence[str]) -> str:
    """The same, of *modules* that are sorted."""
    return _json([plan, list(modules)])


def plan_begin(plan: str) -> str:
    """What the rows of those who hold *plan* begin with."""
    return _json([plan])[:-1] + ","


def tenant_row(tenant: bytes, row: bytes) -> TenantRow:
    """Read a row."""
    revision, _, rest = row.partition(b"\n")
    plan, modules = json.loads(rest)
    return TenantRow(tenant.decode(), int(revision), plan, tuple(modules))


def entry_of(
    write: Write, *, actor: str, because: str | None, operation: str | None, as_of: Instant | None
) -> tuple[str, str]:
    """What stays of a change for ever, and what is personal to its tenant."""
    scope, tenant, generation, revision = target(write)
    event = event_of(write, 0)
    word, mark = scope_kept(scope)
    stays = [write.id, word, tenant, mark or generation, revision, write.recorded, write.verb, actor, as_of]
    known = None if operation is None else digest(write)
    personal = [because, operation, recorded_to_json(write.facts), write.detail, event.payload, known]
    # In ASCII: what people write may have halves of characters, which nothing else can encode.
    return json.dumps(stays, separators=(",", ":")), json.dumps(personal, separators=(",", ":"))


def trail_entry(entry: AuditEntry, event: OutboxEvent | None) -> tuple[str, str]:
    """The same, of a change that another store had; nothing is told to others where that did not tell it any more."""
    word, mark = scope_kept(entry.scope)
    stays = [entry.id, word, entry.tenant, mark or entry.generation, entry.revision, entry.recorded]
    told = None if event is None else event.payload
    personal = [entry.because, entry.operation, recorded_to_json(entry.facts), entry.detail, told, entry.digest]
    return _json([*stays, entry.verb, entry.actor, entry.as_of]), _json(personal)


def audit_entry(position: int, held: bytes) -> AuditEntry:
    """Read an entry of the trail; of a tenant that was forgotten nothing personal is there."""
    change, scope, tenant, generation, revision, recorded, verb, actor, as_of = _stays(held)
    because, operation, facts, detail, _, known = _personal(held)
    return AuditEntry(
        change,
        position,
        scope_read(scope, generation),
        tenant,
        max(generation, 0),
        revision,
        recorded,
        verb,
        actor,
        because,
        operation,
        as_of,
        recorded_from_json(facts),
        detail,
        known,
    )


def outbox_event(position: int, held: bytes) -> OutboxEvent | None:
    """Read what is told to others of a change; None where nothing is, any more."""
    _, word, _, generation, _, _, verb, _, _ = _stays(held)
    told = _personal(held)[4]
    return None if told is None else OutboxEvent(position, f"{scope_read(word, generation).value}.{verb}", told)


def who_was_faster(held: Sequence[bytes], expect: int) -> list[str]:
    """Who made the changes behind revision *expect*, oldest first, from what stays of the newest ones."""
    found = [_stays(each) for each in reversed(held)]
    return [f"{verb} by {actor}" for _, _, _, _, revision, _, verb, actor, _ in found if revision > expect]


def _stays(held: bytes) -> list[Any]:
    return _list(held.partition(b"\n")[0], 9)


def _personal(held: bytes) -> list[Any]:
    text = held.split(b"\n", 2)[1]
    return _list(text, 6) if text else [None, None, "[]", {}, {}, None]


def _list(text: bytes, length: int) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise StoreDamaged(f"an entry of the trail cannot be read: {error}") from error
    if not isinstance(found, list) or len(found) != length:
        raise StoreDamaged("an entry of the trail is not of this release")
    return found


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
