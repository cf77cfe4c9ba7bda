"""
A store of one's own, as an example: in a `dbm`, the keys and values that Python keeps in a file without any package.

It is the port, sentence by sentence, over something that has no transactions and no index. A lock makes each write
the only one; what a database would find by an index is looked for among all keys. Each value is a line as in a
backup, so that nothing has to be invented for facts, catalogs and the trail.
"""

from __future__ import annotations

import dbm.dumb
import fcntl
import json
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar, cast

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import BackupInvalid, ConfigurationError, StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.backup import lines
from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.hurry import silence
from payaid_entitlements.stores.ports import (
    Applied,
    AuditEntry,
    Concern,
    KeptChange,
    KeptTenant,
    LogEntry,
    LogPage,
    OutboxEvent,
    Part,
    Scope,
    TenantRow,
    Transaction,
    Write,
)
from payaid_entitlements.stores.writing import (
    change_conflict,
    continued,
    event_of,
    not_empty,
    operation_conflict,
    scrubbed,
    target,
)

#: The file, as keys and values.
File = MutableMapping[bytes, bytes]
P = TypeVar("P", KeptChange, KeptTenant, Published, Controls)

#: Seconds for which a change waits for others; a question waits as long as questions do.
PATIENCE: Final = 2.0
#: Keys: a kind, and what follows it. No key of one kind begins like one of another.
TENANT, CHANGE, OPERATION = b"tenant ", b"change ", b"operation "
CATALOG, CONTROLS, END = b"catalog", b"controls", b"end"


