"""Bringing many tenants near at once, before anybody asks: in a few large readings instead of one for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final, cast

from payaid_entitlements.cache.loading import entry_of, hosted, load
from payaid_entitlements.cache.renewing import WORLD, begin, poll
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Find, Flow, Join, ReadHost, ReadTenants
from payaid_entitlements.cache.unsold import unknown_offers
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.identity import identify
from payaid_entitlements.stores.ports import TenantRow

#: Tenants in one statement. More would not be cheaper for each, and an event loop stands still while they are worked
#: out: 30 microseconds for each.
TOGETHER: Final = 200


def warm_up(setting: Setting, tenants: Iterable[str] | None, progress: Callable[[int], object] | None) -> Flow[int]:
    """
    Read *tenants* and keep what they hold, as far as there is room.

    Args:
        tenants: Their ids; None for those of the store, in the order of their ids, until there is no more room.
        progress: Told how many more were read; None where nobody looks.

    Returns:
        How many were read.

    Raises:
        StoreUnavailable: The store gave no answer; what was read until then is near.
    """
    near = setting.near
    if near.world is None:
        yield Join(WORLD, partial(begin, setting), begins=True)
    read = 0
    pages = None if tenants is None else _pages(tenants)
    after: str | None = None
    while read < near.bound:
        room = min(TOGETHER, near.bound - read)
        if pages is None:
            rows = cast("Sequence[TenantRow]", (yield Find(after=after, limit=room)))
            page = tuple(row.tenant for row in rows)
        else:
            page = next(pages, ())[:room]
        if not page:
            break
        after = page[-1]
        yield from _read(setting, page)
        read += len(page)
        if progress is not None:
            progress(len(page))
    # It took a while: the change log says once more what of it may be believed.
    yield from poll(setting)
    return read


def _pages(tenants: Iterable[str]) -> Iterator[tuple[str, ...]]:
    each = iter(tenants)
    while page := tuple(islice(each, TOGETHER)):
        for tenant in page:
            identify("tenant", tenant)
        yield page


def _read(setting: Setting, page: tuple[str, ...]) -> Flow[None]:
    near = setting.near
    generation, as_of, asked_at, world = near.generation, near.position, near.clock(), near.world
    life, kept = near.life, list[TenantDocument]()
    documents = cast("Mapping[str, TenantDocument]", (yield ReadTenants(page)))
    for tenant in page:
        document = documents.get(tenant) or TenantDocument(tenant)
        host = hosted((yield ReadHost(tenant))) if setting.hosted else None
        if world is None or unknown_offers(document, host, world.published):
            # Closed, or published, meanwhile. Read alone it is judged by what is sold now.
            yield from load(setting, tenant)
        elif near.put(tenant, entry_of(setting, document, world, asked_at, host), generation, as_of):
            kept.append(document)
    if setting.snapshot is not None:
        setting.snapshot.keep(kept, asked_at, life)
