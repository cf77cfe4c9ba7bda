"""What is read of a ledger, as flows: they yield statements, are sent rows, and are written once."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.kept import PARTS, Book, KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import AccountId, Balance, Slot
from payaid_entitlements.stores.sql.applying import Answer
from payaid_entitlements.stores.sql.ledger.making import MOST_KEYS
from payaid_entitlements.stores.sql.ledger.prepared import Asked, Values
from payaid_entitlements.stores.sql.ledger.rows import (
    account_and_balance,
    entry_of,
    event_of,
    holds_of,
    kept_account,
    slot_of,
    text_of,
)
from payaid_entitlements.stores.sql.ledger.statements import Statements

T = TypeVar("T")

#: Yields statements with their values, is sent what they gave, and returns.
Flow: TypeAlias = Generator[Asked, Answer, T]


def named(tenant: str, accounts: Sequence[AccountId]) -> Values:
    """Values that name *accounts* in `making.is_among`."""
    values: dict[str, object] = {"key_tenant": tenant}
    for place, (meter, lot) in enumerate(accounts):
        values[f"meter{place}"], values[f"lot{place}"] = meter, lot
    return values


def reading_balances(
    statements: Statements, tenant: str, accounts: Sequence[AccountId], now: Instant | None
) -> Flow[Mapping[AccountId, Balance]]:
    """Read *accounts*, in their order: one statement, for up to `MOST_KEYS` of them."""
    found: dict[AccountId, Balance] = {}
    for begin in range(0, len(accounts), MOST_KEYS):
        some = accounts[begin : begin + MOST_KEYS]
        answer = yield Asked(statements.balances(len(some)), {**named(tenant, some), "now": now})
        found.update(map(account_and_balance, answer.rows))
    return {account: found[account] for account in accounts if account in found}


def reading_hold(statements: Statements, tenant: str, operation: str, now: Instant | None) -> Flow[KeptHold | None]:
    """Read the hold that *operation* made, if it is open."""
    answer = yield Asked(statements.open_hold, {"key_tenant": tenant, "key_operation": operation, "now": now})
    found = holds_of(tenant, answer.rows)
    return found[0] if found else None


def reading_slots(
    statements: Statements, tenant: str, feature: str | None, now: Instant | None
) -> Flow[Sequence[Slot]]:
    """List slots that have not expired."""
    of_one = {} if feature is None else {"key_feature": feature}
    answer = yield Asked(statements.slots(of_one=bool(of_one)), {"key_tenant": tenant, "now": now, **of_one})
    return [slot_of(row) for row in answer.rows]


def reading_entries(
    statements: Statements, tenant: str, after: tuple[str, int] | None, limit: int
) -> Flow[Sequence[KeptEntry]]:
    """Read a page of acts."""
    operation, part = after or ("", -1)
    values = {"key_tenant": tenant, "key_operation": operation, "key_part": part, "limit": limit}
    answer = yield Asked(statements.entries, values)
    return [entry_of(tenant, row) for row in answer.rows]


def reading_entries_of(statements: Statements, tenant: str, operation: str) -> Flow[Sequence[KeptEntry]]:
    """Read what is kept of one act."""
    found = yield from reading_entries(statements, tenant, (operation, -1), len(PARTS))
    return [entry for entry in found if entry.operation == operation]


def reading_tenants(statements: Statements, after: str | None, limit: int) -> Flow[Sequence[str]]:
    """Read a page of those of whom anything is counted."""
    # No tenant's id is empty, so all are behind that.
    answer = yield Asked(statements.tenants, {"key_tenant": after or "", "limit": limit})
    return [text_of(row[0]) for row in answer.rows]


def reading_book(statements: Statements, tenant: str) -> Flow[Book]:
    """Read all of a tenant but the acts, as it is at one moment."""
    answer = yield Asked(statements.book, {"key_tenant": tenant})
    accounts: list[Sequence[object]] = []
    holds: list[Sequence[object]] = []
    slots: list[Sequence[object]] = []
    by_table = {"account": accounts, "hold": holds, "slot": slots}
    for table, *row in answer.rows:
        by_table[text_of(table)].append(row)
    return Book(
        tuple(sorted((kept_account(tenant, row) for row in accounts), key=lambda each: (each.meter, each.lot))),
        tuple(holds_of(tenant, [(row[0], row[3], row[1], row[2], *row[4:8], row[9]) for row in holds])),
        tuple(
            sorted(
                (slot_of((row[0], row[1], row[3], row[4])) for row in slots),
                key=lambda each: (each.feature, each.since, each.holder),
            )
        ),
    )


def claiming_events(statements: Statements, limit: int, lease: int, now: Instant | None) -> Flow[Sequence[UsageEvent]]:
    """Take the oldest events that nobody is telling."""
    rows = (yield Asked(statements.free_events, {"now": now, "limit": limit})).rows
    if rows:
        claimed = rows[0][7] + lease
        yield Asked(statements.claim_event, [{"key_id": text_of(row[0]), "new_claimed": claimed} for row in rows])
    return [event_of(row) for row in rows]


def seeing_events(statements: Statements, now: Instant | None) -> Flow[bool]:
    """Is there an event that nobody is telling?"""
    return bool((yield Asked(statements.free_events, {"now": now, "limit": 1})).rows)


def dropping_events(statements: Statements, ids: Sequence[str]) -> Flow[None]:
    """Forget events that were told."""
    if ids:
        yield Asked(statements.drop_event, [{"key_id": each} for each in ids])
