"""
Find the lines of values in JSON and TOML, whose readers in the standard library do not tell.

Both run after the text was read, so they trust its syntax.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payaid_entitlements.core.written.problems import Path

_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_TOML_TOKEN: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}(?!")|"(?:[^"\\\n]|\\.)*"'''
    r"""|'''(?:.*?)'{3,5}(?!')|'[^'\n]*'"""
    r"""|\#[^\n]*|\n|[\[\]{}=,]|[^\s\[\]{}=,"'\#]+""",
    re.DOTALL,
)


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
    """Walk over valid TOML, and find the line of each table, key and value."""
    return _Toml(text).lines


class _Toml:
    """One walk over valid TOML. Its depth is less than that of the reader, which has been there before."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {(): 1}
        self._tokens = _toml_tokens(text)
        self._next, self._line = next(self._tokens, _END)
        self._counts: dict[Path, int] = {}  # of the tables of each array of tables, from 0
        table: Path = ()
        while self._next:
            if self._next == "[":
                table = self._header()
            elif self._next == "\n":
                self._take()
            else:
                self._entry(table)

    def _take(self) -> str:
        taken = self._next
        self._next, self._line = next(self._tokens, _END)
        return taken

    def _header(self) -> Path:
        line = self._line
        self._take()
        is_array = self._next == "["
        if is_array:
            self._take()
        *around, name = _toml_path(self._until("]"))
        self._until("\n")
        path: Path = ()
        for piece in around:
            path = self._newest((*path, piece))
        path = (*path, name)
        if is_array:
            self._counts[path] = self._counts.get(path, -1) + 1
            path = self._newest(path)
        self._mark(path, line)
        return path

    def _newest(self, path: Path) -> Path:
        return (*path, self._counts[path]) if path in self._counts else path

    def _entry(self, table: Path) -> None:
        line = self._line
        path = (*table, *_toml_path(self._until("=")))
        self._take()
        self._mark(path, line)
        self._value(path)

    def _value(self, path: Path) -> None:
        self._mark(path, self._line)
        match self._take():
            case "[":
                index = 0
                while self._next != "]":
                    if self._next in (",", "\n"):
                        index += self._take() == ","
                    else:
                        self._value((*path, index))
                self._take()
            case "{":
                while self._next != "}":
                    if self._next in (",", "\n"):
                        self._take()
                    else:
                        self._entry(path)
                self._take()
            case _:
                self._until(",", "]", "}", "\n")

    def _until(self, *ends: str) -> str:
        """Take tokens up to one of *ends*, or to the end."""
        taken = ""
        while self._next and self._next not in ends:
            taken += self._take()
        return taken

    def _mark(self, path: Path, line: int) -> None:
        for end in range(1, len(path) + 1):
            self.lines.setdefault(path[:end], line)


_END: Final = ("", 0)


def _toml_tokens(text: str) -> Iterator[tuple[str, int]]:
    """Each token with its line: a text, a newline, a sign, or what stands between; neither comments nor spaces."""
    line = 1
    for token in _TOML_TOKEN.finditer(text):
        if not token[0].startswith("#"):
            yield token[0], line
        line += token[0].count("\n")


def _toml_path(key: str) -> tuple[str, ...]:
    inner: object = tomllib.loads(f"{key} = 0")
    path: list[str] = []
    while isinstance(inner, dict):
        name, inner = next(iter(inner.items()))
        path.append(name)
    return tuple(path)
