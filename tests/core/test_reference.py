"""The reference of a refusal says what was said, in 26 characters, for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.reference import make_reference, read_reference

AT = 1_795_500_000 * 1_000_000


def make(**changes: object) -> str:
    told = {
        "tenant": "acme",
        "feature": "hr",
        "reason": Reason.PLAN_MODULE_ABSENT,
        "at": AT,
        "revision": 17,
        "age": 4.2,
        "catalog_hash": "9c1e55aa",
    }
    return make_reference(**{**told, **changes})


def test_a_reference_reads_the_same_for_ever():
    """Golden: references stand in old mails and tickets, so the layout never changes."""
    assert make() == "G8NK-78DN-5WDC-2JFR-000H-79R7-K2"

    found = read_reference("G8NK-78DN-5WDC-2JFR-000H-79R7-K2")

    assert found.said_at == AT
    assert found.reason is Reason.PLAN_MODULE_ABSENT
    assert found.revision == 17
    assert found.catalog == "9c1e"
    assert found.is_tenant("acme")
    assert not found.is_tenant("acme2")
    assert found.feature_among(["crm", "hr"]) == "hr"
    assert found.feature_among(["crm"]) is None


@pytest.mark.parametrize(
    "typed", [str.lower, lambda text: text.replace("-", ""), lambda text: f" {text} ".replace("0", "O")]
)
def test_a_reference_is_read_as_people_type_it(typed):
    """Case, dashes, blanks and O for 0 do not matter."""
    assert read_reference(typed(make())) == read_reference(make())


@pytest.mark.parametrize("text", ["", "7F3K-92QX", make() + "A", make()[:-1] + "*"])
def test_what_is_no_reference_is_refused(text):
    """With a ValueError, whatever it is."""
    with pytest.raises(ValueError):
        read_reference(text)


@given(st.floats(0, 1e7))
def test_the_age_is_rounded_up_by_less_than_half(age):
    """Steps of the square root of 2: enough to tell a second from a minute."""
    read = read_reference(make(age=age)).age
    assert read >= age
    assert read <= max(age * 1.4143, 0.0626)


def test_an_age_beyond_all_bounds_is_the_greatest_that_can_be_told():
    """Two years or two hundred: it is old."""
    assert read_reference(make(age=1e30)).age == read_reference(make(age=1e20)).age > 6e7


def test_no_two_reasons_look_alike():
    """Each reason can be told from its fingerprint."""
    assert [read_reference(make(reason=reason)).reason for reason in Reason] == list(Reason)


def test_a_reason_of_another_version_is_unknown():
    """A reference from a newer release still tells time and place."""
    number = make(catalog_hash="")
    for letters in ("00", "01", "02", "03", "04", "05"):
        found = read_reference(number[:-2] + letters)
        if found.reason is None:
            assert found.said_at == AT
            break
    else:
        pytest.fail("all codes are taken")


@given(st.integers(0, 2**40), st.text(min_size=1, max_size=30))
def test_revision_and_tenant_survive(revision, tenant):
    """The revision modulo 2**18, the tenant as a fingerprint."""
    found = read_reference(make(revision=revision, tenant=tenant))
    assert found.revision == revision % 2**18
    assert found.is_tenant(tenant)


@pytest.mark.parametrize("too_big", [{"revision": 2**18 + 17}, {"at": AT + 2**34 * 1_000_000}])
def test_what_is_too_big_for_its_place_spoils_no_other(too_big):
    """The rest says what it would say beside 17, and beside the year that it fits."""
    assert make(**too_big) == make()


def test_a_key_that_is_no_text_that_can_be_written_has_a_reference_too():
    """Keys come from callers."""
    assert read_reference(make(feature="\ud800")).feature_among(["hr", "\ud800"]) == "\ud800"
