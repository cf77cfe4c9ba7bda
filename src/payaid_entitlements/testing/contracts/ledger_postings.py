"""Postings for tests, and all that a ledger says of a tenant."""

from __future__ import annotations

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.posting import Debit, Line, Mark, Posted, Short
from payaid_entitlements.stores.ledger import Book, KeptEntry, Ledger

#: 2026-09-21T14:13:20Z.
NOW: Instant = 1_790_000_000_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND

#: The account to which `debit` posts.
ACCOUNT = ("calls", "w0")


def debit(
    amount: int,
    *lines: Line,
    cap: int | None = 10,
    feature: str = "calls",
    beyond: int | None = 0,
    grace: int | None = None,
    short: Short = Short.REJECT,
    sink: int = 0,
    marks: tuple[Mark, ...] = (),
) -> Debit:
    """Use up *amount* of *lines*, or of one that holds *cap*."""
    return Debit(feature, amount, lines or (Line(feature, "w0", cap),), sink, beyond, grace, short, marks)


def use(
    ledger: Ledger, amount: int, operation: str, *, tenant: str = "acme", now: Instant = NOW, cap: int | None = 10
) -> Posted:
    """Use up *amount* of one line."""
    return ledger.post(tenant, [debit(amount, cap=cap)], operation=operation, digest=str(amount), now=now)


def used(ledger: Ledger, tenant: str = "acme", *, now: Instant = NOW) -> tuple[int, int]:
    """What is used and held on the account to which `debit` posts."""
    balance = ledger.balances(tenant, [ACCOUNT], now=now).get(ACCOUNT)
    return (0, 0) if balance is None else (balance.used, balance.held)


def all_entries(ledger: Ledger, tenant: str = "acme", *, limit: int = 500) -> list[KeptEntry]:
    """All entries of a tenant, page by page."""
    found: list[KeptEntry] = []
    while True:
        after = (found[-1].operation, found[-1].part) if found else None
        page = ledger.entries(tenant, after=after, limit=limit)
        found += page
        if not page:
            return found


def everything(ledger: Ledger, tenant: str = "acme") -> tuple[Book, list[KeptEntry]]:
    """All that is kept of a tenant."""
    return ledger.book(tenant), all_entries(ledger, tenant)
