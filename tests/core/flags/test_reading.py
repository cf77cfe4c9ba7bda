"""What people write of flags: each form that means something, and every mistake with its line and a way out."""

# ruff: noqa: E501 - a case is a line, so that the table reads like one

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog, Problem, catalog_schema
from payaid_entitlements.core.catalog.flags.reading import read_flag
from payaid_entitlements.core.flags.conditions import exact
from payaid_entitlements.core.flags.model import (
    All,
    AnyOf,
    Condition,
    Flag,
    FlagType,
    Guard,
    Metric,
    Needs,
    Not,
    Rollout,
    Rule,
    Segment,
    Share,
    Test,
)
from payaid_entitlements.core.flags.operators import OPERATORS
from payaid_entitlements.core.flags.schedules import time
from payaid_entitlements.core.flags.writing import written
from payaid_entitlements.core.instant import DAY, EARLIEST, HOUR
from payaid_entitlements.errors import CatalogInvalid, FlagsInvalid
from tests.core.flags.native import switch

SOLD: dict[str, Any] = {
    "modules": {"crm": {"features": {"export": {"kind": "switch"}}}},
    "features": {"seats": {"kind": "allocation"}},
    "retired": {"crm.fax": "2026-05-01", "old-look": "2026-05-01"},
}
CATALOG = Catalog.load({**SOLD, "segments": {"staff": {"user": {"ends_with": "@payaid.example"}}}})
START = time("2026-12-01T09:00:00+05:30")


def read(data: Mapping[str, object], **others: Flag) -> Flag:
    return read_flag("look", data, catalog=CATALOG, flags=others, segments=CATALOG.segments)


def rollout(data: object) -> Rollout | None:
    return read({"rollout": data}).rules[0].rollout


# --- what means something

