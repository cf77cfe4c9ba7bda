"""
Edge cases of entitlement systems, by the numbers of docs/explanation/edge-cases.md.

Those of periods (1 to 9) are in test_period.py. Changes are made by the functions behind the verbs of
`Admin`, so that a late invoice is the message that an application really gets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest

from payaid_entitlements.core.catalog import Catalog, publish
from payaid_entitlements.core.changing import cancel, change_plan, paid, past_due, pause, resume, set_status, subscribe
from payaid_entitlements.core.comparison import compare, gains_and_losses
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.explanation import explain
from payaid_entitlements.core.facts import KEPT_BEHIND, NewFact, TenantDocument, record, replay
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY, HOUR, Instant
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.overriding import clear_override, override, override_value
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.subscription import State, Subscription
from payaid_entitlements.core.values import UNLIMITED, Allowance
from payaid_entitlements.core.world import World
from payaid_entitlements.core.zones import period_end
from payaid_entitlements.errors import CatalogInvalid, ConfigurationError
from tests.core.conftest import NOW, SMALL, decide, sub, tenant, world_of
from tests.core.conftest import override as override_fact

WORLD = world_of()
ROOT = Path(__file__).parents[2]
Verb = Callable[[Ground], Iterable[NewFact]]


def said(document: TenantDocument, verb: Verb, *, now: Instant = NOW, as_of: Instant | None = None) -> TenantDocument:
    """Let a message arrive at *now*, which a source dates *as_of*."""
    facts = verb(Ground(document, WORLD, now, as_of))
    return record(document, facts, recorded=now, as_of=as_of).document


def state(document: TenantDocument, at: Instant) -> State | None:
    """The state of the subscription at an instant."""
    return resolve(document, WORLD, at, at + 1)[0].standpoint.state


# -- time ----


def test_edge_10_a_host_whose_clock_is_behind_still_answers_as_it_was():
    """What ended up to an hour ago stays known: a clock that is behind by less finds what held then."""
    before = said(tenant(sub("pro")), lambda on: set_status(on, "suspended"), now=NOW)
    after = said(before, lambda on: set_status(on, None), now=NOW + HOUR)
    behind = NOW + HOUR - KEPT_BEHIND
    assert decide(after, "crm", WORLD, at=behind).reason is Reason.SUBSCRIPTION_SUSPENDED
    assert decide(after, "crm", WORLD, at=NOW + HOUR).allowed


def test_edge_11_a_source_whose_clock_is_ahead_is_believed_from_now_on():
    """A message from the future holds at once, and not only when our clock gets there."""
    document = said(tenant(sub("free")), lambda on: change_plan(on, "pro"), as_of=NOW + HOUR)
    assert decide(document, "crm.export", WORLD, at=NOW).allowed
    assert not decide(document, "crm.export", WORLD, at=NOW - 1).allowed


# -- consumption, as far as it is about what is sold ----


def test_edge_20_no_job_is_needed():
    """Trial, grace, pause and a plan for later pass by the clock alone: nothing is written in between."""
    document = tenant(
        sub("pro", trial_end=NOW + 3 * DAY),
        [
            NewFact(("subscription", "main", "plan"), NOW + 2 * DAY, {"plan": "big", "version": 1}),
            NewFact(("subscription", "main", "trial_end"), NOW + 2 * DAY, None),
            NewFact(("subscription", "main", "past_due_since"), NOW + 4 * DAY, NOW + 4 * DAY),
        ],
    )
    states = [
        (state(document, NOW + day * DAY), decide(document, "books", WORLD, at=NOW + day * DAY).plan)
        for day in range(6)
    ]
    assert states == [
        (State.TRIALING, "pro"),
        (State.TRIALING, "pro"),
        (State.ACTIVE, "big"),
        (State.ACTIVE, "big"),
        (State.PAST_DUE, "big"),
        (State.PAST_DUE, "big"),
    ]
    assert decide(document, "books", WORLD, at=NOW + 25 * DAY).reason is Reason.SUBSCRIPTION_PAST_DUE
    assert document.revision == 1


def test_edge_27_a_limit_of_0_is_a_refusal_of_its_own():
    """ "0 of 0" is plan.zero, told apart from what is not sold at all."""
    assert decide(tenant(), "crm.contacts", WORLD).reason is Reason.PLAN_ZERO
    assert decide(tenant(), "crm.export", WORLD).reason is Reason.PLAN_FEATURE_ABSENT
    granted = tenant(override_fact("seats", Allowance(0)))
    assert decide(granted, "seats", WORLD).reason is Reason.PLAN_ZERO


def test_edge_29_an_edited_limit_keeps_its_window():
    """A higher or lower number for a customer does not begin the month anew."""
    document = said(
        tenant(sub("pro")),
        lambda on: override(on, "crm.calls", 500, until=None, user=None, because="a promise", actor="asha"),
    )
    assert decide(document, "crm.calls", WORLD).value == Allowance(500, Interval(1, Unit.MONTH))


def test_edge_30_fractions_are_exact_or_refused():
    """Decimals stay decimals through merging; a float is no amount."""
    text = """
        catalog: 1
        default_plan: none
        features: {hours: {kind: quota, unit: hour, decimals: 1}}
        plans: {some: {features: {hours: 0.1/month}}}
        add_ons: {more: {increment: {hours: 0.2/month}}}
    """
    world = world_of(Catalog.loads(text))
    three = decide(tenant(sub("some", add_ons={"more": 1})), "hours", world).value
    assert three == Allowance(Decimal("0.3"), Interval(1, Unit.MONTH))
    with pytest.raises(TypeError):
        override_value(world.catalog, "hours", 0.3)
    with pytest.raises(ConfigurationError, match="finer"):
        override_value(world.catalog, "hours", Decimal("0.25"))


# -- plans and subscriptions ----


def test_edge_31_an_upgrade_holds_at_once_and_keeps_the_billing_date():
    """In the middle of a period the bigger plan holds from now on, in one change, and the anchor stays."""
    begun = said(tenant(), lambda on: subscribe(on, "pro"), now=NOW - 10 * DAY)
    upgraded = said(begun, lambda on: change_plan(on, "big"))
    assert upgraded.revision == begun.revision + 1
    assert decide(upgraded, "seats", WORLD, at=NOW - 1).value == Allowance(5)
    assert decide(upgraded, "seats", WORLD, at=NOW).value == Allowance(UNLIMITED)
    assert upgraded.value(("subscription", "main", "anchor"), NOW) == NOW - 10 * DAY


def test_edge_32_a_downgrade_waits_for_the_end_of_the_period_and_can_be_taken_back():
    """Until then nothing changes; what will be lost is known before; a change of mind leaves no trace."""
    begun = said(tenant(), lambda on: subscribe(on, "big"), now=NOW - 10 * DAY)
    end = period_end(begun, WORLD, Ground(begun, WORLD, NOW).terms("main"), NOW)
    planned = said(begun, lambda on: change_plan(on, "pro", when="period_end"))
    stands = [resolve(each, WORLD, end, end + 1)[0].standpoint for each in (begun, planned)]
    assert gains_and_losses(*stands)[1] == (
        "crm.contacts: 10",
        "books.ledgers: 9 -> 3",
        "books.delay: 1 hour -> 1 day",
        "seats: unlimited -> 5",
    )
    assert [decide(planned, "seats", WORLD, at=at).plan for at in (NOW, end - 1, end)] == [
        "big",
        "big",
        "pro",
    ]
    kept = said(planned, lambda on: change_plan(on, "big"), now=NOW + DAY)
    assert decide(kept, "seats", WORLD, at=end).plan == "big"


def test_edge_33_what_exceeds_a_lower_limit_is_told_before():
    """A preview with what is used names what will be too much; nothing is deleted by it."""
    plans = {
        **SMALL["plans"],
        "pro": {**SMALL["plans"]["pro"], "features": {**SMALL["plans"]["pro"]["features"], "seats": 3}},
    }
    comparison = compare(
        WORLD.catalog,
        Catalog.load({**SMALL, "plans": plans}),
        {"acme": Subscription("pro")},
        usage={"acme": {"seats": 5}},
    )
    assert comparison.effects[0].exceeds == ("seats: 5 used, 3 allowed",)


def test_edge_36_a_trial_ends_without_a_webhook():
    """At its end, exclusive, the trial is over and the default plan holds."""
    document = said(tenant(), lambda on: subscribe(on, "pro", trial=True))
    end = NOW + 14 * DAY
    assert decide(document, "crm.export", WORLD, at=end - 1).reason is Reason.TRIAL_GRANTED
    assert decide(document, "crm.export", WORLD, at=end).reason is Reason.SUBSCRIPTION_TRIAL_ENDED
    assert decide(document, "seats", WORLD, at=end).reason is Reason.PLAN_DEFAULT


def test_edge_37_a_late_invoice_does_not_revive_what_was_cancelled():
    """A payment that arrives after the cancellation clears what was due, and the subscription stays over."""
    due = said(tenant(sub("pro")), lambda on: past_due(on, NOW - 9 * DAY), now=NOW - 9 * DAY, as_of=NOW - 9 * DAY)
    over = said(due, lambda on: cancel(on, when="now"), now=NOW, as_of=NOW)
    late = said(over, paid, now=NOW + DAY, as_of=NOW - DAY)
    assert decide(late, "crm.export", WORLD, at=NOW + DAY).reason is Reason.SUBSCRIPTION_CANCELLED
    assert late.value(("subscription", "main", "past_due_since"), NOW + DAY) is None


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_edge_38_messages_out_of_order_and_twice_come_to_the_same_end(order):
    """Whatever order a provider's messages arrive in, and how often, what it said last holds."""
    messages: list[tuple[Instant, Verb]] = [
        (NOW + 1, lambda on: change_plan(on, "big")),
        (NOW + 2, lambda on: past_due(on, NOW + 2)),
        (NOW + 3, paid),
        (NOW + 4, lambda on: cancel(on, when=NOW + 40 * DAY)),
    ]
    document = said(tenant(), lambda on: subscribe(on, "pro"), as_of=NOW)
    for number in (*order, *order):
        as_of, verb = messages[number]
        document = said(document, verb, now=NOW + 10, as_of=as_of)
    assert decide(document, "seats", WORLD, at=NOW + 10).value == Allowance(UNLIMITED)
    assert state(document, NOW + 10) is State.ACTIVE
    assert state(document, NOW + 40 * DAY) is State.CANCELLED


