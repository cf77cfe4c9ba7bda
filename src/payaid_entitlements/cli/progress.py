"""Progress of long work, on stderr and only where somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from payaid_entitlements.cli.printing import notes


@contextmanager
def counting(doing: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """
    Show how far it is; call what this gives with how many more are done.

    Args:
        total: How many there are; None where that is not known.
    """
    with following(doing) as told:
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            told(done, total)

        told(0, total)
        yield count


@contextmanager
def following(doing: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show how far it is; call what this gives with how many are done, of how many; None where that is not known."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notes(),
        transient=True,
    )
    if not bar.console.is_terminal:
        yield lambda done, total: None
        return
    with bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
