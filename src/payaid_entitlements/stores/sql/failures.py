"""What drivers raise, by our names: an outage, a race that was lost, a write whose outcome nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from payaid_entitlements.errors import ChangeConflict, OutcomeUnknown, StoreUnavailable

#: Seconds within which a connection that is no more says so.
QUICKLY: Final = 0.1

#: A deadlock; a row that changed since a transaction began that is to see none of it (PostgreSQL, MariaDB).
_LOST = frozenset({"40001", "40P01", 1213, 1020})


@contextmanager
def mapped() -> Iterator[None]:
    """Give what drivers raise our own name, with theirs as the cause."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(f"the database gave no answer: {first_line(error)}") from error


@contextmanager
def racing(expect: int) -> Iterator[None]:
    """
    Tell a race that was lost from an outage: databases end one of those who wait for each other, and say so.

    Nothing of that transaction was written, whether it came to its commit or not.
    """
    try:
        yield
    except DBAPIError as error:
        if not is_lost_race(error):
            raise
        raise ChangeConflict(
            f"others changed the same rows at once, and the database let them go first: {first_line(error)}; "
            "nothing was written: read again and repeat, in a new transaction",
            expected=expect,
            found=expect,
        ) from error


@contextmanager
def committing(operation: str | None) -> Iterator[None]:
    """An error while committing leaves unknown whether it happened; but a race that was lost did not."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        if isinstance(error, DBAPIError) and is_lost_race(error):
            raise
        raise OutcomeUnknown(
            f"the database gave no answer to a commit: {first_line(error)}; repeat with the same operation to find out",
            operation=operation,
        ) from error


def is_lost_race(error: DBAPIError) -> bool:
    """Has the database ended a transaction because of others that were at the same rows?"""
    cause = error.orig
    # Drivers of PostgreSQL have the code of the SQL standard, those of MySQL its own number, before all that they say.
    said = (getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None), *getattr(cause, "args", ())[:1])
    return any(each in _LOST for each in said if isinstance(each, str | int))


def was_closed(error: DBAPIError, seconds: float) -> bool:
    """
    Was a connection closed by the other end while nobody used it, as by a restart or a firewall?

    That shows only when it is used. SQLAlchemy then gives up all that were open, and a read may be sent once more, on
    a new one; a write never is. A server that took *seconds* to say nothing is not asked again.
    """
    return error.connection_invalidated and seconds < QUICKLY


def first_line(error: BaseException) -> str:
    """What went wrong, as the driver says it, in a line."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
