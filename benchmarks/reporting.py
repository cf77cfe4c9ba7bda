"""Rows, what they say, and the gate: the table for people, JSON for programs, the comparison with a saved run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Measured, percentile

#: Milliseconds that no check may take, in 99 of 100 cases; the one figure that is absolute.
GATE_MS: Final = 50.0
#: Part of a budget by which it may be missed on another machine than the one on which it was measured: what a disk, a
#: processor's caches or a hypervisor take is no change of the code. Measured; see docs/explanation/performance.md.
BETWEEN_MACHINES: Final = 0.15


@dataclass(frozen=True, slots=True)
class Row:
    """
    One figure, which can fail: by its budget, by the gate or by both.

    Attributes:
        operation: What was done; names its unit where the figure is no ratio.
        ratio: To the baseline of the same run; None where there is nothing to compare with.
        budget: The most that *ratio* may be; None where none is promised.
        p50_ms, p99_ms: Of single calls; None where there are none.
        noise: How far apart repeats lay, in the unit of *ratio*.
    """

    operation: str
    ratio: float | None = None
    budget: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.budget is None and self.p99_ms is None:
            raise ValueError(f"{self.operation}: a row needs a budget or a p99, else nothing could make it fail")

    @property
    def is_fast(self) -> bool:
        """Did no check reach the gate?"""
        return self.p99_ms is None or self.p99_ms < GATE_MS

    @property
    def is_within(self) -> bool:
        """Is the budget kept, or missed by no more than the noise?"""
        return self._exceeds_by <= 1.0

    @property
    def ok(self) -> bool:
        """Does it pass? Not when the gate is reached, nor when the budget is missed by more than machines differ."""
        return self.is_fast and self._exceeds_by <= 1.0 + BETWEEN_MACHINES

    @property
    def _exceeds_by(self) -> float:
        return 0.0 if self.ratio is None or self.budget is None else (self.ratio - self.noise) / self.budget

    def to_json(self) -> dict[str, object]:
        """The row as JSON data."""
        return {
            "operation": self.operation,
            "ratio": _rounded(self.ratio),
            "budget": self.budget,
            "p50_ms": _rounded(self.p50_ms),
            "p99_ms": _rounded(self.p99_ms),
            "ok": self.ok,
        }


def row_of(operation: str, measured: Measured, budget: float | None, samples: Sequence[float] = ()) -> Row:
    """Make the row of a ratio, with the percentiles of *samples* in milliseconds, else of those that it comes with."""
    samples = samples or measured.samples
    return Row(
        operation,
        measured.ratio,
        budget,
        percentile(samples, 50) if samples else None,
        percentile(samples, 99) if samples else None,
        measured.noise,
    )


def timed_row(operation: str, samples: Sequence[float]) -> Row:
    """Make the row of what is only timed, in milliseconds."""
    return Row(operation, p50_ms=percentile(samples, 50), p99_ms=percentile(samples, 99))


def exit_code(rows: Sequence[Row]) -> int:
    """0 when every row passes and there is one; else 1."""
    return 0 if rows and all(row.ok for row in rows) else 1


def to_json(rows: Sequence[Row]) -> str:
    """All rows as one JSON list."""
    return json.dumps([row.to_json() for row in rows], indent=1)


def saved_ratios(file: Path) -> dict[str, float]:
    """
    Read the ratios of a saved ``--json`` run, by operation.

    Raises:
        ValueError: It is no such run.
    """
    data = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(data, list):
        raise ValueError(f"{file} is no saved run: it holds a {type(data).__name__}, not a list")
    try:
        return {str(row["operation"]): float(row["ratio"]) for row in data if row["ratio"] is not None}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is no saved run: a row lacks {error}") from error


def change(row: Row, before: Mapping[str, float]) -> float | None:
    """By what part the ratio of *row* has grown since *before*; None where there is nothing to compare."""
    was = before.get(row.operation)
    return None if row.ratio is None or not was else row.ratio / was - 1


def show(rows: Sequence[Row], console: Console, before: Mapping[str, float] | None = None, about: str = "") -> None:
    """
    Print the table.

    Args:
        before: Ratios of a saved run; adds what has changed since. Changes within the noise are dim.
        about: Where and when it was measured.
    """
    title = "1 unit = one Python call around one dict.get, or the baseline that is named"
    table = Table(title=title, caption=about or None)
    table.add_column("operation")
    for heading in ("ratio", "noise ±", "budget", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    if before is not None:
        table.add_column("since", justify="right", no_wrap=True)
    table.add_column("ok", no_wrap=True)
    for row in rows:
        cells = [row.operation, _shown(row.ratio), _shown(row.noise or None), _shown(row.budget)]
        cells += [_shown(row.p50_ms), _shown(row.p99_ms)]
        if before is not None:
            cells.append(_since(row, before))
        table.add_row(*cells, _verdict(row))
    console.print(table)
    for row in rows:
        # Said once more where a log that was cut still has it.
        if not row.ok:
            ratio = f"ratio {_shown(row.ratio)} (± {_shown(row.noise)}) of {_shown(row.budget)}"
            console.print(f"[bold red]failed[/] {row.operation}: {ratio}, p99 {_shown(row.p99_ms)} ms", soft_wrap=True)


def _verdict(row: Row) -> str:
    if not row.is_fast:
        return f"[bold red]p99 >= {GATE_MS:.0f} ms[/]"
    return "[green]yes[/]" if row.is_within else "[yellow]over[/]" if row.ok else "[bold red]budget[/]"


def _since(row: Row, before: Mapping[str, float]) -> str:
    grown = change(row, before)
    if grown is None or row.ratio is None:
        return "new" if row.ratio is not None else ""
    style = "dim" if abs(grown) <= row.noise / row.ratio else "red" if grown > 0 else "green"
    return f"[{style}]{grown:+.0%}[/]"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
