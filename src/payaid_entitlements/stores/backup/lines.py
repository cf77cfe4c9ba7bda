"""
A backup file, line by line: what is written for each part of a store, and how it is read back. No I/O.

JSON lines in UTF-8. The first says what the file is, the last counts the others and has their SHA-256; between them is
one line for each part: first what is used, ``{"usage": ...}`` for each tenant with ``{"entries": ...}`` behind it; then
``{"change": ...}``, ``{"tenant": ...}``, ``{"catalog": ...}``, ``{"controls": ...}`` or ``{"flags": ...}``, in the
order of the change log. Two stores that hold the same, and are not changed meanwhile, give the same lines between.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument, recorded_from_json, recorded_to_json
from payaid_entitlements.core.flags.flag_set import from_json as flags_from_json
from payaid_entitlements.core.flags.flag_set import to_json as flags_to_json
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.metering.encoding import balance_data, debit_data, debit_from, take_data, take_from
from payaid_entitlements.core.metering.kept import Book, KeptAccount, KeptEntry, KeptHold
from payaid_entitlements.core.metering.posting import Balance, Slot
from payaid_entitlements.errors import BackupInvalid, EntitlementError
from payaid_entitlements.stores.backup.counting import Counted, KeptEntries, KeptUsage
from payaid_entitlements.stores.ports import AuditEntry, KeptChange, KeptTenant, OutboxEvent, Part, Scope, TenantRow

#: Grows when a release that knows this one could not read the file.
FORMAT: Final = 1
#: The first release that reads `FORMAT`.
NEEDS: Final = "0.1.0"
KINDS: Final = ("usage", "entries", "change", "tenant", "catalog", "controls", "flags")

_COMPACT: Final = (",", ":")
_END: Final = b'{"end":'


@dataclass(frozen=True, slots=True)
class Content:
    """
    What a backup file holds.

    Attributes:
        changes: Lines of the audit trail.
        tenants: Documents; of a store that was written to meanwhile, one that changed may be there twice.
        metered: Tenants of whom something is used.
        sha256: Of all lines but the first and the last: equal for two files where all they hold is equal.
        made: When it was written, as ISO 8601 in UTC.
        source: Where from, without a password.
    """

    changes: int
    tenants: int
    metered: int
    sha256: str
    made: str
    source: str


class Tally:
    """
    Counts and sums up lines as they pass, in either direction.

    Args:
        first: The first line, as bytes.
    """

    def __init__(self, first: bytes) -> None:
        self._first = first
        self._counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._hash = hashlib.sha256()

    def add(self, kind: str, line: bytes) -> None:
        """Count a line between the first and the last."""
        self._counts[kind] += 1
        self._hash.update(line)

    def last(self) -> bytes:
        """The last line, for what has passed."""
        content = self._hash.hexdigest()
        counts = json.dumps(self._counts, separators=_COMPACT)
        whole = hashlib.sha256(self._first + content.encode() + counts.encode()).hexdigest()
        return _END + f'{counts},"content":"{content}","file":"{whole}"}}\n'.encode()

    def content(self, header: Header) -> Content:
        """What has passed."""
        counts = self._counts
        return Content(
            counts["change"], counts["tenant"], counts["usage"], self._hash.hexdigest(), header.made, header.source
        )


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: when, where from, by which release."""

    made: str
    source: str

    def line(self) -> bytes:
        """Write it."""
        data = {
            "payaid_backup": FORMAT,
            "made": self.made,
            "source": self.source,
            "release": version("payaid-entitlements"),
            "needs": NEEDS,
            "kinds": KINDS,
        }
        return json.dumps(data, separators=_COMPACT).encode() + b"\n"


