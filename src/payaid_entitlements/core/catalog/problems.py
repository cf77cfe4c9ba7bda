"""A problem of a catalog: where it is, what is wrong, and the way out."""

from __future__ import annotations

from dataclasses import dataclass


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
