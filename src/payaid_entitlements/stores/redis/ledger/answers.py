"""What a ledger in Redis answers, and what it keeps, as values; and what is kept elsewhere, as it is kept here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from payaid_entitlements.core.metering.encoding import debit_data, debit_from, posted_from, take_data, take_from
from payaid_entitlements.core.metering.kept import Book, KeptAccount, KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import (
    MOST,
    Balance,
    Crossing,
    Filled,
    Mark,
    Posted,
    Posting,
    Shortage,
    Slot,
    Take,
)
from payaid_entitlements.errors import (
    ConfigurationError,
    OperationConflict,
    ReservationExpired,
    SlotTaken,
    UnknownOperation,
)
from payaid_entitlements.stores.redis.ledger.keys import joined, parted
from payaid_entitlements.stores.redis.ledger.packing import encoded


def posted_of(answer: bytes, postings: Sequence[Posting]) -> Posted:
    """
    Read what became of *postings*.

    Raises:
        OperationConflict, ReservationExpired, UnknownOperation, SlotTaken, ConfigurationError: As `Ledger.post`.
    """
    if answer.startswith(b"hot"):
        at, used = answer[4:].split(b",")
        return _hot(postings[0], int(at), int(used))
    word, _, text = answer.decode().partition("\n")
    data = json.loads(text)
    match word:
        case "done" | "again":
            return posted_from(data[2], replayed=word == "again")
        case "said":
            return _said(postings[0], *data)
        case "short":
            at, index, room, balances, frees_at = data
            feature = _feature(postings[index])
            short = Shortage(index, feature, room, tuple(Balance(*each) for each in balances), frees_at)
            return Posted(at=at, short=short)
        case "unopened":
            at, accounts = data
            return Posted(at=at, unopened=tuple((meter, lot) for meter, lot in accounts))
    _refuse(*data)


def _hot(posting: Any, at: int, used: int) -> Posted:
    """A debit of one line that was free: all but the time and the balance is known here."""
    (line,) = posting.lines
    amount, cost = posting.amount, line.cost
    takes, balances = (Take(line.meter, line.lot, amount * cost, 0, cost),), (Balance(used, 0, line.cap),)
    return Posted((Filled(amount, 0, takes, balances, None, False, None, posting.feature),), at)


def _said(
    posting: Any,
    at: int,
    amount: int,
    overage: int,
    balance: Any,
    was_there: bool,
    expires: int | None,
    feature: str,
    slot: Any,
) -> Posted:
    """What was done, of which no entry is kept."""
    given = None
    if slot is not None:
        given = Slot(feature, getattr(posting, "to", posting.holder), *slot)
    balances = () if balance is None else (Balance(*balance),)
    return Posted((Filled(amount, overage, (), balances, given, was_there, expires, feature),), at)


def about(postings: Sequence[Posting], operation: str | None) -> str | None:
    """The operation by which *postings* are repeated to find out whether they were carried out."""
    return operation or getattr(postings[0], "operation", None)


def _feature(posting: Any) -> str:
    return str(posting.feature if hasattr(posting, "feature") else posting.debit.feature)


def _refuse(word: str, name: str, *more: str) -> NoReturn:
    match word:
        case "conflict":
            raise OperationConflict(
                f"operation {name!r} was used before for another {more[0]}; an operation names one act, once"
            )
        case "nothing":
            raise UnknownOperation(f"nothing is known of operation {name!r}: it was never done, or long ago")
        case "no hold":
            raise UnknownOperation(f"nothing is known of a reservation {name!r}: it was never made, or long ago")
        case "expired":
            raise ReservationExpired(
                f"reservation {name!r} has expired or was released; nothing was charged", operation=name
            )
        case "no slot":
            raise SlotTaken(f"{more[0]!r} has no slot of {name!r} to hand over")
        case "has a slot":
            raise SlotTaken(f"{more[0]!r} has a slot of {name!r} already")
        case "too many":
            raise ConfigurationError(
                f"operation {name!r} used {more[1]} of {more[0]!r}; {more[2]} cannot be given back"
            )
        case "too much":
            raise ConfigurationError(f"there would be too much of {name!r} ({more[0]}); a ledger counts to {MOST}")
        case "never":
            raise ConfigurationError(f"reservation {name!r} would never expire; extend it by less")
    raise OperationConflict(_CONFLICTS[word].format(name, *more))


_CONFLICTS = {
    "settled": "reservation {!r} was settled before, with {} and not {}",
    "charged": "reservation {!r} was settled, with {}; refund it",
    "over": "reservation {!r} was settled; it cannot be extended",
    "open": "reservation {!r} is open; release it, or settle it before it is refunded",
    "correction": "operation {!r} is a correction; correct it by another one",
    "refunded": "operation {!r} was refunded before, with another amount",
}


# -- what is kept ----------------------------------------------------------------------------------------------------


def balance_of(text: bytes, less_used: int = 0, less_held: int = 0) -> tuple[Balance, int]:
    """Read an account, without what has expired of it; and how much of it was folded."""
    used, held, cap, over, folded = text.decode().split(" ")
    limit = cap.removeprefix("o")
    balance = Balance(
        int(used) - less_used,
        int(held) - less_held,
        None if limit == "-" else int(limit),
        cap != limit,
        None if over == "-" else int(over),
    )
    return balance, int(folded)


def hold_of(tenant: str, operation: str, text: bytes) -> KeptHold:
    """Read a hold."""
    since, expires, amount, debit, takes = json.loads(text)
    held = replace(debit_from(debit), amount=amount)
    return KeptHold(tenant, operation, held, tuple(map(take_from, takes)), since, expires)


def slot_of(name: str, text: bytes) -> Slot:
    """Read a slot."""
    since, expires = text.decode().split(" ")
    return Slot(*parted(name), int(since), None if expires == "-" else int(expires))


def in_order(slots: Iterable[Slot]) -> list[Slot]:
    """Slots by feature, then by since, then by holder."""
    return sorted(slots, key=lambda slot: (slot.feature.encode(), slot.since, slot.holder.encode()))


def entry_of(tenant: str, field: str, text: bytes) -> KeptEntry:
    """Read an entry."""
    kind, digest, answer, *_ = json.loads(text)
    takes = tuple(take_from(take) for filled in answer[1] for take in filled[2])
    return KeptEntry(tenant, field[1:], int(field[0]), kind, digest, answer[0], takes, answer)


def event_of(id: str, text: bytes) -> UsageEvent:
    """Read an event."""
    tenant, operation, (meter, at, used), recorded = json.loads(text)
    return UsageEvent(id, tenant, operation, Crossing(Mark(meter, at), used), recorded)


def book_of(tenant: str, kept: Mapping[str, bytes]) -> Book:
    """Read all that is kept of a tenant, but for entries."""
    accounts: list[KeptAccount] = []
    holds: list[KeptHold] = []
    slots: list[Slot] = []
    for field, text in sorted(kept.items(), key=lambda item: item[0].encode()):
        name = field[1:]
        if field[0] == "a":
            balance, folded = balance_of(text)
            accounts.append(KeptAccount(tenant, *parted(name), balance, folded))
        elif field[0] == "h":
            holds.append(hold_of(tenant, name, text))
        else:
            slots.append(slot_of(name, text))
    accounts.sort(key=lambda each: (each.meter.encode(), each.lot.encode()))
    return Book(tuple(accounts), tuple(holds), tuple(in_order(slots)))


def book_parts(book: Book) -> Iterator[tuple[str, str, str]]:
    """All of a book, as it is kept: name, text, and when it expires."""
    for each in book.accounts:
        balance = each.balance
        cap = f"{'o' * balance.is_opened}{_or_dash(balance.cap)}"
        text = f"{balance.used} {balance.held} {cap} {_or_dash(balance.over_since)} {each.folded}"
        yield f"a{joined(each.meter, each.lot)}", text, ""
    for hold in book.holds:
        takes = [take_data(take) for take in hold.takes]
        kept = [hold.since, hold.expires, hold.debit.amount, debit_data(hold.debit), takes]
        yield f"h{hold.operation}", encoded(kept), str(hold.expires)
    for slot in book.slots:
        expires = "" if slot.expires is None else str(slot.expires)
        yield f"s{joined(slot.feature, slot.holder)}", f"{slot.since} {_or_dash(slot.expires)}", expires


def entry_parts(entry: KeptEntry) -> tuple[str, str, str]:
    """An entry, as it is kept: its name, when it was made, its text."""
    text = encoded([entry.kind, entry.digest, entry.answer, None])
    return f"{entry.part}{entry.operation}", str(entry.at), text


def _or_dash(number: int | None) -> str:
    return "-" if number is None else str(number)
