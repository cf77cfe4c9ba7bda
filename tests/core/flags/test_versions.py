"""Versions, in the order of Semantic Versioning 2.0.0."""

from __future__ import annotations

from itertools import pairwise

import pytest

from payaid_entitlements.core.flags.versions import sem_ver, version
from tests.core.flags.asking import ask

#: The specification's own example (section 11), with what is around it.
ORDER = [
    "0.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.9.0",
    "1.10.0",
    "2",
]


def test_in_order() -> None:
    for lower, higher in pairwise(ORDER):
        assert sem_ver(lower, "<", higher)
        assert sem_ver(higher, ">=", lower)
        assert not sem_ver(higher, "<=", lower)


@pytest.mark.parametrize(
    ("one", "sign", "other", "expected"),
    [
        ("v1.2.3", "=", "V1.2.3", True),
        ("1.2.3+build", "=", "1.2.3+other", True),
        ("1.2", "=", "1.2.0", True),
        (1, "=", "1.0.0", True),
        (1.2, ">", "1.1", True),
        ("1.2.3", "!=", "1.2.4", True),
        ("1.9", "^", "1.0.0", True),
        ("2.0", "^", "1.0.0", False),
        ("1.2.9", "~", "1.2.0", True),
        ("1.3.0", "~", "1.2.0", False),
        ("1.0.0-rc", ">", "1.0.0", False),
        ("2.0.0.0", "=", "2.0.0", None),
        ("01.0.0", "=", "1.0.0", None),
        ("1.0.0-01", "=", "1.0.0", None),
        ("1.0.0-", "=", "1.0.0", None),
        ("", "=", "1.0.0", None),
        ("1.0.0", "===", "1.0.0", None),
        ("1.0.0", ["="], "1.0.0", None),
        (True, "=", "1.0.0", None),
        (None, "=", "1.0.0", None),
        (2**64, "=", "1.0.0", None),
        (1e300, "=", "1.0.0", None),
        ("1." * 200, "=", "1.0.0", None),
        ("1.0.0", "=", "one", None),
    ],
)
def test_sem_ver(one: object, sign: object, other: object, expected: bool | None) -> None:
    assert sem_ver(one, sign, other) is expected
    # The same by a rule, whose closure is another one where sign and version are written there.
    if not isinstance(sign, list):
        assert ask({"sem_ver": [{"var": "version"}, sign, other]}, {"version": one}) is expected


@pytest.mark.parametrize("operands", [(), ("1",), ("1", "="), ("1", "=", "1", "1")])
def test_a_wrong_number_of_operands(operands: tuple[str, ...]) -> None:
    assert sem_ver(*operands) is None


def test_a_long_text_that_is_nearly_a_version() -> None:
    assert version("1.0.0-" + "a." * 120 + "!") is None
    assert version("9" * 256) == ((int("9" * 256), 0, 0), True, ())
