"""Publishing: what makes a version of a plan, what is refused, and that nothing is lost."""

from __future__ import annotations

import copy
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import (
    AddOnVersion,
    Catalog,
    CreditGrant,
    PlanVersion,
    Publication,
    Published,
    difference,
    publish,
)
from payaid_entitlements.core.period import parse_interval
from payaid_entitlements.core.values import Allowance
from payaid_entitlements.errors import CatalogInvalid, UnknownPlan

EXAMPLE = Path(__file__).parents[3] / "examples" / "payaid" / "catalog.yaml"

Data = dict[str, Any]  # of what people write: tests change it at any depth

FIRST: Data = {
    "modules": {"crm": {"features": {"export": {"kind": "switch"}, "calls": {"kind": "quota"}}}, "hr": {}},
    "features": {
        "seats": {"kind": "allocation"},
        "share": {"kind": "config", "type": "decimal", "merge": "max"},
    },
    "plans": {
        "free": {"modules": ["crm"], "features": {"seats": 2, "share": Decimal("0.10")}},
        "pro": {
            "extends": "free",
            "modules": ["hr"],
            "price": {"monthly": 9},
            "trial": "14 days",
            "features": {"crm.export": True, "crm.calls": "100/month"},
            "rate_limits": {"api": ["10/minute", "1/second"]},
        },
    },
    "currency": "EUR",
    "rate_limits": {"api": {"default": "1/minute"}},
}


def changed(*path_and_value: Any, data: Data = FIRST) -> Data:
    """Copy *data* and set one value; a value of ``...`` removes it."""
    *path, last, value = path_and_value
    result = copy.deepcopy(data)
    inner = result
    for key in path:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return result


def published(*each: Data) -> Published:
    held: Published | None = None
    for data in each:
        held, _ = publish(held, Catalog.load(data))
    assert held is not None
    return held


def refused(held: Published, data: Data) -> list[str]:
    with pytest.raises(CatalogInvalid) as raised:
        publish(held, Catalog.load(data))
    return [f"{problem.code}: {problem.message}" for problem in raised.value.problems]


def test_a_first_catalog_without_plans_is_something_to_publish() -> None:
    _, publication = publish(None, Catalog.load({"modules": {"crm": {}}, "default_plan": "none"}))
    assert not publication.is_empty
    assert publication.lines() == (f"revision 1, {publication.hash[:12]}",)


def test_the_first_publication_is_version_1_of_everything() -> None:
    """Nothing was sold before, so everything is added."""
    now, publication = publish(None, Catalog.load(FIRST))

    assert now.revision == 1
    assert {key: plan.version for key in ("free", "pro") for plan in now.versions[key]} == {
        "free": 1,
        "pro": 1,
    }
    assert publication.added == (PlanVersion("free", 1), PlanVersion("pro", 1))
    assert (publication.changed, publication.removed, publication.differences) == ((), (), ())
    assert publication.lines()[1:] == ("plan free is sold, version 1", "plan pro is sold, version 1")
    assert not publication.is_empty


def test_the_same_again_changes_nothing() -> None:
    """Publishing what is sold already returns it as it is."""
    held = published(FIRST)
    now, publication = publish(held, Catalog.load(FIRST))

    assert now is held
    assert publication.is_empty
    assert publication == Publication(1, held.catalog.hash, is_empty=True)
    assert publication.lines() == (f"nothing changed; revision 1, {held.catalog.hash[:12]}, is sold already",)


SOLD = [
    changed("plans", "free", "features", "seats", 3),
    changed("plans", "free", "features", "seats", ...),
    changed("plans", "free", "modules", ["crm", "hr"]),
]
SOLD_WITH_PRO = [
    changed("plans", "pro", "price", "monthly", 10),
    changed("plans", "pro", "price", "currency", "USD"),
    changed("currency", "USD"),
    changed("plans", "pro", "price", "yearly", 90),
    changed("plans", "pro", "trial", "15 days"),
    changed("plans", "pro", "trial", ...),
    changed("plans", "pro", "rate_limits", "api", "10/minute"),
    changed("plans", "pro", "features", "crm.calls", "100/day"),
]


@pytest.mark.parametrize("data", SOLD)
def test_a_change_of_what_is_sold_reaches_plans_that_extend_it(data: Data) -> None:
    """A plan has a new version when a plan that it extends has."""
    now, publication = publish(published(FIRST), Catalog.load(data))

    assert [item.plan for item in publication.changed][:1] == ["free"]
    assert len(now.versions["free"]) == 2
    assert now.plan("free", 1).features["seats"] == Allowance(2)


