"""
Which counters a call has, and what is noted of it: what both colours share.

A call of a tenant that is near asks nobody but the limiter: what it counts on is remembered as long as what is near of
the tenant holds. Else the tenant is looked up as for a check; where the store gives no answer and nothing is near, the
limit's default holds, as the catalog says it with which the client was opened.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from payaid_entitlements.answering import look
from payaid_entitlements.cache.breaker import Breaker
from payaid_entitlements.cache.loading import hold_world
from payaid_entitlements.core.identity import identify, plain
from payaid_entitlements.core.ratelimit.limits import limits_of
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import StoreUnavailable, UnknownRateLimit
from payaid_entitlements.forking import after_fork
from payaid_entitlements.limiting.groups import Course, course_of, digest, is_of_tenant_alone, own_course
from payaid_entitlements.limiting.leasing import Leases
from payaid_entitlements.limiting.outage import PASSES, REFUSES, Standby
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.limiting.permits import Due
from payaid_entitlements.stores.limiter import AsyncLimiter, Counter, Group, Limiter

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.ratelimit.limits import Limit
    from payaid_entitlements.view import TenantView

#: Most courses that are remembered, of some 1.2 kB each; the oldest goes first.
_MOST: Final = 16_384
#: Quick failures in a row after which the limiter is left alone, and seconds for which it is at most.
_QUICK: Final = 5
_LONGEST: Final = 1.0


class Limiting:
    """
    What both colours share: which counters a call has, and what is noted of it.

    Args:
        processes: Among how many a limit is shared in an outage.
    """

    def __init__(self, setting: Setting, processes: int) -> None:
        self.setting = setting
        self.processes = processes
        self.standby = Standby(setting, processes)
        self.leases = Leases(setting.near.clock)
        self._is_ready = False
        #: How a counter stands on which nobody counts: for `answers`.
        self._nobody = Group(digest("nobody"), [Counter(digest("nothing"), Policy("nothing", Algorithm.GCRA, 1, 1, 1))])
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Wait for nobody and believe nothing, as after a fork."""
        self._lock = threading.Lock()
        self._courses: dict[tuple[str | None, ...], Course] = {}
        self._known_in: tuple[Catalog, Mapping[str, Limit]] | None = None
        self.due = Due()
        self.breaker = Breaker(
            "the limiter", self.setting.near.clock, quick=_QUICK, longest=_LONGEST, tell=self._tell_breaker
        )

    def _tell_breaker(self, state: Literal["closed", "open"]) -> None:
        self.setting.observer.count("breaker", "limiter", state)
        if state == "open":
            self.setting.observer.once(
                "breaker.open", of="limiter", meaning="it is left alone for a moment, again and again"
            )

    @property
    def is_needed(self) -> bool:
        """Has the catalog a rate limit, as far as it is known?"""
        world = self.setting.near.world
        return world is not None and bool(world.catalog.rate_limits)

    # -- which counters -----------------------------------------------------------------------------------------

    def near(self, tenant: str | None, key: str, user: str | None, address: str | None) -> Course | None:
        """The course of a call, where it is known and what is near of the tenant vouches for it."""
        near = self.setting.near
        held = near.held.get(tenant) if tenant is not None else None
        # Overrides of single users may end at other times.
        if held is None or not held.until > near.clock() < near.lease or (user is not None and held.users is not None):
            return None
        course = self._courses.get((tenant, key))
        if course is None or course.entry is not held:
            course = self._courses.get((tenant, key, user, address))
            if course is None or course.entry is not held:
                return None
        elif user is not None:
            identify("user", user)
        held.touched = 1
        return course

    def find(self, tenant: str | None, key: str, user: str | None, address: str | None) -> Flow[Course]:
        """
        Find the course of a call.

        Raises:
            UnknownRateLimit: The catalog has no such limit.
            TypeError: The limit counts by somebody who is not given, or an id identifies nobody.
            StoreUnavailable: Nothing is known, not even what is sold.
        """
        limits, view = yield from self._limits(tenant, key, user, address)
        course = course_of(limits, key, tenant, user, address)
        if view is not None and not view.stale:
            course.entry = view._entry
            of_all = is_of_tenant_alone(limits, key)
            self._keep((view.tenant, key) if of_all else (view.tenant, key, user, address), course)
        return course

    def find_own(self, tenant: str | None, key: str, user: str | None, address: str | None) -> Flow[Course]:
        """Find the counters of *key* alone; raises as `find` does."""
        limits, _ = yield from self._limits(tenant, key, user, address)
        return own_course(limits, key, tenant, user, address)

    def _limits(
        self, tenant: str | None, key: str, user: str | None, address: str | None
    ) -> Flow[tuple[Mapping[str, Limit], TenantView | None]]:
        plain("limit", key)
        if address is not None:
            identify("address", address)
        view = None
        if tenant is None:
            limits = yield from self._limits_of_nobody(key)
        else:
            view = yield from look(self.setting, tenant, user=user)
            limits = self._defaults(key) if view._world is None else view.rate_limits
        if key not in limits:
            raise UnknownRateLimit(f"the catalog has no rate limit {key!r}{did_you_mean(key, limits)}")
        return limits, view

    def _limits_of_nobody(self, key: str) -> Flow[Mapping[str, Limit]]:
        world = yield from hold_world(self.setting)
        return self._defaults(key) if world is None else self._limits_in(world.catalog)

    def _defaults(self, key: str) -> Mapping[str, Limit]:
        """The limits without any plan, as this version of the code expects them to be sold."""
        if self.setting.catalog is None:
            raise StoreUnavailable(
                f"the store gave no answer, so it is not known what the rate limit {key!r} is; "
                "a client that is opened with catalog= knows its default"
            )
        return self._limits_in(self.setting.catalog)

    def _limits_in(self, catalog: Catalog) -> Mapping[str, Limit]:
        """The defaults of *catalog*, worked out once: whoever floods a login is not to cost more than an answer."""
        known = self._known_in
        if known is None or known[0] is not catalog:
            self._known_in = known = catalog, limits_of(catalog)
        return known[1]

    def _keep(self, named: tuple[str | None, ...], course: Course) -> None:
        with self._lock:
            while len(self._courses) >= _MOST:
                del self._courses[next(iter(self._courses))]
            # A new one goes to the end.
            self._courses.pop(named, None)
            self._courses[named] = course

    # -- what is noted ------------------------------------------------------------------------------------------

    def _unasked(self, course: Course, cost: int) -> RateLimitOutcome:
        """The outcome where nothing is counted."""
        if not course.terms.is_denied:
            return RateLimitOutcome(course.terms, PASSES, cost)
        self.setting.observer.count("rate_limit.refused", course.terms.key)
        return RateLimitOutcome(course.terms, REFUSES, cost)

    def _observed(self, outcome: RateLimitOutcome) -> None:
        for name in outcome.would_be_limited_by:
            self.setting.observer.count("rate_limit.observed", name)

    def _prepared(self, limiter: Limiter | AsyncLimiter) -> None:
        self._is_ready = True
        for concern in limiter.concerns:
            self.setting.observer.once(
                "store.concern", promise=concern.promise, found=concern.found, way_out=concern.way_out
            )
