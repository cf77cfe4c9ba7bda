"""One version of an API: its name, when it is no longer recommended, when it ends, and where that is explained."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Final

from payaid_entitlements.errors import ConfigurationError

#: What a version may be called: it goes into paths, fields and media types as it is.
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
#: What a link may lead to: an address of http, or a path; visible, without what ends it (RFC 8288 section 3).
_ADDRESS: Final = re.compile(r"(?:https?://|/)[!#-;=?-~]*")
#: Words for a policy, which no version may have for a name.
OLDEST, NEWEST, REQUIRED = "oldest", "newest", "required"


@dataclass(frozen=True, slots=True)
class Version:
    """
    A version.

    Attributes:
        name: How it is asked for: ``"2"``, ``"2026-01-01"``.
        deprecated: Since when it is no longer recommended; may be still to come. A date begins at midnight UTC.
        sunset: When it ends: from then on it is answered with 410. Never before *deprecated*.
        notes: Where it is told how to move on: an address, or a path.
        successor: Where the version after it is found, where that is another address. Found by itself where versions
            stand in the path.
        fields: Of each response in it: ``Deprecation``, ``Sunset`` and ``Link``.

    Raises:
        ConfigurationError: Its name cannot be sent; a time has no zone; it ends before it is deprecated; an address is
            none.
    """

    name: str
    deprecated: date | None = field(default=None, kw_only=True)
    sunset: date | None = field(default=None, kw_only=True)
    notes: str | None = field(default=None, kw_only=True)
    successor: str | None = field(default=None, kw_only=True)
    fields: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in (OLDEST, NEWEST, REQUIRED):
            raise ConfigurationError(
                f"a version cannot be called {self.name!r}; it has letters, digits, dots, hyphens and underscores, "
                f"at most 64, such as 2026-01-01, and is not {OLDEST!r}, {NEWEST!r} or {REQUIRED!r}"
            )
        for name in ("notes", "successor"):
            address = getattr(self, name)
            if address is not None and not _ADDRESS.fullmatch(address):
                raise ConfigurationError(
                    f"version {self.name}: {name}={address!r} is no address; it begins with https:// or /, no blanks"
                )
        starts, ends = self._instant("deprecated"), self._instant("sunset")
        if starts is not None and ends is not None and ends < starts:
            raise ConfigurationError(
                f"version {self.name} ends ({ends.isoformat()}) before it is deprecated ({starts.isoformat()}); RFC "
                "9745 section 4 wants it the other way round"
            )
        object.__setattr__(self, "fields", tuple(_fields(starts, ends, self.notes, self.successor)))

    @property
    def ends(self) -> datetime | None:
        """When it ends, in UTC; None where no end was named."""
        return self._instant("sunset")

    def _instant(self, name: str) -> datetime | None:
        """The full second in UTC, since fields say no less."""
        said: date | None = getattr(self, name)
        if said is None:
            return None
        if not isinstance(said, datetime):
            return datetime.combine(said, time(), UTC)
        if said.tzinfo is None:
            raise ConfigurationError(f"version {self.name}: {name}={said!r} has no time zone; say UTC, or a date")
        return said.astimezone(UTC).replace(microsecond=0)


def _fields(
    starts: datetime | None, ends: datetime | None, notes: str | None, successor: str | None
) -> list[tuple[str, str]]:
    """``Deprecation`` (RFC 9745 section 2), ``Sunset`` (RFC 8594 section 3) and ``Link`` (RFC 8288)."""
    fields: list[tuple[str, str]] = []
    if starts is not None:
        fields.append(("Deprecation", f"@{int(starts.timestamp())}"))
    if ends is not None:
        fields.append(("Sunset", format_datetime(ends, usegmt=True)))
    links: list[str] = []
    if notes is not None and starts is not None:
        links.append(f'<{notes}>; rel="deprecation"; type="text/html"')
    if notes is not None and ends is not None:
        links.append(f'<{notes}>; rel="sunset"; type="text/html"')
    if successor is not None:
        links.append(link_to_successor(successor))
    if links:
        fields.append(("Link", ", ".join(links)))
    return fields


def link_to_successor(address: str) -> str:
    """Say where the version after this one is (RFC 5829 section 3.3)."""
    return f'<{address}>; rel="successor-version"'
