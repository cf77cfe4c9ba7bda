"""
How much is used and left, by one reading of the ledger: for pages, and for "could they use n more?".

It is of the instant of the reading: whoever asks first and consumes then may be too late. Only `consume` decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payaid_entitlements.answering import answer, confirm, look, near_view
from payaid_entitlements.cache.loading import SURE_WITHIN
from payaid_entitlements.core.controls import Enforcement
from payaid_entitlements.core.decision import SOFTENED
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.metering.amounts import to_units
from payaid_entitlements.core.metering.lots import debit
from payaid_entitlements.core.metering.posting import Balance
from payaid_entitlements.core.metering.spreading import Spread, spread
from payaid_entitlements.core.metering.usage import Usage, usage
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.metering.counted import let_pass, why_short
from payaid_entitlements.metering.judging import unavailable
from payaid_entitlements.metering.reading import read
from payaid_entitlements.view import require_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.decision import Decision, Intent
    from payaid_entitlements.metering.counting import Counters
    from payaid_entitlements.stores.ports import Transaction
    from payaid_entitlements.view import TenantView


def show(
    setting: Setting,
    tenant: str,
    features: Sequence[str],
    user: str | None,
    *,
    tx: Transaction | None = None,
    counters: Counters | None = None,
) -> Flow[dict[str, Usage]]:
    """
    Read how much of *features* is used; of all metered ones that are sold where none is named.

    Args:
        tx: The host's transaction, in which its own rows are counted too, by *counters*.

    Raises:
        UnknownFeature: The catalog has no such key.
        TypeError: A feature is of a kind that is not counted here, or its counter gave no number.
        ConfigurationError: Nobody says how the host's rows are counted; or *tx* cannot be joined.
        StoreUnavailable: The store, or the ledger, gave no answer.
    """
    identify("tenant", tenant)
    if user is not None:
        identify("user", user)
    for feature in features:
        require_key(feature)
    view = near_view(setting, tenant, user) or (yield from look(setting, tenant, user=user))
    if view.stale:
        raise StoreUnavailable(f"the store gave no answer about {tenant!r}; what is sold is not known for sure")
    hosted = () if tx is None or counters is None else counters.features
    asked = [view.metering(key) for key in features or view.metered_features(hosted)]
    kept = [metered for metered in asked if metered.feature.count == "ledger"]
    balances = iter((yield from read(setting, view, kept, tx)))
    said = {}
    for metered in asked:
        is_kept = metered.feature.count == "ledger"
        own = next(balances) if is_kept else (yield from _rows(counters, tenant, metered.feature.key, tx))
        said[metered.feature.key] = usage(metered, own)
    return said


def _rows(counters: Counters | None, tenant: str, key: str, tx: Transaction | None) -> Flow[tuple[Balance, ...]]:
    """Count the host's own rows as they are at the moment: no lock is held."""
    if tx is None or counters is None:
        raise _not_counted_here(key)
    return (Balance(used=(yield from counters.count(key, tenant, tx))),)


def _not_counted_here(key: str) -> TypeError:
    return TypeError(
        f"{key!r} is counted by your own rows, not in the ledger; ask for room with require_room(), or for its usage "
        "with tx=, the transaction in which your rows are counted"
    )


def could(
    setting: Setting,
    tenant: str,
    feature: str,
    amount: object | None,
    *,
    access: Intent,
    user: str | None,
    legacy: bool | None,
    after: int | None,
) -> Flow[Decision]:
    """
    Decide as `answering.answer` does, and then whether *amount* more could be used just now, by what the ledger says.

    Args:
        amount: None where only the facts are asked.

    Raises:
        TypeError: The feature is of a kind that is not counted here, or the amount no number.
        ConfigurationError: An amount that is not possible.
    """
    decision = yield from answer(setting, tenant, feature, access=access, user=user, legacy=legacy, after=after)
    if amount is None or not decision.allowed:
        return decision
    view = near_view(setting, tenant, user) or (yield from look(setting, tenant, user=user, after=after))
    try:
        found = yield from _left(setting, view, decision, amount)
        if not found.allowed and not view.is_sure(SURE_WITHIN):
            view = yield from confirm(setting, view)
            decision = view.decide(feature, access)
            found = (yield from _left(setting, view, decision, amount)) if decision.allowed else decision
    except StoreUnavailable:
        return unavailable(feature)
    return found


def _left(setting: Setting, view: TenantView, decision: Decision, amount: object) -> Flow[Decision]:
    metered = view.metering(decision.feature)
    if metered.feature.count == "host":
        raise _not_counted_here(decision.feature)
    units = to_units(amount, metered.feature)
    (balances,) = yield from read(setting, view, (metered,))
    said = usage(metered, balances)
    found = spread(debit(metered, units), dict(zip(metered.accounts, balances, strict=True)), setting.now())
    if isinstance(found, Spread) or decision.reason in SOFTENED:
        return replace(decision, usage=said)
    mode, reason = view.mode_of(decision.feature), why_short(metered, balances)
    if mode is not Enforcement.ENFORCE:
        return let_pass(mode, decision, reason, said)
    return replace(decision, allowed=False, reason=reason, usage=said)
