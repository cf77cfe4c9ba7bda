"""Where more is in use than a change leaves: seats above the new number, units above the new limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.cache.counting import ReadBalances
from payaid_entitlements.core.catalog.model import Kind
from payaid_entitlements.core.metering.amounts import to_amount
from payaid_entitlements.core.metering.lots import Metered, metered
from payaid_entitlements.core.metering.posting import OPENED, SLOTS
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.facts import TenantDocument
    from payaid_entitlements.core.instant import Instant
    from payaid_entitlements.core.metering.posting import AccountId, Balance
    from payaid_entitlements.core.subscription import Terms
    from payaid_entitlements.core.world import World
    from payaid_entitlements.stores.ports import Transaction

#: What is told where nobody can be asked: the change itself does not need the ledger.
UNKNOWN: Final = "not known: the ledger gave no answer"


def exceeding(
    setting: Setting,
    world: World,
    before: TenantDocument,
    after: TenantDocument,
    instants: Iterable[Instant],
    host: tuple[Terms, ...] | None,
    tx: Transaction | None,
) -> Flow[tuple[str, ...]]:
    """
    Tell of each feature of which a change leaves less how much more than that is in use.

    The ledger is only asked where a limit is lowered, once. What the host counts in its own rows is not known here.

    Args:
        before, after: The tenant as it was, and as it will be.
        instants: When to look: a change may take effect now or later.
    """
    lowered = {each.feature.key: each for at in instants for each in _lowered(world, before, after, at, host)}
    if not lowered:
        return ()
    accounts = tuple(account for each in lowered.values() for account in _own(each))
    try:
        balances = yield from _balances(setting, after.tenant, accounts, tx)
    except StoreUnavailable:
        return (UNKNOWN,)
    told = (_told(each, balances) for each in lowered.values())
    return tuple(line for line in told if line is not None)


def _lowered(
    world: World, before: TenantDocument, after: TenantDocument, at: Instant, host: tuple[Terms, ...] | None
) -> Iterable[Metered]:
    was, now = (resolve(document, world, at, at, host=host)[0] for document in (before, after))
    for feature in world.catalog.features.values():
        if feature.kind.is_metered and feature.count == "ledger":
            old, new = (
                metered(feature, at, standpoint=each.standpoint, meters=each.meters, world=world) for each in (was, now)
            )
            is_less = new.limit is not None and (old.limit is None or new.limit < old.limit)
            # Slots are held whatever is sold; units of a quota that is not sold any more were used, and that is all.
            if is_less and (new.is_sold or feature.kind is Kind.ALLOCATION):
                yield new


def _own(each: Metered) -> tuple[AccountId, ...]:
    if each.feature.kind is Kind.ALLOCATION:
        return ((each.feature.key, SLOTS),)
    return tuple(line.account for line in each.lines if line.meter == each.feature.key)


def _balances(
    setting: Setting, tenant: str, accounts: tuple[AccountId, ...], tx: Transaction | None
) -> Flow[Mapping[AccountId, Balance]]:
    """Read them, within *tx* where the ledger is in its database; nothing where there is no ledger."""
    for within in dict.fromkeys((tx, None)):
        try:
            read = yield ReadBalances(tenant, accounts, setting.told_time(), within)
            return cast("Mapping[AccountId, Balance]", read)
        except ConfigurationError:
            continue
    return {}


def _told(each: Metered, balances: Mapping[AccountId, Balance]) -> str | None:
    feature = each.feature
    known = {account: balances[account] for account in _own(each) if account in balances}
    used = sum(balance.used + balance.held for balance in known.values())
    # What rolled over is known to the ledger alone.
    rolled = (known[line.account].cap or 0 for line in each.lines if line.cap == OPENED and line.account in known)
    limit = (each.limit or 0) + sum(rolled)
    if used <= limit:
        return None
    return f"{feature.key}: {to_amount(used, feature)} used, {to_amount(limit, feature)} allowed"
