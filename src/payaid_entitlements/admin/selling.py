"""What is sold: publishing a catalog, and moving holders of older versions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Final, cast

from payaid_entitlements.admin.change import Author, Change, ChangeReason
from payaid_entitlements.admin.tenants import MOST_TRIES, Request, Work, change_tenant, current_world
from payaid_entitlements.cache.renewing import announce, begin, renew
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import (
    Apply,
    Find,
    Flow,
    Join,
    Prepare,
    ReadCatalog,
    ReadControls,
    ReadFlags,
    ReadTenants,
)
from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.catalog.flags.publishing import (
    dropped_of,
    outlived,
    remembering_dropped,
    require_kept_buckets,
    require_small,
)
from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.catalog.publication import Publication
from payaid_entitlements.core.catalog.publishing import Published, publish
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.flags.narrowed import narrowed
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY, EARLIEST, LATEST, moment
from payaid_entitlements.core.migrating import migrate, migrate_add_on
from payaid_entitlements.core.period import zone
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import CatalogInvalid, ChangeConflict, ConfigurationError
from payaid_entitlements.stores.ports import Applied, Scope, TenantRow, Write

#: What becomes of a flag that was changed since it was published.
STAYS: Final = "stays so: what the catalog says of it does not count"
#: How many tenants are looked at together.
PAGE: Final = 100


def publish_catalog(setting: Setting, author: Author, catalog: Catalog, to_migrate: tuple[str, ...]) -> Flow[Change]:
    """
    Sell what *catalog* says, then move the holders of *to_migrate*.

    Raises:
        CatalogInvalid: It takes the meaning from what somebody may hold, or deals a live flag anew.
        ChangeConflict: Somebody changed such a flag meanwhile.
        UnknownPlan: It has no plan of *to_migrate*; nothing was published.
        ConfigurationError: There is something to migrate, and the host keeps subscriptions itself; nothing was
            published.
    """
    if to_migrate:
        _require_own(setting)
    yield Prepare()
    tries_left, seen = MOST_TRIES, -1
    while True:
        tries_left -= 1
        held = cast("Published | None", (yield ReadCatalog()))
        published, publication = publish(held, catalog, today=_today(setting, catalog))
        for plan in to_migrate:
            published.plan(plan)
        flag_set = cast("FlagSet", (yield ReadFlags()))
        _require_flags(held, catalog, flag_set, seen)
        published = published if publication.is_empty else remembering_dropped(held, published, flag_set)
        seen = flag_set.revision
        stays = outlived(None if held is None else held.catalog, catalog, flag_set)
        controls = cast("Controls", (yield ReadControls()))
        opened, closed = _narrowing(setting, held, catalog, flag_set, controls.killed)
        change = replace(_described(setting, publication, stays), gains=opened, losses=closed)
        if publication.is_empty or author.is_dry:
            break
        try:
            applied = cast("Applied", (yield _apply(setting, author, published, publication, flag_set.revision)))
        except ChangeConflict:
            if not tries_left:
                raise
            continue
        change = replace(change, id=applied.id, applied=True, reason=ChangeReason.APPLIED)
        yield from _follow(setting)
        yield from announce(setting, Scope.CATALOG, None, applied)
        break
    for plan in to_migrate:
        if author.is_dry:
            # A rehearsal has published nothing: who would move is asked of what would be sold then.
            moved = yield from _moved(
                setting, author, _plan_move(published, plan, None), World.of(published, Controls())
            )
        else:
            moved = yield from migrate_all(setting, author, plan, None, None)
        change = replace(change, tenants=change.tenants + moved.tenants)
    return change


def _today(setting: Setting, catalog: Catalog) -> date:
    """Of the catalog; at the ends of time some zones have no calendar."""
    within = min(max(setting.now(), EARLIEST + DAY), LATEST - DAY)
    return moment(within).astimezone(zone(catalog.timezone)).date()


def _require_flags(held: Published | None, catalog: Catalog, flag_set: FlagSet, seen: int) -> None:
    """Refuse flags that deal anew or are too large. Where that was right a moment ago, somebody was faster."""
    require_small(None if held is None else held.catalog, catalog)
    if held is None:
        return
    try:
        require_kept_buckets(held.catalog, catalog, flag_set, dropped_of(held, flag_set))
    except CatalogInvalid as error:
        if seen in (-1, flag_set.revision):
            raise
        told = "; ".join(problem.message for problem in error.problems)
        raise ChangeConflict(
            f"flags were changed by somebody else in the same moment, and now {told}; look again and repeat",
            expected=seen,
            found=flag_set.revision,
        ) from error


def _narrowing(
    setting: Setting, held: Published | None, catalog: Catalog, flag_set: FlagSet, killed: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Modules and features that no flag keeps from anybody any more, and those that one does now."""
    was, becomes = (
        narrowed(effective(flags, flag_set), flag_set.progress, killed, setting.now())
        for flags in ({} if held is None else held.catalog.flags, catalog.flags)
    )
    return tuple(sorted(was - becomes)), tuple(sorted(becomes - was)) if held is not None else ()


