"""
Which version of a module answers a tenant: canaries, and blue beside green. A small pure decision; hosts route by it.

The position of a tenant is hashed from the name of the route and its id alone, so a tenant stays where it is from
request to request and in every process; and where the weight of a canary grows, tenants only move to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mmh3 import mmh3_32_uintdigest as murmur3

from payaid_entitlements.core.flags.hashed import exposure_bytes
from payaid_entitlements.core.flags.hashing import threshold
from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.core.instant import DAY, Instant
from payaid_entitlements.errors import ConfigurationError

#: So long the version before is kept, in microseconds, so that one can switch back to it at once.
KEPT_FOR = DAY


@dataclass(frozen=True, slots=True)
class Route:
    """
    Where requests to a module go.

    Attributes:
        name: What is hashed besides the tenant; never changes while anybody is to stay where it is.
        live: The version that answers everybody whom no canary answers.
        canaries: Versions beside it, with their shares in parts of `PARTS`, together at most all. The order is that
            of the positions: let a share grow at the end of the list, or others move too.
        pinned: Tenants that always get one version.
        previous: The version that was live before, and can be switched back to; None where there is none.
        kept_until: Until then it is there, exclusive; then its servers may go.
    """

    name: str
    live: str
    canaries: tuple[tuple[str, int], ...] = ()
    pinned: tuple[tuple[str, str], ...] = ()
    previous: str | None = None
    kept_until: Instant | None = None

    def __post_init__(self) -> None:
        shares = [share for _, share in self.canaries]
        if any(type(share) is not int or not 0 <= share <= PARTS for share in shares) or sum(shares) > PARTS:
            raise ConfigurationError(
                f"the canaries of {self.name!r} have shares of {shares}: each is a whole number from 0 to {PARTS}, and "
                f"so is their sum; {PARTS // 20} is 5%"
            )


def version(route: Route, tenant: str) -> str:
    """Say which version answers *tenant*."""
    for pinned, to in route.pinned:
        if pinned == tenant:
            return to
    position, reached = murmur3(exposure_bytes(route.name, route.name, tenant)), 0
    for canary, share in route.canaries:
        reached += share
        if position < threshold(reached):
            return canary
    return route.live


def needed(route: Route, at: Instant) -> frozenset[str]:
    """Say which versions must have servers at *at*: what anybody may be sent to, and what one may switch back to."""
    kept = route.kept_until is not None and at < route.kept_until
    return frozenset(
        {
            route.live,
            *(canary for canary, share in route.canaries if share),
            *(to for _, to in route.pinned),
            *((route.previous,) if kept and route.previous is not None else ()),
        }
    )


def promoted(route: Route, to: str, at: Instant, kept_for: int = KEPT_FOR) -> Route:
    """
    Let *to* answer everybody from *at* on, and keep what was live before.

    Args:
        kept_for: For how long it is kept, in microseconds.
    """
    if to == route.live:
        return replace(route, canaries=())
    return replace(route, live=to, canaries=(), previous=route.live, kept_until=at + kept_for)


def switched_back(route: Route, at: Instant, kept_for: int = KEPT_FOR) -> Route:
    """
    Let the version before answer everybody again, at once; what was live is kept in its place.

    Raises:
        ConfigurationError: There is none, or it is kept no more.
    """
    if route.canaries:
        # What is under way is called off first: the version that is live has answered all along.
        return replace(route, canaries=())
    if route.previous is None or route.kept_until is None or at >= route.kept_until:
        raise ConfigurationError(f"the route {route.name!r} has no version to switch back to; start one and promote it")
    return replace(route, live=route.previous, previous=route.live, kept_until=at + kept_for)