def test_edge_39_a_pause_in_a_trial_does_not_stop_its_clock():
    """A trial that is paused leaves what the catalog says for a pause, and ends on its day all the same."""
    trial = said(tenant(), lambda on: subscribe(on, "pro", trial=True))
    paused = said(trial, pause, now=NOW + DAY)
    assert decide(paused, "crm.export", WORLD, at=NOW + DAY).reason is Reason.SUBSCRIPTION_PAUSED
    assert decide(paused, "crm.export", WORLD, at=NOW + DAY, access="read").allowed
    assert state(paused, NOW + 14 * DAY) is State.TRIAL_ENDED
    assert state(said(paused, resume, now=NOW + 2 * DAY), NOW + 2 * DAY) is State.TRIALING


def test_edge_40_a_second_failure_does_not_restart_the_grace():
    """The grace counts from the first day that payment was due; only a payment ends it."""
    first = said(tenant(sub("pro")), lambda on: past_due(on, NOW))
    second = said(first, lambda on: past_due(on, NOW + 6 * DAY), now=NOW + 6 * DAY)
    assert decide(second, "crm.export", WORLD, at=NOW + 7 * DAY).reason is Reason.SUBSCRIPTION_PAST_DUE
    recovered = said(second, paid, now=NOW + 8 * DAY)
    again = said(recovered, lambda on: past_due(on, NOW + 9 * DAY), now=NOW + 9 * DAY)
    assert decide(again, "crm.export", WORLD, at=NOW + 15 * DAY).allowed


