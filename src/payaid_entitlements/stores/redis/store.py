"""
Redis as a store, alone or in a cluster. The two stores execute; what is asked is in `asking`, what is run in `scripts`.

A write is one script. It is durable as far as the server is configured to be: `RedisStore.concerns`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ports import (
    Applied,
    AuditEntry,
    Concern,
    LogPage,
    OutboxEvent,
    Part,
    Scope,
    TenantRow,
    Transaction,
    Write,
)
from payaid_entitlements.stores.redis.activity.activity import AsyncRedisActivity, RedisActivity
from payaid_entitlements.stores.redis.asking import Ask, Asking, Questions
from payaid_entitlements.stores.redis.clients import AsyncClient, Client
from payaid_entitlements.stores.redis.durability import CONFIG, INFO, UNKNOWN, durability_of
from payaid_entitlements.stores.redis.failing import answered, sent, was_closed
from payaid_entitlements.stores.redis.histories import Histories
from payaid_entitlements.stores.redis.layout import channel_of
from payaid_entitlements.stores.redis.ledger import AsyncRedisLedger, RedisLedger
from payaid_entitlements.stores.redis.limiter import AsyncRedisLimiter, RedisLimiter
from payaid_entitlements.stores.redis.listening import RedisChannel, log_end
from payaid_entitlements.stores.redis.restoring import restoring

if TYPE_CHECKING:
    from payaid_entitlements.stores.redis.clients import AsyncHostClient, HostClient

T = TypeVar("T")


class _Common:
    """What both colours are made of."""

    def __init__(self, client: Client | AsyncClient) -> None:
        channel = channel_of(client.prefix, client.number)
        self._questions = Questions(client.name, client.prefix, channel, client.repeats)
        self._histories = Histories()
        self._durability = UNKNOWN
        keys = self._questions.keys
        self.channel = RedisChannel(client, keys.documents, channel, partial(log_end, keys.documents))

    @property
    def name(self) -> str:
        """Same as `Store.name`."""
        return self._questions.name

    @property
    def is_durable(self) -> bool:
        """Same as `Store.is_durable`: known after `prepare`."""
        return self._durability.is_durable

    @property
    def concerns(self) -> Sequence[Concern]:
        """Same as `Store.concerns`."""
        return self._durability.concerns

    def _keys(self, ask: Ask) -> tuple[str, ...]:
        return self._questions.keys.all if ask.key is None else (ask.key,)


class RedisStore(_Common):
    """
    Same as `Store`, in Redis. Connects at the first use.

    Args:
        place: A URL as people write it (``redis://host:6379/0``, ``redis+cluster://host:7000``), or a client of yours.
        prefix: What all keys begin with, in braces; a URL says it by ``?payaid_prefix=``.
    """

    def __init__(self, place: str | HostClient, *, prefix: str | None = None) -> None:
        self._client = Client(place, prefix=prefix)
        super().__init__(self._client)

    @cached_property
    def ledger(self) -> RedisLedger:
        """The ledger in the same Redis, with the same client. Its keys are apart from the store's."""
        return RedisLedger(self._client)

    @cached_property
    def activity(self) -> RedisActivity:
        """Which tenant did what on which day, in the same Redis, with the same client. Its keys are apart."""
        return RedisActivity(self._client)

    @cached_property
    def limiter(self) -> RedisLimiter:
        """The limiter in the same Redis, with connections of its own that wait for 50 ms."""
        return RedisLimiter(self._client)

    def prepare(self) -> None:
        """Same as `Store.prepare`: an empty Redis is made ready; no other needs a migration."""
        self._ask(self._questions.prepare(secrets.token_hex(8)))
        if self._durability is UNKNOWN:
            key, config = self._questions.keys.documents, ()
            with answered():
                info = self._client.call_at(key, *INFO)
                with suppress(ResponseError):
                    config = self._client.call_at(key, *CONFIG)
            self._durability = durability_of(info, config)

    def current(self) -> int | None:
        """Which version our keys have; None where there are none."""
        return self._ask(self._questions.version())

    def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        _refuse(tx)
        return self._ask(self._questions.read(tenants))

    def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        return self._ask(self._questions.catalog())

    def controls(self) -> Controls:
        """Same as `Store.controls`."""
        return self._ask(self._questions.controls())

    def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        return self._ask(self._questions.flags())

    def apply(
        self,
        write: Write,
        *,
        expect: int,
        actor: str,
        because: str | None,
        operation: str | None = None,
        as_of: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Applied:
        """Same as `Store.apply`."""
        _refuse(tx)
        flow = self._questions.apply(
            write, expect=expect, actor=actor, because=because, operation=operation, as_of=as_of
        )
        return self._ask(flow, operation)

    def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        return self._ask(self._questions.changes_since(position, limit, self._histories))

    def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        return self._ask(self._questions.find(module, plan, after, limit))

    def audit(
        self,
        *,
        tenant: str | None = None,
        scope: Scope | None = None,
        id: str | None = None,
        operation: str | None = None,
        since: Instant | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Same as `Store.audit`."""
        return self._ask(
            self._questions.audit(
                tenant=tenant, scope=scope, id=id, operation=operation, since=since, after=after, limit=limit
            )
        )

    def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        return self._ask(self._questions.outbox(after, limit))

    def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        return self._ask(self._questions.listed(tenants))

    def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        self._ask(self._questions.add_tallies(name, amounts))

    def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        return self._ask(self._questions.tallies(name))

    def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        self._ask(self._questions.drop_tallies(name))

    def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `Store.restore`: what is killed leaves a store that is refused until it is filled anew."""
        self._ask(restoring(self._questions, pages, secrets.token_hex(8)))

    def close(self) -> None:
        """Same as `Store.close`. A client of yours stays open."""
        self._client.close()
        if "limiter" in self.__dict__:
            self.limiter.close()

    def _ask(self, flow: Asking[T], operation: str | None = None) -> T:
        try:
            ask = next(flow)
            while True:
                ask = flow.send(self._answer(ask, operation))
        except StopIteration as done:
            return cast("T", done.value)

    def _answer(self, ask: Ask, operation: str | None) -> Any:
        if ask.changes:
            with sent(operation, repeats=self._client.repeats):
                return self._perform(ask)
        with answered():
            try:
                return self._perform(ask)
            except RedisConnectionError as error:
                if not was_closed(error):
                    raise
                return self._perform(ask)

    def _perform(self, ask: Ask) -> Any:
        if isinstance(ask.what, str):
            return self._client.call(ask.what, *ask.parts)
        return self._client.run(ask.what, self._keys(ask), ask.parts)


class AsyncRedisStore(_Common):
    """Same as `RedisStore`, awaited."""

    def __init__(self, place: str | AsyncHostClient, *, prefix: str | None = None) -> None:
        self._client = AsyncClient(place, prefix=prefix)
        super().__init__(self._client)

    @cached_property
    def ledger(self) -> AsyncRedisLedger:
        """Same as `RedisStore.ledger`, awaited."""
        return AsyncRedisLedger(self._client)

    @cached_property
    def activity(self) -> AsyncRedisActivity:
        """Same as `RedisStore.activity`, awaited."""
        return AsyncRedisActivity(self._client)

    @cached_property
    def limiter(self) -> AsyncRedisLimiter:
        """Same as `RedisStore.limiter`, awaited."""
        return AsyncRedisLimiter(self._client)

    async def prepare(self) -> None:
        """Same as `RedisStore.prepare`."""
        await self._ask(self._questions.prepare(secrets.token_hex(8)))
        if self._durability is UNKNOWN:
            key, config = self._questions.keys.documents, ()
            with answered():
                info = await self._client.call_at(key, *INFO)
                with suppress(ResponseError):
                    config = await self._client.call_at(key, *CONFIG)
            self._durability = durability_of(info, config)

    async def current(self) -> int | None:
        """Same as `RedisStore.current`."""
        return await self._ask(self._questions.version())

    async def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        _refuse(tx)
        return await self._ask(self._questions.read(tenants))

    async def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        return await self._ask(self._questions.catalog())

    async def controls(self) -> Controls:
        """Same as `Store.controls`."""
        return await self._ask(self._questions.controls())

    async def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        return await self._ask(self._questions.flags())

    async def apply(
        self,
        write: Write,
        *,
        expect: int,
        actor: str,
        because: str | None,
        operation: str | None = None,
        as_of: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Applied:
        """Same as `Store.apply`."""
        _refuse(tx)
        flow = self._questions.apply(
            write, expect=expect, actor=actor, because=because, operation=operation, as_of=as_of
        )
        return await self._ask(flow, operation)

    async def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        return await self._ask(self._questions.changes_since(position, limit, self._histories))

    async def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        return await self._ask(self._questions.find(module, plan, after, limit))

    async def audit(
        self,
        *,
        tenant: str | None = None,
        scope: Scope | None = None,
        id: str | None = None,
        operation: str | None = None,
        since: Instant | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Same as `Store.audit`."""
        return await self._ask(
            self._questions.audit(
                tenant=tenant, scope=scope, id=id, operation=operation, since=since, after=after, limit=limit
            )
        )

    async def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        return await self._ask(self._questions.outbox(after, limit))

    async def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        return await self._ask(self._questions.listed(tenants))

    async def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        await self._ask(self._questions.add_tallies(name, amounts))

    async def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        return await self._ask(self._questions.tallies(name))

    async def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        await self._ask(self._questions.drop_tallies(name))

    async def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `RedisStore.restore`; *pages* are read where this runs, and nothing else runs meanwhile."""
        await self._ask(restoring(self._questions, pages, secrets.token_hex(8)))

    async def aclose(self) -> None:
        """Same as `Store.close`. A client of yours stays open."""
        await self._client.aclose()
        if "limiter" in self.__dict__:
            await self.limiter.aclose()

    async def _ask(self, flow: Asking[T], operation: str | None = None) -> T:
        try:
            ask = next(flow)
            while True:
                ask = flow.send(await self._answer(ask, operation))
        except StopIteration as done:
            return cast("T", done.value)

    async def _answer(self, ask: Ask, operation: str | None) -> Any:
        if ask.changes:
            with sent(operation, repeats=self._client.repeats):
                return await self._perform(ask)
        with answered():
            try:
                return await self._perform(ask)
            except RedisConnectionError as error:
                if not was_closed(error):
                    raise
                return await self._perform(ask)

    async def _perform(self, ask: Ask) -> Any:
        if isinstance(ask.what, str):
            return await self._client.call(ask.what, *ask.parts)
        return await self._client.run(ask.what, self._keys(ask), ask.parts)


def _refuse(tx: Transaction | None) -> None:
    if tx is not None:
        raise ConfigurationError("Redis cannot join a transaction of yours; leave tx= out, or open a database")
