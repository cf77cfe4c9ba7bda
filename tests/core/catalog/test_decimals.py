"""Decimals: in how small units a quota or a credit is counted, and that all that is sold can be counted in them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.publishing import publish
from payaid_entitlements.core.metering.posting import MOST
from payaid_entitlements.core.overriding import override_value
from payaid_entitlements.core.values import Allowance
from payaid_entitlements.errors import CatalogInvalid, ConfigurationError


def load(quota=None, credit=None, **sections):
    """A catalog with the quota ``q`` and the credit ``c``, each with these fields besides."""
    features = {"q": {"kind": "quota", **(quota or {})}, "c": {"kind": "credit", **(credit or {})}}
    return Catalog.load({"features": features, **sections})


def refused(*args, **named):
    """The one problem of such a catalog."""
    with pytest.raises(CatalogInvalid) as error:
        load(*args, **named)
    (problem,) = error.value.problems
    return problem


def test_what_says_nothing_is_counted_whole():
    """And so is everything that is not used up."""
    features = load(quota={"decimals": 6}).features
    assert [features[key].decimals for key in "qc"] == [6, 0]
    assert Catalog.load({"features": {"s": {"kind": "allocation"}}}).features["s"].decimals == 0


@pytest.mark.parametrize("decimals", [-1, 7, 1.0, True, "2", None])
def test_decimals_are_zero_to_six(decimals):
    """More would leave no room before the point."""
    assert refused(quota={"decimals": decimals}).path == "features.q.decimals"


def test_slots_and_values_have_none():
    """A seat is whole."""
    with pytest.raises(CatalogInvalid):
        Catalog.load({"features": {"s": {"kind": "allocation", "decimals": 2}}})


@pytest.mark.parametrize(
    "sections",
    [
        {"plans": {"p": {"features": {"q": "0.125/day"}}}},
        {"add_ons": {"a": {"increment": {"q": "0.125/day"}}}},
        {"add_ons": {"a": {"override": {"q": "0.125/day"}}}},
        {"add_ons": {"a": {"max": {"q": "0.125/day"}}}},
        {"add_ons": {"a": {"grant": {"c": Decimal("0.125")}}}},
    ],
)
def test_amounts_that_are_too_fine_are_refused(sections):
    """Rounded, somebody would be sold less than it says."""
    problem = refused(quota={"decimals": 2}, credit={"decimals": 2}, **sections)

    assert "finer than what is counted" in problem.message
    assert "at most 2 digits behind the point" in problem.message
    assert load(quota={"decimals": 3}, credit={"decimals": 3}, **sections)


@pytest.mark.parametrize(
    ("decimals", "limit"), [(0, MOST + 1), (6, MOST // 10**6 + 1), (0, 10**29), (2, "0." + "0" * 10 + "1")]
)
def test_amounts_that_no_ledger_can_count_are_refused(decimals, limit):
    """A number beyond 2**53 is not exact in scripts."""
    problem = refused(quota={"decimals": decimals}, plans={"p": {"features": {"q": f"{limit}/day"}}})

    assert "finer" in problem.message


def test_the_largest_amount_is_sold():
    """To the last unit."""
    catalog = load(plans={"p": {"features": {"q": f"{MOST}/day", "c": f"{MOST}/lifetime"}}})

    assert catalog.plans["p"].features["c"] == Allowance(MOST)
    with pytest.raises(CatalogInvalid):
        Catalog.load({"features": {"s": {"kind": "allocation"}}, "plans": {"p": {"features": {"s": MOST + 1}}}})


@pytest.mark.parametrize("bound", ["min", "max"])
def test_what_rolls_over_can_be_counted(bound):
    """In the units of the feature."""
    other = {"min": 0, "max": 5} | {bound: Decimal("0.5")}
    problem = refused(quota={"rollover": other})

    assert problem.path == f"features.q.rollover.{bound}"
    assert load(quota={"rollover": other, "decimals": 1})


@pytest.mark.parametrize(
    ("paid", "credit", "cost", "fits"),
    [
        (0, 0, 5, True),
        (0, 0, Decimal("0.5"), False),
        (0, 1, Decimal("0.5"), True),
        (2, 0, 5, False),
        (2, 2, 5, True),
        (2, 0, 500, True),
        (2, 4, Decimal("0.05"), True),
        (6, 6, Decimal("0.000001"), False),
        (6, 6, 1, True),
        (0, 6, 2**53, False),
    ],
)
def test_the_smallest_amount_costs_something_that_can_be_counted(paid, credit, cost, fits):
    """Of what is paid for in hundredths, one hundredth costs whole units of the credit."""
    fields = {"decimals": credit, "pays_for": {"q": cost}}
    if fits:
        assert load(quota={"decimals": paid}, credit=fields).features["c"].pays_for == {"q": cost}
    else:
        problem = refused(quota={"decimals": paid}, credit=fields)
        assert (problem.code, problem.path) == ("feature.pays_for", "features.c.pays_for.q")
        assert "cannot be counted" in problem.message


@pytest.mark.parametrize(("was", "becomes"), [(0, 2), (2, 0), (2, 3)])
def test_published_decimals_stay(was, becomes):
    """What was counted in hundredths would all at once be tenths, or as many whole units."""
    held, _ = publish(None, load(quota={"decimals": was}))
    with pytest.raises(CatalogInvalid, match="decimals"):
        publish(held, load(quota={"decimals": becomes}))
    publish(held, load(quota={"decimals": was, "title": "Quota"}))


def test_an_override_can_be_counted_too():
    """By whoever is asked, in whatever form."""
    catalog = load(quota={"decimals": 1})

    assert override_value(catalog, "q", Decimal("0.5")) == Allowance(Decimal("0.5"))
    for to in (Decimal("0.55"), Allowance(Decimal("0.55")), "0.55/month", 2**53, Decimal(2**53)):
        with pytest.raises(ConfigurationError, match="finer"):
            override_value(catalog, "q", to)
