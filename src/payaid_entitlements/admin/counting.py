"""Counting tenants page by page: nothing is kept of who was counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, cast

from payaid_entitlements.cache.steps import Find, Flow
from payaid_entitlements.core.flags.forecasting import Counting, Forecast, context_of
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.stores.ports import TenantRow

#: Tenants that are listed in one round trip.
PAGE: Final = 500
#: Flags of one change that are counted, and tenants that are counted for it: 200 pages, some seconds.
MOST_FLAGS: Final = 20
MOST_TENANTS: Final = 100_000


def counted(
    countings: Sequence[Counting],
    at: Instant,
    *,
    most: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Flow[tuple[Forecast, ...]]:
    """
    Ask each tenant about all of *countings*, the first *most* of them.

    Args:
        progress: Is told, after each page, how many were counted.
    """
    after: str | None = None
    number, is_more = 0, bool(countings)
    while is_more and (most is None or number < most):
        rows = cast("Sequence[TenantRow]", (yield Find(after=after, limit=PAGE)))
        for row in rows:
            context = context_of(row.tenant, row.plan, row.modules, at)
            for counting in countings:
                counting.look(context)
        number += len(rows)
        if rows and progress is not None:
            progress(number)
        is_more = len(rows) == PAGE
        after = rows[-1].tenant if is_more else None
    if is_more:
        is_more = bool((yield Find(after=after, limit=1)))
    return tuple(replace(each.forecast, more=is_more) for each in countings)
