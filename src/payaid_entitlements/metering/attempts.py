"""
An act that was taken back is begun anew under the same operation: a job that failed and runs again is no repetition.

A ledger carries out an operation once, for good. So each attempt has an operation of its own: the first the caller's,
the second that with ``~2`` behind it, and so on. Which attempt it is is read from what is kept of those before.

No two acts share a name: a caller's operation that ends as an attempt does (an id may come from anywhere) has ``~1``
behind it. Else ``7~2`` would be a repetition of the second attempt of ``7``, and free.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final, cast

from payaid_entitlements.cache.counting import ReadAct
from payaid_entitlements.cache.steps import Flow
from payaid_entitlements.core.metering.encoding import posted_from
from payaid_entitlements.core.metering.kept import KeptEntry
from payaid_entitlements.errors import OperationConflict

#: So often may an act be taken back and begun again under one operation.
MOST_ATTEMPTS: Final = 100

# Of the 255 characters of an operation; the rest is for the number of the attempt.
_LONGEST_STEM: Final = 250

_IS_NUMBERED: Final = re.compile(r"~[0-9]+\Z").search


def attempt_names(operation: str) -> Iterator[str]:
    """The operations of its attempts, the first one first."""
    # A longer name than an operation may have is written by its digest.
    stem = operation if len(operation) <= _LONGEST_STEM else sha256(operation.encode()).hexdigest()
    yield f"{stem}~1" if _IS_NUMBERED(operation) else operation
    for attempt in range(2, MOST_ATTEMPTS + 1):
        yield f"{stem}~{attempt}"


def require_another(operation: str) -> Iterator[str]:
    """
    Same as `attempt_names`, for who needs one that is not used up.

    Raises:
        OperationConflict: All were.
    """
    yield from attempt_names(operation)
    raise OperationConflict(
        f"{operation!r} was begun {MOST_ATTEMPTS} times and taken back each time; take a new operation to go on"
    )


def kept(tenant: str, operation: str) -> Flow[dict[int, KeptEntry]]:
    """Read what is kept of *operation*, by part: 0 the act, 1 what became of a hold, 2 what was given back."""
    found = cast("Sequence[KeptEntry]", (yield ReadAct(tenant, operation)))
    return {entry.part: entry for entry in found}


def last_attempt(tenant: str, operation: str) -> Flow[str]:
    """Find the attempt that counts, the last one that was begun; of what is no attempt the operation itself."""
    last = operation
    for name in attempt_names(operation):
        entries = yield from kept(tenant, name)
        if 0 not in entries:
            break
        last = name
        if _counts(entries):
            break
    return last


def _counts(entries: Mapping[int, KeptEntry]) -> bool:
    """Did it use something up, that was not given back? Else another attempt may have followed it."""
    if entries[0].kind == "hold":
        return 1 in entries and entries[1].kind == "settle"
    return not _is_given_back(entries)


def was_given_back(tenant: str, operation: str) -> Flow[bool]:
    """Was all that *operation* used up given back since?"""
    return _is_given_back((yield from kept(tenant, operation)))


def _is_given_back(entries: Mapping[int, KeptEntry]) -> bool:
    if 2 not in entries:
        return False
    taken, back = (sum(each.amount for each in posted_from(entries[part].answer).filled) for part in (0, 2))
    return taken == back
