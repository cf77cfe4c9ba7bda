"""What is believed of the flags where a part of them, or all, cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payaid_entitlements.core.flags.flag_set import WAY_OUT
from payaid_entitlements.core.flags.snapshot import effective

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.flags.model import FlagSet


def believed(setting: Setting, catalog: Catalog, flag_set: FlagSet) -> FlagSet:
    """
    Say of what cannot be read among the flags that it cannot, once, and go on with the rest.

    Where none of the set can be read, a process goes on with what it knew; one that has just begun has the catalog's
    word. Kill switches are not among the flags.
    """
    if flag_set.damage is not None:
        known = setting.near.flags
        setting.observer.once(
            "flags.damaged",
            why=flag_set.damage.why,
            meaning="flags are as the catalog says" if known is None else "flags stay as they were here",
            way_out=WAY_OUT,
        )
        return flag_set if known is None else replace(known.flag_set, damage=flag_set.damage)
    for key, flag in effective(catalog.flags, flag_set).items():
        if flag.broken:
            way_out = "define it anew"
            if key not in flag_set.changed:
                way_out += ", or publish a catalog that has it right"
            setting.observer.once("flag.broken", flag=key, why=flag.broken, way_out=way_out)
    for (kind, name), unread in flag_set.unread.items():
        if kind == "segment":
            setting.observer.once("segment.broken", segment=name, why=unread.why, way_out="define it anew")
    return flag_set
