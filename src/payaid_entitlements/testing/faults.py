"""Stores that fail on demand: what happens in an outage belongs in the tests of everybody who asks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable

if TYPE_CHECKING:
    from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
    from payaid_entitlements.stores.limiter import AsyncLimiter, Limiter
    from payaid_entitlements.stores.ports import AsyncStore, Store

_READS = frozenset(
    {"prepare", "read", "catalog", "controls", "flags", "changes_since", "find", "audit", "outbox", "listed", "tallies"}
) | {
    "balances",
    "hold",
    "slots",
    "entries",
    "entries_of",
    "tenants",
    "book",
}
_WRITES = frozenset({"apply", "restore", "add_tallies", "drop_tallies"}) | {
    "post",
    "lock",
    "claim_events",
    "drop_events",
    "prune",
    "forget",
    "hit",
    "give_back",
    "reset",
}


class Faults:
    """
    What goes wrong now. One object may be shared by several stores.

    Attributes:
        is_down: Every call raises `StoreUnavailable`.
        loses_replies: A write happens, and its answer is lost: `OutcomeUnknown`.
        before: Called with the method's name before each call; may raise, block or count.
        calls: Names of the methods that were called, in their order.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.loses_replies = False
        self.before: Callable[[str], None] | None = None
        self.calls: list[str] = []

    def enter(self, name: str) -> None:
        """Note a call and fail it if it must."""
        self.calls.append(name)
        if self.before is not None:
            self.before(name)
        if self.is_down:
            raise StoreUnavailable("the store is down (a test says so)")

    def leave(self, operation: object) -> None:
        """Lose the reply to a write if it must."""
        if self.loses_replies:
            raise OutcomeUnknown(
                "the reply was lost (a test says so)", operation=operation if isinstance(operation, str) else None
            )


class FaultyStore:
    """
    A store, a ledger or a limiter that passes everything on to *inner*, unless `faults` says otherwise.

    Every name of the port is looked up in *inner*, so whatever the port will have is covered. The ledger and the
    limiter of a store fail as the store does.
    """

    def __init__(
        self, inner: Store | AsyncStore | Ledger | AsyncLedger | Limiter | AsyncLimiter, faults: Faults | None = None
    ) -> None:
        self.inner = inner
        self.faults = Faults() if faults is None else faults

    def __getattr__(self, name: str) -> object:
        found = getattr(self.inner, name)
        if name in ("ledger", "limiter", "activity"):
            return FaultyStore(found, self.faults)
        if name in _READS or name in _WRITES:
            return (
                _awaiting(self.faults, name, found)
                if inspect.iscoroutinefunction(found)
                else _calling(self.faults, name, found)
            )
        return found


def _calling(faults: Faults, name: str, method: Callable[..., object]) -> Callable[..., object]:
    def call(*args: object, **named: object) -> object:
        faults.enter(name)
        answer = method(*args, **named)
        if name in _WRITES:
            faults.leave(named.get("operation"))
        return answer

    return call


def _awaiting(faults: Faults, name: str, method: Callable[..., object]) -> Callable[..., object]:
    async def call(*args: object, **named: object) -> object:
        faults.enter(name)
        answer = await method(*args, **named)  # type: ignore[misc] # the caller has seen that it is a coroutine function
        if name in _WRITES:
            faults.leave(named.get("operation"))
        return answer

    return call
