"""
Posting, as a flow in one transaction: which rows are locked and read, and how what comes of them is written.

What is decided is decided by `core.metering.book`. Accounts are locked first, in the order of their keys; whatever
changes an entry, a hold or a slot has locked its accounts, so all that is read then stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.book import accounts, needs, post
from payaid_entitlements.core.metering.kept import KeptAccount, KeptEntry, KeptHold
from payaid_entitlements.core.metering.posting import AccountId, Balance, Posted, Posting, Slot
from payaid_entitlements.core.metering.rows import EntryId, Needs, Outcome, Rows, SlotId, in_order
from payaid_entitlements.stores.sql.ledger.again import Overtaken
from payaid_entitlements.stores.sql.ledger.making import MOST_KEYS
from payaid_entitlements.stores.sql.ledger.prepared import Asked, Prepared, Values
from payaid_entitlements.stores.sql.ledger.reading import Flow, named
from payaid_entitlements.stores.sql.ledger.rows import (
    account_and_balance,
    account_row,
    entry_of,
    entry_row,
    event_row,
    hold_rows,
    holds_of,
    slot_of,
    slot_row,
)
from payaid_entitlements.stores.sql.ledger.statements import Statements

#: How many holds that have expired are freed on the way, at most; ten times as many before somebody is refused.
FREED: Final = 200


def posting(
    statements: Statements,
    tenant: str,
    postings: Sequence[Posting],
    operation: str | None,
    digest: str | None,
    now: Instant | None,
    *,
    is_joined: bool,
    is_again: bool,
    further: set[AccountId],
) -> Flow[Posted]:
    """
    Post *postings*.

    Args:
        is_joined: The transaction is the host's, and may see what is old.
        is_again: It was tried before, and somebody else did the same at once.
        further: Accounts to lock too. When it turns out that there are others, they are added to it.

    Raises:
        Overtaken: There are *further* accounts, which come before one that is locked: begin again.
        As `Ledger.post`, and what a driver raises where an entry is there already: somebody does the same at once.
    """
    needed = needs(postings, operation)
    sees_old = is_joined and statements.is_mysql
    loading = _Loading(statements, tenant, now, is_latest=sees_old, further=further)
    if needed.holds:
        # What they are about says which accounts are moved, and never changes. Seen without a lock, it may be old.
        yield from loading.read(needed, is_latest=False)
        yield from loading.lock(accounts(needed, loading.rows))
        yield from loading.read(needed, is_latest=sees_old)
        yield from loading.lock(accounts(needed, loading.rows))
    else:
        yield from loading.lock(needed.accounts)
        # To look for a row that is not there and see what is new would lock all that is near it, also for tenants who
        # have nothing to do with this. The key of the entry says too whether it is there.
        yield from loading.read(needed, is_latest=is_again)
    at = yield from loading.time()
    freed, of = FREED, list(loading.accounts)
    while True:
        all_freed = yield from loading.expired(of, at, freed)
        if loading.holds:
            yield from loading.lock(accounts(needed, loading.rows))
        outcome = post(loading.rows, postings, operation, digest, at)
        if outcome.posted.filled:
            break
        if not all_freed:
            freed *= 10
        elif sees_old and not is_again:
            # Nobody is refused what was granted before.
            is_again = True
            yield from loading.read(needed, is_latest=True)
        else:
            break
    yield from _writing(statements, loading, outcome)
    return outcome.posted


class _Loading:
    """
    Loads rows, and has those that were.

    Attributes:
        locked: Accounts that are locked.
        there: Those of them that have a row.
        accounts: Those of them to which anything was posted.
    """

    def __init__(
        self, statements: Statements, tenant: str, now: Instant | None, *, is_latest: bool, further: set[AccountId]
    ) -> None:
        self._statements = statements
        self._further = further
        self._tenant = tenant
        self._now = now
        self._is_latest = is_latest
        self.locked: set[AccountId] = set()
        self.accounts: dict[AccountId, Balance] = {}
        self.there: set[AccountId] = set()
        self.entries: dict[EntryId, KeptEntry] = {}
        self.holds: dict[str, KeptHold] = {}
        self.slots: dict[SlotId, Slot] = {}
        self.rows = Rows(tenant, self.accounts, self.entries, self.holds, self.slots)

    def time(self) -> Flow[Instant]:
        """The time; asked for where no row said it."""
        if self._now is None:
            self._now = int((yield Asked(self._statements.clock, {"now": None})).rows[0][0])
        return self._now

    def lock(self, wanted: Iterable[AccountId]) -> Flow[None]:
        """Lock accounts, in the order of their keys; also those that are not there yet."""
        some = in_order([*wanted, *self._further] if self._further else wanted)
        some = tuple([account for account in some if account not in self.locked])
        if some and self.locked and some[0] < max(self.locked) and not self._statements.is_sqlite:
            # To lock it now might be to wait for who waits for us. PostgreSQL takes a second to find that out.
            self._further.update(some)
            raise Overtaken
        for begin in range(0, len(some), MOST_KEYS):
            yield from self._lock(some[begin : begin + MOST_KEYS])

    def _lock(self, wanted: Sequence[AccountId]) -> Flow[None]:
        s = self._statements
        if self._is_latest and s.is_mysql:
            # In a transaction that sees what is old, to look for a row that is not there would lock what is around it.
            yield Asked(s.add_account, self._keys(wanted))
        asked = Asked(s.accounts(len(wanted)), {**named(self._tenant, wanted), "now": self._now})
        rows = (yield asked).rows
        if len(rows) < len(wanted) and not s.is_sqlite:
            found = {account_and_balance(row)[0] for row in rows}
            yield Asked(s.add_account, self._keys([account for account in wanted if account not in found]))
            rows = (yield asked).rows
        self.locked.update(wanted)
        for row in rows:
            account, balance = account_and_balance(row)
            self.there.add(account)
            if row[7] is not None:
                self.accounts[account] = balance
        if rows:
            self._now = int(rows[0][8])

    def _keys(self, accounts: Iterable[AccountId]) -> list[Values]:
        return [{"key_tenant": self._tenant, "key_meter": meter, "key_lot": lot} for meter, lot in accounts]

    def read(self, needed: Needs, *, is_latest: bool) -> Flow[None]:
        """Read the entries, holds and slots that are needed; with *is_latest* as they are now."""
        s, tenant = self._statements, self._tenant
        for operation in dict.fromkeys(operation for operation, _ in needed.entries):
            rows = (yield Asked(s.entries_of(is_latest=is_latest), _key(tenant, operation))).rows
            self.entries.update({(operation, row[1]): entry_of(tenant, row) for row in rows})
        for operation in needed.holds:
            rows = (yield Asked(s.hold(is_latest=is_latest), _key(tenant, operation))).rows
            self.holds.pop(operation, None)
            self.holds.update({hold.operation: hold for hold in holds_of(tenant, rows)})
        if needed.feature is not None:
            yield from self._slots(needed.feature, [holder for _, holder in needed.slots])

    def _slots(self, feature: str, holders: Sequence[str]) -> Flow[None]:
        s = self._statements
        at = yield from self.time()
        key = {"key_tenant": self._tenant, "key_feature": feature, "key_expires": at}
        of_holders = {f"holder{place}": holder for place, holder in enumerate(holders)}
        found = (yield Asked(s.slots_of(len(holders), is_latest=self._is_latest), {**key, **of_holders})).rows
        next_free = (yield Asked(s.next_slot(is_latest=self._is_latest), key)).rows
        for slot in map(slot_of, (*found, *next_free)):
            self.slots[slot.feature, slot.holder] = slot

    def expired(self, of: Iterable[AccountId], at: Instant, limit: int) -> Flow[bool]:
        """Read at most *limit* holds that have expired and hold something *of* these accounts; are these all?"""
        some = [account for account in of if self.accounts[account].held][:MOST_KEYS]
        if not some:
            return True
        values = {**named(self._tenant, some), "key_expires": at, "limit": limit}
        rows = (yield Asked(self._statements.expired(len(some), is_latest=self._is_latest), values)).rows
        found = holds_of(self._tenant, rows)
        self.holds.update({hold.operation: hold for hold in found})
        return len(found) < limit


def _key(tenant: str, operation: str) -> Values:
    return {"key_tenant": tenant, "key_operation": operation}


def _writing(statements: Statements, loading: _Loading, outcome: Outcome) -> Flow[None]:
    """Write what came of it. Entries first: they say whether somebody did the same at once."""
    s, tenant = statements, loading.rows.tenant
    yield from _all(s.put_entry, [entry_row(each) for each in outcome.entries])
    moved: list[Values] = []
    new: list[Values] = []
    for (meter, lot), balance in outcome.accounts.items():
        if (meter, lot) in loading.there:
            moved.append(_moved(tenant, meter, lot, balance))
        else:
            new.append(account_row(KeptAccount(tenant, meter, lot, balance)))
    yield from _all(s.set_account, moved)
    yield from _all(s.put_account, new)
    for operation, hold in outcome.holds.items():
        if operation in loading.holds:
            yield Asked(s.drop_hold, _key(tenant, operation))
        if hold is not None:
            yield from _all(s.put_hold, hold_rows(hold))
    for (feature, holder), slot in outcome.slots.items():
        if (feature, holder) in loading.slots:
            yield Asked(s.drop_slot, {"key_tenant": tenant, "key_feature": feature, "key_holder": holder})
        if slot is not None:
            yield Asked(s.put_slot, slot_row(tenant, slot))
    yield from _all(s.put_event, [event_row(each) for each in outcome.events])


def _moved(tenant: str, meter: str, lot: str, balance: Balance) -> Values:
    return {
        "key_tenant": tenant,
        "key_meter": meter,
        "key_lot": lot,
        "new_used": balance.used,
        "new_held": balance.held,
        "new_cap": balance.cap,
        "new_is_opened": int(balance.is_opened),
        "new_over_since": balance.over_since,
    }


def _all(statement: Prepared, rows: Sequence[Values]) -> Flow[None]:
    if rows:
        yield Asked(statement, rows[0] if len(rows) == 1 else rows)
