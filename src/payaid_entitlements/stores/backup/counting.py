"""
All that a ledger has, tenant by tenant, and back into another one.

Usage goes before everything else in a file: whoever restores it fills the ledger first, and the store last, which is
what makes the whole thing count. So one that is broken off is begun anew, and forgets what it had written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, cast

from payaid_entitlements.core.metering.kept import Book, KeptEntry
from payaid_entitlements.errors import BackupInvalid, ConfigurationError, StoreIncomplete
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.ports import Part, Store
from payaid_entitlements.stores.writing import not_empty

#: Tenants, and entries of one, that are read and written at once.
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class KeptUsage:
    """Balances, holds and slots of one tenant."""

    tenant: str
    book: Book


@dataclass(frozen=True, slots=True)
class KeptEntries:
    """Some of the acts of one tenant; its `KeptUsage` came before."""

    tenant: str
    entries: tuple[KeptEntry, ...]


Counted = KeptUsage | KeptEntries


def counted(ledger: Ledger) -> Iterator[Counted]:
    """
    Give all that *ledger* has.

    Not of one moment: what is posted meanwhile may be in the balances and not among the acts, or the other way round.
    """
    ledger.prepare()
    after: str | None = None
    while tenants := ledger.tenants(after=after, limit=PAGE):
        for tenant in tenants:
            yield KeptUsage(tenant, ledger.book(tenant))
            yield from _acts(ledger, tenant)
        after = tenants[-1]


def _acts(ledger: Ledger, tenant: str) -> Iterator[KeptEntries]:
    after: tuple[str, int] | None = None
    while page := ledger.entries(tenant, after=after, limit=PAGE):
        yield KeptEntries(tenant, tuple(page))
        after = page[-1].operation, page[-1].part


def restored(
    store: Store, ledger: Ledger | None, pages: Iterator[Sequence[Part | Counted]]
) -> Iterable[Sequence[Part]]:
    """
    Fill *ledger* with the usage with which *pages* begin, and give the pages behind it, for the store.

    Raises:
        StoreNotEmpty: Somebody uses *store* already; nothing was changed.
        ConfigurationError: There is usage, and no ledger to count it in.
        BackupInvalid: As *pages* raises it.
    """
    for page in pages:
        first = page[0] if page else None
        if not isinstance(first, Counted):
            return chain([_of_a_store(page)], map(_of_a_store, pages))
        if ledger is None:
            raise ConfigurationError(f"the backup has usage, and there is no ledger in {store.name} to count it in")
        _require_empty(store)
        ledger.prepare()
        for part in page:
            if isinstance(part, KeptUsage):
                ledger.forget(part.tenant)
                ledger.restore(part.tenant, part.book, ())
            else:
                more = cast("KeptEntries", part)
                ledger.restore(more.tenant, Book(), more.entries)
    return ()


def _of_a_store(page: Sequence[Part | Counted]) -> Sequence[Part]:
    parts: list[Part] = []
    for part in page:
        if isinstance(part, Counted):
            raise BackupInvalid("usage in the backup is not in its place: before all that the store has")
        parts.append(part)
    return parts


def _require_empty(store: Store) -> None:
    try:
        position = store.changes_since(None).position
    except StoreIncomplete:
        return  # that is what is mended
    if position:
        raise not_empty(store.name)
