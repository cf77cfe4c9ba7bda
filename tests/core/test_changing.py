"""What a change of a subscription, or of a tenant as a whole, records."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from payaid_entitlements.core.adding import set_add_on
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.changing import (
    Ground,
    cancel,
    change_plan,
    migrate,
    newest,
    paid,
    past_due,
    pause,
    resume,
    set_status,
    set_timezone,
    subscribe,
)
from payaid_entitlements.core.facts import NewFact, record
from payaid_entitlements.core.instant import DAY, HOUR, instant
from payaid_entitlements.core.resolution import STATUS, TIMEZONE, resolve
from payaid_entitlements.core.subscription import State, Times, subject, terms_at
from payaid_entitlements.core.values import Allowance
from payaid_entitlements.core.zones import billing_interval, history, period_end, zones, zones_subject
from payaid_entitlements.errors import ConfigurationError, UnknownPlan, UnknownTenant
from tests.core.conftest import NOW, SMALL, decide, sub, tenant, world_of

WORLD = world_of()


def on(document, *, now=NOW, as_of=None, world=WORLD):
    return Ground(document, world, now, as_of)


def after(document, facts, *, now=NOW, as_of=None):
    return record(document, facts, recorded=now, as_of=as_of).document


def terms(document, at=NOW, name="main"):
    return next(each for each in terms_at(document, at) if each.name == name)


def utc(*parts):
    return instant(datetime(*parts, tzinfo=UTC))


# -- beginning ----


def test_a_subscription_begins_now_in_the_newest_version():
    """Without more said it is in force at once, and its billing date is today."""
    begun = terms(after(tenant(), subscribe(on(tenant()), "pro")))
    assert (begun.plan, begun.version, begun.anchor, begun.times) == ("pro", 1, NOW, Times(starts=NOW))


def test_a_subscription_is_what_is_said_of_it():
    """Anchor, begin, end, zone, add-ons and name are taken as they are given."""
    facts = subscribe(
        on(tenant()),
        "pro",
        add_ons={"more_seats": 2, "contacts": 0},
        anchor=5,
        starts=NOW + DAY,
        ends=NOW + 9 * DAY,
        timezone="Asia/Kolkata",
        name="second",
    )
    begun = terms(after(tenant(), facts), name="second")
    assert (begun.anchor, begun.timezone, begun.add_ons) == (5, "Asia/Kolkata", (("more_seats", 2),))
    assert begun.times == Times(starts=NOW + DAY, ends=NOW + 9 * DAY)


def test_a_trial_is_as_long_as_the_plan_says():
    """Its days are those of the tenant's zone; a plan without a trial has none."""
    moved = after(tenant(), set_timezone(on(tenant()), "Europe/Berlin"))
    begun = after(moved, subscribe(on(moved), "pro", trial=True))
    assert terms(begun).times.trial_end == NOW + 14 * DAY
    # Berlin puts its clocks back on 25 October: those 14 days have an hour more.
    late = after(moved, subscribe(on(moved, now=NOW + 30 * DAY), "pro", trial=True), now=NOW + 30 * DAY)
    assert terms(late, NOW + 30 * DAY).times.trial_end == NOW + 44 * DAY + HOUR
    with pytest.raises(ConfigurationError, match="'free' has no trial"):
        subscribe(on(tenant()), "free", trial=True)


def test_a_new_subscription_wipes_out_the_troubles_of_the_old_one():
    """Overdue, paused, cancelled, its trial and its add-ons: nothing of it is inherited."""
    old = tenant(
        sub(
            "big",
            past_due_since=1,
            paused_from=1,
            cancel_at=1,
            trial_end=1,
            ends=1,
            add_ons={"more_seats": 2},
        )
    )
    begun = terms(after(old, subscribe(on(old), "pro")))
    assert begun.times == Times(starts=NOW)
    assert begun.add_ons == ()


