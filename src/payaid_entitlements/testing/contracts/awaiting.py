"""An asynchronous store, ledger or limiter, called as if it were the other one: so each test is written once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from payaid_entitlements.stores.activity import AsyncActivity
from payaid_entitlements.stores.ledger import AsyncLedger
from payaid_entitlements.stores.limiter import AsyncLimiter
from payaid_entitlements.stores.ports import AsyncStore

T = TypeVar("T")

#: Seconds after which a call is taken to hang; far above what any store may need.
LONGEST = 60.0


class LoopThread:
    """An event loop in a thread of its own. Calls from several threads overlap on it, as tasks of one program do."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="contract-loop", daemon=True)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* on the loop and wait for what it returns or raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(LONGEST)

    def __enter__(self) -> LoopThread:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Awaited:
    """A `Store`, `Ledger`, `Limiter` or `Activity` that passes each call on to an asynchronous one and waits for it."""

    def __init__(self, store: AsyncStore | AsyncLedger | AsyncLimiter | AsyncActivity, loop: LoopThread) -> None:
        self._store = store
        self._loop = loop

    def __getattr__(self, name: str) -> object:
        found = getattr(self._store, name)
        if name in ("ledger", "limiter", "activity"):
            return Awaited(found, self._loop)
        return self._calling(found) if callable(found) else found

    def close(self) -> None:
        """Same as `Store.close`."""
        self._loop.run(self._store.aclose())

    def _calling(self, method: Callable[..., Coroutine[Any, Any, object]]) -> Callable[..., object]:
        return lambda *args, **named: self._loop.run(method(*args, **named))
