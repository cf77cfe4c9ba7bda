"""Turning flags by hand: what would be moved is counted and shown before anybody says yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from payaid_entitlements.admin import Admin, Change
from payaid_entitlements.admin.counting import MOST_FLAGS
from payaid_entitlements.admin.flag_work import fix, remove, roll_out
from payaid_entitlements.admin.flagging import Standing, undo_flags
from payaid_entitlements.admin.undoing import standing_changes
from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.changing import opens, said
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.flag_history import entries_of
from payaid_entitlements.cli.opening import PAGE, Opened, actor, opened
from payaid_entitlements.cli.options import AsJson, Because, FlagKey, Url, Yes
from payaid_entitlements.cli.printing import escape, notes
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.flags.flag_set import WAY_OUT
from payaid_entitlements.core.flags.forecasting import Counting, Forecast
from payaid_entitlements.core.flags.model import FlagSet, Stage
from payaid_entitlements.core.flags.shares import parts
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.core.flags.touching import touched
from payaid_entitlements.stores.ports import Scope

Rule = Annotated[str | None, typer.Option(help="Of which rule; needless where only one may be meant.")]


def rollout(
    flag: FlagKey,
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="How many are in: 25%, 0.5%.")],
    because: Because,
    rule: Rule = None,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let PERCENT in, and say beforehand how many enter and that none leaves."""
    share = _share(percent)
    with opened(url) as store:
        on = standing(store)
        wanted = roll_out(flag, share, rule, on)
        _change(
            store,
            on,
            flag,
            wanted,
            lambda admin, expect: admin.rollout(flag, percent, rule=rule, expect=expect),
            because=because,
            yes=yes,
            as_json=as_json,
        )


