"""Every problem that a catalog can have: its code, its line, and the way out that it names."""

# ruff: noqa: E501 - a case is a line, so that the table reads like one

from __future__ import annotations

import pytest

from payaid_entitlements.core.catalog import Catalog, Problem
from payaid_entitlements.errors import CatalogInvalid

#: A small catalog that is right, which each case makes wrong by one line.
RIGHT = """\
modules:
  crm:
    features:
      export: {kind: switch}
      calls: {kind: quota, unit: call}
      colour: {kind: config, type: choice, choices: [red, green], merge: max}
features:
  seats: {kind: allocation}
  coins: {kind: credit, pays_for: {crm.calls: 2}}
  rows: {kind: config, type: int, merge: max}
  space: {kind: config, type: size, merge: max}
  pause: {kind: config, type: duration, merge: min}
  share: {kind: config, type: decimal, merge: max}
  motto: {kind: config, type: string}
  hosts: {kind: config, type: list}
  shiny: {kind: config, type: bool, merge: max}
plans:
  free: {modules: [crm], features: {seats: 2, rows: 1, space: 1 GB, pause: 1 day, share: 0.5, motto: hi, hosts: [a], shiny: true}}
  pro:
    extends: free
    price: {monthly: 9.99, currency: EUR}
    features: {crm.export: true, crm.calls: 100/month, crm.colour: green, coins: 5/month}
    rate_limits: {api: 10/minute}
add_ons:
  more: {increment: {seats: 5}}
rate_limits:
  api: {per: tenant, default: 1/minute}
flags:
  new-look: {rollout: {steps: [5%]}}
retired: {crm.fax: 2026-05-01}
"""


def problems(text: str, format: str = "yaml") -> list[Problem]:
    try:
        catalog = Catalog.loads(text, format, file="catalog.yaml")  # type: ignore[arg-type]  # of a table
    except CatalogInvalid as error:
        return list(error.problems)
    return list(catalog.lints)


def test_the_catalog_that_the_cases_start_from_is_right() -> None:
    """A catalog without a mistake has no problem, fatal or not."""
    assert problems(RIGHT) == []


def case(name: str, old: str, new: str, code: str, line: int | None, *says: str) -> object:
    return pytest.param(old, new, code, line, says, id=name)


PLAN = "    extends: free\n"
SEATS = "  seats: {kind: allocation}\n"
FLAG = "  new-look: {rollout: {steps: [5%]}}\n"
MORE = "  more: {increment: {seats: 5}}\n"
CALLS = "calls: {kind: quota, unit: call}"
COLOUR = "{kind: config, type: choice, choices: [red, green], merge: max}"
API = "  api: {per: tenant, default: 1/minute}\n"
PRICE = "{monthly: 9.99, currency: EUR}"
ROWS = "rows: {kind: config, type: int, merge: max}"
COINS = "{kind: credit, pays_for: {crm.calls: 2}}"

#: What does not keep a catalog from being used.
LINTS = {
    "module.unsold",
    "feature.unsold",
    "add_on.empty",
    "flag.empty",
    "credit.unused",
    "catalog.no_plans",
    "entry.twice",
}

