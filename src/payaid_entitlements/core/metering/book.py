"""
What a ledger does, as a pure function of rows: the one statement of the rules by which units are counted.

The memory ledger runs it over dictionaries, databases over the rows that they have locked; Redis has the same once
more as a script, and is compared with this one. What is to be loaded is said by `needs` and `accounts`, see
`core.metering.rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering import closing, debiting, seating
from payaid_entitlements.core.metering.checking import check
from payaid_entitlements.core.metering.debiting import repeated
from payaid_entitlements.core.metering.draft import Draft
from payaid_entitlements.core.metering.posting import (
    NEEDS_OPERATION,
    SLOTS,
    AccountId,
    Adjust,
    Assign,
    Debit,
    Extend,
    Hold,
    Line,
    Open,
    Posted,
    Posting,
    Reassign,
    Refund,
    Release,
    Settle,
    Unassign,
)
from payaid_entitlements.core.metering.rows import Needs, Outcome, Rows, in_order


def needs(postings: Sequence[Posting], operation: str | None) -> Needs:
    """
    Say which rows must be loaded to post *postings*, and refuse what no ledger can post.

    Raises:
        TypeError, ConfigurationError: As `core.metering.checking.check` says.
    """
    check(postings, operation)
    match postings[0]:
        case Debit() | Adjust() | Hold():
            return Needs(in_order(_own_accounts(postings)), ((str(operation), 0),))
        case Settle(named) | Release(named) | Extend(named):
            return Needs(entries=((named, 0), (named, 1)), holds=(named,))
        case Refund(named):
            return Needs(entries=tuple((named, part) for part in (0, 1, 2)), holds=(named,))
        case Open(account):
            return Needs((account,))
        case Assign(feature, holder) | Unassign(feature, holder):
            return Needs(((feature, SLOTS),), slots=((feature, holder),), feature=feature)
        case Reassign(feature, holder, to):  # pragma: no branch - the types leave nothing else
            slots = in_order([(feature, holder), (feature, to)])
            return Needs(((feature, SLOTS),), slots=slots, feature=feature)


def _own_accounts(postings: Sequence[Posting]) -> list[AccountId]:
    lines: list[Line] = []
    for posting in postings:
        match posting:
            case Debit():
                lines += posting.lines
            case Hold(debit):
                lines += debit.lines
            case Adjust(line):  # pragma: no branch - no other has accounts of its own
                lines.append(line)
    return [line.account for line in lines]


def accounts(needed: Needs, rows: Rows) -> tuple[AccountId, ...]:
    """
    Say which accounts must be in *rows*, given what is *needed* and the entries and holds that are there; in order.

    An entry never changes, nor do the accounts of a hold. So who has read these without a lock, has then locked the
    accounts, and has read the holds once more, sees what nobody changes before the commit.
    """
    found = list(needed.accounts)
    for hold in rows.holds.values():
        found += [line.account for line in hold.debit.lines]
        found += [(take.meter, take.lot) for take in hold.takes]
    for entry in rows.entries.values():
        found += [(take.meter, take.lot) for take in entry.takes]
    return in_order(found)


def post(rows: Rows, postings: Sequence[Posting], operation: str | None, digest: str | None, now: Instant) -> Outcome:
    """
    Post *postings* to *rows*: all, or nothing.

    Args:
        rows: What `needs` and `accounts` say of these postings. Is not changed.
        now: By the ledger's clock. A hold or a slot has expired when it expires at *now*.

    Raises:
        OperationConflict, ReservationExpired, UnknownOperation, SlotTaken: As `Ledger.post`. Nothing is to be written.
        ConfigurationError: A balance would be more than `MOST`.
    """
    draft = Draft(rows, now)
    return draft.outcome(_posted(draft, rows, postings, operation, digest))


def _posted(draft: Draft, rows: Rows, postings: Sequence[Posting], operation: str | None, digest: str | None) -> Posted:
    first, now = postings[0], draft.now
    if isinstance(first, NEEDS_OPERATION):
        # Before anything else: a repetition changes nothing.
        again = repeated(draft, type(first).__name__.lower(), str(operation), digest)
        if again is not None:
            return again
    for hold in rows.holds.values():
        if hold.expires <= now:
            closing.expire(draft, hold)
    slots = rows.slots.values()
    seating.free_expired(draft, slots)
    match first:
        case Debit():
            return debiting.debit(draft, cast("Sequence[Debit]", postings), str(operation), digest)
        case Hold():
            return debiting.hold(draft, first, str(operation), digest)
        case Adjust():
            return debiting.adjust(draft, first, str(operation), digest)
        case Settle():
            return closing.settle(draft, first)
        case Release():
            return closing.release(draft, first)
        case Extend():
            return closing.extend(draft, first)
        case Refund():
            return closing.refund(draft, first)
        case Open():
            return debiting.fix(draft, first)
        case Assign():
            return seating.assign(draft, first, slots)
        case Unassign():
            return seating.unassign(draft, first)
        case Reassign():  # pragma: no branch - the types leave nothing else
            return seating.reassign(draft, first)
