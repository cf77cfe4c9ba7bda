"""
JSON that strangers wrote, read with bounds: what comes out is plain JSON data that may be walked without fear.

Python's own reader lets pass what JSON is not (``NaN``), what is lost (a key that is written twice), and what breaks
whoever walks it (depth without end, half a surrogate pair).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NoReturn

from payaid_entitlements.errors import FlagsInvalid

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.written.problems import Findings, Path

#: How deep a document may be nested; the deepest targeting rules that people write have some twenty levels.
MAX_DEPTH: Final = 100

#: How many values a document may have in all: some twenty thousand flags.
MAX_VALUES: Final = 500_000

#: How long a document may be, in characters or bytes.
MAX_LENGTH: Final = 16 * 1024 * 1024


def parse(source: object, findings: Findings) -> dict[str, FlagValue]:
    """
    Read *source*, JSON text or what was read from it, into a dictionary of its own.

    Raises:
        FlagsInvalid: It is no JSON object, or over a bound.
    """
    value = _decoded(source, findings) if isinstance(source, str | bytes | bytearray) else source
    copy = _Copy(findings)
    plain = copy.of(value, ())
    if copy.stopped:
        raise FlagsInvalid(findings.fatal)
    if not isinstance(plain, dict):
        fail(findings, "no.object", "a flag file is a JSON object with the field 'flags'")
    return plain


def fail(findings: Findings, code: str, message: str, path: Path = ()) -> NoReturn:
    """Give up on the whole document."""
    findings.add(code, message, path)
    raise FlagsInvalid(findings.fatal)


def _decoded(source: str | bytes | bytearray, findings: Findings) -> object:
    if len(source) > MAX_LENGTH:
        fail(findings, "too.long", f"a flag file has at most {MAX_LENGTH:,} characters; split it by flagSetId")
    doubled: dict[str, None] = {}

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(items)
        if len(found) != len(items):
            seen: set[str] = set()
            for name, _ in items:
                if name in seen:
                    doubled[name] = None
                seen.add(name)
        return found

    try:
        decoded: object = json.loads(source, object_pairs_hook=pairs, parse_constant=_no_constant)
    except RecursionError:
        fail(findings, "too.deep", f"at most {MAX_DEPTH} levels of nesting; say it flatter")
    except ValueError as wrong:  # no JSON, no UTF-8, a number of thousands of digits
        fail(findings, "no.json", f"no JSON: {str(wrong)[:200]}; mend it at the place named, or load another file")
    for name in doubled:
        findings.add("duplicate.key", f"{name[:80]!r} is written twice in one object, and only the last counts", ())
    return decoded


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


class _Copy:
    """Copies JSON data and notes what is none; what is wrong becomes null."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.count = 0
        self.stopped = False

    def of(self, value: object, path: Path) -> FlagValue:
        self.count += 1
        if self.count > MAX_VALUES:
            return self._stop("too.large", f"at most {MAX_VALUES:,} values in a flag file; split it by flagSetId", ())
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, Decimal):  # of a file that was read exactly; here it is JSON, whose numbers are floats
            value = float(value) if value.is_finite() else math.inf
        if isinstance(value, float):
            if math.isfinite(value):
                return value
            return self._null("no.json", "a number without end is no JSON; write a number or a string", path)
        if not isinstance(value, Mapping | list | tuple):
            return self._null("no.json", f"a {type(value).__name__} is no JSON; write it as a string", path)
        if len(path) >= MAX_DEPTH:
            return self._stop("too.deep", f"at most {MAX_DEPTH} levels of nesting; say it flatter", path[:8])
        if isinstance(value, Mapping):
            return self._object(value, path)
        return [self.of(item, (*path, index)) for index, item in enumerate(value) if not self.stopped]

    def _object(self, value: Mapping[object, object], path: Path) -> FlagValue:
        found: dict[str, FlagValue] = {}
        for name, item in value.items():
            if self.stopped:
                break
            if not isinstance(name, str):
                self.findings.add("no.json", f"a key is a string, not {str(name)[:80]!r}", path)
                continue
            found[self._text(name, path)] = self.of(item, (*path, name))
        return found

    def _text(self, value: str, path: Path) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            self.findings.add("no.unicode", "half of a surrogate pair is no character; write the whole character", path)
            return value.encode(errors="replace").decode()
        return value

    def _null(self, code: str, message: str, path: Path) -> FlagValue:
        self.findings.add(code, message, path)
        return None

    def _stop(self, code: str, message: str, path: Path) -> FlagValue:
        self.stopped = True
        return self._null(code, message, path)
