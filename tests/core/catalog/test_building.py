"""What a catalog means: the values, plans and add-ons that the rules work with."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest

from payaid_entitlements.core.catalog import (
    Access,
    Catalog,
    CreditGrant,
    FailPolicy,
    Lifecycle,
    Merge,
    OnExceed,
    Price,
    Rate,
    Rollover,
    Stage,
    catalog_schema,
    keys_module,
)
from payaid_entitlements.core.period import parse_interval
from payaid_entitlements.core.values import UNLIMITED, Allowance, Value
from payaid_entitlements.core.written.source import read_source
from payaid_entitlements.errors import CatalogInvalid

EXAMPLE = Path(__file__).parents[3] / "examples" / "payaid" / "catalog.yaml"
SECOND = 1_000_000
DAY = 86_400 * SECOND
MONTH = parse_interval("month")


@pytest.fixture(scope="module")
def example() -> Catalog:
    return Catalog.load(EXAMPLE)


def test_the_example_has_no_problem(example: Catalog) -> None:
    """The catalog that the project shows is right in every respect."""
    assert example.lints == ()
    assert (example.timezone, example.default_plan) == ("Asia/Kolkata", "free")
    assert example.retired == {"crm.fax": date(2026, 5, 1)}


def test_a_plan_holds_what_it_extends(example: Catalog) -> None:
    """Modules add up, a feature named again is replaced; price, trial and buy are a plan's own."""
    starter, enterprise = example.plans["starter"], example.plans["enterprise"]

    assert starter.modules == ("crm", "invoicing")
    assert enterprise.modules == ("crm", "invoicing", "accounting", "hr", "analytics", "whatsapp")
    assert starter.features["seats"] == Allowance(5)
    assert enterprise.features["seats"] == Allowance(UNLIMITED)
    assert enterprise.features["ai_credits"] == Allowance(1000, MONTH)
    assert enterprise.rate_limits["api"] == (Rate(20, SECOND), Rate(600, 60 * SECOND))
    assert (starter.trial, enterprise.trial) == (parse_interval("14 days"), None)
    assert starter.prices == (Price(999, "INR", "month"), Price(9990, "INR", "year"))
    assert (enterprise.prices, enterprise.buy, starter.buy) == ((), "contact_us", "checkout")
    assert [plan.rank for plan in example.plans.values()] == [0, 1, 2, 3]
    assert starter.version == 0


def test_definitions_say_how_features_behave(example: Catalog) -> None:
    """Requirements, windows, excess, rollover, outage and payment are read from the definitions."""
    features = example.features
    assert example.modules["crm"].title == "CRM"
    assert example.modules["accounting"].title == "accounting"
    assert example.modules["accounting"].requires == ("invoicing",)
    assert example.modules["crm"].features == ("crm.export", "crm.contacts", "crm.ai_summaries")
    assert features["invoicing.recurring"].requires == ("crm.contacts",)
    assert features["invoicing.invoices"].on_exceed == OnExceed("soft_until", percent=110)
    assert features["whatsapp.messages"].on_exceed == OnExceed("grace_then_block", grace=3 * DAY)
    assert features["whatsapp.messages"].rollover == Rollover(0, 500)
    assert features["hr.payroll_runs"].window == "calendar"
    assert features["analytics.realtime"].on_outage == FailPolicy("last_known_good", 600 * SECOND)
    assert features["analytics.dashboards"].choices == ("basic", "advanced")
    assert features["invoicing.reminder_every"].merge is Merge.MIN
    assert features["crm.contacts"].count == "host"
    assert features["ai_credits"].pays_for == {"crm.ai_summaries": 5}
    assert features["seats"].module is None


def test_add_ons_say_what_they_change(example: Catalog) -> None:
    """Increments, maxima and grants are values of features; a price has the only currency there is."""
    add_ons = example.add_ons
    assert add_ons["extra_seats"].increment == {"seats": Allowance(5)}
    assert add_ons["extra_seats"].max_quantity == 20
    assert add_ons["more_storage"].max == {"storage": 500 * 10**9}
    assert add_ons["more_storage"].for_plans == ("professional",)
    assert add_ons["ai_pack"].grant == {"ai_credits": CreditGrant(500, 90 * DAY)}
    assert add_ons["ai_pack"].prices == (Price(399, "INR", "once"),)
    assert add_ons["whatsapp"].modules == ("whatsapp",)
    assert [item.rank for item in add_ons.values()] == [0, 1, 2, 3]


