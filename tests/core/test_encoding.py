"""Values of features travel as JSON without loss."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.encoding import decode_value, encode_value
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.errors import ConfigurationError

amounts = st.integers(0, 10**30) | st.decimals(0, 10**12, allow_nan=False, allow_infinity=False)
intervals = st.none() | st.builds(Interval, st.integers(1, 1000), st.sampled_from(list(Unit)))
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | amounts
    | st.timedeltas()
    | st.lists(st.text()).map(tuple)
    | st.just(UNLIMITED)
    | st.just(DENY)
    | st.builds(Allowance, amounts | st.just(UNLIMITED), intervals)
)


@given(values)
def test_a_value_comes_back_as_it_was(value):
    """Reading what was written gives an equal value of the same type, exact to the last digit."""
    again = decode_value(json.loads(json.dumps(encode_value(value))))
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, True),
        (7, 7),
        ("basic", "basic"),
        (Decimal("1.50"), {"decimal": "1.50"}),
        (timedelta(hours=24), {"microseconds": 86_400_000_000}),
        (("a", "b"), ["a", "b"]),
        (UNLIMITED, {"unlimited": True}),
        (DENY, {"deny": True}),
        (Allowance(100, Interval(1, Unit.MONTH)), {"limit": 100, "per": "month"}),
        (Allowance(Decimal("0.5")), {"limit": {"decimal": "0.5"}, "per": None}),
    ],
)
def test_the_written_form_is_for_ever(value, written):
    """Documents of years ago are read: these forms never change."""
    assert encode_value(value) == written
    assert decode_value(written) == value


@pytest.mark.parametrize("data", [{}, 1.5, {"limit": 1}, {"unlimited": False}, {"decimal": 1}, b"x"])
def test_what_is_no_value_is_refused(data):
    """Damaged data raises instead of becoming some value."""
    with pytest.raises(ValueError, match="written form"):
        decode_value(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"decimal": "many"}, "'many' is no number"),
        ({"decimal": "NaN"}, "'NaN' is not finite"),
        ({"decimal": "-Infinity"}, "'-Infinity' is not finite"),
        ({"microseconds": 10**30}, "written form"),
        ({"limit": True, "per": None}, "written form"),
        ({"limit": "5", "per": None}, "written form"),
        ({"limit": {"deny": True}, "per": None}, "written form"),
        ({"limit": 1, "per": 5}, "written form"),
    ],
)
def test_numbers_that_cannot_be_counted_with_are_refused(data, says):
    """They would fail later, where they are compared."""
    with pytest.raises(ValueError, match=says):
        decode_value(data)


@pytest.mark.parametrize("longest", [timedelta.max, timedelta.min + timedelta(days=1)])
def test_the_longest_durations_come_back(longest):
    """As long as there are."""
    assert decode_value(encode_value(longest)) == longest


def test_an_allowance_with_a_damaged_window_is_refused():
    """A window that does not exist is no window at all."""
    with pytest.raises(ConfigurationError):
        decode_value({"limit": 1, "per": "fortnight of Sundays"})
