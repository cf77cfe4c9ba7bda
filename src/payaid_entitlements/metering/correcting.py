"""Correcting by hand what is counted as used: up or down, whatever the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from payaid_entitlements.answering import look
from payaid_entitlements.cache.counting import Post
from payaid_entitlements.core.metering.amounts import to_amount, to_units
from payaid_entitlements.core.metering.lots import UNSOLD
from payaid_entitlements.core.metering.posting import MOST, Adjust, Posted
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.metering.judging import require_countable
from payaid_entitlements.metering.reading import read

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.metering.lots import Metered
    from payaid_entitlements.core.metering.posting import Line
    from payaid_entitlements.core.values import Amount
    from payaid_entitlements.stores.ports import Transaction


@dataclass(frozen=True, slots=True)
class Correction:
    """
    What is to be corrected.

    Attributes:
        line: The lot of the feature's own that is corrected: the allowance of the running window, where there is one.
        units: In smallest units; less than 0 where less was used.
        used: What is counted as used of all its lots, before.
    """

    tenant: str
    metered: Metered
    line: Line
    units: int
    used: int

    @property
    def before(self) -> Amount:
        """What is counted as used before."""
        return to_amount(self.used, self.metered.feature)

    @property
    def after(self) -> Amount:
        """What is counted as used afterwards."""
        return to_amount(self.used + self.units, self.metered.feature)


def correction(setting: Setting, tenant: str, feature: str, amount: object, tx: Transaction | None) -> Flow[Correction]:
    """
    Work out a correction, by facts that were true a second ago.

    Raises:
        UnknownFeature: The catalog has no such feature.
        TypeError: It is not used up, or the amount is no number.
        ConfigurationError: An amount that is not possible, or only credits pay for the feature.
        StoreUnavailable: No answer.
    """
    view = yield from look(setting, tenant, sure=True)
    metered = require_countable(view, feature)
    units = to_units(amount, metered.feature, least=-MOST)
    if not units:
        raise ConfigurationError(f"0 of {feature!r}: that corrects nothing")
    own = [line for line in metered.lines if line.meter == feature and line.lot != UNSOLD]
    payers = ", ".join(sorted({line.meter for line in metered.lines} - {feature}))
    if payers and not own:
        raise ConfigurationError(f"only credits pay for {feature!r}; correct what is used of them: {payers}")
    sink = metered.lines[metered.sink]
    line = sink if sink in own or not own else own[-1]
    (balances,) = yield from read(setting, view, (metered,), tx)
    used = sum(balance.used for line, balance in zip(metered.lines, balances, strict=True) if line.meter == feature)
    return Correction(tenant, metered, line, units, used)


def correct(setting: Setting, what: Correction, operation: str, digest: str, tx: Transaction | None) -> Flow[bool]:
    """Carry a correction out, once for *operation*; False where it was before."""
    postings = (Adjust(what.line, what.units),)
    posted = yield Post(what.tenant, postings, operation, digest, setting.told_time(), tx)
    return not cast("Posted", posted).replayed
