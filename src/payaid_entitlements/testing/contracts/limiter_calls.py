"""What the contract of limiters counts on: one of each algorithm, and calls that are held against it."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from dataclasses import replace
from typing import Final

from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.stores.limiter import Counter, Group, Limiter, Ruling

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
#: A window: so long that nothing runs out while a test takes its time, whatever clock a limiter forgets by. Five units
#: of it come out even, seven do not.
WINDOW: Final = 60 * MINUTE
#: When the tests call: in the middle of a window that is aligned to the epoch. 2027-01-15T08:30:00Z.
NOW: Final = 1_800_001_800_000_000

#: Five units in a window, in each way.
POLICIES: Final = tuple(Policy(f"five-{each}", each, 5, WINDOW, 5) for each in Algorithm)
#: Those that forget by themselves.
RATES: Final = tuple(each for each in POLICIES if each.algorithm is not Algorithm.CONCURRENCY)
FIVE: Final = POLICIES[0]
AT_ONCE: Final = POLICIES[-1]


def digest(*parts: object) -> str:
    """What stands for *parts* in a key: 26 characters of ``a-z2-7``."""
    return b32encode(hashlib.sha256(repr(parts).encode()).digest()).decode()[:26].lower()


def counter(policy: Policy, name: str = "limit") -> Counter:
    """A counter that is told from others by *name*, and by the policy's window and algorithm."""
    return Counter(digest(name, policy.window, policy.algorithm), policy)


def group(*policies: Policy, owner: str = "acme", name: str = "limit") -> Group:
    """One owner's counters of *policies*, made anew: as another process makes it."""
    return Group(digest(owner), [counter(each, name) for each in policies])


def observed(policy: Policy) -> Policy:
    """The same, counted and not enforced."""
    return replace(policy, is_enforced=False)


def call(
    limiter: Limiter, *policies: Policy, cost: int = 1, permit: int = 0, now: int = NOW, owner: str = "acme"
) -> Ruling:
    """Count one call; with no group that was used before."""
    return limiter.hit(group(*policies, owner=owner), cost, permit=permit, now=now)


def remaining(limiter: Limiter, *policies: Policy, now: int = NOW, owner: str = "acme") -> list[int]:
    """What could be taken at once, of each policy."""
    return [verdict.remaining for verdict in call(limiter, *policies, cost=0, now=now, owner=owner).verdicts]
