"""Kill switches and enforcement modes: what operators turn for everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from payaid_entitlements.admin.change import Author, Change, ChangeReason
from payaid_entitlements.admin.tenants import MOST_TRIES, current_world, first_of, repeated
from payaid_entitlements.cache.renewing import announce, renew
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Apply, Flow, ReadControls, ReadFlags
from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.controls import (
    ENFORCE,
    EVERYWHERE,
    OBSERVE,
    Controls,
    Enforcement,
    Position,
    Stage,
    Switch,
    staged,
)
from payaid_entitlements.core.flags.model import PARTS, FlagSet
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.overriding import require_key
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ChangeConflict, UnknownFeature
from payaid_entitlements.stores.ports import Applied, Scope, Write

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog


def set_killed(setting: Setting, author: Author, key: str, is_killed: bool, operation: str | None) -> Flow[Change]:
    """
    Turn a module, a feature or a flag off for everybody, or on again.

    Raises:
        UnknownFeature: There is no such key. A kill switch of a key that is not sold any more can be lifted.
    """
    world = yield from current_world(setting)
    if is_killed or key not in world.controls.killed:
        yield from _require_known(setting, world.catalog, key)
    verb = "kill" if is_killed else "restore"
    return (yield from turn(setting, author, verb, ("killed", key), is_killed, {"key": key}, operation))


def _require_known(setting: Setting, catalog: Catalog, key: str) -> Flow[None]:
    """Pass for what may be killed. The flag set is asked last: a switch must turn though it cannot be read."""
    near = setting.near.flags
    if key in catalog.modules or key in catalog.features or (near is not None and key in near.flags):
        return
    flag_set = cast("FlagSet", (yield ReadFlags()))
    if flag_set.damage is None:
        require_key(catalog, key, flags=effective(catalog.flags, flag_set))
    # Else nobody knows which flags there are, and it may be one of them. A switch of none does no harm.


def set_mode(
    setting: Setting, author: Author, scope: str, mode: Enforcement, operation: str | None, parts: int = PARTS
) -> Flow[Change]:
    """
    Set the mode of a module, or of everywhere.

    Args:
        parts: For how many tenants, of `PARTS`. The others keep theirs.

    Raises:
        UnknownFeature: The catalog has no such module.
    """
    world = yield from current_world(setting)
    modules = world.catalog.modules
    if scope != EVERYWHERE and scope not in modules:
        raise UnknownFeature(
            f"the catalog has no module {scope!r}{did_you_mean(str(scope), modules)}; '*' is everywhere"
        )
    asked = {"scope": scope, "mode": mode.value}
    if parts != PARTS:
        asked["percent"] = percent(parts)
    to = mode_position(world.controls, scope, mode, parts)
    return (yield from turn(setting, author, "set_enforcement", ("mode", scope), to, asked, operation))


def mode_position(controls: Controls, scope: str, mode: Enforcement, parts: int) -> str:
    """Where the switch of *scope* stands once *mode* holds for *parts* of `PARTS` there."""
    return mode.value if parts == PARTS else staged(Stage(mode, parts), _left_over(controls, scope, mode))


def _left_over(controls: Controls, scope: str, mode: Enforcement) -> Enforcement:
    """
    The mode of those whom a stage of *mode* has not reached: the one that is stored for them.

    Where none is stored, or it is *mode* too, those whom nothing is enforced for are observed, and the others enforced.
    """
    stored = controls.modes.get(scope, controls.modes.get(EVERYWHERE))
    if stored is None or stored is mode:
        return ENFORCE if mode is not ENFORCE else OBSERVE
    return stored


def turn(
    setting: Setting,
    author: Author,
    verb: str,
    switch: Switch,
    to: Position,
    asked: Mapping[str, object],
    operation: str | None,
    notes: Mapping[str, object] | None = None,
    check: Callable[[], Flow[None]] | None = None,
    after: int = 0,
) -> Flow[Change]:
    """
    Turn one switch to a position; every process follows at its next look at the change log, this one at once.

    Args:
        check: Runs before each try; raises to refuse.
        after: Position in the audit trail behind which this operation must be, if it was made before.
    """
    tries_left = MOST_TRIES
    while True:
        tries_left -= 1
        controls = cast("Controls", (yield ReadControls()))
        try:
            if check is not None:
                yield from check()
        except ChangeConflict:
            # What it undid is undone: a repeated message must not fail for that.
            first = yield from first_of(operation, verb, asked, tenant=None, after=after)
            if first is None:
                raise
            return _repeated(first.id, setting)
        now, was = setting.now(), controls.position(switch)
        change = Change(
            None,
            False,
            ChangeReason.UNCHANGED if was == to else ChangeReason.DRY_RUN,
            None,
            moment(now),
            altered=() if was == to else (Altered(_named(switch), _worded(was), _worded(to)),),
            tenants=0,
        )
        if author.is_dry:
            first = yield from first_of(operation, verb, asked, tenant=None, after=after)
            return change if first is None else _repeated(first.id, setting)
        if was == to and operation is None:
            return change
        detail = {"asked": dict(asked), "about": list(switch), "was": was, "is": to, **(notes or {})}
        write = Write(setting.new_id(now), verb, now, controls=controls.turned(switch, to), detail=detail)
        try:
            applied = cast("Applied", (yield Apply(write, controls.revision, author.actor, author.because, operation)))
            break
        except ChangeConflict:
            if not tries_left:
                raise
    if applied.applied:
        yield from announce(setting, Scope.CONTROLS, None, applied)
    yield from renew(setting)
    if not applied.applied:
        return _repeated(applied.id, setting)
    return replace(change, id=applied.id, applied=True, reason=ChangeReason.APPLIED)


def _repeated(id: str, setting: Setting) -> Change:
    return replace(repeated(id, None, setting), tenants=0)


def _named(switch: Switch) -> str:
    kind, key = switch
    if kind == "killed":
        return f"kill switch of {key}"
    return "enforcement everywhere" if key == EVERYWHERE else f"enforcement of {key}"


def _worded(at: Position) -> str:
    return "not set" if at is None else {True: "on", False: "off"}[at] if isinstance(at, bool) else at
