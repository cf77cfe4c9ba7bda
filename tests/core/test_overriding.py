"""Overrides are checked against the kind of the feature when they are said: resolving can believe them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.encoding import decode_value, encode_value
from payaid_entitlements.core.facts import NewFact
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.overriding import clear_override, override, override_subject, override_value
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.errors import ConfigurationError, UnknownFeature
from tests.core.conftest import NOW, tenant, world_of

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "none",
        "modules": {"m": {"features": {"switch": {"kind": "switch"}}}},
        "features": {
            "seats": {"kind": "allocation", "unit": "seat"},
            "calls": {"kind": "quota", "unit": "call"},
            "minutes": {"kind": "quota", "unit": "minute", "decimals": 1},
            "coins": {"kind": "credit", "unit": "coin"},
            **{
                name: {"kind": "config", "type": name, "merge": "priority"}
                for name in ("bool", "int", "decimal", "string", "duration", "size", "list")
            },
            "choice": {"kind": "config", "type": "choice", "merge": "priority", "choices": ["low", "high"]},
        },
        "plans": {},
    }
)
MONTH = Interval(1, Unit.MONTH)


@pytest.mark.parametrize(
    ("key", "to", "value"),
    [
        ("m", True, True),
        ("m", False, False),
        ("m", DENY, DENY),
        ("m.switch", True, True),
        ("bool", False, False),
        ("seats", 7, Allowance(7)),
        ("seats", Decimal(7), Allowance(Decimal(7))),
        ("seats", UNLIMITED, Allowance(UNLIMITED)),
        ("seats", Allowance(3), Allowance(3)),
        ("seats", 0, Allowance(0)),
        ("calls", "500/month", Allowance(500, MONTH)),
        ("calls", 500, Allowance(500)),
        ("minutes", Decimal("0.5"), Allowance(Decimal("0.5"))),
        ("coins", "unlimited", Allowance(UNLIMITED)),
        ("calls", DENY, DENY),
        ("int", 7, 7),
        ("int", UNLIMITED, UNLIMITED),
        ("decimal", 7, Decimal(7)),
        ("decimal", Decimal("0.1"), Decimal("0.1")),
        ("string", "any", "any"),
        ("choice", "high", "high"),
        ("duration", timedelta(hours=1), timedelta(hours=1)),
        ("duration", "24 hours", timedelta(hours=24)),
        ("duration", UNLIMITED, UNLIMITED),
        ("size", 5, 5),
        ("size", "10 GB", 10 * 1000**3),
        ("list", ["a"], ("a",)),
        ("list", ("a", "b"), ("a", "b")),
    ],
)
def test_a_value_that_fits_is_written_as_plans_have_it(key, to, value):
    """Numbers, texts as in the catalog and Python values come to the same."""
    found = override_value(CATALOG, key, to)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "to", "error"),
    [
        ("m", 1, TypeError),
        ("m.switch", "yes", TypeError),
        ("m.switch", UNLIMITED, TypeError),
        ("bool", None, TypeError),
        ("seats", True, TypeError),
        ("seats", 1.5, TypeError),
        ("seats", None, TypeError),
        ("seats", -1, ConfigurationError),
        ("seats", Decimal("1.5"), ConfigurationError),
        ("seats", Decimal("NaN"), ConfigurationError),
        ("calls", Decimal("Infinity"), ConfigurationError),
        ("seats", Allowance(5, MONTH), ConfigurationError),
        ("seats", "many", ConfigurationError),
        ("seats", "9", ConfigurationError),
        ("calls", Allowance(1.5), TypeError),
        ("calls", Allowance(True), TypeError),
        ("calls", Allowance("5"), TypeError),
        ("calls", "500/fortnight", ConfigurationError),
        ("int", "7", TypeError),
        ("int", True, TypeError),
        ("int", 7.0, TypeError),
        ("decimal", 0.1, TypeError),
        ("decimal", False, TypeError),
        ("decimal", Decimal("NaN"), TypeError),
        ("string", 7, TypeError),
        ("size", -5, ConfigurationError),
        ("duration", timedelta(microseconds=-1), ConfigurationError),
        ("int", 10**30, ConfigurationError),
        ("calls", 10**30, ConfigurationError),
        ("calls", Allowance(10**30, MONTH), ConfigurationError),
        ("decimal", Decimal("1E-30"), ConfigurationError),
        ("decimal", Decimal("1E+30"), ConfigurationError),
        ("string", UNLIMITED, TypeError),
        ("choice", "middle", ConfigurationError),
        ("choice", UNLIMITED, TypeError),
        ("duration", 7, TypeError),
        ("duration", "soon", ConfigurationError),
        ("size", "10 XB", ConfigurationError),
        ("size", True, TypeError),
        ("list", "a", TypeError),
        ("list", ["a", 1], TypeError),
        ("nonsense", 1, UnknownFeature),
    ],
)
def test_a_value_of_another_kind_is_refused(key, to, error):
    """What a feature cannot be is named together with what it can be."""
    with pytest.raises(error, match=key):
        override_value(CATALOG, key, to)


@pytest.mark.parametrize("key", ["m", "int", "decimal", "calls", "string"])
def test_a_number_that_could_not_even_be_written_is_refused(key):
    """Whatever it is for, and without a word of what it is: Python does not write more than 4,300 digits."""
    for number in (10**5000, -(10**5000), Allowance(10**5000)):
        with pytest.raises(ConfigurationError, match="at most 30 digits"):
            override_value(CATALOG, key, number)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=8)
    | st.timedeltas()
    | st.just(UNLIMITED)
    | st.just(DENY)
    | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.builds(Allowance, inner),
    max_leaves=3,
)


@settings(deadline=None)
@given(st.sampled_from([*CATALOG.modules, *CATALOG.features]), anything)
def test_whatever_is_said_is_a_value_or_a_typed_error(key, to):
    """Nothing else ever comes out, and what comes out is kept without loss."""
    try:
        value = override_value(CATALOG, key, to)
    except (TypeError, ConfigurationError):
        return
    world = world_of(CATALOG)
    ground = Ground(tenant(), world, NOW)
    (fact,) = override(ground, key, value, until=None, user=None, because="x", actor="a")
    assert decode_value(fact.value["to"]) == value


def test_an_override_says_until_when_for_whom_why_and_who():
    """All of it is in the fact; a user's is about another subject than the tenant's."""
    ground = Ground(tenant(), world_of(CATALOG), NOW)
    fact = override(ground, "seats", 7, until=NOW + 5, user="u", because="a promise", actor="asha")
    said = {"to": {"limit": 7, "per": None}, "until": NOW + 5, "because": "a promise", "actor": "asha"}
    assert fact == (NewFact(("override", "seats", "u"), NOW, said),)
    assert override_subject("seats") == ("override", "seats")


def test_an_override_ends_in_the_future():
    """One that is over when it is said is a mistake."""
    ground = Ground(tenant(), world_of(CATALOG), NOW)
    with pytest.raises(ConfigurationError, match="over already"):
        override(ground, "seats", 7, until=NOW, user=None, because="x", actor="a")


@pytest.mark.parametrize(
    ("from_", "until", "wrong"),
    [
        (NOW - 1, None, "from_=.* is over already"),
        (NOW + 5, NOW + 5, "is not after"),
        (NOW + 5, NOW + 4, "is not after"),
    ],
)
def test_the_interval_of_an_override_is_to_come_and_not_empty(from_, until, wrong):
    """It is half-open: one that ends where it begins would never hold."""
    ground = Ground(tenant(), world_of(CATALOG), NOW)
    with pytest.raises(ConfigurationError, match=wrong):
        override(ground, "seats", 7, from_=from_, until=until, user=None, because="x", actor="a")


def said(to, until=None):
    return {"to": to, "until": until, "because": "x", "actor": "a"}


def spoken(ground, to, **interval):
    return override(ground, "m", to, user=None, because="x", actor="a", **{"until": None, **interval})


M = ("override", "m")


@pytest.mark.parametrize(
    ("known", "interval", "facts"),
    [
        # A ban without an end counts again after an exception for five microseconds.
        ([(0, said("deny"))], {"until": NOW + 5}, [(NOW, said(True, NOW + 5)), (NOW + 5, said("deny"))]),
        # So does one that ends later, but not one that is over by then.
        (
            [(0, said("deny", NOW + 9))],
            {"until": NOW + 5},
            [(NOW, said(True, NOW + 5)), (NOW + 5, said("deny", NOW + 9))],
        ),
        ([(0, said("deny", NOW + 5))], {"until": NOW + 5}, [(NOW, said(True, NOW + 5))]),
        ([(0, None)], {"until": NOW + 5}, [(NOW, said(True, NOW + 5))]),
        # One that is to come stays to come.
        (
            [(NOW + 7, said(False)), (NOW + 8, None)],
            {"until": NOW + 5},
            [(NOW, said(True, NOW + 5)), (NOW + 7, said(False)), (NOW + 8, None)],
        ),
        # Without an end it is the last word.
        ([(0, said("deny")), (NOW + 7, said(False))], {}, [(NOW, said(True))]),
        # Until it begins, what was said before holds.
        ([(0, said("deny"))], {"from_": NOW + 3}, [(NOW + 3, said(True))]),
    ],
)
def test_what_was_said_before_counts_again_afterwards(known, interval, facts):
    """A temporary exception takes nothing away from what stands."""
    document = tenant(*(NewFact(M, since, value) for since, value in known))
    ground = Ground(document, world_of(CATALOG), NOW)
    assert [(fact.since, fact.value) for fact in spoken(ground, True, **interval)] == [
        (since, value if value is None else {**value, "to": encode_value(decode_value(value["to"]))})
        for since, value in facts
    ]


def test_clearing_needs_a_key_that_exists_or_existed():
    """An override of a key that was retired meanwhile can be cleared; a typo is named."""
    world = world_of(CATALOG)
    gone = tenant(NewFact(("override", "gone"), 0, {"to": True, "until": None}))
    assert clear_override(Ground(gone, world, NOW), "gone", user=None) == (NewFact(("override", "gone"), NOW, None),)
    assert clear_override(Ground(gone, world, NOW), "seats", user="u") == (
        NewFact(("override", "seats", "u"), NOW, None),
    )
    with pytest.raises(UnknownFeature, match="did you mean 'seats'"):
        clear_override(Ground(gone, world, NOW), "seat", user=None)
