"""What a rule sees besides the attributes: the key of the flag, and the time that the question is about."""

from __future__ import annotations

from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.instant import MICROSECONDS


def flagd(context: FlagContext, key: str) -> dict[str, object]:
    """What is called ``$flagd``: the flag's key, and the time in whole seconds since 1970."""
    return {"flagKey": key, "timestamp": context.at // MICROSECONDS}


def whole(context: FlagContext, key: str) -> dict[str, object]:
    """All attributes with ``$flagd``, over which nobody's own attribute counts."""
    return {**context.attributes, "$flagd": flagd(context, key)}
