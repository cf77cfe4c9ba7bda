"""
Where a catalog comes from: a file, a text or Python data, as plain data with lines.

The core does no input or output, but for this file: reading what people wrote belongs to
understanding it (a problem names the file and the line), and a catalog is read once, at start-up.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from payaid_entitlements.core.written.lines import json_lines, toml_lines
from payaid_entitlements.core.written.plain import Plain, number, plain
from payaid_entitlements.core.written.problems import Findings, did_you_mean
from payaid_entitlements.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

Format = Literal["yaml", "toml", "json"]

#: The largest file or text, in bytes. Real catalogs have a hundredth of it.
LARGEST: Final = 2**20

_SUFFIXES: Final[dict[str, Format]] = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}


def read_source(source: str | os.PathLike[str] | Mapping[str, object]) -> tuple[dict[str, Plain], Findings]:
    """
    Read a file, whose suffix says the format, or a mapping.

    A string is always a path; text is for `read_text`. A file that cannot be read is a problem
    like any other, so that a caller has one error to expect.

    Raises:
        TypeError: *source* is something else.
    """
    if isinstance(source, Mapping):
        findings = Findings("<mapping>")
        return plain(source, findings), findings
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"a catalog is loaded from a path or a mapping, not from a {type(source).__name__}")
    path = os.fspath(source)
    findings = Findings(path if "\n" not in path else "<text>")
    if "\n" in path:
        findings.add("file.unreadable", "this is a text, not a path; use Catalog.loads(text)", ())
        return {}, findings
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _SUFFIXES:
        near = did_you_mean(suffix, _SUFFIXES)
        message = f"a catalog's name ends in {', '.join(_SUFFIXES)}, not in {suffix!r}{near}"
        findings.add("file.format", message, ())
        return {}, findings
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        findings.add("file.unreadable", f"the file cannot be read: {reason}", ())
        return {}, findings
    return _read(text, len(data), _SUFFIXES[suffix], findings), findings


def read_text(text: str, format: Format = "yaml", file: str = "<text>") -> tuple[dict[str, Plain], Findings]:
    """
    Read *text*; *file* is what problems call it.

    Raises:
        ConfigurationError: The format has no such name.
    """
    if format not in _READERS:
        raise ConfigurationError(f"the format {format!r} is not one of {', '.join(_READERS)}")
    findings = Findings(file)
    return _read(text, len(text.encode("utf-8", "replace")), format, findings), findings


def _read(text: str, size: int, format: Format, findings: Findings) -> dict[str, Plain]:
    if size > LARGEST:
        findings.add("file.too_large", f"a catalog has at most {LARGEST:,} bytes", ())
        return {}
    data = _READERS[format](text, findings)
    # One problem that explains the rest is enough: "the catalog is empty" would not help.
    if data is None and findings.fatal:
        return {}
    return plain(data, findings)


def _read_yaml(text: str, findings: Findings) -> object:
    # PyYAML takes longer to import than a catalog takes to check; other formats do without it.
    from payaid_entitlements.core.written.yaml12 import read_yaml

    return read_yaml(text, findings)


def _read_json(text: str, findings: Findings) -> object:
    try:
        data: object = json.loads(text, parse_float=number, parse_int=number, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        findings.add("syntax", f"this is not JSON: {error.msg}", (), line=error.lineno)
        return None
    except (ValueError, RecursionError) as error:
        findings.add("syntax", f"this is not JSON: {error}", ())
        return None
    findings.marks, twice = json_lines(text)
    for path, first, second in twice:
        message = f"the key {path[-1]!r} is written twice, in lines {first} and {second}; keep one"
        findings.add("duplicate.key", message, path, line=second)
    return data


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _read_toml(text: str, findings: Findings) -> object:
    try:
        data: object = tomllib.loads(text, parse_float=number)
    except (ValueError, RecursionError) as error:
        where = re.search(r"\(at line (\d+)", str(error))
        findings.add("syntax", f"this is not TOML: {error}", (), line=int(where[1]) if where else None)
        return None
    findings.marks = toml_lines(text)
    return data


_READERS: Final[dict[Format, Callable[[str, Findings], object]]] = {
    "yaml": _read_yaml,
    "toml": _read_toml,
    "json": _read_json,
}
