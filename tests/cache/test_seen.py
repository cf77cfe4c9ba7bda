"""Who was seen to do what today: a set in the process, told to the store in batches."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements, require_feature, require_module
from payaid_entitlements.cache.seen import sightings as seen
from payaid_entitlements.cache.seen import telling
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.errors import ConfigurationError, Refused, StoreUnavailable, UnknownTenant
from payaid_entitlements.settings import activity_days_of
from payaid_entitlements.stores.activity import KEPT_DAYS, Seen, Sighting
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.memory_activity import AsyncMemoryActivity, MemoryActivity
from payaid_entitlements.testing import FakeClock
from tests.cache.conftest import CATALOG

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
TODAY, TOMORROW = NOON.date(), NOON.date() + timedelta(days=1)


@pytest.fixture
def clock():
    return FakeClock(NOON)


@pytest.fixture
def begun():
    return []


@pytest.fixture
def noted(clock, begun):
    return seen.Sightings(clock, Tally(), lambda: begun.append(1))


def used(tenant, day=TODAY, key="crm", kind=Seen.MODULE):
    return Sighting(tenant, day, kind, key)


class Refusing:
    """An activity that gives no answer while it is told to; both colours."""

    name = "refusing"

    def __init__(self, fails=1_000_000):
        self.fails, self.recorded, self.swept = fails, [], []

    def prepare(self):
        self._answer()

    def record(self, sightings):
        self._answer()
        self.recorded += sightings

    def sweep(self, before):
        self.swept.append(before)
        return 0

    def _answer(self):
        if self.fails:
            self.fails -= 1
            raise StoreUnavailable("no answer")


class AsyncRefusing(Refusing):
    async def prepare(self):
        super().prepare()

    async def record(self, sightings):
        super().record(sightings)

    async def sweep(self, before):
        return super().sweep(before)


# -- the set -----------------------------------------------------------------------------------------------------------


def test_what_was_seen_today_is_not_told_again(noted, clock, begun):
    for _ in range(3):
        noted.saw("acme", Seen.MODULE, "crm")
    noted.saw("acme", Seen.MODULE, "hr")
    assert sorted(noted.take()) == [used("acme"), used("acme", key="hr")]
    assert begun == [1, 1]
    noted.saw("acme", Seen.MODULE, "crm")
    assert noted.is_idle
    clock.advance(hours=12)
    noted.saw("acme", Seen.MODULE, "crm")
    assert noted.take() == (used("acme", TOMORROW),)
    clock.advance(hours=-1)
    noted.saw("acme", Seen.MODULE, "crm")
    assert noted.take() == (used("acme"),)


def test_two_threads_that_see_the_same_tell_it_once(noted):
    noted.saw("acme", Seen.MODULE, "crm")
    # The other one has looked before the first has written.
    assert not noted._note(("acme", Seen.MODULE, "crm"))
    assert len(noted.take()) == 1


def test_no_more_is_kept_than_there_may_be(noted, monkeypatch):
    monkeypatch.setattr(seen, "MOST_WAITING", 3)
    for number in range(5):
        noted.saw(f"tenant-{number}", Seen.MODULE, "crm")
    assert len(noted.take()) == 3
    assert noted._observer.counts() == {("activity.dropped", "module"): 2}
    noted.saw("tenant-4", Seen.MODULE, "crm")
    assert noted.take() == (used("tenant-4"),)
    monkeypatch.setattr(seen, "MOST_KNOWN", 4)
    noted.saw("tenant-5", Seen.MODULE, "crm")
    noted.saw("tenant-0", Seen.MODULE, "crm")
    assert sorted(noted.take()) == [used("tenant-0"), used("tenant-5")]
    assert len(noted._known) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\n"])
def test_a_key_that_no_store_takes_spoils_no_batch(noted, key):
    noted.saw("acme", Seen.API_VERSION, key)
    assert noted.is_idle


def test_who_is_forgotten_is_told_of_no_more(noted):
    for tenant in ("acme", "beta"):
        noted.saw(tenant, Seen.MODULE, "crm")
    noted.forget("acme")
    assert noted.take() == (used("beta"),)
    noted.saw("acme", Seen.MODULE, "crm")
    assert noted.take() == (used("acme"),)


def test_what_is_given_up_can_be_seen_again(noted):
    noted.saw("acme", Seen.MODULE, "crm")
    taken = noted.take()
    noted.give_back(taken)
    assert noted.take() == taken
    noted.drop(taken)
    noted.saw("acme", Seen.MODULE, "crm")
    assert noted.take() == taken
    assert noted._observer.counts() == {("activity.dropped", "module"): 1}


def test_a_use_is_of_a_module_or_it_is_none(noted):
    seen.note_use(noted, None, "acme", "crm.export")
    world = SimpleNamespace(module_of={"crm.export": "crm", "seats": None}.get)
    seen.note_use(None, world, "acme", "crm.export")
    seen.note_use(noted, world, "acme", "seats")
    seen.saw(None, "acme", Seen.MODULE, "crm")
    assert noted.is_idle
    seen.note_use(noted, world, "acme", "crm.export")
    assert noted.take() == (used("acme"),)
    with pytest.raises(TypeError):
        seen.saw(noted, "", Seen.MODULE, "crm")
    with pytest.raises(TypeError):
        seen.saw(noted, "acme", Seen.MODULE, None)


# -- telling -----------------------------------------------------------------------------------------------------------


def told(activity, clock, **options):
    """A client of the other colour's kind is beside the point here: the teller alone."""
    observer = Tally()
    made = telling.AsyncTelling if isinstance(activity, AsyncRefusing) else telling.Telling
    box = []
    noted = seen.Sightings(clock, observer, lambda: [each.watch() for each in box])
    box.append(made(activity, noted, observer, 400))
    return noted, box[0], observer


