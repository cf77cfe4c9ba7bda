"""The versions of an API, and which of them a request is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

from payaid_entitlements.core.observing import log
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, UnknownApiVersion
from payaid_entitlements.web.later import close, then
from payaid_entitlements.web.request import Incoming
from payaid_entitlements.web.versions.asking import Place, header
from payaid_entitlements.web.versions.ranges import Range
from payaid_entitlements.web.versions.version import NEWEST, OLDEST, REQUIRED, Version, link_to_successor

#: Who has chosen: the request, the tenant's pin, or the policy.
Chooser: TypeAlias = Literal["asked", "pinned", "default"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    The version that a request is answered in.

    Attributes:
        version: It.
        by: Who has chosen it.
    """

    version: Version
    by: Chooser


class ApiVersions:
    """
    The versions of an API.

    A request that names two, none that there is, or one that has ended is refused with the list of those that it can
    have: 400, or 410. One that names none gets what its tenant is pinned to, else the *default*.

    Args:
        versions: The oldest first.
        default: For requests that name none: ``"oldest"`` or ``"newest"`` of those that have not ended, the name of
            one, or ``"required"``, which refuses them. ``"oldest"`` never breaks who wrote against the first one.
        by: Where a version is named; all places are read.
        pinned: Says which version a tenant is pinned to, or None: what it began with, for instance. Also a coroutine
            function, in an asynchronous app. A pin to what has ended, or to none that there is, is logged and
            passed over.
        now: The time.

    Raises:
        ConfigurationError: There are no versions, or two of a name; all have ended; *default* is none of them; or *by*
            names no place.
    """

    __slots__ = ("_by_name", "_default", "_now", "_pinned", "_places", "_versions", "field", "vary")

    def __init__(
        self,
        versions: Sequence[Version],
        *,
        default: str,
        by: Sequence[Place] | None = None,
        pinned: Callable[[str], Any] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._versions = tuple(versions)
        for version in self._versions:
            if not isinstance(version, Version):
                raise ConfigurationError(f"{version!r} is no Version; write Version({str(version)!r})")
        self._by_name = {version.name: version for version in self._versions}
        self._places = (header(),) if by is None else tuple(by)
        self._default = default
        self._pinned = pinned
        self._now = now
        if not self._versions or len(self._by_name) < len(self._versions):
            raise ConfigurationError("ApiVersions needs versions, the oldest first, each with a name of its own")
        if not self._places:
            raise ConfigurationError('ApiVersions(by=()) reads no place; say by=(header("X-API-Version"),)')
        for place in self._places:
            if not isinstance(place, Place):
                raise ConfigurationError(
                    f"{place!r} is no place for a version; use header, media_type, path and query of "
                    "payaid_entitlements.web.versions"
                )
        if default not in (OLDEST, NEWEST, REQUIRED):
            self._known(default)
        if default != REQUIRED:
            # Which says at start-up that there is none.
            try:
                self._by_policy()
            except UnknownApiVersion:
                raise ConfigurationError(
                    f"every version that default={default!r} could give has ended; add one, or move its sunset"
                ) from None
        #: In which field responses say their version.
        self.field: str = next((place.field for place in self._places if place.field), "X-API-Version")
        #: The fields of requests on which responses depend.
        self.vary: str = ", ".join(dict.fromkeys(place.vary for place in self._places if place.vary))

    @property
    def is_pinning(self) -> bool:
        """Must the tenant be known where a request names no version?"""
        return self._pinned is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that have not ended, the oldest first."""
        now = self._now()
        return tuple(version.name for version in self._versions if not _has_ended(version, now))

    def since(self, first: str) -> Range:
        """
        Make the range of *first* and all that are newer.

        Raises:
            ConfigurationError: There is no such version; so with ``until`` and ``between``.
        """
        return self._range(self._known(first), None)

    def until(self, end: str) -> Range:
        """Make the range of all that are older than *end*."""
        return self._range(0, self._known(end))

    def between(self, first: str, end: str) -> Range:
        """Make the range of *first* and all that are newer, but older than *end*."""
        return self._range(self._known(first), self._known(end))

    def choose(self, incoming: Incoming, tenant: str | None = None) -> Chosen:
        """
        Say which version a request is for.

        Args:
            incoming: The request.
            tenant: Whose it is, for its pin; asked about only where the request names no version.

        Raises:
            UnknownApiVersion: It names several, none that there is, one that has ended, or none where it must.
            TypeError: ``pinned=`` must be awaited: `seek`.
        """
        found = self.seek(incoming, lambda: tenant)
        if isinstance(found, Chosen):
            return found
        close(found)
        raise TypeError("pinned= of the ApiVersions is a coroutine function, which cannot be awaited here")

    def seek(self, incoming: Incoming, find: Callable[[], Any]) -> Any:
        """
        Say which version a request is for; to be awaited where *find* or ``pinned=`` is. Errors as in `choose`.

        Args:
            find: Says whose request it is; called only where that matters.
        """
        asked = self._asked(incoming)
        if asked is not None:
            return Chosen(asked, "asked")
        if self._pinned is None:
            return Chosen(self._by_policy(), "default")
        return then(find(), self._of_tenant)

    def fields(self, chosen: Chosen, incoming: Incoming) -> list[tuple[str, str]]:
        """
        Give the fields of a response: which version it is, what it depends on, and how that version will end.

        Where versions stand in the path, what is deprecated says where the newest is.
        """
        version = chosen.version
        fields = [(self.field, version.name), *version.fields]
        if self.vary:
            fields.append(("Vary", self.vary))
        newest = self._versions[-1]
        if version.deprecated is not None and version.successor is None and version is not newest:
            for place in self._places:
                if place.prefix is not None and place.read(incoming):
                    fields += _successors(incoming, place.prefix, version.name, newest.name)
        return fields

    def _asked(self, incoming: Incoming) -> Version | None:
        named = {said for place in self._places for said in place.read(incoming)}
        if not named:
            return None
        if len(named) > 1:
            raise UnknownApiVersion("conflict", self.names)
        version = self._by_name.get(named.pop())
        if version is None:
            raise UnknownApiVersion("unknown", self.names)
        return self._unended(version)

    def _by_policy(self) -> Version:
        if self._default == REQUIRED:
            raise UnknownApiVersion("missing", self.names)
        if self._default in self._by_name:
            return self._unended(self._by_name[self._default])
        names = self.names
        if not names:
            raise UnknownApiVersion("retired", names)
        return self._by_name[names[0 if self._default == OLDEST else -1]]

    def _unended(self, version: Version) -> Version:
        if _has_ended(version, self._now()):
            raise UnknownApiVersion("retired", self.names, dict(version.fields))
        return version

    def _of_tenant(self, tenant: object) -> Any:
        if not isinstance(tenant, str) or self._pinned is None:
            return Chosen(self._by_policy(), "default")

        def pin(name: object) -> Chosen:
            version = self._by_name.get(name) if isinstance(name, str) else None
            if version is not None and not _has_ended(version, self._now()):
                return Chosen(version, "pinned")
            if name is not None:
                log.warning("api_version.pin_ignored", tenant=tenant, version=str(name))
            return Chosen(self._by_policy(), "default")

        return then(self._pinned(tenant), pin)

    def _known(self, name: str) -> int:
        for index, version in enumerate(self._versions):
            if version.name == name:
                return index
        raise ConfigurationError(f"there is no version {name!r}{did_you_mean(name, self._by_name)}")

    def _range(self, first: int, end: int | None) -> Range:
        within = [version.name for version in self._versions[first:end]]
        if not within:
            raise ConfigurationError("a range of versions has none in it; since is inclusive, until is not")
        return Range(within)


def _has_ended(version: Version, now: datetime) -> bool:
    return version.ends is not None and version.ends <= now


def _successors(incoming: Incoming, prefix: str, name: str, newest: str) -> Iterator[tuple[str, str]]:
    """The same address in the *newest* version, where the path names the one of this *name*."""
    said = f"{prefix}{name}"
    for path in incoming.paths:
        if path.startswith(said):
            root = incoming.path.removesuffix(path)
            rest = quote(path[len(said) :], safe=_IN_PATHS, errors="replace")
            query = f"?{incoming.query}" if incoming.query else ""
            address = f"{quote(root, safe=_IN_PATHS, errors='replace')}{prefix}{newest}{rest}{_plain(query)}"
            yield "Link", link_to_successor(address)
            return


#: What stands in a path as it is (RFC 3986 section 3.3).
_IN_PATHS: Final = "/:@!$&'()*+,;=~"


def _plain(query: str) -> str:
    """What may stand in a link: servers let more pass than RFC 3986 section 3.4 knows."""
    return quote(query, safe="/?:@!$&'()*+,;=~%-._")
