"""
The pages of the documentation, read: their code blocks and what the words behind a fence ask of them.

A fence begins with a language; words may follow, which GitHub does not show:

- ``file=NAME``: the block is that file, in the directory of the page.
- ``output``: what the block before it must have said. ``...`` stands for anything.
- ``exit=N``: of the commands in a ``bash`` block, the last one ends so.
- ``raises=NAME``: a ``python`` block ends with this exception; its message is what it said.
- ``skip="reason"``: it cannot run here. `tests/docs/test_blocks.py` counts these.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`]*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """
    One code block.

    Attributes:
        line: Of its first line of code, from 1.
        words: What follows the language; a bare word is worth ``""``.
    """

    page: Path
    line: int
    language: str
    words: dict[str, str]
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page whose blocks run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """
    Read the code blocks of *page*, in their order.

    Raises:
        ValueError: A block has no language or no end, or its words cannot be read.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        number += 1
        if opening is None:
            continue
        begin, indent = number, len(opening["indent"])
        while number < len(lines) and lines[number].strip() != opening["ticks"]:
            number += 1
        where = f"{page.relative_to(ROOT)}:{begin}"
        if number == len(lines):
            raise ValueError(f"{where}: the block has no end")
        language, *words = shlex.split(opening["info"]) or [""]
        if not language:
            raise ValueError(f"{where}: the block has no language")
        text = "".join(f"{line[indent:]}\n" for line in lines[begin:number])
        yield Block(page, begin + 1, language, dict(_word(word) for word in words), text)
        number += 1


def _word(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    if name not in ("file", "output", "exit", "raises", "skip"):
        raise ValueError(f"{word!r} behind a fence means nothing here")
    return name, value
