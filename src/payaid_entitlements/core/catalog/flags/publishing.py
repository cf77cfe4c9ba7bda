"""What publishing a catalog means for flags: it counts for those that were never changed, and may not deal anew."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from payaid_entitlements.core.flags.dealing import is_at_rest, require_same_buckets
from payaid_entitlements.core.flags.sizes import too_large
from payaid_entitlements.core.flags.storing import decode_flag, encode_flag
from payaid_entitlements.core.written.problems import Problem
from payaid_entitlements.errors import CatalogInvalid, ConfigurationError

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.catalog.publishing import Published
    from payaid_entitlements.core.flags.model import Flag, FlagSet


def require_kept_buckets(before: Catalog, after: Catalog, flag_set: FlagSet, dropped: Mapping[str, Flag]) -> None:
    """
    Refuse a catalog that would deal everybody anew, in a flag that only the catalog speaks of.

    Args:
        dropped: As `dropped_of` tells.

    Raises:
        CatalogInvalid: Whom a flag is for is dealt by something else (`require_same_buckets`), also of one that was
            removed or dropped while it was live; all such flags are named.
    """
    gone, problems = {**dropped, **flag_set.removed}, []
    for key in sorted(after.flags.keys() - flag_set.changed):
        was = before.flags.get(key) or gone.get(key)
        try:
            if was is not None:
                require_same_buckets(was, after.flags[key], is_removed=key not in before.flags)
        except ConfigurationError as error:
            problems.append(Problem("flag.dealt_anew", str(error), f"flags.{key}"))
    if problems:
        raise CatalogInvalid(problems)


def dropped_of(held: Published, flag_set: FlagSet) -> dict[str, Flag]:
    """
    Tell the flags that catalogs let go while they were live, by key, and of which nobody has had a word since.

    What another release has written in a way that this one cannot read is passed over.
    """
    found = {}
    for key, data in held.dropped.items():
        if key not in flag_set.changed:
            with suppress(ValueError, TypeError):
                found[key] = decode_flag(data)
    return found


def remembering_dropped(held: Published | None, then: Published, flag_set: FlagSet) -> Published:
    """Remember in *then* what its catalog lets go while it is live, and forget what it has again."""
    if held is None:
        return then
    gone = {key: each for key, each in then.dropped.items() if key not in then.catalog.flags}
    for key in held.catalog.flags.keys() - then.catalog.flags.keys() - flag_set.changed:
        flag = held.catalog.flags[key]
        if not flag.broken and not is_at_rest(flag):
            gone[key] = encode_flag(flag)
    return replace(then, dropped=gone)


def require_small(before: Catalog | None, after: Catalog) -> None:
    """
    Refuse flags that say more than one may. What was published before there was a bound stays.

    Raises:
        CatalogInvalid: Such a flag is new, or another one than before; all are named.
    """
    old = {} if before is None else before.flags
    problems = list(too_large([flag for key, flag in after.flags.items() if flag != old.get(key)]))
    if problems:
        raise CatalogInvalid([replace(each, file="<catalog>") for each in problems])


def outlived(before: Catalog | None, after: Catalog, flag_set: FlagSet) -> tuple[str, ...]:
    """Name the flags and segments of which the catalog says something new that does not count: they were changed."""
    found = []
    segments = {*flag_set.segments, *(name for kind, name in flag_set.unread if kind == "segment")}
    for kind, said in (("flags", flag_set.changed), ("segments", segments)):
        old, new = (({} if each is None else getattr(each, kind)) for each in (before, after))
        found += [f"{kind[:-1]} {key}" for key in sorted(said & {*old, *new}) if old.get(key) != new.get(key)]
    return tuple(found)
