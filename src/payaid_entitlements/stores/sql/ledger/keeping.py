"""What becomes of all that is kept, as flows: old acts are folded, a tenant is forgotten or comes from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.encoding import take_from
from payaid_entitlements.core.metering.kept import Book, KeptEntry
from payaid_entitlements.core.metering.posting import AccountId
from payaid_entitlements.stores.sql.ledger.again import Overtaken
from payaid_entitlements.stores.sql.ledger.prepared import Asked, Prepared, Values
from payaid_entitlements.stores.sql.ledger.reading import Flow
from payaid_entitlements.stores.sql.ledger.rows import account_row, entry_row, hold_rows, slot_row, text_of
from payaid_entitlements.stores.sql.ledger.statements import Statements

#: How many rows are written at once, at most.
PAGE = 500


def pruning(statements: Statements, before: Instant, keeps_for: int, limit: int, now: Instant | None) -> Flow[int]:
    """
    Forget old acts; what they moved is counted as folded.

    Raises:
        Overtaken: Somebody else does the same.
    """
    at = int((yield Asked(statements.clock, {"now": now})).rows[0][0])
    old = {"before": min(before, at - keeps_for), "limit": limit}
    found = (yield Asked(statements.old_entries, old)).rows
    if not found:
        return 0
    folded: dict[tuple[str, AccountId], int] = {}
    for tenant, _, _, takes in found:
        for take in map(take_from, json.loads(takes)):
            account = text_of(tenant), (take.meter, take.lot)
            folded[account] = folded.get(account, 0) + take.used
    # Accounts first and in the order of their keys, as everybody takes them.
    amounts: list[Values] = [
        {"key_tenant": tenant, "key_meter": meter, "key_lot": lot, "amount": amount}
        for (tenant, (meter, lot)), amount in sorted(folded.items())
        if amount
    ]
    if amounts:
        yield Asked(statements.fold, amounts)
    keys: list[Values] = [
        {"key_tenant": text_of(tenant), "key_operation": text_of(operation), "key_part": part}
        for tenant, operation, part, _ in found
    ]
    if (yield Asked(statements.drop_entry, keys)).count != len(keys):
        raise Overtaken
    return len(keys)


def forgetting(statements: Statements, tenant: str) -> Flow[None]:
    """Forget all of *tenant*."""
    for statement in statements.forget:
        yield Asked(statement, {"key_tenant": tenant})


def restoring(statements: Statements, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> Flow[None]:
    """Write all that another ledger kept; what is there already stays as it is."""
    yield Asked(statements.drop_blank, {"key_tenant": tenant})
    yield from _written(statements.keep_account, [account_row(each) for each in book.accounts])
    yield from _written(statements.keep_hold, [row for each in book.holds for row in hold_rows(each)])
    yield from _written(statements.keep_slot, [slot_row(tenant, each) for each in book.slots])
    page: list[Values] = []
    for entry in entries:
        page.append(entry_row(entry))
        if len(page) == PAGE:
            yield from _written(statements.keep_entry, page)
            page = []
    yield from _written(statements.keep_entry, page)


def _written(statement: Prepared, rows: Sequence[Values]) -> Flow[None]:
    for begin in range(0, len(rows), PAGE):
        yield Asked(statement, rows[begin : begin + PAGE])
