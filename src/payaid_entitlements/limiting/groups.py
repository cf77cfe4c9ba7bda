"""
From a limit to the counters of its calls: its own and those of the limits that it counts toward, in one group.

All of them are of one tenant, or all of one address, since the catalog lets a limit count toward no other ones.
Counters are named by digests: no text of a caller reaches a key of Redis or a column.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.limiting.outcome import Terms
from payaid_entitlements.stores.limiter import Counter, Group

if TYPE_CHECKING:
    from payaid_entitlements.cache.local import Entry
    from payaid_entitlements.core.ratelimit.limits import Limit, OnOutage
    from payaid_entitlements.limiting.leasing import Block

#: Characters of a digest: 130 bits, so that of a million million counters two share a name by a chance of 1 in 10^15.
_LENGTH: Final = 26
#: The stricter goes before, where several limits that are counted together say different things.
_STRICTEST: Final[tuple[OnOutage, ...]] = ("closed", "local_share", "open")


class Course:
    """
    All that a call of one limit goes through, for one tenant, user and address: made once, used for all that are alike.

    Attributes:
        group: Its counters; None where nothing limits, or an override lets no call pass.
        terms: What the counters are held against, in their order.
        on_outage: What holds while the limiter gives no answer: the strictest of the limits that may refuse.
        is_held: It has permits that are given back: calls of it are for `concurrent` only.
        is_observed: Some of its policies are only observed.
        lease: Units that this process takes at once and then spends on its own; 1 where it asks for each call.
        entry: What was near of the tenant when it was made: it holds as long as that does.
        share: The same group with a share of its quotas, once an outage has asked for it.
        block: What this process has taken of its counters, once it has.
    """

    __slots__ = ("block", "entry", "group", "is_held", "is_observed", "lease", "on_outage", "share", "terms")

    def __init__(self, limit: Limit, group: Group | None, on_outage: OnOutage) -> None:
        policies = () if group is None else tuple(counter.policy for counter in group.counters)
        self.group = group
        self.terms = Terms(limit.key, policies, limit.is_denied)
        self.on_outage: OnOutage = on_outage
        self.is_held = any(policy.algorithm is Algorithm.CONCURRENCY for policy in policies)
        self.is_observed = not all(policy.is_enforced for policy in policies)
        # A permit is somebody's, and what is only observed is told of each call.
        self.lease = 1 if self.is_held or self.is_observed else limit.lease
        self.entry: Entry | None = None
        self.share: Group | None = None
        self.block: Block | None = None


def course_of(
    limits: Mapping[str, Limit], key: str, tenant: str | None, user: str | None, address: str | None
) -> Course:
    """
    Find the counters of a call of *key*: its own, and those of the limits that it counts toward.

    Args:
        limits: As they hold for the tenant and the user.
        tenant: None where nobody has logged in: then only a limit of addresses has a counter.

    Raises:
        TypeError: A limit counts by somebody who is not given.
    """
    counted = list(_counted(limits, key))
    # What refuses nobody, since it is observed or lets everything pass, refuses nobody in an outage either.
    refusing = (limit.on_outage for limit in counted if any(policy.is_enforced for policy in limit.policies))
    on_outage: OnOutage = min(refusing, key=_STRICTEST.index, default="open")
    if any(limit.is_denied for limit in counted):
        # Nothing is counted, and nobody has to be named.
        return Course(replace(limits[key], is_denied=True), None, on_outage)
    counters = [each for limit in counted for each in _counters(limit, tenant, user, address)]
    if not counters:
        return Course(limits[key], None, on_outage)
    is_of_address = limits[key].per == "address"
    owner = digest("address", _network(address or "")) if is_of_address else digest("tenant", tenant or "")
    return Course(limits[key], Group(owner, counters), on_outage)


def own_course(
    limits: Mapping[str, Limit], key: str, tenant: str | None, user: str | None, address: str | None
) -> Course:
    """
    Find the counters of *key* alone, without those of the limits that it counts toward, also where it is denied.

    Raises:
        TypeError: As `course_of`.
    """
    return course_of({key: replace(limits[key], counts_toward=(), is_denied=False)}, key, tenant, user, address)


def _network(address: str) -> str:
    """*address* as it is counted: who has a network of IPv6 addresses is one caller. Another text is as it is."""
    # Loaded by who limits addresses: what knows them takes a millisecond of everybody's start otherwise.
    from payaid_entitlements.core.ratelimit.address import counted_by, read_address

    read = read_address(address)
    return address if read is None else counted_by(read)


def is_of_tenant_alone(limits: Mapping[str, Limit], key: str) -> bool:
    """Is it the same for all users and addresses of a tenant?"""
    return all(limit.per == "tenant" for limit in _counted(limits, key))


def digest(*parts: str) -> str:
    """Name *parts* by 26 characters of ``a-z2-7``: each with its length before it, so that no two lists are alike."""
    hashed = hashlib.sha256()
    for part in parts:
        said = part.encode()
        hashed.update(len(said).to_bytes(8, "big"))
        hashed.update(said)
    return b32encode(hashed.digest()).decode()[:_LENGTH].lower()


def _counted(limits: Mapping[str, Limit], key: str) -> Iterator[Limit]:
    """The limit *key* and all that it counts toward, however far, each once."""
    ahead, seen = [key], {key}
    for each in ahead:
        limit = limits[each]
        yield limit
        for other in limit.counts_toward:
            if other not in seen:
                seen.add(other)
                ahead.append(other)


def _counters(limit: Limit, tenant: str | None, user: str | None, address: str | None) -> Iterator[Counter]:
    whose = _whose(limit, tenant, user, address)
    for policy in limit.policies:
        # What was counted stays counted where the quota or the burst changes: they are no part of the name.
        yield Counter(digest(*whose, limit.key, policy.algorithm.value, str(policy.window)), policy)


def _whose(limit: Limit, tenant: str | None, user: str | None, address: str | None) -> tuple[str, ...]:
    if limit.per == "address":
        if address is None:
            raise TypeError(
                f"the rate limit {limit.key!r} counts by address, and none is given: pass address=, which a web gate "
                "takes from the request, as far as it trusts the proxies before it"
            )
        return ("address",)
    if tenant is None:
        raise TypeError(f"the rate limit {limit.key!r} counts by {limit.per}, and tenant is None: whose call is it?")
    if limit.per == "tenant":
        return ("tenant",)
    if user is None:
        raise TypeError(
            f"the rate limit {limit.key!r} counts by user, and none is given: pass user=, or bind one with "
            "ent.bind(tenant, user=...); all users together would share one counter"
        )
    return "user", user
