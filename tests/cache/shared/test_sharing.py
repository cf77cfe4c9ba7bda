"""Two processes (clients) and a Redis that they share: what is asked of the store, and what is believed."""

from __future__ import annotations

import math
import time

import pytest
import redis

from payaid_entitlements import DENY, Entitlements, Reason
from payaid_entitlements.cache.breaker import SHORTEST
from payaid_entitlements.cache.driving import Driver
from payaid_entitlements.cache.shared import scripts
from payaid_entitlements.cache.shared import sharing as policy
from payaid_entitlements.cache.shared.asking import SharedRedis
from payaid_entitlements.cache.shared.copies import MOST_BYTES, Places
from payaid_entitlements.cache.steps import AskShared, Poll, ReadTenants
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.stores.backup import export_to, import_from
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.ports import LogPage
from tests.entitlements.conftest import CATALOG

PATIENT = "?socket_timeout=5&socket_connect_timeout=5"


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def opened(stage, redis_url):
    """Opens clients that hear of nothing: what they know, they have read."""

    def opens(**named):
        # Patient, so that what is counted does not depend on how busy the machine is.
        client = stage.open(**{"shared": redis_url + PATIENT, **named})
        object.__setattr__(client.inner._setting, "listener", None)
        return client

    return opens


@pytest.fixture
def pair(stage, opened):
    """Two clients that have begun, with acme on pro, of whom nobody was asked."""
    stage.elsewhere.subscribe("acme", "pro")
    clients = opened(), opened()
    for client in clients:
        client.check("somebody", "crm")
    stage.faults.calls.clear()
    return clients


def counted(client, name, *labels):
    return client.inner.counts.get((name, *labels), 0)


def copies(server):
    return [key for key in server.scan_iter() if key.endswith(b"}c")]


def copy_key(client, tenant="acme"):
    return client.inner._setting.sharing.places.of_tenant(tenant)[0]


def test_what_one_has_read_the_other_does_not_read(stage, pair):
    one, other = pair
    assert one.check("acme", "crm.export").allowed
    assert other.check("acme", "crm.export").allowed
    assert stage.faults.calls == ["read"]
    assert (counted(one, "shared.copy", "absent"), counted(other, "shared.copy", "used")) == (2, 2)


def test_a_process_that_has_just_started_believes_what_was_left_before_it(stage, pair, opened):
    """It reads back in the log, so that it can."""
    pair[0].check("acme", "crm.export")
    stage.elsewhere.subscribe("other", "pro")
    young = opened()
    stage.faults.calls.clear()
    assert young.check("acme", "crm.export").allowed
    assert "read" not in stage.faults.calls


def test_one_that_cannot_read_back_far_enough_reads_the_store(stage, pair, opened, monkeypatch):
    """Of what came between it knows nothing."""
    monkeypatch.setattr(policy, "LOOK_BACK", 1)
    pair[0].check("acme", "crm.export")
    stage.elsewhere.subscribe("acme", "free")
    stage.elsewhere.subscribe("other", "pro")
    stage.elsewhere.subscribe("another", "pro")
    young = opened()
    assert not young.check("acme", "crm.export").allowed


@pytest.mark.parametrize("page", [LogPage((), 3, gap=True), LogPage((), 0)])
def test_a_log_that_does_not_reach_back_or_gives_nothing_ends_reading_back(stage, pair, page):
    setting = pair[0].inner._setting
    known_from = setting.near.known_from
    flow = setting.sharing.settle(setting, None, 3)
    assert next(flow) == Poll(0)
    with pytest.raises(StopIteration):
        flow.send(page)
    assert setting.near.known_from == known_from


def test_a_change_that_nobody_announced_is_not_hidden_by_a_copy(stage, pair):
    """The writer died between commit and announcement."""
    for client in pair:
        client.check("acme", "crm.export")
    stage.elsewhere.override("acme", "crm.export", DENY)
    stage.clock.advance(seconds=2)
    for client in pair:
        assert not client.check("acme", "crm.export").allowed


def test_a_change_that_is_announced_takes_the_copy_away(stage, pair, server):
    one, other = pair
    one.check("acme", "crm.export")
    assert server.exists(copy_key(one))
    other.admin().override("acme", "crm.export", DENY)
    assert not server.exists(copy_key(one))
    assert not other.check("acme", "crm.export").allowed


