"""Granting: lots of units that are given once, by hand or by an add-on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from payaid_entitlements.core.adding import set_add_on
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.metering import granting
from payaid_entitlements.core.metering.granting import Grant, given_subject, grants_at
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.values import DENY, Allowance
from payaid_entitlements.errors import ConfigurationError, OperationConflict, StoreDamaged, UnknownFeature
from tests.admin.conftest import Shop, at, facts
from tests.core.conftest import NOW, world_of

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "timezone": "Asia/Kolkata",
        "modules": {
            "crm": {
                "features": {
                    "calls": {"kind": "quota"},
                    "summaries": {"kind": "quota"},
                    "export": {"kind": "switch"},
                    "contacts": {"kind": "allocation"},
                }
            },
            "ads": {"features": {"posts": {"kind": "quota"}}},
        },
        "features": {"credits": {"kind": "credit", "decimals": 2, "pays_for": {"crm.summaries": 5}}},
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.contacts": 1}},
            "pro": {"extends": "free", "features": {"crm.calls": "100/month", "credits": "10/month"}},
        },
        "add_ons": {
            "pack": {"grant": {"credits": 500, "expires": "90 days"}},
            "both": {"grant": {"credits": Decimal("0.5")}},
            "plain": {"increment": {"crm.contacts": 1}},
        },
    }
)


@pytest.fixture
def shop(colour: str) -> Iterator[Shop]:
    opened = Shop(colour, catalog=CATALOG)
    yield opened
    opened.close()


def grants(shop: Shop, tenant: str = "acme") -> list[Grant]:
    """Those in force now, in the order in which they were given."""
    return sorted(grants_at(shop.document(tenant), shop.ent._setting.now()), key=lambda each: each.created)


def amounts(shop: Shop) -> list[Decimal | int]:
    return sorted(each.amount for each in grants(shop))


def test_what_is_granted_is_held_until_it_expires(shop, admin):
    """Also what no plan of the tenant lists; at the instant of expiry it is gone, without anybody doing anything."""
    assert shop.check("acme", "crm.calls").reason is Reason.PLAN_FEATURE_ABSENT
    change = admin.grant("acme", "crm.calls", 50, expires=at(3), operation="trial-1")
    assert facts(change) == (True, "change.applied")
    assert change.gains == ("crm.calls",)
    assert [str(each) for each in change.altered] == [
        f"grant {change.id}: none -> 50 crm.calls until 2026-09-24 14:13:20+00:00"
    ]
    decision = shop.check("acme", "crm.calls")
    assert (decision.allowed, decision.reason, decision.source, decision.value) == (
        True,
        Reason.GRANT_HELD,
        "grant",
        None,
    )
    shop.clock.travel_to(at(3))
    assert shop.check("acme", "crm.calls").reason is Reason.PLAN_FEATURE_ABSENT


def test_an_interval_counts_in_the_zone_of_the_tenant_as_windows_do(shop, admin):
    """One function finds expiries and windows: a month after 31 January is the last of February, local time."""
    admin.grant("acme", "credits", 1, expires="1 month", operation="a")
    admin.set_timezone("berlin", "Europe/Berlin")
    shop.clock.travel_to(at(16))  # 7 October; a month later Berlin is an hour behind
    admin.grant("berlin", "credits", 1, expires="1 month", operation="a")
    (plain,), (moved,) = grants(shop), grants(shop, "berlin")
    shop.clock.travel_to(datetime(2027, 1, 31, 9, tzinfo=UTC))
    admin.grant("clamped", "credits", 1, expires="1 month", operation="a")
    assert moment(grants(shop, "clamped")[0].expires) == datetime(2027, 2, 28, 9, tzinfo=UTC)
    day = 86_400_000_000
    assert plain.expires - plain.since == 30 * day
    assert moved.expires - moved.since == 31 * day + day // 24


def test_a_repeated_operation_gives_nothing_more(shop, admin):
    """The first change is named, so what was granted can be taken back by its id in either case."""
    first = admin.grant("acme", "credits", 5, operation="order-1")
    again = admin.grant("acme", "credits", 5, operation="order-1")
    assert (facts(again), again.id) == ((False, "change.repeated"), first.id)
    assert [(each.id, each.amount) for each in grants(shop)] == [(first.id, 5)]
    with pytest.raises(OperationConflict):
        admin.grant("acme", "credits", 6, operation="order-1")
    with pytest.raises(TypeError):
        admin.grant("acme", "credits", 5)
    with pytest.raises(TypeError):
        admin.grant("acme", "credits", 5, operation=None)


def test_what_is_left_of_a_grant_is_taken_back(shop, admin):
    """From now on; and whoever names another one is told which there are."""
    change = admin.grant("acme", "credits", 5, operation="order-1")
    other = admin.grant("acme", "crm.calls", 5, operation="order-2", promotional=True, priority=10)
    with pytest.raises(ConfigurationError, match=other.id):
        admin.void("acme", "nothing")
    with pytest.raises(ConfigurationError, match="there are none"):
        admin.void("nobody", change.id)
    voided = admin.void("acme", change.id)
    assert facts(voided) == (True, "change.applied")
    assert voided.losses == ("crm.summaries", "credits")
    assert facts(admin.void("acme", change.id)) == (False, "change.unchanged")
    assert [(each.id, each.promotional, each.priority) for each in grants(shop)] == [(other.id, True, 10)]


def test_granting_and_voiding_are_undone(shop, admin):
    """What was voided comes back as the lot that it was."""
    change = admin.grant("acme", "credits", 5, expires=at(5), operation="order-1")
    (given,) = grants(shop)
    shop.clock.advance(days=1)
    voided = admin.void("acme", change.id)
    undone = admin.undo(voided.id)
    assert facts(undone) == (True, "change.applied")
    assert grants(shop) == [given]
    admin.undo(undone.id)
    admin.undo(voided.id)
    assert grants(shop) == [given]
    shop.clock.travel_to(at(5))
    assert grants(shop) == []
    other = admin.grant("acme", "credits", 6, operation="order-2")
    admin.undo(other.id)
    assert grants(shop) == []


def test_a_rehearsal_grants_nothing(shop, admin):
    """It says what would be held."""
    change = shop.admin(dry_run=True).grant("acme", "credits", 5, operation="order-1")
    assert (facts(change), change.gains) == ((False, "change.dry_run"), ("crm.summaries", "credits"))
    assert facts(admin.grant("acme", "credits", 5, operation="order-1")) == (True, "change.applied")


def test_what_has_expired_leaves_the_document(shop, admin):
    """Its end is a fact, so the document does not grow with what is over."""
    admin.grant("acme", "credits", 5, expires=at(1), operation="order-1")
    shop.clock.advance(days=2)
    admin.suspend("acme")
    assert [len(line.facts) for path, line in shop.document("acme").timelines.items() if path[0] == "grant"] == [1]
    shop.clock.advance(days=31)
    admin.reinstate("acme")
    assert not any(path[0] == "grant" for path in shop.document("acme").timelines)


def test_what_the_vendor_does_by_hand_stands_above_grants(shop, admin):
    """Suspended, killed and denied: the units wait. So they do while nothing of the module is held."""
    admin.grant("acme", "crm.calls", 5, operation="a")
    admin.grant("acme", "ads.posts", 5, operation="b")
    assert shop.check("acme", "ads.posts").reason is Reason.DEPENDENCY_MISSING
    admin.kill("crm.calls")
    assert shop.check("acme", "crm.calls").reason is Reason.ENFORCEMENT_KILLED
    admin.restore("crm.calls")
    admin.override("acme", "crm.calls", DENY)
    assert shop.check("acme", "crm.calls").reason is Reason.OVERRIDE_DENIED
    admin.override("acme", "crm.calls", 0)
    assert shop.check("acme", "crm.calls").reason is Reason.PLAN_ZERO
    admin.clear_override("acme", "crm.calls")
    assert shop.check("acme", "crm.calls").reason is Reason.GRANT_HELD
    admin.suspend("acme")
    assert shop.check("acme", "crm.calls").reason is Reason.SUBSCRIPTION_SUSPENDED


def test_granted_units_wait_until_what_is_due_is_settled(shop, admin):
    """A pause and an overdue payment come first; what is merely over does not take bought units away."""
    admin.subscribe("acme", "pro")
    admin.grant("acme", "crm.calls", 5, operation="a")
    assert shop.worth("acme", "crm.calls") == Allowance(100, CATALOG.plans["pro"].features["crm.calls"].per)
    admin.pause("acme")
    assert shop.check("acme", "crm.calls").reason is Reason.SUBSCRIPTION_PAUSED
    explanation = shop.run(shop.ent.explain("acme", "crm.calls"))
    assert [(step.outcome, step.text) for step in explanation.steps if step.rule == "grant"] == [
        ("note", "units were granted besides")
    ]
    admin.resume("acme")
    admin.cancel("acme", when="now")
    assert shop.check("acme", "crm.calls").reason is Reason.GRANT_HELD
    admin.revoke("acme")
    assert not shop.check("acme", "crm.calls").allowed


def test_a_credit_opens_what_it_pays_for(shop, admin):
    """A quota that no plan lists is held by who holds a credit that pays for it."""
    assert shop.check("acme", "crm.summaries").reason is Reason.PLAN_FEATURE_ABSENT
    admin.subscribe("other", "pro")
    decision = shop.check("other", "crm.summaries")
    assert (decision.reason, decision.source, decision.plan) == (Reason.CREDIT_PAYS, "credit credits", "pro")
    admin.grant("acme", "credits", 5, operation="a")
    assert shop.check("acme", "crm.summaries").reason is Reason.CREDIT_PAYS
    admin.override("acme", "credits", DENY)
    assert shop.check("acme", "crm.summaries").reason is Reason.PLAN_FEATURE_ABSENT
    explanation = shop.run(shop.ent.explain("acme", "crm.summaries"))
    assert ("credit", "pass", "credits would pay for it, and is refused: override.denied") in [
        (step.rule, step.outcome, step.text) for step in explanation.steps
    ]


def test_grants_are_explained(shop, admin):
    """Who gave them, until when, and why."""
    admin.subscribe("acme", "pro", add_ons={"pack": 1})
    change = admin.grant("acme", "credits", Decimal("2.50"), operation="a", because="sorry for the outage")
    told = shop.run(shop.ent.explain("acme", "credits"))
    by_hand = next(each for each in told.to_json()["grants"] if each["id"] == change.id)
    assert by_hand == {
        "id": change.id,
        "feature": "credits",
        "amount": {"decimal": "2.50"},
        "since": "2026-09-21T14:13:20+00:00",
        "expires": None,
        "priority": 50,
        "promotional": False,
        "source": "by hand",
        "actor": "asha",
        "because": "sorry for the outage",
    }
    lines = told.to_text().splitlines()
    assert f"  grant {change.id}: 2.50 credits, by asha: sorry for the outage" in lines
    assert any(line.endswith(", by add-on pack@1") and " until " in line for line in lines)
    assert [entry.verb for entry in shop.trail(feature="credits")] == ["subscribe", "grant"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("nothing", 5), UnknownFeature),
        (("crm.export", 5), TypeError),
        (("crm.contacts", 5), TypeError),
        (("credits", 0.5), TypeError),
        (("credits", True), TypeError),
        (("credits", 0), ConfigurationError),
        (("credits", -1), ConfigurationError),
        (("credits", Decimal("NaN")), ConfigurationError),
        (("credits", Decimal("0.001")), ConfigurationError),
        (("credits", 10**30), ConfigurationError),
        (("crm.calls", Decimal("0.5")), ConfigurationError),
    ],
)
def test_what_cannot_be_granted_is_refused(shop, admin, arguments, error):
    """Typed, before anything is written."""
    with pytest.raises(error):
        admin.grant("acme", *arguments, operation="a")


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({"expires": at(0)}, ConfigurationError),
        ({"expires": "soon"}, ConfigurationError),
        ({"priority": 101}, ConfigurationError),
        ({"priority": -1}, ConfigurationError),
        ({"priority": True}, TypeError),
        ({"priority": 1.0}, TypeError),
    ],
)
def test_terms_that_make_no_sense_are_refused(shop, admin, named, error):
    """An expiry that is over, and what is no priority."""
    with pytest.raises(error):
        admin.grant("acme", "credits", 1, operation="a", **named)


def test_an_add_on_gives_its_lot_once_for_each_unit(shop, admin):
    """Raising gives the difference; repeating, lowering and raising again give nothing."""
    admin.subscribe("acme", "pro")
    admin.set_add_on("acme", "pack", 1)
    assert amounts(shop) == [500]
    admin.set_add_on("acme", "pack", 1)
    admin.set_add_on("acme", "pack", 0)
    admin.set_add_on("acme", "pack", 1)
    assert amounts(shop) == [500]
    shop.clock.advance(days=1)
    admin.set_add_on("acme", "pack", 3)
    assert amounts(shop) == [500, 1000]
    assert [each.source for each in grants(shop)] == ["add-on pack@1"] * 2
    admin.set_add_on("acme", "plain", 2)
    assert amounts(shop) == [500, 1000]
    shop.clock.travel_to(at(90))
    assert amounts(shop) == [1000]
    admin.set_add_on("acme", "pack", 4)
    assert amounts(shop) == [500, 1000]


def test_undoing_an_add_on_takes_its_lot_back(shop, admin):
    """And redoing gives it again."""
    admin.subscribe("acme", "pro")
    change = admin.set_add_on("acme", "pack", 1)
    undone = admin.undo(change.id)
    assert amounts(shop) == []
    admin.undo(undone.id)
    assert amounts(shop) == [500]
    admin.set_add_on("acme", "pack", 1)
    assert amounts(shop) == [500]


def test_messages_about_add_ons_come_to_the_same_sum_in_any_order(shop, admin):
    """A message that comes late adds nothing that a later one gave already."""
    admin.subscribe("acme", "pro", as_of=at(-9))
    admin.set_add_on("acme", "pack", 2, as_of=at(-2), operation="second")
    admin.set_add_on("acme", "pack", 1, as_of=at(-3), operation="first")
    admin.set_add_on("acme", "pack", 2, as_of=at(-2), operation="second")
    assert amounts(shop) == [1000]
    admin.set_add_on("acme", "pack", 3, as_of=at(-4), operation="before")
    assert amounts(shop) == [500, 1000]
    admin.set_add_on("acme", "pack", 3, as_of=at(-1), operation="last")
    assert amounts(shop) == [500, 1000]


def test_a_subscription_that_takes_the_place_of_one_in_force_gives_nothing_twice(shop, admin):
    """Repeated by a source it is the same purchase; after one that had lapsed it is another."""
    admin.subscribe("acme", "pro", add_ons={"pack": 1})
    admin.subscribe("acme", "pro", add_ons={"pack": 1})
    assert amounts(shop) == [500]
    admin.set_add_on("acme", "both", 1)
    admin.cancel("acme", when="now")
    shop.clock.advance(days=1)
    admin.subscribe("acme", "pro", add_ons={"pack": 1})
    assert amounts(shop) == [Decimal("0.5"), 500, 500]
    admin.set_add_on("acme", "both", 1)
    assert amounts(shop) == [Decimal("0.5"), Decimal("0.5"), 500, 500]
    admin.subscribe("acme", "free", name="second", add_ons={"pack": 1})
    assert len(amounts(shop)) == 5


def test_bought_units_begin_with_the_subscription(shop, admin):
    """Not before; and they expire so long after that."""
    admin.subscribe("acme", "pro", add_ons={"pack": 1}, starts=at(5))
    admin.set_add_on("acme", "pack", 2)
    assert amounts(shop) == []
    assert not shop.check("acme", "crm.summaries").allowed
    shop.clock.travel_to(at(5))
    assert amounts(shop) == [500, 500]
    shop.clock.travel_to(at(95))
    assert amounts(shop) == []


def test_a_subscription_that_is_said_twice_before_it_begins_gives_once(shop, admin):
    """Scheduled, it is one that goes on; so it is overdue."""
    admin.subscribe("acme", "pro", add_ons={"pack": 1}, starts=at(5))
    shop.clock.advance(hours=1)
    admin.subscribe("acme", "pro", add_ons={"pack": 1}, starts=at(5))
    shop.clock.travel_to(at(5))
    assert amounts(shop) == [500]
    admin.past_due("acme", at(-60))
    admin.subscribe("acme", "pro", add_ons={"pack": 1})
    assert amounts(shop) == [500]


def test_at_most_so_many_grants_are_in_force(shop, admin, monkeypatch):
    """Each is a lot of its own; those that have expired or were voided do not count."""
    monkeypatch.setattr(granting, "MOST_GRANTS", 2)
    first = admin.grant("acme", "credits", 1, operation="a")
    admin.grant("acme", "credits", 1, expires=at(1), operation="b")
    with pytest.raises(ConfigurationError, match="2 grants"):
        admin.grant("acme", "credits", 1, operation="c")
    admin.void("acme", first.id)
    admin.grant("acme", "credits", 1, operation="c")
    shop.clock.travel_to(at(1))
    admin.grant("acme", "credits", 1, operation="d")


def test_starting_a_subscription_takes_no_bought_units(shop, admin):
    """Nor does its end."""
    admin.grant("acme", "credits", 5, operation="a")
    admin.subscribe("acme", "pro")
    admin.cancel("acme", when="now")
    shop.clock.advance(days=1)
    assert amounts(shop) == [5]


@pytest.mark.parametrize(
    "value",
    [
        7,
        {"feature": "credits"},
        {"amount": {"decimal": "x"}},
        {"amount": True},
        {"amount": 0},
        {"expires": 10**20},
        {"priority": "high"},
    ],
)
def test_a_damaged_grant_is_not_taken_for_none(shop, admin, value):
    """Nothing is guessed: the tenant's answers say that the store is damaged."""
    change = admin.grant("acme", "credits", 5, operation="a")
    document = shop.document("acme")
    line = document.timelines["grant", change.id]
    known = line.facts[0].value
    broken = {**known, **value} if isinstance(value, dict) and len(value) == 1 and "feature" not in value else value
    facts = (replace(line.facts[0], value=broken),)
    damaged = replace(document, timelines={("grant", change.id): replace(line, facts=facts)})
    with pytest.raises(StoreDamaged):
        grants_at(damaged, shop.ent._setting.now())


