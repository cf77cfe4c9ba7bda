"""The two clients that change things. They perform what the verbs ask; nothing is decided here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from datetime import datetime

from payaid_entitlements.admin.asking import optional_instant
from payaid_entitlements.admin.change import Change
from payaid_entitlements.admin.flag_verbs import FlagVerbs
from payaid_entitlements.admin.forecasting import forecast_rollout
from payaid_entitlements.admin.metering_verbs import MeteringVerbs
from payaid_entitlements.admin.percent import Percent, share
from payaid_entitlements.admin.product_verbs import ProductVerbs
from payaid_entitlements.admin.reconciling import Reconciliation, reconcile
from payaid_entitlements.admin.rollout_verbs import RolloutVerbs
from payaid_entitlements.admin.rollouts import RolloutStep, step_rollouts
from payaid_entitlements.admin.subscription_verbs import SubscriptionVerbs
from payaid_entitlements.admin.tenant_verbs import TenantVerbs
from payaid_entitlements.admin.trail import AuditEntry, Trail
from payaid_entitlements.cache.driving import AsyncDriver, Driver
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Flow
from payaid_entitlements.core.flags.forecasting import Forecast
from payaid_entitlements.core.identity import identify, plain
from payaid_entitlements.core.instant import instant


class Admin(
    SubscriptionVerbs[Change],
    TenantVerbs[Change],
    MeteringVerbs[Change],
    ProductVerbs[Change],
    RolloutVerbs[Change],
    FlagVerbs[Change],
):
    """
    Changes what is sold and who holds it, as somebody: ``ent.admin("asha", because="INC-4711")``.

    Shares the caches of the client that made it: its process sees a change at once, others within five seconds.
    """

    def __init__(
        self, driver: Driver, setting: Setting, actor: str, *, because: str | None = None, dry_run: bool = False
    ) -> None:
        super().__init__(setting, actor, because=because, dry_run=dry_run)
        self._driver = driver

    def _change(self, flow: Flow[Change]) -> Change:
        return self._driver.run(flow)

    def reconcile(
        self,
        tenant: str,
        feature: str,
        holders: Iterable[str],
        *,
        as_of: datetime | None = None,
        because: str | None = None,
    ) -> Reconciliation:
        """
        Bring the slots of an allocation in line with your own rows: ``ent.admin("asha", dry_run=True)`` only reports.

        Slots of others are freed, and *holders* without one get one, also beyond what is sold. That it was done is in
        the audit trail.

        Args:
            holders: All there are, by the ids that `assign` was given.
            as_of: When you read them: slots that were given later stay. None where nobody gets one meanwhile.

        Raises:
            TypeError: A holder is nobody, or the feature is no allocation.
            ConfigurationError: It is counted on your own rows, or there is no ledger.
            StoreUnavailable: No answer; some may be repaired. Repeating it repairs the rest.
        """
        author, at = self._by(because), optional_instant(as_of)
        return self._driver.run(reconcile(self._setting, author, tenant, feature, holders, at))

    def forecast(
        self,
        flag: str,
        percent: Percent,
        *,
        rule: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Forecast:
        """
        Count beforehand whom `rollout` would move: who enters, who leaves, who changes arm. Writes nothing.

        All tenants are listed, page by page. Users are not known here: of a flag that buckets by them none is counted.

        Args:
            percent, rule: As for `rollout`.
            progress: Is told, after each page, how many were counted.

        Raises:
            UnknownFlag: There is no such flag.
            ConfigurationError: It cannot be rolled out so.
        """
        return self._driver.run(_forecast(self._setting, flag, percent, rule, progress))

    def step_rollouts(self, flags: Iterable[str] | None = None, *, because: str | None = None) -> list[RolloutStep]:
        """
        Let guarded rollouts go on by one step where it is time, or back where a guard is broken.

        Processes that measure do this by themselves. Call it from a task of yours where nothing measures: a rollout
        that waits for approval or for time alone. Of many that do so at once one makes each step.

        Args:
            flags: Only these; None for all.
            because: Why; what was measured, if left out.

        Returns:
            What happened, by flag; empty where nothing did.

        Raises:
            StoreUnavailable: No answer; some may have gone on. Repeating it is safe.
        """
        return self._driver.run(step_rollouts(self._setting, self._by(because), _keys(flags)))

    def audit(
        self,
        tenant: str | None = None,
        *,
        feature: str | None = None,
        flag: str | None = None,
        since: datetime | None = None,
    ) -> Iterator[AuditEntry]:
        """
        Read who changed what, oldest first, page by page while you iterate.

        Args:
            feature: Only what names this module or feature: its overrides, kill switches and modes.
            flag: Only what names this flag: its changes, and its kill switch.
            since: Only what was recorded then or later.
        """
        trail = _trail(tenant, feature, flag, since)
        return self._pages(trail)

    def _pages(self, trail: Trail) -> Iterator[AuditEntry]:
        after: int | None = 0
        while after is not None:
            entries, after = self._driver.run(trail.page(after))
            yield from entries


_Awaited = Coroutine[object, object, Change]


class AsyncAdmin(
    SubscriptionVerbs[_Awaited],
    TenantVerbs[_Awaited],
    MeteringVerbs[_Awaited],
    ProductVerbs[_Awaited],
    RolloutVerbs[_Awaited],
    FlagVerbs[_Awaited],
):
    """Same as `Admin`, awaited; `audit` is an asynchronous iterator."""

    def __init__(
        self, driver: AsyncDriver, setting: Setting, actor: str, *, because: str | None = None, dry_run: bool = False
    ) -> None:
        super().__init__(setting, actor, because=because, dry_run=dry_run)
        self._driver = driver

    def _change(self, flow: Flow[Change]) -> _Awaited:
        return self._driver.run(flow)

    async def reconcile(
        self,
        tenant: str,
        feature: str,
        holders: Iterable[str],
        *,
        as_of: datetime | None = None,
        because: str | None = None,
    ) -> Reconciliation:
        """Same as `Admin.reconcile`, awaited."""
        author, at = self._by(because), optional_instant(as_of)
        return await self._driver.run(reconcile(self._setting, author, tenant, feature, holders, at))

    async def forecast(
        self,
        flag: str,
        percent: Percent,
        *,
        rule: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Forecast:
        """Same as `Admin.forecast`, awaited."""
        return await self._driver.run(_forecast(self._setting, flag, percent, rule, progress))

    async def step_rollouts(
        self, flags: Iterable[str] | None = None, *, because: str | None = None
    ) -> list[RolloutStep]:
        """Same as `Admin.step_rollouts`, awaited."""
        return await self._driver.run(step_rollouts(self._setting, self._by(because), _keys(flags)))

    def audit(
        self,
        tenant: str | None = None,
        *,
        feature: str | None = None,
        flag: str | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[AuditEntry]:
        """Same as `Admin.audit`."""
        trail = _trail(tenant, feature, flag, since)
        return self._pages(trail)

    async def _pages(self, trail: Trail) -> AsyncIterator[AuditEntry]:
        after: int | None = 0
        while after is not None:
            entries, after = await self._driver.run(trail.page(after))
            for entry in entries:
                yield entry


def _forecast(
    setting: Setting, flag: str, percent: Percent, rule: str | None, progress: Callable[[int], None] | None
) -> Flow[Forecast]:
    which = None if rule is None else plain("rule", rule)
    return forecast_rollout(setting, plain("flag", flag), share(percent), which, progress)


def _trail(tenant: str | None, feature: str | None, flag: str | None, since: datetime | None) -> Trail:
    whose, begin = None if tenant is None else identify("tenant", tenant), None if since is None else instant(since)
    return Trail(whose, frozenset(key for key in (feature, flag) if key is not None), begin)


def _keys(flags: Iterable[str] | None) -> frozenset[str] | None:
    if isinstance(flags, str):
        raise TypeError(f"flags is several keys, such as [{flags!r}]")
    return None if flags is None else frozenset(flags)
