"""The copy in this process: what may be believed, for how long, and who leaves when there is no room."""

from __future__ import annotations

import gc
import os
import random
import threading
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.cache.local import FOREVER, LEASE, MOST_FLOORS, NEVER, POLL_AFTER, Entry, LocalCache
from payaid_entitlements.core.evaluation import Situation
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.metering.meters import Meters
from payaid_entitlements.core.resolution import Standpoint, Table
from payaid_entitlements.core.world import World
from payaid_entitlements.forking import call_if_alive

METERS = Meters(None, "UTC")


def since(near: LocalCache) -> tuple[int, int]:
    """What a reading notes when it begins."""
    return near.generation, near.turns


def standpoint(world: World, name: str) -> Standpoint:
    table = Table({}, world)
    return Standpoint(table, table, name, None, frozenset(), Situation(()))


def entry(
    world: World, *, revision: int = 1, read_at: float = 0.0, fresh: float = FOREVER, ends: float = FOREVER
) -> Entry:
    return Entry(((ends, None, standpoint(world, "now"), METERS),), revision=revision, read_at=read_at, fresh=fresh)


def test_an_entry_is_good_until_the_earlier_of_freshness_and_transition(world):
    """Whatever comes first ends it."""
    assert entry(world, fresh=5.0, ends=9.0).until == 5.0
    assert entry(world, fresh=9.0, ends=5.0).until == 5.0


def test_a_transition_that_was_foreseen_asks_nobody(world, near):
    """At the instant at which a standpoint ends, inclusive, the next one holds."""
    later = (
        (10.0, 1, standpoint(world, "a"), METERS),
        (20.0, 2, standpoint(world, "b"), METERS),
        (FOREVER, None, standpoint(world, "c"), METERS),
    )
    near.put("acme", Entry(later, revision=7, read_at=1.0, fresh=100.0), near.generation, near.position)

    assert near.current("acme", 9.999).standpoint.plan == "a"
    assert near.current("acme", 10.0).standpoint.plan == "b"
    assert near.held["acme"].standpoint.plan == "b"
    assert near.held["acme"].transition == 2
    assert near.held["acme"].revision == 7
    assert near.held["acme"].read_at == 1.0
    assert near.current("acme", 25.0).standpoint.plan == "c"
    assert near.current("acme", 25.0).until == 100.0


def test_several_transitions_may_be_crossed_at_once(world, near):
    """A tenant that was asleep wakes up where it is now."""
    later = (
        (10.0, 1, standpoint(world, "a"), METERS),
        (20.0, 2, standpoint(world, "b"), METERS),
        (30.0, 3, standpoint(world, "c"), METERS),
    )
    near.put("acme", Entry(later, revision=1, read_at=1.0, fresh=100.0), near.generation, near.position)

    assert near.current("acme", 20.0).standpoint.plan == "c"
    assert near.current("acme", 30.0) is None


def test_moving_on_does_not_revive_what_was_invalidated(world, near):
    """An entry that must be read again stays so when it crosses a transition."""
    later = ((10.0, 1, standpoint(world, "a"), METERS), (FOREVER, None, standpoint(world, "b"), METERS))
    near.put("acme", Entry(later, revision=1, read_at=1.0, fresh=100.0), near.generation, near.position)
    near.invalidate("acme", 2, 0)

    moved = near.current("acme", 15.0)

    assert moved.standpoint.plan == "b"
    assert moved.until == NEVER
    assert moved.fresh == NEVER


def test_moving_on_loses_against_a_newer_reading(world, near):
    """What another thread has read meanwhile is kept, and is what is answered."""
    later = ((10.0, 1, standpoint(world, "a"), METERS), (FOREVER, None, standpoint(world, "b"), METERS))
    near.put("acme", Entry(later, revision=1, read_at=1.0, fresh=50.0), near.generation, near.position)
    newer = entry(world, revision=2)

    class Sneaking:
        def __enter__(self):
            near.held["acme"] = newer

        def __exit__(self, *error):
            return None

    near.lock = Sneaking()

    assert near.current("acme", 15.0) is newer
    assert near.held["acme"] is newer


