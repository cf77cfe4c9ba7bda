"""
An act that was taken back is begun anew under the same operation: a job that failed and runs again is no repetition.

A ledger carries out an operation once, for good. So each attempt has an operation of its own: the first the caller's,
the second that with ``~2`` behind it, and so on. Which attempt it is is read from what is kept of those before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

from payaid_entitlements.cache.counting import ReadAct
from payaid_entitlements.cache.steps import Flow
from payaid_entitlements.core.metering.encoding import posted_from
from payaid_entitlements.core.metering.kept import KeptEntry
from payaid_entitlements.errors import OperationConflict

#: So often may an act be taken back and begun again under one operation.
MOST_ATTEMPTS: Final = 100


def attempt_names(operation: str) -> Iterator[str]:
    """The operations of its attempts, the first one first."""
    yield operation
    for attempt in range(2, MOST_ATTEMPTS + 1):
        yield f"{operation}~{attempt}"


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


def was_given_back(tenant: str, operation: str) -> Flow[bool]:
    """Was all that *operation* used up given back since?"""
    entries = yield from kept(tenant, operation)
    if 2 not in entries:
        return False
    taken, back = (sum(each.amount for each in posted_from(entries[part].answer).filled) for part in (0, 2))
    return taken == back
