"""
Your own client, on memory and a clock of the test's: the same object that the app imported, with another inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import cast

from payaid_entitlements.admin import Admin, Change
from payaid_entitlements.cache.driving import Driver
from payaid_entitlements.cache.local import NEVER, LocalCache
from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.model import Flag
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.core.values import Amount, Deny, Value
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.limiting.asking import AsyncLimiting, SyncLimiting
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.limiting.permits import draw
from payaid_entitlements.metering.showing import show
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.testing.clock import FakeClock
from payaid_entitlements.testing.exhausting import exhaust
from payaid_entitlements.testing.faults import Faults, FaultyStore
from payaid_entitlements.testing.forcing import force, put_back


class _Swap:
    """Attributes that are put back. Also those of frozen settings, which an `Admin` made at import time holds too."""

    def __init__(self) -> None:
        self._before: list[tuple[object, str, object]] = []

    def put(self, target: object, **parts: object) -> None:
        """Let *target* have other parts."""
        for name, part in parts.items():
            self._before.append((target, name, getattr(target, name)))
            object.__setattr__(target, name, part)

    def back(self) -> None:
        """Let all be as it was, the last first."""
        while self._before:
            target, name, part = self._before.pop()
            object.__setattr__(target, name, part)


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
        if not isinstance(clock, FakeClock):
            raise TypeError(
                f"clock={clock!r}: give a FakeClock (a fixture `clock` of yours hides the one of the plugin)"
            )
        setting = client._setting
        if setting.catalog is None:
            raise ConfigurationError("the client was opened without catalog=; a sandbox publishes that into its memory")
        self.client = client
        self.clock = clock
        self.faults = Faults()
        self._setting = setting
        self._tally = Tally()
        self._near = LocalCache(bound=setting.near.bound, clock=clock, fresh_for=setting.near.fresh_for)
        memory = MemoryStore()
        faulty = cast("Store", FaultyStore(memory, self.faults))
        ledger = getattr(faulty, "ledger", None)
        self._driver = Driver(faulty, ledger=ledger, clock=clock, observer=self._tally, never_waits=True)
        self._swap = _Swap()
        self._swap.put(client, _near=self._near, _observer=self._tally)
        self._swap.put(
            setting,
            near=self._near,
            wall=clock,
            observer=self._tally,
            hosted=False,
            sharing=None,
            tells_time=True,
            strict=True if setting.strict is None else setting.strict,
        )
        processes = client._limiting.processes
        self._limiting = SyncLimiting(setting, getattr(faulty, "limiter", None), processes)
        limiting: SyncLimiting | AsyncLimiting = self._limiting
        store: Store | AsyncStore = faulty
        if isinstance(client, AsyncEntitlements):
            store = cast("AsyncStore", FaultyStore(AsyncMemoryStore(memory), self.faults))
            ledger = getattr(store, "ledger", None)
            limiting = AsyncLimiting(setting, getattr(store, "limiter", None), processes)
        # The driver stays the one of the client, which refuses to wait in an event loop: a test must not hide that.
        self._swap.put(client, _store=store, _ledger=ledger, _limiting=limiting)
        self._swap.put(client._driver, store=store, ledger=ledger, host=None, clock=clock, observer=self._tally)
        client._driver.reset()
        clock.when_put_back(self._forget)

    def close(self) -> None:
        """Put back what the client was made of."""
        self.clock.forget(self._forget)
        self._swap.back()
        self.client._driver.reset()

    def _forget(self) -> None:
        # Entries of the future would look fresh. Forwards they grow old as they do in production.
        self._near.drop()
        self._near.lease = self._near.trusted = self._near.confirmed = NEVER
        self._close_breakers()

    def _close_breakers(self) -> None:
        # What was down is up again, for the next question and not a moment later.
        self._driver.reset()
        self._limiting.reset()
        self.client._driver.reset()
        self.client._limiting.reset()

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
        return Overriding(self, self.admin().override(tenant, feature, to, user=user))

    def flag(self, key: str, to: FlagValue) -> Forcing:
        """
        Let *to* come out of a flag for everybody. It ends with the test, or with the ``with`` block that this opens.

        Args:
            key: A flag that there is not is made: only the store knows those that `Admin` makes.
            to: The name of a variant, or a value of the flag's type.

        Raises:
            ConfigurationError: The flag has no such variant, and is of another type.
        """
        return Forcing(self, key, self._driver.run(force(self._setting, identify("flag", key), to)))

    def usage(self, tenant: str, feature: str, *, user: str | None = None) -> Usage:
        """How much of *feature* is used, as `Entitlements.usage` says it."""
        return self._driver.run(show(self._setting, tenant, (feature,), user))[feature]

    def exhaust(self, tenant: str, feature: str, *, leave: Amount = 0) -> Usage:
        """
        Let *tenant* have used up all of a quota or a credit but *leave* units, whatever it had used before.

        Raises:
            ConfigurationError: It has no limit, or *leave* is more than that.
        """
        return self._driver.run(exhaust(self._setting, tenant, feature, leave))

    def exhaust_rate_limit(
        self, tenant: str, limit: str, *, leave: int = 0, user: str | None = None, address: str | None = None
    ) -> RateLimitOutcome:
        """
        Let just so many calls be made until *leave* more have room in a rate limit.

        Args:
            user, address: Whose calls, where the limit counts by them.

        Raises:
            ConfigurationError: Nothing limits, *leave* is more than that, or fewer are left already.
            TypeError, UnknownRateLimit: As for `Entitlements.rate_limit`.
        """
        course = self._driver.ask(self._limiting.find(tenant, limit, user, address))
        left = self._limiting.ask(course, 0).remaining
        if left is None or left < leave:
            raise ConfigurationError(f"of {limit!r} {'all' if left is None else left} are left to {tenant!r}")
        permits = [draw() for _ in range(left - leave)] if course.is_held else []
        for permit in permits:
            self._limiting.ask(course, 1, permit)
        return self._limiting.ask(course, 0 if permits else left - leave)

    @contextmanager
    def outage(self, *, is_warm: bool = False) -> Iterator[Faults]:
        """
        Let the store give no answer inside the block.

        Args:
            is_warm: Keep what is near, as minutes after a store went down: grants go on, marked as degraded.
                False is the cold start, where nothing is known: the branch that everybody forgets.
        """
        was_down, self.faults.is_down = self.faults.is_down, True
        if not is_warm:
            self._near.drop()
        self._near.lease = self._near.trusted = NEVER
        try:
            yield self.faults
        finally:
            self.faults.is_down = was_down
            self._close_breakers()

    @property
    def counts(self) -> Mapping[tuple[str, ...], int]:
        """What was counted since the sandbox was made, by name and labels."""
        return self._tally.counts()


class Overriding:
    """An override that was set; as a context manager it is taken back at the end of the block."""

    def __init__(self, within: Sandbox, change: Change) -> None:
        self._within = within
        self._change = change

    def __enter__(self) -> Overriding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Undone, not cleared: there may have been another one before. None where it was so already.
        if self._change.id is not None:
            self._within.admin().undo(self._change.id)


class Forcing:
    """A flag that was forced; as a context manager it is put back at the end of the block."""

    def __init__(self, within: Sandbox, key: str, was: tuple[bool, Flag | None]) -> None:
        self._within = within
        self._key = key
        self._was = was

    def __enter__(self) -> Forcing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._within._driver.run(put_back(self._within._setting, self._key, self._was))


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