@pytest.mark.parametrize("data", SOLD_WITH_PRO)
def test_a_change_of_what_is_sold_makes_a_version(data: Data) -> None:
    """Price, trial, rate limits and features are sold: who holds the old version keeps it."""
    held = published(FIRST)
    now, publication = publish(held, Catalog.load(data))

    assert publication.changed == (PlanVersion("pro", 2),)
    assert now.plan("pro", 1) == held.plan("pro")
    assert now.plan("pro").version == 2
    assert now.revision == 2
    assert "plan pro has version 2; who holds an older one keeps it" in publication.lines()
    assert publication.differences == difference(held.catalog, now.catalog) != ()


SHOWN = [
    changed("plans", "free", "title", "Free of charge"),
    changed("plans", "free", "url", "/buy"),
    changed("plans", "free", "buy", "hidden"),
    changed("plans", "pro", "modules", ["hr", "crm"]),
    changed("plans", "pro", "price", {"monthly": Decimal("9.00"), "ids": {"stripe": {"monthly": "p"}}}),
    changed("plans", "pro", "rate_limits", "api", ["60/minute", "1/second"][::-1]) and
    changed("plans", "pro", "rate_limits", "api", ["1/second", "10/minute"]),
    changed("modules", "crm", "title", "Customers"),
    changed("rate_limits", "api", "default", "2/minute"),
]  # fmt: skip


@pytest.mark.parametrize("data", SHOWN)
def test_a_change_of_what_is_shown_makes_none(data: Data) -> None:
    """Titles, links, ids of payment providers and definitions are not sold with a plan: no version."""
    now, publication = publish(published(FIRST), Catalog.load(data))

    assert publication.changed == ()
    assert not publication.is_empty
    assert now.revision == 2
    assert now.plan("free", 1).title == data["plans"]["free"].get("title", "free")
    assert {key: len(versions) for key, versions in now.versions.items()} == {"free": 1, "pro": 1}


def test_a_plan_that_is_not_sold_any_more_is_kept_for_its_holders() -> None:
    """Removing a plan takes it from sale, not from its holders; when it comes back it goes on counting."""
    without = changed("plans", "pro", ...)
    without["retired"] = {}
    now, publication = publish(published(FIRST), Catalog.load(without))

    assert publication.removed == (PlanVersion("pro", 1),)
    assert now.plan("pro").features["crm.calls"] == Allowance(100, parse_interval("month"))
    assert "pro" not in now.catalog.plans
    assert "plan pro is not sold any more; who holds it keeps it" in publication.lines()
    assert publish(now, Catalog.load(changed("plans", "free", "title", "F", data=without)))[1].removed == ()

    back, publication = publish(now, Catalog.load(FIRST))
    assert publication.added == (PlanVersion("pro", 1),)
    back, publication = publish(now, Catalog.load(SOLD_WITH_PRO[0]))
    assert publication.added == (PlanVersion("pro", 2),)
    assert [plan.version for plan in back.versions["pro"]] == [1, 2]


def test_all_versions_of_a_plan_have_the_rank_of_today() -> None:
    """A plan that moves down the file is a smaller plan for everybody who holds it."""
    data = changed("plans", {"zero": {}, **FIRST["plans"]}, data=SOLD_WITH_PRO[0])
    now = published(FIRST, SOLD_WITH_PRO[0], data)

    assert [plan.rank for plan in now.versions["pro"]] == [2, 2, 2][: len(now.versions["pro"])]


def test_plans_are_found_by_version() -> None:
    """A plan that never was is unknown, and the nearest name is told."""
    now = published(FIRST, SOLD_WITH_PRO[0])

    assert now.plan("pro") is now.plan("pro", 2)
    assert now.plan("pro", 1).prices[0].amount == 9
    with pytest.raises(UnknownPlan, match="no plan 'por' was ever published; did you mean 'pro'"):
        now.plan("por")
    for version in (0, 3):
        with pytest.raises(UnknownPlan, match=f"no version {version}; there are 1 to 2"):
            now.plan("pro", version)