def test_edge_41_editing_a_plan_touches_nobody_who_holds_it():
    """A change makes a new version; holders keep theirs, newcomers get the new one."""
    pro = {**SMALL["plans"]["pro"], "features": {**SMALL["plans"]["pro"]["features"], "seats": 3}}
    edited = Catalog.load({**SMALL, "plans": {**SMALL["plans"], "pro": pro}})
    world = World.of(publish(WORLD.published, edited)[0], Controls())
    assert decide(tenant(sub("pro", version=1)), "seats", world).value == Allowance(5)
    newcomer = record(TenantDocument("new"), subscribe(Ground(tenant(), world, NOW), "pro"), recorded=NOW).document
    assert decide(newcomer, "seats", world).value == Allowance(3)


def test_edge_42_starting_a_subscription_takes_nothing_that_was_given_by_hand():
    """Overrides and other subscriptions stay when another one begins."""
    given = tenant(override_fact("seats", Allowance(50)), sub("pro", "second"))
    begun = said(given, lambda on: subscribe(on, "pro"))
    assert decide(begun, "seats", WORLD).value == Allowance(50)
    assert decide(begun, "crm.calls", WORLD).value == Allowance(200, Interval(1, Unit.MONTH))


@pytest.mark.parametrize("names", list(permutations("abc")))
def test_edge_43_two_subscriptions_with_one_feature_merge_in_any_order(names):
    """Never the last one read: allowances add up, whatever the subscriptions are called."""
    document = tenant(*(sub(plan, name) for plan, name in zip(("free", "pro", "pro"), names, strict=True)))
    assert decide(document, "seats", WORLD).value == Allowance(11)
    assert decide(document, "books.ledgers", WORLD).value == 3