def test_past_every_cache_means_past_the_shared_one_and_fills_it(stage, pair):
    one, other = pair
    one.check("acme", "crm.export")
    stage.faults.calls.clear()
    assert other.tenant("acme", fresh=True).check("crm.export").allowed
    assert "read" in stage.faults.calls
    stage.elsewhere.override("acme", "crm.export", DENY)
    assert not other.tenant("acme", fresh=True).check("crm.export").allowed
    stage.faults.calls.clear()
    stage.clock.advance(seconds=2)
    assert not one.check("acme", "crm.export").allowed
    assert "read" not in stage.faults.calls


def test_a_revision_that_was_asked_for_is_never_answered_from_an_older_copy(stage, pair):
    one, other = pair
    one.check("acme", "crm.export")
    change = stage.elsewhere.override("acme", "crm.export", DENY)
    assert not other.check("acme", "crm.export", after=change.revision).allowed


def test_a_refusal_follows_from_what_was_true_less_than_a_second_ago(stage, pair):
    """From a copy too: before it counts, the log is looked at."""
    one, other = pair
    one.check("initech", "crm.export")
    stage.clock.advance(seconds=1.5)
    stage.elsewhere.subscribe("initech", "pro")
    assert other.check("initech", "crm.export").allowed


def test_one_reading_of_the_log_serves_all_for_half_a_second(stage, pair):
    one, other = pair
    stage.clock.advance(seconds=2)
    one.check("somebody", "crm")
    stage.clock.advance(seconds=0.4)
    other.check("somebody", "crm")
    assert stage.faults.calls == ["changes_since"]
    stage.clock.advance(seconds=1.7)
    other.check("somebody", "crm")
    assert stage.faults.calls == ["changes_since", "changes_since"]


def test_a_stamp_older_than_half_a_second_is_not_believed(stage, pair):
    one, other = pair
    stage.clock.advance(seconds=2)
    one.check("somebody", "crm")
    stage.clock.advance(seconds=0.6)
    other.check("somebody", "crm")
    assert stage.faults.calls == ["changes_since", "changes_since"]


def test_a_stamp_that_knows_more_than_we_is_a_reason_to_read_the_log(stage, pair):
    one, other = pair
    other.check("acme", "crm.export")
    stage.clock.advance(seconds=2)
    stage.elsewhere.override("acme", "crm.export", DENY)
    one.check("somebody", "crm")
    assert not other.check("acme", "crm.export").allowed


@pytest.mark.parametrize("lost", ["flushall", "foreign"])
def test_a_lost_stamp_begins_an_epoch_and_copies_of_the_old_one_are_not_used(stage, pair, server, lost):
    one, other = pair
    one.check("acme", "crm.export")
    places = one.inner._setting.sharing.places
    epoch = one.inner._setting.sharing.epoch
    if lost == "foreign":
        server.delete(places.stamp)
        server.rpush(places.stamp, "x")
    else:
        server.delete(places.stamp)
    stage.clock.advance(seconds=2)
    stage.faults.calls.clear()
    assert other.check("acme", "crm.export").allowed
    assert other.inner._setting.sharing.epoch != epoch
    assert stage.faults.calls == ["changes_since", "read"]


def test_a_log_that_was_cut_begins_an_epoch(stage, pair, server):
    """As by a backup that was restored: what is in Redis is about another log."""
    one, other = pair
    sharing = one.inner._setting.sharing
    before = sharing.epoch
    parts = server.get(sharing.places.stamp).split()
    parts[2] = b"999"
    server.set(sharing.places.stamp, b" ".join(parts))
    stage.clock.advance(seconds=2)
    one.check("somebody", "crm")
    assert sharing.epoch != before
    assert server.get(sharing.places.stamp).split()[1].decode() == sharing.epoch
    # The other does not take the word of a new epoch for its own knowledge.
    stage.faults.calls.clear()
    other.check("somebody", "crm")
    assert stage.faults.calls == ["changes_since"]


def test_of_two_who_find_it_cut_one_begins_the_epoch(stage, pair, server):
    setting = pair[0].inner._setting
    sharing = setting.sharing
    stamp = sharing.stamp_of([b"elsewhere", b"9", b"0", b"1", b"-"])
    flow = sharing._note(setting, stamp, 3, is_cut=True)
    ask = next(flow)
    client = SharedRedis(setting_url(pair[0]))
    before = sharing.epoch
    with pytest.raises(StopIteration):
        flow.send(client.ask(ask))
    client.close()
    assert sharing.epoch == before


