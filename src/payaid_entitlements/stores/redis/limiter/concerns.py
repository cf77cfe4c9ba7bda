"""What about a Redis, as it is configured, breaks what a limiter promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from payaid_entitlements.stores.ports import Concern

#: Seconds to connect, and to wait for an answer.
PATIENCE: Final = 0.05

#: Seconds for which a connection waits longer, where an event loop that stood still is told from a server that does.
SLACK: Final = 0.5

#: What is asked, with a key that says whom.
INFO: Final = ("INFO", "memory")


def concerns_of(info: Mapping[str, Any], *, waits: float | None) -> Sequence[Concern]:
    """
    Read what a server says of itself.

    Args:
        waits: Seconds for which a client waits for an answer; None where a host has made it, and it may ask again.
    """
    concerns = []
    if waits is None or waits > PATIENCE:
        how = "the client is yours, with your timeouts and retries" if waits is None else f"socket_timeout is {waits:g}"
        concerns.append(
            Concern(
                "a Redis that stands still holds nobody up for longer than 50 ms",
                f"{how}: each call waits for so long",
                "open the limiter by a URL without socket_timeout",
            )
        )
    policy = info.get("maxmemory_policy", "noeviction")
    policy = policy.decode() if isinstance(policy, bytes) else str(policy)
    if int(info.get("maxmemory", 0)) and policy != "noeviction":
        concerns.append(
            Concern(
                "what was counted is held against later calls",
                f"maxmemory-policy is {policy}: a server that is full removes counters",
                "give it memory for 200 bytes for each counter of a window, or a server of its own for caches",
            )
        )
    return tuple(concerns)
