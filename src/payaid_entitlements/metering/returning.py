"""
Taking back what was counted: by the operation that counted it, or by hand.

A refund goes to the lots that the units came from, also those that are over by now: what has expired stays expired.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from payaid_entitlements.answering import look, near_view
from payaid_entitlements.cache.counting import Post
from payaid_entitlements.core.identity import Operation, identify, operation_id
from payaid_entitlements.core.metering.amounts import to_units
from payaid_entitlements.core.metering.posting import Filled, Line, Posted, Refund
from payaid_entitlements.core.metering.usage import Usage, usage
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.metering.attempts import last_attempt
from payaid_entitlements.metering.reading import read
from payaid_entitlements.metering.remembering import remembered
from payaid_entitlements.view import require_key

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.values import Amount
    from payaid_entitlements.stores.ports import Transaction


def refund(
    setting: Setting,
    tenant: str,
    operation: Operation,
    amounts: Mapping[str, Amount] | None,
    tx: Transaction | None,
) -> Flow[dict[str, Usage]]:
    """
    Give back what *operation* has used up, once: what its last attempt has, where it was begun again.

    Args:
        amounts: By feature, at most what was used up; None for all.

    Returns:
        By feature of which units came back. Where credits had paid for it they came back. Of what is sold no more, and
        in an outage of the store, the limit is 0.

    Raises:
        UnknownOperation: It used up nothing, or so long ago that nobody knows.
        OperationConflict: It was given back before, in another amount.
        StoreUnavailable: No answer, and nothing was given back.
    """
    identify("tenant", tenant)
    written = operation_id(operation)
    if amounts is not None and not amounts:
        raise ConfigurationError(f"amounts={amounts!r}: give amounts by feature, or leave it out to give back all")
    for feature in amounts or ():
        require_key(feature)
    return (yield from refund_attempt(setting, tenant, (yield from last_attempt(tenant, written)), amounts, tx))


def refund_attempt(
    setting: Setting,
    tenant: str,
    name: str,
    amounts: Mapping[str, Amount] | None = None,
    tx: Transaction | None = None,
) -> Flow[dict[str, Usage]]:
    """Same as `refund`, of this attempt and no other."""
    view = near_view(setting, tenant, None) or (yield from look(setting, tenant))
    asked = None
    if amounts is not None:
        asked = tuple((key, to_units(amount, view.metering(key).feature)) for key, amount in sorted(amounts.items()))
    view.definitions()  # raises before anything is given back
    posted = cast("Posted", (yield Post(tenant, (Refund(name, asked),), now=setting.told_time(), tx=tx)))
    back = {filled.feature: filled for filled in posted.filled if filled.amount}
    # It is given back by now, whatever is known of what is sold.
    metered = [remembered(view, feature, _lines(filled)) for feature, filled in back.items()]
    balances = yield from read(setting, view, metered, tx)
    return {
        each.feature.key: usage(each, own, replayed=posted.replayed, taken=-back[each.feature.key].amount)
        for each, own in zip(metered, balances, strict=True)
    }


def _lines(filled: Filled) -> list[Line]:
    """The lots to which units came back."""
    accounts = dict.fromkeys((take.meter, take.lot, take.cost) for take in filled.takes)
    return [Line(meter, lot, 0, cost) for meter, lot, cost in accounts]