# fmt: off
CASES = [
    # --- shape
    case("misspelt section", "add_ons:", "addons:", "unknown.field", 24, "has no 'addons'", "did you mean 'add_ons'"),
    case("misspelt field", "extends: free", "extend: free", "unknown.field", 20, "plans.pro has no 'extend'", "'extends'"),
    case("field of another kind", "{kind: allocation}", "{kind: allocation, window: calendar}", "unknown.field", 8, "only a quota or a credit has"),
    case("field of a price", PRICE, "{month: 9, currency: EUR}", "unknown.field", 21, "did you mean 'monthly'"),
    case("field of a rollover", CALLS, "calls: {kind: quota, rollover: {maxx: 3}}", "unknown.field", 5, "did you mean 'max'"),
    case("field of a rollover that kinds have", CALLS, "calls: {kind: quota, rollover: {unit: 3}}", "unknown.field", 5, "it has min, max"),
    case("field of a feature called as its kind", CALLS, "calls: {kind: quota, quota: {quota: 3}}", "unknown.field", 5, "quota"),
    case("field of a limit", "per: tenant, d", "pre: tenant, d", "unknown.field", 27, "did you mean 'per'"),
    case("no kind", "{kind: allocation}", "{unit: seat}", "missing.field", 8, "features.seats lacks 'kind'", "allocation"),
    case("wrong kind", "{kind: allocation}", "{kind: alocation}", "wrong.value", 8, "did you mean 'allocation'"),
    case("kind is no text", "{kind: allocation}", "{kind: 5}", "wrong.value", 8, "one of switch, config"),
    case("no type", COLOUR, "{kind: config, merge: max}", "missing.field", 6, "modules.crm.features.colour lacks 'type'"),
    case("wrong type word", "type: int", "type: integer", "wrong.value", 10, "did you mean 'int'"),
    case("feature is no mapping", "{kind: allocation}", "5", "wrong.type", 8, "the number 5", "should be a mapping"),
    case("section is no mapping", "retired: {crm.fax: 2026-05-01}", "retired: [crm.fax]", "wrong.type", 30, "a list"),
    case("empty plan", "add_ons:\n" + MORE, "add_ons:\n  more:\n", "wrong.type", 25, "add_ons.more is nothing"),
    case("modules are no list", "modules: [crm]", "modules: crm", "wrong.type", 18, "the text 'crm'", "a list"),
    case("title is no text", "{kind: allocation}", "{kind: allocation, title: 5}", "wrong.type", 8, "should be text"),
    case("requires a number", "export: {kind: switch}", "export: {kind: switch, requires: [crm.calls, 5]}", "wrong.type", 4, "requires[1]"),
    case("title is empty", "{kind: allocation}", "{kind: allocation, title: ''}", "wrong.value", 8, "at least 1"),
    case("quantity is no number", MORE, "  more: {increment: {seats: 5}, max_quantity: two}\n", "wrong.type", 25, "whole"),
    case("value is a mapping", "coins: 5/month", "coins: {a: 1}", "wrong.type", 22, "a mapping"),
    case("rate is a number", "api: 10/minute", "api: 10", "wrong.type", 23, "the number 10"),
    case("price is text", "9.99", "much", "wrong.type", 21, "write a number, not the text 'much'"),
    case("newer format", "retired:", "catalog: 2\nretired:", "catalog.version", 30, "reads `catalog: 1`, not the number 2"),
    # --- keys
    case("key in capitals", "  free: {", "  Free: {", "key.malformed", 18, "'Free'", "write 'free'"),
    case("key of nothing", MORE, "  '!': {increment: {seats: 5}}\n", "key.malformed", 25, "small letters"),
    case("feature with a dot", SEATS, SEATS + "  a.b: {kind: switch}\n", "key.malformed", 9, "feature key 'a.b'"),
    case("module and feature", SEATS, SEATS + "  crm: {kind: switch}\n", "key.taken", 9, "a module in line 2", "feature too"),
    case("flag and feature", FLAG, FLAG + "  seats: {rollout: 5}\n", "key.taken", 30, "a feature in line 8", "flag too"),
    case("confusable flags", FLAG, FLAG + "  new_look: {rollout: 5}\n", "key.confusable", 30, "'new-look' in line 29", "NEW_LOOK"),
    case("confusable over the dot", SEATS, SEATS + "  crm_export: {kind: switch}\n", "key.confusable", 9, "'crm.export' in line 4"),
    case("confusable plans", "add_ons:", "  p-1: {}\n  p_1: {}\nadd_ons:", "key.confusable", 25, "'p-1' in line 24"),
    case("retired key again", CALLS, CALLS + "\n      fax: {kind: switch}", "key.retired", 6, "'crm.fax' was retired on 2026-05-01"),
    case("retired key named", "crm.export: true", "crm.fax: true", "key.retired", 22, "plan 'pro' names 'crm.fax'", "remove it"),
    case("retired is no key", "{crm.fax: 2", "{'CRM fax': 2", "key.malformed", 30, "'CRM fax' was never a key"),
    case("retired on no day", "2026-05-01", "2026-05-32", "wrong.quantity", 30, "2027-03-31", "2026-05-32"),
    case("a plan called none", "add_ons:", "  none: {}\nadd_ons:", "key.reserved", 24, "no plan at all"),
    # --- names
    case("unknown feature", "crm.export: true", "crm.exprot: true", "unknown.feature", 22,
         "plan 'pro' names the feature 'crm.exprot', which no module defines; did you mean 'crm.export'?"),
    case("unknown bare feature", "seats: 2", "seets: 2", "unknown.feature", 18, "did you mean 'seats'"),
    case("unknown module", "modules: [crm]", "modules: [cmr]", "unknown.module", 18, "did you mean 'crm'"),
    case("unknown parent", "extends: free", "extends: fre", "unknown.plan", 20, "did you mean 'free'"),
    case("unknown limit", "api: 10/minute", "appi: 10/minute", "unknown.rate_limit", 23, "did you mean 'api'"),
    case("unknown requirement", "export: {kind: switch}", "export: {kind: switch, requires: [seets]}", "unknown.feature", 4,
         "feature 'crm.export'", "did you mean 'seats'"),
    case("module requires unknown", "  crm:\n", "  crm:\n    requires: [hr]\n", "unknown.feature", 3, "module 'crm'"),
    case("unknown paid feature", "pays_for: {crm.calls: 2}", "pays_for: {crm.call: 2}", "unknown.feature", 9, "'crm.calls'"),
    case("unknown plan of an add-on", "{seats: 5}}", "{seats: 5}, for_plans: [proo]}", "unknown.plan", 25, "add-on 'more'", "'pro'"),
    case("unknown module of an add-on", "{seats: 5}}", "{seats: 5}, modules: [crn]}", "unknown.module", 25, "'crm'"),
    case("unknown feature of an add-on", "{seats: 5}}", "{seat: 5}}", "unknown.feature", 25, "'seats'"),
    case("unknown default plan", "retired:", "default_plan: freee\nretired:", "unknown.plan", 30, "`default_plan`", "'free'"),
    case("flag narrows nothing", "{rollout: {", "{narrows: [crm.exp], rollout: {", "unknown.feature", 29, "'crm.export'"),
    # --- circles
    case("requires itself", "export: {kind: switch}", "export: {kind: switch, requires: [crm.export]}", "requires.cycle", 4,
         "crm.export requires crm.export"),
    case("module requires its own", "  crm:\n", "  crm:\n    requires: [crm.export]\n", "requires.cycle", 2,
         "crm requires crm.export requires crm"),
    case("extends itself", "extends: free", "extends: pro", "extends.cycle", 20, "'pro' extends 'pro'"),
    case("extends a later one", "  free: {", "  first: {extends: pro}\n  free: {", "extends.later", 18, "below it"),
    # --- definitions
    case("choice of nothing", COLOUR, "{kind: config, type: choice, merge: max}", "feature.choices", 6, "choices: [least, most]"),
    case("choice twice", "[red, green]", "[red, green, red]", "feature.choices", 6, "twice"),
    case("choices of a number", ROWS, "rows: {kind: config, type: int, choices: [a], merge: max}", "feature.choices", 10, "type: choice"),
    case("no merge", ROWS, "rows: {kind: config, type: int}", "feature.merge", 10, "`merge: max`"),
    case("text has no maximum", "type: string}", "type: string, merge: max}", "feature.merge", 14, "merge: priority"),
    case("rollover backwards", CALLS, "calls: {kind: quota, rollover: {min: 5, max: 2}}", "feature.rollover", 5, "min <= max"),
    case("free of charge", "{crm.calls: 2}", "{crm.calls: 0}", "feature.pays_for", 9, "more than 0"),
    case("pays for a switch", "{crm.calls: 2}", "{crm.export: 2}", "feature.pays_for", 9, "only a quota"),
    case("on_exceed", CALLS, "calls: {kind: quota, on_exceed: sof}", "wrong.quantity", 5, "did you mean 'soft'"),
    case("on_exceed below", CALLS, "calls: {kind: quota, on_exceed: soft_until 90%}", "wrong.quantity", 5, "at least 100%"),
    case("on_exceed no time", CALLS, "calls: {kind: quota, on_exceed: grace_then_block 0 days}", "wrong.quantity", 5, "no time"),
    case("on_outage", CALLS, "calls: {kind: quota, on_outage: opne}", "wrong.quantity", 5, "did you mean 'open'"),
    case("deprecated", CALLS, "calls: {kind: quota, deprecated: soon}", "wrong.quantity", 5, "a day"),
    # --- values
    case("switch is a number", "crm.export: true", "crm.export: 1", "wrong.quantity", 22, "plan 'pro', crm.export", "true or false", "the number 1"),
    case("switch is a word", "crm.export: true", "crm.export: yes", "wrong.quantity", 22, "true or false, not the text 'yes'"),
    case("quota without a window", "100/month", "100", "wrong.quantity", 22, "`100/month`", "`100/lifetime`"),
    case("quota below nothing", "100/month", "-5", "wrong.quantity", 22, "`1/month`"),
    case("quota in a word", "100/month", "unlimitd", "wrong.quantity", 22, "did you mean 'unlimited'"),
    case("quota is a switch", "100/month", "true", "wrong.quantity", 22, "`100/month`", "not true"),
    case("quota a fortnight", "100/month", "100/fortnight", "wrong.quantity", 22, "fortnight"),
    case("quota of what", "100/month", "many/month", "wrong.quantity", 22, "'many' is no amount"),
    case("seats a month", "seats: 2", "seats: 2/month", "wrong.quantity", 18, "write only 2"),
    case("half a seat", "seats: 2", "seats: 2.5", "wrong.quantity", 18, "a whole number"),
    case("seats below nothing", "seats: 2", "seats: -2", "wrong.quantity", 18, "at least 0"),
    case("seats in words", "seats: 2", "seats: two", "wrong.quantity", 18, "such as 5"),
    case("seats as a list", "seats: 2", "seats: [a]", "wrong.quantity", 18, "such as 5", "a list"),
    case("int is text", "rows: 1,", "rows: one,", "wrong.quantity", 18, "a whole number or `unlimited`"),
    case("int is true", "rows: 1,", "rows: true,", "wrong.quantity", 18, "not true"),
    case("size without a unit", "space: 1 GB", "space: 1", "wrong.quantity", 18, "`10 GB`"),
    case("size in words", "space: 1 GB", "space: a lot", "wrong.quantity", 18, "'a lot' is no size"),
    case("size in miles", "space: 1 GB", "space: 1 mile", "wrong.quantity", 18, "no unit of size"),
    case("part of a byte", "space: 1 GB", "space: 0.5 B", "wrong.quantity", 18, "whole number of bytes"),
    case("duration is a number", "pause: 1 day", "pause: 1", "wrong.quantity", 18, "`24 hours`"),
    case("choice misspelt", "crm.colour: green", "crm.colour: grean", "wrong.quantity", 22, "did you mean 'green'"),
    case("choice is a number", "crm.colour: green", "crm.colour: 2", "wrong.quantity", 22, "one of red, green"),
    case("text is a number", "motto: hi", "motto: 1.10", "wrong.quantity", 18, "in quotes"),
    case("list is text", "hosts: [a]", "hosts: a", "wrong.quantity", 18, "a list of texts"),
    case("decimal is true", "share: 0.5", "share: true", "wrong.quantity", 18, "a number"),
    case("bool is a number", "shiny: true", "shiny: 1", "wrong.quantity", 18, "true or false"),
    case("rate of nothing", "api: 10/minute", "api: 0/minute", "wrong.quantity", 23, "at least one call"),
    case("rate in words", "api: 10/minute", "api: often", "wrong.quantity", 23, "`30/minute`"),
    case("rates alike", "api: 10/minute", "api: [1/minute, 2/minute]", "wrong.quantity", 23, "same window"),
    case("rate of a limit", "default: 1/minute", "default: 1/mnute", "wrong.quantity", 27, "rate limit 'api'"),
    case("trial", PLAN, PLAN + "    trial: a while\n", "wrong.quantity", 21, "plan 'pro', trial", "'2 weeks'"),
    case("zone", "retired:", "timezone: Asia/Kolkatta\nretired:", "wrong.quantity", 30, "Asia/Kolkata"),
    case("stage", "retired:", "lifecycle: {past_due: [ful for 7 days]}\nretired:", "wrong.quantity", 30, "did you mean 'full'"),
    case("stage that opens again", "retired:", "lifecycle: {past_due: [none for 1 day, read_only for 2 days]}\nretired:", "wrong.quantity", 30,
         "`read_only for 2 days` opens more than `none for 1 day` before it"),
    case("stage without end", "retired:", "lifecycle: {past_due: [full, none]}\nretired:", "wrong.quantity", 30, "`full for 7 days`"),
    case("flag until when", "{rollout: {", "{remove_by: soon, rollout: {", "wrong.quantity", 29, "flag 'new-look'"),
    # --- prices
    case("no currency", PRICE, "{monthly: 9.99}", "price.currency", 21, "`currency: INR`"),
    case("no such currency", "EUR", "euro", "price.currency", 21, "ISO 4217"),
    case("price below nothing", "9.99", "-1", "price.amount", 21, "at least 0, not -1"),
    case("price of nothing", PRICE, "{currency: EUR}", "price.empty", 21, "`monthly`"),
    case("id of no price", PRICE, "{monthly: 1, currency: EUR, ids: {stripe: {yearly: p}}}", "price.id", 21, "stripe", "'yearly'"),
    case("id of no interval", PRICE, "{monthly: 1, currency: EUR, ids: {stripe: {month: p}}}", "wrong.value", 21, "'monthly'"),
    # --- add-ons
    case("add a switch", "{seats: 5}", "{crm.export: true}", "wrong.quantity", 25, "a switch cannot be added to"),
    case("add a text", "{seats: 5}", "{motto: x}", "wrong.quantity", 25, "a string cannot be added to"),
    case("add unlimited", "{seats: 5}", "{seats: unlimited}", "wrong.quantity", 25, "use `override`"),
    case("add unlimited rows", "{seats: 5}", "{rows: unlimited}", "wrong.quantity", 25, "use `override`"),
    case("add nothing", "{seats: 5}", "{seats: 0}", "wrong.quantity", 25, "changes nothing"),
    case("add less", "{seats: 5}", "{rows: -5}", "wrong.quantity", 25, "takes nothing away"),
    case("add a smaller part", "{seats: 5}", "{share: -0.5}", "wrong.quantity", 25, "takes nothing away"),
    case("most of a text", "increment: {seats: 5}", "max: {motto: x}", "wrong.quantity", 25, "use `override`"),
    case("grant a seat", "increment: {seats: 5}", "grant: {seats: 5}", "wrong.quantity", 25, "only a credit"),
    case("grant nothing", "increment: {seats: 5}", "grant: {coins: 0}", "wrong.quantity", 25, "such as 500"),
    case("grant that never was", "increment: {seats: 5}", "grant: {coins: 5, expires: 0 days}", "wrong.quantity", 25, "90 days"),
    case("grant that expires in five", "increment: {seats: 5}", "grant: {coins: 5, expires: 5}", "wrong.quantity", 25, "90 days"),
    case("two ways", "{seats: 5}}", "{seats: 5}, max: {seats: 9}}", "add_on.twice", 25, "'seats' in two ways"),
    case("another window", "{seats: 5}", "{crm.calls: 5/day}", "add_on.window", 25, "per day", "sells it per month"),
    case("window for life", "{seats: 5}", "{coins: 5/lifetime}", "add_on.window", 25, "for a lifetime"),
    case("for a module that nobody has", MORE, "  more: {override: {hr.on: true}}\nmodules2:", "unknown.feature", 25, "hr.on"),
    # --- the whole
    case("feature without its module", "modules: [crm], ", "", "plan.module_missing", 22, "plan 'pro' lists 'crm.export' without its module 'crm'"),
    case("requires what is not sold", "  crm:\n", "  hr: {}\n  crm:\n    requires: [hr]\n", "plan.requires", 20,
         "plan 'free' lists 'crm', which requires 'hr'"),
    case("feature requires what is not sold", "export: {kind: switch}", "export: {kind: switch, requires: [crm.other]}\n      other: {kind: switch}",
         "plan.requires", 23, "plan 'pro' lists 'crm.export', which requires 'crm.other'"),
    case("add-on for a module that nobody has", "features:\n  seats", "  hr: {features: {runs: {kind: quota}}}\nfeatures:\n  seats",
         "module.unsold", 7, "nobody can hold it"),
    case("feature that nobody has", SEATS, SEATS + "  extra: {kind: switch}\n", "feature.unsold", 9, "'extra'", "nobody can hold it"),
    case("feature of a module that nobody has", "export: {kind: switch}", "export: {kind: switch}\n      extra: {kind: switch}", "feature.unsold", 5, "'crm.extra'"),
    case("add-on that does nothing", "{increment: {seats: 5}}", "{}", "add_on.empty", 25, "does nothing"),
    case("flag without a rule", "{rollout: {steps: [5%]}}", "{}", "flag.empty", 29, "never changes anything"),
    case("credit for nothing", COINS, "{kind: credit}", "credit.unused", 9, "pays for nothing"),
    case("module twice", "modules: [crm]", "modules: [crm, crm]", "entry.twice", 18, "'crm' twice"),
]
# fmt: on


