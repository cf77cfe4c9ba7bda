"""What a request needs to be let in, and asking for it: the same in every framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from payaid_entitlements.binding import Binding
from payaid_entitlements.core.catalog.model import Catalog, Kind
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.ratelimit.policy import MOST_UNITS
from payaid_entitlements.core.values import Amount
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, TenantUnidentified
from payaid_entitlements.guards.limiting import Limited, enforce_limits, enforce_limits_async
from payaid_entitlements.guards.requirement import Rank, Requirement, enforce, enforce_async
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.versions.ranges import Range


@dataclass(frozen=True, slots=True)
class Needs:
    """
    What is asked before a route runs: is it there, then rate limits, then modules, features and flags in that order.

    Attributes:
        limits: Counted for whoever is bound.
        requirements: Sorted by their rank.
        versions: Of the API that have the route; nobody is asked about where there are none.
        quotas: By feature, units that a request uses up behind all that, under the name that its client gives.
        only: The one requirement, where that is all and one decision answers it; None otherwise.
    """

    limits: tuple[Limited, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    versions: tuple[Range, ...] = ()
    quotas: tuple[tuple[str, Amount], ...] = ()
    only: Requirement | None = field(init=False, compare=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if len(self.requirements) == 1 and not (self.limits or self.versions or self.quotas):
            [need] = self.requirements
            if need.legacy is None and need.rank is not Rank.FLAG:
                object.__setattr__(self, "only", need)

    def __add__(self, other: Needs) -> Needs:
        """Both."""
        needs = dict.fromkeys((*self.requirements, *other.requirements))
        return Needs(
            tuple(dict.fromkeys((*self.limits, *other.limits))),
            tuple(sorted(needs, key=lambda need: need.rank)),
            tuple(dict.fromkeys((*self.versions, *other.versions))),
            tuple({**dict(self.quotas), **dict(other.quotas)}.items()),
        )

    @property
    def is_entitling(self) -> bool:
        """Does it ask what somebody holds? How often is not who: a limit alone lets everybody pass."""
        return bool(self.requirements or self.quotas)


def ask(binding: Binding, needs: Needs) -> None:
    """
    Return only if whoever is bound may pass.

    Raises:
        Refused, StoreUnavailable, TenantUnidentified, TypeError: As `enforce_limits` and `enforce` say.
        UnknownApiVersion, ConfigurationError: As `Range.require` says.
    """
    if needs.only is not None and is_plainly_met(binding, needs.only):
        return
    for versions in needs.versions:
        versions.require()
    if needs.limits:
        _require_named(binding.view, needs.limits)
        enforce_limits(binding, needs.limits)
    if needs.requirements:
        enforce(binding, needs.requirements)


def is_plainly_met(binding: Binding, need: Requirement) -> bool:
    """
    Does a young view say yes, with nothing to be noted about it? Everything else, also every no, takes the long way.

    By parts of the view, as guards do it: this is what most requests come to.
    """
    view = binding.view
    table = view._table if (need.access or binding.access) == "write" else view._reads
    return table[need.key].settled and view._clock() < view._expires


async def ask_async(binding: Binding, needs: Needs) -> None:
    """Same as `ask`, awaited."""
    if needs.only is not None and binding.is_found and is_plainly_met(binding, needs.only):
        return
    for versions in needs.versions:
        versions.require()
    if needs.limits:
        _require_named(await binding.found_async(), needs.limits)
        await enforce_limits_async(binding, needs.limits)
    if needs.requirements:
        await enforce_async(binding, needs.requirements)


def _require_named(view: TenantView, limits: Iterable[Limited]) -> None:
    """
    Refuse a request of no user where somebody counts by user.

    Raises:
        TenantUnidentified: It is one.
    """
    if view.user is None:
        for each in limits:
            limit = view.rate_limits.get(each.key)
            if limit is not None and limit.per == "user":
                raise TenantUnidentified(f"the request names no user, and {each.key!r} counts by user")


def unknown(catalog: Catalog | None, need: Requirement) -> Iterator[str]:
    """
    Say what is wrong with the key of *need*.

    Nothing where no catalog was given, and of flags, since the store may know more of them.
    """
    if catalog is None or need.rank is Rank.FLAG:
        return
    if need.rank is Rank.LIMIT:
        yield from _unknown_limit(catalog, need.key)
        return
    if need.rank is Rank.QUOTA:
        yield from _unknown_quota(catalog, need.key)
        return
    keys = catalog.modules if need.rank is Rank.MODULE else catalog.features
    if need.key not in keys:
        others = catalog.features if need.rank is Rank.MODULE else catalog.modules
        word = need.rank.name.lower()
        if need.key in others:
            yield f"{need.key!r} is no {word}; use require_{'feature' if need.rank is Rank.MODULE else 'module'}"
        else:
            yield f"the catalog has no {word} {need.key!r}{did_you_mean(need.key, [*keys, *others])}"


def _unknown_limit(catalog: Catalog, key: str) -> Iterator[str]:
    if key not in catalog.rate_limits:
        yield f"the catalog has no rate limit {key!r}{did_you_mean(key, catalog.rate_limits)}"
    elif catalog.rate_limits[key].is_at_once:
        yield f"{key!r} limits what runs at once; hold a permit inside the route, with ent.concurrent(...)"


def _unknown_quota(catalog: Catalog, key: str) -> Iterator[str]:
    feature = catalog.features.get(key)
    if feature is None:
        yield f"the catalog has no feature {key!r}{did_you_mean(key, catalog.features)}"
    elif feature.kind not in (Kind.QUOTA, Kind.CREDIT):
        yield f"{key!r} is of kind {feature.kind}, which is not used up"


#: What asks for it, where it is no ``require_...``.
_CALLED: Final = {Rank.LIMIT: "rate_limit", Rank.QUOTA: "consume_quota"}


def require_known(catalog: Catalog | None, need: Requirement, *, of: str = "gate") -> None:
    """
    Refuse a key that *catalog* does not have.

    Args:
        of: What the verb belongs to that was called, for the message.

    Raises:
        ConfigurationError: It has not. Where no catalog was given, nothing is known before the first question.
    """
    for mistake in unknown(catalog, need):
        called = _CALLED.get(need.rank) or f"require_{need.rank.name.lower()}"
        raise ConfigurationError(f"{of}.{called}({need.key!r}): {mistake}")


def require_countable(
    catalog: Catalog | None,
    key: str,
    *,
    called: str,
    has_user: bool,
    has_address: bool,
    before_login: bool = False,
) -> None:
    """
    Refuse a limit that would fail with each request.

    Args:
        key: Of the limit; *catalog* has it.
        called: How whoever counts is made, for the message: ``"Gate"``.
        has_user, has_address: Is it known there from whom, and from where, a request comes?
        before_login: Is it counted where nobody has logged in yet?

    Raises:
        ConfigurationError: It counts by somebody who is not known there.
    """
    if before_login and not has_address:
        raise ConfigurationError(
            f"gate.rate_limit({key!r}, before_login=True) counts by address: say {called}(..., proxies=0), or more"
        )
    limit = None if catalog is None else catalog.rate_limits[key]
    if limit is None:
        return
    wrong = f"gate.rate_limit({key!r}): it counts by {limit.per}"
    if before_login and limit.per != "address":
        raise ConfigurationError(f"{wrong}, which is not known before_login")
    if limit.per == "user" and not has_user:
        raise ConfigurationError(f"{wrong}: say {called}(..., user=...)")
    if limit.per == "address" and not has_address:
        raise ConfigurationError(f"{wrong}: say {called}(..., proxies=0), or more")


def counted(limit: str, cost: int, *, of: str = "gate") -> Limited:
    """
    Say on which limit a request is counted.

    Raises:
        ConfigurationError: *cost* is no number of units that a request can weigh.
        TypeError: *limit* is no key.
    """
    if type(cost) is not int or not 1 <= cost <= MOST_UNITS:
        raise ConfigurationError(f"{of}.rate_limit({limit!r}): cost is {cost!r}; it is 1 to {MOST_UNITS:,} units")
    return Limited(identify("limit", limit), cost)
