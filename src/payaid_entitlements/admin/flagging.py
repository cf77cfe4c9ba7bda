"""
One flow for every change of the flag set: read, work out, compare, write; again when somebody changed another flag.

A lost race about the same flag is no such case: what was seen before the change is not what it would change, so it is
refused and says what was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias, cast

from payaid_entitlements.admin.change import Author, Change, ChangeReason
from payaid_entitlements.admin.counting import MOST_FLAGS, MOST_TENANTS, counted
from payaid_entitlements.admin.tenants import MOST_TRIES, current_world, first_of, repeated
from payaid_entitlements.cache.renewing import announce, renew_flags
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Apply, Flow, ReadFlags
from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.catalog.flags.publishing import dropped_of
from payaid_entitlements.core.flags.altered import altered_flags
from payaid_entitlements.core.flags.dealing import remembering
from payaid_entitlements.core.flags.flag_set import WAY_OUT
from payaid_entitlements.core.flags.forecasting import Counting
from payaid_entitlements.core.flags.model import Condition, Flag, FlagSet, Thing, Unread
from payaid_entitlements.core.flags.moving import moving
from payaid_entitlements.core.flags.narrowed import narrowed
from payaid_entitlements.core.flags.rollouts.machine import settled
from payaid_entitlements.core.flags.snapshot import counting as counting_segments
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.core.flags.storing import encode_condition, encode_flag
from payaid_entitlements.core.flags.touching import back, kept, same, touched
from payaid_entitlements.core.instant import Instant, moment
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ChangeConflict, ConfigurationError, StoreDamaged, UnknownFlag
from payaid_entitlements.stores.ports import Applied, Scope, Write

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.catalog.publishing import Published


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What counts when a change is worked out.

    Attributes:
        flags, segments: By key, whether they are the catalog's or were changed since.
        killed: Keys that operators have killed.
        now: When it is looked at.
    """

    catalog: Catalog
    held: FlagSet
    flags: Mapping[str, Flag]
    segments: Mapping[str, Condition]
    killed: frozenset[str] = frozenset()
    now: Instant = 0

    @classmethod
    def of(cls, catalog: Catalog, held: FlagSet, killed: frozenset[str] = frozenset(), now: Instant = 0) -> Standing:
        """What counts by a catalog and a flag set."""
        segments = counting_segments(catalog.segments, held)
        return cls(catalog, held, effective(catalog.flags, held), segments, killed, now)

    def narrowed(self) -> frozenset[str]:
        """Keys of modules and features that some flag keeps from somebody."""
        return narrowed(self.flags, self.held.progress, self.killed, self.now)

    def known(self, key: str) -> Flag:
        """
        Find a flag.

        Raises:
            UnknownFlag: There is none.
        """
        found = self.flags.get(key)
        if found is None:
            raise UnknownFlag(f"there is no flag {key!r}{did_you_mean(key, self.flags)}")
        return found

    def flag(self, key: str) -> Flag:
        """
        Find a flag of which something is to be changed.

        Raises:
            ConfigurationError: It could not be read, and what could not be would be lost.
            UnknownFlag: There is none.
        """
        found = self.known(key)
        if found.broken:
            if key in self.held.changed or ("progress", key) in self.held.unread:
                raise ConfigurationError(
                    f"flag {key!r} cannot be read as it is stored: {found.broken}; define it anew with define_flag or "
                    f"`payaid flag import`, or give everybody one variant with `payaid flag set {key} VARIANT`"
                )
            raise ConfigurationError(
                f"flag {key!r} cannot be read as it was published: {found.broken}; define it anew, or publish a "
                "catalog that has it right"
            )
        return found


#: Works out the flag set that is wanted; raises to refuse.
Work: TypeAlias = Callable[[Standing], FlagSet]


@dataclass(frozen=True, slots=True)
class FlagRequest:
    """
    What is to be changed about flags.

    Attributes:
        asked: What the caller asked, as JSON data: a repeated operation is known by it.
        expect: Revision of the flag set that the caller looked at; None where it looked at none.
        notes: What an audit reader should see besides.
        check: Runs before each try; raises to refuse.
        after: Position in the audit trail behind which this operation must be, if it was made before.
        counts: Count beforehand whom it moves.
        repairs: It may be made of a flag set that cannot be read at all, since it replaces all of it.
    """

    verb: str
    work: Work
    asked: Mapping[str, object]
    author: Author
    operation: str | None = None
    expect: int | None = None
    notes: Mapping[str, object] = field(default_factory=dict)
    check: Callable[[], Flow[None]] | None = None
    after: int = 0
    counts: bool = False
    repairs: bool = False


