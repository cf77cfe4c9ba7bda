"""The two clients that change things. They perform what the verbs ask; nothing is decided here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from datetime import datetime

from payaid_entitlements.admin.asking import optional_instant
from payaid_entitlements.admin.change import Change
from payaid_entitlements.admin.metering_verbs import MeteringVerbs
from payaid_entitlements.admin.product_verbs import ProductVerbs
from payaid_entitlements.admin.reconciling import Reconciliation, reconcile
from payaid_entitlements.admin.subscription_verbs import SubscriptionVerbs
from payaid_entitlements.admin.tenant_verbs import TenantVerbs
from payaid_entitlements.admin.trail import AuditEntry, Trail
from payaid_entitlements.cache.driving import AsyncDriver, Driver
from payaid_entitlements.cache.loading import Setting
from payaid_entitlements.cache.steps import Flow
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.instant import instant


class Admin(SubscriptionVerbs[Change], TenantVerbs[Change], MeteringVerbs[Change], ProductVerbs[Change]):
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

    def audit(
        self, tenant: str | None = None, *, feature: str | None = None, since: datetime | None = None
    ) -> Iterator[AuditEntry]:
        """
        Read who changed what, oldest first, page by page while you iterate.

        Args:
            feature: Only what names this module or feature: its overrides, kill switches and modes.
            since: Only what was recorded then or later.
        """
        trail = _trail(tenant, feature, since)
        return self._pages(trail)

    def _pages(self, trail: Trail) -> Iterator[AuditEntry]:
        after: int | None = 0
        while after is not None:
            entries, after = self._driver.run(trail.page(after))
            yield from entries


_Awaited = Coroutine[object, object, Change]


class AsyncAdmin(SubscriptionVerbs[_Awaited], TenantVerbs[_Awaited], MeteringVerbs[_Awaited], ProductVerbs[_Awaited]):
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

    def audit(
        self, tenant: str | None = None, *, feature: str | None = None, since: datetime | None = None
    ) -> AsyncIterator[AuditEntry]:
        """Same as `Admin.audit`."""
        trail = _trail(tenant, feature, since)
        return self._pages(trail)

    async def _pages(self, trail: Trail) -> AsyncIterator[AuditEntry]:
        after: int | None = 0
        while after is not None:
            entries, after = await self._driver.run(trail.page(after))
            for entry in entries:
                yield entry


def _trail(tenant: str | None, feature: str | None, since: datetime | None) -> Trail:
    return Trail(
        None if tenant is None else identify("tenant", tenant), feature, None if since is None else instant(since)
    )
