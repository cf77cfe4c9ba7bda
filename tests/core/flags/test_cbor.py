"""Deterministic CBOR: the bytes that buckets are hashed of."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.hashing import murmur3
from tests.core.flags.conformance import outside_json


def test_golden_scalars() -> None:
    scalars = outside_json("golden/bucketing.json")["scalars"]
    assert len(scalars) == 27
    for case in scalars:
        encoded = cbor.encode(case["value"])
        assert encoded.hex() == case["cbor_hex"]
        assert murmur3(encoded) == case["murmur3"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 8949, appendix A.
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65_535, "19ffff"),
        (65_536, "1a00010000"),
        (1_000_000_000_000, "1b000000e8d4a51000"),
        (18_446_744_073_709_551_615, "1bffffffffffffffff"),
        (-18_446_744_073_709_551_616, "3bffffffffffffffff"),
        (-1000, "3903e7"),
        (1.5, "f93e00"),
        (5.960464477539063e-8, "f90001"),
        (3.4028234663852886e38, "fa7f7fffff"),
        (1.1, "fb3ff199999999999a"),
        (1e300, "fb7e37e43c8800759c"),
        (False, "f4"),
        (True, "f5"),
        (None, "f6"),
        ("", "60"),
        ("\u6c34", "63e6b0b4"),
        ("IETF", "6449455446"),
        ([], "80"),
        ((1, [2, 3]), "8201820203"),
        ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
        # Without a fraction a float is an integer, as flagd has it, and minus zero is zero.
        (100_000.0, "1a000186a0"),
        (-0.0, "00"),
        (-4.0, "23"),
        (2.0**63, "1b8000000000000000"),
        # Keys in the order of their bytes, so that a shorter one comes first.
        ({"aa": 2, "z": 1, "": 0}, "a36000617a0162616102"),
        ("x" * 70_000, "7a00011170" + "78" * 70_000),
    ],
)
def test_encoded(value: object, expected: str) -> None:
    assert cbor.encode(value).hex() == expected


class Colour:
    """No JSON data."""


def _nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def _doubled(times: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(times):
        made = [made, made]
    return made


@pytest.mark.parametrize(
    "value",
    [
        nan,
        inf,
        -inf,
        2**64,
        -(2**64) - 1,
        Colour(),
        b"a",
        {1: 2},
        {"a": nan},
        [Colour()],
        "\ud800",
        _nested(cbor.DEPTH),
        # Lists in themselves: of a short rule, two to the power of thirty elements.
        _doubled(30),
    ],
)
def test_not_encodable(value: object) -> None:
    with pytest.raises(cbor.NotEncodable):
        cbor.encode(value)


def test_as_deep_as_it_may_be() -> None:
    assert cbor.encode(_nested(cbor.DEPTH - 1)) == b"\x81" * (cbor.DEPTH - 1) + b"\x80"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_maps_in_any_order_are_the_same_bytes(value: object) -> None:
    def turned(one: object) -> object:
        if isinstance(one, dict):
            return {key: turned(item) for key, item in reversed(one.items())}
        return [turned(item) for item in one] if isinstance(one, list) else one

    assert cbor.encode(value) == cbor.encode(turned(value))


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_different_numbers_are_different_bytes(one: float, other: float) -> None:
    assert (cbor.encode(one) == cbor.encode(other)) is (one == other)