@pytest.mark.parametrize(("old", "new", "code", "line", "says"), CASES)
def test_a_mistake_is_named_with_its_line_and_a_way_out(
    old: str, new: str, code: str, line: int | None, says: tuple[str, ...]
) -> None:
    """Each mistake has its own code, the line where it was made, and a message that says what to write."""
    assert old in RIGHT
    found = [problem for problem in problems(RIGHT.replace(old, new, 1)) if problem.code == code]

    assert [(problem.line, problem.file, problem.fatal) for problem in found][:1] == [
        (line, "catalog.yaml", code not in LINTS)
    ]
    for text in says:
        assert text in str(found[0])


def test_an_add_on_for_a_module_that_nobody_can_have_is_refused() -> None:
    """An add-on changes a feature only of a module that a plan or an add-on opens."""
    text = """
modules: {crm: {}, hr: {features: {on: {kind: switch}}}}
plans: {free: {modules: [crm]}}
add_ons: {more: {override: {hr.on: true}}}
"""
    assert [problem.code for problem in problems(text)] == ["add_on.module_missing"]
    assert problems(text.replace("{override", "{modules: [hr], override")) == []


def test_an_add_on_can_bring_what_a_plan_requires() -> None:
    """A plan may sell a module whose requirement is sold as an add-on for it, and only for it."""
    text = """
modules: {crm: {}, hr: {requires: [crm]}}
plans: {free: {modules: [hr]}, other: {}}
add_ons: {more: {modules: [crm], for_plans: [free]}}
"""
    assert problems(text) == []
    assert [problem.code for problem in problems(text.replace("[free]", "[other]"))] == ["plan.requires"]