def test_what_an_old_version_lists_cannot_vanish() -> None:
    """A feature that some version lists stays, or is retired, which takes it from everybody."""
    held = published(FIRST)
    gone = changed("plans", "pro", "features", {"crm.calls": "100/month"})
    del gone["modules"]["crm"]["features"]["export"]

    (message,) = refused(held, gone)
    assert message.startswith("publish.removed: 'crm.export' is gone, but plan 'pro' version 1 still lists it; ")
    assert "`retired: {crm.export: <the day>}`" in message

    now, publication = publish(held, Catalog.load({**gone, "retired": {"crm.export": "2026-11-24"}}))
    assert publication.changed == ()
    assert "crm.export" not in now.plan("pro", 1).features


def test_a_retired_module_takes_its_features_along() -> None:
    """One line retires a module and all that is in it."""
    gone = copy.deepcopy(FIRST)
    del gone["modules"]["crm"]
    gone["plans"]["free"]["modules"] = []
    gone["plans"]["pro"]["features"] = {}
    assert len(refused(published(FIRST), gone)) == 3

    now = published(FIRST, {**gone, "retired": {"crm": "2026-11-24"}})
    assert now.plan("pro", 1).modules == ("hr",)


def test_what_is_retired_stays_retired() -> None:
    """A key that was retired cannot be forgotten, and so never used again."""
    held = published({**FIRST, "retired": {"crm.fax": "2026-05-01"}})
    with pytest.raises(CatalogInvalid) as raised:
        publish(held, Catalog.load(FIRST))
    (problem,) = raised.value.problems
    assert (problem.code, problem.path) == ("publish.unretired", "retired.crm.fax")
    assert problem.message.startswith("'crm.fax' was retired on 2026-05-01 and cannot come back; ")
    still = {**FIRST, "retired": {"crm.fax": "2026-05-01"}, "timezone": "Asia/Kolkata"}
    assert published(FIRST, still).catalog.timezone == publish(held, Catalog.load(still))[0].catalog.timezone


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (changed("modules", "crm", "features", "export", {"kind": "config", "type": "bool", "merge": "max"}),
         "'crm.export' was a switch and would become a config of type bool, but plan 'pro' version 1"),
        (changed("features", "share", "type", "int", data=changed("plans", "free", "features", "share", 1)),
         "'share' was a config of type decimal and would become a config of type int"),
        (changed("plans", "pro", "modules", [],
                 data=changed("features", "hr", {"kind": "switch"}, data=changed("modules", "hr", ...))),
         "'hr' was a module and would become a switch"),
    ],
)  # fmt: skip
def test_what_is_held_cannot_become_another_kind(data: Data, says: str) -> None:
    """A feature that some version lists keeps its kind and type."""
    (message,) = refused(published(FIRST), data)
    assert message.startswith(f"publish.kind_changed: {says}")


def test_a_feature_cannot_become_a_module() -> None:
    """A key that is held keeps its space."""
    data = changed("modules", "seats", {}, data=changed("features", "seats", ...))
    del data["plans"]["free"]["features"]["seats"]
    (message,) = refused(published(FIRST), data)
    assert "'seats' was an allocation and would become a module" in message


def test_a_value_that_is_held_must_go_on_to_fit() -> None:
    """A choice that an old version has cannot be taken from the list of choices."""

    def data(choices: list[str], value: str) -> Data:
        kind = {"kind": "config", "type": "choice", "choices": choices, "merge": "max"}
        return {"features": {"x": kind}, "plans": {"p": {"features": {"x": value}}}}

    (message,) = refused(published(data(["a", "b"], "a")), data(["b"], "b"))
    assert message == "wrong.quantity: plan 'p', x: one of b, not the text 'a'"


def test_limits_that_are_gone_leave_old_versions() -> None:
    """A rate limit protects us and is not sold: it can be removed."""
    data = changed("plans", "pro", "rate_limits", ..., data=changed("rate_limits", ...))
    assert published(FIRST, data).plan("pro", 1).rate_limits == {}


# --- keys that no plan lists ----------------------------------------------------------------------------

UNSOLD: Data = {
    "modules": {"crm": {"features": {"x": {"kind": "switch"}, "y": {"kind": "switch"}}}, "hr": {}},
    "plans": {"p": {"modules": ["crm"], "features": {"crm.y": True}}},
}
ADDED: Data = {**UNSOLD, "add_ons": {"a": {"override": {"crm.x": True}}}}


@pytest.mark.parametrize(
    ("first", "who"),
    [(UNSOLD, "overrides and code may name it"), (ADDED, "add-on 'a' version 1 lists it")],
)
def test_no_key_that_was_ever_published_becomes_another_kind(first: Data, who: str) -> None:
    """An override may hold it, and an add-on; a value that was said of a switch means nothing for a number."""
    now = changed("modules", "crm", "features", "x", {"kind": "config", "type": "int", "merge": "max"}, data=UNSOLD)
    (message,) = refused(published(first), now)
    assert message == (
        f"publish.kind_changed: 'crm.x' was a switch and would become a config of type int, but {who}; "
        "give the new feature a new key"
    )