def change_flags(setting: Setting, request: FlagRequest) -> Flow[Change]:
    """
    Change flags or segments; every process follows at its next look at the change log, this one at once.

    Raises:
        ChangeConflict: Somebody changed the same flag meanwhile, or anything since *expect*.
        ConfigurationError: What is asked is refused; the message says why.
        OperationConflict: The operation was used for something else.
        StoreDamaged: The flag set cannot be read at all, and the request does not replace all of it.
    """
    tries_left = MOST_TRIES
    seen: _Plan | None = None
    while True:
        tries_left -= 1
        # Each time anew: what a flag is may be the catalog's word, and that of a moment ago.
        world = yield from current_world(setting)
        held = cast("FlagSet", (yield ReadFlags()))
        try:
            on = Standing.of(world.catalog, held, world.controls.killed, setting.now())
            if seen is not None:
                _require_unraced(seen, on)
            plan = yield from _worked_out(setting, request, on, world.published)
        except Exception:
            # What was right the first time may be refused now; a repeated message must not fail for that.
            again = yield from _repeated(setting, request)
            if again is None:
                raise
            return again
        if not plan.change.altered or request.author.is_dry:
            again = yield from _repeated(setting, request)
            if again is not None:
                return again
            if request.author.is_dry or request.operation is None:
                return plan.change
        author, seen = request.author, plan
        try:
            apply = Apply(plan.write, held.revision, author.actor, author.because, request.operation)
            applied = cast("Applied", (yield apply))
            break
        except ChangeConflict:
            if not tries_left:
                raise
    if applied.applied:
        yield from announce(setting, Scope.FLAGS, None, applied)
    yield from renew_flags(setting)
    if not applied.applied:
        return replace(repeated(applied.id, None, setting), tenants=0)
    return replace(plan.change, id=applied.id, applied=True, reason=ChangeReason.APPLIED)


@dataclass(frozen=True, slots=True)
class _Plan:
    on: Standing
    write: Write
    change: Change


def _worked_out(setting: Setting, request: FlagRequest, on: Standing, sold: Published) -> Flow[_Plan]:
    held = on.held
    if request.expect is not None and request.expect != held.revision:
        raise ChangeConflict(
            f"the flags are at revision {held.revision}, and you looked at {request.expect}; look again and repeat",
            expected=request.expect,
            found=held.revision,
        )
    if held.damage is not None and not request.repairs:
        raise unreadable(held.damage)
    if request.check is not None:
        yield from request.check()
    wanted = replace(request.work(on), revision=held.revision + 1)
    wanted = remembering(on.flags, effective(on.catalog.flags, wanted), wanted, dropped_of(sold, held))
    wanted = settled(on.flags, effective(on.catalog.flags, wanted), held, wanted, on.now)
    then = Standing.of(on.catalog, wanted, on.killed, on.now)
    lines = altered_flags(on.flags, then.flags, held, wanted)
    keys = moving(on.flags, then.flags, on.segments, then.segments) if request.counts and lines else []
    catalog = on.catalog
    counting = (
        Counting.of_each(keys[:MOST_FLAGS], catalog.flags, held, wanted, on.now, segments=catalog.segments)
        if keys
        else ()
    )
    forecasts = yield from counted(counting, on.now, most=MOST_TENANTS)
    now = setting.now()
    detail = {
        "asked": dict(request.asked),
        "was": kept(held, touched(held, wanted)),
        "is": kept(wanted, touched(held, wanted)),
        "altered": [[line.what, line.before, line.after] for line in lines],
        **request.notes,
    }
    reason = ChangeReason.DRY_RUN if lines else ChangeReason.UNCHANGED
    change = Change(
        None,
        False,
        reason,
        None,
        moment(now),
        gains=tuple(sorted(on.narrowed() - then.narrowed())),
        losses=tuple(sorted(then.narrowed() - on.narrowed())),
        altered=lines,
        tenants=0,
        forecasts=forecasts,
        uncounted=len(keys[MOST_FLAGS:]),
    )
    # What the catalog says of the same flags is judged too: somebody may publish in the same moment.
    beside = (Scope.CATALOG, sold.revision)
    return _Plan(on, Write(setting.new_id(now), request.verb, now, flags=wanted, detail=detail, beside=beside), change)


def unreadable(damage: Unread) -> StoreDamaged:
    """The error for a change of a flag set that cannot be read, with the way out."""
    return StoreDamaged(f"the stored flag set cannot be read: {damage.why}; {WAY_OUT}")


def _require_unraced(seen: _Plan, now: Standing) -> None:
    """Refuse to change what somebody else has just changed, in its definition or by the catalog."""
    mine = touched(seen.on.held, cast("FlagSet", seen.write.flags))
    theirs = touched(seen.on.held, now.held) | {
        thing for thing in mine if not same(_sold(seen.on.catalog, thing), _sold(now.catalog, thing))
    }
    for name in sorted(mine & theirs):
        lines = altered_flags(seen.on.flags, now.flags, seen.on.held, now.held)
        raise ChangeConflict(
            f"{' '.join(name)} was changed by somebody else in the same moment: {'; '.join(map(str, lines))}; "
            "look again and repeat",
            expected=seen.on.held.revision,
            found=now.held.revision,
        )


def _sold(catalog: Catalog, thing: Thing) -> object:
    """What the catalog says of a thing, as JSON data."""
    kind, name = thing
    if kind == "flag":
        return None if name not in catalog.flags else encode_flag(catalog.flags[name])
    return None if name not in catalog.segments else encode_condition(catalog.segments[name])


def _repeated(setting: Setting, request: FlagRequest) -> Flow[Change | None]:
    """What a repeated operation comes to; None where it is none."""
    first = yield from first_of(
        request.operation, request.verb, request.asked, tenant=None, after=request.after, scope=Scope.FLAGS
    )
    return None if first is None else replace(repeated(first.id, None, setting), tenants=0)


def said_of(detail: Mapping[str, object]) -> tuple[Altered, ...]:
    """What a change of flags altered, from the audit trail."""
    lines = cast("list[list[str]]", detail["altered"])
    return tuple(Altered(what, before, after) for what, before, after in lines)


def undo_flags(detail: Mapping[str, object], on: Standing) -> FlagSet:
    """Work out the flag set in which everything that a change touched is as it was before that."""
    return back(on.held, cast("Mapping[str, Mapping[str, object]]", detail["was"]), on.now)