def setting_url(client):
    return client.inner._shared.client.name


def test_a_tenant_of_whom_nothing_is_known_has_a_copy_for_five_seconds(pair, server):
    """C-5: anybody can ask for any number of names."""
    pair[0].check("nobody", "crm")
    key = copy_key(pair[0], "nobody")
    assert 0 < server.pttl(key) <= 5_000
    pair[0].check("acme", "crm")
    assert server.pttl(copy_key(pair[0])) > 5_000


def test_who_is_granted_something_is_not_nobody_any_more(stage, pair):
    """C-5: visible within the bound, also through the copy."""
    one, other = pair
    for number in range(20):
        assert not one.check(f"new{number}", "crm.export").allowed
        assert not other.check(f"new{number}", "crm.export").allowed
        one.admin().subscribe(f"new{number}", "pro")
        stage.clock.advance(seconds=1)
        assert other.check(f"new{number}", "crm.export").allowed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda server, key, good: server.set(key, b"\x80nonsense"),
        lambda server, key, good: server.set(key, good[: len(good) // 2]),
        lambda server, key, good: server.set(key, good.replace(b"payaid1", b"payaid9")),
        lambda server, key, good: server.set(key, good.replace(b"acme", b"eve!")),
        lambda server, key, good: server.set(key, good + b" " * (10 << 20)),
        lambda server, key, good: (server.delete(key), server.rpush(key, good)),
    ],
)
def test_poison_is_a_miss_and_counted(stage, pair, server, spoil):
    """C-7."""
    one, other = pair
    one.check("acme", "crm.export")
    key = copy_key(one)
    spoil(server, key, server.get(key))
    stage.faults.calls.clear()
    assert other.check("acme", "crm.export").allowed
    assert stage.faults.calls == ["read"]
    assert counted(other, "shared.poisoned") == 1
    assert counted(other, "shared.unavailable") == 0
    # And a good copy is there again.
    assert server.get(key).startswith(b"payaid1 ")


def test_a_store_that_was_restored_from_a_backup_of_ours_gives_us_nothing(tmp_path, redis_url):
    """As staging beside production, where somebody forgot that it needs a prefix: all begin by the same change."""
    ours, theirs = (f"sqlite:///{tmp_path}/{name}.db" for name in ("ours", "theirs"))
    shared = redis_url + PATIENT
    with Entitlements.open(ours, catalog=CATALOG) as first:
        first.admin("asha", because="a sale").subscribe("initech", "pro")
        export_to(first._store, tmp_path / "backup")
    with Entitlements.open(theirs, shared=shared) as other:
        import_from(other._store, tmp_path / "backup")
        other.admin("asha", because="a trial run").subscribe("acme", "pro")
        with Entitlements.open(ours, shared=shared) as one:
            assert one.check("initech", "crm.export").allowed
            # Of the newest epoch.
            with Entitlements.open(theirs, shared=shared) as another:
                assert another.check("acme", "crm.export").allowed
                assert not one.check("acme", "crm.export").allowed
                assert one.counts["shared.poisoned",] == 1
                # And the other way round.
                assert another.tenant("acme", fresh=True).check("crm.export").allowed
                with Entitlements.open(theirs, shared=shared) as young:
                    assert young.check("acme", "crm.export").allowed


def test_a_document_that_is_too_long_is_read_by_each(stage, pair, server, monkeypatch):
    monkeypatch.setattr(policy, "MOST_BYTES", 256)
    for client in pair:
        assert client.check("acme", "crm.export").allowed
    assert stage.faults.calls == ["read", "read"]
    assert not server.exists(copy_key(pair[0]))
    assert not server.exists(pair[0].inner._setting.sharing.places.of_tenant("acme")[1])
    assert MOST_BYTES == 1 << 20


def test_near_the_end_of_its_life_one_reads_a_copy_again(stage, pair, monkeypatch):
    """Whoever is drawn by lot, while all others could go on with it."""
    one, other = pair
    one.check("acme", "crm.export")
    stage.clock.advance(seconds=290)
    for drawn, readings in ((0.5, 0), (0.99999, 1)):
        other.inner._near.held.pop("acme", None)
        monkeypatch.setattr(policy.random, "random", lambda drawn=drawn: drawn)
        stage.faults.calls.clear()
        assert other.check("acme", "crm.export").allowed
        assert stage.faults.calls.count("read") == readings