SPLIT = (("blue", 1), ("red", 2))
RED_BLUE = {"red": "#f00", "blue": "#00f"}
# fmt: off
FORMS: list[tuple[str, dict[str, Any], Flag]] = [
    ("nothing", {}, switch()),
    ("a percentage", {"rollout": "25%"}, switch(rules=(Rule("rollout", "on", None, Rollout(((EARLIEST, 25_000),))),))),
    ("what people are told", {"title": "Look", "owner": "growth", "remove_by": "2027-03-31", "metadata": {"a": 1, "b": "x", "c": True}},
     switch(title="Look", owner="growth", remove_by=date(2027, 3, 31), metadata={"a": 1, "b": "x", "c": True})),
    ("switched off", {"enabled": False}, switch(enabled=False)),
    ("buckets", {"salt": "s", "bucket_by": "company.id", "fallback": "user"}, switch(salt="s", bucket_by="company.id", fallback="user")),
    ("a variant for everybody", {"serve": "on"}, switch(rules=(Rule("rollout", "on"),))),
    ("the caller's own", {"default": None, "off": None}, switch(default=None, off=None)),
    ("on by default", {"default": "on"}, switch(default="on", off="on")),
    ("on by default, and off", {"default": "on", "off": "off"}, switch(default="on", off="off")),
    ("texts", {"variants": {"red": "#f00", "blue": "#00f"}, "default": "red"}, Flag("look", FlagType.STRING, RED_BLUE, "red", "red", salt="look")),
    ("names", {"variants": ["red", "blue"]}, Flag("look", FlagType.STRING, {"red": "red", "blue": "blue"}, None, None, salt="look")),
    ("whole numbers", {"variants": {"a": 1, "b": 2}}, Flag("look", FlagType.INTEGER, {"a": 1, "b": 2}, None, None, salt="look")),
    ("numbers", {"variants": {"a": 1, "b": Decimal("0.5")}}, Flag("look", FlagType.FLOAT, {"a": 1.0, "b": 0.5}, None, None, salt="look")),
    ("whole floats", {"type": "float", "variants": {"a": 1}}, Flag("look", FlagType.FLOAT, {"a": 1.0}, None, None, salt="look")),
    ("objects", {"variants": {"a": {"x": [1, Decimal("0.5"), None]}, "b": []}}, Flag("look", FlagType.OBJECT, {"a": {"x": [1, 0.5, None]}, "b": []}, None, None, salt="look")),
    ("a switch of one's own", {"variants": {"yes": True, "no": False}, "default": "no", "rollout": "1%"},
     Flag("look", FlagType.BOOLEAN, {"yes": True, "no": False}, "no", "no", salt="look", rules=(Rule("rollout", "yes", None, Rollout(((EARLIEST, 1_000),))),))),
    ("arms", {"variants": RED_BLUE, "split": {"red": 2, "blue": 1}}, Flag("look", FlagType.STRING, RED_BLUE, None, None, salt="look", rules=(Rule("rollout", SPLIT),))),
    ("arms in an order", {"variants": RED_BLUE, "split": [{"red": 1}, {"blue": 1}, {"red": 1}]},
     Flag("look", FlagType.STRING, RED_BLUE, None, None, salt="look", rules=(Rule("rollout", (("red", 1), ("blue", 1), ("red", 1))),))),
    ("arms in percent", {"split": {"on": "33.3%", "off": "66.7%"}}, switch(rules=(Rule("rollout", (("off", 66_700), ("on", 33_300))),))),
    ("rules", {"rules": [{"when": {"plan": "pro"}}, {"id": "x", "serve": "off", "rollout": "5%"}, {"split": {"on": 1}}], "rollout": "1%"},
     switch(rules=(Rule("rule-1", "on", Test("plan", "eq", "pro")), Rule("x", "off", None, Rollout(((EARLIEST, 5_000),))), Rule("rule-3", (("on", 1),)), Rule("rollout", "on", None, Rollout(((EARLIEST, 1_000),)))))),
    ("a rule called rollout, with a condition", {"rules": [{"id": "rollout", "when": {"plan": "pro"}}]}, switch(rules=(Rule("rollout", "on", Test("plan", "eq", "pro")),))),
    ("a rule called rollout before another", {"rules": [{"id": "rollout", "serve": "off"}, {"id": "b"}]}, switch(rules=(Rule("rollout", "off"), Rule("b", "on")))),
    ("prerequisites", {"needs": {"base": "on", "also": ["on", "off"]}}, switch(needs=(Needs("also", frozenset({"on", "off"})), Needs("base", frozenset({"on"}))))),
    ("shares", {"exclusion": {"group": "g", "from": "10%", "to": "0.001%".replace("0.001", "20.001")}, "holdout": {"group": "h", "percent": "5%"}},
     switch(exclusion=Share("g", 10_000, 20_001), holdout=Share("h", 0, 5_000))),
    ("a share up to", {"exclusion": {"group": "g", "to": "50%"}}, switch(exclusion=Share("g", 0, 50_000))),
    ("narrows", {"narrows": ["crm", "crm.export"]}, switch(narrows=("crm", "crm.export"))),
    ("flagd's targeting", {"targeting": {"if": [True, "on"]}, "fractional": "v2"}, switch(targeting={"if": [True, "on"]}, scheme="v2")),
]
ROLLOUTS: list[tuple[str, object, Rollout]] = [
    ("a percentage", "0.001%", Rollout(((EARLIEST, 1),))),
    ("written out", {"percent": "100%"}, Rollout(((EARLIEST, 100_000),))),
    ("steps from an instant", {"steps": ["5%", "25%", "100%"], "hold": "1 day", "from": "2026-12-01T09:00:00+05:30"},
     Rollout(((START, 5_000), (START + DAY, 25_000), (START + 2 * DAY, 100_000)))),
    ("a step from an instant", {"steps": ["5%"], "from": "2026-12-01T03:30:00Z"}, Rollout(((START, 5_000),))),
    ("one step", {"steps": ["5%"]}, Rollout(((EARLIEST, 5_000),))),
    ("guarded", {"steps": ["5%", "100%"], "hold": "1.5 hours", "roll_back_if": "error_rate > 2%"},
     Rollout(((EARLIEST, 5_000), (EARLIEST + 3 * HOUR // 2, 100_000)), Guard((Metric("error_rate", None, 2_000, False),)))),
    ("guarded by several", {"steps": ["5%"], "roll_back_if": ["error_rate > control + 0.5%", "latency p99.9 > 2 seconds"], "samples": 5, "approval": True},
     Rollout(((EARLIEST, 5_000),), Guard((Metric("error_rate", None, 500, True), Metric("latency", 99_900, 2_000_000, False)), 5, True))),
    ("one step that is watched", {"steps": ["5%"], "hold": "1 day", "roll_back_if": "error_rate > 2%"},
     Rollout(((EARLIEST, 5_000),), Guard((Metric("error_rate", None, 2_000, False),)), DAY)),
    ("one step that is watched from an instant", {"steps": ["5%"], "hold": "1 day", "from": "2026-12-01T03:30:00Z", "samples": 5},
     Rollout(((START, 5_000),), Guard((), 5), DAY)),
    ("nobody at first, by hand", {"steps": ["0%", "50%"], "approval": True}, Rollout(((EARLIEST, 0), (EARLIEST, 50_000)), Guard((), 0, True))),
    ("held by people", {"steps": ["5%", "50%"], "approval": True}, Rollout(((EARLIEST, 5_000), (EARLIEST, 50_000)), Guard((), 0, True))),
    ("a guarded percentage", {"percent": "5%", "samples": 3}, Rollout(((EARLIEST, 5_000),), Guard((), 3))),
    ("a schedule", {"schedule": [{"at": "2026-12-01T03:30:00Z", "percent": "5%"}, {"at": "2026-12-01T03:30:00.000001Z", "percent": "6%"}, {"at": "2027-01-01T00:00:00Z", "percent": "7%"}]},
     Rollout(((START, 5_000), (START + 1, 6_000), (time("2027-01-01T00:00:00Z"), 7_000)))),
    ("a schedule from now on", {"schedule": [{"percent": "5%"}, {"at": "2026-12-01T03:30:00Z", "percent": "5%"}]}, Rollout(((EARLIEST, 5_000), (START, 5_000)))),
    ("a guarded schedule", {"schedule": [{"percent": "5%"}, {"at": "2026-12-01T03:30:00Z", "percent": "5%"}], "samples": 1}, Rollout(((EARLIEST, 5_000), (START, 5_000)), Guard((), 1))),
    ("the end of all days", {"schedule": [{"at": "9999-12-31T23:00:00Z", "percent": "5%"}, {"at": "9999-12-31T23:59:59Z", "percent": "6%"}]},
     Rollout(((time("9999-12-31T23:00:00Z"), 5_000), (time("9999-12-31T23:59:59Z"), 6_000)))),
]
CONDITIONS: list[tuple[str, dict[str, Any], Condition]] = [
    ("equal", {"plan": "pro"}, Test("plan", "eq", "pro")),
    ("equal to a number", {"size": Decimal("1.5")}, Test("size", "eq", 1.5)),
    ("one of", {"plan": ["pro", "team"]}, Test("plan", "in", ["pro", "team"])),
    ("an operator", {"company.size": {"gte": 50}}, Test("company.size", "gte", 50)),
    ("two operators", {"size": {"lt": 500, "gte": 50}}, All((Test("size", "gte", 50), Test("size", "lt", 500)))),
    ("two attributes", {"plan": "pro", "country": "IN"}, All((Test("country", "eq", "IN"), Test("plan", "eq", "pro")))),
    ("one of all", {"all": [{"plan": "pro"}]}, All((Test("plan", "eq", "pro"),))),
    ("any", {"any": [{"plan": "pro"}, {"not": {"segment": "staff"}}]}, AnyOf((Test("plan", "eq", "pro"), Not(Segment("staff"))))),
    ("written out", {"attribute": "any", "in": ["x"]}, Test("any", "in", ["x"])),
    ("written out, with two", {"attribute": "size", "lt": 5, "exists": True}, All((Test("size", "exists", True), Test("size", "lt", 5)))),
    ("in one text", {"ip": {"cidr": "10.0.0.0/8"}}, Test("ip", "cidr", "10.0.0.0/8")),
]
# fmt: on


@pytest.mark.parametrize(("data", "flag"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS])
def test_what_is_written_means_a_flag(data: dict[str, Any], flag: Flag) -> None:
    """In a catalog and alone, and what is written of it means the same flag again."""
    others = {"base": switch("base"), "also": switch("also")}
    assert read(data, **others) == flag
    assert read(written(flag), **others) == flag
    assert type_of_variants(read(data, **others)) == type_of_variants(flag)
    catalog = Catalog.load({**SOLD, "flags": {"look": data, "base": {"rollout": "1%"}, "also": {"rollout": "1%"}}})
    assert catalog.flags["look"] == flag
    assert Catalog.load(catalog.document) == catalog
    assert json.loads(json.dumps(written(flag), allow_nan=False)) == written(flag)


def type_of_variants(flag: Flag) -> set[type]:
    return {type(value) for value in flag.variants.values()}


@pytest.mark.parametrize(("data", "found"), [row[1:] for row in ROLLOUTS], ids=[row[0] for row in ROLLOUTS])
def test_what_is_written_means_a_rollout(data: object, found: Rollout) -> None:
    """A percentage, steps or a schedule; and back."""
    assert rollout(data) == found
    assert read(written(switch(rules=(Rule("rollout", "on", None, found),)))).rules[0].rollout == found


@pytest.mark.parametrize(("data", "condition"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS])
def test_what_is_written_means_a_condition(data: dict[str, Any], condition: Condition) -> None:
    """Compact or written out; and back."""
    flag = read({"rules": [{"when": data}]})
    assert flag.rules[0].when == condition
    assert read(written(flag)) == flag


def test_segments_name_one_another() -> None:
    """In any order; and they are part of the catalog."""
    catalog = Catalog.load({"segments": {"a": {"segment": "b"}, "b": {"plan": "pro"}}})
    assert catalog.segments == {"a": Segment("b"), "b": Test("plan", "eq", "pro")}


def test_the_order_of_a_mapping_says_nothing() -> None:
    """Who gets which arm is not moved by sorting the file."""
    one = read({"variants": {"a": 1, "b": 2}, "split": {"a": 1, "b": 3}})
    other = read({"split": {"b": 3, "a": 1}, "variants": {"b": 2, "a": 1}})
    assert one == other
    assert one.rules == other.rules


# --- mistakes

RIGHT = """\
modules:
  crm: {features: {export: {kind: switch}}}
plans:
  free: {modules: [crm], features: {crm.export: true}}
retired: {crm.fax: 2026-05-01}
segments:
  staff: {user: {ends_with: "@payaid.example"}}
flags:
  base:
    rollout: 50%
  look:
    variants: {red: '#f00', blue: '#00f'}
    rules: [{when: {plan: pro}, serve: red}]
  hide:
    needs: {base: on}
    rollout: {steps: [5%, 50%], hold: 1 day, from: 2026-12-01T09:00:00Z}
"""
BASE, WHEN, ROLLED = "rollout: 50%", "{plan: pro}", "{steps: [5%, 50%], hold: 1 day, from: 2026-12-01T09:00:00Z}"
VARIANTS, STAFF, NEEDS = "variants: {red: '#f00', blue: '#00f'}", '{user: {ends_with: "@payaid.example"}}', "{base: on}"
RULES = "rules: [{when: {plan: pro}, serve: red}]"


def problems(text: str) -> list[Problem]:
    try:
        catalog = Catalog.loads(text, file="catalog.yaml")
    except CatalogInvalid as error:
        return list(error.problems)
    return list(catalog.lints)


def test_the_catalog_that_the_cases_start_from_is_right() -> None:
    """A catalog without a mistake has no problem, fatal or not."""
    assert problems(RIGHT) == []


# fmt: off
MISTAKES: list[tuple[str, str, str, str, int, tuple[str, ...]]] = [
    # --- shapes
    ("a number", BASE, "rollout: 50", "wrong.type", 10, ("write a percentage such as `25%`, not the number 50",)),
    ("unknown field", BASE, "rolout: 50%", "unknown.field", 10, ("flags.base has no 'rolout'", "'rollout'")),
    ("unknown field of a rollout", ROLLED, "{step: [5%]}", "unknown.field", 16, ("'step'", "'steps'")),
    ("unknown field that is long for from", ROLLED, "{frm: x, steps: [5%]}", "unknown.field", 16, ("'from'",)),
    ("unknown field of a rule", "serve: red", "serv: red", "unknown.field", 13, ("'serve'",)),
    ("unknown field of a schedule", ROLLED, "{schedule: [{when: 2026-12-01T09:00:00Z, percent: 5%}]}", "unknown.field", 16, ("it has at, percent",)),
    ("unknown field of a share", BASE, "holdout: {group: g, percnt: 5%}", "unknown.field", 10, ("'percent'",)),
    ("a list of variants of numbers", VARIANTS, "variants: [1, 2]", "wrong.type", 12, ("`[red, blue]`",)),
    ("no variants", VARIANTS, "variants: {}", "wrong.type", 12, ("not nothing",)),
    ("an empty condition", WHEN, "{}", "wrong.type", 13, ("write a condition such as",)),
    ("arms of nothing", "serve: red", "split: {}", "wrong.type", 13, ("`{red: 1, blue: 1}`",)),
    ("arms of two", "serve: red", "split: [{red: 1, blue: 1}]", "wrong.type", 13, ("`{red: 1, blue: 1}`",)),
    ("needs nothing", NEEDS, "{base: []}", "wrong.type", 15, ("write text or a list of texts",)),
    ("samples of none", "hold: 1 day", "samples: 0", "wrong.value", 16, ("greater than or equal to 1",)),
    ("type", VARIANTS, f"type: str\n    {VARIANTS}", "wrong.value", 12, ("string",)),
    # --- variants
    ("mixed types", VARIANTS, "variants: {red: '#f00', blue: 1}", "flag.mixed", 12, ("'red' is text, 'blue' is a whole number",)),
    ("another type", VARIANTS, f"type: integer\n    {VARIANTS}", "flag.mixed", 12, ("of type integer, but its variants are text",)),
    ("a type and no variants", BASE, f"type: string\n    {BASE}", "flag.variants", 9, ("has no variants",)),
    ("a variant that is nothing", VARIANTS, "variants: {red: '#f00', blue: null}", "flag.variants", 12, ("'blue' is worth nothing",)),
    ("unknown default", VARIANTS, f"default: rd\n    {VARIANTS}", "unknown.variant", 12, ("'rd'", "did you mean 'red'")),
    ("unknown off", VARIANTS, f"off: none\n    {VARIANTS}", "unknown.variant", 12, ("there are blue, red",)),
    ("unknown variant of a rule", "serve: red", "serve: green", "unknown.variant", 13, ("rule 'rule-1' names the variant 'green'",)),
    ("unknown variant of a split", "serve: red", "split: {red: 1, bleu: 1}", "unknown.variant", 13, ("did you mean 'blue'",)),
    # --- rules
    ("serve and split", "serve: red", "serve: red, split: {red: 1}", "rule.unclear", 13, ("keep one",)),
    ("what does it give", ", serve: red", "", "rule.unclear", 13, ("write `serve` or `split`",)),
    ("weights of nobody", "serve: red", "split: {red: 0}", "split.weight", 13, ("more than 0 together",)),
    ("weights without end", "serve: red", "split: {red: 2147483648}", "split.weight", 13, ("at most 2,147,483,647",)),
    ("a negative weight", "serve: red", "split: {red: -1}", "split.weight", 13, ("from 0",)),
    ("half a weight", "serve: red", "split: {red: 0.5}", "split.weight", 13, ("the number 0.5",)),
    ("percentages that make no 100", "serve: red", "split: {red: 50%, blue: 49.9%}", "split.weight", 13, ("make 100% together, not 99.9%",)),
    ("percentages and weights", "serve: red", "split: {red: 50%, blue: 50000}", "split.weight", 13, ("make 100% together",)),
    ("a weight that is no percentage", "serve: red", "split: {red: half}", "wrong.quantity", 13, ("rule 'rule-1', split",)),
    ("two rules of one name", RULES, "rules: [{id: a, serve: red}, {id: a, serve: red}]", "rule.twice", 13, ("two rules 'a'",)),
    ("two rollouts by name", BASE, f"rules: [{{id: rollout}}]\n    {BASE}", "rule.twice", 10, ("two rules 'rollout'",)),
    ("two guards", BASE, "rules: [{rollout: {percent: 1%, samples: 5}}, {rollout: {percent: 1%, samples: 5}}]", "rollout.guards", 9, ("one at a time",)),
    # --- rollouts
    ("too fine", BASE, "rollout: 0.0001%", "wrong.quantity", 10, ("finer than 0.001%",)),
    ("too much", BASE, "rollout: 100.001%", "wrong.quantity", 10, ("more than 100%",)),
    ("no percentage", BASE, "rollout: half", "wrong.quantity", 10, ("such as `25%`",)),
    ("too fine a step", "5%, 50%", "5%, 50.12345%", "wrong.quantity", 16, ("finer than 0.001%",)),
    ("too fine a percent", ROLLED, "{percent: 0.00001%}", "wrong.quantity", 16, ("finer",)),
    ("too fine an entry", ROLLED, "{schedule: [{percent: 0.00001%}]}", "wrong.quantity", 16, ("finer",)),
    ("shrinks", "5%, 50%", "50%, 5%", "rollout.shrinks", 16, ("shrinks from 50% to 5%", "kill it")),
    ("two ways", ROLLED, "{percent: 5%, steps: [5%]}", "rollout.unclear", 16, ("`percent` and `steps`",)),
    ("no way", ROLLED, "{approval: true}", "rollout.unclear", 16, ("says nothing",)),
    ("hold of a percentage", ROLLED, "{percent: 5%, hold: 1 day}", "rollout.unclear", 16, ("only `steps` have `hold` and `from`",)),
    ("no steps", "5%, 50%", "", "rollout.unclear", 16, ("has no steps",)),
    ("no hold", "hold: 1 day, ", "", "rollout.unclear", 16, ("how long a step lasts",)),
    ("no begin", ", from: 2026-12-01T09:00:00Z", "", "rollout.unclear", 16, ("when its first step begins",)),
    ("hold of no time", "1 day", "0 days", "rollout.unclear", 16, ("no time at all",)),
    ("hold of a month", "1 day", "1 month", "wrong.quantity", 16, ("no fixed length",)),
    ("from soon", "2026-12-01T09:00:00Z", "soon", "wrong.quantity", 16, ("such as 2026-12-01T09:00:00+05:30",)),
    ("from no zone", "2026-12-01T09:00:00Z", "2026-12-01T09:00:00", "wrong.quantity", 16, ("no time zone",)),
    ("from before time", "2026-12-01T09:00:00Z", "0001-01-01T00:00:00+05:00", "wrong.quantity", 16, ("years 1 to 9999",)),
    ("after all days", "1 day", "2000000 days", "rollout.unclear", 16, ("after the year 9999",)),
    ("an empty schedule", ROLLED, "{schedule: []}", "rollout.unclear", 16, ("an empty schedule",)),
    ("a schedule backwards", ROLLED, "{schedule: [{at: 2026-12-02T09:00:00Z, percent: 5%}, {at: 2026-12-01T09:00:00Z, percent: 6%}]}", "rollout.order", 16, ("later than the one before",)),
    ("a schedule of no time", ROLLED, "{schedule: [{percent: 5%}, {percent: 6%}]}", "rollout.unclear", 16, ("only the first",)),
    ("a schedule at noon", ROLLED, "{schedule: [{at: noon, percent: 5%}]}", "wrong.quantity", 16, ("write a time",)),
    ("a bound of nothing", "hold: 1 day", "hold: 1 day, roll_back_if: error_rate", "wrong.quantity", 16, ("`error_rate > 2%`",)),
    ("watched for no time", ROLLED, "{percent: 5%, roll_back_if: error_rate > 2%}", "rollout.unclear", 16, ("how long it is watched", "`steps: [5%]` with `hold: 1 day`")),
    ("one step that is watched for no time", ROLLED, "{steps: [5%], roll_back_if: error_rate > 2%}", "rollout.unclear", 16, ("how long it is watched",)),
    ("one entry that is watched for no time", ROLLED, "{schedule: [{percent: 5%}], roll_back_if: error_rate > 2%}", "rollout.unclear", 16, ("how long it is watched",)),
    ("nobody is measured", ROLLED, "{steps: [0%, 50%], hold: 1 day, roll_back_if: error_rate > 2%}", "rollout.nobody", 16, ("in a step of 0% nobody is in", "begin with more")),
    ("nobody is a sample", ROLLED, "{steps: [0%, 50%], samples: 5}", "rollout.nobody", 16, ("in a step of 0% nobody is in",)),
    # --- conditions
    ("unknown operator", WHEN, "{plan: {equals: pro}}", "unknown.operator", 13, ("'equals'", "there are eq, neq")),
    ("near operator", WHEN, "{plan: {start_with: pro}}", "unknown.operator", 13, ("did you mean 'starts_with'",)),
    ("compared with nothing", WHEN, "{plan: {}}", "condition.empty", 13, ("'plan' is compared with nothing",)),
    ("one of nothing", WHEN, "{plan: []}", "condition.empty", 13, ("`in` of an empty list",)),
    ("equal to nothing", WHEN, "{plan: null}", "wrong.quantity", 13, ("attribute 'plan'",)),
    ("all of nothing", WHEN, "{all: []}", "condition.empty", 13, ("`all` takes a list of conditions",)),
    ("any of a mapping", WHEN, "{any: {plan: pro}}", "condition.empty", 13, ("`any` takes a list",)),
    ("not nothing", WHEN, "{not: {}}", "condition.empty", 13, ("write a condition",)),
    ("not a text", WHEN, "{not: pro}", "condition.empty", 13, ("not the text 'pro'",)),
    ("any of texts", WHEN, "{any: [pro]}", "condition.empty", 13, ("not the text 'pro'",)),
    ("unknown segment", WHEN, "{segment: stuff}", "unknown.segment", 13, ("did you mean 'staff'",)),
    ("a segment of two", WHEN, "{segment: [staff]}", "wrong.type", 13, ("names a segment",)),
    ("written out without an operator", WHEN, "{attribute: plan}", "condition.empty", 13, ("with one operator or more",)),
    ("written out without a name", WHEN, "{attribute: 5, eq: 5}", "condition.empty", 13, ("`{attribute: plan, in: [pro]}`",)),
    ("no path", WHEN, "{plan.: pro}", "condition.attribute", 13, ("`company.size`",)),
    ("flagd's own", WHEN, "{$flagd.timestamp: 5}", "condition.attribute", 13, ("'$flagd.timestamp'",)),
    ("a broken pattern", WHEN, "{plan: {matches: '('}}", "wrong.quantity", 13, ("pattern",)),
    ("a number with a text", WHEN, "{plan: {lt: pro}}", "wrong.quantity", 13, ("a number",)),
    ("a deep mistake", WHEN, "{all: [{plan: pro}, {any: [{plan: {like: x}}]}]}", "unknown.operator", 13, ("'like'",)),
    ("a segment with a mistake", STAFF, "{user: {like: x}}", "unknown.operator", 7, ("'like'",)),
    ("a circle of segments", STAFF, "{segment: staff}", "segment.cycle", 7, ("segment 'staff' names 'staff'",)),
    ("a segment's key", "  staff: {user", "  Staff: {user", "key.malformed", 7, ("write 'staff'",)),
    # --- what it names
    ("unknown prerequisite", NEEDS, "{bass: on}", "unknown.flag", 15, ("did you mean 'base'",)),
    ("unknown variant of a prerequisite", NEEDS, "{base: [onn]}", "unknown.variant", 15, ("needs 'base' to be 'onn'", "did you mean 'on'")),
    ("a circle", BASE, "needs: {hide: on}", "flag.cycle", 10, ("flag 'base' needs 'hide' needs 'base'",)),
    ("narrows nothing", BASE, "narrows: [crm.exprt]", "unknown.feature", 10, ("'crm.export'",)),
    ("narrows what was retired", BASE, "narrows: [crm.fax]", "key.retired", 10, ("retired on 2026-05-01",)),
    ("narrows twice", BASE, "narrows: [crm, crm]", "entry.twice", 10, ("once is enough",)),
    ("narrows by a text", VARIANTS, f"narrows: [crm]\n    {VARIANTS}", "flag.narrows", 12, ("must say true or false",)),
    ("opens when it is killed", BASE, "narrows: [crm]\n    off: on", "flag.narrows", 10, ("`off` is false", "who kills it")),
    ("narrows by the caller's own", BASE, "narrows: [crm]\n    default: null", "flag.narrows", 10, ("`default` and `off`",)),
    ("bucket by nothing", BASE, "bucket_by: company.", "condition.attribute", 10, ("`company.id`",)),
    ("fallback to nothing", BASE, "fallback: .id", "condition.attribute", 10, ("`company.id`",)),
    ("remove by then", BASE, "remove_by: then", "wrong.quantity", 10, ("remove_by",)),
    ("metadata of a list", BASE, "metadata: {a: []}", "flag.metadata", 10, ("metadata is text",)),
    # --- shares
    ("a share of both", BASE, "holdout: {group: g, percent: 5%, to: 6%}", "share.unclear", 10, ("percent: 5%",)),
    ("a share of neither", BASE, "holdout: {group: g}", "share.unclear", 10, ("percent: 5%",)),
    ("a share from", BASE, "holdout: {group: g, from: 5%, percent: 6%}", "share.unclear", 10, ("percent: 5%",)),
    ("a share of nobody", BASE, "holdout: {group: g, from: 5%, to: 5%}", "share.empty", 10, ("from 5% to 5% is nobody",)),
    ("a share of no percentage", BASE, "holdout: {group: g, from: x, to: 5%}", "wrong.quantity", 10, ("holdout",)),
    ("shares that overlap", BASE, "exclusion: {group: g, to: 50.001%}\n  other:\n    exclusion: {group: g, from: 50%, to: 100%}", "exclusion.overlap", 12, ("'base' and 'other'", "50% to 50.001%")),
    ("shares by different ids", BASE, "exclusion: {group: g, to: 50%}\n  other:\n    bucket_by: user\n    exclusion: {group: g, from: 50%, to: 100%}", "exclusion.bucket_by", 13, ("by tenant and by user",)),
    # --- targeting
    ("targeting beside rules", BASE, f"targeting: {{if: [true, 'on']}}\n    {BASE}", "flag.targeting", 10, ("keep one of them",)),
    ("targeting with an unknown operator", BASE, "targeting: {iff: [true, 'on']}", "unknown.operator", 10, ("iff",)),
    # --- keys
    ("a feature's key", "  hide:\n", "  crm:\n", "key.taken", 14, ("is a module",)),
    ("nothing ever changes", BASE, "title: Base", "flag.empty", 9, ("never changes anything",)),
]
# fmt: on


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "says"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_a_mistake_is_named_with_its_line_and_a_way_out(
    old: str, new: str, code: str, line: int, says: tuple[str, ...]
) -> None:
    """Each mistake has its own code, the line where it was made, and a message that says what to write."""
    assert old in RIGHT
    found = [problem for problem in problems(RIGHT.replace(old, new, 1)) if problem.code == code]
    assert [(problem.line, problem.fatal) for problem in found][:1] == [(line, code != "flag.empty")]
    for text in says:
        assert text in str(found[0])


def test_one_mistake_makes_no_other() -> None:
    """What has the wrong shape is left out, and what names it is not wrong for that."""
    found = problems(RIGHT.replace(VARIANTS, "variants: 5").replace("serve: red", "serve: green"))
    assert [problem.code for problem in found] == ["wrong.type"]
    found = problems(RIGHT.replace(VARIANTS, "variants: 5").replace("serve: red", "split: {green: 1}"))
    assert [problem.code for problem in found] == ["wrong.type"]
    found = problems(RIGHT.replace(VARIANTS, "variants: 5").replace(", serve: red", ""))
    assert [problem.code for problem in found] == ["wrong.type"]
    found = problems(RIGHT.replace(STAFF, "5").replace(WHEN, "{segment: staff}"))
    assert [problem.code for problem in found] == ["wrong.type"]


def test_all_mistakes_are_told_at_once() -> None:
    """Of one flag and of several."""
    text = RIGHT.replace("serve: red", "serve: green").replace(WHEN, "{plan: {like: x}}").replace(BASE, "rollout: 101%")
    assert {problem.code for problem in problems(text)} == {"unknown.variant", "unknown.operator", "wrong.quantity"}


# --- one flag

# fmt: off
ALONE: list[tuple[str, str, object, str, str]] = [
    ("no mapping", "look", 5, "wrong.type", "should be a mapping"),
    ("a shape", "look", {"rolout": 5}, "unknown.field", "'rollout'"),
    ("a key", "Look", {}, "key.malformed", "write 'look'"),
    ("a key of a module", "crm", {}, "key.taken", "is a module"),
    ("a key of a feature", "seats", {}, "key.taken", "is a feature"),
    ("a key that was retired", "old-look", {}, "key.retired", "2026-05-01"),
    ("a key like another flag's", "new_base", {}, "key.confusable", "the flag 'new-base'"),
    ("an unknown prerequisite", "look", {"needs": {"bass": "on"}}, "unknown.flag", "'base'"),
    ("itself", "look", {"needs": {"look": "on"}}, "flag.cycle", "must stand alone"),
    ("a circle", "base", {"needs": {"new-base": "on"}}, "flag.cycle", "must stand alone"),
    ("a variant", "look", {"needs": {"base": "red"}}, "unknown.variant", "needs 'base' to be 'red'"),
    ("an overlap", "look", {"exclusion": {"group": "g", "percent": "50.1%"}}, "exclusion.overlap", "both have"),
    ("an unknown segment", "look", {"rules": [{"when": {"segment": "x"}}]}, "unknown.segment", "'x'"),
    ("narrows", "look", {"narrows": ["crm.exprt"]}, "unknown.feature", "'crm.export'"),
    ("no JSON", "look", {"metadata": {"a": object()}}, "no.json", "is no JSON"),
]
# fmt: on
OTHERS = {
    "base": switch("base", exclusion=Share("g", 50_000, 60_000)),
    "new-base": switch("new-base", needs=(Needs("base", frozenset({"on"})),), exclusion=Share("g", 55_000, 60_000)),
}


@pytest.mark.parametrize(("key", "data", "code", "says"), [row[1:] for row in ALONE], ids=[row[0] for row in ALONE])
def test_a_flag_alone_is_checked_among_the_others(key: str, data: Any, code: str, says: str) -> None:
    """What is wrong because of it is told, and what was wrong before is not."""
    with pytest.raises(FlagsInvalid) as error:
        read_flag(key, data, catalog=CATALOG, flags=OTHERS, segments=CATALOG.segments)
    assert [(problem.code, says in problem.message) for problem in error.value.problems] == [(code, True)]


def test_what_was_wrong_before_is_no_fault_of_this_one() -> None:
    """Two other flags overlap: that keeps nobody from defining a third."""
    assert read_flag("look", {"rollout": "5%"}, catalog=CATALOG, flags=OTHERS).key == "look"


def test_numbers_of_python_are_numbers() -> None:
    """A float that came out of JSON, and a Decimal that came out of a file."""
    flag = read({"variants": {"a": 0.1, "b": Decimal("1e-7")}})
    assert flag.variants == {"a": 0.1, "b": 1e-07}


def test_what_is_no_json_is_a_fault_of_the_program() -> None:
    """Readers let nothing of the kind through."""
    with pytest.raises(TypeError, match="a Python object is no JSON data"):
        exact(object())


def test_the_schema_knows_every_form() -> None:
    """Editors accept what reading accepts."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(catalog_schema())
    for _, data, _ in FORMS:
        validator.validate(json.loads(json.dumps({"flags": {"look": data}}, default=float)))
    for _, each, _ in ROLLOUTS:
        validator.validate({"flags": {"look": {"rollout": each}}})
    wrongs: list[dict[str, object]] = [
        {"rollout": 5},
        {"rollout": {"steps": "5%"}},
        {"variants": []},
        {"split": []},
        {"narrows": 5},
    ]
    for wrong in wrongs:
        assert not validator.is_valid({"flags": {"look": wrong}})


# --- whatever is written

NAMES = st.sampled_from(["on", "off"])
PERCENTS = st.integers(0, 100_000).map(lambda parts: f"{parts // 1000}.{parts % 1000:03}%")
VALUES = {
    "eq": st.sampled_from(["pro", 5, True]),
    "in": st.lists(st.sampled_from(["pro", "team", 5]), min_size=1, max_size=3),
    "exists": st.booleans(),
    "lt": st.integers(-5, 5),
}
TESTS = st.sampled_from(sorted(VALUES)).flatmap(lambda operator: VALUES[operator].map(lambda value: {operator: value}))
DATA = st.recursive(
    st.dictionaries(st.sampled_from(["plan", "user", "company.size"]), TESTS, min_size=1, max_size=2)
    | st.just({"segment": "staff"})
    | st.just({"attribute": "all", "eq": 1}),
    lambda inner: (
        st.builds(lambda each: {"not": each}, inner)
        | st.builds(lambda each: {"any": each}, st.lists(inner, min_size=1, max_size=2))
        | st.builds(lambda each, plan: {"all": each, "plan": plan}, st.lists(inner, min_size=1, max_size=2), TESTS)
    ),
    max_leaves=4,
)
ROLLED_OUT = PERCENTS | st.builds(
    lambda steps, hold, approval: {
        "steps": sorted(steps, key=lambda each: float(each[:-1])),
        "hold": hold,
        "from": "2026-12-01T09:00:00Z",
        "approval": approval,
    },
    st.lists(PERCENTS, min_size=1, max_size=4),
    st.sampled_from(["1 day", "90 seconds", "0.000001 seconds"]),
    st.booleans(),
)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "serve": NAMES,
        "rollout": ROLLED_OUT,
    },
)
RULES_DATA = st.lists(
    st.builds(
        lambda when, given: {"when": when, **given},
        DATA,
        st.fixed_dictionaries({}, optional={"serve": NAMES, "rollout": PERCENTS}),
    )
    | st.builds(lambda a, b: {"split": [{"on": a}, {"off": b}]}, st.integers(1, 9), st.integers(0, 9)),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(GIVEN, RULES_DATA, st.none() | NAMES, st.booleans(), st.sampled_from(["tenant", "company.id"]))
def test_what_is_written_of_a_flag_is_read_as_the_same(
    own: dict[str, Any], rules: list[Any], default: str | None, enabled: bool, by: str
) -> None:
    """Exactly, whatever was written at first; writing it again gives the same."""
    flag = read({**own, "rules": rules, "default": default, "enabled": enabled, "bucket_by": by})
    again = read(written(flag))
    assert again == flag
    assert written(again) == written(flag)


def test_every_operator_can_be_written() -> None:
    """The table that documents them is whole."""
    values: dict[str, Any] = {
        **dict.fromkeys(OPERATORS, "1.2.3"),
        "in": ["a"],
        "not_in": ["a"],
        **dict.fromkeys(("lt", "lte", "gt", "gte"), 5),
        **dict.fromkeys(("before", "after"), "2026-12-01"),
        "cidr": ["10.0.0.0/8"],
        "exists": False,
    }
    for operator, value in values.items():
        flag = read({"rules": [{"when": {"x": {operator: value}}}]})
        assert flag.rules[0].when == Test("x", operator, value)
        assert read(written(flag)) == flag
