"""What a driver raises, under our own names: what has no answer, what was certainly not done, what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from payaid_entitlements.errors import OutcomeUnknown, StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.redis.clients import NotConnectedError

#: What a client of Redis raises when something is wrong with the way to it, or with Redis.
FAILURES = (RedisError, RedisClusterException, OSError)

# What a server says instead of doing what it was told, or it was told nothing. A connection that breaks says nothing.
_NOT_DONE = (ResponseError, BusyLoadingError, AuthenticationError, MaxConnectionsError, NotConnectedError)

#: The driver's class, the server's word (in a script older servers wrap it in their own), and what it means.
_MEANS: tuple[tuple[type[Exception], str, str], ...] = (
    (BusyLoadingError, "LOADING", "it has started and is still loading what it had kept"),
    (AuthenticationError, "NOAUTH", "it does not accept our login"),
    (MaxConnectionsError, "Too many connections", "all connections of the client are in use"),
    (ReadOnlyError, "READONLY", "it is a replica, where nothing can be written; open the master"),
    (OutOfMemoryError, "OOM", "it has no memory left for a change (maxmemory)"),
    (NoPermissionError, "NOPERM", "our user may not do that; see the guide for the permissions that are needed"),
    (ClusterDownError, "CLUSTERDOWN", "the cluster is down, or a part of it"),
)


@contextmanager
def answered() -> Iterator[None]:
    """What fails has no answer, and has changed nothing."""
    try:
        yield
    except FAILURES as error:
        raise unavailable(error) from error


@contextmanager
def sent(operation: str | None, *, repeats: bool) -> Iterator[None]:
    """
    What fails may have been done, unless the server has said otherwise.

    Args:
        operation: The caller's, for the error.
        repeats: The client may have sent it more than once: then the last answer says nothing of the first.
    """
    try:
        yield
    except FAILURES as error:
        raise failed(error, operation, repeats=repeats) from error


def failed(error: Exception, operation: str | None, *, repeats: bool) -> StoreUnavailable:
    """What one of `FAILURES` means for a change: see `sent`."""
    if isinstance(error, _NOT_DONE) and not repeats:
        return unavailable(error)
    return OutcomeUnknown(
        f"Redis gave no answer to a change: {_first_line(error)}; repeat with the same operation to find out",
        operation=operation,
    )


def was_closed(error: RedisConnectionError) -> bool:
    """
    Was it the connection that failed, as one does that a server or a proxy has closed while nobody used it?

    That shows only when it is used. A question is then asked once more, on a new one; a change never is: see `sent`.
    """
    return type(error) is RedisConnectionError


def unavailable(error: Exception) -> StoreUnavailable:
    """What one of `FAILURES` means where nothing was to be changed, or where it does not matter."""
    if "WRONGTYPE" in str(error):
        return StoreDamaged(f"somebody else uses a key of ours, under another type: {_first_line(error)}")
    for kind, word, means in _MEANS:
        if isinstance(error, kind) or word in str(error):
            return StoreUnavailable(f"Redis gave no answer: {means} ({_first_line(error)})")
    return StoreUnavailable(f"Redis gave no answer: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
