"""
YAML as its version 1.2 reads it (core schema), with the line of every value.

PyYAML reads version 1.1, where ``no`` is false, ``010`` is eight and ``1:30`` is ninety, keeps the
last of two equal keys and makes floats. So only its parser is used, which yields events; what a
scalar means is decided here. Refused, because nobody needs them to say what is sold: tags, a second
document, and keys that are not text. Aliases are shared, never copied: a small text stays small.
"""

from __future__ import annotations

import re
from bisect import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import yaml
from yaml import events

from payaid_entitlements.core.written.plain import DEPTH, described, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yaml import Event, Mark, NodeEvent, ScalarEvent

    from payaid_entitlements.core.written.problems import Findings, Path

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL: Final = re.compile(r"-?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_OTHER_BASE: Final = re.compile(r"0o[0-7]{1,32}|0x[0-9a-fA-F]{1,32}")
_SIGNED: Final = re.compile(r"\+(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BREAK: Final = re.compile(r"\r\n?|\n")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class _Stop(Exception):
    """What follows cannot be understood any more; a problem says why."""


def read_yaml(text: str, findings: Findings) -> object:
    """Read *text*; problems and the line of each path go to *findings*."""
    text, hidden = _without_old_breaks(text)
    builder = _Builder(findings, text, hidden)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except _Stop:
        return builder.root
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context
        line = None if mark is None else builder.line(mark)
        findings.add("syntax", f"this is not YAML: {what}", (), line=line)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML itself trips over some escapes ("\UFFFFFFFF") with errors that are not its own.
        findings.add("syntax", f"this is not YAML: {str(error).splitlines()[0]}", ())
    return builder.root


def _without_old_breaks(text: str) -> tuple[str, dict[int, str]]:
    """
    Hide what ended a line in version 1.1 and is a letter like others in 1.2, such as U+2028, from PyYAML.

    Returns:
        The text with another letter in place of each, and what turns those back.
    """
    found = [letter for letter in "\x85\u2028\u2029" if letter in text]
    # Letters of which the text has none, also as an escape. A text that held them all would be larger than may be read.
    lower = text.lower() if found else ""
    unused = (code for code in range(0x10000, 0x110000) if chr(code) not in text and f"{code:08x}" not in lower)
    hidden = {next(unused): letter for letter in found}
    return text.translate({ord(letter): code for code, letter in hidden.items()}), hidden


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    value: dict[object, object] | list[object]
    path: Path
    anchor: str | None
    key: object = None
    has_key: bool = False
    lines: dict[object, int] = field(default_factory=dict)


class _Builder:
    """Makes data of the events of one document."""

    def __init__(self, findings: Findings, text: str, hidden: Mapping[int, str]) -> None:
        self.root: object = None
        self._findings = findings
        self._hidden = hidden
        self._breaks = [found.end() for found in _BREAK.finditer(text)]
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[object, Path]] = {}
        self._documents = 0

    def line(self, mark: Mark) -> int:
        """Count lines as editors do."""
        return bisect(self._breaks, mark.index) + 1

    def take(self, event: Event) -> None:
        line = self.line(cast("Mark", event.start_mark))  # only events made by hand have none
        match event:
            case events.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop("document.multiple", "a catalog is one document; remove the `---` here", line)
            case events.AliasEvent():
                anchor = str(event.anchor)
                if anchor not in self._anchors:
                    self._stop("alias.unknown", f"`*{anchor}` names nothing above it", line)
                value, written = self._anchors[anchor]
                self._put(value, line, written)
            case events.ScalarEvent():
                self._refuse_tag(event, line)
                value = self._scalar(event, line)
                self._remember(event.anchor, value, self._put(value, line))
            case events.MappingStartEvent():
                self._begin(event, {}, line)
            case events.SequenceStartEvent():
                self._begin(event, [], line)
            case events.CollectionEndEvent():
                ended = self._open.pop()
                # Known only from here, so that nothing can contain itself.
                self._remember(ended.anchor, ended.value, ended.path)

    def _begin(self, event: NodeEvent, value: dict[object, object] | list[object], line: int) -> None:
        self._refuse_tag(event, line)
        if len(self._open) > DEPTH:
            self._stop("document.too_deep", f"the document is more than {DEPTH} levels deep", line)
        self._open.append(_Open(value, self._put(value, line), event.anchor))

    def _put(self, value: object, line: int, written: Path | None = None) -> Path:
        """Put *value* where the document is now, and return its path; an alias has been *written* elsewhere."""
        if not self._open:
            self.root = value
            self._findings.marks[()] = line
            return ()
        inside = self._open[-1]
        if isinstance(inside.value, list):
            path = (*inside.path, len(inside.value))
            inside.value.append(value)
        elif not inside.has_key:
            return self._key(inside, value, line)
        else:
            inside.has_key = False
            path = (*inside.path, str(inside.key))
            if inside.key in inside.value:
                return path  # a second value for the same key: noted, and the first one stays
            inside.value[inside.key] = value
        self._findings.marks.setdefault(path, line)
        if written is not None:
            self._findings.aliases[path] = written
        return path

    def _key(self, inside: _Open, key: object, line: int) -> Path:
        if isinstance(key, list | dict):
            self._stop("key.not_text", f"a key must be text, not {described(key)}", line)
        inside.key, inside.has_key = key, True
        path = (*inside.path, str(key))
        if key in inside.lines:
            first = inside.lines[key]
            message = f"the key {key!r} is written twice, in lines {first} and {line}; keep one"
            self._findings.add("duplicate.key", message, path, line=line)
        else:
            inside.lines[key] = line
            self._findings.marks[path] = line
        return path

    def _scalar(self, event: ScalarEvent, line: int) -> object:
        text: str = event.value.translate(self._hidden)
        if event.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _DECIMAL.fullmatch(text):
            return number(text)
        if _OTHER_BASE.fullmatch(text):
            return int(text, 0)
        if _SIGNED.fullmatch(text):
            message = f"`{text}` would be just {text[1:]}; write that, or an add-on with `increment` to add"
            self._findings.add("number.sign", message, self._here(), line=line)
            return number(text)
        return number("Infinity") if _NOT_FINITE.fullmatch(text) else text

    def _here(self) -> Path:
        inside = self._open[-1] if self._open else None
        if inside is None:
            return ()
        return (*inside.path, str(inside.key)) if inside.has_key else inside.path

    def _remember(self, anchor: str | None, value: object, path: Path) -> None:
        if anchor is not None:
            self._anchors[anchor] = value, path

    def _refuse_tag(self, event: NodeEvent, line: int) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            short = tag.replace("tag:yaml.org,2002:", "!!")
            self._stop("yaml.tag", f"the tag `{short}` is not read; write text in quotes, the rest plainly", line)

    def _stop(self, code: str, message: str, line: int) -> None:
        self._findings.add(code, message, self._here(), line=line)
        raise _Stop
