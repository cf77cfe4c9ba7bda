"""Ids identify, or they are refused."""

from __future__ import annotations

import re
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.identity import change_id, crockford, identify, operation_id, plain, uncrockford

NOBODY = ["", " ", "None", "none", "null", "NULL", "undefined", " Undefined ", "nan", "NaN"]
ANY = UUID("12345678-1234-5678-1234-567812345678")


class Tenant(StrEnum):
    ACME = "acme"


@pytest.mark.parametrize("value", ["acme", "Acme", "a b", "größe", "0", "none-such", "x" * 255])
def test_an_id_is_kept_as_it_is(value):
    """Case, accents and blanks matter: ids compare by their bytes."""
    assert identify("tenant", value) == value


def test_an_id_of_a_subclass_becomes_a_plain_str():
    """An enum's member is an id too; what is kept is a plain str, which hashes fast."""
    found = identify("tenant", Tenant.ACME)
    assert found == "acme"
    assert type(found) is str


@pytest.mark.parametrize("value", [*NOBODY, None, 7, True, b"acme", ["acme"], "x" * 256, "a\nb", "a\x00", "\ud800"])
def test_what_identifies_nobody_is_refused(value):
    """None, what None looks like as text, other types and unprintable text raise TypeError."""
    with pytest.raises(TypeError, match="tenant"):
        identify("tenant", value)


@pytest.mark.parametrize(
    ("operation", "written"),
    [
        ("invoice:7", "invoice:7"),
        (ANY, f"uuid:{ANY}"),
        (("invoice", 7), '["invoice",7]'),
        (("invoice", "7"), '["invoice","7"]'),
        (("job", ANY), f'["job",{{"uuid":"{ANY}"}}]'),
        ("none-of-your-business", "none-of-your-business"),
        ("song:None like the others", "song:None like the others"),
    ],
)
def test_an_operation_is_written_as_one_text(operation, written):
    """The same operation is always the same text, which the store compares."""
    assert operation_id(operation) == written


@pytest.mark.parametrize(
    "operation",
    [
        None,
        "",
        "None",
        7,
        (),
        ["invoice", 7],
        (None,),
        ("invoice", None),
        ("invoice", True),
        ("invoice", 1.5),
        ("invoice", "null"),
        "invoice:None",
        "None:7",
        "a/undefined/b",
        "a-null",
        "a_None_b",
        "invoice: None ",
        tuple(range(100)),
    ],
)
def test_an_operation_with_a_part_that_is_missing_is_refused(operation):
    """Usage must not become free because an id was None when the operation was named."""
    with pytest.raises(TypeError, match="operation"):
        operation_id(operation)


parts = st.text('ab:,"[]\\', min_size=1, max_size=4) | st.integers(0, 99)


@given(st.lists(parts, min_size=1, max_size=3), st.lists(parts, min_size=1, max_size=3))
def test_different_operations_never_meet(one, other):
    """Two tuples are written alike only when they are equal, whatever separators are in them."""
    assert (operation_id(tuple(one)) == operation_id(tuple(other))) is (one == other)


@given(st.integers(0, 2**130 - 1))
def test_a_number_in_base_32_comes_back(number):
    """What is written for people is read back, also in small letters and with the usual mistakes."""
    text = crockford(number, 26)
    assert len(text) == 26
    assert uncrockford(text) == number
    assert uncrockford(text.lower().replace("0", "o").replace("1", "l")) == number


def test_a_key_is_a_plain_text():
    """Of a subclass it is the text that it has; nothing else is taken for one."""

    class Text(str):
        def __str__(self):
            return "another"

    assert type(plain("plan", Text("pro"))) is str
    assert plain("plan", Text("pro")) == "pro"
    assert plain("plan", "") == ""
    for other in (None, 5, b"pro", ["pro"]):
        with pytest.raises(TypeError, match=re.escape(f"plan is a str, not {type(other).__name__} ({other!r})")):
            plain("plan", other)


def test_the_alphabet_has_no_letters_that_look_alike():
    """I, L, O and U are not in it; what is not in it is refused."""
    assert crockford(31 << 5 | 18, 2) == "ZJ"
    assert (uncrockford("io"), uncrockford("-L-0-")) == (32, 32)
    with pytest.raises(ValueError):
        uncrockford("U")


@given(st.integers(0, 2**56 - 1), st.integers(0, 2**56 - 1), st.integers(0), st.integers(0))
def test_ids_of_changes_sort_by_time(first, second, one, other):
    """Whoever sorts changes by their ids sees them in the order in which they were recorded."""
    early, late = sorted((first, second))
    if early != late:
        assert change_id(early, one) < change_id(late, other)
    assert len(change_id(first, one)) == 26


def test_changes_of_one_instant_differ_by_chance():
    """74 bits of entropy tell changes of the same microsecond apart."""
    assert change_id(5, 1) != change_id(5, 2)
    assert change_id(5, 2) != change_id(5, 3)
    assert change_id(5, 1) == change_id(5, 1 + 2**75)
    assert change_id(5, 1) == change_id(5 + 2**56, 1)
