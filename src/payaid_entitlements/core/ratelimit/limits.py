"""What a rate limit of the catalog comes to for one tenant: the policies that its calls are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from payaid_entitlements.core.ratelimit.policy import Policy
from payaid_entitlements.core.ratelimit.rates import policies

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog, Plan, Rate, RateLimit

#: Whose calls are counted together.
Per = Literal["tenant", "user", "address"]
#: What holds while the limiter gives no answer.
OnOutage = Literal["open", "closed", "local_share"]


@dataclass(frozen=True, slots=True)
class Limit:
    """
    A rate limit as it holds for somebody.

    Attributes:
        policies: All of them hold; empty where nothing is limited.
        is_denied: An override lets no call pass at all.
        on_outage: What holds while the limiter gives no answer: each call passes, none does, or a share of the
            policies that is counted in this process.
        counts_toward: Keys of limits on which its calls are counted too.
        lease: Units that a process takes at once and then spends on its own; 1 asks for each call.
    """

    key: str
    per: Per
    policies: tuple[Policy, ...]
    on_outage: OnOutage = "local_share"
    is_denied: bool = False
    counts_toward: tuple[str, ...] = ()
    lease: int = 1


def limits_of(catalog: Catalog, *plans: Plan) -> Mapping[str, Limit]:
    """
    All rate limits of *catalog* as they hold for who has *plans*; without any, their defaults.

    Args:
        plans: The first one that names a limit counts, so that of the highest authority comes first.
    """
    return {key: limited(limit, named_by(limit, *plans)) for key, limit in catalog.rate_limits.items()}


def named_by(limit: RateLimit, *plans: Plan) -> tuple[Rate, ...]:
    """The rates of *limit* by the first of *plans* that names it, else its default."""
    for plan in plans:
        if limit.key in plan.rate_limits:
            return plan.rate_limits[limit.key]
    return limit.default


def limited(limit: RateLimit, rates: tuple[Rate, ...], *, is_denied: bool = False) -> Limit:
    """*limit* with *rates* in place of its default."""
    held = policies(limit, rates)
    return Limit(
        limit.key,
        limit.per,
        held,
        limit.on_outage,
        is_denied,
        limit.counts_toward,
        # A block of more than there ever is at once would never be given.
        min((limit.lease, *(policy.burst for policy in held))),
    )
