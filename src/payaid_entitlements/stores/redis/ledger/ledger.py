"""
Usage in Redis, alone or in a cluster. The two ledgers execute; what is asked is in `asking`, what is run in `script`.

A posting is one script, on one server. It is durable as far as the server is configured to be: `RedisLedger.concerns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.kept import Book, KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import AccountId, Balance, Posted, Posting, Slot
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ports import Concern, Transaction
from payaid_entitlements.stores.redis.clients import AsyncClient, Client
from payaid_entitlements.stores.redis.durability import CONFIG, INFO, UNKNOWN, durability_of
from payaid_entitlements.stores.redis.failing import FAILURES, answered, failed, sent, was_closed
from payaid_entitlements.stores.redis.ledger.answers import about, posted_of
from payaid_entitlements.stores.redis.ledger.asking import Ask, Asking, Questions

if TYPE_CHECKING:
    from payaid_entitlements.stores.redis.clients import AsyncHostClient, HostClient

T = TypeVar("T")


class _Common:
    """What both colours are made of."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self._client: Any = client
        self._questions = Questions(client.name, client.prefix, client.keeps_for, client.repeats, client.is_cluster)
        self._durability = UNKNOWN

    @property
    def name(self) -> str:
        """Same as `Ledger.name`."""
        return self._questions.name

    @property
    def keeps_for(self) -> int:
        """Same as `Ledger.keeps_for`: 35 days, or as a URL says by ``?payaid_keep_operations=90d``."""
        return self._questions.keeps_for

    @property
    def is_durable(self) -> bool:
        """Same as `Ledger.is_durable`: known after `prepare`."""
        return self._durability.is_durable

    @property
    def concerns(self) -> Sequence[Concern]:
        """Same as `Ledger.concerns`."""
        return self._durability.concerns