def test_past_due_stages_follow_one_another(example: Catalog) -> None:
    """After the last stage with an end nothing is left."""
    stages = (Stage(Access.FULL, 7 * DAY), Stage(Access.READ_ONLY, 14 * DAY), Stage(Access.NONE))
    assert example.lifecycle == Lifecycle(stages, Access.READ_ONLY)
    assert (
        Catalog.load({"lifecycle": {"past_due": ["full for 7 days", "read_only for 14 days"]}}).lifecycle.past_due
        == stages
    )
    assert Catalog.load({"lifecycle": {"past_due": "full", "paused": "none"}}).lifecycle == Lifecycle(
        (Stage(Access.FULL),), Access.NONE
    )
    assert Catalog.load({}).lifecycle == Lifecycle()


def test_flags_and_limits_are_data(example: Catalog) -> None:
    """Rate limits and flags are read for the engines that use them."""
    assert example.rate_limits["export"].default == (Rate(1, 3600 * SECOND),)
    assert example.rate_limits["api"].burst == 10
    flag = example.flags["new-checkout"]
    assert (flag.remove_by, flag.narrows, flag.bucket_by) == (
        date(2027, 3, 31),
        ("invoicing.recurring",),
        "tenant",
    )
    assert [rule.id for rule in flag.rules] == ["rollout"]
    assert flag.rules[0].rollout is not None
    assert [share for _, share in flag.rules[0].rollout.steps] == [5_000, 25_000, 50_000, 100_000]


def value(kind: dict[str, object], written: object) -> Value:
    data = {"features": {"x": kind}, "plans": {"p": {"features": {"x": written}}}}
    return Catalog.load(data).plans["p"].features["x"]


def config(type_: str, merge: str = "max", **more: object) -> dict[str, object]:
    return {"kind": "config", "type": type_, "merge": merge, **more}


QUOTA: dict[str, object] = {"kind": "quota"}


@pytest.mark.parametrize(
    ("kind", "written", "means"),
    [
        ({"kind": "switch"}, False, False),
        (config("bool"), True, True),
        (config("int"), -3, -3),
        (config("int"), "unlimited", UNLIMITED),
        (config("int"), Decimal("5.0"), 5),
        (config("decimal"), 5, Decimal(5)),
        (config("decimal"), Decimal("0.125"), Decimal("0.125")),
        (config("decimal", "priority"), "unlimited", UNLIMITED),
        (config("string", "priority"), "unlimited", "unlimited"),
        (config("choice", choices=["a", "unlimited"]), "unlimited", "unlimited"),
        (config("duration", "min"), "90 seconds", timedelta(seconds=90)),
        (config("duration", "min"), "unlimited", UNLIMITED),
        (config("size"), "1 kB", 1000),
        (config("size"), "1KB", 1000),
        (config("size"), "1.5 GiB", 3 * 2**29),
        (config("size"), "2 TB", 2 * 10**12),
        (config("size"), "0 B", 0),
        (config("list", "priority"), ["b", "a"], ("b", "a")),
        (config("list", "priority"), [], ()),
        (QUOTA, "100/month", Allowance(100, MONTH)),
        ({**QUOTA, "decimals": 1}, "0.5/2 weeks", Allowance(Decimal("0.5"), parse_interval("2 weeks"))),
        (QUOTA, "10.0 / day", Allowance(10, parse_interval("day"))),
        (QUOTA, "100/lifetime", Allowance(100)),
        (QUOTA, "unlimited", Allowance(UNLIMITED)),
        (QUOTA, 0, Allowance(0)),
        ({"kind": "credit"}, "9/year", Allowance(9, parse_interval("year"))),
        ({"kind": "allocation"}, 5, Allowance(5)),
        ({"kind": "allocation"}, "unlimited", Allowance(UNLIMITED)),
    ],
)
def test_a_value_is_read_by_the_kind_of_its_feature(kind: dict[str, object], written: object, means: Value) -> None:
    """The same text means what the feature's kind and type say, exactly."""
    read = value(kind, written)

    assert (read, type(read)) == (means, type(means))