def read_header(line: bytes) -> Header:
    """
    Read the first line.

    Raises:
        BackupInvalid: It is that of something else, or of a later release.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    match data:
        case {"payaid_backup": int(number), "needs": str(needs), "kinds": list(kinds)} if number != FORMAT or not set(
            KINDS
        ) >= set(map(str, kinds)):
            raise BackupInvalid(
                f"this backup was written by a later release: install payaid-entitlements {needs[:20]} or later"
            )
        case {"payaid_backup": int(), "made": str(made), "source": str(source), "kinds": list()}:
            return Header(made, source)
    raise BackupInvalid("this is no backup of payaid: it does not begin as one does")


def is_last(line: bytes) -> bool:
    """Is it the last line of a file?"""
    return line.startswith(_END)


def kind_of(line: bytes, number: int) -> str:
    """
    Say which kind the line *number* is of, by how it begins.

    Raises:
        BackupInvalid: Of none.
    """
    begins = line[:16]
    for kind in KINDS:
        if begins.startswith(f'{{"{kind}":'.encode()):
            return kind
    raise BackupInvalid(f"line {number:,} of the backup is damaged: it does not begin as one does")


def write(part: Part | Counted) -> tuple[str, bytes]:
    """Write a part: its kind, and its line."""
    match part:
        case KeptUsage(tenant, book):
            kind, text = "usage", json.dumps(_usage(tenant, book), separators=_COMPACT)
        case KeptEntries(tenant, entries):
            kind, text = "entries", json.dumps([tenant, *map(_entry, entries)], separators=_COMPACT)
        case KeptChange(entry, event):
            kind, text = "change", _change(entry, event)
        case KeptTenant(document, row):
            found = "null" if row is None else json.dumps([row.revision, row.plan, row.modules], separators=_COMPACT)
            kind, text = "tenant", f'{{"document":{document.to_json()},"listed":{found}}}'
        case Published():
            kind, text = "catalog", part.to_json()
        case Controls():
            kind, text = "controls", part.to_json()
        case FlagSet():  # pragma: no branch - the types leave nothing else
            kind, text = "flags", flags_to_json(part)
    return kind, f'{{"{kind}":{text}}}\n'.encode()


def _usage(tenant: str, book: Book) -> dict[str, object]:
    return {
        "tenant": tenant,
        "accounts": [[each.meter, each.lot, balance_data(each.balance), each.folded] for each in book.accounts],
        "holds": [
            [hold.operation, debit_data(hold.debit), [*map(take_data, hold.takes)], hold.since, hold.expires]
            for hold in book.holds
        ],
        "slots": [[slot.feature, slot.holder, slot.since, slot.expires] for slot in book.slots],
    }


def _entry(entry: KeptEntry) -> list[object]:
    takes = [*map(take_data, entry.takes)]
    return [entry.operation, entry.part, entry.kind, entry.digest, entry.at, takes, entry.answer]


def _change(entry: AuditEntry, event: OutboxEvent | None) -> str:
    data = {
        "position": entry.position,
        "id": entry.id,
        "scope": entry.scope.value,
        "tenant": entry.tenant,
        "generation": entry.generation,
        "revision": entry.revision,
        "recorded": entry.recorded,
        "verb": entry.verb,
        "actor": entry.actor,
        "because": entry.because,
        "operation": entry.operation,
        "digest": entry.digest,
        "as_of": entry.as_of,
        "detail": entry.detail,
        "event": None if event is None else [event.name, event.payload],
    }
    return f'{json.dumps(data, separators=_COMPACT)[:-1]},"facts":{recorded_to_json(entry.facts)}}}'


def read(line: bytes, number: int) -> Part | Counted:
    """
    Read the line *number* of a file, one between the first and the last.

    Raises:
        BackupInvalid: It is nothing that `write` writes.
    """
    try:
        match json.loads(line):
            case {"usage": dict(data)}:
                return _read_usage(data)
            case {"entries": [str(tenant), *entries]}:
                return KeptEntries(tenant, tuple(_read_entry(tenant, *each) for each in entries))
            case {"change": dict(data)}:
                return _read_change(data)
            case {"tenant": dict(data)}:
                return _read_tenant(data)
            case {"catalog": dict(data)}:
                return Published.from_json(json.dumps(data))
            case {"controls": dict(data)}:
                return Controls.from_json(json.dumps(data))
            case {"flags": dict(data)}:
                # As it is written: what this release cannot read goes on as it was.
                flags = flags_from_json(line[len(b'{"flags":') : line.rindex(b"}")])
                if flags.damage is not None and "damage" not in data:
                    raise ValueError(flags.damage.why)
                return flags
            case _:
                raise ValueError("it is no part of a store")
    except (EntitlementError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise BackupInvalid(f"line {number:,} of the backup is damaged: {error!s:.300}") from error


def _read_usage(data: Mapping[str, Any]) -> KeptUsage:
    tenant = data["tenant"]
    book = Book(
        tuple(
            KeptAccount(tenant, meter, lot, Balance(*balance), folded)
            for meter, lot, balance, folded in data["accounts"]
        ),
        tuple(
            KeptHold(tenant, operation, debit_from(debit), tuple(map(take_from, takes)), since, expires)
            for operation, debit, takes, since, expires in data["holds"]
        ),
        tuple(Slot(*slot) for slot in data["slots"]),
    )
    return KeptUsage(tenant, book)


def _read_entry(
    tenant: str, operation: str, part: int, kind: str, digest: str | None, at: int, takes: Any, answer: Any
) -> KeptEntry:
    return KeptEntry(tenant, operation, part, kind, digest, at, tuple(map(take_from, takes)), answer)


def _read_change(data: Mapping[str, Any]) -> KeptChange:
    entry = AuditEntry(
        data["id"],
        data["position"],
        Scope(data["scope"]),
        data["tenant"],
        data["generation"],
        data["revision"],
        data["recorded"],
        data["verb"],
        data["actor"],
        data["because"],
        data["operation"],
        data["as_of"],
        recorded_from_json(json.dumps(data["facts"])),
        data["detail"],
        data["digest"],
    )
    if data["event"] is None:
        return KeptChange(entry, None)
    name, payload = data["event"]
    return KeptChange(entry, OutboxEvent(entry.position, name, payload))


def _read_tenant(data: Mapping[str, Any]) -> KeptTenant:
    tenant = data["document"]["tenant"]
    document = TenantDocument.from_json(json.dumps(data["document"]), tenant=tenant)
    if data["listed"] is None:
        return KeptTenant(document, None)
    revision, plan, modules = data["listed"]
    return KeptTenant(document, TenantRow(tenant, revision, plan, tuple(modules)))