def test_unlimited_and_zero_are_the_same_in_every_window() -> None:
    """An add-on may lift a monthly quota to unlimited, or a quota of which nothing is sold."""
    text = RIGHT.replace("{increment: {seats: 5}}", "{override: {crm.calls: unlimited}}")
    assert problems(text) == []
    text = RIGHT.replace("{seats: 5}", "{crm.calls: 5/day}").replace("100/month", "0")
    assert problems(text) == []


def test_add_ons_that_meet_have_one_window() -> None:
    """Two allowances of different windows have no sum, whoever brings them; where no plan may hold both, none is needed."""
    week = "  other: {increment: {crm.calls: 5/week}}\n"
    text = RIGHT.replace("{seats: 5}}\n", "{crm.calls: 5/day}}\n" + week).replace("crm.calls: 100/month, ", "")
    assert [(p.code, p.line, p.message) for p in problems(text)] == [
        (
            "add_on.window",
            26,
            "add-on 'other' gives 'crm.calls' per week, but add-on 'more' gives it per day; use the same window",
        )
    ]
    assert problems(text.replace("5/day", "5/7 days").replace("5/week", "5/7 days")) == []
    only_free = text.replace("5/day}", "5/day}, for_plans: [free]")
    assert [p.code for p in problems(only_free)] == ["add_on.window"]
    assert problems(only_free.replace("5/week}", "5/week}, for_plans: [pro]")) == []
    assert problems(text.replace("features: {seats: 2,", "features: {crm.calls: unlimited, seats: 2,")) == []