def test_a_change_that_is_heard_of_while_moving_on_is_not_lost(world, near):
    """P-4: another thread invalidates between looking and locking."""
    later = ((10.0, 1, standpoint(world, "a"), METERS), (FOREVER, None, standpoint(world, "b"), METERS))
    held = Entry(later, revision=1, read_at=1.0, fresh=50.0)
    near.put("acme", held, near.generation, near.position)

    class Sneaking:
        def __enter__(self):
            held.until = held.fresh = NEVER

        def __exit__(self, *error):
            return None

    near.lock = Sneaking()

    assert near.current("acme", 15.0).fresh == NEVER
    assert near.held["acme"].until == NEVER


def test_who_is_dropped_while_moving_on_is_gone(world, near):
    """Everything may be dropped between looking and locking."""
    near.put("acme", entry(world, ends=10.0), near.generation, near.position)

    class Sneaking:
        def __enter__(self):
            near.held = {}

        def __exit__(self, *error):
            return None

    near.lock = Sneaking()

    assert near.current("acme", 15.0) is None


def test_a_tenant_that_is_not_here_is_none(near):
    """Nothing is made up."""
    assert near.current("acme", 1.0) is None


def test_overrides_of_a_user_count_for_that_user_only(world):
    """Another user sees the tenant's standpoint, and so does the user once his own has ended."""
    own = ((10.0, 1, standpoint(world, "own"), METERS),)
    held = Entry(
        ((FOREVER, None, standpoint(world, "all"), METERS),), revision=1, read_at=0, fresh=FOREVER, users={"u1": own}
    )

    assert held.for_user("u1", 5.0)[1].plan == "own"
    assert held.for_user("u1", 10.0)[1].plan == "all"
    assert held.for_user("u2", 5.0)[1].plan == "all"
    assert held.for_user(None, 5.0)[1].plan == "all"
    assert held.at(1e9) is held
    assert entry(world).for_user("u1", 5.0)[1].plan == "now"


def test_an_older_reading_never_replaces_a_newer_one(world, near):
    """C-3: fills are versioned."""
    assert near.put("acme", entry(world, revision=5), near.generation, near.position)
    assert not near.put("acme", entry(world, revision=4), near.generation, near.position)
    assert near.held["acme"].revision == 5
    assert near.put("acme", entry(world, revision=5), near.generation, near.position)


def test_a_reading_that_is_older_than_a_change_already_heard_of_is_thrown_away(world, near):
    """C-3: the reading began before the change and arrives after it."""
    near.invalidate("acme", 3, 0)

    assert not near.put("acme", entry(world, revision=2), near.generation, near.position)
    assert near.floor("acme") == 3
    assert near.floor("other") == 0
    assert near.put("acme", entry(world, revision=3), near.generation, near.position)


def test_invalidation_ends_what_is_older_and_spares_what_is_not(world, near):
    """The same change heard twice costs nothing the second time."""
    near.put("acme", entry(world, revision=3), near.generation, near.position)
    near.invalidate("acme", 3, 0)
    assert near.held["acme"].until == FOREVER
    near.invalidate("acme", 4, 0)
    assert near.held["acme"].until == NEVER
    near.invalidate("acme", 2, 0)
    assert near.floor("acme") == 4


def test_a_drop_makes_readings_under_way_too_old(world, near):
    """A reading that began before everything was dropped must not come back."""
    generation = near.generation
    near.drop()

    assert not near.put("acme", entry(world, revision=9), generation, near.position)
    assert near.put("acme", entry(world, revision=9), near.generation, near.position)


def test_a_drop_can_bring_a_new_world(world, near):
    """A new catalog starts with nothing known under the old one."""
    near.put("acme", entry(world), near.generation, near.position)
    newer = World.of(world.published, world.controls)
    assert near.turn_to(newer, FlagSnapshot(), since(near))
    assert near.world is newer
    assert near.held == {}
    near.drop()
    assert near.world is newer


