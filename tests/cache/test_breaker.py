"""Who gives no answer is left alone for a moment, and a recovery is seen within two seconds."""

from __future__ import annotations

import pytest

from payaid_entitlements.cache.breaker import LONGEST, QUICK, SHORTEST, STALLED, TRIAL, Breaker
from payaid_entitlements.cache.steps import HostUnavailable
from payaid_entitlements.errors import ConfigurationError, SchemaOutOfDate, StoreDamaged, StoreUnavailable


class Guarded:
    """A breaker, and how long the next answer takes."""

    def __init__(self, hand, *, luck=0.0, **named):
        self.hand, self.spent, self.asked = hand, 0.0, 0
        self.breaker = Breaker("it", hand, stopwatch=lambda: self.spent, luck=lambda: luck, **named)

    def ask(self, error=None, *, seconds=0.0):
        with self.breaker.asking():
            self.asked += 1
            self.spent += seconds
            if error is not None:
                raise error

    def fails(self, error=None, **named):
        error = StoreUnavailable("down") if error is None else error
        with pytest.raises(type(error), match=str(error)):
            self.ask(error, **named)

    def is_refused(self):
        before = self.asked
        with pytest.raises(StoreUnavailable, match="it gave no answer a moment ago"):
            self.ask()
        assert self.asked == before
        return True


@pytest.fixture
def guarded(hand):
    return Guarded(hand)


def test_one_wait_opens_it(guarded):
    guarded.fails(seconds=STALLED)
    assert guarded.breaker.state == "open"
    assert guarded.is_refused()


def test_quick_failures_open_it_when_they_come_in_a_row(guarded):
    for _ in range(QUICK - 1):
        guarded.fails()
    guarded.ask()
    for _ in range(QUICK - 1):
        guarded.fails()
    assert guarded.breaker.state == "closed"
    guarded.fails()
    assert guarded.is_refused()


def test_where_failures_say_nothing_of_the_next_question_only_a_wait_opens_it(hand):
    guarded = Guarded(hand, quick=None)
    for _ in range(10):
        guarded.fails()
    assert guarded.breaker.state == "closed"
    guarded.fails(seconds=STALLED)
    assert guarded.is_refused()


def test_one_tries_while_all_others_are_refused(guarded, hand):
    guarded.fails(seconds=1)
    hand.advance(SHORTEST)
    with guarded.breaker.asking():
        assert guarded.breaker.state == "half-open"
        assert guarded.is_refused()
    assert guarded.breaker.state == "closed"
    guarded.ask()


def test_opening_and_closing_are_told_and_a_trial_in_vain_is_neither(hand):
    told = []
    guarded = Guarded(hand, tell=told.append)
    guarded.fails()
    guarded.ask()
    assert told == []
    guarded.fails(seconds=1)
    assert told == ["open"]
    hand.advance(SHORTEST)
    guarded.fails(seconds=1)
    assert told == ["open"]
    hand.advance(2 * SHORTEST)
    guarded.ask()
    guarded.ask()
    assert told == ["open", "closed"]


def test_what_is_raised_while_it_is_open_says_whose_it_is(hand):
    guarded = Guarded(hand, quick=1, unavailable=HostUnavailable)
    guarded.fails()
    with pytest.raises(HostUnavailable, match="a moment ago"):
        guarded.ask()


def test_pauses_double_up_to_two_seconds_so_a_recovery_is_seen_within_two(guarded, hand):
    guarded.fails(seconds=1)
    pauses = []
    for _ in range(5):
        before = hand.now
        while True:
            try:
                guarded.ask(StoreUnavailable("still down"))
            except StoreUnavailable as error:
                if "still down" in str(error):
                    break
            hand.advance(0.125)
        pauses.append(hand.now - before)
    assert pauses == [0.5, 1.0, 2.0, 2.0, 2.0]
    hand.advance(LONGEST)
    guarded.ask()
    guarded.fails(seconds=1)
    hand.advance(SHORTEST)
    guarded.ask()


def test_up_to_a_quarter_of_a_pause_is_taken_off_at_random(hand):
    guarded = Guarded(hand, luck=1.0)
    guarded.fails(seconds=1)
    hand.advance(SHORTEST * 0.74)
    assert guarded.is_refused()
    hand.advance(SHORTEST * 0.02)
    guarded.ask()


@pytest.mark.parametrize("error", [StoreDamaged("damaged"), SchemaOutOfDate("old")])
def test_what_was_answered_closes_it(guarded, hand, error):
    guarded.fails(seconds=1)
    hand.advance(SHORTEST)
    guarded.fails(error, seconds=1)
    assert guarded.breaker.state == "closed"


@pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), TypeError("a mistake")])
def test_a_trial_that_says_nothing_leaves_the_next_one_to_others(guarded, hand, error):
    guarded.fails(seconds=1)
    hand.advance(SHORTEST)
    guarded.fails(error)
    assert guarded.breaker.state == "open"
    guarded.ask()
    assert guarded.breaker.state == "closed"
    guarded.fails(error, seconds=1)
    assert guarded.breaker.state == "closed"


def test_a_trial_that_hangs_is_taken_over(guarded, hand):
    guarded.fails(seconds=1)
    hand.advance(SHORTEST)
    hanging = guarded.breaker.asking()
    hanging.__enter__()
    hand.advance(TRIAL)
    guarded.ask()
    # It is interrupted at last: what is known by now stands.
    assert not hanging.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert guarded.breaker.state == "closed"


def test_whoever_began_before_it_opened_does_not_prolong_it(guarded, hand):
    early = guarded.breaker.asking()
    early.__enter__()
    guarded.fails(seconds=1)
    hand.advance(SHORTEST / 2)
    assert not early.__exit__(StoreUnavailable, StoreUnavailable("late"), None)
    hand.advance(SHORTEST / 2)
    guarded.ask()


def test_two_who_find_it_closed_by_then_both_ask(guarded, hand):
    """Between looking at it and taking its lock, another one's answer may have closed it."""
    guarded.fails(seconds=1)
    hand.advance(SHORTEST)

    class Closing:
        def __enter__(self):
            guarded.breaker._until = None

        def __exit__(self, *error):
            pass

    guarded.breaker._lock = Closing()
    assert guarded.breaker._enter() is False


def test_what_counts_as_a_failure_and_what_is_said_meanwhile_are_the_owners():
    """It guards more than stores."""
    breaker = Breaker("crm", lambda: 0.0, quick=1, unavailable=ConfigurationError, failure=KeyError)
    with pytest.raises(ValueError, match="x"), breaker.asking():
        raise ValueError("x")
    with pytest.raises(KeyError), breaker.asking(is_patient=True):
        raise KeyError
    with pytest.raises(ConfigurationError, match="crm gave no answer a moment ago"), breaker.asking():
        pytest.fail("it is entered")