@pytest.mark.parametrize(
    ("first", "who"),
    [(UNSOLD, "overrides and code may still name it"), (ADDED, "add-on 'a' version 1 still lists it")],
)
def test_no_key_that_was_ever_published_vanishes_or_comes_back(first: Data, who: str) -> None:
    """Whoever holds it by an override or an add-on is told; once retired, no override of it comes to life again."""
    gone = changed("modules", "crm", "features", "x", ..., data=UNSOLD)
    (message,) = refused(published(first), gone)
    assert message.startswith(f"publish.removed: 'crm.x' is gone, but {who}; keep it, or write `retired: ")
    (message,) = refused(published(first), changed("modules", "hr", ..., data=first))
    assert message.startswith("publish.removed: 'hr' is gone, but overrides and code may still name it; ")

    retired = published(first, {**gone, "retired": {"crm.x": "2026-11-24"}})
    assert [message.partition(":")[0] for message in refused(retired, first)] == ["publish.unretired"]


def test_a_key_is_retired_on_its_day_and_not_before() -> None:
    """Publishing takes it from everybody at once: a day that is to come would be a promise that is broken."""
    held = published(UNSOLD)
    gone = {**changed("modules", "crm", "features", "x", ..., data=UNSOLD), "retired": {"crm.x": "2026-11-24"}}
    with pytest.raises(CatalogInvalid) as raised:
        publish(held, Catalog.load(gone), today=date(2026, 11, 23))
    assert [(problem.code, problem.path) for problem in raised.value.problems] == [
        ("publish.retired_early", "retired.crm.x")
    ]
    assert "keep it, with `deprecated: 2026-11-24`" in raised.value.problems[0].message
    now, _ = publish(held, Catalog.load(gone), today=date(2026, 11, 24))
    # What was never sold here takes nothing from anybody, whatever its day.
    never = {**gone, "retired": {"crm.x": "2026-11-24", "fax": "2999-01-01"}}
    assert publish(now, Catalog.load(never), today=date(2026, 11, 24))[0].revision == 3


# --- add-ons --------------------------------------------------------------------------------------------

MORE: Data = {
    **FIRST,
    "features": {**FIRST["features"], "coins": {"kind": "credit", "pays_for": {"crm.calls": 1}}},
    "add_ons": {
        "seats": {"increment": {"seats": 5}, "price": {"monthly": 2}, "title": "Seats", "max_quantity": 9},
        "pack": {
            "modules": ["hr"],
            "for_plans": ["pro"],
            "override": {"share": 1},
            "max": {"crm.calls": "500/month"},
            "grant": {"coins": 5, "expires": "90 days"},
        },
    },
}


def of_seats(name: str, value: Any) -> Data:
    return changed("add_ons", "seats", name, value, data=MORE)


def of_pack(name: str, value: Any) -> Data:
    return changed("add_ons", "pack", name, value, data=MORE)


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("seats", of_seats("increment", {"seats": 1})),
        ("seats", of_seats("price", {"monthly": 3})),
        ("seats", of_seats("price", ...)),
        ("seats", of_seats("for_plans", ["pro"])),
        ("pack", of_pack("modules", ["hr", "crm"])),
        ("pack", of_pack("for_plans", ["free", "pro"])),
        ("pack", of_pack("override", {"share": 2})),
        ("pack", of_pack("max", {"crm.calls": "400/month"})),
        ("pack", of_pack("grant", {"coins": 5})),
        ("pack", of_pack("grant", {"coins": 4, "expires": "90 days"})),
    ],
)
def test_a_change_of_an_add_on_makes_a_version(key: str, data: Data) -> None:
    """Whoever holds the old one keeps it, with all that it gives and beside the plans that it was for."""
    held = published(MORE)
    now, publication = publish(held, Catalog.load(data))

    assert (publication.changed, publication.changed_add_ons) == ((), (AddOnVersion(key, 2),))
    assert now.add_on(key, 1) == held.add_on(key) != now.add_on(key)
    assert (now.add_on(key), now.add_on(key).version) == (now.add_on(key, 2), 2)
    assert f"add-on {key} has version 2; who holds an older one keeps it" in publication.lines()
    assert Published.from_json(now.to_json()) == now


