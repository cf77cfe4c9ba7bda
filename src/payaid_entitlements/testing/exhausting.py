"""Using up a quota for a test, or giving back what was used, until just so much is left."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from payaid_entitlements.answering import look
from payaid_entitlements.core.metering.amounts import to_amount, to_units
from payaid_entitlements.core.metering.lots import debit
from payaid_entitlements.core.metering.posting import Adjust, Posting
from payaid_entitlements.core.metering.usage import Usage, cap_of, usage
from payaid_entitlements.core.values import UNLIMITED
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.metering.judging import require_countable
from payaid_entitlements.metering.posting import post
from payaid_entitlements.metering.reading import read

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.values import Amount


def exhaust(setting: Setting, tenant: str, feature: str, leave: Amount) -> Flow[Usage]:
    """
    Same as `Sandbox.exhaust`.

    Raises:
        UnknownFeature: The catalog has no such feature.
        TypeError: It is not used up.
        ConfigurationError: It has no limit, or *leave* is more than that.
    """
    view = yield from look(setting, tenant)
    metered = require_countable(view, feature)
    wanted = to_units(leave, metered.feature, least=0)
    (balances,) = yield from read(setting, view, (metered,))
    said = usage(metered, balances)
    if said.remaining is UNLIMITED:
        raise ConfigurationError(f"{feature!r} has no limit for {tenant!r}: it is never used up")
    surplus = to_units(said.remaining, metered.feature, least=0) - wanted
    made: Posting = debit(metered, surplus)
    if surplus < 0:
        # What is beyond the limit goes first, and no lot is given more than it holds.
        line, balance = metered.lines[metered.sink], balances[metered.sink]
        within = min(balance.used, (cap_of(line, balance) or 0) - balance.held)
        if within + surplus * line.cost < 0:
            most = to_amount(wanted + surplus + within // line.cost, metered.feature)
            raise ConfigurationError(f"of {feature!r} at most {most} can be left to {tenant!r}")
        made = Adjust(line, within + surplus * line.cost - balance.used)
    if surplus:
        yield from post(setting, view, (made,), f"exhaust:{secrets.token_hex(8)}", "exhaust", None)
        (balances,) = yield from read(setting, view, (metered,))
    return usage(metered, balances)