@pytest.mark.parametrize("word", ["hard", "soft", "warn"])
def test_excess_in_one_word(word: str) -> None:
    """What happens above a limit can be one word."""
    catalog = Catalog.load({"features": {"x": {"kind": "quota", "on_exceed": word, "on_outage": "open"}}})
    assert catalog.features["x"].on_exceed == OnExceed(word)  # type: ignore[arg-type]  # of a table
    assert catalog.features["x"].on_outage == FailPolicy("open")


def test_prices_can_name_their_ids() -> None:
    """Each payment provider's id belongs to one interval of a price."""
    price = {
        "once": 1,
        "monthly": Decimal("9.99"),
        "ids": {"stripe": {"monthly": "p1"}, "pay": {"once": "p2"}},
    }
    data = {
        "currency": "EUR",
        "plans": {"a": {"price": price}, "b": {"price": {"yearly": 0, "currency": "USD"}}},
    }
    plans = Catalog.load(data).plans

    assert plans["a"].prices == (
        Price(Decimal("9.99"), "EUR", "month", {"stripe": "p1"}),
        Price(1, "EUR", "once", {"pay": "p2"}),
    )
    assert plans["b"].prices == (Price(0, "USD", "year"),)


def test_a_price_without_a_currency_needs_only_one_in_the_catalog() -> None:
    """With two currencies about, a price that names none is refused."""
    data = {"plans": {key: {"price": {"once": 1, "currency": key.upper()}} for key in ("eur", "usd")}}
    data["plans"]["x"] = {"price": {"once": 1}}
    with pytest.raises(CatalogInvalid) as raised:
        Catalog.load(data)
    assert [problem.code for problem in raised.value.problems] == ["price.currency"]


def test_grants_can_stay_for_ever() -> None:
    """A grant without `expires` does not expire, and may be part of a unit."""
    data = {"features": {"c": {"kind": "credit", "decimals": 1}}, "add_ons": {"a": {"grant": {"c": Decimal("0.5")}}}}
    assert Catalog.load(data).add_ons["a"].grant == {"c": CreditGrant(Decimal("0.5"))}


def test_overrides_and_maxima_take_any_value_that_fits() -> None:
    """A switch can be overridden; a choice has more and less."""
    kinds = {"s": {"kind": "switch"}, "c": config("choice", choices=["a", "b"]), "n": config("int")}
    data = {
        "features": kinds,
        "add_ons": {"a": {"override": {"s": True}, "max": {"c": "b"}, "increment": {"n": 2}}},
    }
    add_on = Catalog.load(data).add_ons["a"]
    assert (add_on.override, add_on.max, add_on.increment) == ({"s": True}, {"c": "b"}, {"n": 2})


def test_deprecated_keys_may_be_sold_to_nobody() -> None:
    """What is on its way out is not called unsold."""
    old = {"deprecated": "2027-01-01"}
    data = {"features": {"x": {"kind": "switch", **old}}, "modules": {"m": old}, "plans": {"p": {}}}
    catalog = Catalog.load(data)
    assert catalog.lints == ()
    assert catalog.features["x"].deprecated == catalog.modules["m"].deprecated == date(2027, 1, 1)


# --- document and hash ----------------------------------------------------------------------------------


def test_the_document_reads_back_to_an_equal_catalog(example: Catalog) -> None:
    """What was written is kept as JSON, without loss, also of numbers with a point."""
    text = json.dumps(example.document)
    assert Catalog.load(json.loads(text)) == example
    assert Catalog.loads(text, "json") == example
    exact = Catalog.load({"features": {"x": config("decimal")}, "plans": {"p": {"features": {"x": Decimal("0.10")}}}})
    again = Catalog.loads(json.dumps(exact.document), "json")
    assert again == exact
    assert again.plans["p"].features["x"] == Decimal("0.1")


def test_comments_and_formatting_do_not_change_the_hash(example: Catalog) -> None:
    """The hash is of the content: another order of fields, comments or quotes do not count."""
    a = Catalog.loads("# one\nfeatures: {x: {kind: switch, title: X}}\nplans: {p: {features: {x: true}}}\n")
    b = Catalog.loads("plans:\n  p:\n    features: {'x': true}\nfeatures:\n  x:\n    title: 'X'\n    kind: switch\n")
    assert a.hash == b.hash
    assert example.hash == "342b137df1be3bbb6fbe6dca4759af95af45ff0c1dac521e1020a2d5331df781"