def test_what_is_in_force_is_not_given_up_for_something_later():
    """A begin in the future is refused while the present subscription would be lost by it."""
    with pytest.raises(ConfigurationError, match="change_plan"):
        subscribe(on(tenant(sub("pro"))), "big", starts=NOW + DAY)
    over = tenant(sub("pro", ends=NOW))
    assert terms(after(over, subscribe(on(over), "big", starts=NOW + DAY))).times.starts == NOW + DAY
    beside = tenant(sub("pro"))
    assert subscribe(on(beside), "big", starts=NOW + DAY, name="second")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"plan": "por"}, UnknownPlan, "did you mean 'pro'"),
        ({"plan": "pro", "add_ons": {"more_seat": 1}}, UnknownPlan, "did you mean 'more_seats'"),
        ({"plan": "pro", "add_ons": {"more_seats": 3}}, ConfigurationError, "at most 2"),
        ({"plan": "pro", "add_ons": {"more_seats": -1}}, ConfigurationError, "cannot be held"),
        ({"plan": "pro", "add_ons": {"more_seats": True}}, TypeError, "whole number"),
        ({"plan": "big", "add_ons": {"contacts": 1}}, ConfigurationError, "only for pro"),
        ({"plan": "pro", "timezone": "Asia/Kolkatta"}, ConfigurationError, "Asia/Kolkata"),
    ],
)
def test_what_cannot_be_sold_is_refused(arguments, error, says):
    """Mistakes are named with the way out, before anything is recorded."""
    with pytest.raises(error, match=says):
        subscribe(on(tenant()), **arguments)


# -- changing the plan ----


def test_a_change_of_plan_ends_the_trial_and_what_was_planned():
    """Buying replaces the trial; the last word about the future holds."""
    trial = tenant(sub("pro", trial_end=NOW + DAY))
    planned = after(trial, change_plan(on(trial), "free", when=NOW + 9 * DAY))
    bought = after(planned, change_plan(on(planned), "big"))
    assert terms(bought).times.trial_end is None
    assert [terms(bought, at).plan for at in (NOW, NOW + 9 * DAY)] == ["big", "big"]


def test_add_ons_that_are_not_for_the_new_plan_end_with_the_old_one():
    """They end when the change holds; others, and unknown ones, are treated as the catalog says."""
    document = tenant(sub("pro", add_ons={"contacts": 1, "more_seats": 1, "vanished": 1}))
    planned = after(document, change_plan(on(document), "big", when=NOW + DAY))
    assert terms(planned).add_ons == (("contacts", 1), ("more_seats", 1), ("vanished", 1))
    assert terms(planned, NOW + DAY).add_ons == (("more_seats", 1),)


def test_taking_a_planned_change_back_keeps_the_add_ons():
    """What the dropped change would have ended goes on."""
    document = tenant(sub("pro", add_ons={"contacts": 1}))
    planned = after(document, change_plan(on(document), "big", when=NOW + DAY))
    kept = after(planned, change_plan(on(planned), "pro"))
    assert terms(kept, NOW + 2 * DAY).add_ons == (("contacts", 1),)


def test_only_a_subscription_that_exists_can_be_changed():
    """Every verb names the tenant and the subscription that it did not find."""
    for verb in (
        paid,
        resume,
        pause,
        cancel,
        lambda ground: change_plan(ground, "pro"),
        lambda g: past_due(g, NOW),
    ):
        with pytest.raises(UnknownTenant, match="'acme' has no subscription 'main'"):
            verb(on(tenant()))
    with pytest.raises(UnknownPlan):
        change_plan(on(tenant(sub("pro"))), "por")
    (fact,) = paid(on(tenant(sub("pro", "a"), sub("pro", "b"))), name="b")
    assert fact == NewFact(subject("b", "past_due_since"), NOW, None)


@pytest.mark.parametrize(("when", "at"), [("now", NOW), (NOW + 5, NOW + 5), ("period_end", utc(2026, 9, 28))])
def test_a_subscription_is_cancelled_now_at_an_instant_or_at_the_end_of_its_period(when, at):
    """Until then nothing changes."""
    document = tenant(sub("pro", anchor=utc(2026, 1, 28)))
    cancelled = after(document, cancel(on(document), when=when))
    assert terms(cancelled).times.cancel_at == at
    assert resolve(cancelled, WORLD, at, at + 1)[0].standpoint.state is State.CANCELLED


# -- pausing and paying ----


