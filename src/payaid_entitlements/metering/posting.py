"""
To a ledger and back. What rolled over into a window is fixed when the window is first used, by whoever uses it first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.cache.counting import Post, ReadBalances
from payaid_entitlements.errors import StoreDamaged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.metering.posting import AccountId, Balance, Open, Posted, Posting
    from payaid_entitlements.core.metering.rollover import Rolling
    from payaid_entitlements.stores.ports import Transaction
    from payaid_entitlements.view import TenantView

#: So often is it posted at most: once, and once more when the windows are open.
_TRIES: Final = 3


def post(
    setting: Setting,
    view: TenantView,
    postings: Sequence[Posting],
    operation: str | None,
    digest: str | None,
    tx: Transaction | None,
) -> Flow[Posted]:
    """Post for the tenant of *view*, and open windows that nobody has used yet."""
    tenant = view.tenant
    for _ in range(_TRIES):
        posted = cast("Posted", (yield Post(tenant, postings, operation, digest, setting.told_time(), tx)))
        if not posted.unopened:
            return posted
        for account in posted.unopened:
            opened = yield from _opened(setting, view, account, tx)
            yield Post(tenant, (opened,), now=setting.told_time(), tx=tx)
    raise StoreDamaged(f"accounts {posted.unopened} of tenant {tenant!r} were opened, and the ledger does not know it")


def _opened(setting: Setting, view: TenantView, account: AccountId, tx: Transaction | None) -> Flow[Open]:
    # Where a line is opened by its first use, something may roll over.
    rolling = cast("Rolling", view.rolling(account[0]))
    read = yield ReadBalances(view.tenant, rolling.accounts, setting.told_time(), tx)
    return rolling.opened(cast("Mapping[AccountId, Balance]", read))