def wait_for(is_so):
    ended = threading.Event()
    for _ in range(500):
        if is_so():
            return
        ended.wait(0.01)
    raise AssertionError("it did not happen within 5 s")


def test_a_thread_tells_it_and_ends(clock, monkeypatch):
    monkeypatch.setattr(telling, "EVERY", 0.01)
    activity = Refusing(fails=2)
    noted, teller, observer = told(activity, clock)
    assert teller._thread is None
    noted.saw("acme", Seen.MODULE, "crm")
    noted.saw("beta", Seen.MODULE, "crm")
    wait_for(lambda: teller._thread is None)
    assert sorted(activity.recorded) == [used("acme"), used("beta")]
    assert activity.swept == [TODAY - timedelta(days=400)]
    assert observer.counts() == {("activity.untold", "StoreUnavailable"): 2}
    noted.saw("acme", Seen.MODULE, "hr")
    wait_for(lambda: len(activity.recorded) == 3)
    teller.close()
    assert len(activity.swept) == 1


def test_a_batch_that_is_not_taken_is_given_up_after_some_tries(clock, monkeypatch):
    monkeypatch.setattr(telling, "EVERY", 0.001)
    noted, teller, observer = told(Refusing(), clock)
    noted.saw("acme", Seen.MODULE, "crm")
    wait_for(lambda: teller._thread is None)
    assert observer.counts() == {
        ("activity.untold", "StoreUnavailable"): telling.TRIES,
        ("activity.dropped", "module"): 1,
    }


def test_closing_tells_what_waits_or_gives_it_up(clock):
    activity = Refusing(fails=0)
    noted, teller, _ = told(activity, clock)
    noted.saw("acme", Seen.MODULE, "crm")
    teller.close()
    assert activity.recorded == [used("acme")]
    wait_for(lambda: teller._thread is None)
    activity.fails = 1
    noted.saw("acme", Seen.MODULE, "hr")
    teller.close()
    teller.close()
    assert len(activity.recorded) == 1
    assert noted.is_idle
    telling._at_exit(lambda: None)
    noted.saw("acme", Seen.MODULE, "hr")
    telling._at_exit(lambda: teller)
    assert len(activity.recorded) == 2


def test_a_child_tells_what_it_has_seen_itself(clock, monkeypatch):
    activity = Refusing(fails=0)
    noted, teller, _ = told(activity, clock)
    noted.saw("acme", Seen.MODULE, "crm")
    child = os.fork()
    if not child:  # pragma: no cover # coverage does not look into a forked child
        is_right = noted.is_idle and teller._thread is None
        noted.saw("beta", Seen.MODULE, "crm")
        teller.close()
        os._exit(0 if is_right and activity.recorded == [used("beta")] else 1)
    assert os.waitpid(child, 0)[1] == 0
    teller.close()
    assert activity.recorded == [used("acme")]