def test_a_copy_lives_for_five_minutes(stage, pair):
    one, other = pair
    one.check("acme", "crm.export")
    stage.clock.advance(minutes=5)
    stage.faults.calls.clear()
    other.check("acme", "crm.export")
    assert "read" in stage.faults.calls


def test_redis_gone_is_no_error_and_is_counted(stage, pair, server):
    one, other = pair
    one.check("acme", "crm.export")
    for client in pair:
        client.inner._driver.breakers.shared._until = math.inf
    assert other.check("acme", "crm.export").allowed
    assert counted(other, "shared.unavailable") == 1
    other.admin().override("acme", "crm.export", DENY)
    assert not other.check("acme", "crm.export").allowed
    stage.clock.advance(seconds=2)
    assert not one.check("acme", "crm.export").allowed


def test_a_client_that_begins_without_redis_uses_it_later(stage, pair, opened):
    pair[0].check("acme", "crm.export")
    late = opened()
    late.inner._driver.breakers.shared._until = math.inf
    assert late.check("somebody", "crm").allowed
    assert late.inner._setting.sharing.epoch is None
    late.check("acme", "crm")
    late.inner._near.held.pop("acme")
    late.inner._driver.breakers.shared._until = None
    stage.clock.advance(seconds=2)
    stage.faults.calls.clear()
    assert late.check("acme", "crm.export").allowed
    assert "read" not in stage.faults.calls


def test_when_the_store_is_down_a_copy_answers_and_says_that_it_is_old(stage, pair):
    """It is as true as the last look at the log, no younger."""
    one, other = pair
    one.check("acme", "crm.export")
    stage.faults.is_down = True
    stage.clock.advance(seconds=30)
    view = other.tenant("acme")
    assert view.stale
    assert view.check("crm.export").allowed
    # Nor is anybody refused on it who might have paid since.
    assert other.check("initech", "crm.export").reason is Reason.STORE_UNAVAILABLE
    stage.clock.advance(seconds=280)
    assert other.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_a_store_that_fails_gives_the_lease_back(stage, pair, server):
    stage.faults.before = lambda name: (_ for _ in ()).throw(StoreUnavailable("no")) if name == "read" else None
    assert pair[0].check("acme", "crm.export").degraded
    assert not server.exists(pair[0].inner._setting.sharing.places.of_tenant("acme")[1])
    stage.faults.before = None
    assert pair[1].check("acme", "crm.export").allowed


def test_whoever_waits_takes_over_when_the_reader_has_died(stage, pair, server):
    """The lease ends by itself, a little later than a question may wait."""
    lease = pair[0].inner._setting.sharing.places.of_tenant("acme")[1]
    server.set(lease, "dead", px=policy.LEASED)
    began = time.monotonic()
    while not pair[0].check("acme", "crm.export").allowed:
        assert time.monotonic() - began < 5
    assert 0.2 < time.monotonic() - began < 5
    assert stage.faults.calls == ["read"]


def test_nobody_waits_for_ever(stage, pair, server, monkeypatch):
    """A lease that is taken again and again."""
    monkeypatch.setattr(policy, "MOST_PAUSES", 2)
    lease = pair[0].inner._setting.sharing.places.of_tenant("acme")[1]
    server.set(lease, "slow", px=policy.LEASED)
    assert pair[0].check("acme", "crm.export").allowed
    assert stage.faults.calls == ["read"]


def test_a_copy_that_is_contradicted_while_it_is_worked_out_is_not_used(stage, pair):
    """The news came between the question to Redis and its answer."""
    one, other = pair
    one.check("acme", "crm.export")
    stage.elsewhere.override("acme", "crm.export", DENY)
    near, shared = other.inner._near, other.inner._driver.shared
    ask = shared.ask

    def overtaken(step):
        if step.script is scripts.FETCH:
            near.invalidate("acme", 2, near.position + 1)
        return ask(step)

    other.inner._driver.shared = type("Overtaken", (), {"ask": staticmethod(overtaken)})()
    stage.faults.calls.clear()
    assert not other.check("acme", "crm.export").allowed
    assert stage.faults.calls.count("read") == 1