def test_edge_44_a_feature_that_is_still_held_cannot_vanish():
    """Removing it is refused with the plan version that lists it and with the way out."""
    modules = {**SMALL["modules"], "old": {"features": {}}}
    pro = SMALL["plans"]["pro"]
    features = {key: value for key, value in pro["features"].items() if key != "old.fax"}
    without = {**SMALL, "modules": modules, "plans": {**SMALL["plans"], "pro": {**pro, "features": features}}}
    with pytest.raises(CatalogInvalid, match=r"plan 'pro' version 1 still lists it.*retired") as caught:
        publish(WORLD.published, Catalog.load(without))
    assert "'old.fax' is gone" in str(caught.value)
    # Nor may one that only an override can hold, or that an add-on gives.
    unsold = {**SMALL["modules"]["crm"]["features"], "merge": {"kind": "switch"}}
    first = {**SMALL, "modules": {**SMALL["modules"], "crm": {"features": unsold}}}
    with pytest.raises(CatalogInvalid, match=r"'crm.merge' is gone, but overrides and code may still name it.*retired"):
        publish(publish(None, Catalog.load(first))[0], Catalog.load(SMALL))
    added = {**first, "add_ons": {**SMALL["add_ons"], "merging": {"override": {"crm.merge": True}}}}
    with pytest.raises(CatalogInvalid, match=r"'crm.merge' is gone, but add-on 'merging' version 1 still lists it"):
        publish(publish(None, Catalog.load(added))[0], Catalog.load(SMALL))


def test_edge_45_a_retired_key_is_never_used_again():
    """Neither in the same catalog nor in a later one that forgets that it was retired."""
    crm = {"features": {**SMALL["modules"]["crm"]["features"], "telex": {"kind": "switch"}}}
    again = {**SMALL, "modules": {**SMALL["modules"], "crm": crm}}
    with pytest.raises(CatalogInvalid, match=r"crm\.telex"):
        Catalog.load(again)
    with pytest.raises(CatalogInvalid, match="cannot come back"):
        publish(WORLD.published, Catalog.load({**again, "retired": {}}))
    # Nor for something of another kind: an override that was said of it would mean something else.
    config = {"features": {**SMALL["modules"]["crm"]["features"], "calls": {"kind": "switch"}}}
    other = {**SMALL, "modules": {**SMALL["modules"], "crm": config}, "plans": {"free": SMALL["plans"]["free"]}}
    other["add_ons"] = {}
    with pytest.raises(CatalogInvalid, match=r"'crm.calls' was a quota and would become a switch"):
        publish(WORLD.published, Catalog.load(other))


def test_edge_46_code_that_asks_for_what_was_retired_is_told_the_day():
    """The refusal has a code of its own, and its explanation the day since when."""
    assert decide(tenant(sub("big")), "crm.telex", WORLD).reason is Reason.CATALOG_RETIRED
    explanation = explain(tenant(sub("big")), WORLD, "crm.telex", NOW)
    assert explanation.steps[-1].text == "it was retired on 2020-02-29"


