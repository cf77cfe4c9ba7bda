"""Which files are read: those below what was named, none twice, none outside, and none that is not the host's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from payaid_entitlements.cli.scan.code import read_python
from payaid_entitlements.cli.scan.places import Found, Terms
from payaid_entitlements.cli.scan.templates import read_template

#: Files that are read at most, and bytes of each.
MOST_FILES: Final = 100_000
MOST_BYTES: Final = 2_000_000

_TEMPLATES: Final = (".html", ".htm", ".jinja", ".jinja2", ".j2", ".djhtml")
_NOT_OURS: Final = frozenset(
    {"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist", "htmlcov", "migrations"}
)


def files_below(paths: Sequence[Path], excluded: Sequence[str] = ()) -> list[Path]:
    """
    All Python files and templates below *paths*, in a steady order; at most `MOST_FILES`.

    Hidden directories, virtual environments and what is built are left out, and links to directories not followed.

    Args:
        excluded: Patterns of paths that are left out, as a shell has them: ``tests/*``.
    """
    found: dict[Path, None] = {}
    for path in paths:
        for file in _below(path):
            if len(found) >= MOST_FILES:
                return list(found)
            if not any(fnmatch(file.as_posix(), each) or fnmatch(file.name, each) for each in excluded):
                found[file] = None
    return list(found)


def _below(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for directory, names, files in os.walk(path):
        names[:] = sorted(
            name
            for name in names
            if name not in _NOT_OURS and not name.startswith(".") and not Path(directory, name, "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith((".py", *_TEMPLATES)):
                yield Path(directory, name)


def scan(files: Sequence[Path], terms: Terms, told: Callable[[int], object]) -> Found:
    """
    Read all of *files*. One that cannot be read is named, and ends nothing.

    Args:
        told: Is called with 1 after each.
    """
    found = Found()
    for file in files:
        try:
            if file.stat().st_size > MOST_BYTES:
                raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
            _read(file, terms, found)
            found.files += 1
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            found.unreadable.append((file.as_posix(), _why(error)))
        told(1)
    return found


def _read(file: Path, terms: Terms, found: Found) -> None:
    source = file.read_bytes()
    if file.suffix == ".py":
        read_python(source, file.as_posix(), terms, found)
    else:
        read_template(source.decode(), file.as_posix(), terms, found)


def _why(error: Exception) -> str:
    match error:
        case SyntaxError(msg=message, lineno=line):
            return f"line {line}: {message}"
        case RecursionError() | MemoryError():
            return "it is nested too deeply"
        case OSError(strerror=str(said)):
            return said
    return str(error)
