"""C-7: what cannot be believed is a miss, whatever it is."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from payaid_entitlements.cache.shared.copies import Places, copy_of, rest_of
from tests.cache.conftest import document

ACME = document("acme", revision=3)
HEAD = b"payaid1 e1 3 7 1000 5 "
GOOD = HEAD + rest_of("acme", ACME)


def test_a_copy_is_read_as_it_was_written():
    copy = copy_of("acme", GOOD)
    assert (copy.document, copy.position) == (ACME, 7)


def test_of_a_tenant_of_whom_nothing_is_known_there_is_a_copy_too():
    nothing = b"payaid1 e1 0 7 1000 5 " + rest_of("acme", None)
    assert copy_of("acme", nothing).document.revision == 0
    assert copy_of("acme", HEAD + rest_of("acme", None)) is None


def test_a_value_of_somebody_else_is_none_of_mine():
    """Under whichever key it is."""
    other = HEAD + rest_of("other", document("other", revision=3))
    assert copy_of("acme", other) is None
    assert copy_of("acme", HEAD + rest_of("acme", document("other", revision=3))) is None
    assert copy_of("acm", GOOD) is None


def test_another_revision_or_another_schema_is_refused():
    assert copy_of("acme", GOOD.replace(b" 3 7", b" 4 7", 1)) is None
    assert copy_of("acme", GOOD.replace(b"payaid1", b"payaid2", 1)) is None
    assert copy_of("acme", GOOD.replace(b'"schema":1', b'"schema":2', 1)) is None


def test_cut_anywhere_it_is_no_copy():
    for end in range(len(GOOD)):
        found = copy_of("acme", GOOD[:end])
        assert found is None, end


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_wrong_byte_is_an_answer_or_a_miss_and_never_an_error(at, byte):
    copy_of("acme", GOOD[:at] + bytes([byte]) + GOOD[at + 1 :])


@given(st.binary(max_size=300))
def test_anything_at_all_is_no_error(text):
    assert copy_of("acme", text) is None
    copy_of("acme", HEAD + b"4\nacme" + text)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_no_two_tenants_share_a_key(one, other):
    """Whatever is in their names, braces too; and both keys of one are in one slot."""
    try:
        places = Places.of("payaid", "first")
        copy, lease = places.of_tenant(one)
        assert copy[:-1] == lease[:-1]
        assert copy.count("{") == copy.count("}") == 1
        assert (copy == places.of_tenant(other)[0]) is (one == other)
    except UnicodeEncodeError:
        assert any("\ud800" <= char <= "\udfff" for char in one + other)


def test_two_stores_share_no_key():
    assert Places.of("payaid", "one").of_tenant("acme") != Places.of("payaid", "two").of_tenant("acme")
    assert Places.of("payaid", "one").stamp != Places.of("payaid", "two").stamp
