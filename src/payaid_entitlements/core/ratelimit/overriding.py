"""Rate limits by hand: what an override may say of one, and what it comes to beside the plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from payaid_entitlements.core.ratelimit.limits import Limit, limited, limits_of
from payaid_entitlements.core.ratelimit.rates import rates_of
from payaid_entitlements.core.values import DENY, UNLIMITED, Deny, Value
from payaid_entitlements.core.written.keyspace import RATE_LIMITS
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, UnknownFeature

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog, Plan, Rate, RateLimit


def limit_named(catalog: Catalog, key: str) -> RateLimit | None:
    """The rate limit that ``rate_limits.KEY`` names; None where *key* is no such name, or there is none."""
    return catalog.rate_limits.get(key.removeprefix(RATE_LIMITS)) if key.startswith(RATE_LIMITS) else None


def require_limit(catalog: Catalog, key: str) -> RateLimit:
    """
    Find the rate limit that ``rate_limits.KEY`` names.

    Raises:
        UnknownFeature: There is none.
    """
    found = limit_named(catalog, key)
    if found is None:
        name = key.removeprefix(RATE_LIMITS)
        raise UnknownFeature(f"the catalog has no rate limit {name!r}{did_you_mean(name, catalog.rate_limits)}")
    return found


def override_of_limit(limit: RateLimit, to: object, user: str | None) -> Value | Deny:
    """
    Check what an override says of *limit*, and write it as it is kept: ``"500/hour"``, or a tuple of several.

    Raises:
        TypeError: *to* is of another type.
        ConfigurationError: *to* is no rate that the limit can have; or it is about one user, and users are not told
            apart.
    """
    key = f"{RATE_LIMITS}{limit.key}"
    if user is not None and limit.per != "user":
        raise ConfigurationError(
            f"rate limit {limit.key!r} is per {limit.per}, so one user has none of its own; "
            "override it for the tenant, or write `per: user` in the catalog"
        )
    if to is DENY or to is UNLIMITED:
        return to
    texts = [to] if isinstance(to, str) else list(to) if isinstance(to, tuple | list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise TypeError(
            f"{key!r} is a rate limit; override it with '500/hour', several such texts, UNLIMITED or DENY, "
            f"not with {type(to).__name__} ({to!r})"
        )
    try:
        read = rates_of(limit, texts)
    except ValueError as error:
        raise ConfigurationError(f"{key!r}: {error}") from error
    if not read:
        return UNLIMITED
    return texts[0] if len(texts) == 1 else tuple(texts)


def overridden(catalog: Catalog, plans: tuple[Plan, ...], said: Mapping[str, Value | Deny]) -> Mapping[str, Limit]:
    """As `limits_of`, where overrides say what *said* has; one that says what the limit cannot have says nothing."""
    found = dict(limits_of(catalog, *plans))
    for key, to in said.items():
        limit = limit_named(catalog, key)
        if limit is not None:
            by_hand = rates_by_hand(limit, to)
            if by_hand is not None:
                found[limit.key] = limited(limit, by_hand, is_denied=to is DENY)
    return found


def rates_by_hand(limit: RateLimit, to: Value | Deny) -> tuple[Rate, ...] | None:
    """
    What the override *to* lets through: nothing for no limit, and for no call at all.

    None where *limit* cannot have it any more: what was said when the catalog was another one.
    """
    match to:
        case str():
            texts = [to]
        case tuple():
            texts = list(to)
        case _:
            return () if to is UNLIMITED or to is DENY else None
    try:
        return rates_of(limit, texts)
    except ValueError:
        return None
