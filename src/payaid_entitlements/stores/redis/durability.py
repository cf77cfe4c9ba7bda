"""Does a Redis keep what it has acknowledged? As configured: it is asked, as far as our user may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payaid_entitlements.stores.ports import Concern

#: What is asked, with the key that says whom; the second may be forbidden.
INFO = ("INFO",)
CONFIG = ("CONFIG", "GET", "appendfsync")


@dataclass(frozen=True, slots=True)
class Durability:
    """
    What is known of it.

    Attributes:
        is_durable: What is written survives the server's process.
        concerns: Same as `Store.concerns`.
    """

    is_durable: bool
    concerns: tuple[Concern, ...]


#: Before a server was asked.
UNKNOWN = Durability(False, ())


def durability_of(info: Mapping[str, Any], config: Mapping[Any, Any] | Sequence[Any]) -> Durability:
    """Read what a server says of itself; *config*, by name or in pairs, is empty where that is forbidden."""
    if not isinstance(config, Mapping):
        config = dict(zip(config[::2], config[1::2], strict=True))
    concerns: list[Concern] = []
    is_durable = True
    if not int(info.get("aof_enabled", 0)):
        is_durable = False
        concerns.append(
            Concern(
                "what was acknowledged survives a restart",
                "appendonly is no: all since the last snapshot is lost with the server",
                "set appendonly yes",
            )
        )
    else:
        said = {_text(name): _text(value) for name, value in config.items()}.get("appendfsync", "always")
        if said != "always":
            concerns.append(
                Concern(
                    "what was acknowledged survives losing power",
                    f"appendfsync is {said}",
                    "set appendfsync always, where a second of changes is too much to lose",
                )
            )
    policy = _text(info.get("maxmemory_policy", "noeviction"))
    if int(info.get("maxmemory", 0)) and policy.startswith("allkeys-"):
        is_durable = False
        concerns.append(
            Concern(
                "what was recorded is kept",
                f"maxmemory-policy is {policy}: a server that is full removes what was recorded",
                "set maxmemory-policy noeviction, or use a server of its own for caches",
            )
        )
    return Durability(is_durable, tuple(concerns))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
