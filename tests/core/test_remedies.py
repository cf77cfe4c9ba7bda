"""What would turn a refusal: only what really does, and never at the price of something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.adding import set_add_on
from payaid_entitlements.core.catalog import Catalog, publish
from payaid_entitlements.core.catalog.model import Access, Price
from payaid_entitlements.core.changing import change_plan, paid, resume, subscribe
from payaid_entitlements.core.comparison import gains_and_losses
from payaid_entitlements.core.controls import OBSERVE, Controls
from payaid_entitlements.core.facts import NewFact, record
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY, instant, moment
from payaid_entitlements.core.remedies import AddAddOn, ChangePlan, Contact, WaitUntil, remedies
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.subscription import MAIN, standing, subject, terms_at
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.core.world import World
from tests.core.conftest import NOW, SMALL, override, situation_of, status, sub, tenant, world_of
from tests.core.generated import KEYS, PUBLISHED, days, overrides, quantities

WORLD = world_of()
PRO, BIG = (
    ChangePlan("pro", "pro", (Price(10, "INR", "month"),)),
    ChangePlan("big", "big", (Price(50, "INR", "month"),)),
)
CONTACTS, SEATS = (
    AddAddOn("contacts", "contacts", 1),
    AddAddOn("more_seats", "more_seats", 1, (Price(2, "INR", "month"),)),
)
PAY, RESUME = (Contact(title, subscription="main") for title in ("Pay what is due", "Resume the subscription"))
ANEW, BIG_ANEW = (replace(each, verb="subscribe") for each in (PRO, BIG))


def of(name, *each):
    """The same for the subscription *name*."""
    return tuple(replace(remedy, subscription=name) for remedy in each)


BY_HAND = Contact("Talk to us: this was set for the account by hand")
PRO_1 = {"plan": "pro", "version": 1}


def at(since, field, value):
    """The fact that *field* of the main subscription is *value* from *since* on."""
    return NewFact(subject("main", field), since, value)


def found(key, *facts, world=WORLD):
    return remedies(situation_of(*facts, world=world), world, key)


@pytest.mark.parametrize(
    ("key", "facts", "expected"),
    [
        ("crm", [], ()),
        ("nonsense", [], ()),
        ("crm.telex", [], ()),
        ("books.close", [], (ANEW, BIG_ANEW)),
        ("books", [sub("free")], (PRO, BIG)),
        ("crm.contacts", [], (BIG_ANEW,)),
        ("crm.contacts", [sub("pro")], (CONTACTS, BIG)),
        ("crm.contacts", [sub("pro", trial_end=NOW + DAY)], (CONTACTS, BIG)),
        # What has lapsed: the same again first, even where another plan is smaller.
        ("books.close", [sub("pro", ends=NOW)], (ANEW, BIG_ANEW)),
        ("books.close", [sub("big", ends=NOW)], (BIG_ANEW, ANEW)),
        ("books.close", [sub("big", cancel_at=NOW)], (BIG_ANEW, ANEW)),
        ("books.close", [sub("big", "team", trial_end=NOW)], of("team", BIG_ANEW, ANEW)),
        # What is over beside something in force is bought again beside it.
        ("books.close", [sub("free", "a"), sub("pro", "b", ends=NOW)], (*of("b", ANEW), *of("a", BIG))),
        # What begins by itself.
        ("books.close", [sub("pro", starts=NOW + 5)], (WaitUntil(moment(NOW + 5)), ANEW, BIG_ANEW)),
        ("books.close", [sub("pro", starts=NOW + 5, ends=NOW + 5)], (ANEW, BIG_ANEW)),
        ("crm.contacts", [sub("pro", starts=NOW + 5)], (BIG_ANEW,)),
        # What was scheduled.
        ("books.close", [sub("free"), at(NOW + 5, "plan", PRO_1)], (WaitUntil(moment(NOW + 5)), PRO, BIG)),
        ("seats", [sub("free"), override("seats", Allowance(0)), at(NOW + 5, "plan", PRO_1)], (BY_HAND,)),
        ("crm.contacts", [sub("free"), at(NOW + 5, "plan", PRO_1)], (BIG,)),
        (
            "books.close",
            [sub("pro", ends=NOW), at(NOW + 5, "ends", NOW + 99)],
            (WaitUntil(moment(NOW + 5)), ANEW, BIG_ANEW),
        ),
        (
            "books.close",
            [
                sub("free", "a", starts=NOW + 3),
                sub("pro", "b", starts=NOW + 5),
                sub("big", "c", starts=NOW + 9),
            ],
            (WaitUntil(moment(NOW + 5)), *of("c", BIG_ANEW, ANEW)),
        ),
        # Several subscriptions: each remedy says for which it is.
        ("crm.contacts", [sub("free", "a"), sub("pro", "b")], of("b", CONTACTS, BIG)),
        ("books.close", [sub("free", "a"), sub("pro", "b", paused_from=NOW)], of("b", RESUME)),
        # Trouble with money.
        ("books.close", [sub("pro", past_due_since=NOW - 8 * DAY)], (PAY,)),
        ("books.close", [sub("pro", past_due_since=NOW - 80 * DAY)], (PAY,)),
        ("crm.contacts", [sub("pro", past_due_since=NOW - 8 * DAY)], (PAY, BIG)),
        ("crm.contacts", [sub("pro", past_due_since=NOW)], (CONTACTS, BIG)),
        # Another plan does not open what is not paid, or paused, though it is out of force.
        ("crm.contacts", [sub("pro", past_due_since=NOW - 80 * DAY)], (PAY, BIG)),
        ("crm.contacts", [sub("pro", past_due_since=NOW - 80 * DAY, paused_from=NOW)], (PAY, RESUME, BIG)),
        ("books.close", [sub("pro", past_due_since=NOW - 80 * DAY, paused_from=NOW)], (PAY, RESUME)),
        ("books.close", [sub("pro", past_due_since=NOW - 8 * DAY, paused_from=NOW)], (RESUME, PAY)),
        ("books.close", [sub("pro", past_due_since=NOW - DAY, paused_from=NOW)], (RESUME,)),
        ("books.close", [sub("pro", paused_from=NOW)], (RESUME,)),
        (
            "books.close",
            [sub("pro", paused_from=NOW, paused_until=NOW + 5)],
            (WaitUntil(moment(NOW + 5)), RESUME),
        ),
        # What somebody of the vendor did.
        ("crm", [status("suspended")], (Contact("Talk to us: the account is suspended"),)),
        ("crm", [status("revoked")], (Contact("Talk to us: the license was revoked"),)),
        ("crm", [override("crm", DENY)], (Contact("Talk to us: this was switched off for the account"),)),
        (
            "seats",
            [override("seats", Allowance(0))],
            (BY_HAND,),
        ),
        # What something is missing for.
        ("books.audit", [override("books.audit", True)], (ANEW, BIG_ANEW)),
        (
            "books.audit",
            [sub("pro"), override("crm.export", DENY)],
            (Contact("Talk to us: this was switched off for the account"),),
        ),
    ],
)
def test_a_refusal_has_these_remedies(key, facts, expected):
    """Add-ons before plans, plans by rank, the same plan first after it has lapsed, else whom to talk to."""
    assert found(key, *facts) == expected


def test_a_kill_switch_has_no_remedy():
    """Nothing that a customer can do turns it, also where it hits something that is required."""
    world = world_of(controls=Controls().with_killed("crm.export"))
    assert found("crm.export", sub("pro"), world=world) == ()
    assert found("books.close", sub("pro"), world=world) == ()


def test_what_is_only_let_through_is_still_for_sale():
    """Enforcement modes do not hide what would have to be bought."""
    world = world_of(controls=Controls().with_mode("books", OBSERVE))
    assert found("books.close", world=world) == (ANEW, BIG_ANEW)


def altered(**parts: object) -> World:
    """The small catalog with other plans or add-ons."""
    changed = {**SMALL, **{key: {**SMALL[key], **value} for key, value in parts.items()}}
    return world_of(changed)


def test_hidden_plans_are_not_offered_and_contact_us_has_no_price():
    """What is not for everybody is never shown; what is sold by talking says so, with the plan."""
    big = {**SMALL["plans"]["big"], "buy": "hidden"}
    assert found("books.close", world=altered(plans={"big": big})) == (ANEW,)
    talking = altered(plans={"big": {**big, "buy": "contact_us", "title": "Big", "url": "https://example.com/big"}})
    assert found("books.close", world=talking) == (
        ANEW,
        Contact("Talk to us about Big", "big", "https://example.com/big", "main"),
    )


def test_the_default_plan_is_nothing_to_buy():
    """It is what everybody without a subscription has: not offered even where its newest version would do."""
    world = altered(plans={"free": {"modules": ["crm"], "features": {"crm.export": True}}})
    assert found("crm.export", sub("free", version=9), world=world) == (PRO, BIG)


def test_a_lower_plan_is_never_offered():
    """A plan below the one in force is no remedy, whatever it has."""
    world = altered(
        plans={
            "free": {"modules": ["crm"]},
            "pro": {"modules": ["crm"], "features": {"crm.export": True}},
            "big": {"modules": ["crm"]},
        }
    )
    assert found("crm.export", sub("big"), world=world) == ()


@pytest.mark.parametrize(
    "loses",
    [
        {"modules": ["crm"], "features": {"crm.contacts": 5}},
        {"extends": "pro", "features": {"crm.contacts": 5, "seats": 4}},
        {"extends": "pro", "features": {"crm.contacts": 5, "old.fax": False}},
        {"extends": "pro", "features": {"crm.contacts": 5, "crm.calls": "1000/year"}},
        {"extends": "pro", "features": {"crm.contacts": 5, "books.delay": "25 hours"}},
        {"extends": "pro", "features": {"crm.contacts": 5, "books.strict": False}},
    ],
)
def test_nothing_that_is_held_is_ever_lost(loses):
    """A plan that takes away a module, a feature or some of an allowance is no remedy, however big it is."""
    assert found("crm.contacts", sub("pro"), world=altered(plans={"big": loses})) == (CONTACTS,)


def test_add_ons_go_along_where_the_bigger_plan_allows_them():
    """What is held by an add-on is lost where the bigger plan may not have it: then it is no remedy."""
    add_ons = {"pack": {"increment": {"seats": 100}}}
    world = altered(
        plans={"big": {**SMALL["plans"]["big"], "features": {"crm.contacts": 9, "seats": 6}}}, add_ons=add_ons
    )
    assert found("crm.contacts", sub("pro", add_ons={"pack": 1}), world=world) == (CONTACTS, BIG)
    only = altered(
        plans={"big": {**SMALL["plans"]["big"], "features": {"crm.contacts": 9, "seats": 6}}},
        add_ons={"pack": {"increment": {"seats": 100}, "for_plans": ["pro"]}},
    )
    assert found("crm.contacts", sub("pro", add_ons={"pack": 1}), world=only) == (CONTACTS,)


def test_what_can_only_be_read_now_is_not_lost_either():
    """A customer who is overdue keeps, with any remedy, what is there again once that is paid."""
    late = sub("pro", past_due_since=NOW - 8 * DAY)
    smaller = {"extends": "pro", "features": {"crm.contacts": 5, "seats": 4}}
    assert found("crm.contacts", late) == (PAY, BIG)
    assert found("crm.contacts", late, world=altered(plans={"big": smaller})) == ()


def test_add_ons_are_only_for_their_plans_and_up_to_their_number():
    """An add-on is offered to whom it may be sold, and not to those who have all of it that there is."""
    world = altered(
        plans={
            "pro": {**SMALL["plans"]["pro"], "features": {"seats": 0}},
            "big": {**SMALL["plans"]["big"], "features": {}},
        },
        add_ons={
            "odd": {
                "modules": ["old"],
                "increment": {"crm.contacts": 1},
                "max_quantity": 1,
                "for_plans": ["free"],
            }
        },
    )
    assert AddAddOn("more_seats", "more_seats", 1, SEATS.prices) in found("seats", sub("pro"), world=world)
    assert found("crm.contacts", sub("pro"), world=world) == (CONTACTS,)
    assert found("crm.contacts", sub("free"), world=world) == (AddAddOn("odd", "odd", 1),)
    assert found("crm.contacts", sub("free", add_ons={"odd": 1}, ends=NOW), world=world) == ()


def test_an_add_on_needs_a_subscription_to_be_added_to():
    """Who holds only the default plan, or something that is paused, is not offered one."""
    world = altered(add_ons={"contacts": {"increment": {"crm.contacts": 10}}})
    assert found("crm.contacts", world=world) == (BIG_ANEW,)
    assert found("crm.contacts", sub("pro", paused_from=NOW), world=world) == (RESUME, BIG)


def test_a_newer_version_of_the_plan_in_force_may_be_the_remedy():
    """Who holds an old version gets what the newest one has by changing to it."""
    first, second = world_of().published, dict(SMALL)
    second["plans"] = {
        **SMALL["plans"],
        "pro": {
            **SMALL["plans"]["pro"],
            "features": {**SMALL["plans"]["pro"]["features"], "crm.contacts": 3},
        },
    }
    world = World.of(publish(first, Catalog.load(second))[0], Controls())
    assert found("crm.contacts", sub("pro", version=1), world=world) == (CONTACTS, PRO, BIG)


def test_a_plan_that_is_not_sold_any_more_cannot_be_bought_again():
    """After it has lapsed, what is sold today is offered."""
    without = {key: value for key, value in SMALL["plans"].items() if key != "big"}
    after = publish(world_of().published, Catalog.load({**SMALL, "plans": without}))[0]
    assert found("books.close", sub("big", ends=NOW), world=World.of(after, Controls())) == (ANEW,)


def test_remedies_are_told_as_json():
    """What the customer's browser gets names the kind and has no secrets."""
    told = [
        remedy.to_public()
        for remedy in (
            ChangePlan("pro", "Pro", (Price(10, "INR", "month", {"stripe": "price_1"}),), "https://example.com"),
            ChangePlan("pro", "Pro", verb="subscribe", subscription="team"),
            AddAddOn("more", "More", 2),
            WaitUntil(datetime(2026, 5, 1, tzinfo=UTC)),
            Contact("Talk to us"),
        )
    ]
    assert json.loads(json.dumps(told)) == [
        {
            "kind": "change_plan",
            "plan": "pro",
            "title": "Pro",
            "prices": [{"amount": "10", "currency": "INR", "interval": "month"}],
            "url": "https://example.com",
            "verb": "change_plan",
            "subscription": "main",
        },
        {
            "kind": "change_plan",
            "plan": "pro",
            "title": "Pro",
            "prices": [],
            "url": None,
            "verb": "subscribe",
            "subscription": "team",
        },
        {
            "kind": "add_add_on",
            "add_on": "more",
            "title": "More",
            "quantity": 2,
            "prices": [],
            "url": None,
            "subscription": "main",
        },
        {"kind": "wait_until", "at": "2026-05-01T00:00:00+00:00"},
        {"kind": "contact", "title": "Talk to us", "plan": None, "url": None, "subscription": None},
    ]