def test_flags_are_swapped_and_drop_nothing(world, near):
    """What tenants hold does not depend on them; whoever has read flags before the swap has read too early."""
    near.turn_to(world, FlagSnapshot(), since(near))
    near.put("acme", entry(world), near.generation, near.position)
    before, newer = since(near), FlagSnapshot(revision=2)
    assert near.turn_to(world, newer, before)
    assert (near.flags, set(near.held)) == (newer, {"acme"})
    assert not near.turn_to(world, FlagSnapshot(revision=1), before)
    assert near.flags is newer


def test_a_world_that_was_read_too_early_is_not_turned_to(world, near):
    """Somebody else has seen a newer one meanwhile; this process never goes back behind it."""
    before = since(near)
    assert near.turn_to(world, FlagSnapshot(), before)
    older = World.of(world.published, world.controls)
    assert not near.turn_to(older, FlagSnapshot(), before)
    assert near.world is world


def test_an_older_row_of_the_host_never_replaces_a_newer_one(world, near):
    """Two readings of the same revision: the one that was asked for later stays."""
    newer, older = entry(world, read_at=2.0), entry(world, read_at=1.0)
    assert near.put("acme", newer, near.generation, near.position)
    assert not near.put("acme", older, near.generation, near.position)
    assert near.held["acme"] is newer


def test_a_cache_that_was_cleared_takes_no_reading_from_before(world, near):
    """A client that is closed and used again must not meet its past."""
    near.turn_to(world, FlagSnapshot(), since(near))
    generation = near.generation
    near.put("acme", entry(world), generation, near.position)
    near.extend(1.0)
    near.clear()
    assert (near.held, near.world, near.flags, near.lease, near.position) == ({}, None, None, NEVER, None)
    near.turn_to(world, FlagSnapshot(), since(near))
    assert not near.put("acme", entry(world), generation, near.position)


def test_of_too_many_invalidations_the_oldest_are_forgotten_and_no_older_reading_is_kept(world, near):
    """Memory for invalidations is bounded, and forgetting them must not let an old reading in."""
    near.reach(10)
    for number in range(MOST_FLOORS):
        near.invalidate(f"t{number}", 2, 11 + number)
    near.reach(10 + MOST_FLOORS)
    assert near.known_from == 10
    near.invalidate("t0", 3, 11 + MOST_FLOORS)
    assert (near.known_from, near.floor("t0"), near.floor("t1")) == (10, 3, 2)

    near.invalidate("one more", 2, 12 + MOST_FLOORS)
    assert (near.known_from, near.floor("t1"), near.floor("t0"), near.floor("one more")) == (12, 0, 3, 2)
    assert not near.put("t1", entry(world, revision=1), near.generation, 11)
    assert near.put("t1", entry(world, revision=1), near.generation, 12)


def test_what_is_remembered_begins_where_reading_began_and_may_be_led_back(world, near):
    """A reading from before is kept only once the lines behind it are known."""
    near.reach(10)
    assert not near.put("acme", entry(world), near.generation, 9)

    near.invalidate("other", 2, 9)
    near.remember_from(7, known_from=10)
    assert near.known_from == 7
    assert near.put("acme", entry(world), near.generation, 7)
    near.restart(3)
    near.remember_from(1, known_from=7)
    assert near.known_from == 3


def test_what_was_forgotten_is_not_remembered_by_reading_less(near):
    """As where more lines were read than are remembered."""
    near.reach(MOST_FLOORS + 1)
    for number in range(MOST_FLOORS + 1):
        near.invalidate(f"t{number}", 2, number + 1)
    near.remember_from(0, known_from=MOST_FLOORS + 1)
    assert near.known_from == 1


def test_the_lease_counts_from_when_the_log_was_asked(near):
    """A slow answer does not make the promise longer."""
    near.extend(100.0)
    assert (near.confirmed, near.lease, near.trusted) == (100.0, 100.0 + POLL_AFTER, 100.0 + LEASE)
    assert POLL_AFTER < LEASE == 5.0


def test_freshness_is_spread_so_that_a_crowd_does_not_come_back_at_once(near):
    """Up to 10 % are taken off at random, never more, and never added."""
    random.seed(4)
    lives = [near.fresh_until(0.0) for _ in range(500)]
    assert all(54.0 <= life <= 60.0 for life in lives)
    assert max(lives) - min(lives) > 5.0


