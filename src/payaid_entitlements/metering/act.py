"""What a caller asks to be counted, checked before anything is asked of anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, cast

from payaid_entitlements.core.identity import Operation, identify, operation_id
from payaid_entitlements.core.instant import Instant, instant
from payaid_entitlements.core.metering.posting import Short
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ports import Transaction
from payaid_entitlements.view import require_key

#: What to do when more is asked than is left, as callers say it.
WhenShort = Literal["reject", "cap", "overflow"]

#: So late, and so much too early by another machine's clock, may something be counted.
LATE: Final = timedelta(days=35)
EARLY: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Act:
    """
    Units to be counted, all of them or none.

    Attributes:
        verb: What was called: repeated with another one, an operation is another act.
        wants: Features and amounts as the caller gave them, by the features' keys.
        occurred_at: None for now.
        expires_in: Microseconds for which they are only set aside; None where they are used up.
    """

    tenant: str
    verb: str
    wants: tuple[tuple[str, object], ...]
    operation: str
    short: Short = Short.REJECT
    user: str | None = None
    legacy: bool | None = None
    tx: Transaction | None = None
    expires_in: int | None = None
    occurred_at: datetime | None = None

    def digest(self, wants: Sequence[tuple[str, int]]) -> str:
        """
        What the act is known by when it is repeated: what was asked, never what was sold at the time.

        Args:
            wants: Features and smallest units, so that 1 and 1.0 are the same.
        """
        return _digest(self.verb, self.short, tuple(wants))


# What is asked is mostly what was asked before: one unit of the same.
@lru_cache(4096)
def _digest(verb: str, short: Short, wants: tuple[tuple[str, int], ...]) -> str:
    # Neither a key nor a number has a blank.
    asked = f"{verb} {short.value} " + " ".join(f"{key} {units}" for key, units in wants)
    return sha256(asked.encode()).hexdigest()


def act(
    tenant: str,
    verb: str,
    wants: Mapping[str, object],
    operation: Operation,
    *,
    when_short: WhenShort = "reject",
    user: str | None = None,
    legacy: bool | None = None,
    tx: Transaction | None = None,
    expires_in: int | None = None,
    occurred_at: datetime | None = None,
) -> Act:
    """
    Take in what a caller says.

    Raises:
        TypeError: An id identifies nobody, a key is no text, or *legacy* no bool.
        ConfigurationError: *when_short* is no word that it can be, or nothing is wanted.
    """
    identify("tenant", tenant)
    if user is not None:
        identify("user", user)
    if legacy is not None and type(legacy) is not bool:
        raise TypeError(f"legacy={legacy!r}: give the host's old answer as True or False")
    if not wants:
        raise ConfigurationError("nothing is to be counted: give at least one feature")
    for feature in wants:
        require_key(feature)
    word = cast("object", when_short)
    short = _SHORT.get(word) if isinstance(word, str) else None
    if short is None:
        raise ConfigurationError(f"when_short is {word!r}; write 'reject', 'cap' or 'overflow'")
    return Act(
        tenant,
        verb,
        tuple(sorted(wants.items())),
        operation_id(operation),
        short,
        user,
        legacy,
        tx,
        expires_in,
        occurred_at,
    )


_SHORT: Final[Mapping[str, Short]] = {short.value: short for short in Short}


def require_recent(occurred_at: datetime, now: Instant) -> None:
    """
    Refuse what happened too long ago, or has not happened yet.

    Raises:
        TypeError: It is naive.
        ConfigurationError: It is older than `LATE`, or later than `EARLY` from *now*.
    """
    at = instant(occurred_at)
    if not now - _microseconds(LATE) <= at <= now + _microseconds(EARLY):
        raise ConfigurationError(
            f"occurred_at={occurred_at.isoformat()}: what happened more than {LATE.days} days ago, or is more than "
            f"{EARLY.seconds // 60} minutes ahead, is not counted any more, or yet"
        )


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
