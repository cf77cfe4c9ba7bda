"""How the demo looks: chapters, steps with a mark and a time, and a table at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from payaid_entitlements.cli.demo.story import REQUESTS, Step, percentile

#: Columns of a time, and of an answer where there is room.
_TIME_WIDTH = 9
_ANSWER_WIDTH = 46


def opening(console: Console, *, database: str, urls: Sequence[str], seconds: float) -> None:
    """Say what is on the stage."""
    lines = Text.assemble(
        ("One FastAPI app, six modules, twelve tenants. ", "bold"),
        "Everything below is real HTTP.\n",
        ("database  ", "dim"),
        database,
        "\n",
        ("app       ", "dim"),
        "  ".join(urls),
        f"  (two processes, up in {seconds:.1f} s)",
    )
    console.print(Panel(lines, title="payaid demo", title_align="left", border_style="cyan", padding=(0, 1)))


def chapter(console: Console, title: str) -> None:
    """Begin a chapter."""
    console.print()
    console.print(Rule(f"[bold cyan]{title}[/]", align="left", style="dim cyan"))


def told(console: Console, step: Step) -> None:
    """Show one step: what was done, what came back, how long it took; and what was expected where it was not that."""
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=1)
    row.add_column(ratio=1)
    row.add_column(width=min(_ANSWER_WIDTH, console.width * 2 // 5), overflow="fold")
    row.add_column(justify="right", width=_TIME_WIDTH)
    mark = Text("✓", "bold green") if step.ok else Text("✗", "bold red")
    row.add_row(mark, Text(step.step), Text(step.got, _colour(step)), Text(_length(step.ms), "dim"))
    if not step.ok:
        row.add_row("", "", Text(f"expected: {step.expected}", "red"), "")
    console.print(row)
    if step.exhibit:
        console.print(Padding(Text(step.exhibit, "dim"), (0, 0, 0, 4)))


def closing(
    console: Console, steps: Sequence[Step], timings: Sequence[float], check_ns: float | None, took: float
) -> None:
    """Sum it up."""
    well = sum(step.ok for step in steps)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    colour = "bold green" if well == len(steps) else "bold red"
    table.add_row("steps as expected", Text(f"{well} of {len(steps)}", colour))
    if len(timings) == REQUESTS:
        p50, p99 = percentile(timings, 50), percentile(timings, 99)
        said = f"p50 {_length(p50)}, p99 {_length(p99)} of {len(timings):,} requests over HTTP, one after the other"
        table.add_row("a gated request", said)
    if check_ns is not None:
        table.add_row("a check in process", f"{check_ns:,.0f} ns, what is known being near")
    table.add_row("the whole demo", f"{took:.1f} s")
    console.print()
    console.print(Panel(table, title="in sum", title_align="left", border_style=colour.split()[1], padding=(0, 1)))


def _colour(step: Step) -> str:
    if not step.ok:
        return "bold red"
    return "yellow" if step.got.startswith("4") else "green"


def _length(ms: float) -> str:
    return f"{ms / 1000:.2f} s" if ms >= 1000 else f"{ms:.1f} ms"