@pytest.mark.parametrize(
    "data",
    [
        of_seats("title", "More"),
        of_seats("url", "/buy"),
        of_seats("max_quantity", 5),
        of_seats("price", {"monthly": Decimal("2.00"), "ids": {"stripe": {"monthly": "p"}}}),
        changed("add_ons", {key: MORE["add_ons"][key] for key in ("pack", "seats")}, data=MORE),
    ],
)
def test_what_is_shown_of_an_add_on_makes_none(data: Data) -> None:
    """Its title, its place in the list and how many one may buy are those of today for all who hold the newest."""
    now, publication = publish(published(MORE), Catalog.load(data))

    assert (publication.changed_add_ons, publication.is_empty) == ((), False)
    assert now.add_on("seats", 1) == now.add_on("seats")
    assert now.add_on("seats").title == data["add_ons"]["seats"]["title"]
    assert now.add_on("seats").rank == list(data["add_ons"]).index("seats")


def test_an_add_on_that_is_not_sold_any_more_is_kept_for_its_holders() -> None:
    """It is found, whole but for what was retired, also when the plans that it was for have gone; it can come back."""
    without = changed("add_ons", "pack", ..., data=MORE)
    now, publication = publish(published(MORE), Catalog.load(without))
    assert publication.removed_add_ons == (AddOnVersion("pack", 1),)
    assert "add-on pack is not sold any more; who holds it keeps it" in publication.lines()
    assert now.add_on("pack").grant == {"coins": CreditGrant(5, 90 * 86_400_000_000)}
    assert (now.add_on("pack").rank, now.has_add_on("pack"), now.has_add_on("pack", 2)) == (1, True, False)

    fewer = changed("features", "coins", ..., data=changed("modules", "hr", ..., data=without))
    fewer["plans"] = {"free": FIRST["plans"]["free"]}
    fewer["retired"] = {"coins": "2026-11-24", "hr": "2026-11-24"}
    pack = publish(now, Catalog.load(fewer))[0].add_on("pack")
    assert (pack.modules, pack.grant, pack.for_plans, pack.override) == ((), {}, ("pro",), {"share": Decimal(1)})

    now, publication = publish(published(MORE, without), Catalog.load(of_pack("for_plans", ["free", "pro"])))
    assert publication.added_add_ons == (AddOnVersion("pack", 2),)
    assert [now.add_on("pack", version).for_plans for version in (1, 2)] == [("pro",), ("free", "pro")]


def test_add_ons_are_found_by_version() -> None:
    """An add-on that never was is unknown, and the nearest name is told."""
    now = published(MORE)
    with pytest.raises(UnknownPlan, match="no add-on 'seat' was ever published; did you mean 'seats'"):
        now.add_on("seat")
    with pytest.raises(UnknownPlan, match="add-on 'seats' has no version 2; there are 1 to 1"):
        now.add_on("seats", 2)


def test_a_value_of_an_add_on_that_is_held_must_go_on_to_fit() -> None:
    """As of a plan: who holds the add-on holds the choice."""

    def data(choices: list[str], value: str) -> Data:
        kind = {"kind": "config", "type": "choice", "choices": choices, "merge": "max"}
        return {"features": {"x": kind}, "plans": {"p": {}}, "add_ons": {"more": {"max": {"x": value}}}}

    (message,) = refused(published(data(["a", "b"], "a")), data(["b"], "b"))
    assert message == "wrong.quantity: add-on 'more', max x: one of b, not the text 'a'"


# --- the one text ---------------------------------------------------------------------------------------


def test_what_is_published_is_one_text() -> None:
    """All versions survive a round trip through JSON exactly, also of plans that are gone."""
    now = published(FIRST, *SOLD_WITH_PRO[:3], changed("plans", "pro", ...))
    text = now.to_json()

    again = Published.from_json(text)
    assert again == now
    assert again.to_json() == text
    assert again.plan("pro", 3).prices[0].currency == "USD"


def test_the_example_is_published_and_read() -> None:
    """The example survives a round trip exactly."""
    now, _ = publish(None, Catalog.load(EXAMPLE))
    assert Published.from_json(now.to_json()) == now