def _apply(setting: Setting, author: Author, published: Published, publication: Publication, flags: int) -> Apply:
    now = setting.now()
    detail = {"asked": {"hash": publication.hash}, "difference": list(publication.lines())}
    # What the flag set says of the same flags is judged too: somebody may turn one in the same moment.
    write = Write(setting.new_id(now), "publish", now, published=published, detail=detail, beside=(Scope.FLAGS, flags))
    return Apply(write, published.revision - 1, author.actor, author.because)


def _follow(setting: Setting) -> Flow[None]:
    """Let this process answer by what is sold now."""
    if setting.near.world is None:
        yield Join("\x00world", partial(begin, setting))
    else:
        yield from renew(setting)


def _described(setting: Setting, publication: Publication, stays: Sequence[str]) -> Change:
    altered = [Altered(str(each), "not sold", f"version {each.version}") for each in publication.all_added]
    altered += [
        Altered(str(each), f"version {each.version - 1}", f"version {each.version}") for each in publication.all_changed
    ]
    altered += [Altered(str(each), f"version {each.version}", "not sold") for each in publication.all_removed]
    altered += [Altered(each, "changed since it was published", STAYS) for each in stays]
    reason = ChangeReason.UNCHANGED if publication.is_empty else ChangeReason.DRY_RUN
    return Change(None, False, reason, None, moment(setting.now()), altered=tuple(altered), tenants=0)


def migrate_all(
    setting: Setting, author: Author, plan: str, to: int | None, progress: Callable[[int, int], None] | None
) -> Flow[Change]:
    """
    Move everybody who holds an older version of *plan*, or will by a scheduled change.

    Raises:
        UnknownPlan: The plan was never sold, or not in this version.
        ConfigurationError: The host keeps subscriptions itself.
    """
    world = yield from current_world(setting)
    return (yield from _moved(setting, author, _plan_move(world.published, plan, to), world, progress))


def migrate_add_on_all(
    setting: Setting, author: Author, add_on: str, to: int | None, progress: Callable[[int, int], None] | None
) -> Flow[Change]:
    """
    Move everybody who holds an older version of *add_on*.

    Raises:
        UnknownPlan: The add-on was never sold, or not in this version.
        ConfigurationError: The host keeps subscriptions itself.
    """
    world = yield from current_world(setting)
    version = world.published.add_on(add_on, to).version
    work = partial(migrate_add_on, add_on=add_on, to=version)
    move = _Move(f"add-on {add_on}", version, "migrate_add_on", work, {"add_on": add_on, "to": version})
    return (yield from _moved(setting, author, move, world, progress))


@dataclass(frozen=True, slots=True)
class _Move:
    """
    Who is to be moved, and to what.

    Attributes:
        what: For people: ``team``.
        work: Finds the facts that move one tenant; nothing for who needs not be moved.
        arguments: For the audit trail.
    """

    what: str
    version: int
    verb: str
    work: Work
    arguments: Mapping[str, object]


def _plan_move(published: Published, plan: str, to: int | None) -> _Move:
    version = published.plan(plan, to).version
    work = partial(migrate, plan=plan, to=version)
    return _Move(plan, version, "migrate", work, {"plan": plan, "to": version})


def _require_own(setting: Setting, verb: str = "migrate") -> None:
    if setting.hosted:
        raise ConfigurationError(
            f"{verb}: this client was opened with subscriptions=; your own table says which version is held"
        )


def _moved(
    setting: Setting,
    author: Author,
    move: _Move,
    world: World,
    progress: Callable[[int, int], None] | None = None,
) -> Flow[Change]:
    """Look at all tenants: those whom a scheduled change has moved meanwhile are not listed under what they hold."""
    _require_own(setting, move.verb)
    seen = moved = 0
    after: str | None = None
    while True:
        rows = cast("Sequence[TenantRow]", (yield Find(after=after, limit=PAGE)))
        if not rows:
            break
        tenants = tuple(row.tenant for row in rows)
        documents = cast("Mapping[str, TenantDocument]", (yield ReadTenants(tenants)))
        for tenant in tenants:
            if tenant not in documents or not move.work(Ground(documents[tenant], world, setting.now())):
                continue
            if author.is_dry:
                moved += 1
            else:
                request = Request(tenant, move.verb, move.work, move.arguments, author, is_one_of_many=True)
                change = yield from change_tenant(setting, request)
                moved += change.applied
        seen, after = seen + len(rows), rows[-1].tenant
        if progress is not None:
            progress(seen, moved)
    reason = ChangeReason.DRY_RUN if author.is_dry else ChangeReason.APPLIED if moved else ChangeReason.UNCHANGED
    altered = Altered(f"holders of older versions of {move.what}", "their own", f"{move.what}@{move.version}")
    return Change(
        None,
        bool(moved) and not author.is_dry,
        reason,
        None,
        moment(setting.now()),
        altered=(altered,) if moved else (),
        tenants=moved,
    )
