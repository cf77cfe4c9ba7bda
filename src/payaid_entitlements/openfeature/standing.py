"""What a provider says of itself: ready, stale or in error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode

from payaid_entitlements.cache.local import LocalCache
from payaid_entitlements.forking import after_fork

#: ``stale``: flags are those that were last known; ``error``: none are.
State: TypeAlias = Literal["ready", "stale", "error"]

_SAID: Final[Mapping[State, tuple[ProviderEvent, str, ErrorCode | None]]] = {
    "ready": (ProviderEvent.PROVIDER_READY, "the store answers again", None),
    "stale": (
        ProviderEvent.PROVIDER_STALE,
        "the store gives no answer; flags are those that were last known",
        None,
    ),
    "error": (
        ProviderEvent.PROVIDER_ERROR,
        "the store gives no answer, and no flags are known",
        ErrorCode.GENERAL,
    ),
}


class Standing:
    """
    Tells the SDK when the state changes, once for each change.

    In an outage some tenants are answered for a few seconds by what is near, and others are not: it is over only when
    the store has answered after it began.

    Args:
        emit: Tells the SDK; also safe before it listens.
        near: What knows when the store has last answered; in a sandbox it is another one.
    """

    def __init__(
        self,
        emit: Callable[[ProviderEvent, ProviderEventDetails], None],
        near: Callable[[], LocalCache],
    ) -> None:
        self._emit = emit
        self._near = near
        self._since = 0.0
        self.state: State = "ready"
        self.unlock()
        after_fork(self.unlock)

    def unlock(self) -> None:
        """Wait for nobody, as after a fork."""
        self._lock = threading.Lock()

    def begin(self, state: State) -> None:
        """Stand as *state* without telling it: whoever asked has the answer."""
        self.state, self._since = state, self._near().clock()

    def turn(self, state: State) -> None:
        """Note how a question was answered."""
        if state == self.state:
            return
        with self._lock:
            if state == self.state or (state == "ready" and self._near().confirmed <= self._since):
                return
            self.begin(state)
        event, said, code = _SAID[state]
        self._emit(event, ProviderEventDetails(message=said, error_code=code))
