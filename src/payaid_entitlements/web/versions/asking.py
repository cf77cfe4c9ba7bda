"""Places in which a request may say which version of an API it is for. Each says all that it finds there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.request import Incoming
from payaid_entitlements.web.tenancy.proofs import field_name


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place where a version may be named.

    Attributes:
        name: Of it, in messages.
        read: Gives what is named there; also what is no version.
        vary: The field on which a response then depends (RFC 9110 section 12.5.5); None where that is its address.
        field: The field in which a response says its version; None where none does.
        prefix: What stands in a path before the version; None where it does not stand in a path.
    """

    name: str
    read: Callable[[Incoming], Sequence[str]]
    vary: str | None = None
    field: str | None = None
    prefix: str | None = None


def header(name: str = "X-API-Version") -> Place:
    """
    Read a header: ``X-API-Version: 2026-01-01``. The response says its version in the same field.

    Raises:
        ConfigurationError: *name* is no name of a field.
    """
    field = field_name(name)

    def read(incoming: Incoming) -> Sequence[str]:
        # WSGI joins by commas what was sent twice.
        return [part.strip() for value in incoming.header(field) for part in value.split(",")]

    return Place(f"header {name}", read, vary=name, field=name)


def media_type(base: str, *, parameter: str = "version") -> Place:
    """
    Read ``Accept``: of *base* ``application/vnd.example`` both ``application/vnd.example.v2+json`` and
    ``application/vnd.example+json; version=2``.

    Of several types in one ``Accept`` all must name the same version; those with ``q=0`` are not wanted, and do not
    count.

    Raises:
        ConfigurationError: *base* is no media type.
    """
    if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9.-]+", base, re.IGNORECASE):
        raise ConfigurationError(f"media_type({base!r}) is no media type; write it without version: application/vnd.a")
    # RFC 6838 section 4.2: a name, then what the format is based on behind a plus.
    named = re.compile(re.escape(base) + r"(?:\.v(?P<version>[^+]+))?(?:\+.*)?", re.IGNORECASE)

    def read(incoming: Incoming) -> Sequence[str]:
        found: list[str] = []
        for item in ",".join(incoming.header("accept")).split(","):
            kind, *parameters = item.split(";")
            said = named.fullmatch(kind.strip())
            if said is None:
                continue
            values = dict(_parameters(parameters))
            if re.fullmatch(r"0(?:\.0*)?", values.get("q", "1")):
                continue
            found += [version for version in (said["version"], values.get(parameter)) if version is not None]
        return found

    return Place(f"media type {base}", read, vary="Accept")


def _parameters(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        key, _, value = text.partition("=")
        yield key.strip().lower(), value.strip().strip('"')


def path(pattern: str = "/v{version}") -> Place:
    """
    Read the beginning of the path: ``/v2/invoices``.

    Only what begins with a digit is a version there: ``/vendors`` names none. The app sees the path as it is. Where it
    is mounted, by its server or in another app, the path begins there, too.

    Args:
        pattern: Ends with ``{version}``: ``/v{version}``, ``/api/{version}``.

    Raises:
        ConfigurationError: *pattern* is none.
    """
    prefix, found, rest = pattern.partition("{version}")
    if not found or rest or not prefix.startswith("/"):
        raise ConfigurationError(f"path({pattern!r}) begins with a slash and ends with {{version}}: /v{{version}}")
    expected: Final = re.compile(re.escape(prefix) + r"(?P<version>[0-9][^/]*)(?:/.*)?", re.DOTALL)

    def read(incoming: Incoming) -> Sequence[str]:
        found = (expected.fullmatch(said) for said in incoming.paths)
        return [said["version"] for said in found if said is not None]

    return Place(f"path {pattern}", read, prefix=prefix)


def query(name: str = "api-version") -> Place:
    """Read a parameter of the query: ``?api-version=2``. Sent twice, it must say the same twice."""

    def read(incoming: Incoming) -> Sequence[str]:
        return [value for key, value in parse_qsl(incoming.query, keep_blank_values=True) if key == name]

    return Place(f"query {name}", read)
