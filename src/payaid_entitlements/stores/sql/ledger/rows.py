"""Between rows of the ledger's tables and what the port knows. Texts may come as bytes, as MySQL gives them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from payaid_entitlements.core.metering.encoding import debit_data, debit_from, take_data, take_from
from payaid_entitlements.core.metering.kept import KeptAccount, KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import AccountId, Balance, Crossing, Mark, Slot, Take
from payaid_entitlements.stores.sql.ledger.prepared import Values

#: JSON as short as it can be.
written: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode

#: A row, as the statement says whose it is.
Row = Sequence[Any]


def text_of(value: Any) -> str:
    """A text of a key."""
    return value if isinstance(value, str) else bytes(value).decode()


def account_and_balance(row: Row) -> tuple[AccountId, Balance]:
    """From (meter, lot, used, held, cap, is_opened, over_since)."""
    return (text_of(row[0]), text_of(row[1])), Balance(int(row[2]), int(row[3]), row[4], bool(row[5]), row[6])


def kept_account(tenant: str, row: Row) -> KeptAccount:
    """From (meter, lot, None, used, held, cap, is_opened, over_since, folded)."""
    meter, lot, _, used, held, cap, is_opened, over_since, folded = row[:9]
    balance = Balance(used, held, cap, bool(is_opened), over_since)
    return KeptAccount(tenant, text_of(meter), text_of(lot), balance, folded)


def holds_of(tenant: str, rows: Iterable[Row]) -> list[KeptHold]:
    """From rows (operation, place, meter, lot, held, cost, since, expires, debit), one for each movement of a hold."""
    found = []
    for operation, group in groupby(sorted(rows, key=lambda row: (text_of(row[0]), row[1])), lambda row: row[0]):
        of_one = list(group)
        first = of_one[0]
        takes = tuple(
            Take(text_of(meter), text_of(lot), held=held, cost=cost) for _, _, meter, lot, held, cost, *_ in of_one
        )
        since, expires, debit = first[6:9]
        found.append(KeptHold(tenant, text_of(operation), debit_from(json.loads(debit)), takes, since, expires))
    return found


def hold_rows(hold: KeptHold) -> list[Values]:
    """The rows of a hold; the first of them has its debit."""
    return [
        {
            "tenant": hold.tenant,
            "operation": hold.operation,
            "place": place,
            "meter": take.meter,
            "lot": take.lot,
            "held": take.held,
            "cost": take.cost,
            "since": hold.since,
            "expires": hold.expires,
            "debit": None if place else written(debit_data(hold.debit)),
        }
        for place, take in enumerate(hold.takes)
    ]


def slot_of(row: Row) -> Slot:
    """From (feature, holder, since, expires)."""
    return Slot(text_of(row[0]), text_of(row[1]), row[2], row[3])


def slot_row(tenant: str, slot: Slot) -> Values:
    """The row of a slot."""
    return {
        "tenant": tenant,
        "feature": slot.feature,
        "holder": slot.holder,
        "since": slot.since,
        "expires": slot.expires,
    }


def entry_of(tenant: str, row: Row) -> KeptEntry:
    """From (operation, part, kind, digest, recorded, takes, answer)."""
    operation, part, kind, digest, recorded, takes, answer = row
    return KeptEntry(
        tenant,
        text_of(operation),
        part,
        kind,
        None if digest is None else text_of(digest),
        recorded,
        tuple(map(take_from, json.loads(takes))),
        None if answer is None else json.loads(answer),
    )


def entry_row(entry: KeptEntry) -> Values:
    """The row of an act."""
    return {
        "tenant": entry.tenant,
        "operation": entry.operation,
        "part": entry.part,
        "kind": entry.kind,
        "digest": entry.digest,
        "recorded": entry.at,
        "takes": written([take_data(take) for take in entry.takes]),
        "answer": None if entry.answer is None else written(entry.answer),
    }


def account_row(kept: KeptAccount) -> Values:
    """The row of an account."""
    balance = kept.balance
    return {
        "tenant": kept.tenant,
        "meter": kept.meter,
        "lot": kept.lot,
        "used": balance.used,
        "held": balance.held,
        "cap": balance.cap,
        "is_opened": int(balance.is_opened),
        "over_since": balance.over_since,
        "folded": kept.folded,
    }


def event_of(row: Row) -> UsageEvent:
    """From (id, tenant, operation, meter, mark, used, recorded)."""
    crossing = Crossing(Mark(text_of(row[3]), row[4]), row[5])
    return UsageEvent(text_of(row[0]), text_of(row[1]), text_of(row[2]), crossing, row[6])


def event_row(event: UsageEvent) -> Values:
    """The row of an event that nobody has told yet."""
    crossing = event.crossing
    return {
        "id": event.id,
        "tenant": event.tenant,
        "operation": event.operation,
        "meter": crossing.mark.meter,
        "mark": crossing.mark.at,
        "used": crossing.used,
        "recorded": event.at,
        "claimed": 0,
    }
