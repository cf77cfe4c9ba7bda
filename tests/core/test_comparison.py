"""Who gains and who loses what."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.comparison import Comparison, Effect, compare, gains_and_losses
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.subscription import Subscription
from payaid_entitlements.core.values import DENY, Allowance
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import CatalogInvalid
from tests.core.conftest import NOW, SMALL, override, sub, tenant, world_of
from tests.core.generated import PUBLISHED, days, documents

WORLD = world_of()
OLD = Catalog.load(SMALL)
TODAY = datetime(2026, 9, 21, tzinfo=UTC)


def changed(plan: str, **features: object) -> Catalog:
    """The small catalog with other values in one plan."""
    plans = SMALL["plans"]
    other = {**plans[plan], "features": {**plans[plan]["features"], **features}}
    return Catalog.load({**SMALL, "plans": {**plans, plan: other}})


def between(before, after, world=WORLD):
    """Gains and losses of a tenant whose facts change."""
    stands = [resolve(tenant(*facts), world, NOW, NOW + 1)[0].standpoint for facts in (before, after)]
    return gains_and_losses(*stands)


@pytest.mark.parametrize(
    ("before", "after", "gains", "losses"),
    [
        ([sub("pro")], [sub("pro")], (), ()),
        (
            [],
            [sub("pro", add_ons={"contacts": 1})],
            (
                "books",
                "old",
                "crm.export",
                "crm.contacts: 10",
                "crm.calls: 100/month",
                "books.close",
                "books.audit",
                "books.ledgers: 3",
                "books.delay: 1 day",
                "books.strict",
                "old.fax",
                "seats: 1 -> 5",
            ),
            (),
        ),
        (
            [sub("big")],
            [sub("pro")],
            (),
            (
                "crm.contacts: 10",
                "books.ledgers: 9 -> 3",
                "books.delay: 1 hour -> 1 day",
                "seats: unlimited -> 5",
            ),
        ),
        ([sub("pro")], [sub("pro"), override("old", DENY)], (), ("old", "old.fax")),
        (
            [sub("pro"), override("crm.calls", Allowance(7))],
            [sub("pro")],
            ("crm.calls: 7/month -> 100/month",),
            (),
        ),
        (
            [sub("free")],
            [sub("free", paused_from=NOW)],
            (),
            ("crm: full -> read_only", "seats: full -> read_only"),
        ),
        (
            [sub("free", paused_from=NOW)],
            [sub("free"), override("seats", Allowance(3))],
            ("crm: read_only -> full", "seats: read_only -> full", "seats: 1 -> 3"),
            (),
        ),
        (
            [override("crm", DENY), sub("free", paused_from=NOW)],
            [sub("free", paused_from=NOW), override("seats", DENY)],
            ("crm (read_only)",),
            ("seats: 1 (read_only)",),
        ),
        ([sub("pro")], [sub("pro"), override("books.strict", False)], (), ("books.strict: true -> false",)),
    ],
)
def test_a_change_of_one_tenant_gains_and_loses(before, after, gains, losses):
    """What is lost is named, what is reduced is told as before and after, what stays readable says so."""
    assert between(before, after) == (gains, losses)


@settings(deadline=None)
@given(documents, documents, days)
def test_what_one_way_gains_the_other_way_loses(one, other, at):
    """Going back loses just the keys that going there gains."""
    world = World.of(PUBLISHED, Controls())
    first, second = (resolve(each, world, at, at + 1)[0].standpoint for each in (one, other))
    gains, losses = gains_and_losses(first, second)
    lost, gained = (gains_and_losses(second, first)[side] for side in (1, 0))
    assert [line.partition(":")[0] for line in gains] == [line.partition(":")[0] for line in lost]
    assert [line.partition(":")[0] for line in losses] == [line.partition(":")[0] for line in gained]
    assert gains_and_losses(first, first) == ((), ())


def test_two_catalogs_are_held_against_real_subscriptions():
    """Tenants for whom nothing differs are counted, the others listed by their key."""
    new = changed("pro", **{"crm.calls": "50/month", "books.ledgers": 4})
    comparison = compare(OLD, new, {"b": Subscription("pro"), "a": Subscription("big"), "c": Subscription("free")})
    assert comparison == Comparison(
        (
            Effect("a", (), ("crm.calls: 100/month -> 50/month",)),
            Effect("b", ("books.ledgers: 3 -> 4",), ("crm.calls: 100/month -> 50/month",)),
        ),
        unchanged=1,
    )
    assert comparison.losers == comparison.effects
    pairs = [("b", Subscription("pro", version=7)), ("a", Subscription("big"))]
    assert compare(OLD, new, iter(pairs)).effects == comparison.effects


def test_the_same_catalog_changes_nobody():
    """Comparing a catalog with itself is empty."""
    comparison = compare(OLD, OLD, {"a": Subscription("pro"), "b": Subscription("free")})
    assert comparison == Comparison((), 2)
    assert comparison.losers == ()
    assert comparison.to_text() == "0 tenants change, 0 of them lose something, 2 keep all"


def test_a_comparison_is_told_to_people_and_programs():
    """Gains, losses and what is used beyond a new limit have marks of their own."""
    new = changed("pro", **{"seats": 3, "books.ledgers": 4})
    usage = {"a": {"seats": 4, "crm.calls": 1000}, "zzz": {"seats": 9}}
    comparison = compare(OLD, new, {"a": Subscription("pro"), "b": Subscription("free")}, usage=usage)
    assert comparison.to_text().splitlines() == [
        "1 tenant changes, 1 of them loses something, 1 keeps all",
        "  a",
        "    + books.ledgers: 3 -> 4",
        "    - seats: 5 -> 3",
        "    ! seats: 4 used, 3 allowed",
    ]
    assert json.loads(json.dumps(comparison.to_json())) == {
        "unchanged": 1,
        "tenants": [
            {
                "tenant": "a",
                "gains": ["books.ledgers: 3 -> 4"],
                "losses": ["seats: 5 -> 3"],
                "exceeds": ["seats: 4 used, 3 allowed"],
            }
        ],
    }


@pytest.mark.parametrize(
    ("value", "used", "exceeds"),
    [
        (3, 3, ()),
        (3, 4, ("seats: 4 used, 3 allowed",)),
        (0, 1, ("seats: 1 used, 0 allowed",)),
        (9, 10, ()),
        ("unlimited", 10**9, ()),
    ],
)
def test_only_what_a_lower_limit_turns_into_too_much_exceeds(value, used, exceeds):
    """At the limit is not over it, and whoever gets more exceeds nothing new."""
    comparison = compare(OLD, changed("pro", seats=value), {"a": Subscription("pro")}, usage={"a": {"seats": used}})
    assert comparison.effects[0].exceeds == exceeds


def test_a_limit_where_there_was_none_is_exceeded():
    """Who had no limit may use more than the new one."""
    new = changed("big", seats=50, **{"crm.contacts": 20})
    usage = {"a": {"seats": 60, "crm.contacts": 10, "nonsense": 5}}
    (effect,) = compare(OLD, new, {"a": Subscription("big")}, usage=usage).effects
    assert effect.exceeds == ("seats: 60 used, 50 allowed",)


def test_times_are_left_aside_unless_an_instant_is_named():
    """Without an instant all count as paid; with one, subscriptions stand as their times say."""
    new = changed("pro", **{"books.ledgers": 4})
    ended = {"a": Subscription("pro", ends=TODAY)}
    assert compare(OLD, new, ended).effects == (Effect("a", ("books.ledgers: 3 -> 4",), ()),)
    assert compare(OLD, new, ended, at=TODAY).effects == ()
    assert len(compare(OLD, new, ended, at=TODAY - timedelta(days=1)).effects) == 1


def test_a_naive_instant_is_refused():
    """A datetime without a zone names no moment."""
    with pytest.raises(TypeError):
        compare(OLD, OLD, {"a": Subscription("pro")}, at=datetime(2026, 9, 21))


def test_a_text_that_changed_is_told_on_both_sides():
    """Nobody can say which of two texts is more, so it may be missed and it may be welcome."""

    def sold(text: str) -> Catalog:
        feature = {"kind": "config", "type": "string", "merge": "priority"}
        plans = {"only": {"features": {"channel": text}}}
        return Catalog.load({"catalog": 1, "default_plan": "none", "features": {"channel": feature}, "plans": plans})

    (effect,) = compare(sold("mail"), sold("phone"), {"a": Subscription("only")}).effects
    assert effect == Effect("a", ("channel: mail -> phone",), ("channel: mail -> phone",))


def test_a_retired_key_is_lost_and_a_new_one_gained():
    """Keys of both catalogs are looked at."""
    modules = {key: value for key, value in SMALL["modules"].items() if key != "old"}
    modules["new"] = {"features": {"shine": {"kind": "switch"}}}
    pro = SMALL["plans"]["pro"]
    features = {key: value for key, value in pro["features"].items() if key != "old.fax"} | {"new.shine": True}
    new = Catalog.load(
        {
            **SMALL,
            "modules": modules,
            "plans": {**SMALL["plans"], "pro": {**pro, "modules": ["books", "new"], "features": features}},
            "retired": {**SMALL["retired"], "old": "2026-01-01"},
        }
    )
    (effect,) = compare(OLD, new, {"a": Subscription("pro")}).effects
    assert effect == Effect("a", ("new", "new.shine"), ("old", "old.fax"))


def test_a_catalog_that_may_not_follow_is_refused():
    """Taking away a key that is still listed needs saying so, here as when it is published."""
    modules = {key: value for key, value in SMALL["modules"].items() if key == "crm"}
    with pytest.raises(CatalogInvalid):
        compare(
            OLD,
            Catalog.load({**SMALL, "modules": modules, "plans": {"free": SMALL["plans"]["free"]}, "add_ons": {}}),
            {},
        )


def test_a_day_is_enough_to_tell():
    """The instant of a comparison is exact: a subscription that ends that day is over only from then on."""
    ends = {"a": Subscription("pro", ends=TODAY + timedelta(microseconds=1))}
    assert len(compare(OLD, changed("pro", seats=6), ends, at=TODAY).effects) == 1
    assert DAY == 86_400_000_000


def test_usage_may_be_known_of_some():
    """Of the others nothing exceeds."""
    fewer = {**SMALL["plans"]["pro"], "features": {**SMALL["plans"]["pro"]["features"], "seats": 3}}
    comparison = compare(
        Catalog.load(SMALL),
        Catalog.load({**SMALL, "plans": {**SMALL["plans"], "pro": fewer}}),
        {"acme": Subscription("pro"), "globex": Subscription("pro")},
        usage={"globex": {"seats": 4}},
    )
    assert [effect.exceeds for effect in comparison.effects] == [(), ("seats: 4 used, 3 allowed",)]