def test_sweeping_goes_on_until_there_is_nothing_or_too_much(clock, monkeypatch):
    monkeypatch.setattr(telling, "_SWEEPS", 3)
    activity = Refusing(fails=0)
    answers = [500, 500, 500, 500]
    monkeypatch.setattr(activity, "sweep", lambda before: answers.pop())
    noted, teller, _ = told(activity, clock)
    noted.saw("acme", Seen.MODULE, "crm")
    teller.close()
    assert len(answers) == 1


def test_a_task_tells_it_in_either_loop(clock, monkeypatch):
    monkeypatch.setattr(telling, "EVERY", 0.01)
    activity = AsyncRefusing(fails=2)
    noted, teller, observer = told(activity, clock)
    noted.saw("nobody", Seen.MODULE, "crm")  # no loop has seen anything yet
    assert teller._timer is None

    async def see(tenant, many):
        noted.saw(tenant, Seen.MODULE, "crm")
        await asyncio.to_thread(noted.saw, tenant, Seen.MODULE, "hr")
        while len(activity.recorded) < many:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        assert teller._timer is None

    asyncio.run(asyncio.wait_for(see("acme", 3), 5))
    asyncio.run(asyncio.wait_for(see("beta", 5), 5))
    noted.saw("gamma", Seen.MODULE, "crm")  # from a thread, when the loop is closed
    assert {each.tenant for each in activity.recorded} == {"nobody", "acme", "beta"}
    assert observer.counts() == {("activity.untold", "StoreUnavailable"): 2}

    async def end():
        teller.watch()
        await teller.aclose()
        await teller.aclose()

    asyncio.run(end())
    assert activity.recorded[-1].tenant == "gamma"


def test_a_task_gives_up_what_a_store_does_not_take_in_time(clock, monkeypatch):
    monkeypatch.setattr(telling, "EVERY", 0.001)
    monkeypatch.setattr(telling, "PATIENCE", 0.01)
    activity = AsyncRefusing(fails=0)

    async def hang(sightings):
        await asyncio.sleep(60)

    monkeypatch.setattr(activity, "record", hang)
    noted, teller, observer = told(activity, clock)

    async def see():
        noted.saw("acme", Seen.MODULE, "crm")
        await asyncio.sleep(0.005)
        assert teller._task is not None
        await teller.aclose()
        assert noted.is_idle

    asyncio.run(asyncio.wait_for(see(), 5))
    assert observer.counts()["activity.dropped", "module"] == 1
    assert ("activity.untold", "TimeoutError") in observer.counts()


# -- a client ----------------------------------------------------------------------------------------------------------


@require_module("crm")
def guarded():
    return None


@require_feature("crm.export")
def refused():
    return None


@require_feature("crm.export")
async def guarded_coroutine():
    return None


def all_of(store, tenant="acme"):
    return [(each.kind, each.key) for each in store.activity.of(tenant, date.min, date.max)]


@pytest.fixture
def store(clock):
    store = MemoryStore()
    with Entitlements(store, catalog=CATALOG, clock=clock) as ent:
        ent.admin("asha", because="a test").subscribe("acme", "pro")
    return store


def test_guards_note_the_modules_that_they_let_use(store, clock):
    with Entitlements(store, clock=clock) as ent:
        with ent.bind("acme"):
            guarded()
            guarded()
        with ent.bind("nobody"), pytest.raises(Refused):
            refused()
    assert all_of(store) == [(Seen.MODULE, "crm")]
    assert all_of(store, "nobody") == []


def test_coroutines_too(store, clock):
    async def run():
        async with AsyncEntitlements(AsyncMemoryStore(store), clock=clock) as ent, ent.bind("acme"):
            await guarded_coroutine()
            await guarded_coroutine()

    asyncio.run(run())
    assert all_of(store) == [(Seen.MODULE, "crm")]


def test_who_lets_pass_by_hand_says_so(store, clock):
    with Entitlements(store, clock=clock) as ent:
        ent.saw("acme", "nobody-knows")
        assert ent.check("acme", "crm.export").allowed
        ent.saw("acme", "crm.export")
        ent.saw("acme", "2026-01", kind=Seen.API_VERSION)
    assert all_of(store) == [
        (Seen.API_VERSION, "2026-01"),
        (Seen.MODULE, "crm"),
        (Seen.MODULE, "nobody-knows"),
    ]


