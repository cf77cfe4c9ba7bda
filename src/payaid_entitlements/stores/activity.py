"""
What is remembered of use: which tenant did what on which day. The `Activity` protocol and its async twin.

It is a set and no count: a day on which a tenant used a module says that once, however often it did and from however
many processes it is told. Whoever tells it again does no harm. Nothing is decided by it, and what is lost is missed in
a report and nowhere else. Every sentence below is a test in `payaid_entitlements.testing.ActivityContract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, Protocol

from payaid_entitlements.stores.ports import Transaction

#: Sightings that are recorded at once, at most.
MOST_SIGHTINGS: Final = 500
#: Days for which they are kept, where nobody says otherwise: a year, and a month to compare with.
KEPT_DAYS: Final = 400
#: Characters of a key at most, as of those of the catalog.
LONGEST_KEY: Final = 255


class Seen(StrEnum):
    """
    What was seen of a tenant.

    ``MODULE``: it used the module *key*. ``API_VERSION``: it used the version *key* of your API. ``WOULD_LOSE``: it was
    let do what the catalog refuses, so enforcing would take the module or feature *key* from it. ``WOULD_GAIN``: your
    own old answer refused it what the catalog allows.
    """

    MODULE = "module"
    API_VERSION = "api_version"
    WOULD_LOSE = "would_lose"
    WOULD_GAIN = "would_gain"


@dataclass(frozen=True, slots=True, order=True)
class Sighting:
    """
    What a tenant was seen to do on a day.

    Attributes:
        day: In UTC.
        key: Of a module, a feature or an API version; what that is says *kind*.
    """

    tenant: str
    day: date
    kind: Seen
    key: str


def require_sightings(sightings: Sequence[Sighting]) -> None:
    """
    Refuse what cannot be recorded.

    Raises:
        ValueError: They are more than `MOST_SIGHTINGS`, or an id or a key is empty, too long, or no text.
    """
    if len(sightings) > MOST_SIGHTINGS:
        raise ValueError(f"{len(sightings)} sightings at once; at most {MOST_SIGHTINGS}")
    for each in sightings:
        for text in (each.tenant, each.key):
            if not 0 < len(text) <= LONGEST_KEY or not text.isprintable():
                raise ValueError(f"{text[:40]!r} is no id: 1 to {LONGEST_KEY} characters that can be printed")


class Activity(Protocol):
    """
    Which tenant did what on which day.

    Every method may raise `StoreUnavailable`, with the driver's error as its cause. Identifiers are compared by their
    bytes, and listed in that order.
    """

    @property
    def name(self) -> str:
        """Where this is, for people: without a password."""
        ...

    def prepare(self) -> None:
        """Make ready for use, as `Store.prepare`."""
        ...

    def record(self, sightings: Sequence[Sighting]) -> None:
        """
        Remember all of *sightings*; what is known already stays as it is.

        Raises:
            ValueError: They are more than `MOST_SIGHTINGS`, or one has an id or a key that cannot be one.
        """
        ...

    def of(self, tenant: str, since: date, until: date) -> Sequence[Sighting]:
        """Give what *tenant* was seen to do from *since* on and before *until*, by day, kind and key."""
        ...

    def tenants(
        self, kind: Seen, key: str, since: date, *, after: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """List who was seen since that day, that day included, each once and by its id, starting behind *after*."""
        ...

    def keys(self, kind: Seen, since: date) -> Sequence[str]:
        """List the keys of this kind that anybody was seen with since that day, that day included."""
        ...

    def sweep(self, before: date, *, limit: int = MOST_SIGHTINGS) -> int:
        """
        Forget what was seen before that day, at most about *limit* sightings.

        Returns:
            How many were forgotten; 0 when there is nothing left to forget.
        """
        ...

    def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """
        Forget all that *tenant* was ever seen to do.

        Args:
            tx: The host's open transaction to join, as in `Store.apply`.
        """
        ...

    def close(self) -> None:
        """Let go of connections that are its own. It can be used again afterwards."""
        ...


class AsyncActivity(Protocol):
    """Same as `Activity`, awaited."""

    @property
    def name(self) -> str:
        """Same as `Activity.name`."""
        ...

    async def prepare(self) -> None:
        """Same as `Activity.prepare`."""
        ...

    async def record(self, sightings: Sequence[Sighting]) -> None:
        """Same as `Activity.record`."""
        ...

    async def of(self, tenant: str, since: date, until: date) -> Sequence[Sighting]:
        """Same as `Activity.of`."""
        ...

    async def tenants(
        self, kind: Seen, key: str, since: date, *, after: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """Same as `Activity.tenants`."""
        ...

    async def keys(self, kind: Seen, since: date) -> Sequence[str]:
        """Same as `Activity.keys`."""
        ...

    async def sweep(self, before: date, *, limit: int = MOST_SIGHTINGS) -> int:
        """Same as `Activity.sweep`."""
        ...

    async def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Activity.forget`."""
        ...

    async def aclose(self) -> None:
        """Same as `Activity.close`."""
        ...
