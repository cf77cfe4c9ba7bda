"""
Your own client, on memory and a clock of the test's: the same object that the app imported, with another inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import cast

from payaid_entitlements.admin import Admin, Change
from payaid_entitlements.cache.driving import AsyncDriver, Driver
from payaid_entitlements.cache.local import NEVER, LocalCache
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.core.values import Deny, Value
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.testing.clock import FakeClock
from payaid_entitlements.testing.faults import Faults, FaultyStore

#: What a client is made of inside: swapped for the time of a test, then put back.
_INSIDE = ("_near", "_observer", "_setting", "_store", "_driver")


class Sandbox:
    """
    A client whose store is memory and whose clock is the test's. Made by `sandbox` and by the fixture `entitlements`.

    Its verbs are plain calls in tests of either colour: memory never waits. Keys that no catalog has raise
    `UnknownFeature` unless the client was opened with ``strict=False``. A host's ``subscriptions=`` is not asked
    inside: say with `subscribe` what a tenant holds.

    Attributes:
        client: Your client, as the app imported it.
        clock: What "now" is.
        faults: What goes wrong in the store now; see `outage`.
    """

    def __init__(self, client: Entitlements | AsyncEntitlements, clock: FakeClock) -> None:
        setting = client._setting
        if setting.catalog is None:
            raise ConfigurationError("the client was opened without catalog=; a sandbox publishes that into its memory")
        self.client = client
        self.clock = clock
        self.faults = Faults()
        self._tally = Tally()
        self._near = LocalCache(bound=setting.near.bound, clock=clock, fresh_for=setting.near.fresh_for)
        self._setting = replace(
            setting,
            near=self._near,
            wall=clock,
            observer=self._tally,
            hosted=False,
            strict=True if setting.strict is None else setting.strict,
        )
        memory = MemoryStore()
        store = cast("Store", FaultyStore(memory, self.faults))
        self._driver = Driver(store, never_waits=True)
        self._before = {name: getattr(client, name) for name in _INSIDE}
        client._near, client._setting, client._observer = self._near, self._setting, self._tally
        if isinstance(client, Entitlements):
            client._store, client._driver = store, self._driver
        else:
            client._store = cast("AsyncStore", FaultyStore(AsyncMemoryStore(memory), self.faults))
            client._driver = AsyncDriver(client._store)
        clock.when_moved(self._forget)

    def close(self) -> None:
        """Put back what the client was made of."""
        for name, part in self._before.items():
            setattr(self.client, name, part)

    def _forget(self) -> None:
        # A clock that was put back would make entries of the future look fresh.
        self._near.drop()
        self._near.lease = self._near.trusted = self._near.confirmed = self._near.retry_at = NEVER

    def admin(self, actor: str = "test", *, because: str | None = "test") -> Admin:
        """Change anything, as an application would; see `Admin`."""
        return Admin(self._driver, self._setting, actor, because=because, dry_run=False)

    def subscribe(
        self, tenant: str, plan: str, *, trial: bool = False, add_ons: Mapping[str, int] | None = None
    ) -> Change:
        """Let *tenant* hold *plan* from now on; *trial* begins its trial."""
        return self.admin().subscribe(tenant, plan, trial=trial, add_ons=add_ons or {})

    def override(self, tenant: str, feature: str, to: Value | Deny, *, user: str | None = None) -> Overriding:
        """
        Set an override now. It ends with the test, or with the ``with`` block that this opens.

        Raises:
            UnknownFeature: The catalog has no such key.
        """
        self.admin().override(tenant, feature, to, user=user)
        return Overriding(self, tenant, feature, user)

    @contextmanager
    def outage(self, *, is_warm: bool = False) -> Iterator[Faults]:
        """
        Let the store give no answer inside the block.

        Args:
            is_warm: Keep what is near, as minutes after a store went down: grants go on, marked as degraded.
                False is the cold start, where nothing is known: the branch that everybody forgets.
        """
        self.faults.is_down = True
        if not is_warm:
            self._near.drop()
        self._near.lease = self._near.trusted = NEVER
        try:
            yield self.faults
        finally:
            self.faults.is_down = False
            self._near.retry_at = NEVER

    @property
    def counts(self) -> Mapping[tuple[str, ...], int]:
        """What was counted since the sandbox was made, by name and labels."""
        return self._tally.counts()


class Overriding:
    """An override that was set; as a context manager it is cleared at the end of the block."""

    def __init__(self, within: Sandbox, tenant: str, feature: str, user: str | None) -> None:
        self._within = within
        self._what = tenant, feature, user

    def __enter__(self) -> Overriding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tenant, feature, user = self._what
        self._within.admin().clear_override(tenant, feature, user=user)


@contextmanager
def sandbox(client: Entitlements | AsyncEntitlements, *, clock: FakeClock | None = None) -> Iterator[Sandbox]:
    """
    Put *client* on memory and on a test's clock inside the block, without pytest.

    Raises:
        ConfigurationError: The client was opened without a catalog.
    """
    inside = Sandbox(client, clock or FakeClock())
    try:
        yield inside
    finally:
        inside.close()