class RedisLedger(_Common):
    """
    Same as `Ledger`, in Redis. Connects at the first use.

    Args:
        place: A URL as people write it (``redis://host:6379/0``, ``redis+cluster://host:7000``), a client of yours, or
            the client of a store, which then closes it.
        prefix: What all keys begin with, in braces; a URL says it by ``?payaid_prefix=``.
    """

    def __init__(self, place: str | HostClient | Client, *, prefix: str | None = None) -> None:
        self._is_lent = isinstance(place, Client)
        self._client = place if isinstance(place, Client) else Client(place, prefix=prefix)
        super().__init__(self._client)

    def prepare(self) -> None:
        """Same as `Ledger.prepare`: there is nothing to migrate."""
        if self._durability is UNKNOWN:
            config: Any = ()
            with answered():
                info = self._client.call_at(self._questions.first_key, *INFO)
                with suppress(ResponseError):
                    config = self._client.call_at(self._questions.first_key, *CONFIG)
            self._durability = durability_of(info, config)
        else:
            self._ask(self._questions.there())

    def post(
        self,
        tenant: str,
        postings: Sequence[Posting],
        *,
        operation: str | None = None,
        digest: str | None = None,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Posted:
        """Same as `Ledger.post`."""
        _refuse(tx)
        ask = self._questions.post(tenant, postings, operation, digest, now)
        try:
            answer = self._perform(ask)
        except FAILURES as error:
            raise failed(error, about(postings, operation), repeats=self._client.repeats) from error
        return posted_of(answer, postings)

    def balances(
        self,
        tenant: str,
        accounts: Sequence[AccountId],
        *,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Mapping[AccountId, Balance]:
        """Same as `Ledger.balances`."""
        _refuse(tx)
        return self._ask(self._questions.balances(tenant, accounts, now))

    def hold(self, tenant: str, operation: str, *, now: Instant | None = None) -> KeptHold | None:
        """Same as `Ledger.hold`."""
        return self._ask(self._questions.hold(tenant, operation, now))

    def slots(self, tenant: str, feature: str | None = None, *, now: Instant | None = None) -> Sequence[Slot]:
        """Same as `Ledger.slots`."""
        return self._ask(self._questions.slots(tenant, feature, now))

    def lock(self, tenant: str, feature: str, *, tx: Transaction) -> None:
        """Same as `Ledger.lock`: refused, since Redis has no transactions of a host's."""
        _refuse_lock()

    def claim_events(self, limit: int, lease: int, *, now: Instant | None = None) -> Sequence[UsageEvent]:
        """Same as `Ledger.claim_events`."""
        return self._ask(self._questions.claim_events(limit, lease, now))

    def drop_events(self, ids: Sequence[str]) -> None:
        """Same as `Ledger.drop_events`."""
        self._ask(self._questions.drop_events(ids))

    def entries(self, tenant: str, *, after: tuple[str, int] | None = None, limit: int = 500) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries`."""
        return self._ask(self._questions.entries(tenant, after, limit))

    def entries_of(self, tenant: str, operation: str) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries_of`."""
        return self._ask(self._questions.entries_of(tenant, operation))

    def tenants(self, *, after: str | None = None, limit: int = 500) -> Sequence[str]:
        """Same as `Ledger.tenants`."""
        return self._ask(self._questions.tenants(after, limit))

    def book(self, tenant: str) -> Book:
        """Same as `Ledger.book`."""
        return self._ask(self._questions.book(tenant))

    def prune(self, before: Instant, *, limit: int = 1000) -> int:
        """Same as `Ledger.prune`. Each posting of a tenant prunes some of the tenant's own."""
        return self._ask(self._questions.prune(before, limit))

    def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Ledger.forget`."""
        _refuse(tx)
        self._ask(self._questions.forget(tenant))

    def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> None:
        """Same as `Ledger.restore`."""
        self._ask(self._questions.restore(tenant, book, entries))

    def close(self) -> None:
        """Same as `Ledger.close`. A client of yours, or of a store, stays open."""
        if not self._is_lent:
            self._client.close()

    def _ask(self, flow: Asking[T]) -> T:
        try:
            ask = next(flow)
            while True:
                ask = flow.send(self._answer(ask))
        except StopIteration as done:
            return cast("T", done.value)

    def _answer(self, ask: Ask) -> Any:
        if ask.changes:
            with sent(None, repeats=self._client.repeats):
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
            return self._client.call(ask.what, *ask.keys, *ask.parts)
        return self._client.run(ask.what, ask.keys, ask.parts)


class AsyncRedisLedger(_Common):
    """Same as `RedisLedger`, awaited."""

    def __init__(self, place: str | AsyncHostClient | AsyncClient, *, prefix: str | None = None) -> None:
        self._is_lent = isinstance(place, AsyncClient)
        self._client = place if isinstance(place, AsyncClient) else AsyncClient(place, prefix=prefix)
        super().__init__(self._client)

    async def prepare(self) -> None:
        """Same as `RedisLedger.prepare`."""
        if self._durability is UNKNOWN:
            config: Any = ()
            with answered():
                info = await self._client.call_at(self._questions.first_key, *INFO)
                with suppress(ResponseError):
                    config = await self._client.call_at(self._questions.first_key, *CONFIG)
            self._durability = durability_of(info, config)
        else:
            await self._ask(self._questions.there())

    async def post(
        self,
        tenant: str,
        postings: Sequence[Posting],
        *,
        operation: str | None = None,
        digest: str | None = None,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Posted:
        """Same as `Ledger.post`."""
        _refuse(tx)
        ask = self._questions.post(tenant, postings, operation, digest, now)
        try:
            answer = await self._perform(ask)
        except FAILURES as error:
            raise failed(error, about(postings, operation), repeats=self._client.repeats) from error
        return posted_of(answer, postings)

    async def balances(
        self,
        tenant: str,
        accounts: Sequence[AccountId],
        *,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Mapping[AccountId, Balance]:
        """Same as `Ledger.balances`."""
        _refuse(tx)
        return await self._ask(self._questions.balances(tenant, accounts, now))

    async def hold(self, tenant: str, operation: str, *, now: Instant | None = None) -> KeptHold | None:
        """Same as `Ledger.hold`."""
        return await self._ask(self._questions.hold(tenant, operation, now))

    async def slots(self, tenant: str, feature: str | None = None, *, now: Instant | None = None) -> Sequence[Slot]:
        """Same as `Ledger.slots`."""
        return await self._ask(self._questions.slots(tenant, feature, now))

    async def lock(self, tenant: str, feature: str, *, tx: Transaction) -> None:
        """Same as `RedisLedger.lock`."""
        _refuse_lock()

    async def claim_events(self, limit: int, lease: int, *, now: Instant | None = None) -> Sequence[UsageEvent]:
        """Same as `Ledger.claim_events`."""
        return await self._ask(self._questions.claim_events(limit, lease, now))

    async def drop_events(self, ids: Sequence[str]) -> None:
        """Same as `Ledger.drop_events`."""
        await self._ask(self._questions.drop_events(ids))

    async def entries(
        self, tenant: str, *, after: tuple[str, int] | None = None, limit: int = 500
    ) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries`."""
        return await self._ask(self._questions.entries(tenant, after, limit))

    async def entries_of(self, tenant: str, operation: str) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries_of`."""
        return await self._ask(self._questions.entries_of(tenant, operation))

    async def tenants(self, *, after: str | None = None, limit: int = 500) -> Sequence[str]:
        """Same as `Ledger.tenants`."""
        return await self._ask(self._questions.tenants(after, limit))

    async def book(self, tenant: str) -> Book:
        """Same as `Ledger.book`."""
        return await self._ask(self._questions.book(tenant))

    async def prune(self, before: Instant, *, limit: int = 1000) -> int:
        """Same as `RedisLedger.prune`."""
        return await self._ask(self._questions.prune(before, limit))

    async def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Ledger.forget`."""
        _refuse(tx)
        await self._ask(self._questions.forget(tenant))

    async def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> None:
        """Same as `Ledger.restore`; *entries* are read where this runs, and nothing else runs meanwhile."""
        await self._ask(self._questions.restore(tenant, book, entries))

    async def aclose(self) -> None:
        """Same as `RedisLedger.close`."""
        if not self._is_lent:
            await self._client.aclose()

    async def _ask(self, flow: Asking[T]) -> T:
        try:
            ask = next(flow)
            while True:
                ask = flow.send(await self._answer(ask))
        except StopIteration as done:
            return cast("T", done.value)

    async def _answer(self, ask: Ask) -> Any:
        if ask.changes:
            with sent(None, repeats=self._client.repeats):
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
            return await self._client.call(ask.what, *ask.keys, *ask.parts)
        return await self._client.run(ask.what, ask.keys, ask.parts)


def _refuse(tx: Transaction | None) -> None:
    if tx is not None:
        raise ConfigurationError(
            "a ledger in Redis cannot join a transaction of yours: leave tx= out, or count in the database that the "
            "transaction is of, as in Entitlements.open(url, ledger='postgresql://...')"
        )


def _refuse_lock() -> NoReturn:
    raise ConfigurationError(
        "a ledger in Redis cannot lock for a transaction of yours: count in the database that the transaction is of, "
        "as in Entitlements.open(url, ledger='postgresql://...')"
    )
