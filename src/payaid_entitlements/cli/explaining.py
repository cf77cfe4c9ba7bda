"""An explanation on the terminal: the answer, then every rule that was asked, in its order."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from payaid_entitlements.cli.printing import escape, plain, verdict, worth_of
from payaid_entitlements.cli.times import shown
from payaid_entitlements.core.encoding import decode_value
from payaid_entitlements.core.explanation import Explanation

_MARKS = {
    "pass": ("·", "dim"),
    "allow": ("+", "bold green"),
    "deny": ("x", "bold red"),
    "note": ("i", "yellow"),
}


def print_explanation(out: Console, explanation: Explanation, zone: ZoneInfo) -> None:
    """Show all of it; times in *zone* and in UTC."""
    decision = explanation.decision
    who = explanation.tenant if explanation.user is None else f"{explanation.tenant} / {explanation.user}"
    at = shown(explanation.at, zone)
    out.print(
        Text.assemble(
            (plain(who), "bold"),
            " / ",
            (plain(explanation.feature), "bold"),
            "  ",
            verdict(decision),
            (f"  at {at}", "dim"),
        )
    )
    out.print(f"  {escape(decision.reason.meaning)} [dim]{escape(decision.reason.way_out)}[/]")
    for advisory in decision.advisories:
        out.print(f"  [yellow]note[/] {escape(advisory.value)}: {escape(advisory.meaning)}")
    if explanation.read is not None:
        out.print(Text.assemble("  for reading: ", verdict(explanation.read)))
    for step in explanation.steps:
        mark, style = _MARKS[step.outcome]
        about = f"  [{step.key}]" if step.depth else ""
        line = Text.assemble(
            "  ", "  " * step.depth, (f"{mark} {step.rule:<11}", style), f" {plain(step.text)}", (about, "dim")
        )
        out.print(line)
    for subscription in explanation.subscriptions:
        out.print(f"  holds {escape(str(subscription))}")
    for each in explanation.overrides:
        end = "without an end" if each.until is None else f"until {shown(each.until, zone)}"
        by = f" by {each.actor}: {each.because}" if each.actor else ""
        to = worth_of(decode_value(each.to))
        out.print(f"  override {escape(f'{each.feature} -> {to}')} {end}[dim]{escape(by)}[/]")
    if explanation.next_transition is not None:
        out.print(f"  changes by itself at {shown(explanation.next_transition, zone)}")
    out.print(f"  [dim]revision {explanation.revision}, catalog {explanation.catalog[:12]}[/]")
