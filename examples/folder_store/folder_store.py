"""
A store in one file of a folder, by the standard library alone: what to begin from when you write your own.

Each write reads the file, works out the new content, and puts a new file in its place. A lock file admits one writer
at a time; readers need none, for a rename shows them the old content or the new. That is plain and correct, and a call
costs as much as all content: good for some hundred tenants. POSIX only, on a local disk: locks of network folders are
not to be relied on.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import ConfigurationError, OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.backup import lines
from payaid_entitlements.stores.backup.counting import Counted
from payaid_entitlements.stores.digest import digest
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
    require_tallies,
    scrubbed,
    target,
)


@dataclass
class Content:
    """All that the store has. *position* is where the log ends: behind what was restored there is a leap."""

    position: int = 0
    changes: list[KeptChange] = field(default_factory=list)
    tenants: dict[str, KeptTenant] = field(default_factory=dict)
    published: Published | None = None
    controls: Controls = field(default_factory=Controls)
    flags: FlagSet = field(default_factory=FlagSet)

    def keep(self, part: Part) -> None:
        """Take in one part."""
        match part:
            case KeptChange():
                self.changes.append(part)
            case KeptTenant(document):
                self.tenants[document.tenant] = part
            case Published():
                self.published = part
            case Controls():
                self.controls = part
            case FlagSet():
                self.flags = part

    def revision(self, scope: Scope, tenant: str | None) -> int:
        """The revision that a write must have been worked out from."""
        if scope is Scope.TENANT:
            known = self.tenants.get(str(tenant))
            return 0 if known is None else known.document.revision
        if scope is Scope.CATALOG:
            return 0 if self.published is None else self.published.revision
        return self.controls.revision if scope is Scope.CONTROLS else self.flags.revision

    def require(self, scope: Scope, tenant: str | None, expect: int) -> None:
        """Refuse what was worked out from another revision than is stored."""
        found = self.revision(scope, tenant)
        if found == expect:
            return
        faster = [
            f"{entry.verb} by {entry.actor}"
            for entry in (kept.entry for kept in self.changes)
            if (entry.scope, entry.tenant) == (scope, tenant) and entry.revision > expect
        ]
        raise change_conflict(scope, tenant, expect, found, faster)

    def behind(self, position: int) -> list[KeptChange]:
        """The changes after *position*."""
        return self.changes[bisect_right(self.changes, position, key=lambda kept: kept.entry.position) :]

    def forget(self, tenant: str) -> None:
        """Take out what is personal of a tenant: that something happened stays."""
        self.changes = [
            KeptChange(scrubbed(kept.entry), None if kept.event is None else replace(kept.event, payload={}))
            if kept.entry.tenant == tenant
            else kept
            for kept in self.changes
        ]

    def to_bytes(self) -> bytes:
        """The position on the first line, then each part on its own, as in a backup."""
        parts: list[Part] = [*self.changes, *self.tenants.values(), self.controls, self.flags]
        if self.published is not None:
            parts.append(self.published)
        return b"%d\n" % self.position + b"".join(lines.write(part)[1] for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Content:
        """Read what `to_bytes` wrote."""
        first, *rest = data.splitlines(keepends=True)
        content = cls(int(first))
        for number, line in enumerate(rest, 2):
            part = lines.read(line, number)
            assert not isinstance(part, Counted)  # `to_bytes` writes no usage: this store has no ledger
            content.keep(part)
        return content


class FolderStore:
    """
    Keeps everything in *folder*, which `prepare` makes.

    Nothing is open between two calls, so it may be used by several threads, and on both sides of a fork.
    """

    is_durable = True
    concerns: Sequence[Concern] = ()

    def __init__(self, folder: Path) -> None:
        self.name = f"folder {folder}"
        self._folder = folder
        self._file = folder / "content"
        self._tallies = folder / "tallies"

    def prepare(self) -> None:
        """Same as `Store.prepare`: an empty folder is an empty store."""
        with _mapped():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    # -- reading: one look at the file is one consistent state ---------------------------------------------------------

    def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        _refuse(tx)
        known = self._load().tenants
        return {tenant: known[tenant].document for tenant in tenants if tenant in known}

    def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        return self._load().published

    def controls(self) -> Controls:
        """Same as `Store.controls`."""
        return self._load().controls

    def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        return self._load().flags

    def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        content = self._load()
        end = content.position
        if position is None or position == end:
            return LogPage((), end)
        found = content.behind(position)
        if position > end or not found:
            return LogPage((), end, gap=True)
        entries = tuple(
            LogEntry(kept.entry.position, kept.entry.scope, kept.entry.tenant, kept.entry.revision)
            for kept in found[:limit]
        )
        # Positions have no holes but the one that `restore` leaves, which a reader must not step over.
        is_cut = entries[0].position > position + 1
        return LogPage(entries, entries[-1].position, gap=is_cut, more=len(found) > limit)

    def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        rows = sorted((row for row in self._rows().values()), key=lambda row: row.tenant.encode())
        return [
            row
            for row in rows
            if (after is None or row.tenant.encode() > after.encode())
            and (module is None or module in row.modules)
            and (plan is None or plan == row.plan)
        ][:limit]

    def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        rows = self._rows()
        return {tenant: rows[tenant] for tenant in tenants if tenant in rows}

    def _rows(self) -> dict[str, TenantRow]:
        return {tenant: kept.row for tenant, kept in self._load().tenants.items() if kept.row is not None}

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
        return [
            entry
            for entry in (kept.entry for kept in self._load().behind(after))
            if (tenant is None or entry.tenant == tenant)
            and (scope is None or entry.scope is scope)
            and (id is None or entry.id == id)
            and (operation is None or entry.operation == operation)
            and (since is None or entry.recorded >= since)
        ][:limit]

    def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        return [kept.event for kept in self._load().behind(after) if kept.event is not None][:limit]

    # -- writing: one at a time, and all or nothing --------------------------------------------------------------------

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
        summary = None if operation is None else digest(write)
        with self._locked():
            content = self._load()
            # First the operation: one that comes again is worked out from a revision which is not the last any more.
            for entry in (kept.entry for kept in content.changes):
                if operation is not None and (entry.tenant, entry.operation) == (tenant, operation):
                    if entry.digest != summary:
                        raise operation_conflict(operation)
                    # Who did it first may have died before the new file's name was on the disk.
                    self._sync_folder()
                    return Applied(entry.id, False, entry.revision, entry.position)
            content.require(scope, tenant, expect)
            if write.beside is not None:
                # What it was judged by together with what it changes.
                content.require(write.beside[0], None, write.beside[1])
            if write.document is not None:
                row = TenantRow(write.document.tenant, revision, write.plan, tuple(sorted(set(write.modules))))
                content.keep(KeptTenant(write.document, None if write.erase else row))
            for part in (write.published, write.controls, write.flags):
                if part is not None:
                    content.keep(part)
            content.position += 1
            entry = AuditEntry(
                write.id,
                content.position,
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
                summary,
            )
            # Before this change is kept: who asked to forget, and why, stays.
            if write.erase:
                content.forget(str(tenant))
            content.keep(KeptChange(entry, event_of(write, content.position)))
            self._save(content)
            return Applied(write.id, True, revision, content.position)

    def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `Store.restore`."""
        self._must_be_empty()
        content = Content()
        for page in pages:
            for part in page:
                content.keep(part)
        content.position = continued(content.changes[-1].entry.position if content.changes else 0)
        with self._locked():
            self._must_be_empty()
            self._save(content)

    def _must_be_empty(self) -> None:
        if self._load().position:
            raise not_empty(self.name)

    def close(self) -> None:
        """Same as `Store.close`: nothing is open."""

    # -- tallies: a file of their own, for they are measured and not decided -------------------------------------------

    def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        require_tallies(name, amounts)
        with self._locked():
            known = self._load_tallies()
            tallies = known.setdefault(name, {})
            for each, amount in amounts.items():
                tallies[each] = tallies.get(each, 0) + amount
            self._save_tallies(known)

    def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        return self._load_tallies().get(name, {})

    def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        with self._locked():
            known = self._load_tallies()
            if known.pop(name, None) is not None:
                self._save_tallies(known)

    def _load_tallies(self) -> dict[str, dict[str, int]]:
        with _mapped():
            try:
                data = self._tallies.read_bytes()
            except FileNotFoundError:
                return {}
        found: dict[str, dict[str, int]] = json.loads(data)
        return found

    def _save_tallies(self, known: dict[str, dict[str, int]]) -> None:
        # Not synced: what is measured may be measured again.
        new = self._folder / "tallies.new"
        with _mapped():
            new.write_text(json.dumps(known))
            new.replace(self._tallies)

    # -- the file ------------------------------------------------------------------------------------------------------

    def _load(self) -> Content:
        with _mapped():
            try:
                data = self._file.read_bytes()
            except FileNotFoundError:
                return Content()
        return Content.from_bytes(data)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A lock of this opened file, not of the process: it keeps threads apart too, and ends with its holder.
        with _mapped():
            descriptor = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            with _mapped():
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _save(self, content: Content) -> None:
        """Replace the file. Under the lock, so that one name for the new file is enough: who died left it half."""
        new = self._folder / "content.new"
        with _mapped():
            descriptor = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content.to_bytes())
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
        self._sync_folder()

    def _sync_folder(self) -> None:
        """Make sure that the file's new name survives losing power."""
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            # Others see it already, and it may be gone after losing power.
            raise OutcomeUnknown(f"the change may or may not be kept: {error}") from error


