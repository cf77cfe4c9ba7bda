"""`payaid flag step` and its like: guarded rollouts, as they go on by themselves and as people let them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from payaid_entitlements.admin import Admin, Change
from payaid_entitlements.cli.changing import as_data, said
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.flag_changes import standing
from payaid_entitlements.cli.opening import actor, opened
from payaid_entitlements.cli.options import AsJson, Because, FlagKey, PerhapsBecause, Url, Yes
from payaid_entitlements.cli.printing import console, emit, escape
from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.flags.altered import progress_words
from payaid_entitlements.core.flags.rollouts import machine
from payaid_entitlements.core.flags.rollouts.judging import judge, mismatch
from payaid_entitlements.core.flags.rollouts.measured import Measured, tally
from payaid_entitlements.core.flags.rollouts.schedule import share
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.flags.storing import encode_progress

_WAY_BACK = "payaid flag undo {flag} --because ..."


def step(
    flags: Annotated[list[str] | None, typer.Argument(metavar="[FLAG]...", help="Only these; else all.")] = None,
    because: PerhapsBecause = None,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let guarded rollouts go on where it is time, or back where a guard is broken; for a timer, say."""
    only = flags or None
    with opened(url) as store:
        for key in only or ():
            standing(store).known(key)
        proposed = store.ent.admin(actor(), because=because, dry_run=True).step_rollouts(only)
        made = []
        if proposed:
            lines = [_line(each) for found in proposed for each in found.change.altered]
            why = because or "it is time, by what was measured"
            confirm(store.store.name, lines, because=why, yes=yes, as_json=as_json)
            made = store.ent.admin(actor(), because=because).step_rollouts(only)
        if as_json:
            emit(
                [
                    {
                        "flag": each.flag,
                        "stage": each.stage.value,
                        "step": each.step,
                        "share": each.share,
                        "because": each.because,
                        **as_data(each.change),
                    }
                    for each in made
                ]
            )
            return
        for each in made:
            told = f": {escape(each.because)}" if each.because else ""
            console().print(
                f"[green]done[/] {escape(each.flag)} is {each.stage.value}, {percent(each.share)} is in{told}"
            )
        if not made:
            console().print("no rollout is to go on now")


def measured(flag: FlagKey, url: Url = None, as_json: AsJson = False) -> None:
    """Show where the guarded rollout of FLAG stands, and what was measured in its step."""
    with opened(url) as store:
        on = standing(store)
        plan = machine.plan_of(on.flag(flag))
        if plan is None:
            raise Ending(f"flag {flag!r} has no guarded rollout")
        stands = machine.standing(plan, on.held.progress.get(flag))
        found = Measured.of(store.store.tallies(tally(flag, stands.attempt)))
        let_in = share(plan.rollout, stands, store.now)
        judged, wrong = judge(plan.rollout, let_in, found), mismatch(let_in, found)
        if as_json:
            emit(
                {
                    "flag": flag,
                    "progress": encode_progress(stands),
                    "share": let_in,
                    "samples": {"inside": found.inside.samples, "control": found.control.samples},
                    "metrics": [
                        {"metric": each.metric.name, "broken": each.is_broken, "figures": each.figures}
                        for each in judged
                    ],
                    "mismatch": wrong,
                }
            )
            return
        out = console()
        out.print(f"[bold]{escape(flag)}[/]  {escape(progress_words(stands))}")
        out.print(f"  measured   {found.inside.samples} inside, {found.control.samples} outside")
        for each in judged:
            colour = "red" if each.is_broken else "green"
            out.print(f"  [{colour}]{escape(each.metric.name)}[/]  {escape(each.figures)}")
        if wrong is not None:
            out.print(f"  [yellow]sample ratio mismatch[/]  {escape(wrong)}")


def approve(flag: FlagKey, because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Let the running step of FLAG end, once its time and its samples are there."""
    _turn(flag, lambda admin: admin.approve_rollout(flag), because, yes, url, as_json)


def pause(flag: FlagKey, because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Let the rollout of FLAG stand still: nobody enters, nobody leaves, nothing is judged."""
    _turn(flag, lambda admin: admin.pause_rollout(flag), because, yes, url, as_json)


def resume(flag: FlagKey, because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Let the rollout of FLAG go on; the time of its step begins anew."""
    _turn(flag, lambda admin: admin.resume_rollout(flag), because, yes, url, as_json)


def restart(flag: FlagKey, because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Begin the rollout of FLAG anew, from its first step."""
    _turn(flag, lambda admin: admin.restart_rollout(flag), because, yes, url, as_json)


def roll_back(flag: FlagKey, because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Let nobody be in FLAG any more, on every process, at once."""
    _turn(flag, lambda admin: admin.roll_back(flag, because), because, yes, url, as_json)


def _turn(flag: str, verb: Callable[[Admin], Change], because: str, yes: bool, url: str | None, as_json: bool) -> None:
    with opened(url) as store:
        proposed = verb(store.ent.admin(actor(), because=because, dry_run=True))
        confirm(store.store.name, [_line(each) for each in proposed.altered], because=because, yes=yes, as_json=as_json)
        change = verb(store.ent.admin(actor(), because=because))
        way_back = _WAY_BACK.format(flag=flag)
        said(change, store.zone(), as_json=as_json, more={"flag": flag}, way_back=way_back)


def _line(each: Altered) -> Line:
    return Line(each.what, f"[dim]{escape(each.before)}[/]", escape(each.after))


def mount(app: typer.Typer) -> None:
    """Give *app* the commands."""
    commands: dict[str, Callable[..., None]] = {
        "step": step,
        "measured": measured,
        "approve": approve,
        "pause": pause,
        "resume": resume,
        "restart": restart,
        "roll-back": roll_back,
    }
    for name, command in commands.items():
        app.command(name)(command)
