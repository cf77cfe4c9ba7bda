"""
Find the lines of values in JSON and TOML, whose readers in the standard library do not tell.

Both run after the text was read, so they trust its syntax; a line that they miss is that of the
value around it.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.problems import Path

_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_TOML_TABLE: Final = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_TOML_KEY: Final = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'|\s*\.\s*)+?)\s*=""")


def json_lines(text: str) -> tuple[dict[Path, int], list[tuple[Path, int, int]]]:
    """
    Walk over valid JSON.

    Returns:
        The line of each path, and each key that its object holds already, with both lines.
    """
    lines: dict[Path, int] = {}
    twice: list[tuple[Path, int, int]] = []
    around: list[Path] = []  # open objects and lists, each with the path of the value expected next
    line, end = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", end, token.start())
        end = token.start()
        match token[0]:
            case "{" | "[" as opening:
                here = around[-1] if around else ()
                lines.setdefault(here, line)
                around.append((*here, 0 if opening == "[" else ""))
            case "}" | "]":
                around.pop()
            case ",":
                last = around[-1][-1]
                around[-1] = (*around[-1][:-1], last + 1 if isinstance(last, int) else "")
            case ":":
                pass
            case word if around and around[-1][-1] == "" and word.startswith('"'):
                path = (*around[-1][:-1], json.loads(word, strict=False))
                if path in lines:
                    twice.append((path, lines[path], line))
                lines.setdefault(path, line)
                around[-1] = path
            case _:
                lines.setdefault(around[-1] if around else (), line)
    return lines, twice


def toml_lines(text: str) -> dict[Path, int]:
    """Find the line of each table and of each key that stands at the beginning of a line."""
    lines: dict[Path, int] = {(): 1}
    table: Path = ()
    counts: dict[Path, int] = {}
    for line, written in enumerate(text.splitlines(), start=1):
        if header := _TOML_TABLE.match(written):
            table = _toml_path(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            _mark(lines, table, line)
        elif key := _TOML_KEY.match(written):
            _mark(lines, (*table, *_toml_path(key[1])), line)
    return lines


def _mark(lines: dict[Path, int], path: Path, line: int) -> None:
    for end in range(1, len(path) + 1):
        lines.setdefault(path[:end], line)


def _toml_path(dotted: str) -> Path:
    try:
        inner: object = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:  # the line was inside a long text
        return ()
    path: list[str] = []
    while isinstance(inner, dict):
        key, inner = next(iter(inner.items()))
        path.append(key)
    return tuple(path)
