"""Counting beforehand whom a rollout will move."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from payaid_entitlements.admin.counting import counted
from payaid_entitlements.admin.flag_work import roll_out
from payaid_entitlements.admin.flagging import Standing, unreadable
from payaid_entitlements.admin.tenants import current_world
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Flow, ReadFlags
from payaid_entitlements.core.flags.forecasting import Counting, Forecast
from payaid_entitlements.core.flags.model import FlagSet


def forecast_rollout(
    setting: Setting, key: str, share: int, rule: str | None, progress: Callable[[int], None] | None
) -> Flow[Forecast]:
    """
    Count whom a rollout of *share* would move.

    Args:
        progress: Is told, after each page, how many were counted.

    Raises:
        UnknownFlag: There is no such flag.
        ConfigurationError: It cannot be rolled out so.
        StoreDamaged: The flag set cannot be read, so nobody knows who is in.
    """
    catalog, at = (yield from current_world(setting)).catalog, setting.now()
    held = cast("FlagSet", (yield ReadFlags()))
    if held.damage is not None:
        raise unreadable(held.damage)
    on = Standing.of(catalog, held)
    wanted = roll_out(key, share, rule, on)
    counting = Counting.of(key, catalog.flags, on.held, wanted, at, segments=catalog.segments)
    return (yield from counted([counting], at, progress=progress))[0]
