"""Balances of several features by one statement, also of windows that nobody has used yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from payaid_entitlements.cache.counting import ReadBalances
from payaid_entitlements.core.metering.posting import OPENED, Balance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.metering.lots import Metered
    from payaid_entitlements.core.metering.posting import AccountId
    from payaid_entitlements.core.metering.rollover import Rolling
    from payaid_entitlements.stores.ports import Transaction
    from payaid_entitlements.view import TenantView


def read(
    setting: Setting, view: TenantView, features: Sequence[Metered], tx: Transaction | None = None
) -> Flow[list[tuple[Balance, ...]]]:
    """
    Read the balances of *features*, in the order of their lines.

    What rolled over into a window that nobody has used yet is worked out, as whoever uses it first will do.
    """
    rolling = _rolling(view, features)
    needed = [account for metered in features for account in metered.accounts]
    needed += [account for each in rolling.values() for account in each.accounts]
    found: Mapping[AccountId, Balance] = {}
    if needed:
        step = ReadBalances(view.tenant, tuple(dict.fromkeys(needed)), setting.told_time(), tx)
        found = cast("Mapping[AccountId, Balance]", (yield step))
    unopened = {
        account: replace(found.get(account, Balance()), cap=each.opened(found).cap)
        for account, each in rolling.items()
        if account not in found or not found[account].is_opened
    }
    return [metered.in_order({**found, **unopened}) for metered in features]


def _rolling(view: TenantView, features: Sequence[Metered]) -> dict[AccountId, Rolling]:
    """What opening needs, of each line that is opened by its first use."""
    opened = dict.fromkeys(line.account for each in features for line in each.lines if line.cap == OPENED)
    # Where a line is opened by its first use, something may roll over.
    return {account: cast("Rolling", view.rolling(account[0])) for account in opened}
