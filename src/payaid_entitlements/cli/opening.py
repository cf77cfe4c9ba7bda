"""Opening the store that a command is about, and what commands ask of it besides decisions."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from payaid_entitlements.cli import UNAVAILABLE
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.core.catalog import Catalog, Published
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import Instant, from_clock
from payaid_entitlements.core.period import zone
from payaid_entitlements.core.subscription import terms_at
from payaid_entitlements.core.zones import TIMEZONE
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.errors import ConfigurationError, OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.opening import find_ledger, open_store
from payaid_entitlements.stores.ports import Store, TenantRow

#: Tenants that are read in one round trip.
PAGE = 500
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Opened:
    """
    An open store and the client that answers from it.

    Attributes:
        now: The instant that the command is about.
        counts: Where usage is counted; None where it is not.
    """

    store: Store
    ent: Entitlements
    now: Instant
    counts: Ledger | None = None

    def ledger(self) -> Ledger:
        """
        Where usage is counted, ready for use.

        Raises:
            ConfigurationError: Nowhere.
        """
        if self.counts is None:
            raise ConfigurationError(f"{self.store.name} counts no usage; name a ledger by PAYAID_LEDGER")
        self.counts.prepare()
        return self.counts

    def published(self) -> Published:
        """
        What is sold.

        Raises:
            ConfigurationError: Nothing was ever published.
        """
        published = self.store.catalog()
        if published is None:
            raise ConfigurationError(f"nothing is published in {self.store.name}; run `payaid catalog publish`")
        return published

    def document(self, tenant: str) -> TenantDocument:
        """What is known about *tenant*; a document of revision 0 where nothing is."""
        return self.store.read([tenant]).get(tenant) or TenantDocument(tenant)

    def zone(self, tenant: str | None = None) -> ZoneInfo:
        """The zone in which times of *tenant* are shown: its own, else the catalog's, else UTC."""
        if tenant is not None:
            document = self.document(tenant)
            match document.value(TIMEZONE, self.now):
                case {"zone": str(own)}:
                    return zone(own)
            for terms in terms_at(document, self.now):
                if terms.timezone is not None:
                    return zone(terms.timezone)
        published = self.store.catalog()
        return zone("UTC" if published is None else published.catalog.timezone)

    def tenants(self, *, module: str | None = None, plan: str | None = None) -> Iterator[TenantRow]:
        """All tenants, page by page, by their key."""
        after: str | None = None
        while True:
            page = self.store.find(module=module, plan=plan, after=after, limit=PAGE)
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].tenant

    def documents(self, doing: str, *, plan: str | None = None) -> Iterator[TenantDocument]:
        """All documents, page by page; the terminal shows how far it is, as *doing*."""
        page: list[str] = []
        with counting(doing) as count:
            for row in self.tenants(plan=plan):
                page.append(row.tenant)
                if len(page) == PAGE:
                    yield from self.store.read(page).values()
                    count(PAGE)
                    page.clear()
            if page:
                yield from self.store.read(page).values()
                count(len(page))


@contextmanager
def opened(
    url: str | None,
    *,
    creates: bool = False,
    clock: Callable[[], float] = time.time,
    catalog: Catalog | None = None,
) -> Iterator[Opened]:
    """
    Open the store at *url*, ready for use.

    Args:
        creates: The command may begin a new store. Otherwise a SQLite file must be there: a mistyped path
            would make an empty one and answer from it.
        clock: Seconds since the epoch, for what plays at another time than now.

    Raises:
        Ending: The SQLite file is not there.
        SchemaOutOfDate: The store is older than this version needs.
    """
    assert url is not None  # the option has a default of its own
    if not creates:
        must_exist(url)
    store = open_store(url)
    # What an operator changes is announced as what an application changes is.
    limiter = os.environ.get("PAYAID_LIMITER") or None
    ledger, besides = find_ledger(store, os.environ.get("PAYAID_LEDGER") or None)
    shared = os.environ.get("PAYAID_SHARED") or None
    ent = Entitlements(store, ledger=ledger, limiter=limiter, shared=shared, strict=True, catalog=catalog, clock=clock)
    try:
        with named(store):
            store.prepare()
            yield Opened(store, ent, from_clock(clock()), ledger)
    finally:
        ent.close()
        if besides is not None:
            besides.close()


@contextmanager
def named(store: Store) -> Iterator[None]:
    """
    Say of which store it is that there was no answer.

    Raises:
        Ending: There was none.
    """
    try:
        yield
    except OutcomeUnknown:
        raise
    except StoreUnavailable as error:
        raise Ending(f"{store.name}: {error}", code=UNAVAILABLE) from error


def actor() -> str:
    """Who is at the terminal, for the audit trail."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


def must_exist(url: str) -> None:
    """
    Refuse a SQLite file that is not there.

    Raises:
        Ending: It is not.
    """
    path = url.removeprefix(_SQLITE).partition("?")[0]
    if url.startswith(_SQLITE) and path and path != ":memory:" and not Path(path).exists():
        raise Ending(f"there is no {path}; run `payaid catalog publish` to begin it, or name another store with --url")