def test_a_client_that_was_closed_meanwhile_leaves_no_copy(stage, pair, server):
    """It does not know any more up to where what it reads is true."""
    one = pair[0]
    setting = one.inner._setting
    flow = setting.sharing.read(setting, "acme", 0, True)
    claim = next(flow)
    assert claim.script is scripts.CLAIM
    setting.near.clear()
    flow.send(None)
    give_back = flow.send({})
    assert give_back.script is scripts.GIVE_BACK


def test_of_whom_the_host_keeps_the_subscription_a_copy_spares_the_document_only(stage, opened):
    from payaid_entitlements import Subscription

    asked = []

    def tells(tenant):
        asked.append(tenant)
        return Subscription(plan="pro")

    clients = [opened(subscriptions=stage.host(tells)) for _ in range(2)]
    for client in clients:
        assert client.check("acme", "crm.export").allowed
    assert asked == ["acme", "acme"]
    assert stage.faults.calls.count("read") == 1


def test_a_change_by_a_client_that_was_never_asked_is_announced(stage, pair, server, redis_url):
    """As by the program payaid: kill switches too."""
    subscriber = server.pubsub()
    subscriber.subscribe(pair[0].inner._setting.sharing.places.channel)
    subscriber.get_message(timeout=1)
    fresh = stage.open(shared=redis_url)
    object.__setattr__(fresh.inner._setting, "listener", None)
    fresh.admin().kill("crm.export")
    assert b'"controls",null' in subscriber.get_message(timeout=1)["data"]
    fresh.admin().subscribe("acme", "all")
    assert b'"tenant","acme"' in subscriber.get_message(timeout=1)["data"]
    subscriber.close()


def test_a_committed_change_is_no_error_because_nobody_can_be_told(stage, pair, opened):
    """Which store this is cannot be read: the log tells."""
    setting = pair[0].inner._setting
    setting.sharing.places = None
    flow = setting.sharing.announce(setting, None)
    next(flow)
    with pytest.raises(StopIteration):
        flow.throw(StoreUnavailable("no"))


def test_what_is_changed_in_a_hosts_transaction_is_not_announced_before_it_commits(tmp_path, redis_url, server):
    """Nothing is committed yet when the verb returns."""
    import sqlalchemy as sa

    from payaid_entitlements.stores.sql import begin_immediate
    from tests.entitlements.conftest import CATALOG

    engine = sa.create_engine(f"sqlite:///{tmp_path}/app.db")
    begin_immediate(engine)
    with Entitlements.open(engine, shared=redis_url, catalog=CATALOG) as ent:
        ent.check("acme", "crm")
        subscriber = server.pubsub()
        subscriber.subscribe(ent._setting.sharing.places.channel)
        subscriber.get_message(timeout=1)
        with engine.begin() as transaction:
            ent.admin("test", because="a test").subscribe("acme", "pro", tx=transaction)
        assert subscriber.get_message(timeout=0.1) is None
        assert ent.tenant("acme", fresh=True).check("crm.export").allowed
        subscriber.close()
    engine.dispose()


def test_the_environment_names_it_too(redis_url, monkeypatch):
    monkeypatch.setenv("PAYAID_SHARED", redis_url)
    with Entitlements.open("memory://") as ent:
        assert ent._shared.client.name == f"{redis_url}"
    monkeypatch.setenv("PAYAID_SHARED", "")
    with Entitlements.open("memory://") as ent:
        assert ent._shared is None


def test_a_wrong_place_is_a_mistake_that_shows_when_it_is_opened(stage):
    for wrong in ("postgresql://host/db", 7, redis.asyncio.Redis() if stage.colour == "sync" else redis.Redis()):
        with pytest.raises(ConfigurationError):
            stage.open(shared=wrong)


def test_without_the_driver_it_says_what_to_install(stage, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "payaid_entitlements.cache.shared.asking", None)
    with pytest.raises(ConfigurationError, match=r"payaid-entitlements\[redis\]"):
        stage.open(shared="redis://localhost")


def test_a_client_of_the_hosts_stays_open(stage, redis_url):
    colour = redis.Redis if stage.colour == "sync" else redis.asyncio.Redis
    hosts = colour.from_url(redis_url)
    client = stage.open(shared=hosts)
    client.check("acme", "crm")
    client.close()
    client._told = None

    async def ping():
        answer = await hosts.ping()
        await hosts.aclose()
        return answer

    if stage.colour == "sync":
        assert hosts.ping()
        hosts.close()
    else:
        assert client.run(ping)