class DbmStore:
    """
    Same as `Store`, in the files that begin with *path*. Nothing stays open between two calls.

    Args:
        path: Where; a folder that is there, and the beginning of names in it.
    """

    is_durable = True
    #: Said by ``payaid doctor``, and once when a client begins: `dbm` cannot keep what a store has to promise.
    concerns: Sequence[Concern] = (
        Concern(
            promise="a change is kept whole or not at all",
            found="dbm writes one key after the other, and is killed between two of them",
            way_out="keep what matters in sqlite:///payaid.db",
        ),
    )

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Same as `Store.name`."""
        return f"dbm:{self._path}"

    @contextmanager
    def _opened(self) -> Iterator[File]:
        """
        The file, for nobody else. A lock of the system ends with its process, however that ends.

        Raises:
            StoreUnavailable: Others have it for too long, or there is no such place.
        """
        try:
            with (
                self._path.with_name(self._path.name + ".lock").open("a") as lock,
                _locked(lock.fileno()),
                closing(dbm.dumb.open(str(self._path), "c")) as file,
            ):
                yield cast("File", file)
        except OSError as error:  # dbm.dumb.error is one
            raise StoreUnavailable(f"{self.name}: {error}") from error

    def prepare(self) -> None:
        """Same as `Store.prepare`."""
        with self._opened():
            pass

    def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        _refuse(tx)
        with self._opened() as file:
            return {kept.document.tenant: kept.document for kept in _tenants(file, tenants)}

    def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        with self._opened() as file:
            return _part(file, CATALOG, Published)

    def controls(self) -> Controls:
        """Same as `Store.controls`."""
        with self._opened() as file:
            return _part(file, CONTROLS, Controls) or Controls()

    def apply(
        self,
        write: Write,
        *,
        expect: int,
        actor: str,
        because: str | None,
        operation: str | None = None,
        as_of: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Applied:
        """Same as `Store.apply`."""
        _refuse(tx)
        scope, tenant, generation, revision = target(write)
        asked = None if operation is None else digest(write)
        with self._opened() as file:
            if operation is not None and (first := _done_by(file, tenant, operation)) is not None:
                if first.digest != asked:
                    raise operation_conflict(operation)
                return Applied(first.id, False, first.revision, first.position)
            found = _revision(file, scope, tenant)
            if found != expect:
                raise change_conflict(scope, tenant, expect, found, _faster(file, scope, tenant, expect))
            entry = AuditEntry(
                write.id,
                _end(file) + 1,
                scope,
                tenant,
                generation,
                revision,
                write.recorded,
                write.verb,
                actor,
                because,
                operation,
                as_of,
                write.facts,
                write.detail,
                asked,
            )
            scrubbed_lines, known = _forgotten(file, write)
            # All of it is worked out before any of it is written: what fails until then leaves nothing.
            changed = {
                **scrubbed_lines,
                **_lines(_what(write)),
                **_lines(KeptChange(entry, event_of(write, entry.position))),
                END: str(entry.position).encode(),
            }
            for key in known:
                del file[key]
            file.update(changed)
            return Applied(write.id, True, revision, entry.position)

    def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        with self._opened() as file:
            end = _end(file)
            if position is None or position == end:
                return LogPage((), end)
            behind = _positions(file, position)
            changes = [_change(file, each).entry for each in behind[:limit]]
        if position > end or not changes:
            return LogPage((), end, gap=True)
        entries = tuple(LogEntry(each.position, each.scope, each.tenant, each.revision) for each in changes)
        is_cut = entries[0].position > position + 1
        return LogPage(entries, entries[-1].position, gap=is_cut, more=len(behind) > limit)

    def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        with self._opened() as file:
            everybody = sorted(key.removeprefix(TENANT) for key in file if key.startswith(TENANT))
            behind = [key.decode() for key in everybody if after is None or key > after.encode()]
            rows = [kept.row for kept in _tenants(file, behind) if kept.row is not None]
        return [
            row for row in rows if (module is None or module in row.modules) and (plan is None or plan == row.plan)
        ][:limit]

    def audit(
        self,
        *,
        tenant: str | None = None,
        scope: Scope | None = None,
        id: str | None = None,
        operation: str | None = None,
        since: Instant | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Same as `Store.audit`."""
        with self._opened() as file:
            entries = [_change(file, position).entry for position in _positions(file, after)]
        return [
            entry
            for entry in entries
            if (tenant is None or entry.tenant == tenant)
            and (scope is None or entry.scope is scope)
            and (id is None or entry.id == id)
            and (operation is None or entry.operation == operation)
            and (since is None or entry.recorded >= since)
        ][:limit]

    def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        with self._opened() as file:
            events = [_change(file, position).event for position in _positions(file, after)]
        return [event for event in events if event is not None][:limit]

    def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        with self._opened() as file:
            return {kept.row.tenant: kept.row for kept in _tenants(file, tenants) if kept.row is not None}

    def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `Store.restore`; everything that comes is kept in memory until all of it is there."""
        came: dict[bytes, bytes] = {}
        with self._opened() as file:
            self._must_be_empty(file)
        for page in pages:
            for part in page:
                came |= _lines(part)
        changes = _positions(came, 0)
        with self._opened() as file:
            self._must_be_empty(file)
            file.update(came | {END: str(continued(changes[-1] if changes else 0)).encode()})

    def _must_be_empty(self, file: File) -> None:
        if _end(file):
            raise not_empty(self.name)

    def close(self) -> None:
        """Same as `Store.close`: nothing is open."""


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    # Not without end: whoever stands still with the lock must not make all others stand still.
    gives_up = time.monotonic() + silence(PATIENCE)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= gives_up:
                raise
            time.sleep(0.002)
    try:
        yield
    finally:
        # Closing would not do: a process that was forked meanwhile has the same lock, and keeps what is not let go.
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _refuse(tx: Transaction | None) -> None:
    if tx is not None:
        raise ConfigurationError("a dbm cannot join a transaction; leave tx= out")


def _part(file: Mapping[bytes, bytes], key: bytes, kind: type[P]) -> P | None:
    """
    Read what is at *key*; None where nothing is.

    Raises:
        StoreDamaged: It is no *kind*. Who cannot read what is sold or held must open nothing.
    """
    line = file.get(key)
    if line is None:
        return None
    try:
        part = lines.read(line, 0)
    except BackupInvalid as error:
        raise StoreDamaged(f"{key!r} cannot be read: {error}") from error
    if not isinstance(part, kind):
        raise StoreDamaged(f"{key!r} is a {type(part).__name__}")
    return part


def _lines(part: Part) -> dict[bytes, bytes]:
    """What is kept of *part*, by its keys."""
    line = lines.write(part)[1]
    match part:
        case KeptTenant(document):
            return {TENANT + document.tenant.encode(): line}
        case KeptChange(entry) if entry.operation is None:
            return {_position(entry.position): line}
        case KeptChange(entry):
            where = str(entry.position).encode()
            return {_position(entry.position): line, _operation(entry.tenant, str(entry.operation)): where}
        case Published():
            return {CATALOG: line}
        case _:
            return {CONTROLS: line}


def _what(write: Write) -> Part:
    """What *write* puts in the place of what was there."""
    if write.document is not None:
        row = TenantRow(write.document.tenant, write.document.revision, write.plan, tuple(sorted(set(write.modules))))
        return KeptTenant(write.document, None if write.erase else row)
    part = write.published or write.controls
    assert part is not None  # `target` has looked
    return part


def _position(position: int) -> bytes:
    return CHANGE + b"%020d" % position


def _operation(tenant: str | None, operation: str) -> bytes:
    # As JSON: joined by a sign that somebody may type, two pairs could make one key.
    return OPERATION + json.dumps([tenant, operation]).encode()


def _end(file: Mapping[bytes, bytes]) -> int:
    return int(file.get(END, b"0"))


def _positions(file: Mapping[bytes, bytes], after: int) -> list[int]:
    found = (int(key.removeprefix(CHANGE)) for key in list(file) if key.startswith(CHANGE))
    return sorted(position for position in found if position > after)


def _change(file: Mapping[bytes, bytes], position: int) -> KeptChange:
    kept = _part(file, _position(position), KeptChange)
    if kept is None:
        raise StoreDamaged(f"change {position} is lost")
    return kept


def _tenants(file: Mapping[bytes, bytes], tenants: Sequence[str]) -> list[KeptTenant]:
    found = (_part(file, TENANT + tenant.encode(), KeptTenant) for tenant in tenants)
    return [kept for kept in found if kept is not None]


def _revision(file: Mapping[bytes, bytes], scope: Scope, tenant: str | None) -> int:
    if tenant is not None:
        return next((kept.document.revision for kept in _tenants(file, [tenant])), 0)
    part = _part(file, CATALOG, Published) if scope is Scope.CATALOG else _part(file, CONTROLS, Controls)
    return 0 if part is None else part.revision


def _done_by(file: Mapping[bytes, bytes], tenant: str | None, operation: str) -> AuditEntry | None:
    position = file.get(_operation(tenant, operation))
    return None if position is None else _change(file, int(position)).entry


def _faster(file: Mapping[bytes, bytes], scope: Scope, tenant: str | None, expect: int) -> list[str]:
    """Who has changed it since: an error that says so saves a search."""
    entries = (_change(file, position).entry for position in _positions(file, 0))
    return [
        f"{entry.verb} by {entry.actor}"
        for entry in entries
        if entry.scope is scope and entry.tenant == tenant and entry.revision > expect
    ]


def _forgotten(file: Mapping[bytes, bytes], write: Write) -> tuple[dict[bytes, bytes], list[bytes]]:
    """What is to take the place of what was recorded, and the keys that are to go, where *write* forgets somebody."""
    changed: dict[bytes, bytes] = {}
    gone: list[bytes] = []
    tenant = target(write)[1]
    for position in _positions(file, 0) if write.erase else ():
        kept = _change(file, position)
        if kept.entry.tenant == tenant:
            if kept.entry.operation is not None:
                gone.append(_operation(tenant, kept.entry.operation))
            event = None if kept.event is None else replace(kept.event, payload={})
            changed |= _lines(KeptChange(scrubbed(kept.entry), event))
    return changed, gone