# -- the law: remedies, carried out by the verbs that change things, do what they promise ----

EXAMPLE = World.of(PUBLISHED, Controls())
LIFECYCLE = PUBLISHED.catalog.lifecycle
times = st.dictionaries(
    st.sampled_from(["starts", "trial_end", "past_due_since", "paused_from", "paused_until", "cancel_at", "ends"]),
    days,
    max_size=2,
)
subscriptions = st.builds(
    lambda plan, name, add_ons, when: sub(plan, name, add_ons=add_ons, **when),
    st.sampled_from(list(EXAMPLE.catalog.plans)),
    st.sampled_from(["main", "team"]),
    st.builds(lambda held: dict.fromkeys(held, 1), quantities),
    times,
)
scheduled = st.builds(
    lambda plan, when: [NewFact(subject(MAIN, "plan"), when, {"plan": plan, "version": 1})],
    st.sampled_from(list(EXAMPLE.catalog.plans)),
    days.filter(lambda when: when > NOW),
)
tenants = st.builds(
    lambda each, later, granted: tenant(*each, *(later if each and each[0][0].subject[1] == MAIN else ()), granted),
    st.lists(subscriptions, max_size=2),
    st.lists(scheduled, max_size=1),
    st.lists(overrides, max_size=2),
)


def carried_out(document, remedy, offered):
    """The document after *remedy*, by the verb that it names, and the instant from which it holds; None for people."""

    def now(work, *arguments, **named):
        nonlocal document
        document = record(document, work(Ground(document, EXAMPLE, NOW), *arguments, **named), recorded=NOW).document

    match remedy:
        case WaitUntil(at=when):
            return document, instant(when)
        case AddAddOn(add_on=key, quantity=more, subscription=name):
            held = next(terms for terms in terms_at(document, NOW) if terms.name == name)
            has = sum(each.quantity for each in held.add_ons if each.key == key)
            now(set_add_on, key, has + more, name=name)
        case ChangePlan(plan=plan, verb="subscribe", subscription=name):
            now(subscribe, plan, name=name)
        case ChangePlan(plan=plan, subscription=name) | Contact(plan=str(plan), subscription=str(name)):
            # Paying and resuming come first, and are named first.
            for each in offered[: offered.index(remedy)]:
                match each:
                    case Contact(title="Pay what is due", subscription=whose):
                        now(paid, name=whose)
                    case Contact(title="Resume the subscription", subscription=whose):
                        now(resume, name=whose)
            known = {terms.name: terms for terms in terms_at(document, NOW)}
            is_over = name not in known or standing(known[name].times, LIFECYCLE, NOW).access is Access.NONE
            now(subscribe if is_over else change_plan, plan, name=name)
        case Contact(title="Pay what is due", subscription=str(name)):
            now(paid, name=name)
            if Contact("Resume the subscription", subscription=name) in offered:
                now(resume, name=name)
        case Contact(title="Resume the subscription", subscription=str(name)):
            now(resume, name=name)
            if Contact("Pay what is due", subscription=name) in offered:
                now(paid, name=name)
        case _:
            return None
    return document, NOW


