"""
The two SQL limiters. What they do is in `counting`, which both share.

A limiter has no connection of its own: it is on the engine of its store. Where nothing comes it waits as a question
does, for a quarter of a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine
from sqlalchemy.util import greenlet_spawn

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.hurry import GRACE, QUESTION, Within, silence, within
from payaid_entitlements.stores.limiter import Group, Ruling
from payaid_entitlements.stores.ports import Concern
from payaid_entitlements.stores.sql.limiter.counting import Counting
from payaid_entitlements.stores.sql.limiter.sending import Sending
from payaid_entitlements.stores.sql.limiter.statements import Statements

if TYPE_CHECKING:
    from payaid_entitlements.stores.sql.database import Database
    from payaid_entitlements.stores.sql.store import AsyncSQLStore, SQLStore

T = TypeVar("T")


class _Limiter:
    """What both colours are made of."""

    def __init__(self, store: Database, reading: Engine, writing: Engine, *, is_own: bool) -> None:
        engine = store._engine
        self._about = store
        # A host's engine may begin transactions by itself; on PostgreSQL ours says that there are to be none.
        sending = Sending(reading, writing, commits_alone=is_own or engine.dialect.name == "postgresql")
        self._counting = Counting(
            Statements(store._statements.tables.rates, engine.dialect),
            sending,
            _clock if engine.dialect.name == "sqlite" else None,
        )

    @property
    def name(self) -> str:
        """Same as `Limiter.name`."""
        return self._about.name

    @property
    def is_shared(self) -> bool:
        """Same as `Limiter.is_shared`: False for SQLite in memory."""
        return self._about.is_durable

    @property
    def concerns(self) -> Sequence[Concern]:
        """Same as `Limiter.concerns`: none, since a limiter may lose what it counted."""
        return ()


class SQLLimiter(_Limiter):
    """Same as `Limiter`, in the database of *store*."""

    def __init__(self, store: SQLStore) -> None:
        super().__init__(store, store._reading, store._writing, is_own=store._owns_engine)
        self._store = store

    def prepare(self) -> None:
        """Same as `Limiter.prepare`."""
        self._store.prepare()

    def hit(self, group: Group, cost: int = 1, *, permit: int = 0, now: Instant | None = None) -> Ruling:
        """Same as `Limiter.hit`."""
        with _soon():
            return self._counting.hit(group, cost, permit, now)

    def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        with _soon():
            self._counting.give_back(group, permit)

    def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        with _soon():
            self._counting.reset(group)

    def close(self) -> None:
        """Same as `Limiter.close`: it has no connections of its own."""


class AsyncSQLLimiter(_Limiter):
    """Same as `SQLLimiter`, awaited."""

    def __init__(self, store: AsyncSQLStore) -> None:
        super().__init__(store, store._reading.sync_engine, store._writing.sync_engine, is_own=store._owns_engine)
        self._store = store

    async def prepare(self) -> None:
        """Same as `Limiter.prepare`."""
        await self._store.prepare()

    async def hit(self, group: Group, cost: int = 1, *, permit: int = 0, now: Instant | None = None) -> Ruling:
        """Same as `Limiter.hit`."""
        return await _awaited(lambda: self._counting.hit(group, cost, permit, now))

    async def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        await _awaited(lambda: self._counting.give_back(group, permit))

    async def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        await _awaited(lambda: self._counting.reset(group))

    async def aclose(self) -> None:
        """Same as `Limiter.close`: it has no connections of its own."""


async def _awaited(act: Callable[[], T]) -> T:
    """
    What *act* returns.

    Raises:
        StoreUnavailable: It takes too long. Who waits for a connection of a pool does not look at the time.
    """
    seconds = silence(QUESTION)
    try:
        with within(seconds):
            async with asyncio.timeout(seconds + GRACE):
                return await greenlet_spawn(act)
    except TimeoutError as error:
        raise StoreUnavailable(f"the database gave no answer within {seconds:.2g} seconds") from error


def _soon() -> Within:
    """Wait as a question does, unless whoever calls says how long."""
    return within(silence(QUESTION))


def _clock() -> Instant:
    return time.time_ns() // 1000
