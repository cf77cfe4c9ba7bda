"""What both middlewares do: find the version, count it, and say it on the response."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from payaid_entitlements.core.observing import Observer
from payaid_entitlements.errors import ConfigurationError, EntitlementError, UnknownApiVersion
from payaid_entitlements.web.later import then
from payaid_entitlements.web.request import Incoming
from payaid_entitlements.web.versions.choosing import ApiVersions, Chosen


class Teller:
    """
    Finds, counts and says versions.

    Args:
        versions: Of the API.
        find: Says whose request it is, of what its server gave.
        observer: Is told counts.

    Raises:
        ConfigurationError: Versions are pinned to tenants, and nobody says whose requests are.
    """

    __slots__ = ("_find", "_observer", "_versions")

    def __init__(self, versions: ApiVersions, find: Callable[..., object] | None, observer: Observer | None) -> None:
        if versions.is_pinning and find is None:
            raise ConfigurationError(
                "versions are pinned to tenants, so the middleware must know whose a request is: "
                "VersionsMiddleware(app, versions, tenant=Tenancy(...))"
            )
        self._versions = versions
        self._find = find
        self._observer = observer

    def seek(self, incoming: Incoming, native: object) -> Any:
        """Same as `ApiVersions.seek`, and counts what was found."""
        return then(
            self._versions.seek(incoming, lambda: None if self._find is None else self._find(native)), self._counted
        )

    def count_refused(self, error: EntitlementError) -> None:
        """Count a request that is answered with *error*."""
        if self._observer is not None and isinstance(error, UnknownApiVersion):
            self._observer.count("api_version.refused", error.kind)

    def fields(self, chosen: Chosen | None, incoming: Incoming, there: Collection[str]) -> list[tuple[str, str]]:
        """
        Give the fields to add to a response.

        Args:
            chosen: None where the request was refused before there was one.
            there: Names of fields, in small letters, that it has. What the app says itself of one thing of its own
                counts; ``Link`` and ``Vary`` are lists, to which is added.
        """
        if chosen is None:
            return [("Vary", self._versions.vary)] if self._versions.vary else []
        fields = self._versions.fields(chosen, incoming)
        return [field for field in fields if field[0] in ("Link", "Vary") or field[0].lower() not in there]

    def _counted(self, chosen: Chosen) -> Chosen:
        if self._observer is not None:
            self._observer.count("api_version", chosen.version.name, chosen.by)
        return chosen
