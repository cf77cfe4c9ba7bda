"""`payaid flag`: which flags there are, who gets what, and turning them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final

import typer

from payaid_entitlements.admin.flagging import Standing
from payaid_entitlements.admin.trail import keys_of
from payaid_entitlements.cli import REFUSED, flag_changes, flag_explaining, flag_files, flag_history, rollouts
from payaid_entitlements.cli.flag_changes import standing
from payaid_entitlements.cli.flag_history import changes
from payaid_entitlements.cli.opening import Opened, opened
from payaid_entitlements.cli.options import AsJson, FlagKey, Url
from payaid_entitlements.cli.printing import console, emit, escape, grid, notes
from payaid_entitlements.cli.times import shown, stamp
from payaid_entitlements.core.catalog.flags.linting import lint_flags
from payaid_entitlements.core.flags.altered import condition_words, needs_words, progress_words, rule_words, share_words
from payaid_entitlements.core.flags.conditions import named_segments
from payaid_entitlements.core.flags.model import Flag, Progress, Rule, Stage
from payaid_entitlements.core.flags.rollouts.schedule import reads_clock, share
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.flags.stale import stale as why_stale
from payaid_entitlements.core.flags.storing import encode_progress
from payaid_entitlements.core.flags.turning import fixed_at
from payaid_entitlements.core.flags.writing import written
from payaid_entitlements.core.instant import Instant, moment

#: Columns of a terminal below which a list shows two of its six.
_NARROW: Final = 70

app = typer.Typer(help="Who gets what: kill switches, rollouts, variants.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Shown:
    """
    A flag as the terminal shows it.

    Attributes:
        is_changed: It is in the flag set, so that the catalog's word of it does not count.
    """

    flag: Flag
    state: str
    is_changed: bool

    def as_data(self) -> dict[str, object]:
        """It as JSON data."""
        flag = self.flag
        return {
            "flag": flag.key,
            "state": self.state,
            "title": flag.title,
            "owner": flag.owner,
            "remove_by": None if flag.remove_by is None else flag.remove_by.isoformat(),
            "narrows": list(flag.narrows),
            "changed": self.is_changed,
        }


@app.command("list")
def list_(url: Url = None, as_json: AsJson = False) -> None:
    """List all flags, with what they are now."""
    with opened(url) as store:
        on = standing(store)
        found = [_shown(on, key) for key in sorted(on.flags)]
        if as_json:
            emit([each.as_data() for each in found])
            return
        out = console()
        # Where six columns have no room, what a flag is now has it; `show` tells the rest.
        columns = ("flag", "state", "narrows", "owner", "remove by", "from")[: 2 if out.width < _NARROW else 6]
        table = grid(*columns, title=store.store.name)
        for each in found:
            flag, origin = each.flag, "changed since" if each.is_changed else "catalog"
            row = (flag.key, each.state, ", ".join(flag.narrows), flag.owner or "-", str(flag.remove_by or "-"), origin)
            table.add_row(*map(escape, row[: len(columns)]))
        out.print(table)


@app.command()
def show(flag: FlagKey, url: Url = None, as_json: AsJson = False) -> None:
    """Show what FLAG is: its variants, its rules in their order, where its rollout stands."""
    with opened(url) as store:
        on = standing(store)
        found = _shown(on, on.known(flag).key)
        progress = on.held.progress.get(flag)
        if as_json:
            where = None if progress is None else encode_progress(progress)
            emit({**found.as_data(), "definition": written(found.flag), "progress": where})
            return
        out, definition = console(), found.flag
        out.print(f"[dim]{escape(store.store.name)}[/]")
        origin = "" if found.is_changed else "  [dim]as the catalog has it[/]"
        out.print(f"[bold]{escape(flag)}[/]  [cyan]{escape(found.state)}[/]{origin}")
        for name, words in _facts(definition).items():
            if words:
                out.print(f"  {name:<10} {escape(words)}")
        for number, rule in enumerate(definition.rules, start=1):
            out.print(f"  rule {number:<5} {escape(rule_words(rule))}")
        named = {name for rule in definition.rules if rule.when is not None for name in named_segments(rule.when)}
        for name in sorted(named):
            segment = on.segments.get(name)
            words = "cannot be read" if segment is None else condition_words(segment)
            out.print(f"  segment    {escape(name)}: {escape(words)}")
        if progress is not None:
            out.print(f"  rollout    {escape(progress_words(progress))}")


@app.command()
def stale(url: Url = None, as_json: AsJson = False) -> None:
    """List flags that have done their work: past their day, or answering everybody alike for a month. Exits with 1
    where there is one.
    """
    with opened(url) as store:
        on, changed = standing(store), _last_changes(store)
        zone = store.zone()
        today: date = moment(store.now).astimezone(zone).date()
        found = [
            each
            for key, flag in sorted(on.flags.items())
            if (
                each := why_stale(
                    flag,
                    progress=on.held.progress.get(key),
                    killed=on.killed,
                    changed=changed.get(key),
                    now=store.now,
                    today=today,
                )
            )
        ]
        if as_json:
            emit(
                [
                    {
                        "flag": each.key,
                        "owner": on.flags[each.key].owner,
                        "why": list(each.why),
                        "changed": stamp(changed.get(each.key)),
                    }
                    for each in found
                ]
            )
        else:
            for each in found:
                owner = on.flags[each.key].owner or "nobody's"
                last = f", last changed {shown(changed[each.key], zone)}" if each.key in changed else ""
                console().print(f"[bold]{escape(each.key)}[/]  [dim]{escape(owner)}{last}[/]")
                for why in each.why:
                    console().print(f"  {escape(why)}")
            if not found:
                notes().print("  [green]no flag is stale[/]")
    if found:
        raise typer.Exit(REFUSED)


@app.command()
def lint(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many lines at most; --json lists all.")] = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List what looks wrong with flags as they are: what never decides, what refers to nothing any more. Exits with 1
    where a flag cannot answer as it says, listed or not; errors come first.
    """
    with opened(url) as store:
        on = standing(store)
        found = sorted(lint_flags(on.catalog, on.held), key=lambda each: not each.fatal)
    if as_json:
        emit([{"code": e.code, "path": e.path, "message": e.message, "fatal": e.fatal} for e in found])
    else:
        for each in found[:limit]:
            mark = "[red]error[/]" if each.fatal else "[yellow]lint[/] "
            console().print(
                f"{mark} [bold]{escape(each.path)}[/] {escape(each.message)} [dim]{escape(f'[{each.code}]')}[/]"
            )
        left = found[limit:]
        if left:
            errors = sum(each.fatal for each in left)
            more = f"and {len(left):,} more" + (f", {errors:,} of them errors" if errors else "")
            console().print(f"{more}; `--limit {len(found)}` lists them")
        if not found:
            notes().print("  [green]nothing looks wrong[/]")
    if any(each.fatal for each in found):
        raise typer.Exit(REFUSED)


