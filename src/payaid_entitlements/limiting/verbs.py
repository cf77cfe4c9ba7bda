"""What applications call to limit calls: `rate_limit` and what belongs to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.limiting.permits import draw, pauses, require_held

if TYPE_CHECKING:
    from payaid_entitlements.cache.driving import Driver
    from payaid_entitlements.limiting.asking import SyncLimiting


class LimitingVerbs:
    """The verbs of `Entitlements` that limit calls."""

    _driver: Driver
    _limiting: SyncLimiting

    def rate_limit(
        self, tenant: str | None, limit: str, *, cost: int = 1, user: str | None = None, address: str | None = None
    ) -> RateLimitOutcome:
        """
        Count a call on a rate limit of the catalog, and on those that it counts toward, or raise and count nothing.

        Exact among all processes: of two who want the last unit one gets it.

        Args:
            tenant: Whose call it is; None where nobody has logged in, for limits that count by address.
            limit: Key of the limit.
            cost: Units that the call weighs; 0 asks how things stand.
            user: Whose call it is among the tenant's, for limits that count by user, and for overrides of a user.
            address: Where it comes from, as far as you trust what told you. An IPv6 address counts by its /64 network.

        Raises:
            RateLimited: There is no room; ``.outcome`` says where, and when there is.
            UnknownRateLimit: The catalog has no such limit.
            StoreUnavailable: The limiter gave no answer, and the limit's ``on_outage`` lets nobody pass then.
            TypeError: The limit counts by somebody who is not given, an id identifies nobody, or the limit is one of
                so many at once: that is `concurrent`.
            ConfigurationError: There is no limiter, or no limit ever lets so many units through.
        """
        limiting = self._limiting
        course = limiting.near(tenant, limit, user, address)
        if course is None:
            course = self._driver.ask(limiting.find(tenant, limit, user, address))
        outcome = limiting.ask(course, cost)
        return outcome if outcome.allowed else outcome.or_raise(tenant=tenant)

    def try_rate_limit(
        self, tenant: str | None, limit: str, *, cost: int = 1, user: str | None = None, address: str | None = None
    ) -> RateLimitOutcome:
        """
        Same as `rate_limit`, but a refusal is a value: ask its ``.allowed``. An outage is one too.

        Raises:
            UnknownRateLimit, TypeError, ConfigurationError: As for `rate_limit`.
            StoreUnavailable: Nothing is known, not even which limits there are.
        """
        limiting = self._limiting
        course = limiting.near(tenant, limit, user, address)
        if course is None:
            course = self._driver.ask(limiting.find(tenant, limit, user, address))
        return limiting.ask(course, cost)

    def rate_limit_status(
        self, tenant: str | None, limit: str, *, user: str | None = None, address: str | None = None
    ) -> RateLimitOutcome:
        """Say how a limit stands, and count nothing; raises as `try_rate_limit` does."""
        return self.try_rate_limit(tenant, limit, cost=0, user=user, address=address)

    def reset_rate_limit(
        self, tenant: str | None, limit: str, *, user: str | None = None, address: str | None = None
    ) -> None:
        """
        Forget what was counted on a limit; what it counts toward stays counted.

        Raises:
            StoreUnavailable: The limiter gave no answer.
            UnknownRateLimit, TypeError, ConfigurationError: As for `rate_limit`.
        """
        limiting = self._limiting
        limiting.forget(self._driver.ask(limiting.find_own(tenant, limit, user, address)))

    @contextmanager
    def concurrent(
        self,
        tenant: str | None,
        limit: str,
        *,
        user: str | None = None,
        address: str | None = None,
        wait: timedelta | None = None,
    ) -> Iterator[RateLimitOutcome]:
        """
        Hold a permit of a limit of so many at once inside the block.

        A process that is killed holds its permits for as long as the limit says (``held``); so does a block that takes
        longer than that, whose permit somebody else may get meanwhile.

        Args:
            wait: Try again for so long, in total, where all permits are held; None refuses at once.

        Raises:
            RateLimited: No permit was free.
            TypeError: The limit is not one of so many at once, or as for `rate_limit`.
            UnknownRateLimit, StoreUnavailable, ConfigurationError: As for `rate_limit`.
        """
        limiting = self._limiting
        course = limiting.near(tenant, limit, user, address)
        if course is None:
            course = self._driver.ask(limiting.find(tenant, limit, user, address))
        require_held(course)
        permit = draw()
        outcome = limiting.ask(course, 1, permit)
        try:
            for pause in pauses(wait):
                if outcome.allowed or outcome.retry_after is None:
                    break
                time.sleep(pause)
                outcome = limiting.ask(course, 1, permit)
            yield outcome.or_raise(tenant=tenant)
        finally:
            limiting.give_back(course, permit, outcome)
