"""Activity in the memory of a process, in both colours."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date
from itertools import islice

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.activity import MOST_SIGHTINGS, Seen, Sighting, require_sightings
from payaid_entitlements.stores.ports import Transaction


class MemoryActivity:
    """Keeps what was seen in this process, and loses it with the process."""

    name = "memory"

    def __init__(self) -> None:
        self._known: set[Sighting] = set()
        self._renew_lock()
        after_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        # Another thread of the parent may hold it, and is not there to let it go.
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Same as `Activity.prepare`: there is nothing to make ready."""

    def record(self, sightings: Sequence[Sighting]) -> None:
        """Same as `Activity.record`."""
        require_sightings(sightings)
        with self._lock:
            self._known.update(sightings)

    def of(self, tenant: str, since: date, until: date) -> Sequence[Sighting]:
        """Same as `Activity.of`."""
        return sorted(each for each in self._all() if each.tenant == tenant and since <= each.day < until)

    def tenants(
        self, kind: Seen, key: str, since: date, *, after: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """Same as `Activity.tenants`."""
        found = {each.tenant for each in self._all() if each.kind is kind and each.key == key and each.day >= since}
        # As text is ordered, so are its bytes in UTF-8.
        return sorted(each for each in found if after is None or each > after)[:limit]

    def keys(self, kind: Seen, since: date) -> Sequence[str]:
        """Same as `Activity.keys`."""
        return sorted({each.key for each in self._all() if each.kind is kind and each.day >= since})

    def sweep(self, before: date, *, limit: int = MOST_SIGHTINGS) -> int:
        """Same as `Activity.sweep`."""
        with self._lock:
            old = list(islice((each for each in self._known if each.day < before), limit))
            self._known.difference_update(old)
        return len(old)

    def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Activity.forget`."""
        if tx is not None:
            raise ConfigurationError("memory cannot join a transaction; leave tx= out, or open a database")
        with self._lock:
            self._known = {each for each in self._known if each.tenant != tenant}

    def close(self) -> None:
        """Same as `Activity.close`: what is known stays as long as this object."""

    def _all(self) -> list[Sighting]:
        with self._lock:
            return list(self._known)


class AsyncMemoryActivity:
    """
    Same as `MemoryActivity`, awaited.

    Args:
        activity: To share what another client keeps.
    """

    name = MemoryActivity.name

    def __init__(self, activity: MemoryActivity) -> None:
        self._activity = activity

    async def prepare(self) -> None:
        """Same as `Activity.prepare`."""

    async def record(self, sightings: Sequence[Sighting]) -> None:
        """Same as `Activity.record`."""
        self._activity.record(sightings)

    async def of(self, tenant: str, since: date, until: date) -> Sequence[Sighting]:
        """Same as `Activity.of`."""
        return self._activity.of(tenant, since, until)

    async def tenants(
        self, kind: Seen, key: str, since: date, *, after: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """Same as `Activity.tenants`."""
        return self._activity.tenants(kind, key, since, after=after, limit=limit)

    async def keys(self, kind: Seen, since: date) -> Sequence[str]:
        """Same as `Activity.keys`."""
        return self._activity.keys(kind, since)

    async def sweep(self, before: date, *, limit: int = MOST_SIGHTINGS) -> int:
        """Same as `Activity.sweep`."""
        return self._activity.sweep(before, limit=limit)

    async def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Activity.forget`."""
        self._activity.forget(tenant, tx=tx)

    async def aclose(self) -> None:
        """Same as `Activity.close`."""
