"""What is heard of changes, taken in beside readings of the change log: nothing is lost, nothing goes back."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.cache.local import LEASE, NEVER, POLL_AFTER, LocalCache
from payaid_entitlements.cache.renewing import begin, poll
from payaid_entitlements.cache.steps import Poll
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.stores.ports import LogEntry, LogPage, Scope
from tests.cache.conftest import Hand
from tests.cache.test_local import entry


def line(position: int, tenant: str | None = "acme", revision: int = 2) -> LogEntry:
    return LogEntry(position, Scope.TENANT if tenant else Scope.CATALOG, tenant, revision)


@pytest.fixture
def followed(near: LocalCache, hand: Hand, world) -> LocalCache:
    """A cache that knows the log up to position 7, and acme at revision 1."""
    near.reach(7)
    near.extend(hand.now)
    near.put("acme", entry(world, revision=1, read_at=hand.now), near.generation, near.position)
    return near


def is_believed(near: LocalCache, tenant: str) -> bool:
    return near.held[tenant].until > near.clock() < near.lease


def test_the_next_line_is_all_there_is_to_know(followed):
    followed.hear(line(8))
    assert followed.position == 8
    assert not is_believed(followed, "acme")
    assert followed.lease > followed.clock()


def test_a_revision_that_is_near_already_is_kept(followed, world, hand):
    """As after a change of this very process, which is heard of like any other."""
    followed.put("acme", entry(world, revision=2, read_at=hand.now), followed.generation, followed.position)
    followed.hear(line(8))
    assert followed.position == 8
    assert is_believed(followed, "acme")


def test_a_line_that_is_heard_twice_or_late_changes_nothing(followed, world, hand):
    followed.hear(line(8))
    followed.put("acme", entry(world, revision=2, read_at=hand.now), followed.generation, followed.position)
    for position in (8, 8, 7, 1):
        followed.hear(line(position))
    assert followed.position == 8
    assert is_believed(followed, "acme")


def test_a_late_line_about_a_newer_revision_is_true_all_the_same(followed):
    """As from a log whose numbers were taken twice, which a backup that was restored does."""
    followed.hear(line(3, revision=9))
    assert followed.position == 7
    assert not is_believed(followed, "acme")


@pytest.mark.parametrize("heard", [line(9), line(8, None), line(100, None), None], ids=str)
def test_what_cannot_be_all_there_is_to_know_lets_the_next_question_read_the_log(followed, heard):
    followed.hear(heard)
    assert followed.position == 7
    assert followed.lease == NEVER


def test_behind_a_hole_too_nobody_is_believed_who_is_named(followed):
    followed.hear(line(9))
    assert followed.held["acme"].until == NEVER


def test_a_line_about_all_tenants_that_was_read_already_is_no_news(followed):
    followed.hear(line(7, None))
    assert followed.lease > followed.clock()


def test_who_knows_nothing_hears_nothing(near):
    near.hear(line(8))
    near.hear(None)
    assert (near.position, near.doubts, near.floor("acme")) == (None, 0, 0)
    assert near.extend_at(8, 1.0)
    assert near.lease == NEVER


def test_the_end_of_the_log_vouches_for_what_is_known_up_to_there(followed, hand):
    hand.advance(1.5)
    assert followed.extend_at(7, hand.now - 0.5)
    assert followed.confirmed == hand.now - 0.5
    assert followed.lease == hand.now - 0.5 + POLL_AFTER
    assert followed.trusted == hand.now - 0.5 + LEASE


def test_the_end_of_the_log_vouches_for_nobody_who_is_behind(followed, hand):
    before = followed.lease
    hand.advance(1.0)
    assert not followed.extend_at(8, hand.now)
    assert followed.lease == before


def test_only_a_reading_of_the_log_settles_a_doubt(followed, hand):
    """The position may be the same by chance, and of another log: a server was replaced, a backup restored."""
    followed.doubt()
    assert followed.extend_at(7, hand.now)
    assert followed.lease == NEVER
    followed.extend(hand.now, followed.doubts)
    assert followed.lease > hand.now
    assert followed.extend_at(7, hand.now + 1)
    assert followed.lease == hand.now + 1 + POLL_AFTER


def test_an_old_reading_takes_nothing_back(followed, hand):
    lease, trusted, confirmed = followed.lease, followed.trusted, followed.confirmed
    followed.extend(hand.now - 1)
    followed.reach(3)
    assert (followed.lease, followed.trusted, followed.confirmed) == (lease, trusted, confirmed)
    assert followed.position == 7


def test_a_log_that_begins_anew_takes_everything_back(followed):
    generation = followed.generation
    followed.restart(3)
    assert (followed.position, followed.held) == (3, {})
    assert followed.generation > generation


# -- while a reading of the log is under way ------------------------------------------------------------------


@pytest.fixture
def reading(followed, setting, hand):
    """A reading of the log that has been asked for, and its cache."""
    flow = poll(setting)
    assert next(flow) == Poll(7)
    hand.advance(0.01)
    return flow, followed


def finish(flow, answer: object) -> None:
    with pytest.raises(StopIteration):
        flow.send(answer)


def test_what_is_heard_meanwhile_is_not_forgotten(reading):
    flow, near = reading
    near.hear(line(8))
    near.hear(line(9))
    finish(flow, LogPage((line(8),), 8))
    assert near.position == 9


def test_what_both_say_is_said_once(reading, world, hand):
    flow, near = reading
    near.hear(line(8))
    near.put("acme", entry(world, revision=2, read_at=hand.now), near.generation, near.position)
    finish(flow, LogPage((line(8),), 8))
    near.hear(line(9, "initech"))
    assert near.position == 9
    assert is_believed(near, "acme")


def test_a_doubt_that_arose_meanwhile_is_not_settled(reading, hand):
    """What was missed may have come after the log was read."""
    flow, near = reading
    near.hear(line(10))
    finish(flow, LogPage((line(8),), 8))
    assert near.lease == NEVER
    assert near.confirmed == hand.now - 0.01
    assert near.trusted == hand.now - 0.01 + LEASE


def test_a_doubt_that_arose_before_is_settled(followed, setting):
    followed.hear(line(9))
    flow = poll(setting)
    next(flow)
    finish(flow, LogPage((line(8), line(9)), 9))
    assert followed.lease > followed.clock()
    assert followed.position == 9


def test_a_log_that_was_cut_goes_back(reading, world, hand):
    """A backup was restored: the newest position is smaller than that which is known."""
    flow, near = reading
    step = flow.send(LogPage((), 3, gap=True))
    # The world is read anew meanwhile, and a line of the new log is heard of.
    near.hear(line(4))
    assert step.__class__.__name__ == "ReadCatalog"
    flow.send(world.published)
    flow.send(world.controls)
    finish(flow, FlagSet())
    assert near.position == 4
    assert near.lease > near.clock()


def test_a_client_that_begins_listens_when_it_knows_where_the_log_ends(setting, world):
    positions: list[int | None] = []

    class Told:
        def start(self) -> None:
            positions.append(setting.near.position)

    flow = begin(replace(setting, listener=Told()))
    next(flow)
    flow.send(())
    flow.send(LogPage((), 12))
    flow.send(world.published)
    flow.send(world.controls)
    finish(flow, FlagSet())
    assert positions == [12]


# -- laws -----------------------------------------------------------------------------------------------------

LINES = st.builds(
    LogEntry,
    st.integers(1, 12),
    st.just(Scope.TENANT),
    st.sampled_from(["acme", "initech"]),
    st.integers(1, 5),
)


@given(st.lists(LINES | st.none() | st.integers(1, 12), max_size=30))
def test_whatever_is_heard_positions_go_forward_and_no_line_is_passed_over(heard):
    """A position is only reached by the line that has it, or by a reading of the log up to there."""
    near = LocalCache(bound=3, clock=Hand(), fresh_for=60.0)
    near.reach(1)
    known = {1}
    for each in heard:
        before = near.position
        if isinstance(each, int):
            near.reach(each)
            known |= set(range(each + 1))
        else:
            near.hear(each)
            known |= {each.position} if each is not None else set()
        assert near.position >= before
        assert set(range(1, near.position + 1)) <= known


def test_two_threads_lose_nothing():
    """One hears, one reads; both tell of all of a thousand lines."""
    near = LocalCache(bound=3, clock=Hand(), fresh_for=60.0)
    near.reach(0)
    lines = [line(position, f"t{position}", 1) for position in range(1, 1001)]

    def hears() -> None:
        for each in lines:
            near.hear(each)

    def reads() -> None:
        for first in range(0, 1000, 50):
            for each in lines[first : first + 50]:
                near.invalidate(each.tenant, each.revision, each.position)
            near.reach(first + 50)

    threads = [threading.Thread(target=each) for each in (hears, reads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert near.position == 1000
    assert all(near.floor(f"t{position}") == 1 for position in range(1, 1001))