def test_edge_47_an_override_that_says_what_the_plan_says_is_kept():
    """It was a promise: when the plan changes, it still holds; only clearing ends it."""
    promised = said(
        tenant(sub("pro")),
        lambda on: override(on, "seats", 5, until=None, user=None, because="a promise", actor="asha"),
    )
    reduced = said(promised, lambda on: change_plan(on, "free"))
    assert decide(reduced, "seats", WORLD).value == Allowance(5)
    cleared = said(reduced, lambda on: clear_override(on, "seats", user=None))
    assert decide(cleared, "seats", WORLD).value == Allowance(1)


def test_edge_48_a_tenant_that_comes_back_under_the_same_id_is_somebody_else():
    """Its generation is another one, in its text too, so nothing of the first is taken for its own."""
    first = tenant(sub("big"))
    second = replay("acme", [], generation=first.generation + 1)
    assert decide(second, "seats", WORLD).plan == "free"
    assert TenantDocument.from_json(second.to_json(), tenant="acme").generation == 2
    assert second != TenantDocument("acme")


# -- licenses, flags, caches, processes, as far as they are about the rules ----


def test_edge_49_overdue_but_allowed_is_allowed_with_an_advisory():
    """The verdict and what is worth knowing are two things: nobody has to read a code to know the verdict."""
    decision = decide(tenant(sub("pro", past_due_since=NOW)), "crm.export", WORLD)
    assert (decision.allowed, decision.advisories) == (True, (Reason.SUBSCRIPTION_IN_GRACE,))


@pytest.mark.parametrize(
    ("requires", "says"), [(["crm.export"], "crm.import"), (["crm.exprot"], "did you mean 'crm.export'")]
)
def test_edge_59_circles_and_missing_requirements_are_refused(requires, says):
    """A catalog in which a requirement can never be met is not published."""
    features = {
        "export": {"kind": "switch", "requires": ["crm.import"]},
        "import": {"kind": "switch", "requires": requires},
    }
    with pytest.raises(CatalogInvalid, match=re.escape(says)):
        Catalog.load({"catalog": 1, "default_plan": "none", "modules": {"crm": {"features": features}}, "plans": {}})


def test_edge_64_reading_works_whatever_was_written():
    """More of an add-on than may be sold, or one for another plan, is honoured when it is held already."""
    odd = tenant(sub("free", add_ons={"more_seats": 99, "contacts": 1}))
    assert decide(odd, "seats", WORLD).value == Allowance(496)
    assert decide(odd, "crm.contacts", WORLD).value == Allowance(10)


@pytest.mark.parametrize("because", [None, ""])
def test_edge_68_an_override_says_who_and_why(because):
    """Without a reason it is refused; with one, reason and actor are in the facts for ever."""

    def overridden(why: str | None) -> TenantDocument:
        return said(tenant(), lambda on: override(on, "seats", 9, until=None, user=None, because=why, actor="asha"))

    with pytest.raises(TypeError, match="because"):
        overridden(because)
    fact = overridden("a promise").timelines["override", "seats"].facts[-1]
    assert (fact.value["actor"], fact.value["because"], fact.recorded) == ("asha", "a promise", NOW)
    assert json.loads(overridden("a promise").to_json())["facts"][0][0] == ["override", "seats"]


# -- the table ----

TABLE = ROOT / "docs" / "explanation" / "edge-cases.md"


def test_the_table_of_edge_cases_has_all_68_and_names_only_tests_that_exist():
    """Every edge case has a test or the capability to which it belongs."""
    rows = re.findall(r"^\| (\d+) \|[^|]*\|(.*)\|$", TABLE.read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 69))
    for number, where in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", where)
        assert tests or "later:" in where, number
        for file, name in tests:
            # A contract is a class, whose tests are elsewhere.
            assert re.search(rf"^ *(async def|def|class) {name}\(", (ROOT / file).read_text(), re.MULTILINE), name
            says = re.match(r"test_edge_(\d+)_", name)
            assert says is None or int(says[1]) == int(number), name
    here = set(re.findall(r"^def (test_edge_\w+)\(", Path(__file__).read_text(), re.MULTILINE))
    assert here <= set(re.findall(r"::(test_edge_\w+)`", TABLE.read_text()))