def test_circles_are_named_once_whole() -> None:
    """A circle of plans or of requirements is one problem that names everybody in it."""
    text = "plans: {a: {extends: b}, b: {extends: c}, c: {extends: a}, d: {extends: c}}"
    assert [(p.code, p.message) for p in problems(text)] == [
        ("extends.cycle", "plan 'a' extends 'b' extends 'c' extends 'a': one of them must stand alone"),
    ]
    text = "features: {a: {kind: switch, requires: [b]}, b: {kind: switch, requires: [a, c]}, c: {kind: switch}}"
    assert [p.message for p in problems(text) if p.code == "requires.cycle"] == [
        "a requires b requires a: nobody could ever hold them; remove one of these"
    ]


def test_all_problems_are_shown_at_once_in_the_order_of_the_file() -> None:
    """Ten mistakes in one file are ten problems of one error."""
    text = (
        RIGHT.replace("{kind: switch}", "{knd: switch}", 1)
        .replace("extends: free", "extends: fre")
        .replace("seats: 2", "seats: two")
        .replace("{seats: 5}", "{seets: 5}")
        .replace("default: 1/minute", "default: fast")
        .replace("2026-05-01", "then")
    )
    with pytest.raises(CatalogInvalid) as raised:
        Catalog.loads(text, file="catalog.yaml")

    assert [(p.line, p.code) for p in raised.value.problems] == [
        (4, "missing.field"),
        (18, "wrong.quantity"),
        (20, "unknown.plan"),
        (25, "unknown.feature"),
        (27, "wrong.quantity"),
        (30, "wrong.quantity"),
    ]
    assert str(raised.value).startswith("6 problems in the catalog:\n  catalog.yaml:4: ")


