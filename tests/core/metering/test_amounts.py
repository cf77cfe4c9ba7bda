"""Amounts: what is one is counted exactly, and what is none is refused before anything is counted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.catalog.model import Feature, Kind
from payaid_entitlements.core.metering.amounts import MOST_DECIMALS, fits, floored, to_amount, to_units
from payaid_entitlements.core.metering.posting import MOST
from payaid_entitlements.errors import ConfigurationError

WHOLE = Feature("calls", None, Kind.QUOTA, "Calls")
CENTS = replace(WHOLE, key="money", decimals=2)


@pytest.mark.parametrize(
    ("amount", "units"),
    [
        (1, 1),
        (2**31, 2**31),
        (MOST, MOST),
        (Decimal(7), 7),
        (Decimal("7.000"), 7),
        (Decimal("7E+2"), 700),
        (Decimal(1).scaleb(15), 10**15),
    ],
)
def test_whole_amounts_are_units(amount, units):
    """However a whole number is written, it is that many."""
    assert to_units(amount, WHOLE) == units


@pytest.mark.parametrize(
    ("amount", "units"),
    [(1, 100), (Decimal("0.01"), 1), (Decimal("1.5"), 150), (Decimal("1.50000"), 150), (Decimal("1E+1"), 1000)],
)
def test_amounts_with_decimals_are_counted_in_the_smallest_unit(amount, units):
    """Of a feature with two decimals in hundredths."""
    assert to_units(amount, CENTS) == units
    assert to_amount(units, CENTS) == amount


@pytest.mark.parametrize("amount", [1.0, 0.5, float("nan"), float("inf"), True, False, "1", None, 1j, [1]])
def test_what_is_no_amount_is_a_type_error(amount):
    """A float is not exact, and True is not one."""
    with pytest.raises(TypeError, match="an amount is an int or a Decimal"):
        to_units(amount, WHOLE)


@pytest.mark.parametrize(
    "amount",
    [
        0,
        -1,
        -(2**63),
        2**53,
        2**63,
        10**5000,
        -(10**5000),
        Decimal(0),
        Decimal(-1),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
        Decimal("0.005"),
        Decimal("1.0000001"),
        Decimal("1E-30"),
        Decimal("1E-999999999"),
        Decimal("0E-999999999"),
        Decimal("1E+999999999"),
        Decimal("1" * 5000),
        Decimal("1." + "0" * 5000 + "1"),
        Decimal(2**53),
    ],
    # Python does not write out the longest of them.
    ids=lambda amount: type(amount).__name__,
)
@pytest.mark.parametrize("feature", [WHOLE, CENTS])
def test_an_amount_that_cannot_be_counted_is_refused(amount, feature):
    """None, too little, too much or too fine; typed, at once, in a message of a readable length."""
    with pytest.raises(ConfigurationError) as refused:
        to_units(amount, feature)
    assert feature.key in str(refused.value)
    assert len(str(refused.value)) < 250


def test_settling_nothing_and_correcting_downwards_are_allowed():
    """What is the least is said by who asks."""
    assert to_units(0, WHOLE, least=0) == 0
    assert to_units(Decimal("-1.5"), CENTS, least=-MOST) == -150
    assert to_units(-MOST, WHOLE, least=-MOST) == -MOST
    with pytest.raises(ConfigurationError):
        to_units(-MOST - 1, WHOLE, least=-MOST)
    with pytest.raises(ConfigurationError, match=r"at least 0\.01"):
        to_units(0, CENTS)


@given(st.integers(1, MOST), st.integers(0, MOST_DECIMALS))
def test_units_come_back_as_they_went(units, decimals):
    """In whatever context of the thread, since a host may have made it narrow."""
    feature = replace(WHOLE, decimals=decimals)
    with localcontext() as narrow:
        narrow.prec = 3
        amount = to_amount(units, feature)
        assert to_units(amount, feature) == units == floored(amount, feature)
        assert fits(amount, decimals)
    assert type(amount) is (Decimal if decimals else int)


@given(st.decimals(0, 2**60, allow_nan=False, places=8), st.integers(0, MOST_DECIMALS))
def test_what_fits_is_what_is_taken(amount, decimals):
    """The catalog and a caller are told the same about an amount."""
    feature = replace(WHOLE, decimals=decimals)
    if fits(amount, decimals):
        assert to_units(amount, feature, least=0) == amount.scaleb(decimals)
    else:
        with pytest.raises(ConfigurationError):
            to_units(amount, feature, least=0)
    # A limit never becomes more.
    assert floored(amount, feature) <= amount.scaleb(decimals)


def test_a_limit_of_another_release_is_cut_to_what_can_be_counted():
    """Never more than it says, and never beyond what is exact everywhere."""
    assert floored(Decimal("2.999"), CENTS) == 299
    assert floored(2**80, WHOLE) == MOST
    assert floored(Decimal("1E+500"), WHOLE) == MOST
    assert floored(Decimal(2**60), WHOLE) == MOST
    assert not fits(Decimal("1E+500"), 0)
    assert not fits(2**53, 0)
