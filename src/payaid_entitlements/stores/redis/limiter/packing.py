"""A group as the script takes it: its keys, and one argument with all numbers as doubles; and what the answer means."""

from __future__ import annotations

import struct
from typing import Final

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.ratelimit.deciding import decide
from payaid_entitlements.core.ratelimit.policy import MOST_UNITS, Algorithm, Policy
from payaid_entitlements.stores.limiter import Group, Ruling

#: In place of an instant: the server's own clock.
OUR_CLOCK: Final = -(2**60)

#: What begins an argument: now, cost and permit.
_begin: Final = struct.Struct("<ddd").pack
#: A policy: its kind, and five numbers.
_policy: Final = struct.Struct("<Bddddd").pack

#: How the script calls the algorithms; one more where the policy is enforced.
_KINDS: Final = {
    Algorithm.GCRA: 0,
    Algorithm.FIXED_WINDOW: 2,
    Algorithm.SLIDING_COUNTER: 4,
    Algorithm.SLIDING_LOG: 6,
    Algorithm.CONCURRENCY: 8,
}


class Packed:
    """
    A group, made ready once for all its calls.

    Attributes:
        at: What all keys of the limiter begin with.
        keys: Of its counters.
        once: The argument of its most frequent call: of one unit, by the server's clock.
        permits: Keys of those that count who is at work, and for each of them how long it lives at most, in ms.
    """

    __slots__ = ("_policies", "_text", "at", "keys", "once", "permits")

    def __init__(self, group: Group, at: str) -> None:
        self.at = at
        # The owner's counters are on one server of a cluster.
        self.keys = tuple(f"{at}{{{group.owner}}}:{counter.key}".encode() for counter in group.counters)
        self._policies = tuple(counter.policy for counter in group.counters)
        self._text = b"".join(map(_packed, self._policies))
        self.once = self.asked(1, 0, None)
        self.permits = tuple(
            (key, 2 * policy.window // 1000 + 1)
            for key, policy in zip(self.keys, self._policies, strict=True)
            if policy.algorithm is Algorithm.CONCURRENCY
        )

    def asked(self, cost: int, permit: int, now: Instant | None) -> bytes:
        """Write the argument of a call. A *cost* beyond all quotas is as good as any other that is."""
        return _begin(OUR_CLOCK if now is None else now, min(cost, MOST_UNITS + 1), permit) + self._text

    def ruling(self, answer: bytes, cost: int, permit: int) -> Ruling:
        """Read what the script has answered to such a call."""
        said, *found = answer.split(b",")
        now = int(said[1:])
        # The script has left out what cannot be read.
        states = [tuple(map(int, text.split())) for text in found]
        return Ruling(said.startswith(b"1"), now, decide(self._policies, states, now, cost, permit).verdicts)


def _packed(policy: Policy) -> bytes:
    kind = _KINDS[policy.algorithm] + policy.is_enforced
    if policy.algorithm is not Algorithm.GCRA:
        return _policy(kind, policy.quota, policy.window, 0, 0, 0)
    quota = policy.quota
    return _policy(kind, quota, *divmod(policy.window, quota), *divmod(policy.burst * policy.window, quota))