def test_who_would_lose_and_who_would_gain_is_noted(store, clock):
    with Entitlements(store, clock=clock, enforcement="observe") as ent:
        ent.check("poor", "crm.export")
        ent.check("acme", "crm.export", legacy=True)
        ent.check("acme", "crm.export", legacy=False)
        ent.check("other", "crm.export", legacy=True)
        ent.admin("asha", because="x").suspend("bad", operation="1")
        ent.check("bad", "crm.export", legacy=True)
    assert all_of(store, "poor") == [(Seen.WOULD_LOSE, "crm.export")]
    assert all_of(store) == [(Seen.WOULD_GAIN, "crm.export")]
    assert all_of(store, "other") == [(Seen.WOULD_LOSE, "crm.export")]
    assert all_of(store, "bad") == []


def test_who_is_forgotten_is_forgotten_here_too(store, clock):
    async def forget():
        async with AsyncEntitlements(AsyncMemoryStore(store), clock=clock) as ent:
            await ent.admin("asha", because="gdpr").forget("acme")

    with Entitlements(store, clock=clock) as ent:
        for tenant in ("acme", "beta"):
            ent.saw(tenant, "crm")
        with pytest.raises(UnknownTenant):  # nothing else was ever recorded of it
            ent.admin("asha", because="gdpr").forget("beta")
    assert all_of(store, "beta") == []
    assert all_of(store) != []
    asyncio.run(forget())
    assert all_of(store) == []


def test_nothing_is_recorded_where_nobody_wants_it(store, clock, monkeypatch):
    monkeypatch.setenv("PAYAID_ACTIVITY_DAYS", "0")
    with Entitlements(store, clock=clock, enforcement="observe") as ent:
        ent.saw("acme", "crm")
        with ent.bind("acme"):
            guarded()
        ent.check("poor", "crm.export")
        ent.check("poor", "crm.export", legacy=True)
        ent.admin("asha", because="gdpr").forget("acme")
        ent._watch_activity()
    assert all_of(store, "poor") == all_of(store) == []


def test_a_place_of_your_own_may_be_handed_in(store, clock):
    other = MemoryActivity()
    with Entitlements(store, clock=clock, activity=other) as ent:
        ent.saw("acme", "crm")

    async def run():
        async with AsyncEntitlements(AsyncMemoryStore(store), clock=clock, activity=AsyncMemoryActivity(other)) as ent:
            ent.saw("beta", "crm")

    asyncio.run(run())
    assert list(other.tenants(Seen.MODULE, "crm", TODAY)) == ["acme", "beta"]
    assert all_of(store) == []


def test_days_are_a_number():
    assert activity_days_of({}) == activity_days_of({"PAYAID_ACTIVITY_DAYS": ""}) == KEPT_DAYS
    assert activity_days_of({"PAYAID_ACTIVITY_DAYS": "30"}) == 30
    for word in ("-1", "a year", "1.5", "100000"):
        with pytest.raises(ConfigurationError, match="PAYAID_ACTIVITY_DAYS"):
            activity_days_of({"PAYAID_ACTIVITY_DAYS": word})


class Without:
    """A store of somebody's own, which has no place for what tenants do."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        if name == "activity":
            raise AttributeError(name)
        return getattr(self._inner, name)


def test_a_store_without_such_a_place_goes_without(store, clock):
    with Entitlements(Without(store), clock=clock, enforcement="observe") as ent:
        ent.saw("acme", "crm")
        ent.check("poor", "crm.export")
        ent.admin("asha", because="gdpr").forget("acme")

    async def run():
        async with AsyncEntitlements(Without(AsyncMemoryStore(store)), clock=clock) as ent:
            ent.saw("acme", "crm")
            await ent.admin("asha", because="back").subscribe("acme", "pro")
            await ent.admin("asha", because="gdpr").forget("acme")

    asyncio.run(run())
    assert all_of(store) == all_of(store, "poor") == []


def test_what_belongs_to_no_module_is_no_use_of_one(store, clock):
    with Entitlements(store, clock=clock) as ent:
        ent.tenant("acme").used(["seats", "crm.import"])
    assert all_of(store) == [(Seen.MODULE, "crm")]