def test_a_pause_that_goes_on_keeps_its_beginning():
    """Pausing again only moves its end; after its end, or said by a source, it begins anew."""
    document = after(tenant(sub("pro")), pause(on(tenant(sub("pro"))), until=NOW + 5 * DAY))
    assert terms(document).times == Times(paused_from=NOW, paused_until=NOW + 5 * DAY)
    longer = after(document, pause(on(document, now=NOW + DAY)), now=NOW + DAY)
    assert terms(longer, NOW + DAY).times == Times(paused_from=NOW)
    anew = after(document, pause(on(document, now=NOW + 5 * DAY)), now=NOW + 5 * DAY)
    assert terms(anew, NOW + 5 * DAY).times == Times(paused_from=NOW + 5 * DAY)
    dated = after(document, pause(on(document, now=NOW + DAY, as_of=NOW + 9)), now=NOW + DAY, as_of=NOW + 9)
    assert terms(dated, NOW + DAY).times == Times(paused_from=NOW + 9)
    assert terms(after(document, resume(on(document)))).times == Times()


def test_a_status_is_set_and_lifted():
    """A tenant without a subscription can be suspended too."""
    suspended = after(tenant(), set_status(on(tenant()), "suspended"))
    assert suspended.value(STATUS, NOW) == "suspended"
    assert after(suspended, set_status(on(suspended), None)).value(STATUS, NOW) is None


# -- zones and periods ----


def test_a_tenant_moves_with_its_subscriptions():
    """The history of zones is kept, of the tenant and of each subscription that names one of its own."""
    document = tenant(sub("pro", "a", timezone="Asia/Tokyo"), sub("pro", "b"))
    moved = after(document, set_timezone(on(document), "Europe/Berlin"))
    again = after(moved, set_timezone(on(moved, now=NOW + DAY), "Europe/Paris"), now=NOW + DAY)
    at = NOW + DAY
    assert again.value(TIMEZONE, at)["zone"] == "Europe/Paris"
    assert history(again, WORLD, at) == [[0, "UTC"], [NOW, "Europe/Berlin"], [at, "Europe/Paris"]]
    own = [[0, "Asia/Tokyo"], [NOW, "Europe/Berlin"], [at, "Europe/Paris"]]
    assert again.value(zones_subject("a"), at) == own
    assert history(again, WORLD, at, terms(again, at, "a")) == own
    assert history(again, WORLD, at, terms(again, at, "b")) == history(again, WORLD, at)
    assert [each.key for _, each in zones(again, WORLD, at)] == ["UTC", "Europe/Berlin", "Europe/Paris"]
    assert set_timezone(on(again, now=at), "Europe/Paris")[0].value["history"] == history(again, WORLD, at)
    with pytest.raises(ConfigurationError):
        set_timezone(on(document), "Mars/Base")


def test_a_subscription_that_names_a_zone_has_it_from_the_beginning():
    """Where nothing of a move is known, its own zone always held."""
    document = tenant(sub("pro", timezone="Asia/Tokyo"))
    assert history(document, WORLD, NOW, terms(document)) == [[0, "Asia/Tokyo"]]


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({"anchor": utc(2026, 1, 31)}, utc(2026, 9, 30)),
        ({"starts": utc(2026, 9, 1)}, utc(2026, 10, 1)),
        ({}, utc(2026, 10, 21, 14, 13, 20)),
        ({"trial_end": NOW + DAY, "anchor": 5}, NOW + DAY),
        ({"trial_end": NOW, "anchor": utc(2026, 1, 31)}, utc(2026, 9, 30)),
        ({"starts": utc(2027, 1, 1)}, utc(2027, 2, 1)),
    ],
)
def test_what_runs_ends_with_the_trial_or_with_the_period(fields, end):
    """Periods are counted from the anchor, else the begin, else now; what has not begun ends its first."""
    document = tenant(sub("pro", **fields))
    assert period_end(document, WORLD, terms(document), NOW) == end


def test_a_plan_that_is_only_sold_by_the_year_is_billed_by_the_year():
    """All other plans are billed by the month."""
    yearly = {**SMALL["plans"]["pro"], "price": {"yearly": 10, "currency": "INR"}}
    sold = Catalog.load({**SMALL, "plans": {**SMALL["plans"], "pro": yearly}}).plans
    assert [str(billing_interval(sold[plan])) for plan in ("pro", "big", "free")] == [
        "year",
        "month",
        "month",
    ]


