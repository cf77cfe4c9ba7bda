"""The judge is judged: histories made by hand, of which we know whether they are possible."""

from __future__ import annotations

from math import inf

import pytest

from tests.faults.linearizing import Seen, is_possible

CAP = 3


def act(began, ended, verb, name="a", amount=0, answer="new"):
    return Seen(began, ended, verb, name, amount, answer)


def read(began, ended, used, held=0):
    return Seen(began, ended, "read", "", 0, (used, held))


POSSIBLE = {
    "nothing": [],
    "one after the other": [act(0, 1, "take", "a", 2), read(2, 3, 2), act(4, 5, "take", "b", 2, "short")],
    "at once, in the other order": [act(0, 9, "take", "a", 2), act(1, 8, "take", "b", 3, "short"), read(2, 3, 0)],
    "only the later one fits first": [act(0, 9, "take", "a", 2, "short"), act(1, 8, "take", "b", 2)],
    "a hold, settled by less": [
        *[act(0, 1, "hold", "a", 3), read(2, 3, 0, 3), act(4, 5, "take", "b", 1, "short")],
        *[act(6, 7, "settle", "a", 1), read(8, 9, 1), act(10, 11, "take", "b", 2)],
    ],
    "given back": [act(0, 1, "take", "a", 3), act(2, 3, "refund", "a", 3), act(4, 5, "take", "b", 3)],
    "released": [act(0, 1, "hold", "a", 3), act(2, 3, "release", "a"), act(4, 5, "take", "b", 3)],
    "no answer, and it happened": [act(0, inf, "take", "a", 3, None), read(5, 6, 0), read(7, 8, 3)],
    "no answer, and it did not happen": [act(0, inf, "take", "a", 3, None), act(5, 6, "take", "b", 3)],
    "no answer, and the repetition did it": [
        act(0, inf, "take", "a", 1, None),
        act(5, 6, "take", "a", 1),
        read(7, 8, 1),
    ],
    "no answer, and the repetition found it": [
        *[act(0, inf, "take", "a", 1, None), read(2, 3, 1)],
        *[act(5, 6, "take", "a", 1, "again"), read(7, 8, 1)],
    ],
}

IMPOSSIBLE = {
    "more than there is": [act(0, 9, "take", "a", 2), act(0, 9, "take", "b", 2)],
    "refused though there was enough": [act(0, 1, "take", "a", 1), act(2, 3, "take", "b", 2, "short")],
    "an old count after a new one": [act(0, 9, "take", "a", 1), read(1, 2, 1), read(3, 4, 0)],
    "a count from before what had ended": [act(0, 1, "take", "a", 1), read(2, 3, 0)],
    "a count that never was": [act(0, 9, "take", "a", 2), read(0, 9, 1)],
    "counted twice": [act(0, 1, "take", "a", 1), act(2, 3, "take", "a", 1, "again"), read(4, 5, 2)],
    "done twice": [act(0, 1, "take", "a", 1), act(2, 3, "take", "a", 1)],
    "repeated before it was done": [act(0, 1, "take", "a", 1, "again")],
    "refused though it was done": [act(0, 1, "take", "a", 3), act(2, 3, "take", "a", 3, "short")],
    "taken of what is held": [act(0, 1, "hold", "a", 2), act(2, 3, "take", "b", 2)],
    "held of what is used": [act(0, 1, "take", "a", 2), act(2, 3, "hold", "b", 2)],
    "settled, and still held": [act(0, 1, "hold", "a", 2), act(2, 3, "settle", "a", 1), read(4, 5, 1, 2)],
    "released, and settled": [act(0, 1, "hold", "a", 2), act(2, 3, "release", "a"), act(4, 5, "settle", "a", 2)],
    "given back, and still used": [act(0, 1, "take", "a", 2), act(2, 3, "refund", "a", 2), read(4, 5, 2)],
    "given back before it was taken": [act(0, 1, "refund", "a", 1), act(2, 3, "take", "a", 1)],
    "no answer, half done": [act(0, inf, "take", "a", 2, None), read(2, 3, 1)],
    "no answer, done before it was asked": [read(0, 1, 2), act(2, inf, "take", "a", 2, None)],
    "no answer, and done twice": [act(0, inf, "take", "a", 1, None), act(2, 3, "take", "a", 1), read(4, 5, 2)],
    "happened, then not": [act(0, inf, "take", "a", 3, None), read(2, 3, 3), act(4, 5, "take", "b", 3)],
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_what_is_possible_is_found_so(name):
    assert is_possible(POSSIBLE[name], CAP)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_is_impossible_is_found_out(name):
    assert not is_possible(IMPOSSIBLE[name], CAP)


def test_a_long_history_with_one_lie_in_it_is_found_out():
    """100 acts of four at once, as in the long test; one read is a unit off."""
    history = [act(time, time + 4.5, "take", f"n-{time}", 1) for time in range(100)]
    history.append(read(50.5, 50.6, 48))
    assert is_possible(history, 100)
    assert not is_possible([*history, read(70.5, 70.6, 73)], 100)
    assert not is_possible(history, 99)
