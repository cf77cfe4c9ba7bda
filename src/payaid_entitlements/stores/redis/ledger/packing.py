"""
Postings as a script is given them: one JSON text, debits as `payaid_entitlements.core.metering.encoding` writes them.

The script counts with doubles and reads numbers as such: `MOST` is the largest that is exact.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.encoding import debit_data
from payaid_entitlements.core.metering.posting import (
    Adjust,
    Assign,
    Debit,
    Extend,
    Hold,
    Open,
    Posting,
    Reassign,
    Refund,
    Release,
    Settle,
    Unassign,
)

#: JSON as short as it can be. Names are compared by their bytes, so these are sent as they are.
encoded: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def packed(
    tenant: str,
    postings: Sequence[Posting],
    operation: str | None,
    digest: str | None,
    now: Instant | None,
    keeps_for: int,
    token: str | None,
) -> str:
    """Write all that a posting says."""
    return encoded([now, tenant, keeps_for, token, operation, digest, *map(_data, postings)])


def _data(posting: Posting) -> list[Any]:
    """The word for what is posted, and what the script's function of that name takes."""
    match posting:
        case Debit():
            return ["debit", debit_data(posting)]
        case Hold(debit, expires_in):
            data = debit_data(debit)
            # Once to be read, once to be kept as it is.
            return ["hold", data, encoded(data), expires_in]
        case Settle(operation, actual):
            return ["settle", operation, actual]
        case Release(operation):
            return ["release", operation]
        case Extend(operation, by):
            return ["extend", operation, by]
        case Refund(operation, amounts):
            return ["refund", operation, amounts]
        case Adjust(line, amount, marks):
            lines = [line.meter, line.lot, line.cap, line.cost]
            return ["adjust", lines, amount, [[mark.meter, mark.at] for mark in marks]]
        case Open(account, cap):
            return ["open", *account, cap]
        case Assign(feature, holder, cap, beyond, expires_in):
            return ["assign", feature, holder, cap, beyond, expires_in]
        case Unassign(feature, holder):
            return ["unassign", feature, holder]
        case Reassign(feature, holder, to):  # pragma: no branch - the types leave nothing else
            return ["reassign", feature, holder, to]