def _shown(on: Standing, key: str) -> Shown:
    return Shown(on.flags[key], _state(on.flags[key], on), key in on.held.changed)


def _state(flag: Flag, on: Standing) -> str:
    """What a flag is now, in a few words."""
    if flag.key in on.killed:
        return "killed"
    if flag.broken:
        return f"broken: {flag.broken}"
    if not flag.enabled:
        return "not enabled"
    everybody = fixed_at(flag)
    if everybody is not None:
        return f"{everybody} for everybody"
    if flag.targeting is not None:
        return "targeting of flagd"
    progress = on.held.progress.get(flag.key)
    rules = "; ".join(f"{_reached(rule, progress, on.now)}{rule_words(rule)}" for rule in flag.rules)
    return rules or f"{flag.default or 'no answer'} for everybody"


def _reached(rule: Rule, progress: Progress | None, now: Instant) -> str:
    """How far the rollout of a rule is, where its plan does not say that: time does, or what was measured."""
    rollout = rule.rollout
    if rollout is None or (rollout.guard is None and not reads_clock(rollout)):
        return ""
    own = progress if progress is not None and progress.rule == rule.id else None
    stage = "now" if rollout.guard is None else (Stage.PENDING if own is None else own.stage).value
    return f"{stage} at {percent(share(rollout, own, now))}: "


def _facts(flag: Flag) -> dict[str, str]:
    by = flag.bucket_by if flag.fallback is None else f"{flag.bucket_by}, else {flag.fallback}"
    return {
        "title": flag.title,
        "owner": flag.owner or "",
        "remove by": "" if flag.remove_by is None else flag.remove_by.isoformat(),
        "variants": ", ".join(f"{name} = {value!r}" for name, value in flag.variants.items()),
        "default": flag.default or "what the caller says",
        "off": flag.off or "what the caller says",
        "buckets by": by,
        "salt": "" if flag.salt in ("", flag.key) else flag.salt,
        "needs": needs_words(flag.needs),
        "exclusion": "" if flag.exclusion is None else share_words(flag.exclusion),
        "holdout": "" if flag.holdout is None else share_words(flag.holdout),
        "narrows": ", ".join(flag.narrows),
    }


def _last_changes(store: Opened) -> dict[str, Instant]:
    """When each flag was last changed, or its kill switch turned."""
    last: dict[str, Instant] = {}
    for entry in changes(store):
        last |= dict.fromkeys(keys_of(entry), entry.recorded)
    return last


app.command("explain")(flag_explaining.explain)
app.command("history")(flag_history.history)
app.command("set")(flag_changes.set_)
app.command("rollout")(flag_changes.rollout)
app.command("kill")(flag_changes.kill)
app.command("restore")(flag_changes.restore)
app.command("undo")(flag_changes.undo)
app.command("remove")(flag_changes.remove_)
app.command("import")(flag_files.import_)
app.command("export")(flag_files.export)
rollouts.mount(app)
