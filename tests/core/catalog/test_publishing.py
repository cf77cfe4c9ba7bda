"""Publishing: what makes a version of a plan, what is refused, and that nothing is lost."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog, PlanVersion, Publication, Published, difference, publish
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
    assert publication.lines()[1:] == ("plan 'free' is sold, version 1", "plan 'pro' is sold, version 1")
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
    assert "plan 'pro' has version 2; who holds an older one keeps it" in publication.lines()
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
    assert "plan 'pro' is not sold any more; who holds it keeps it" in publication.lines()
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "cannot be read: it has another format"),
        ('{"format": 2}', "another format"),
        ('{"format": 1, "revision": 1, "catalog": {}, "plans": {"a": [5]}}', "malformed"),
        ('{"format": 1, "revision": 1, "catalog": {}, "plans": {"a": [{"rank": 1}]}}', "malformed"),
        (
            '{"format": 1, "revision": 1, "catalog": {}, "plans": {"a": [{"rank": 1, "plan": {"a": 1}}]}}',
            "trial",
        ),
        ('{"format": 1, "revision": 1, "catalog": {}, "plans": {"a": []}}', "a plan has no version"),
        (
            '{"format": 1, "revision": 1, "catalog": {"plans": {"a": {}}}, "plans": {}}',
            "a plan has no version",
        ),
        ('{"format": 1, "revision": 1, "catalog": {"plans": 5}, "plans": {}}', "plans is the number 5"),
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
        return Catalog.load({"flags": {"f": {"rules": value}}})

    assert [str(item) for item in difference(of(1), of("1"))] == ['flags.f.rules: 1 -> "1"']
    assert [str(item) for item in difference(of(True), of(1))] == ["flags.f.rules: true -> 1"]
    assert [str(item) for item in difference(of([{"a": 1, "b": 2}]), of([{"b": 2, "a": 1}]))] == []
    assert [str(item) for item in difference(of(Decimal("1.5")), of("1.5"))] == [
        'flags.f.rules: {"$decimal": "1.5"} -> "1.5"'
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
