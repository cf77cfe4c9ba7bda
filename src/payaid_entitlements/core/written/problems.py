"""Problems of a catalog: where each is, what is wrong, and the way out; and how they are collected."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Where something is in a document: the keys and list positions that lead to it.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong, or suspicious, in a catalog.

    Attributes:
        code: Stable and dotted, for machines: ``unknown.feature``, ``duplicate.key``.
        message: One sentence that names the thing and the way out.
        path: Where in the document, dotted: ``plans.starter.features``.
        file: Name of the file, or what the source was.
        line: Line in the file, from 1; None where the source has no lines.
        fatal: False for a lint that does not keep the catalog from being used.
    """

    code: str
    message: str
    path: str
    file: str = "<catalog>"
    line: int | None = None
    fatal: bool = True

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message} [{self.code}]"


class Findings:
    """
    What was found while a catalog was read: every problem, none twice.

    Attributes:
        file: What to call the source.
        marks: Line of each path that has one, from 1.
        aliases: By the path of what was written elsewhere the path at which it is written; see `line`.
        forgives: Sections in which nothing is fatal: of what is wrong there, `forgiven` has the first message.
        forgiven: By section and key.
    """

    def __init__(self, file: str = "<catalog>", marks: Mapping[Path, int] | None = None) -> None:
        self.file = file
        self.marks: dict[Path, int] = dict(marks or {})
        self.aliases: dict[Path, Path] = {}
        self.forgives: frozenset[str] = frozenset()
        self.forgiven: dict[Path, str] = {}
        # A dictionary as an ordered set: a value that three plans inherit is wrong once.
        self._found: dict[Problem, None] = {}

    def add(self, code: str, message: str, path: Path, *, fatal: bool = True, line: int | None = None) -> None:
        """Note a problem at *path*; without a *line* it is that of the path or of what contains it."""
        if fatal and self.forgives.intersection(path[:1]):
            self.forgiven.setdefault(path[:2], message)
            return
        where = line if line is not None else self.line(path)
        self._found[Problem(code, message, dotted(path), self.file, where, fatal)] = None

    def line(self, path: Path) -> int | None:
        """
        Find the line of *path*, or of the nearest thing around it that has one.

        What is inside of something that is written elsewhere has its line there: that is where to mend it.
        """
        written: Path = ()
        for piece in path:
            written = (*self.aliases.get(written, written), piece)
        for end in range(len(written), -1, -1):
            line = self.marks.get(written[:end])
            if line is not None:
                return line
        return None

    @property
    def count(self) -> int:
        """How many problems and lints there are so far."""
        return len(self._found)

    @property
    def fatal(self) -> tuple[Problem, ...]:
        """The problems that keep the catalog from being used, in the order of the file."""
        return self._sorted(fatal=True)

    @property
    def lints(self) -> tuple[Problem, ...]:
        """The rest, in the order of the file."""
        return self._sorted(fatal=False)

    def _sorted(self, *, fatal: bool) -> tuple[Problem, ...]:
        chosen = (problem for problem in self._found if problem.fatal is fatal)
        return tuple(sorted(chosen, key=lambda problem: problem.line or 0))


def dotted(path: Path) -> str:
    """Write *path* for people: ``plans.starter.modules[0]``."""
    text = ""
    for piece in path:
        if isinstance(piece, int):
            text += f"[{piece}]"
        else:
            text += f".{piece}" if text else piece
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Write ``; did you mean 'crm.export'?`` where a *known* word is near, else nothing."""
    # Both are bounded: the comparison is quadratic in the letters and is made for every unknown word.
    near = get_close_matches(word.lower()[:128], list(islice(known, 1000)), n=1, cutoff=0.6)
    return f"; did you mean {str(near[0])!r}?" if near else ""  # str(): it may be an enum's
