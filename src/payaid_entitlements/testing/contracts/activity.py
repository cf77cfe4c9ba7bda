"""The contract of what remembers which tenant did what on which day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from functools import partial
from typing import cast

import pytest

from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.activity import LONGEST_KEY, MOST_SIGHTINGS, Activity, AsyncActivity, Seen, Sighting
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread
from payaid_entitlements.testing.contracts.reading import ALIKE
from payaid_entitlements.testing.contracts.writes import at_once

DAY = date(2026, 11, 26)
BEFORE, AFTER = DAY - timedelta(days=1), DAY + timedelta(days=1)


def used(tenant: str, day: date = DAY, key: str = "crm", kind: Seen = Seen.MODULE) -> Sighting:
    """A sighting."""
    return Sighting(tenant, day, kind, key)


class ActivityContract:
    """
    What every `Activity` must keep; each sentence of the port is a test.

    Subclass it and override the fixture `new_activity`; and `unreachable_activity`, where yours asks a server.
    """

    @pytest.fixture
    def new_activity(self) -> Callable[[], Activity]:
        """
        Give a function that makes a client of your activity.

        All clients of one test are of one place, in which nothing is known when the test begins, and which has its
        tables where `prepare` does not make them. A client that the function gave is closed after the test.
        """
        # A contract has no place of its own: whoever runs it on theirs brings one.
        raise NotImplementedError(
            "override the fixture new_activity: return a function that makes a client of your activity"
        )

    @pytest.fixture
    def open_activity(self, new_activity: Callable[[], Activity]) -> Iterator[Callable[[], Activity]]:
        """A function that opens another client, ready for use; all are closed after the test."""
        with _opening(new_activity) as another:
            yield another

    @pytest.fixture
    def activity(self, open_activity: Callable[[], Activity]) -> Activity:
        """A client of an activity in which nothing is known."""
        return open_activity()

    @pytest.fixture
    def unreachable_activity(self) -> Activity | AsyncActivity | None:
        """A client of which the server does not answer, not prepared; None where there is no server."""
        return None

    @pytest.fixture
    def unreachable(self, unreachable_activity: Activity) -> Iterator[Activity | None]:
        """The same, to be called."""
        yield unreachable_activity
        if unreachable_activity is not None:
            unreachable_activity.close()

    def test_nothing_was_seen(self, activity: Activity) -> None:
        assert activity.name != ""
        activity.record([])
        assert list(activity.of("acme", BEFORE, AFTER)) == []
        assert list(activity.tenants(Seen.MODULE, "crm", BEFORE)) == []
        assert list(activity.keys(Seen.MODULE, BEFORE)) == []
        assert activity.sweep(AFTER) == 0
        activity.forget("acme")

    def test_it_is_a_set_and_no_count(self, activity: Activity, open_activity: Callable[[], Activity]) -> None:
        another = open_activity()
        for each in (activity, another, activity):
            each.record([used("acme"), used("acme"), used("beta")])
            each.prepare()
        for each in (activity, another):
            assert list(each.of("acme", DAY, AFTER)) == [used("acme")]
            assert list(each.tenants(Seen.MODULE, "crm", DAY)) == ["acme", "beta"]

    def test_what_a_tenant_did_is_in_the_order_of_its_days(self, activity: Activity) -> None:
        seen = [
            used("acme", BEFORE, "hr"),
            used("acme", DAY, "2026-01", Seen.API_VERSION),
            used("acme", DAY, "crm"),
            used("acme", DAY, "hr"),
            used("acme", DAY, "crm", Seen.WOULD_GAIN),
            used("acme", DAY, "crm.export", Seen.WOULD_LOSE),
            used("acme", AFTER, "crm"),
        ]
        activity.record([*reversed(seen), used("beta")])
        assert list(activity.of("acme", BEFORE, AFTER + timedelta(days=1))) == seen
        assert list(activity.of("acme", DAY, AFTER)) == seen[1:-1]
        assert list(activity.of("acme", DAY, DAY)) == []

    def test_tenants_are_listed_page_by_page_each_once(self, activity: Activity) -> None:
        tenants = sorted(f"tenant-{number}" for number in range(25))
        activity.record([used(tenant, day) for tenant in tenants for day in (BEFORE, DAY)])
        activity.record([used("before-all", BEFORE), used("other", DAY, "hr"), used("kind", kind=Seen.WOULD_LOSE)])
        found: list[str] = []
        while page := activity.tenants(Seen.MODULE, "crm", DAY, after=found[-1] if found else None, limit=10):
            assert len(page) <= 10
            found += page
        assert found == tenants
        assert activity.tenants(Seen.MODULE, "crm", BEFORE, limit=1) == ["before-all"]
        assert list(activity.tenants(Seen.MODULE, "crm", AFTER)) == []

    def test_keys_are_listed_since_a_day(self, activity: Activity) -> None:
        activity.record([used("acme", BEFORE, "hr"), used("beta", DAY, "crm"), used("beta", DAY, "ad")])
        activity.record([used("acme", DAY, "v2", Seen.API_VERSION)])
        assert list(activity.keys(Seen.MODULE, BEFORE)) == ["ad", "crm", "hr"]
        assert list(activity.keys(Seen.MODULE, DAY)) == ["ad", "crm"]
        assert list(activity.keys(Seen.API_VERSION, DAY)) == ["v2"]
        assert list(activity.keys(Seen.WOULD_GAIN, BEFORE)) == []

    def test_an_older_day_that_is_told_later_changes_no_newer_one(self, activity: Activity) -> None:
        activity.record([used("acme", DAY)])
        activity.record([used("acme", BEFORE)])
        assert list(activity.tenants(Seen.MODULE, "crm", DAY)) == ["acme"]
        assert activity.sweep(DAY) == 1
        assert list(activity.of("acme", BEFORE, AFTER)) == [used("acme")]

    def test_ids_and_keys_are_compared_by_their_bytes(self, activity: Activity) -> None:
        printable = [each for each in ALIKE if each.isprintable()]
        activity.record([used(tenant) for tenant in printable])
        activity.record([used("all", key=key) for key in printable])
        in_order = sorted(printable, key=lambda each: each.encode())
        assert list(activity.tenants(Seen.MODULE, "crm", DAY)) == in_order
        assert [key for key in activity.keys(Seen.MODULE, DAY) if key != "crm"] == in_order
        for tenant in printable:
            assert list(activity.of(tenant, DAY, AFTER)) == [used(tenant)]

    def test_what_is_old_is_swept_a_part_at_a_time(self, activity: Activity) -> None:
        old = [used(f"tenant-{number}", BEFORE) for number in range(12)]
        activity.record([*old, used("tenant-1", DAY), used("tenant-2", DAY, "hr")])
        swept = []
        while count := activity.sweep(DAY, limit=5):
            swept.append(count)
        assert sum(swept) == len(old)
        assert max(swept) <= 5
        assert list(activity.tenants(Seen.MODULE, "crm", BEFORE)) == ["tenant-1"]
        assert list(activity.keys(Seen.MODULE, BEFORE)) == ["crm", "hr"]
        assert activity.sweep(AFTER) == 2
        assert list(activity.keys(Seen.MODULE, BEFORE)) == []

    def test_who_is_forgotten_was_never_seen(self, activity: Activity) -> None:
        activity.record([used("acme", BEFORE), used("acme", DAY, "hr"), used("beta")])
        activity.forget("acme")
        assert list(activity.of("acme", BEFORE, AFTER)) == []
        assert list(activity.tenants(Seen.MODULE, "crm", BEFORE)) == ["beta"]
        assert list(activity.keys(Seen.MODULE, BEFORE)) == ["crm"]
        activity.record([used("acme")])
        assert list(activity.of("acme", BEFORE, AFTER)) == [used("acme")]

    def test_as_many_as_may_be_are_recorded_together(self, activity: Activity) -> None:
        most = [used("acme", key=f"key-{number}") for number in range(MOST_SIGHTINGS)]
        activity.record(most)
        assert len(activity.of("acme", DAY, AFTER)) == MOST_SIGHTINGS
        with pytest.raises(ValueError):
            activity.record([*most, used("acme", key="one more")])

    @pytest.mark.parametrize("text", ["", "a\0", "a\n", "\ud800", "x" * (LONGEST_KEY + 1)])
    def test_what_is_no_id_is_refused(self, activity: Activity, text: str) -> None:
        for each in (used(text), used("acme", key=text)):
            with pytest.raises(ValueError):
                activity.record([used("ok"), each])
        assert list(activity.of("ok", BEFORE, AFTER)) == []

    def test_at_once_nothing_is_lost(self, activity: Activity, open_activity: Callable[[], Activity]) -> None:
        clients = [open_activity() for _ in range(4)]
        orders = [[used(f"tenant-{(number * step) % 11}") for number in range(11)] for step in (1, 10, 3, 7)]
        outcomes = at_once(
            [partial(client.record, order) for client, order in zip(clients, orders, strict=True) for _ in range(3)]
        )
        assert outcomes == [None] * 12
        assert len(activity.tenants(Seen.MODULE, "crm", DAY)) == 11

    def test_a_closed_activity_can_be_used_again(self, activity: Activity) -> None:
        activity.record([used("acme")])
        activity.close()
        assert list(activity.of("acme", DAY, AFTER)) == [used("acme")]
        activity.close()

    def test_what_cannot_be_reached_is_unavailable(self, unreachable: Activity | None) -> None:
        if unreachable is None:
            pytest.skip("there is no server to be reached")
        for method in (
            lambda: unreachable.record([used("acme")]),
            lambda: unreachable.of("acme", BEFORE, AFTER),
            lambda: unreachable.forget("acme"),
        ):
            with pytest.raises(StoreUnavailable) as raised:
                method()
            assert isinstance(raised.value.__cause__, Exception)


class AsyncActivityContract(ActivityContract):
    """Same as `ActivityContract`, for an `AsyncActivity`: `new_activity` gives a function that makes one."""

    @pytest.fixture
    def loop(self) -> Iterator[LoopThread]:
        """The event loop on which the activity is used: what belongs to a loop must be made by ``loop.run(...)``."""
        with LoopThread() as loop:
            yield loop

    @pytest.fixture
    def open_activity(
        self, new_activity: Callable[[], AsyncActivity], loop: LoopThread
    ) -> Iterator[Callable[[], Activity]]:
        """Same as `ActivityContract.open_activity`."""
        with _opening(lambda: cast("Activity", Awaited(new_activity(), loop))) as another:
            yield another

    @pytest.fixture
    def unreachable(self, unreachable_activity: AsyncActivity | None, loop: LoopThread) -> Iterator[Activity | None]:
        """Same as `ActivityContract.unreachable`."""
        if unreachable_activity is None:
            yield None
        else:
            yield cast("Activity", Awaited(unreachable_activity, loop))
            loop.run(unreachable_activity.aclose())


@contextmanager
def _opening(new_activity: Callable[[], Activity]) -> Iterator[Callable[[], Activity]]:
    with ExitStack() as stack:

        def another() -> Activity:
            activity = new_activity()
            stack.callback(activity.close)
            activity.prepare()
            return activity

        yield another