def test_in_a_cluster_it_is_the_same(stage, redis_cluster_url):
    """Copies of different tenants and the stamp are on different servers."""
    stage.elsewhere.subscribe("acme", "pro")
    pair = [stage.open(shared=redis_cluster_url + PATIENT) for _ in range(2)]
    for client in pair:
        client.check("somebody", "crm")
    stage.faults.calls.clear()
    for number in range(12):
        for client in pair:
            client.check(f"t{number}", "crm")
    assert stage.faults.calls.count("read") == 12
    assert pair[0].check("acme", "crm.export").allowed
    pair[1].admin().override("acme", "crm.export", DENY)
    ends = time.monotonic() + 5
    while pair[0].check("acme", "crm.export").allowed:
        assert time.monotonic() < ends
        time.sleep(0.005)
    assert counted(pair[0], "shared.unavailable") == counted(pair[1], "shared.unavailable") == 0


def test_after_a_failure_it_is_left_alone_and_then_one_tries(redis_servers):
    """A server that stands still costs one wait, not one for each question."""
    now, tally = [100.0], Tally()
    server = redis_servers()
    shared = SharedRedis(server.url + "?socket_timeout=0.1")
    driver = Driver(MemoryStore(), shared=shared, clock=lambda: now[0], observer=tally)
    ask = AskShared(scripts.READ_STAMP, (Places.of("payaid", "x").stamp,), ("e1", ""))

    def asking():
        return (yield ask)

    driver.run(asking())
    server.pause()
    with pytest.raises(StoreUnavailable) as failed:
        driver.run(asking())
    assert failed.value.__cause__ is not None
    began = time.perf_counter()
    for _ in range(1000):
        with pytest.raises(StoreUnavailable, match="a moment ago"):
            driver.run(asking())
    assert time.perf_counter() - began < 1
    server.resume()
    now[0] += SHORTEST
    # One tries; meanwhile nobody else does.
    with driver.breakers.guarding(ask), pytest.raises(StoreUnavailable, match="a moment ago"):
        driver.run(asking())
    assert driver.run(asking())[0] == b"e1"
    assert tally.counts() == {("breaker", "shared", "open"): 1, ("breaker", "shared", "closed"): 1}
    shared.close()


def test_the_clock_of_redis_set_back_makes_no_stamp_younger(pair, server):
    sharing = pair[0].inner._setting.sharing
    url = setting_url(pair[0])
    shared = SharedRedis(url)
    keys = (sharing.places.stamp,)

    def read(now):
        return sharing.stamp_of(shared.ask(AskShared(scripts.READ_STAMP, keys, ("e1", now))))

    def note(now, position):
        stamp = read(now)
        arguments = (stamp.epoch, position, stamp.time, stamp.server, stamp.epoch, now)
        return shared.ask(AskShared(scripts.SET_STAMP, keys, arguments))

    server.delete(sharing.places.stamp)
    assert read("100000").age is None
    assert note("100000", 5) == 1
    assert (read("100300").age, read("100300").position) == (300, 5)
    # An older reading that comes late changes nothing.
    later = read("100200")
    assert note("100400", 6) == 1
    stale = (later.epoch, 5, later.time, later.server, later.epoch, "100500")
    assert shared.ask(AskShared(scripts.SET_STAMP, keys, stale)) == 0
    # Set back: from the future, so not believed; the next reading begins anew.
    assert read("90000").age is None
    assert note("90000", 7) == 1
    assert (read("90100").age, read("90100").position) == (100, 7)
    # Another run of the server.
    parts = server.get(sharing.places.stamp).split()
    server.set(sharing.places.stamp, b" ".join([*parts[:4], b"other"]))
    assert read("90100").age is None
    shared.close()


def test_without_an_answer_of_redis_the_store_is_read(pair):
    setting = pair[0].inner._setting
    flow = setting.sharing.read(setting, "acme", 0, False)
    assert next(flow).script is scripts.FETCH
    assert flow.send(None) == ReadTenants(("acme",))
    with pytest.raises(StopIteration) as done:
        flow.send({})
    assert (done.value.value.document, done.value.value.is_copy) == (None, False)