def test_what_could_not_be_read_is_not_called_unknown() -> None:
    """A plan that names a feature with a broken definition is not wrong itself."""
    text = RIGHT.replace("  seats: {kind: allocation}", "  seats: {kind: allocaton}").replace(
        "  crm:", "  crm: 5\n  crn:"
    )
    codes = {problem.code for problem in problems(text)}
    assert codes == {"wrong.value", "wrong.type"}


def test_a_value_that_plans_inherit_is_wrong_once() -> None:
    """A mistake in a plan is one problem, however many plans extend it."""
    text = "features: {seats: {kind: allocation}}\nplans: {a: {features: {seats: x}}, b: {extends: a}, c: {extends: b}}"
    assert [(p.code, p.path) for p in problems(text)] == [("wrong.quantity", "plans.a.features.seats")]


def test_thousands_of_mistakes_are_all_named() -> None:
    """Every mistake is a problem; near names are only looked for while somebody reads them."""
    features = ", ".join(f"seat{n}: 1" for n in range(300))
    found = problems(f"features: {{seats: {{kind: allocation}}}}\nplans: {{a: {{features: {{{features}}}}}}}")

    assert len(found) == 300
    assert "did you mean 'seats'" in found[0].message
    assert "did you mean" not in found[-1].message


def test_a_catalog_without_plans_is_suspicious() -> None:
    """A catalog that sells nothing can be used, and says so."""
    assert [(p.code, p.fatal) for p in problems("features: {}")] == [("catalog.no_plans", False)]


