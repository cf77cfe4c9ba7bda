"""
A store in the memory of one process: for tests, for trying out, and as the plainest statement of the port.

Nothing is copied: documents are immutable. One lock makes every write atomic; nothing ever waits, so the
asynchronous twin only passes calls on.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import ChangeConflict, ConfigurationError
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.memory_activity import AsyncMemoryActivity, MemoryActivity
from payaid_entitlements.stores.memory_ledger import AsyncMemoryLedger, MemoryLedger
from payaid_entitlements.stores.memory_limiter import AsyncMemoryLimiter, MemoryLimiter
from payaid_entitlements.stores.ports import (
    LOST_WITH_THE_PROCESS,
    Applied,
    AuditEntry,
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


@dataclass(slots=True)
class _Content:
    position: int = 0
    documents: dict[str, TenantDocument] = field(default_factory=dict)
    rows: dict[str, TenantRow] = field(default_factory=dict)
    published: Published | None = None
    controls: Controls = field(default_factory=Controls)
    flags: FlagSet = field(default_factory=FlagSet)
    changes: list[AuditEntry] = field(default_factory=list)
    operations: dict[tuple[str | None, str], tuple[Applied, str]] = field(default_factory=dict)
    outbox: list[OutboxEvent] = field(default_factory=list)


class MemoryStore:
    """
    Keeps everything in this process, and loses it with the process.

    Attributes:
        ledger: Where usage is counted that belongs to what this store says.
        limiter: Where calls are counted.
        activity: Which tenant did what on which day.
    """

    name = "memory"
    is_durable = False
    concerns = (LOST_WITH_THE_PROCESS,)

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.limiter = MemoryLimiter()
        self.activity = MemoryActivity()
        self._content = _Content()
        self._tallies: dict[str, dict[str, int]] = {}
        self._renew_lock()
        after_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        # Another thread of the parent may hold it, and is not there to let it go.
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Same as `Store.prepare`: there is nothing to make ready."""

    def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        _refuse(tx)
        documents = self._content.documents
        return {tenant: documents[tenant] for tenant in tenants if tenant in documents}

    def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        return self._content.published

    def controls(self) -> Controls:
        """Same as `Store.controls`."""
        return self._content.controls

    def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        return self._content.flags

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
        with self._lock:
            content = self._content
            scope, tenant, generation, revision = target(write)
            summary = digest(write)
            if operation is not None and (tenant, operation) in content.operations:
                first, known = content.operations[tenant, operation]
                if known != summary:
                    raise operation_conflict(operation)
                return replace(first, applied=False)
            found = self._revision(scope, tenant)
            if found != expect:
                raise self._conflict(scope, tenant, expect, found)
            if write.beside is not None and self._revision(write.beside[0], None) != write.beside[1]:
                raise self._conflict(write.beside[0], None, write.beside[1], self._revision(write.beside[0], None))
            content.position += 1
            applied = Applied(write.id, True, revision, content.position)
            self._store(write, tenant)
            if write.erase:
                self._erase(tenant)
            content.changes.append(
                AuditEntry(
                    write.id,
                    applied.position,
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
                    None if operation is None else summary,
                )
            )
            content.outbox.append(event_of(write, applied.position))
            if operation is not None:
                content.operations[tenant, operation] = applied, summary
            return applied

    def _store(self, write: Write, tenant: str | None) -> None:
        content = self._content
        if write.document is not None:
            content.documents[write.document.tenant] = write.document
            content.rows[write.document.tenant] = TenantRow(
                write.document.tenant, write.document.revision, write.plan, tuple(sorted(set(write.modules)))
            )
        if write.published is not None:
            content.published = write.published
        if write.controls is not None:
            content.controls = write.controls
        if write.flags is not None:
            content.flags = write.flags

    def _erase(self, tenant: str | None) -> None:
        content = self._content
        del content.rows[str(tenant)]
        content.changes = [scrubbed(entry) if entry.tenant == tenant else entry for entry in content.changes]
        content.outbox = [
            replace(event, payload={}) if event.payload.get("tenant") == tenant else event for event in content.outbox
        ]
        content.operations = {key: known for key, known in content.operations.items() if key[0] != tenant}

    def _revision(self, scope: Scope, tenant: str | None) -> int:
        content = self._content
        if scope is Scope.TENANT:
            document = content.documents.get(str(tenant))
            return 0 if document is None else document.revision
        if scope is Scope.CATALOG:
            return 0 if content.published is None else content.published.revision
        return content.controls.revision if scope is Scope.CONTROLS else content.flags.revision

    def _conflict(self, scope: Scope, tenant: str | None, expect: int, found: int) -> ChangeConflict:
        faster = [
            f"{entry.verb} by {entry.actor}"
            for entry in self._content.changes
            if entry.scope is scope and entry.tenant == tenant and entry.revision > expect
        ]
        return change_conflict(scope, tenant, expect, found, faster)

    def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        with self._lock:
            end, changes = self._content.position, self._behind(position, limit + 1)
        if position is None or position == end:
            return LogPage((), end)
        if position > end or not changes:
            return LogPage((), end, gap=True)
        entries = tuple(
            LogEntry(entry.position, entry.scope, entry.tenant, entry.revision) for entry in changes[:limit]
        )
        is_cut = entries[0].position > position + 1
        return LogPage(entries, entries[-1].position, gap=is_cut, more=len(changes) > limit)

    def _behind(self, position: int | None, limit: int | None = None) -> list[AuditEntry]:
        """The changes behind *position*; none where that is not given."""
        changes = self._content.changes
        if position is None:
            return []
        first = bisect_right(changes, position, key=lambda entry: entry.position)
        return changes[first:] if limit is None else changes[first : first + limit]

    def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        with self._lock:
            rows = sorted(self._content.rows.values(), key=lambda row: row.tenant.encode())
        return [
            row
            for row in rows
            if (after is None or row.tenant.encode() > after.encode())
            and (module is None or module in row.modules)
            and (plan is None or plan == row.plan)
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
        return [
            entry
            for entry in self._behind(after)
            if (tenant is None or entry.tenant == tenant)
            and (scope is None or entry.scope is scope)
            and (id is None or entry.id == id)
            and (operation is None or entry.operation == operation)
            and (since is None or entry.recorded >= since)
        ][:limit]

    def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        return [event for event in self._content.outbox if event.position > after][:limit]

    def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        rows = self._content.rows
        return {tenant: rows[tenant] for tenant in tenants if tenant in rows}

    def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        require_tallies(name, amounts)
        with self._lock:
            tallies = self._tallies.setdefault(name, {})
            for each, amount in amounts.items():
                tallies[each] = tallies.get(each, 0) + amount

    def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        with self._lock:
            return dict(self._tallies.get(name, {}))

    def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        with self._lock:
            self._tallies.pop(name, None)

    def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `Store.restore`."""
        self._must_be_empty()
        content = _Content()
        for page in pages:
            for part in page:
                _keep(content, part)
        content.position = continued(content.changes[-1].position if content.changes else 0)
        with self._lock:
            self._must_be_empty()
            self._content = content

    def _must_be_empty(self) -> None:
        if self._content.position:
            raise not_empty(self.name)

    def close(self) -> None:
        """Same as `Store.close`: what is known stays as long as this object."""


class AsyncMemoryStore:
    """
    Same as `MemoryStore`, awaited.

    Attributes:
        ledger: Same as `MemoryStore.ledger`, awaited.
        limiter: Same as `MemoryStore.limiter`, awaited.
        activity: Same as `MemoryStore.activity`, awaited.

    Args:
        store: To share what another client keeps; None for an empty one.
    """

    name = MemoryStore.name
    is_durable = MemoryStore.is_durable
    concerns = MemoryStore.concerns

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._store = MemoryStore() if store is None else store
        self.ledger = AsyncMemoryLedger(self._store.ledger)
        self.limiter = AsyncMemoryLimiter(self._store.limiter)
        self.activity = AsyncMemoryActivity(self._store.activity)

    async def prepare(self) -> None:
        """Same as `Store.prepare`."""

    async def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        return self._store.read(tenants, tx=tx)

    async def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        return self._store.catalog()

    async def controls(self) -> Controls:
        """Same as `Store.controls`."""
        return self._store.controls()

    async def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        return self._store.flags()

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
        """Same as `Store.apply`."""
        return self._store.apply(
            write, expect=expect, actor=actor, because=because, operation=operation, as_of=as_of, tx=tx
        )

    async def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        return self._store.changes_since(position, limit=limit)

    async def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        return self._store.find(module=module, plan=plan, after=after, limit=limit)

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
        return self._store.audit(
            tenant=tenant, scope=scope, id=id, operation=operation, since=since, after=after, limit=limit
        )

    async def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        return self._store.outbox(after=after, limit=limit)

    async def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        return self._store.listed(tenants)

    async def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        self._store.add_tallies(name, amounts)

    async def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        return self._store.tallies(name)

    async def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        self._store.drop_tallies(name)

    async def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `AsyncStore.restore`."""
        self._store.restore(pages)

    async def aclose(self) -> None:
        """Same as `Store.close`."""


def _keep(content: _Content, part: Part) -> None:
    match part:
        case KeptChange(entry, event):
            content.changes.append(entry)
            if event is not None:
                content.outbox.append(event)
            if entry.operation is not None:
                first = Applied(entry.id, True, entry.revision, entry.position)
                content.operations[entry.tenant, entry.operation] = first, str(entry.digest)
        case KeptTenant(document, row):
            content.documents[document.tenant] = document
            content.rows.pop(document.tenant, None)
            if row is not None:
                content.rows[document.tenant] = row
        case Published():
            content.published = part
        case Controls():
            content.controls = part
        case FlagSet():  # pragma: no branch - the types leave nothing else
            content.flags = part


def _refuse(tx: Transaction | None) -> None:
    if tx is not None:
        raise ConfigurationError("a memory store cannot join a transaction; leave tx= out, or open a database")
