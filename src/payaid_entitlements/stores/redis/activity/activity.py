"""Activity in Redis, alone or in a cluster, in both colours: with the client of its store."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import date
from typing import Any, TypeAlias, TypeVar, cast

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.activity import MOST_SIGHTINGS, Seen, Sighting, require_sightings
from payaid_entitlements.stores.ports import Transaction
from payaid_entitlements.stores.redis.activity import script
from payaid_entitlements.stores.redis.clients import AsyncClient, Client, Part, Script
from payaid_entitlements.stores.redis.durability import INFO
from payaid_entitlements.stores.redis.failing import answered

T = TypeVar("T")

#: A script and its arguments, again and again; what the server says comes back.
Asking: TypeAlias = Generator[tuple[Script, tuple[Part, ...]], Any, T]


class _Activity:
    """What both colours are made of. Each of its scripts may be sent twice: the second time it does nothing more."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.name = client.name
        # What all its keys begin with: a hash tag of their own.
        self._at = f"{{{client.prefix}:y}}:"

    def _record(self, sightings: Sequence[Sighting]) -> Asking[None]:
        require_sightings(sightings)
        if sightings:
            said = (part for each in sightings for part in (each.tenant, _day(each.day), f"{each.kind}:{each.key}"))
            yield script.RECORD, tuple(said)

    def _of(self, tenant: str, since: date, until: date) -> Asking[list[Sighting]]:
        found = yield script.OF, (tenant, _day(since), _day(until))
        return [_sighting(tenant, member.decode()) for member in found]

    def _tenants(self, kind: Seen, key: str, since: date, after: str | None, limit: int) -> Asking[list[str]]:
        found: list[str] = []
        start = "-" if after is None else f"({after}"
        while len(found) < limit:
            asked = (f"{kind}:{key}", since.toordinal(), start, limit - len(found), script.LOOKED_AT)
            last, *page = yield script.TENANTS, asked
            found += [tenant.decode() for tenant in page]
            if not last:
                break
            start = f"({last.decode()}"
        return found

    def _keys(self, kind: Seen, since: date) -> Asking[list[str]]:
        found = yield script.KEYS, (f"{kind}:", since.toordinal())
        return [key.decode() for key in sorted(found)]

    def _sweep(self, before: date, limit: int) -> Asking[int]:
        (swept,) = yield script.SWEEP, (_day(before), limit)
        return int(swept)

    def _forget(self, tenant: str, tx: Transaction | None) -> Asking[None]:
        if tx is not None:
            raise ConfigurationError("Redis cannot join a transaction of yours; leave tx= out, or open a database")
        yield script.FORGET, (tenant,)


def _day(day: date) -> str:
    return f"{day.toordinal():08}"


def _sighting(tenant: str, member: str) -> Sighting:
    kind, _, key = member[8:].partition(":")
    return Sighting(tenant, date.fromordinal(int(member[:8])), Seen(kind), key)


class RedisActivity(_Activity):
    """Same as `Activity`, with the *client* of a store, which closes it."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._client = client

    def prepare(self) -> None:
        """Same as `Activity.prepare`: there is nothing to migrate."""
        with answered():
            self._client.call_at(self._at, *INFO)

    def record(self, sightings: Sequence[Sighting]) -> None:
        """Same as `Activity.record`."""
        self._ask(self._record(sightings))

    def of(self, tenant: str, since: date, until: date) -> Sequence[Sighting]:
        """Same as `Activity.of`."""
        return self._ask(self._of(tenant, since, until))

    def tenants(
        self, kind: Seen, key: str, since: date, *, after: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """Same as `Activity.tenants`."""
        return self._ask(self._tenants(kind, key, since, after, limit))

    def keys(self, kind: Seen, since: date) -> Sequence[str]:
        """Same as `Activity.keys`."""
        return self._ask(self._keys(kind, since))

    def sweep(self, before: date, *, limit: int = MOST_SIGHTINGS) -> int:
        """Same as `Activity.sweep`."""
        return self._ask(self._sweep(before, limit))

    def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Activity.forget`."""
        self._ask(self._forget(tenant, tx))

    def close(self) -> None:
        """Same as `Activity.close`: the client is the store's."""

    def _ask(self, flow: Asking[T]) -> T:
        try:
            what, parts = next(flow)
            while True:
                with answered():
                    answer = self._client.run(what, (self._at,), parts)
                what, parts = flow.send(answer)
        except StopIteration as done:
            return cast("T", done.value)


class AsyncRedisActivity(_Activity):
    """Same as `RedisActivity`, awaited."""

    def __init__(self, client: AsyncClient) -> None:
        super().__init__(client)
        self._client = client

    async def prepare(self) -> None:
        """Same as `RedisActivity.prepare`."""
        with answered():
            await self._client.call_at(self._at, *INFO)

    async def record(self, sightings: Sequence[Sighting]) -> None:
        """Same as `Activity.record`."""
        await self._ask(self._record(sightings))

    async def of(self, tenant: str, since: date, until: date) -> Sequence[Sighting]:
        """Same as `Activity.of`."""
        return await self._ask(self._of(tenant, since, until))

    async def tenants(
        self, kind: Seen, key: str, since: date, *, after: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """Same as `Activity.tenants`."""
        return await self._ask(self._tenants(kind, key, since, after, limit))

    async def keys(self, kind: Seen, since: date) -> Sequence[str]:
        """Same as `Activity.keys`."""
        return await self._ask(self._keys(kind, since))

    async def sweep(self, before: date, *, limit: int = MOST_SIGHTINGS) -> int:
        """Same as `Activity.sweep`."""
        return await self._ask(self._sweep(before, limit))

    async def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Activity.forget`."""
        await self._ask(self._forget(tenant, tx))

    async def aclose(self) -> None:
        """Same as `Activity.close`: the client is the store's."""

    async def _ask(self, flow: Asking[T]) -> T:
        try:
            what, parts = next(flow)
            while True:
                with answered():
                    answer = await self._client.run(what, (self._at,), parts)
                what, parts = flow.send(answer)
        except StopIteration as done:
            return cast("T", done.value)
