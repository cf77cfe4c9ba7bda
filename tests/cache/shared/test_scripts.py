"""C-3 on the real scripts: whatever comes between reading and filling, nothing old is there after it was announced."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from payaid_entitlements.cache.shared import scripts
from payaid_entitlements.cache.shared.copies import MOST_BYTES, Places, copy_of, rest_of
from payaid_entitlements.cache.shared.sharing import LEASED, LIFE
from payaid_entitlements.stores.redis.clients import Client
from tests.cache.conftest import document

KEYS = Places.of("payaid", "first").of_tenant("acme")


class World:
    """A database of one tenant, a Redis, and what actors do with both."""

    def __init__(self, client):
        self.client = client
        self.client.call("DEL", *KEYS)
        self.revision = 1
        self.announced = 0
        self.has_lease: set[str] = set()
        self.read: dict[str, int] = {}
        self.written = 1

    def fetch(self, actor, *, luck="0", least=0):
        question = (actor, LEASED, "e1", least, 0, luck, LIFE, MOST_BYTES, "")
        return self.client.run(scripts.FETCH, KEYS, question)

    def begin(self, actor):
        if self.fetch(actor)[0] == b"lease":
            self.has_lease.add(actor)

    def claim(self, actor):
        self.client.run(scripts.CLAIM, KEYS, (actor, LEASED, 0))
        self.has_lease.add(actor)

    def look(self, actor):
        self.read[actor] = self.revision

    def fill(self, actor):
        if actor in self.has_lease and actor in self.read:
            revision = self.read[actor]
            rest = rest_of("acme", document("acme", revision=revision))
            self.client.run(scripts.FILL, KEYS, (actor, LIFE, "", "e1", revision, revision, 0, rest))

    def commit(self, _):
        self.revision += 1

    def announce(self, _):
        told = self.revision
        self.client.run(scripts.ANNOUNCE, KEYS, (told, "changes", "[]"))
        self.announced = max(self.announced, told)

    def lose_lease(self, _):
        self.client.call("DEL", KEYS[1])

    def check(self):
        held = self.client.call("GET", KEYS[0])
        if held is not None:
            copy = copy_of("acme", held)
            assert copy.document.revision >= self.announced
            return copy.document.revision
        return None


@pytest.fixture(scope="module")
def client(emptied_redis):
    found = Client(emptied_redis[0].url)
    yield found
    found.close()


def test_every_order_of_two_readers_and_a_writer_leaves_nothing_old(client):
    """All 1,680 orders of three times three steps; from the announcement on, after each of them."""
    readers = [("begin", "look", "fill")] * 2
    orders = set(itertools.permutations("AAABBBWWW"))
    assert len(orders) == 1680
    kept = 0
    for order in orders:
        world = World(client)
        steps = {"A": iter(readers[0]), "B": iter(readers[1]), "W": iter(("commit", "announce", "check"))}
        for actor in order:
            step = next(steps[actor])
            if step == "check":
                world.check()
            else:
                getattr(world, step)(actor)
            if world.announced:
                world.check()
        kept += world.check() == 2
    # And the layer is of use: in many orders somebody's new reading stays.
    assert kept > 300


STEPS = ["begin", "claim", "look", "fill", "commit", "announce", "lose_lease"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(STEPS)), max_size=30))
def test_no_order_of_anything_leaves_something_old(client, order):
    """Also with leases that are lost or taken by force, several changes, and fills that are repeated."""
    world = World(client)
    for actor, step in order:
        if step == "look" and actor in world.has_lease and actor not in world.read:
            world.look(actor)
        elif step == "fill":
            world.fill(actor)
            # A token serves once.
            world.has_lease.discard(actor)
            world.read.pop(actor, None)
        elif step in {"begin", "claim"}:
            world.read.pop(actor, None)
            getattr(world, step)(actor)
        elif step != "look":
            getattr(world, step)(actor)
        world.check()


@pytest.mark.soak
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(STEPS)), max_size=30))
def test_no_order_of_anything_leaves_something_old_for_long(client, order):
    test_no_order_of_anything_leaves_something_old.hypothesis.inner_test(client, order)


def test_one_gets_the_lease_and_the_others_word_to_wait(client):
    world = World(client)
    assert world.fetch("A") == [b"lease", b"none"]
    assert world.fetch("B") == [b"wait", b"none"]
    assert 0 < client.call("PTTL", KEYS[1]) <= LEASED


def test_who_asks_again_because_the_answer_was_lost_has_the_lease_still(client):
    """As a client of a host's does by itself."""
    world = World(client)
    assert world.fetch("A") == world.fetch("A") == [b"lease", b"none"]


def test_a_copy_is_never_put_over_a_newer_one(client):
    """Also by who holds the lease."""
    world = World(client)
    world.revision = 5
    world.claim("A")
    world.look("A")
    world.fill("A")
    world.claim("B")
    world.read["B"] = 4
    world.fill("B")
    assert world.check() == 5


def test_a_copy_that_is_too_old_for_the_asker_gives_the_lease(client):
    world = World(client)
    world.claim("A")
    world.look("A")
    world.fill("A")
    assert world.fetch("B", least=1)[0] == b"copy"
    assert world.fetch("B", least=2) == [b"lease", b"old"]


def test_near_its_end_a_copy_gives_the_lease_to_one_who_is_drawn(client):
    """Early refresh: the others go on with the copy."""
    world = World(client)
    world.claim("A")
    world.look("A")
    world.fill("A")
    luck = str(LIFE / 1000 + 1)
    assert world.fetch("B", luck="1")[2] == 0
    assert world.fetch("B", luck=luck)[2] == 1
    assert world.fetch("C", luck=luck)[2] == 0
    assert client.call("PTTL", KEYS[0]) > 0


@pytest.mark.parametrize("make", [("SET", b"x"), ("RPUSH", b"x")])
def test_a_lease_that_nobody_of_us_has_set_is_taken_over(client, make):
    """Else everybody would wait for it, each time."""
    World(client)
    name, value = make
    client.call(name, KEYS[1], value)
    assert World.fetch(type("W", (), {"client": client})(), "A") == [b"lease", b"none"]


def test_a_lease_given_back_is_there_for_the_next(client):
    world = World(client)
    world.begin("A")
    client.run(scripts.GIVE_BACK, KEYS, ("B",))
    assert world.fetch("C") == [b"wait", b"none"]
    client.run(scripts.GIVE_BACK, KEYS, ("A",))
    assert world.fetch("C") == [b"lease", b"none"]