@pytest.mark.parametrize(
    ("old", "new", "path", "says"),
    [
        ("default: 1/minute", "default: 1/moth", "rate_limits.api.default", "rate limit 'api'"),
        (
            "{seats: 5}}",
            "{seats: 5}, grant: {feature: coins, amount: 5, expires: soon}}",
            "add_ons.more.grant.expires",
            "grant",
        ),
        (SEATS, "  seats: {kind: allocation, deprecated: tomorrow}\n", "features.seats.deprecated", "feature 'seats'"),
        (SEATS, "  seats: {kind: alocation}\n", "features.seats.kind", "did you mean 'allocation'"),
        (SEATS, "  seats: {kind: allocation}\n  my seats: {kind: allocation}\n", "features.my seats", "my_seats"),
        ("seats: 2", "seats: false", "plans.free.features.seats", "false"),
        ("crm.calls: 100/month", "crm.calls: many", "plans.pro.features.crm.calls", "`100/month`"),
    ],
)
def test_a_mistake_has_its_place_in_the_document(old: str, new: str, path: str, says: str) -> None:
    """Editors and tools find it by that, also where a line says too little."""
    assert RIGHT.count(old) == 1
    found = problems(RIGHT.replace(old, new))
    assert path in [problem.path for problem in found], [str(problem) for problem in found]
    assert any(says in problem.message for problem in found if problem.path == path)
