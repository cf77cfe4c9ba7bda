"""Beginning again: databases end one of those who wait for each other, and of two who do the same one comes second."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import IntegrityError

from payaid_entitlements.errors import ChangeConflict, StoreUnavailable
from payaid_entitlements.stores.ports import Transaction

#: How often it is begun again, and the longest first pause before that, in seconds; it doubles.
TRIES: Final = 3
PAUSE: Final = 0.01


class Overtaken(Exception):
    """Somebody else did the same in the meantime. Nothing was done; what they did is seen by who begins again."""


@contextmanager
def overtaken() -> Iterator[None]:
    """Take a key that is there already for what it is: somebody was faster."""
    try:
        yield
    except IntegrityError as error:
        raise Overtaken from error


def pauses() -> Iterator[float | None]:
    """Seconds to wait after each try; None after the last."""
    for number in range(TRIES):
        yield random.uniform(0, PAUSE * 2**number)
    yield None


def require_another(error: Overtaken | ChangeConflict, pause: float | None, tx: Transaction | None) -> float:
    """
    Say how long to wait before all is done again.

    Safe, since nothing was written, and an act with an operation happens once however often it is tried.

    Raises:
        ChangeConflict: The host's own transaction was ended, or cannot see what others did: it must begin again.
        StoreUnavailable: It was tried often enough.
    """
    if tx is not None and isinstance(error, ChangeConflict):
        raise error
    if pause is not None:
        return pause
    if tx is not None:
        raise ChangeConflict(
            "the same was done elsewhere at once, and your transaction does not see it: begin a new one",
            expected=0,
            found=0,
        ) from error
    raise StoreUnavailable(f"others were at the same rows each of {TRIES + 1} times: {error}") from error