def set_(
    flag: FlagKey,
    because: Because,
    variant: Annotated[str | None, typer.Argument(metavar="VARIANT", help="What everybody gets.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="Let the rules decide again.")] = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Give VARIANT to everybody, whatever the rules say; --rules takes that back."""
    if (variant is None) is not rules:
        raise typer.BadParameter("say what everybody gets: a VARIANT, or --rules to let the rules decide again")
    with opened(url) as store:
        on = standing(store)
        wanted = fix(flag, variant, on)
        _change(
            store,
            on,
            flag,
            wanted,
            lambda admin, expect: admin.set_flag(flag, variant, expect=expect),
            because=because,
            yes=yes,
            as_json=as_json,
        )


def kill(flag: FlagKey, because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Turn FLAG off for everybody, on every process, at once. Its rules stay: restore brings them back."""
    _switch(flag, True, because, yes, url, as_json)


def restore(flag: FlagKey, because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Let FLAG be again what it was when it was killed."""
    _switch(flag, False, because, yes, url, as_json)


def undo(flag: FlagKey, because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Take back the last change of FLAG; once more takes back the one before. What else was changed with it, by an
    import, goes back too, and is named. Kill switches are left as they are.
    """
    with opened(url) as store:
        on = standing(store)
        # A kill switch has its own way back: who wants another share must not lift it by mistake.
        changes = [entry for entry in entries_of(store, flag) if entry.scope is Scope.FLAGS]
        standing_ones = standing_changes(changes)
        if not standing_ones:
            on.known(flag)
            raise Ending(f"flag {flag!r} is as the catalog has it; there is nothing to take back", code=REFUSED)
        entry = standing_ones[-1]
        wanted = undo_flags(entry.detail, on)
        _change(
            store,
            on,
            flag,
            wanted,
            lambda admin, expect: admin.undo(entry.id),
            because=because,
            yes=yes,
            as_json=as_json,
        )


def remove_(
    flag: FlagKey,
    because: Because,
    force: Annotated[
        bool, typer.Option("--force", help="Also where it keeps a module or feature from somebody, who gets that then.")
    ] = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let there be no FLAG any more, once no code asks it: whoever still does gets his own default."""
    with opened(url) as store:
        on = standing(store)
        wanted = remove(flag, force, on)
        _change(
            store,
            on,
            flag,
            wanted,
            lambda admin, expect: admin.remove_flag(flag, force=force, expect=expect),
            because=because,
            yes=yes,
            as_json=as_json,
        )


def standing(store: Opened) -> Standing:
    """What counts now. Where the flag set cannot be read, that is what the catalog says, and the terminal says so."""
    on = Standing.of(store.published().catalog, store.store.flags(), store.store.controls().killed, store.now)
    if on.held.damage is not None:
        why = f"the stored flag set cannot be read: {on.held.damage.why}; flags are as the catalog says; {WAY_OUT}"
        notes().print(f"  [red]damaged[/] {escape(why)}")
    return on


def counted(store: Opened, on: Standing, flags: list[str], wanted: FlagSet) -> list[Forecast]:
    """Count whom *wanted* would move in each of *flags*; the terminal shows how far it is."""
    told = Counting.of_each(flags, on.catalog.flags, on.held, wanted, store.now, segments=on.catalog.segments)
    with counting("counting tenants") as count:
        for number, row in enumerate(store.tenants(), start=1):
            for each in told:
                each.count(row.tenant, row.plan, row.modules)
            if not number % PAGE:
                count(PAGE)
    return [each.forecast for each in told]


def _change(
    store: Opened,
    on: Standing,
    flag: str,
    wanted: FlagSet,
    verb: Callable[[Admin, int], Change],
    *,
    because: str,
    yes: bool,
    as_json: bool,
) -> None:
    proposed = verb(store.ent.admin(actor(), because=because, dry_run=True), on.held.revision)
    # A change that is undone may have been one of many flags: an import.
    others = sorted({name for kind, name in touched(on.held, wanted) if kind == "flag"} - {flag})
    forecast, *too = counted(store, on, [flag, *others[: MOST_FLAGS - 1]], wanted)
    lines = _lines(flag, proposed.altered, forecast)
    told = [f"  [yellow]{escape(each.key)} too[/]   {moved(each)}" for each in too]
    if left := others[MOST_FLAGS - 1 :]:
        told.append(f"  [yellow]and {len(left):,} more flags too[/]: of these nobody was counted")
    told += [*_stands_still(flag, wanted), *opens(proposed)]
    confirm(store.store.name, lines, because=because, yes=yes, as_json=as_json, told=told)
    if flag in store.store.controls().killed and flag in effective(on.catalog.flags, wanted):
        notes().print(f"  [yellow]it is killed[/]: nobody gets it before `payaid flag restore {escape(flag)}`")
    change = verb(store.ent.admin(actor(), because=because), on.held.revision)
    more: dict[str, object] = {"flag": flag, "forecast": asdict(forecast), "too": [asdict(each) for each in too]}
    way_back = f"payaid flag undo {flag} --because ..."
    said(change, store.zone(), as_json=as_json, more=more, way_back=way_back)


def _lines(flag: str, altered: tuple[Altered, ...], told: Forecast) -> list[Line]:
    lines = [Line(each.what, f"[dim]{escape(each.before)}[/]", escape(each.after)) for each in altered]
    own = [
        number for number, line in enumerate(lines) if line.what == f"flag {flag}" or line.what.startswith(f"{flag} ")
    ]
    if own:
        # What people want to know stands beside the last that is said of the flag: how many are moved.
        last = lines[own[-1]]
        lines[own[-1]] = Line(last.what, last.before, f"{last.after}   {moved(told)}")
    return lines


def _stands_still(flag: str, then: FlagSet) -> list[str]:
    stands = then.progress.get(flag)
    if stands is None or stands.stage is not Stage.PAUSED:
        return []
    return [f"  [yellow]its rollout stands still[/] until `payaid flag resume {escape(flag)}`"]


def moved(told: Forecast) -> str:
    """Whom a change moves, for the terminal."""
    if not told.unknown:
        return f"[{'red' if told.leave or told.change else 'green'}]{escape(str(told))}[/]"
    what = ", ".join(told.unknown)
    return f"{escape(str(told))} [yellow]of those who have no {escape(what)}: that is not known here[/]"


def _switch(flag: str, is_killed: bool, because: str, yes: bool, url: str | None, as_json: bool) -> None:
    verb, opposite = ("kill", "restore") if is_killed else ("restore", "kill")
    told = []
    with opened(url) as store:
        if flag not in store.store.controls().killed:
            on = standing(store)
            # A module is killed by nobody who turns flags. Where these cannot be read, any other key may be one.
            if on.held.damage is None or flag in on.catalog.modules or flag in on.catalog.features:
                narrows = ", ".join(on.known(flag).narrows)
                if is_killed and narrows:
                    told.append(f"  [red]refuses {escape(narrows)}[/] to everybody until it is restored")
        if not is_killed:
            told += _stands_still(flag, store.store.flags())
        proposed = getattr(store.ent.admin(actor(), because=because, dry_run=True), verb)(flag)
        lines = [Line(each.what, escape(each.before), escape(each.after)) for each in proposed.altered]
        confirm(store.store.name, lines, because=because, yes=yes, as_json=as_json, told=told)
        change = getattr(store.ent.admin(actor(), because=because), verb)(flag)
        way_back = f"payaid flag {opposite} {flag} --because ..."
        said(change, store.zone(), as_json=as_json, more={"flag": flag}, way_back=way_back)


def _share(percent: str) -> int:
    try:
        return parts(percent)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