@pytest.mark.parametrize("section", ["plans", "add_ons", "modules"])
def test_the_order_of_what_is_ranked_is_content(section: str) -> None:
    """Two plans in another order are another catalog: the order is their rank."""
    assert Catalog.load({section: {"a": {}, "b": {}}}).hash != Catalog.load({section: {"b": {}, "a": {}}}).hash


# --- schema and keys ------------------------------------------------------------------------------------


def test_the_schema_accepts_the_example(example: Catalog) -> None:
    """Editors that check by the JSON Schema find nothing wrong with the example."""
    schema = catalog_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(_floats(read_source(EXAMPLE)[0]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"plan": {}},
        {"plans": {"Free": {}}},
        {"plans": {"a": {"features": {"x": {}}}}},
        {"features": {"x": {"kind": "swich"}}},
        {"features": {"x": {"kind": "switch", "unit": "a"}}},
        {"rate_limits": {"x": {"default": []}}},
    ],
)
def test_the_schema_refuses_what_reading_refuses(wrong: dict[str, object]) -> None:
    """An editor marks a wrong shape before the catalog is ever read."""
    assert not jsonschema.Draft202012Validator(catalog_schema()).is_valid(wrong)
    with pytest.raises(CatalogInvalid):
        Catalog.load(wrong)


def test_the_schema_beside_the_example_is_of_today() -> None:
    """The file that the example's first line names is what this release writes."""
    kept = json.loads((EXAMPLE.parent / "catalog.schema.json").read_text(encoding="utf-8"))
    assert kept == catalog_schema()


def _floats(data: object) -> object:
    return json.loads(json.dumps(data, default=float))


def test_keys_are_constants() -> None:
    """Each key is a `Final` constant, in the order of the catalog; a class holds each space of its own."""
    catalog = Catalog.load(
        {
            "modules": {"crm": {"features": {"bulk-export": {"kind": "switch"}}}},
            "features": {"seats": {"kind": "allocation"}},
            "plans": {"free": {}, "pro-plus": {}},
            "rate_limits": {"api": {"default": "1/second"}},
            "flags": {"new-look": {"rollout": "5%"}},
        }
    )
    text = keys_module(catalog)
    names: dict[str, object] = {}
    exec(compile(text, "keys.py", "exec"), names)  # the text is a module

    assert names["CRM_BULK_EXPORT"] == "crm.bulk-export"
    assert (names["CRM"], names["SEATS"], names["NEW_LOOK"]) == ("crm", "seats", "new-look")
    assert vars(names["Plans"])["PRO_PLUS"] == "pro-plus"
    assert vars(names["RateLimits"])["API"] == "api"
    assert "AddOns" not in names
    assert text.endswith('    API: Final = "api"\n')
    assert [line for line in text.splitlines() if line.startswith(("#", "class"))] == [
        "# Modules",
        "# Features",
        "# Flags",
        "class Plans:",
        "class RateLimits:",
    ]
    docs = (vars(names[name])["__doc__"] for name in ("Plans", "RateLimits"))
    assert list(docs) == ["Keys of plans, cheapest first.", "Keys of rate limits."]
    with_add_ons: dict[str, object] = {}
    exec(compile(keys_module(Catalog.load({"add_ons": {"more-seats": {}}})), "keys.py", "exec"), with_add_ons)
    add_ons = vars(with_add_ons["AddOns"])
    assert (add_ons["MORE_SEATS"], add_ons["__doc__"]) == ("more-seats", "Keys of add-ons.")
    assert keys_module(Catalog.load(catalog.document)) == text


def test_importing_the_catalog_is_light() -> None:
    """A process that only asks pays neither for the models of what people write nor for PyYAML."""
    program = "import sys, payaid_entitlements.core.catalog; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"yaml", "payaid_entitlements.core.catalog.written"} & set(loaded.stdout.split())


def test_a_rollover_may_have_one_size() -> None:
    """At least as much as at most is no mistake."""
    calls = {"kind": "quota", "unit": "call", "rollover": {"min": 5, "max": 5}}
    assert Catalog.load({"features": {"calls": calls}}).features["calls"].rollover == Rollover(5, 5)


def test_an_empty_catalog_has_no_keys() -> None:
    """The module of a catalog without keys can still be imported."""
    exec(compile(keys_module(Catalog.load({})), "keys.py", "exec"), {})