def damaged(catalog: Data, **offers: Any) -> str:
    return json.dumps({"format": 1, "revision": 1, "catalog": catalog, "plans": {}, "add_ons": {}, **offers})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "cannot be read: it has another format"),
        ('{"format": 2}', "another format"),
        ('{"format": 1, "revision": 1, "catalog": {}, "plans": {}}', "another format"),
        (damaged({}, plans={"a": [5]}), "its plans are malformed"),
        (damaged({}, plans={"a": [{"rank": 1}]}), "its plans are malformed"),
        (damaged({}, plans={"a": [{"rank": 1, "plan": {"a": 1}}]}), "trial"),
        (damaged({}, plans={"a": []}), "a plan has no version"),
        (damaged({"plans": {"a": {}}}), "a plan has no version"),
        (damaged({"plans": 5}), "plans is the number 5"),
        (damaged({}, add_ons={"a": [5]}), "its add-ons are malformed"),
        (damaged({}, add_ons={"a": []}), "an add-on has no version"),
        (damaged({"add_ons": {"a": {}}}), "an add-on has no version"),
        (damaged({}, add_ons={"a": [{"rank": 1, "add_on": {"max_quantity": 0}}]}), "max_quantity"),
    ],
)
def test_a_text_that_is_damaged_is_refused(text: str, says: str) -> None:
    """What a store gives back is checked like everything else."""
    with pytest.raises(CatalogInvalid, match=says):
        Published.from_json(text)


STEPS = st.lists(st.sampled_from([FIRST, *SOLD, *SOLD_WITH_PRO, *SHOWN, changed("plans", "pro", ...)]), max_size=6)


@settings(deadline=None)
@given(STEPS)
def test_no_version_is_ever_lost_or_changed(steps: list[Data]) -> None:
    """However often plans change, whoever holds a version holds the same; and the text says all of it."""
    held: Published | None = None
    for data in steps:
        now, publication = publish(held, Catalog.load(data))
        assert publication.is_empty == (now is held)
        for key, versions in ({} if held is None else held.versions).items():
            assert len(now.versions[key]) >= len(versions)
            for old, new in zip(versions, now.versions[key], strict=False):
                assert (new.modules, new.features, new.trial) == (*_unordered(old, new.modules), old.trial)
        for key in now.catalog.plans:
            assert now.plan(key).features == now.catalog.plans[key].features
        assert Published.from_json(now.to_json()) == now
        held = now


def _unordered(plan: Any, modules: tuple[str, ...]) -> tuple[tuple[str, ...], object]:
    assert sorted(plan.modules) == sorted(modules)
    return modules, plan.features


# --- differences ----------------------------------------------------------------------------------------


def test_differences_name_the_place_and_both_values() -> None:
    """A difference says where, what it was and what it is."""
    old = Catalog.load(FIRST)
    new = changed("plans", "free", "features", "seats", 3)
    new["plans"]["team"] = {"features": {"share": Decimal("0.25")}, "modules": ["crm"]}
    del new["plans"]["pro"]["trial"]
    new["modules"] = {"hr": {}, "crm": FIRST["modules"]["crm"]}

    assert [str(item) for item in difference(old, Catalog.load(new))] == [
        "modules (order): crm, hr -> hr, crm",
        "plans.free.features.seats: 2 -> 3",
        "plans.pro.trial: removed, was 14 days",
        "plans.team: added, {features: {share: 0.25}, modules: [crm]}",
    ]


def test_values_that_look_alike_are_told_apart() -> None:
    """The text "1" and the number 1 differ, and it shows."""

    def of(value: object) -> Catalog:
        return Catalog.load({"flags": {"f": {"variants": {"v": value}}}})

    assert [str(item) for item in difference(of(1), of("1"))] == ['flags.f.variants.v: 1 -> "1"']
    assert [str(item) for item in difference(of(True), of(1))] == ["flags.f.variants.v: true -> 1"]
    assert [str(item) for item in difference(of([{"a": 1, "b": 2}]), of([{"b": 2, "a": 1}]))] == []
    assert [str(item) for item in difference(of(Decimal("1.5")), of("1.5"))] == [
        'flags.f.variants.v: {"$decimal": "1.5"} -> "1.5"'
    ]


@settings(deadline=None)
@given(
    st.sampled_from([FIRST, *SOLD, *SOLD_WITH_PRO, *SHOWN]),
    st.sampled_from([FIRST, *SOLD, *SOLD_WITH_PRO, *SHOWN]),
)
def test_equal_hashes_have_no_difference(one: Data, other: Data) -> None:
    """There is a difference exactly when the hashes differ."""
    a, b = Catalog.load(one), Catalog.load(json.loads(json.dumps(Catalog.load(other).document)))
    assert (difference(a, b) == ()) == (a.hash == b.hash)
