"""
What applications call: may this tenant do this, now?

A hit is one dictionary, one clock and one chain of comparisons; everything else is in
`payaid_entitlements.answering` and below. The two clients differ by a word.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from payaid_entitlements.answering import Health, confirm, explained, health, look, near_narrowed
from payaid_entitlements.binding import AsyncBinding, SyncBinding, bound
from payaid_entitlements.cache.driving import AsyncDriver, AsyncHostSubscriptions, Driver, HostSubscriptions
from payaid_entitlements.cache.loading import SURE_WITHIN, seen_at
from payaid_entitlements.cache.seen.telling import AsyncTelling, Telling
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.shared import open_async_shared, open_shared
from payaid_entitlements.cache.steps import Flow
from payaid_entitlements.cache.warming import warm_up
from payaid_entitlements.client import OPENED, Client
from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.controls import ENFORCE
from payaid_entitlements.core.decision import Decision, Intent, Reason
from payaid_entitlements.core.explanation import Explanation
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.core.remedies import Remedy
from payaid_entitlements.core.values import Amount
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.forking import IMPORTING
from payaid_entitlements.limiting.asking import AsyncLimiting, SyncLimiting
from payaid_entitlements.limiting.async_verbs import AsyncLimitingVerbs
from payaid_entitlements.limiting.verbs import LimitingVerbs
from payaid_entitlements.metering.async_holding_verbs import AsyncHoldingVerbs
from payaid_entitlements.metering.async_verbs import AsyncMeteringVerbs
from payaid_entitlements.metering.ending import AsyncEnding, Ending
from payaid_entitlements.metering.hearing import Handlers
from payaid_entitlements.metering.holding_verbs import HoldingVerbs
from payaid_entitlements.metering.leasing import Lease, Leases
from payaid_entitlements.metering.showing import could
from payaid_entitlements.metering.verbs import MeteringVerbs
from payaid_entitlements.pending import Pending
from payaid_entitlements.rollouts.async_verbs import AsyncMeasuringVerbs
from payaid_entitlements.rollouts.measuring import Measuring
from payaid_entitlements.rollouts.verbs import MeasuringVerbs
from payaid_entitlements.settings import Modal, activity_days_of, processes_of
from payaid_entitlements.stores.activity import Activity, AsyncActivity
from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.limiter import AsyncLimiter, Limiter
from payaid_entitlements.stores.opening import (
    find_activity,
    find_async_activity,
    find_async_ledger,
    find_async_limiter,
    find_ledger,
    find_limiter,
    open_async_store,
    open_store,
)
from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.view import TenantView

if TYPE_CHECKING:
    from redis import Redis, RedisCluster
    from redis.asyncio import Redis as AsyncRedis
    from redis.asyncio import RedisCluster as AsyncRedisCluster
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from payaid_entitlements.admin import Admin, AsyncAdmin

T = TypeVar("T")

#: What is opened when nothing else is said.
DEFAULT_URL = "sqlite:///payaid.db"


class Entitlements(MeteringVerbs, HoldingVerbs, LimitingVerbs, MeasuringVerbs, Client):
    """
    Answers for synchronous code; safe to share between threads and across forks.

    Make one per process with `open`; hand in ports of your own with the constructor.

    Args:
        store: Where facts are kept.
        ledger: Where usage is counted: a ledger of yours, or as in `open`.
        limiter: Where calls are counted for rate limits: a limiter of yours, or as in `open`.
        activity: Where is recorded which tenant did what on which day; the store's own place when None.
        catalog, enforcement, subscriptions, strict, leases, processes, clock: As in `open`.
        shared, snapshot: As in `open`, but the environment is not asked.
        observer: Is told counts and warnings; a tally in memory when None.
        cache_size: Most tenants whose answers are kept in this process.
        fresh_for: Seconds after which a tenant is read again although no change was heard of.
    """

    _telling: Telling | None = None

    def __init__(
        self,
        store: Store,
        *,
        ledger: Ledger | str | Engine | Redis | RedisCluster | None = None,
        limiter: Limiter | str | Engine | Redis | RedisCluster | None = None,
        activity: Activity | None = None,
        catalog: Catalog | str | PathLike[str] | None = None,
        shared: str | Redis | RedisCluster | None = None,
        snapshot: str | PathLike[str] | None = None,
        enforcement: Modal = ENFORCE,
        subscriptions: HostSubscriptions | None = None,
        strict: bool | None = None,
        leases: Mapping[str, Lease | int] | None = None,
        processes: int | None = None,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
        cache_size: int = 100_000,
        fresh_for: float = 60.0,
    ) -> None:
        self._shared = None if shared is None else open_shared(shared)
        seen, days = find_activity(store, activity), activity_days_of(os.environ)
        super().__init__(
            catalog=catalog,
            mode=enforcement,
            is_hosted=subscriptions is not None,
            strict=strict,
            clock=clock,
            observer=observer,
            cache_size=cache_size,
            fresh_for=fresh_for,
            channel=getattr(store, "channel", None),
            shared=self._shared,
            snapshot=snapshot,
            store=store.name,
            awaits=False,
            records=seen is not None and days > 0,
        )
        if seen is not None and self._setting.sightings is not None:
            self._telling = Telling(seen, self._setting.sightings, self._observer, days)
        self._store = store
        self._ledger, self._besides = find_ledger(store, ledger)
        counted, self._counting = find_limiter(store, limiter)
        self._limiting = SyncLimiting(self._setting, counted, processes_of(processes, os.environ))
        self._handlers = Handlers(awaits=False)
        self._driver = Driver(
            store,
            subscriptions,
            ledger=self._ledger,
            activity=seen,
            shared=self._shared,
            clock=self._near.clock,
            observer=self._observer,
        )
        self._measuring = Measuring(self._setting, partial(_conduct, self._setting))
        self._leases = Leases(self._setting, self._handlers, leases) if leases else None
        self._ending = Ending(self._leases, self._driver) if self._leases is not None else None

    @classmethod
    def open(
        cls,
        url: str | Engine | Redis | RedisCluster | None = None,
        *,
        ledger: str | Engine | Redis | RedisCluster | None = None,
        limiter: str | Engine | Redis | RedisCluster | None = None,
        catalog: Catalog | str | PathLike[str] | None = None,
        shared: str | Redis | RedisCluster | None = None,
        snapshot: str | PathLike[str] | None = None,
        enforcement: Modal = ENFORCE,
        subscriptions: HostSubscriptions | None = None,
        strict: bool | None = None,
        leases: Mapping[str, Lease | int] | None = None,
        processes: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """
        Open a store by its URL. Connects to nothing and starts nothing: the first question does.

        Args:
            url: ``memory://``, ``sqlite:///payaid.db``, ``postgresql://...``, ``mysql://...``, ``mariadb://...``,
                ``redis://...``, ``rediss://...``, ``redis+cluster://...``, ``rediss+cluster://...``, ``unix://...`` (a
                Redis), ``django://default`` (a key of a Django project's ``DATABASES``), or a SQLAlchemy engine or a
                Redis client of yours.
                None takes ``PAYAID_URL`` from the environment, else `DEFAULT_URL`.
            ledger: Where usage is counted, if not beside the facts: a URL, an engine or a client, as for *url*.
                None takes ``PAYAID_LEDGER`` from the environment, else the store's own place.
            limiter: Where calls are counted for rate limits, if not beside the facts: as for *url*. What is counted
                there may be lost at any moment. None takes ``PAYAID_LIMITER`` from the environment, else the store's
                own place.
            shared: A Redis that all processes share, in front of the store: a URL or a client of yours. Copies there
                spare the store, and by it a change is heard of at once. It may be lost at any moment. None takes
                ``PAYAID_SHARED`` from the environment, else there is none.
            snapshot: A file on this machine that remembers what was last known, for a process that starts while the
                store gives no answer. Processes on one machine may share it. None takes ``PAYAID_SNAPSHOT`` from the
                environment, else there is none.
            catalog: What is sold, read now so that a mistake shows now. Published into an empty store only; a
                difference from what is published is a warning.
            enforcement: A mode, or modes by module: ``{"crm": "observe"}``, where ``"*"`` is everywhere. Unset means
                enforce. ``PAYAID_ENFORCEMENT`` in the environment goes before it.
            subscriptions: Tells which subscription a tenant has, where you keep that yourself; None is no
                subscription. Asked on a miss, so what ends there ends here within a minute, and at once after
                ``admin.invalidate(tenant)``; before a refusal it is asked again. Whatever it raises is an outage.
            leases: Metered features of which this process takes many units at once and spends them in memory, by key:
                ``{"whatsapp.messages": Lease(units=100)}``, or the number of units. A process that is killed leaves so
                many counted for each tenant, and close the client, or its units come back only when a lease is over.
            processes: In how many processes the program runs, on all machines: while the limiter gives no answer, each
                lets through so large a part of the limits that say ``on_outage: local_share``. None takes
                ``PAYAID_PROCESSES`` from the environment, else 4.
            strict: Raise `UnknownFeature` for keys that no catalog has, instead of refusing.
            clock: Seconds since the epoch. For tests; it then also ages the cache.

        Raises:
            ConfigurationError: The URL is of no kind that is known, or a package is missing.
            CatalogInvalid: The catalog has mistakes; all of them are in it.
        """
        store = open_store(_url(url))
        return cls(
            store,
            ledger=os.environ.get("PAYAID_LEDGER") or None if ledger is None else ledger,
            limiter=os.environ.get("PAYAID_LIMITER") or None if limiter is None else limiter,
            shared=os.environ.get("PAYAID_SHARED") or None if shared is None else shared,
            snapshot=os.environ.get("PAYAID_SNAPSHOT") or None if snapshot is None else snapshot,
            catalog=catalog,
            enforcement=enforcement,
            subscriptions=subscriptions,
            strict=strict,
            leases=leases,
            processes=processes,
            clock=clock,
        )

    # -- asking -----------------------------------------------------------------------------------------------

    # What follows the feature is named by everybody who gives it. It is not made keyword-only, since CPython looks each
    # keyword that is left out up in a dictionary: the five would cost 0.8 of the 5 units that a hit may take.
    def check(
        self,
        tenant: str,
        feature: str,
        amount: Amount | None = None,
        access: Intent = "write",
        user: str | None = None,
        legacy: bool | None = None,
        after: int | None = None,
    ) -> Decision:
        """
        Decide whether *tenant* may use *feature*, a module or a feature, now.

        Args:
            tenant: The id that your login has verified.
            amount: Ask the ledger whether so much more of a metered feature could be used just now; the answer has
                ``.usage``. Nothing is counted: another request may be faster, and only `consume` decides.
            access: ``"read"`` passes where only writing is refused (a paused subscription).
            user: Whose overrides count too.
            legacy: Your own old answer; decides until the module is enforced. Differences are counted.
            after: Never answer from before this revision of the tenant (`Change.revision`).

        Returns:
            The decision; use its ``.allowed``. An unknown key is refused. In an outage the answer is by the
            feature's fail policy, `store.unavailable` in general, and degraded.

        Raises:
            TypeError: An id identifies nobody, or an event loop runs in this thread and the store had to be asked.
        """
        near = self._near
        held = near.held.get(tenant)
        if (
            held is not None
            and held.until > (now := near.clock()) < near.lease
            and access == "write"
            and amount is None
            and legacy is None
            and after is None
            and (user is None or (held.users is None and identify("user", user)))
        ):
            decision = held.table[feature]
            if decision.settled:
                held.touched = 1
                return decision
            if not decision.noteworthy and now - seen_at(self._setting, held) < SURE_WITHIN:
                return decision
            if decision.beneath is not None:
                narrowed = near_narrowed(self._setting, held, decision, tenant, user, now)
                if narrowed is not None:
                    return narrowed
        return self._driver.ask(
            could(
                self._setting,
                tenant,
                feature,
                amount,
                access=access,
                user=user,
                legacy=legacy,
                after=after,
            )
        )

    def require(
        self,
        tenant: str,
        feature: str,
        *,
        amount: Amount | None = None,
        access: Intent = "write",
        user: str | None = None,
        legacy: bool | None = None,
        after: int | None = None,
    ) -> Decision:
        """
        Decide as `check` does, and return only if it is allowed.

        Raises:
            Refused: It is not.
            StoreUnavailable: Nothing is known because the store gave no answer.
        """
        decision = self.check(tenant, feature, amount=amount, access=access, user=user, legacy=legacy, after=after)
        if decision.allowed or decision.reason is Reason.STORE_UNAVAILABLE:
            return decision.or_raise(tenant=tenant)
        return decision.or_raise(tenant=tenant, reference=self.tenant(tenant, user=user).reference(decision))

    def check_many(
        self, tenant: str, features: Iterable[str], *, access: Intent = "write", user: str | None = None
    ) -> dict[str, Decision]:
        """Decide several features from one view, so that the answers belong together."""
        keys = _keys(features)
        view = self.tenant(tenant, user=user)
        if not all(view.decide(key, access).allowed for key in keys):
            view = self.confirm(view)
        return {key: view.check(key, access=access) for key in keys}

    def tenant(
        self,
        tenant: str,
        *,
        user: str | None = None,
        attributes: Mapping[str, object] | None = None,
        after: int | None = None,
        fresh: bool = False,
    ) -> TenantView:
        """
        Take a view of *tenant*: one truth for one request.

        Args:
            attributes: What flags may look at besides, as JSON data: ``{"country": "IN"}``.
            after: Never older than this revision, as a change returned it.
            fresh: Past every cache, once: for the page to which a customer returns from paying.

        Raises:
            TypeError: An id identifies nobody, or *attributes* is no mapping of names.
            ConfigurationError: *attributes* is one of your own making, which raised when it was read.
        """
        if after is None and not fresh and user is None:
            view = self.peek_tenant(tenant)
            if view is not None:
                return view if attributes is None else view.for_user(None, attributes)
        return self._driver.ask(look(self._setting, tenant, user=user, attributes=attributes, after=after, fresh=fresh))

    def confirm(self, view: TenantView) -> TenantView:
        """Give a view that is sure enough to turn somebody away by; *view* itself where it is."""
        return self._driver.ask(confirm(self._setting, view))

    @contextmanager
    def bind(
        self,
        tenant: str,
        *,
        user: str | None = None,
        attributes: Mapping[str, object] | None = None,
        address: str | None = None,
    ) -> Iterator[TenantView]:
        """
        Make *tenant* the current one inside the block: for tasks, scripts and tests.

        Args:
            address: Where its request comes from, for guards of rate limits that count by address.
        """
        view = self.tenant(tenant, user=user, attributes=attributes)
        with bound(SyncBinding(view, self, address=address)):
            yield view

    def value(self, tenant: str, feature: str, type_: type[T], *, user: str | None = None) -> T:
        """Give what a config feature is worth; see `TenantView.value`."""
        view = self.tenant(tenant, user=user)
        return (view if view.decide(feature, "read").allowed else self.confirm(view)).value(feature, type_)

    def remedies(self, tenant: str, feature: str, *, user: str | None = None) -> tuple[Remedy, ...]:
        """What would open *feature* to *tenant*, the cheapest first; empty when it is open or nothing would."""
        view = self.confirm(self.tenant(tenant, user=user))
        return view.remedies(view.decide(feature, "write"))

    def explain(self, tenant: str, feature: str, *, at: datetime | None = None, user: str | None = None) -> Explanation:
        """
        Explain every step of a decision, now or at any instant, past every cache.

        Args:
            at: An aware datetime, past or future; None for now.
        """
        return self._driver.run(explained(self._setting, tenant, feature, at=at, user=user))

    # -- changing and the rest ----------------------------------------------------------------------------------

    def warm_up(self, tenants: Iterable[str] | None = None, *, progress: Callable[[int], object] | None = None) -> int:
        """
        Bring *tenants* near before anybody asks, in large readings: a fifth of what it costs to ask about each.

        Args:
            tenants: Their ids; None for those of the store, by their ids. No more than ``cache_size`` are read.
            progress: Told, again and again, how many more were read: give it the ``update`` of a progress bar.

        Returns:
            How many were read.

        Raises:
            StoreUnavailable: The store gave no answer; what was read until then is near.
        """
        return self._driver.run(warm_up(self._setting, tenants, progress))

    def admin(self, actor: str, *, because: str | None = None, dry_run: bool = False) -> Admin:
        """
        Change things as *actor*. Shares the caches of this client: it sees its own changes at once.

        Args:
            actor: Who asks: a person, or a program such as ``webhook:payments``. Never empty.
            because: Why; for all changes that do not say it themselves.
            dry_run: Work everything out and write nothing.
        """
        with IMPORTING:
            from payaid_entitlements.admin import Admin
        return Admin(self._driver, self._setting, actor, because=because, dry_run=dry_run)

    def health(self) -> Health:
        """
        Ask the store whether it answers; for readiness probes, not for liveness.

        Does not raise for an outage, and waits for a store that stands still no longer than a question does.
        """
        found = self._driver.ask(health(self._setting, self._store, self._ledger, self._driver.breakers))
        limiter = self._limiting.limiter
        if limiter is None or not self._limiting.is_needed:
            return found
        return found.limited_by(limiter, answers=self._limiting.answers())

    def close(self) -> None:
        """Let go of connections. Repeating it is harmless."""
        OPENED.discard(self)
        if self._ending is not None:
            self._ending.close()
        self._tell_measurements()
        if self._telling is not None:
            self._telling.close()
        if self._setting.listener is not None:
            self._setting.listener.close()
        if self._setting.snapshot is not None:
            self._setting.snapshot.close()
        self._near.clear()
        if self._shared is not None:
            self._shared.close()
        if self._ledger is not None:
            self._ledger.close()
        if self._besides is not None:
            self._besides.close()
        self._limiting.close()
        if self._counting is not None:
            self._counting.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncEntitlements(AsyncMeteringVerbs, AsyncHoldingVerbs, AsyncLimitingVerbs, AsyncMeasuringVerbs, Client):
    """Same as `Entitlements`, awaited; safe to share between tasks."""

    _telling: AsyncTelling | None = None

    def __init__(
        self,
        store: AsyncStore,
        *,
        ledger: AsyncLedger | str | AsyncEngine | AsyncRedis | AsyncRedisCluster | None = None,
        limiter: AsyncLimiter | str | AsyncEngine | AsyncRedis | AsyncRedisCluster | None = None,
        activity: AsyncActivity | None = None,
        catalog: Catalog | str | PathLike[str] | None = None,
        shared: str | AsyncRedis | AsyncRedisCluster | None = None,
        snapshot: str | PathLike[str] | None = None,
        enforcement: Modal = ENFORCE,
        subscriptions: AsyncHostSubscriptions | None = None,
        strict: bool | None = None,
        leases: Mapping[str, Lease | int] | None = None,
        processes: int | None = None,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
        cache_size: int = 100_000,
        fresh_for: float = 60.0,
    ) -> None:
        self._shared = None if shared is None else open_async_shared(shared)
        seen, days = find_async_activity(store, activity), activity_days_of(os.environ)
        super().__init__(
            catalog=catalog,
            mode=enforcement,
            is_hosted=subscriptions is not None,
            strict=strict,
            clock=clock,
            observer=observer,
            cache_size=cache_size,
            fresh_for=fresh_for,
            channel=getattr(store, "channel", None),
            shared=self._shared,
            snapshot=snapshot,
            store=store.name,
            awaits=True,
            records=seen is not None and days > 0,
        )
        if seen is not None and self._setting.sightings is not None:
            self._telling = AsyncTelling(seen, self._setting.sightings, self._observer, days)
        self._store = store
        self._ledger, self._besides = find_async_ledger(store, ledger)
        counted, self._counting = find_async_limiter(store, limiter)
        self._limiting = AsyncLimiting(self._setting, counted, processes_of(processes, os.environ))
        self._handlers = Handlers(awaits=True)
        self._driver = AsyncDriver(
            store,
            subscriptions,
            ledger=self._ledger,
            activity=seen,
            shared=self._shared,
            clock=self._near.clock,
            observer=self._observer,
        )
        self._measuring = Measuring(self._setting, partial(_conduct, self._setting))
        self._leases = Leases(self._setting, self._handlers, leases) if leases else None
        self._ending = AsyncEnding(self._leases, self._driver) if self._leases is not None else None

    @classmethod
    def open(
        cls,
        url: str | AsyncEngine | AsyncRedis | AsyncRedisCluster | None = None,
        *,
        ledger: str | AsyncEngine | AsyncRedis | AsyncRedisCluster | None = None,
        limiter: str | AsyncEngine | AsyncRedis | AsyncRedisCluster | None = None,
        catalog: Catalog | str | PathLike[str] | None = None,
        shared: str | AsyncRedis | AsyncRedisCluster | None = None,
        snapshot: str | PathLike[str] | None = None,
        enforcement: Modal = ENFORCE,
        subscriptions: AsyncHostSubscriptions | None = None,
        strict: bool | None = None,
        leases: Mapping[str, Lease | int] | None = None,
        processes: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Same as `Entitlements.open`."""
        store = open_async_store(_url(url))
        return cls(
            store,
            ledger=os.environ.get("PAYAID_LEDGER") or None if ledger is None else ledger,
            limiter=os.environ.get("PAYAID_LIMITER") or None if limiter is None else limiter,
            shared=os.environ.get("PAYAID_SHARED") or None if shared is None else shared,
            snapshot=os.environ.get("PAYAID_SNAPSHOT") or None if snapshot is None else snapshot,
            catalog=catalog,
            enforcement=enforcement,
            subscriptions=subscriptions,
            strict=strict,
            leases=leases,
            processes=processes,
            clock=clock,
        )

    def check(
        self,
        tenant: str,
        feature: str,
        amount: Amount | None = None,
        access: Intent = "write",
        user: str | None = None,
        legacy: bool | None = None,
        after: int | None = None,
    ) -> Awaitable[Decision]:
        """
        Same as `Entitlements.check`, awaited.

        A plain function on purpose: what it returns has no truth value, so a forgotten ``await`` fails instead
        of letting everybody pass, and an answer that is near costs no coroutine.
        """
        near = self._near
        held = near.held.get(tenant)
        if (
            held is not None
            and held.until > (now := near.clock()) < near.lease
            and access == "write"
            and amount is None
            and legacy is None
            and after is None
            and (user is None or (held.users is None and identify("user", user)))
        ):
            decision = held.table[feature]
            if decision.settled:
                held.touched = 1
                return decision  # type: ignore[return-value] # Decision.__await__ is hidden from type checkers
            if not decision.noteworthy and now - seen_at(self._setting, held) < SURE_WITHIN:
                return decision  # type: ignore[return-value] # as above
            if decision.beneath is not None:
                narrowed = near_narrowed(self._setting, held, decision, tenant, user, now)
                if narrowed is not None:
                    return narrowed  # type: ignore[return-value] # as above
        return self._pending(tenant, feature, amount, access, user, legacy, after)

    def _pending(
        self,
        tenant: str,
        feature: str,
        amount: Amount | None,
        access: Intent,
        user: str | None,
        legacy: bool | None,
        after: int | None,
    ) -> Awaitable[Decision]:
        # Not in `check`: a closure there would turn its arguments into cells and tax every hit by a half.
        return Pending(
            lambda: self._driver.ask(
                could(
                    self._setting,
                    tenant,
                    feature,
                    amount,
                    access=access,
                    user=user,
                    legacy=legacy,
                    after=after,
                )
            )
        )

    async def require(
        self,
        tenant: str,
        feature: str,
        *,
        amount: Amount | None = None,
        access: Intent = "write",
        user: str | None = None,
        legacy: bool | None = None,
        after: int | None = None,
    ) -> Decision:
        """Same as `Entitlements.require`, awaited."""
        decision = await self.check(
            tenant, feature, amount=amount, access=access, user=user, legacy=legacy, after=after
        )
        if decision.allowed or decision.reason is Reason.STORE_UNAVAILABLE:
            return decision.or_raise(tenant=tenant)
        view = await self.tenant(tenant, user=user)
        return decision.or_raise(tenant=tenant, reference=view.reference(decision))

    async def check_many(
        self, tenant: str, features: Iterable[str], *, access: Intent = "write", user: str | None = None
    ) -> dict[str, Decision]:
        """Same as `Entitlements.check_many`, awaited."""
        keys = _keys(features)
        view = await self.tenant(tenant, user=user)
        if not all(view.decide(key, access).allowed for key in keys):
            view = await self.confirm(view)
        return {key: view.check(key, access=access) for key in keys}

    async def tenant(
        self,
        tenant: str,
        *,
        user: str | None = None,
        attributes: Mapping[str, object] | None = None,
        after: int | None = None,
        fresh: bool = False,
    ) -> TenantView:
        """Same as `Entitlements.tenant`, awaited."""
        if after is None and not fresh and user is None:
            view = self.peek_tenant(tenant)
            if view is not None:
                return view if attributes is None else view.for_user(None, attributes)
        return await self._driver.ask(
            look(self._setting, tenant, user=user, attributes=attributes, after=after, fresh=fresh)
        )

    async def confirm(self, view: TenantView) -> TenantView:
        """Same as `Entitlements.confirm`, awaited."""
        return await self._driver.ask(confirm(self._setting, view))

    @asynccontextmanager
    async def bind(
        self,
        tenant: str,
        *,
        user: str | None = None,
        attributes: Mapping[str, object] | None = None,
        address: str | None = None,
    ) -> AsyncIterator[TenantView]:
        """Same as `Entitlements.bind`, with ``async with``."""
        view = await self.tenant(tenant, user=user, attributes=attributes)
        with bound(AsyncBinding(view, self, address=address)):
            yield view

    async def value(self, tenant: str, feature: str, type_: type[T], *, user: str | None = None) -> T:
        """Same as `Entitlements.value`, awaited."""
        view = await self.tenant(tenant, user=user)
        return (view if view.decide(feature, "read").allowed else await self.confirm(view)).value(feature, type_)

    async def remedies(self, tenant: str, feature: str, *, user: str | None = None) -> tuple[Remedy, ...]:
        """Same as `Entitlements.remedies`, awaited."""
        view = await self.confirm(await self.tenant(tenant, user=user))
        return view.remedies(view.decide(feature, "write"))

    async def explain(
        self, tenant: str, feature: str, *, at: datetime | None = None, user: str | None = None
    ) -> Explanation:
        """Same as `Entitlements.explain`, awaited."""
        return await self._driver.run(explained(self._setting, tenant, feature, at=at, user=user))

    async def warm_up(
        self, tenants: Iterable[str] | None = None, *, progress: Callable[[int], object] | None = None
    ) -> int:
        """Same as `Entitlements.warm_up`, awaited."""
        return await self._driver.run(warm_up(self._setting, tenants, progress))

    def admin(self, actor: str, *, because: str | None = None, dry_run: bool = False) -> AsyncAdmin:
        """Same as `Entitlements.admin`; its verbs are awaited."""
        with IMPORTING:
            from payaid_entitlements.admin import AsyncAdmin
        return AsyncAdmin(self._driver, self._setting, actor, because=because, dry_run=dry_run)

    async def health(self) -> Health:
        """Same as `Entitlements.health`, awaited."""
        found = await self._driver.ask(health(self._setting, self._store, self._ledger, self._driver.breakers))
        limiter = self._limiting.limiter
        if limiter is None or not self._limiting.is_needed:
            return found
        return found.limited_by(limiter, answers=await self._limiting.answers())

    async def aclose(self) -> None:
        """Same as `Entitlements.close`, awaited."""
        OPENED.discard(self)
        if self._ending is not None:
            await self._ending.aclose()
        await self._tell_measurements()
        if self._telling is not None:
            await self._telling.aclose()
        if self._setting.listener is not None:
            await self._setting.listener.aclose()
        if self._setting.snapshot is not None:
            self._setting.snapshot.close()
        self._near.clear()
        if self._shared is not None:
            await self._shared.aclose()
        if self._ledger is not None:
            await self._ledger.aclose()
        if self._besides is not None:
            await self._besides.aclose()
        await self._limiting.aclose()
        if self._counting is not None:
            await self._counting.aclose()
        await self._store.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _url(url: T | str | None) -> T | str:
    if url is None:
        return os.environ.get("PAYAID_URL") or DEFAULT_URL
    if url == "":
        raise ConfigurationError("url is empty; leave it out for PAYAID_URL, else " + DEFAULT_URL)
    return url


def _keys(features: Iterable[str]) -> tuple[str, ...]:
    if isinstance(features, str):
        raise TypeError(f"check_many({features!r}): give several keys, as a list; one key goes to check()")
    return tuple(features)


def _conduct(setting: Setting, flags: frozenset[str]) -> Flow[object]:
    """Let the rollouts of *flags* go on."""
    # What changes things is much, and most processes only ask: whoever changes something loads it.
    with IMPORTING:
        from payaid_entitlements.admin.rollouts import conduct
    return conduct(setting, flags)