def untroubled(document):
    """What a tenant would hold if all were paid and nothing paused."""
    for terms in terms_at(document, NOW):
        for work in (paid, resume):
            facts = work(Ground(document, EXAMPLE, NOW), name=terms.name)
            document = record(document, facts, recorded=NOW).document
    return resolve(document, EXAMPLE, NOW, NOW + 1)[0].standpoint


@example(tenant(sub("starter", starts=NOW + DAY), at(NOW + DAY, "plan", {"plan": "free", "version": 1})), "invoicing")
@example(tenant(sub("professional", "team", paused_from=NOW), sub("starter", starts=NOW + DAY)), "crm")
@example(
    tenant(sub("professional", paused_from=NOW, trial_end=NOW + DAY), sub("starter", "team", starts=NOW + DAY)), "crm"
)
@settings(deadline=None)
@given(tenants, st.sampled_from(KEYS))
def test_every_remedy_does_what_it_promises(document, key):
    """Buying, adding, paying or waiting opens the key, and takes nothing away that was held."""
    then = resolve(document, EXAMPLE, NOW, NOW + 1)[0].standpoint
    offered = remedies(then.situation, EXAMPLE, key)
    assume(offered)
    assert not then.write[key].allowed
    settles = [each for each in offered if isinstance(each, Contact) and each.subscription and each.plan is None]
    for remedy in offered:
        after = carried_out(document, remedy, offered)
        if after is None or (remedy in settles and offered[-1] not in settles):
            continue  # only people can do it; or it comes before what opens the key
        now = resolve(after[0], EXAMPLE, after[1], after[1] + 1)[0].standpoint
        assert now.write[key].allowed, remedy
        if not isinstance(remedy, WaitUntil):
            # Were it not for what is due or paused: beside that a small plan that is open would look like a loss.
            losses = gains_and_losses(*(untroubled(each) for each in (document, after[0])))[1]
            assert losses == (), remedy


def test_a_mapping_of_what_is_sold_is_all_that_remedies_need():
    """Unlimited is more than anything: no remedy takes it away."""
    of = situation_of(sub("pro"), override("seats", Allowance(UNLIMITED)), world=WORLD)
    assert remedies(of, WORLD, "crm.contacts") == (CONTACTS, BIG)
    assert isinstance(of.overrides, Mapping)