def test_who_was_asked_about_stays_when_room_is_needed(world, near):
    """CLOCK: a hit sets a mark, the hand takes the first without one."""
    for name in "abc":
        near.put(name, entry(world), near.generation, near.position)
    near.held["a"].touched = 1
    near.put("d", entry(world), near.generation, near.position)
    assert set(near.held) == {"a", "c", "d"}
    near.put("e", entry(world), near.generation, near.position)
    assert set(near.held) == {"a", "d", "e"}
    near.held["d"].touched = near.held["e"].touched = near.held["a"].touched = 1
    near.put("f", entry(world), near.generation, near.position)
    assert len(near.held) == 3
    assert "f" in near.held


def test_a_second_reading_keeps_the_mark_of_the_first(world, near):
    """Being read again is not being new."""
    near.put("a", entry(world), near.generation, near.position)
    near.held["a"].touched = 1
    near.put("a", entry(world, revision=2), near.generation, near.position)
    assert near.held["a"].touched == 1


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["put", "hit", "drop", "stale"])), max_size=120))
def test_the_cache_never_holds_more_than_its_bound(operations):
    """Whatever happens in whichever order."""
    world = object.__new__(World)
    near = LocalCache(bound=3, clock=lambda: 0.0, fresh_for=60.0)
    for name, operation in operations:
        if operation == "put":
            assert near.put(name, entry(world, revision=near.floor(name) + 1), near.generation, near.position)
            assert name in near.held
        elif operation == "hit" and name in near.held:
            near.held[name].touched = 1
        elif operation == "drop":
            near.drop()
        elif operation == "stale":
            near.invalidate(name, near.floor(name) + 1, 0)
        assert len(near.held) <= 3
        assert set(near.held) <= set(near._ring)
        assert len(near._ring) == len(set(near._ring))


def test_threads_that_fill_and_invalidate_leave_nothing_old(world):
    """P-4: no reading that is older than the last invalidation survives, and the bound holds."""
    near = LocalCache(bound=20, clock=lambda: 0.0, fresh_for=60.0)

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(800):
            name = f"t{rng.randrange(40)}"
            if rng.random() < 0.5:
                near.put(name, entry(world, revision=rng.randrange(50)), near.generation, near.position)
            else:
                near.invalidate(name, rng.randrange(50), 0)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(near.held) <= 20
    assert all(held.until == NEVER or held.revision >= near.floor(name) for name, held in near.held.items())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_believes_nothing_of_its_parent(world, near):
    """C-8: the lease of the parent vouches for nothing in the child, and a lock held elsewhere harms nobody."""
    near.put("acme", entry(world), near.generation, near.position)
    near.extend(0.0)
    near.lock.acquire()
    pid = os.fork()
    if pid == 0:  # pragma: no cover # the child is another process
        ok = near.held == {} and near.lease == NEVER and near.world is None and near.lock.acquire(timeout=1)
        os._exit(0 if ok else 1)
    near.lock.release()
    assert os.waitpid(pid, 0)[1] == 0
    assert "acme" in near.held


def test_a_cache_that_is_gone_is_not_kept_alive_by_the_fork_hook():
    """Registering at fork holds it weakly."""
    cache = LocalCache(bound=1, clock=lambda: 0.0, fresh_for=1.0)
    seen = weakref.ref(cache)
    method = weakref.WeakMethod(cache.reset)
    call_if_alive(method)
    del cache
    gc.collect()
    assert seen() is None
    call_if_alive(method)


def test_positions_are_of_one_log():
    """Where a store cannot tell which, nothing is another; who was late is found out at the next reading."""
    near = LocalCache(bound=2, clock=lambda: 0.0, fresh_for=60.0)
    assert not near.is_another(b"one")
    near.reach(3)
    assert not near.is_another(b"one")
    near.reach(4, b"one")
    assert not near.is_another(None)
    assert not near.is_another(b"one")
    assert near.is_another(b"other")
    near.restart(2, b"other")
    assert not near.is_another(b"other")
    near.reach(1, b"one")
    assert (near.position, near.is_another(b"other")) == (2, True)
    near.clear()
    assert not near.is_another(b"other")