class AsyncFolderStore:
    """Same as `FolderStore`, awaited: each call runs in a thread, for files cannot be awaited."""

    is_durable = FolderStore.is_durable
    concerns = FolderStore.concerns

    def __init__(self, folder: Path) -> None:
        self._store = FolderStore(folder)
        self.name = self._store.name

    async def prepare(self) -> None:
        """Same as `Store.prepare`."""
        await asyncio.to_thread(self._store.prepare)

    async def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        return await asyncio.to_thread(self._store.read, tenants, tx=tx)

    async def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        return await asyncio.to_thread(self._store.catalog)

    async def controls(self) -> Controls:
        """Same as `Store.controls`."""
        return await asyncio.to_thread(self._store.controls)

    async def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        return await asyncio.to_thread(self._store.flags)

    async def apply(
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
        """Same as `Store.apply`. Who is cancelled does not know the outcome: the thread goes on."""
        return await asyncio.to_thread(
            self._store.apply,
            write,
            expect=expect,
            actor=actor,
            because=because,
            operation=operation,
            as_of=as_of,
            tx=tx,
        )

    async def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        return await asyncio.to_thread(self._store.changes_since, position, limit=limit)

    async def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        return await asyncio.to_thread(self._store.find, module=module, plan=plan, after=after, limit=limit)

    async def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        return await asyncio.to_thread(self._store.listed, tenants)

    async def audit(
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
        return await asyncio.to_thread(
            self._store.audit,
            tenant=tenant,
            scope=scope,
            id=id,
            operation=operation,
            since=since,
            after=after,
            limit=limit,
        )

    async def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        return await asyncio.to_thread(self._store.outbox, after=after, limit=limit)

    async def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        await asyncio.to_thread(self._store.add_tallies, name, amounts)

    async def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        return await asyncio.to_thread(self._store.tallies, name)

    async def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        await asyncio.to_thread(self._store.drop_tallies, name)

    async def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `AsyncStore.restore`: *pages* belong to the caller's thread."""
        self._store.restore(pages)

    async def aclose(self) -> None:
        """Same as `Store.close`."""


@contextmanager
def _mapped() -> Iterator[None]:
    """Name errors of the file system by ours; the first is the cause."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"the folder cannot be used: {error}") from error


def _refuse(tx: Transaction | None) -> None:
    if tx is not None:
        raise ConfigurationError("a folder cannot join a transaction; leave tx= out")