# -- versions ----


def test_holders_of_older_versions_are_migrated_now_and_later():
    """Every place that names an older version is changed; newer ones and other plans stay."""
    facts = [
        *sub("pro", "a"),
        NewFact(subject("a", "plan"), NOW + DAY, {"plan": "pro", "version": 2}),
        NewFact(subject("a", "plan"), NOW + 2 * DAY, {"plan": "big", "version": 1}),
        *sub("pro", "b", version=3),
        *sub("big", "c", add_ons={"more_seats": 1}),
        NewFact(STATUS, 0, "suspended"),
    ]
    document = tenant(facts)
    migrated = migrate(on(document), "pro", 3)
    assert [(fact.subject[1], fact.since - NOW, fact.value) for fact in migrated] == [
        ("a", 0, {"plan": "pro", "version": 3}),
        ("a", DAY, {"plan": "pro", "version": 3}),
        ("a", 2 * DAY, {"plan": "big", "version": 1}),
    ]
    assert migrate(on(after(document, migrated)), "pro", 3) == ()


def test_the_newest_version_is_that_of_a_plan_that_is_sold():
    """A plan that nobody sells has no newest version."""
    assert newest(WORLD, "pro").version == 1
    with pytest.raises(UnknownPlan, match="did you mean 'pro'"):
        newest(WORLD, "prr")


# -- add-ons ----


def test_an_add_on_is_held_in_a_quantity_and_given_back():
    """0 gives it back; giving back what is not sold any more works too."""
    document = tenant(sub("pro", add_ons={"vanished": 1}))
    two = after(document, set_add_on(on(document), "more_seats", 2))
    assert decide(two, "seats", WORLD).value == Allowance(15)
    none = after(two, set_add_on(on(two), "more_seats", 0))
    assert decide(none, "seats", WORLD).value == Allowance(5)
    assert terms(after(none, set_add_on(on(none), "vanished", 0))).add_ons == ()


@pytest.mark.parametrize(
    ("key", "quantity", "error"),
    [
        ("nonsense", 1, UnknownPlan),
        ("nonsense", 0, UnknownPlan),
        ("more_seats", 3, ConfigurationError),
        ("more_seats", -1, ConfigurationError),
        ("more_seats", 1.0, TypeError),
    ],
)
def test_an_add_on_that_cannot_be_held_is_refused(key, quantity, error):
    """Unknown ones, too many and what is no number raise before anything is recorded."""
    with pytest.raises(error):
        set_add_on(on(tenant(sub("pro"))), key, quantity)


def test_an_add_on_for_another_plan_is_refused():
    """It names the plans that may hold it."""
    with pytest.raises(ConfigurationError, match="only for pro"):
        set_add_on(on(tenant(sub("big"))), "contacts", 1)


def test_an_add_on_ends_where_a_planned_change_does_not_allow_it():
    """Bought today, it ends with the plan that may hold it."""
    document = tenant(sub("pro"))
    planned = after(document, change_plan(on(document), "big", when=NOW + DAY))
    bought = after(planned, set_add_on(on(planned), "contacts", 1))
    assert terms(bought).add_ons == (("contacts", 1),)
    assert terms(bought, NOW + DAY).add_ons == ()
    seats = after(planned, set_add_on(on(planned), "more_seats", 1))
    assert terms(seats, NOW + DAY).add_ons == (("more_seats", 1),)


def test_a_late_message_about_an_add_on_of_before_is_superseded():
    """What a source said before the present subscription, or for another plan, is nothing any more."""
    begun = after(tenant(), subscribe(on(tenant(), as_of=NOW), "pro"), as_of=NOW)
    assert set_add_on(on(begun, now=NOW + DAY, as_of=NOW - 1), "more_seats", 1) == ()
    changed = after(
        begun, change_plan(on(begun, now=NOW + DAY, as_of=NOW + HOUR), "big"), now=NOW + DAY, as_of=NOW + HOUR
    )
    late = on(changed, now=NOW + 2 * DAY, as_of=NOW + 1)
    assert set_add_on(late, "contacts", 1) == ()
    assert set_add_on(late, "contacts", 0)
    assert set_add_on(late, "more_seats", 1)