def test_a_change_of_plan_says_what_becomes_of_what_was_used(shop, admin):
    """It is a fact of the change: told, undone with it, and known by the operation."""
    admin.subscribe("acme", "free")
    shop.clock.advance(days=1)
    with pytest.raises(ConfigurationError, match="'carry_usage', 'carry_balance', 'fresh'"):
        admin.change_plan("acme", "pro", usage="keep")
    change = admin.change_plan("acme", "pro", usage="fresh", operation="a")
    assert [str(each) for each in change.altered] == [
        "plan: free@1 -> pro@1",
        "usage: none -> fresh of crm.calls, fresh of credits",
    ]
    assert facts(admin.change_plan("acme", "pro", usage="fresh", operation="a")) == (False, "change.repeated")
    with pytest.raises(OperationConflict):
        admin.change_plan("acme", "pro", operation="a")
    undone = admin.undo(change.id)
    assert str(undone.altered[-1]) == "usage: fresh of crm.calls, fresh of credits -> none"
    admin.subscribe("acme", "free", name="second")
    shop.clock.advance(days=1)
    change = shop.admin(dry_run=True).change_plan("acme", "pro", usage="carry_balance", name="second")
    assert any(each.what == "usage of subscription second" for each in change.altered)


def test_units_of_what_is_not_counted_any_more_wait(shop, admin):
    """A catalog that makes something else of a feature, or has it no more, breaks no tenant that was granted some."""
    admin.grant("acme", "crm.calls", 5, operation="a")
    document = shop.document("acme")
    (path,) = [path for path in document.timelines if path[0] == "grant"]
    line = document.timelines[path]
    for feature in ("gone", "crm.export"):
        fact = replace(line.facts[0], value={**line.facts[0].value, "feature": feature})
        other = replace(document, timelines={path: replace(line, facts=(fact,))})
        segment = resolve(other, world_of(CATALOG), NOW, NOW + 1)[0]
        assert segment.meters.lots == ()


def test_a_damaged_count_of_units_is_not_taken_for_none(shop, admin):
    """Else their lots would be given again."""
    admin.subscribe("acme", "pro", add_ons={"pack": 1})
    ground = Ground(shop.document("acme"), world_of(CATALOG), NOW + 1)
    about = given_subject("main", "pack")
    line = ground.document.timelines[about]
    for value, given in ((None, 2), ({"units": "x"}, None)):
        broken = {**ground.document.timelines, about: replace(line, facts=(replace(line.facts[0], value=value),))}
        on = replace(ground, document=replace(ground.document, timelines=broken))
        if given is None:
            with pytest.raises(StoreDamaged):
                set_add_on(on, "pack", 2)
        else:
            said = [fact.value for fact in set_add_on(on, "pack", 2) if fact.subject[0] == "grant" and fact.value]
            assert [each["amount"] for each in said] == [500 * given]
