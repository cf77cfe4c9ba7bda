"""
All that a store has, page by page, while it goes on changing: a picture of one moment, without a lock.

The change log is walked from its beginning. A document is given where the log says that it became what it is: behind
the entry of its revision. One that is ahead of the entry at which it is read is left for its own entry, which comes
later. The walk ends where the log does, if nothing was ahead by then. So what was given is exactly what the store was
at the position where the walk ends, and memory holds one page, however many tenants there are.

Each page of the log is read before what is read beside it. So where a document has the revision of the entry, nothing
about that tenant was written between the two readings, and all that was read in between belongs to this revision.

One thing cannot be made up for: who is forgotten during the walk was given already, with all that is personal. Then the
walk must begin anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payaid_entitlements.errors import ConfigurationError, StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.ports import (
    AuditEntry,
    KeptChange,
    KeptTenant,
    OutboxEvent,
    Part,
    Scope,
    Store,
    TenantRow,
)

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.publishing import Published
    from payaid_entitlements.core.controls import Controls
    from payaid_entitlements.core.facts import TenantDocument
    from payaid_entitlements.core.flags.model import FlagSet

#: Changes that are read, and written, at once.
PAGE: Final = 500
#: Pages behind where the log ended at first, after which a store is said to change too fast.
MOST_BEHIND: Final = 10_000


class ForgottenMeanwhile(StoreUnavailable):
    """Somebody was forgotten during a walk, after much was given: what was given must not be kept."""


def walked(store: Store) -> Iterator[Sequence[Part]]:
    """
    Give all that *store* has: changes by their position, and behind a change what it made, if that still holds.

    What changes during the walk may be given twice; then the last holds.

    Raises:
        ForgottenMeanwhile: Throw away what was given, and begin anew.
        StoreDamaged: Log and documents do not fit together.
        StoreUnavailable: There was no answer, or it changes faster than it can be read.
        ConfigurationError: The beginning of the log is gone; who has not changed since would be missing.
    """
    if not _is_whole(store):
        raise ConfigurationError(
            f"the change log of {store.name} does not reach back to its beginning, and all is found by it; "
            "use the backup of your database"
        )
    start = store.changes_since(None).position
    count = _Count(start)
    after = behind = 0
    is_last = False
    while not is_last:
        page = _Page.read(store, after)
        for entry in page.entries:
            if _is_forgetting(store, entry, start):
                raise ForgottenMeanwhile("a tenant was forgotten while the store was read; begin anew")
        parts = list(page.parts(store.name))
        count.add(parts)
        if parts:
            yield parts
            after = page.entries[-1].position
        is_last = len(page.entries) < PAGE and not page.is_ahead
        behind += after > start
        if behind > MOST_BEHIND:
            raise StoreUnavailable(f"{store.name} changes faster than it can be read; repeat it when less is changed")
    count.check(store.name)


def _is_whole(store: Store) -> bool:
    """Does the log reach back to its beginning?"""
    page = store.changes_since(0, limit=1)
    if not page.gap or page.position == 0:
        return True
    # A client may be told of a gap because it has read, before, the log of what was here then.
    first = store.audit(limit=1)
    return bool(first) and first[0].position == 1


@dataclass(frozen=True, slots=True)
class _Page:
    """A part of the log, and how what it is about stands now, or stood after the log was read."""

    entries: Sequence[AuditEntry]
    events: Mapping[int, OutboxEvent]
    rows: Mapping[str, TenantRow]
    documents: Mapping[str, TenantDocument]
    published: Published | None
    controls: Controls | None
    flags: FlagSet | None

    @staticmethod
    def read(store: Store, after: int) -> _Page:
        """Read the page behind position *after*: the log first."""
        entries = store.audit(after=after, limit=PAGE)
        scopes = {entry.scope for entry in entries}
        tenants = sorted({entry.tenant for entry in entries if entry.tenant is not None})
        return _Page(
            entries,
            {event.position: event for event in store.outbox(after=after, limit=len(entries))} if entries else {},
            store.listed(tenants) if tenants else {},
            store.read(tenants) if tenants else {},
            store.catalog() if Scope.CATALOG in scopes else None,
            store.controls() if Scope.CONTROLS in scopes else None,
            store.flags() if Scope.FLAGS in scopes else None,
        )

    @property
    def is_ahead(self) -> bool:
        """Is something newer than its last entry here? Then an entry of it was written since."""
        last = {(entry.scope, entry.tenant): entry for entry in self.entries}
        return any(self._revision(entry) > entry.revision for entry in last.values())

    def parts(self, name: str) -> Iterator[Part]:
        """Each change, and behind it what it made, if that still holds."""
        for entry in self.entries:
            yield KeptChange(entry, self.events.get(entry.position))
            found = self._revision(entry)
            # Flags may be behind: `payaid db downgrade` takes them and leaves the lines that tell of them.
            if found < entry.revision and entry.scope is not Scope.FLAGS:
                what = entry.scope.value if entry.tenant is None else f"tenant {entry.tenant!r}"
                raise StoreDamaged(
                    f"{name}: {what} is at revision {found}, and its change log at {entry.revision}: "
                    "something was lost; restore an earlier backup"
                )
            if found == entry.revision:
                yield self._made(entry)

    def _made(self, entry: AuditEntry) -> Part:
        if entry.tenant is not None:
            return KeptTenant(self.documents[entry.tenant], self.rows.get(entry.tenant))
        made = self._one(entry.scope)
        assert made is not None  # it has a revision
        return made

    def _revision(self, entry: AuditEntry) -> int:
        if entry.tenant is not None:
            document = self.documents.get(entry.tenant)
            return 0 if document is None else document.revision
        made = self._one(entry.scope)
        return 0 if made is None else made.revision

    def _one(self, scope: Scope) -> Published | Controls | FlagSet | None:
        if scope is Scope.CATALOG:
            return self.published
        return self.controls if scope is Scope.CONTROLS else self.flags


def _is_forgetting(store: Store, entry: AuditEntry, start: int) -> bool:
    """Is *entry*, of a change behind *start*, of a generation that began behind *start*, and is not the first?"""
    if entry.position <= start or entry.generation == 1 or entry.tenant is None:
        return False
    generation, after = 0, 0
    while True:
        for known in store.audit(tenant=entry.tenant, after=after, limit=PAGE):
            if known.position > start:
                return generation < entry.generation
            generation, after = known.generation, known.position


@dataclass(slots=True)
class _Count:
    """Was everybody given? Told without remembering who: each tenant has one change of revision 1."""

    start: int
    known: int = 0
    given: int = 0
    late: int = 0

    def add(self, parts: Sequence[Part]) -> None:
        """Count *parts*."""
        for part in parts:
            if isinstance(part, KeptTenant):
                self.given += 1
            elif isinstance(part, KeptChange):
                self.known += part.entry.scope is Scope.TENANT and part.entry.revision == 1
                self.late += part.entry.position > self.start

    def check(self, name: str) -> None:
        """
        Compare: who changed during the walk may have been given twice.

        Raises:
            StoreDamaged: Somebody is missing.
        """
        if not self.known <= self.given <= self.known + self.late:
            raise StoreDamaged(
                f"{name}: the change log knows {self.known:,} tenants, and {self.given:,} have the document that it "
                "speaks of; restore an earlier backup, or use that of your database"
            )
