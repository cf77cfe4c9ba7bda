"""Tallies are added to again where a database let others go first: that transaction has certainly not been done."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Final

from payaid_entitlements.errors import ChangeConflict, StoreUnavailable

#: Times that an addition is tried.
ATTEMPTS: Final = 5


class _Attempt:
    """One try, as a block. A race that was lost ends it quietly, unless it is the last one."""

    def __init__(self, *, is_last: bool) -> None:
        self.is_done = False
        self._is_last = is_last

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.is_done = error is None
        if isinstance(error, ChangeConflict):
            if self._is_last:
                raise StoreUnavailable(f"tallies were not added to, in {ATTEMPTS} tries: {error}") from error
            return True
        return False


def trying() -> Iterator[_Attempt]:
    """
    Give blocks to try something in, until one ends well.

    Raises:
        StoreUnavailable: All of them lost a race.
    """
    number, attempt = 1, _Attempt(is_last=False)
    yield attempt
    while not attempt.is_done:
        number += 1
        attempt = _Attempt(is_last=number == ATTEMPTS)
        yield attempt
