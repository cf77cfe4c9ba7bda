"""States as text: what is written is read, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.ratelimit.text import decode, encode


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.integers(0, 2**53 - 1)).map(tuple))
def test_what_is_written_is_read(state: tuple[int, ...]) -> None:
    assert decode(encode(state)) == state


def test_a_state_is_its_numbers_joined_by_one_space() -> None:
    assert encode((1_813_000_000_123_457, 0, 12)) == "1813000000123457 0 12"
    assert encode(()) == ""


@pytest.mark.parametrize(
    "text",
    ["", " ", "1 ", " 1", "1  2", "1\t2", "1\n", "-1", "+1", "1.5", "1e9", "0x10", "1_0", "a", "٣", "nan", "[1]",
     "9007199254740992", "99999999999999999", "1 9007199254740992", "null"],
)  # fmt: skip
def test_what_nobody_has_written_counts_as_empty(text: str) -> None:
    assert decode(text) == ()


def test_the_greatest_number_is_the_greatest_that_a_double_tells_from_its_neighbours() -> None:
    assert decode("9007199254740991") == (2**53 - 1,)
