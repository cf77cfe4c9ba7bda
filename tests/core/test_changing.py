"""What a change of a subscription, or of a tenant as a whole, records."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.adding import set_add_on
from payaid_entitlements.core.catalog import Catalog, publish
from payaid_entitlements.core.changing import (
    cancel,
    change_plan,
    newest,
    paid,
    past_due,
    pause,
    resume,
    set_status,
    set_timezone,
    subscribe,
)
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import NewFact, record
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY, HOUR, instant
from payaid_entitlements.core.migrating import migrate, migrate_add_on
from payaid_entitlements.core.provider_ids import set_provider_id
from payaid_entitlements.core.resolution import STATUS, resolve
from payaid_entitlements.core.subscription import HeldAddOn, State, Times, subject, terms_at
from payaid_entitlements.core.values import Allowance
from payaid_entitlements.core.world import World
from payaid_entitlements.core.zones import TIMEZONE, billing_interval, history, period_end, zones, zones_subject
from payaid_entitlements.errors import ConfigurationError, StoreDamaged, UnknownPlan, UnknownTenant
from tests.core.conftest import NOW, SMALL, decide, sub, tenant, world_of

WORLD = world_of()


def add_ons(of):
    """(key, quantity) of each add-on of some terms."""
    return tuple((held.key, held.quantity) for held in of.add_ons)


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
    assert (begun.anchor, begun.timezone, add_ons(begun)) == (5, "Asia/Kolkata", (("more_seats", 2),))
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
    assert add_ons(begun) == ()


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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"ends": NOW}, "cancel"),
        ({"ends": NOW - 1, "starts": NOW - 2}, "cancel"),
        ({"ends": NOW + DAY, "starts": NOW + DAY}, "cancel"),
        ({"anchor": utc(1, 1, 1)}, "anchor="),
        ({"starts": utc(9999, 12, 31)}, "anchor="),
        ({"timezone": ""}, "IANA"),
    ],
)
def test_a_subscription_that_could_never_hold_or_be_counted_is_refused(arguments, says):
    """At once, with the way out, and not by the verb that comes next."""
    with pytest.raises(ConfigurationError, match=says):
        subscribe(on(tenant()), "pro", **arguments)


def test_of_a_subscription_that_was_over_when_its_message_arrived_the_end_is_taken():
    """It was not over when the source said it."""
    late = subscribe(on(tenant(), as_of=NOW - DAY), "pro", ends=NOW - HOUR)
    assert resolve(after(tenant(), late, as_of=NOW - DAY), WORLD, NOW, NOW)[0].standpoint.state is State.ENDED


# -- changing the plan ----


def test_a_change_of_plan_ends_the_trial_and_what_was_planned():
    """Buying replaces the trial; the last word about the future holds."""
    trial = tenant(sub("pro", trial_end=NOW + DAY))
    planned = after(trial, change_plan(on(trial), "free", when=NOW + 9 * DAY))
    bought = after(planned, change_plan(on(planned), "big"))
    assert terms(bought).times.trial_end is None
    assert [terms(bought, at).plan for at in (NOW, NOW + 9 * DAY)] == ["big", "big"]


def test_a_plan_is_not_changed_in_the_past():
    """The past was what it was; a source may say what it was."""
    document = tenant(sub("pro"))
    with pytest.raises(ConfigurationError, match="as_of="):
        change_plan(on(document), "big", when=NOW - 1)
    late = change_plan(on(document, as_of=NOW - 2), "big", when=NOW - 1)
    assert terms(after(document, late, as_of=NOW - 2), NOW - 1).plan == "big"


TRIAL = [("try", NOW + HOUR), ("cancel", NOW + 2 * DAY), ("buy", NOW + 9 * DAY)]


@pytest.mark.parametrize("cancelled", ["period_end", NOW + 20 * DAY])
@pytest.mark.parametrize("order", list(permutations(TRIAL)))
def test_buying_takes_back_that_the_trial_was_cancelled(order, cancelled):
    """In whatever order the three arrive; and what is cancelled afterwards is cancelled."""
    now = NOW + 9 * DAY + HOUR
    document = after(tenant(), subscribe(on(tenant(), as_of=NOW), "free"), as_of=NOW)
    for verb, said in order:
        ground = on(document, now=now, as_of=said)
        match verb:
            case "try":
                facts = subscribe(ground, "pro", trial=True)
            case "cancel":
                facts = cancel(ground, when=cancelled)
            case "buy":
                facts = change_plan(ground, "big")
        document = after(document, facts, now=now, as_of=said)
    assert terms(document, now + 90 * DAY).times == Times(starts=NOW + HOUR)
    assert terms(document, now).plan == "big"
    again = after(document, cancel(on(document, now=now + DAY), when=now + 2 * DAY), now=now + DAY)
    assert terms(again, now + DAY).times.cancel_at == now + 2 * DAY


def test_a_cancellation_of_what_was_bought_stays():
    """Another plan is no other mind."""
    document = after(tenant(sub("pro")), cancel(on(tenant(sub("pro"))), when=NOW + DAY))
    assert terms(after(document, change_plan(on(document), "big"))).times.cancel_at == NOW + DAY


def test_add_ons_that_are_not_for_the_new_plan_end_with_the_old_one():
    """They end when the change holds; others stay, also one that was never published, which gives nothing."""
    document = tenant(sub("pro", add_ons={"contacts": 1, "more_seats": 1, "vanished": 1}))
    planned = after(document, change_plan(on(document), "big", when=NOW + DAY))
    assert add_ons(terms(planned)) == (("contacts", 1), ("more_seats", 1), ("vanished", 1))
    assert add_ons(terms(planned, NOW + DAY)) == (("more_seats", 1), ("vanished", 1))
    assert decide(planned, "seats", WORLD).value == Allowance(10)


def test_taking_a_planned_change_back_keeps_the_add_ons():
    """What the dropped change would have ended goes on."""
    document = tenant(sub("pro", add_ons={"contacts": 1}))
    planned = after(document, change_plan(on(document), "big", when=NOW + DAY))
    kept = after(planned, change_plan(on(planned), "pro"))
    assert add_ons(terms(kept, NOW + 2 * DAY)) == (("contacts", 1),)


def test_an_add_on_that_was_ended_by_a_plan_does_not_come_back_with_the_next():
    """It was given up; it is bought again."""
    document = tenant(sub("pro", add_ons={"contacts": 1}))
    for hour, plan in enumerate(("big", "pro")):
        now = NOW + hour * HOUR
        document = after(document, change_plan(on(document, now=now), plan), now=now)
    assert add_ons(terms(document, NOW + DAY)) == ()


def test_a_change_in_place_of_another_that_was_planned_for_the_same_instant_keeps_the_add_on():
    """What would have ended it then is not to come any more."""
    document = tenant(sub("pro", add_ons={"contacts": 1}))
    for plan in ("big", "pro"):
        document = after(document, change_plan(on(document), plan, when=NOW + DAY))
    assert add_ons(terms(document, NOW + DAY)) == (("contacts", 1),)


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


def test_cancelling_never_lengthens():
    """Of several cancellations the earliest counts; what is over stays over, whatever ended it."""
    document = tenant(sub("pro"))
    for when, counts in ((NOW + 5 * DAY, NOW + 5 * DAY), (NOW + 9 * DAY, NOW + 5 * DAY), (NOW + DAY, NOW + DAY)):
        document = after(document, cancel(on(document), when=when))
        assert terms(document).times.cancel_at == counts
    assert cancel(on(document), when=NOW + DAY) == ()
    for over in ({"cancel_at": NOW}, {"ends": NOW}, {"trial_end": NOW}):
        assert cancel(on(tenant(sub("pro", **over)))) == ()


@given(
    st.permutations(
        [("cancel", 1, 9), ("cancel", 2, 4), ("resubscribe", 3, None), ("cancel", 4, 30), ("cancel", 5, 20)]
    )
)
def test_the_earliest_cancellation_of_the_present_subscription_counts_in_any_order(order):
    """What was said of the one before is nothing any more."""
    now, said = NOW + DAY, {"subscribe": NOW}
    document = after(tenant(), subscribe(on(tenant(), as_of=said["subscribe"]), "pro"), as_of=NOW)
    for verb, hour, days in order:
        ground = on(document, now=now, as_of=NOW + hour)
        facts = subscribe(ground, "big") if verb == "resubscribe" else cancel(ground, when=NOW + days * DAY)
        document = after(document, facts, now=now, as_of=NOW + hour)
    assert terms(document, now).times.cancel_at == NOW + 20 * DAY


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


def test_a_pause_that_is_over_already_is_refused():
    """Its end is exclusive. It may be over when the message about it arrives."""
    document = tenant(sub("pro"))
    with pytest.raises(ConfigurationError, match="until="):
        pause(on(document), until=NOW)
    assert pause(on(document, as_of=NOW - DAY), until=NOW - HOUR)


FAILURES = [("failed", 2, 2), ("paid", 5, None), ("failed", 8, 7), ("failed", 9, 9), ("paid", 11, None)]


@pytest.mark.parametrize(("until", "counts"), [(2, 2), (3, 2), (5, None), (8, 7), (9, 7), (11, None), (13, 12)])
@given(st.data())
def test_grace_counts_from_the_earliest_failure_after_the_last_payment_in_any_order(until, counts, data):
    """Each message may come hours late, when much that it changes has left the document."""
    heard = [each for each in [*FAILURES, ("failed", 12, 14), ("failed", 13, 12)] if each[1] <= until]
    document, now = tenant(sub("pro")), NOW + 13 * HOUR
    for verb, hour, failed in data.draw(st.permutations(heard)):
        ground = on(document, now=now, as_of=NOW + hour * HOUR)
        facts = paid(ground) if verb == "paid" else past_due(ground, NOW + failed * HOUR)
        document = after(document, facts, now=now, as_of=NOW + hour * HOUR)
        now += HOUR
    assert terms(document, now).times.past_due_since == (None if counts is None else NOW + counts * HOUR)


def test_a_failure_that_alters_nothing_is_not_recorded():
    """By hand; a source is written down, it may turn out to have been paid in between."""
    document = after(tenant(sub("pro")), past_due(on(tenant(sub("pro"))), NOW))
    assert past_due(on(document, now=NOW + DAY), NOW + DAY) == ()
    assert past_due(on(document, now=NOW + DAY, as_of=NOW + DAY), NOW + DAY)


def test_of_failures_of_long_ago_the_earliest_is_remembered():
    """The fact does not grow without end where a card is tried every day."""
    document = tenant(sub("pro"))
    for day in range(100):
        at = NOW + day * DAY
        document = after(document, past_due(on(document, now=at, as_of=at), at), now=at, as_of=at)
    value = document.value(subject("main", "past_due_since"), NOW + 100 * DAY)
    assert value["first"] == NOW
    assert [said for said, _ in value["said"]] == [NOW + day * DAY for day in (0, *range(69, 100))]


ODD = {"first": 1, "said": [[1, 1]], "after": "yesterday"}


@pytest.mark.parametrize("value", ["yesterday", {"first": "yesterday", "said": []}, {"first": 1, "said": [[1]]}, ODD])
def test_a_damaged_word_is_told(value):
    """Nothing is worked out from what nobody understands."""
    document = tenant(sub("pro"), NewFact(subject("main", "past_due_since"), NOW + DAY, value))
    with pytest.raises(StoreDamaged, match="past_due_since"):
        past_due(on(document, as_of=NOW), NOW)


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


def test_a_migration_does_not_stand_against_a_change_of_plan_that_arrives_late():
    """It says nothing about which plan is held."""
    document = after(tenant(), subscribe(on(tenant(), as_of=NOW), "pro"), as_of=NOW)
    migrated = after(document, migrate(on(document, now=NOW + 9), "pro", 2), now=NOW + 9)
    assert terms(migrated, NOW + 9).version == 2
    late = on(migrated, now=NOW + HOUR, as_of=NOW + 5)
    upgraded = after(migrated, change_plan(late, "big"), now=NOW + HOUR, as_of=NOW + 5)
    assert terms(upgraded, NOW + HOUR).plan == "big"


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
    assert add_ons(terms(after(none, set_add_on(on(none), "vanished", 0)))) == ()


@pytest.mark.parametrize(
    ("key", "quantity", "error"),
    [
        ("nonsense", 1, UnknownPlan),
        ("nonsense", 0, UnknownPlan),
        ("more_seats", 3, ConfigurationError),
        ("more_seats", -1, ConfigurationError),
        ("more_seats", 1.0, TypeError),
        pytest.param("more_seats", 10**5000, ConfigurationError, id="endless"),
        pytest.param("more_seats", -(10**5000), ConfigurationError, id="less than endless"),
    ],
)
def test_an_add_on_that_cannot_be_held_is_refused(key, quantity, error):
    """Unknown ones, too many and what is no number raise before anything is recorded."""
    with pytest.raises(error):
        set_add_on(on(tenant(sub("pro"))), key, quantity)


def later_world(**add_ons_then):
    """What is sold after the small catalog: the same with other add-ons."""
    sold = {key: value for key, value in {**SMALL["add_ons"], **add_ons_then}.items() if value is not None}
    return World.of(publish(WORLD.published, Catalog.load({**SMALL, "add_ons": sold}))[0], Controls())


FEWER = {**SMALL["add_ons"]["more_seats"], "increment": {"seats": 1}}


def test_whoever_holds_an_add_on_keeps_its_version():
    """More of it is of the same, less too; given back and taken again it is the newest, as for whoever comes then."""
    world = later_world(more_seats={**FEWER, "max_quantity": 3})
    document = tenant(sub("pro", add_ons={"more_seats": 1}))
    assert decide(document, "seats", world).value == Allowance(10)
    assert decide(document, "seats", world).source == "plan pro@1"

    def change(document, quantity):
        return after(document, set_add_on(on(document, world=world), "more_seats", quantity))

    assert decide(change(document, 3), "seats", world).value == Allowance(20)
    assert decide(change(change(document, 3), 2), "seats", world).value == Allowance(15)
    assert decide(change(change(document, 0), 2), "seats", world).value == Allowance(7)
    assert decide(change(tenant(sub("pro")), 2), "seats", world).value == Allowance(7)
    anew = after(document, subscribe(on(document, world=world), "pro", add_ons={"more_seats": 2}))
    assert decide(anew, "seats", world).value == Allowance(7)


def test_an_add_on_that_is_not_sold_any_more_is_kept_and_given_back():
    """It goes along to another plan that it was for; but nobody gets more of it."""
    world = later_world(more_seats=None)
    document = tenant(sub("pro", add_ons={"more_seats": 2}))
    assert decide(document, "seats", world).value == Allowance(15)
    upgraded = after(document, change_plan(on(document, world=world), "big"))
    assert add_ons(terms(upgraded)) == (("more_seats", 2),)
    one = after(document, set_add_on(on(document, world=world), "more_seats", 1))
    assert decide(one, "seats", world).value == Allowance(10)
    with pytest.raises(UnknownPlan, match="no add-on 'more_seats'"):
        set_add_on(on(one, world=world), "more_seats", 2)


def test_an_add_on_stays_beside_the_plans_that_its_version_was_for():
    """When it is for fewer plans, or can be bought less often, whoever has it goes on having it."""
    world = later_world(
        more_seats={**FEWER, "for_plans": ["big"], "max_quantity": 1},
        contacts={**SMALL["add_ons"]["contacts"], "for_plans": ["big"]},
    )
    document = tenant(sub("pro", add_ons={"more_seats": 2, "contacts": 1}))
    same = after(document, change_plan(on(document, world=world), "pro"))
    assert add_ons(terms(same)) == (("contacts", 1), ("more_seats", 2))
    bigger = after(document, change_plan(on(document, world=world), "big"))
    assert add_ons(terms(bigger)) == (("more_seats", 2),)
    fewer = after(document, set_add_on(on(document, world=world), "more_seats", 1))
    assert add_ons(terms(fewer)) == (("contacts", 1), ("more_seats", 1))
    with pytest.raises(ConfigurationError, match="at most 1"):
        set_add_on(on(document, world=world), "more_seats", 3)
    with pytest.raises(ConfigurationError, match="only for big"):
        set_add_on(on(tenant(sub("pro")), world=world), "more_seats", 1)


def test_holders_of_an_add_on_are_moved_to_a_newer_version():
    """Also those who will hold it; not who holds it already, and not beside a plan that it is not for any more."""
    world = later_world(more_seats=FEWER, contacts={**SMALL["add_ons"]["contacts"], "for_plans": ["big"]})
    document = tenant(
        sub("pro", "now", add_ons={"more_seats": 1, "contacts": 1}),
        sub("pro", "later"),
        NewFact(subject("later", "add_on", "more_seats"), NOW + DAY, {"quantity": 2, "version": 1}),
        NewFact(subject("later", "add_on", "more_seats"), NOW + 2 * DAY, None),
        NewFact(subject("lost", "add_on", "more_seats"), 0, {"quantity": 1, "version": 1}),
    )
    moved = after(document, migrate_add_on(on(document, world=world), "more_seats", 2))
    held = {
        name: [terms(moved, at, name).add_ons for at in (NOW, NOW + DAY, NOW + 2 * DAY)] for name in ("now", "later")
    }
    assert held["later"] == [(), (HeldAddOn("more_seats", 2, 2),), ()]
    assert held["now"] == [(HeldAddOn("contacts", 1, 1), HeldAddOn("more_seats", 1, 2))] * 3
    assert migrate_add_on(on(moved, world=world), "more_seats", 2) == ()
    assert migrate_add_on(on(document, world=world), "contacts", 2) == ()


def test_an_add_on_for_another_plan_is_refused():
    """It names the plans that may hold it."""
    with pytest.raises(ConfigurationError, match="only for pro"):
        set_add_on(on(tenant(sub("big"))), "contacts", 1)


def test_an_add_on_ends_where_a_planned_change_does_not_allow_it():
    """Bought today, it ends with the plan that may hold it."""
    document = tenant(sub("pro"))
    planned = after(document, change_plan(on(document), "big", when=NOW + DAY))
    bought = after(planned, set_add_on(on(planned), "contacts", 1))
    assert add_ons(terms(bought)) == (("contacts", 1),)
    assert add_ons(terms(bought, NOW + DAY)) == ()
    seats = after(planned, set_add_on(on(planned), "more_seats", 1))
    assert add_ons(terms(seats, NOW + DAY)) == (("more_seats", 1),)


@pytest.mark.parametrize(
    "message",
    [
        lambda ground: subscribe(ground, "pro", ends=NOW + DAY),
        lambda ground: change_plan(ground, "big", when=NOW + DAY),
        lambda ground: set_add_on(ground, "more_seats", 1),
        lambda ground: set_provider_id(ground, "stripe", "sub_1"),
        lambda ground: cancel(ground, when=NOW + DAY),
        lambda ground: pause(ground, until=NOW + DAY),
        resume,
        lambda ground: past_due(ground, NOW),
        paid,
    ],
)
def test_what_was_said_before_the_present_subscription_began_is_superseded(message):
    """It was about the one before, also where nobody dated the beginning of this one."""
    for said in (None, NOW):
        begun = after(tenant(), subscribe(on(tenant(), as_of=said), "pro"), as_of=said)
        assert message(on(begun, now=NOW + HOUR, as_of=NOW - 1)) == ()
        assert message(on(begun, now=NOW + HOUR, as_of=NOW)) != ()


ADD_ONS = [("plan", 1, "big"), ("plan", 2, "pro"), ("contacts", 3, 1), ("later", 4, "big"), ("contacts", 5, 2)]


@given(st.permutations([*ADD_ONS, ("now", 6, "pro"), ("contacts", 7, 3), ("later", 8, "free")]), st.integers(1, 8))
def test_add_ons_end_with_their_plan_in_whatever_order_both_were_said(order, count):
    """And go on where the change that would have ended them is taken back."""
    now, held = NOW + HOUR // 2, (0, 0, 0, 1, 1, 2, 2, 3, 3)[count]
    document = after(tenant(), subscribe(on(tenant(), as_of=NOW), "pro"), as_of=NOW)
    arriving = [each for each in order if each[1] <= count]
    while arriving:
        verb, said, what = message = arriving.pop(0)
        ground = on(document, now=now, as_of=NOW + said)
        if verb == "contacts":
            try:
                facts = set_add_on(ground, "contacts", what)
            except ConfigurationError:
                arriving.append(message)  # the plan that it is for has not arrived: it is sent again
                continue
        else:
            facts = change_plan(ground, what, when=NOW + DAY if verb == "later" else "now")
        document = after(document, facts, now=now, as_of=NOW + said)
    assert dict(add_ons(terms(document, now))) == ({"contacts": held} if held else {})
    goes_on = held and count in (3, 6, 7)
    assert dict(add_ons(terms(document, NOW + DAY))) == ({"contacts": held} if goes_on else {})


def test_an_add_on_is_ended_by_a_plan_that_was_said_before_and_arrives_after_it():
    """Nobody holds what is not for the plan."""
    document = after(tenant(), subscribe(on(tenant(), as_of=NOW), "pro"), as_of=NOW)
    bought = after(document, set_add_on(on(document, now=NOW + 9, as_of=NOW + 2), "contacts", 1), as_of=NOW + 2)
    late = on(bought, now=NOW + 9, as_of=NOW + 1)
    assert add_ons(terms(after(bought, change_plan(late, "big"), now=NOW + 9, as_of=NOW + 1), NOW + 9)) == ()


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
