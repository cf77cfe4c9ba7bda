"""The order of authority, rule by rule: each step beats the ones after it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.controls import EVERYWHERE, OBSERVE, OFF, Controls, Enforcement
from payaid_entitlements.core.decision import HARD, Reason
from payaid_entitlements.core.evaluation import Evaluation, Held, Situation
from payaid_entitlements.core.explanation import explain
from payaid_entitlements.core.facts import NewFact
from payaid_entitlements.core.instant import DAY, HOUR
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.tracing import Step
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.core.world import Modes
from tests.core.conftest import NOW, SMALL, decide, override, situation_of, status, sub, tenant, world_of

WORLD = world_of()
KILLED = world_of(controls=Controls().with_killed("crm.export"))
MONTH = Interval(1, Unit.MONTH)
TRIAL = {"trial_end": NOW + 10 * DAY}
LATE = {"past_due_since": NOW - 8 * DAY}
GRANTED = Reason.OVERRIDE_GRANTED


@pytest.mark.parametrize(
    ("facts", "world", "allowed", "reason"),
    [
        # Each line has what the line before has, and one rule more that beats it.
        ([], WORLD, False, Reason.PLAN_FEATURE_ABSENT),
        ([sub("pro", **TRIAL)], WORLD, True, Reason.TRIAL_GRANTED),
        ([sub("big", **TRIAL), sub("pro", "second")], WORLD, True, Reason.PLAN_GRANTED),
        ([sub("pro"), override("crm.export", True)], WORLD, True, Reason.OVERRIDE_GRANTED),
        (
            [sub("pro"), override("crm.export", True, user="u"), override("crm.export", DENY)],
            WORLD,
            False,
            Reason.OVERRIDE_DENIED,
        ),
        ([sub("pro"), override("crm.export", DENY)], KILLED, False, Reason.ENFORCEMENT_KILLED),
        ([sub("pro"), override("crm.export", True)], KILLED, False, Reason.ENFORCEMENT_KILLED),
        ([sub("pro"), status("suspended")], KILLED, False, Reason.SUBSCRIPTION_SUSPENDED),
        (
            [sub("pro"), override("crm.export", True), status("revoked")],
            WORLD,
            False,
            Reason.SUBSCRIPTION_REVOKED,
        ),
    ],
)
def test_each_authority_beats_the_next(facts, world, allowed, reason):
    """Status beats the kill switch, that a denial, that a value, that a plan, that a trial."""
    decision = decide(tenant(*facts), "crm.export", world, user="u")
    assert (decision.allowed, decision.reason) == (allowed, reason)


@pytest.mark.parametrize(
    ("facts", "key", "allowed", "reason", "source", "plan", "value"),
    [
        ([], "crm", True, Reason.PLAN_DEFAULT, "plan free@1", "free", True),
        ([], "seats", True, Reason.PLAN_DEFAULT, "plan free@1", "free", Allowance(1)),
        ([], "books", False, Reason.PLAN_MODULE_ABSENT, "plan free@1", "free", None),
        ([], "books.close", False, Reason.PLAN_MODULE_ABSENT, "plan free@1", "free", None),
        ([], "crm.export", False, Reason.PLAN_FEATURE_ABSENT, "plan free@1", "free", None),
        ([], "crm.contacts", False, Reason.PLAN_ZERO, "plan free@1", "free", None),
        ([sub("pro")], "books.ledgers", True, Reason.PLAN_GRANTED, "plan pro@1", "pro", 3),
        ([sub("pro")], "crm.calls", True, Reason.PLAN_GRANTED, "plan pro@1", "pro", Allowance(100, MONTH)),
        ([sub("big")], "seats", True, Reason.PLAN_GRANTED, "plan big@1", "big", Allowance(UNLIMITED)),
        ([sub("pro", **TRIAL)], "books.close", True, Reason.TRIAL_GRANTED, "plan pro@1", "pro", True),
        (
            [sub("pro", add_ons={"contacts": 2})],
            "crm.contacts",
            True,
            Reason.PLAN_GRANTED,
            "plan pro@1",
            "pro",
            Allowance(20),
        ),
        ([override("seats", Allowance(0))], "seats", False, Reason.PLAN_ZERO, "override", None, None),
        ([override("books", True)], "books", True, GRANTED, "override", None, True),
        ([override("crm", False)], "crm", False, Reason.OVERRIDE_DENIED, "override", None, None),
        ([override("crm", DENY)], "crm.export", False, Reason.OVERRIDE_DENIED, "override of crm", None, None),
        (
            [sub("pro"), override("crm.export", False)],
            "crm.export",
            False,
            Reason.OVERRIDE_DENIED,
            "override",
            None,
            None,
        ),
        (
            [sub("pro"), override("books.strict", False)],
            "books.strict",
            True,
            GRANTED,
            "override",
            None,
            False,
        ),
        (
            [sub("pro"), override("crm.calls", Allowance(7))],
            "crm.calls",
            True,
            GRANTED,
            "override",
            None,
            Allowance(7, MONTH),
        ),
        (
            [sub("pro"), override("crm.calls", Allowance(UNLIMITED))],
            "crm.calls",
            True,
            GRANTED,
            "override",
            None,
            Allowance(UNLIMITED),
        ),
        ([override("crm.calls", Allowance(7))], "crm.calls", True, GRANTED, "override", None, Allowance(7)),
    ],
)
def test_a_decision_says_what_decided(facts, key, allowed, reason, source, plan, value):
    """Verdict, reason, source, plan and value are stated for every kind of feature."""
    decision = decide(tenant(*facts), key, WORLD)
    assert (decision.allowed, decision.reason, decision.source) == (allowed, reason, source)
    assert (decision.plan, decision.value) == (plan, value)


@pytest.mark.parametrize(
    ("days", "write", "read"),
    [
        (-1, Reason.PLAN_GRANTED, Reason.PLAN_GRANTED),
        (0, Reason.PLAN_GRANTED, Reason.PLAN_GRANTED),
        (6, Reason.PLAN_GRANTED, Reason.PLAN_GRANTED),
        (7, Reason.SUBSCRIPTION_PAST_DUE, Reason.PLAN_GRANTED),
        (20, Reason.SUBSCRIPTION_PAST_DUE, Reason.PLAN_GRANTED),
        (21, Reason.SUBSCRIPTION_PAST_DUE, Reason.SUBSCRIPTION_PAST_DUE),
        (400, Reason.SUBSCRIPTION_PAST_DUE, Reason.SUBSCRIPTION_PAST_DUE),
    ],
)
def test_what_is_overdue_closes_stage_by_stage(days, write, read):
    """Seven days are full, fourteen more are for reading, then nothing is left."""
    late = tenant(sub("pro", past_due_since=NOW))
    at = NOW + days * DAY
    assert decide(late, "crm.export", WORLD, at=at).reason is write
    assert decide(late, "crm.export", WORLD, at=at, access="read").reason is read


def test_a_stage_ends_to_the_microsecond():
    """The instant at which a stage ends belongs to the next one."""
    late = tenant(sub("pro", past_due_since=NOW))
    assert decide(late, "crm.export", WORLD, at=NOW + 7 * DAY - 1).allowed
    assert not decide(late, "crm.export", WORLD, at=NOW + 7 * DAY).allowed


def test_grace_is_said_while_it_lasts():
    """Whoever is overdue and still gets everything is told so in an advisory."""
    assert decide(tenant(sub("pro", past_due_since=NOW)), "crm", WORLD).advisories == (Reason.SUBSCRIPTION_IN_GRACE,)


@pytest.mark.parametrize(
    ("paused", "write", "read"),
    [
        ("read_only", Reason.SUBSCRIPTION_PAUSED, Reason.PLAN_GRANTED),
        ("none", Reason.SUBSCRIPTION_PAUSED, Reason.SUBSCRIPTION_PAUSED),
        ("full", Reason.PLAN_GRANTED, Reason.PLAN_GRANTED),
    ],
)
def test_a_pause_leaves_open_what_the_catalog_says(paused, write, read):
    """A pause is explicit: everything, reading or nothing is left."""
    world = world_of({**SMALL, "lifecycle": {"paused": paused}})
    resting = tenant(sub("pro", paused_from=NOW, paused_until=NOW + DAY))
    assert decide(resting, "crm.export", world, at=NOW - 1).reason is Reason.PLAN_GRANTED
    assert decide(resting, "crm.export", world).reason is write
    assert decide(resting, "crm.export", world, access="read").reason is read
    assert decide(resting, "crm.export", world, at=NOW + DAY).reason is Reason.PLAN_GRANTED


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ({"starts": NOW + 1}, Reason.SUBSCRIPTION_SCHEDULED),
        ({"trial_end": NOW}, Reason.SUBSCRIPTION_TRIAL_ENDED),
        ({"ends": NOW}, Reason.SUBSCRIPTION_ENDED),
        ({"cancel_at": NOW}, Reason.SUBSCRIPTION_CANCELLED),
        ({"past_due_since": NOW - 21 * DAY}, Reason.SUBSCRIPTION_PAST_DUE),
    ],
)
def test_what_has_lapsed_falls_back_to_the_default_plan_and_says_why(times, reason):
    """The default plan still gives what it has; what only the lapsed plan had names how that was lost."""
    lapsed = tenant(sub("pro", **times))
    assert decide(lapsed, "seats", WORLD).reason is Reason.PLAN_DEFAULT
    refusal = decide(lapsed, "crm.export", WORLD)
    assert (refusal.allowed, refusal.reason, refusal.plan) == (False, reason, "pro")
    assert decide(lapsed, "crm.contacts", WORLD).reason is Reason.PLAN_ZERO


def test_without_a_default_plan_whoever_has_nothing_is_told_so():
    """No subscription and no default plan is a reason of its own."""
    world = world_of({**SMALL, "default_plan": "none"})
    assert decide(tenant(), "crm", world).reason is Reason.SUBSCRIPTION_NONE
    lapsed = decide(tenant(sub("free", ends=NOW)), "books", world)
    assert lapsed.reason is Reason.SUBSCRIPTION_ENDED


def test_the_default_plan_is_not_added_to_what_is_in_force():
    """A subscription, even for reading only, replaces the default plan; they never add up."""
    paid = tenant(sub("pro", **LATE))
    assert decide(paid, "seats", WORLD).reason is Reason.SUBSCRIPTION_PAST_DUE
    assert decide(paid, "seats", WORLD, access="read").value == Allowance(5)


@pytest.mark.parametrize(
    ("facts", "allowed", "source", "reason"),
    [
        ([sub("pro")], True, "plan pro@1", Reason.PLAN_GRANTED),
        ([sub("pro"), override("crm.export", DENY)], False, "requires books.close", Reason.OVERRIDE_DENIED),
        ([sub("pro"), override("books.close", DENY)], False, "requires books.close", Reason.OVERRIDE_DENIED),
        ([override("books.audit", True)], False, "requires books", Reason.DEPENDENCY_MISSING),
        (
            [override("books.audit", True), override("books", True), override("books.close", True)],
            False,
            "requires books.close",
            Reason.DEPENDENCY_MISSING,
        ),
        # Something that was only not bought comes first; what was taken away decides all the same.
        (
            [override("books", True), override("books.audit", True), override("crm", DENY)],
            False,
            "requires books",
            Reason.OVERRIDE_DENIED,
        ),
        ([sub("pro"), override("crm", DENY)], False, "requires books", Reason.OVERRIDE_DENIED),
        ([sub("pro"), override("books", DENY)], False, "override of books", Reason.OVERRIDE_DENIED),
        ([sub("pro"), override("books", False)], False, "requires books", Reason.OVERRIDE_DENIED),
    ],
)
def test_what_is_required_must_be_held_however_deep(facts, allowed, source, reason):
    """A refusal deep down refuses all that stands on it, and names the next step towards it."""
    decision = decide(tenant(*facts), "books.audit", WORLD)
    assert (decision.allowed, decision.source, decision.reason) == (allowed, source, reason)


def test_required_is_what_is_sold_and_not_what_is_let_through():
    """A module that is only observed does not count as held for what requires it."""
    world = world_of(controls=Controls().with_mode("crm", OFF))
    documents = tenant(override("books", True), override("books.close", True))
    assert decide(documents, "crm.export", world).allowed
    assert decide(documents, "books.close", world).reason is Reason.DEPENDENCY_MISSING


@pytest.mark.parametrize("mode", [OFF, OBSERVE])
@pytest.mark.parametrize(
    ("facts", "controls", "reason"),
    [
        ([status("revoked")], Controls(), Reason.SUBSCRIPTION_REVOKED),
        ([status("suspended")], Controls(), Reason.SUBSCRIPTION_SUSPENDED),
        ([sub("pro")], Controls().with_killed("crm.export"), Reason.ENFORCEMENT_KILLED),
        ([sub("pro")], Controls().with_killed("crm"), Reason.ENFORCEMENT_KILLED),
        ([override("crm.export", DENY)], Controls(), Reason.OVERRIDE_DENIED),
    ],
)
def test_what_the_vendor_took_away_is_never_softened(mode, facts, controls, reason):
    """Enforcement modes turn commercial refusals around, never a revocation, a kill or a denial."""
    assert reason in HARD
    world = world_of(controls=controls, modes=Modes({EVERYWHERE: mode}))
    decision = decide(tenant(*facts), "crm.export", world)
    assert (decision.allowed, decision.reason) == (False, reason)


@pytest.mark.parametrize("mode", [OFF, OBSERVE])
def test_what_stands_on_something_taken_away_is_not_softened_either(mode):
    """A refusal because something required was denied by hand stays a refusal, whether or not it was bought."""
    world = world_of(modes=Modes({EVERYWHERE: mode}))
    for facts in ((sub("pro"),), ()):
        decision = decide(tenant(*facts, override("crm.export", DENY)), "books.audit", world)
        assert (decision.allowed, decision.reason) == (False, Reason.OVERRIDE_DENIED)


@pytest.mark.parametrize(("mode", "reason"), [(OFF, Reason.ENFORCEMENT_OFF), (OBSERVE, Reason.ENFORCEMENT_OBSERVED)])
def test_a_commercial_refusal_is_softened_and_says_what_it_would_be(mode, reason):
    """Where a module is not enforced, what would be refused is allowed, with the refusal as advisory."""
    decision = decide(tenant(), "crm.export", world_of(modes=Modes({EVERYWHERE: mode})))
    assert (decision.allowed, decision.reason) == (True, reason)
    assert decision.advisories == (Reason.PLAN_FEATURE_ABSENT,)
    assert decision.noteworthy and not decision.settled


def test_a_grant_is_the_same_in_every_mode():
    """Modes change refusals only."""
    granted = [
        decide(tenant(sub("pro")), "crm.export", world_of(modes=Modes({EVERYWHERE: mode}))) for mode in Enforcement
    ]
    assert granted[0] == granted[1] == granted[2]


def test_several_subscriptions_merge_by_the_rule_of_each_feature():
    """Allowances add up, the largest or the smallest config value holds, as the feature says."""
    both = tenant(sub("pro", "one"), sub("big", "two"), sub("pro", "three"))
    assert decide(both, "crm.calls", WORLD).value == Allowance(300, MONTH)
    assert decide(both, "seats", WORLD).value == Allowance(UNLIMITED)
    assert decide(both, "books.ledgers", WORLD).value == 9
    assert decide(both, "books.delay", WORLD).value == timedelta(hours=1)
    assert decide(both, "crm.export", WORLD).plan == "big"


def test_only_subscriptions_that_are_open_are_merged():
    """What is overdue beyond its grace adds nothing for writing, and still does for reading."""
    both = tenant(sub("pro", "one"), sub("pro", "two", **LATE))
    assert decide(both, "seats", WORLD).value == Allowance(5)
    assert decide(both, "seats", WORLD, access="read").value == Allowance(10)


def test_a_trial_counts_beside_a_paid_plan_only_for_what_that_lacks():
    """What is paid for decides first; a trial beside it adds what the paid plan does not have."""
    both = tenant(sub("free", "one"), sub("big", "two", **TRIAL))
    assert decide(both, "seats", WORLD).reason is Reason.PLAN_GRANTED
    assert decide(both, "seats", WORLD).value == Allowance(1)
    assert decide(both, "books.close", WORLD).reason is Reason.TRIAL_GRANTED


def test_the_first_refusal_is_told_when_nothing_gives_it():
    """Of several levels that refuse, that of the highest authority says why."""
    both = tenant(sub("free", "one"), sub("free", "two", **TRIAL))
    refusal = decide(both, "crm.contacts", WORLD)
    assert (refusal.reason, refusal.plan) == (Reason.PLAN_ZERO, "free")


def test_an_end_within_seven_days_is_said():
    """From seven days before its end on, what a subscription gives carries an advisory."""
    ending = tenant(sub("pro", ends=NOW + 7 * DAY))
    assert decide(ending, "crm", WORLD, at=NOW - 1).advisories == ()
    assert decide(ending, "crm", WORLD).advisories == (Reason.SUBSCRIPTION_EXPIRING,)


def test_what_is_going_to_be_retired_says_so_while_it_works():
    """A deprecated module is allowed with an advisory, and so is what is in it, under an override too."""
    catalog = {
        **SMALL,
        "modules": {
            **SMALL["modules"],
            "old": {"features": {"fax": {"kind": "switch", "deprecated": "2027-01-01"}}},
        },
    }
    world = world_of(catalog)
    assert decide(tenant(sub("pro")), "old", WORLD).advisories == (Reason.CATALOG_DEPRECATED,)
    assert decide(tenant(sub("pro")), "old.fax", world).advisories == (Reason.CATALOG_DEPRECATED,)
    granted = decide(tenant(sub("pro"), override("old.fax", True)), "old.fax", world)
    assert granted.advisories == (Reason.CATALOG_DEPRECATED,)
    for key in ("old", "old.fax"):
        assert decide(tenant(sub("pro")), key, WORLD).advisories == (Reason.CATALOG_DEPRECATED,)
        given = tenant(sub("pro"), override(key, True))
        assert decide(given, key, WORLD).advisories == (Reason.CATALOG_DEPRECATED,)
    assert decide(tenant(sub("pro")), "books.close", WORLD).advisories == ()


def test_a_denial_at_either_level_beats_a_value_at_the_other():
    """DENY for the tenant beats the user's value, and DENY for the user the tenant's."""
    first = tenant(sub("pro"), override("seats", DENY), override("seats", Allowance(9), user="u"))
    second = tenant(sub("pro"), override("seats", DENY, user="u"), override("seats", Allowance(9)))
    third = tenant(sub("pro"), override("seats", Allowance(9)), override("seats", DENY, user="u"))
    for document in (first, second, third):
        assert decide(document, "seats", WORLD, user="u").reason is Reason.OVERRIDE_DENIED
    assert decide(second, "seats", WORLD).value == Allowance(9)


def test_of_two_values_that_of_the_user_holds():
    """A user's own value replaces the tenant's, for that user only."""
    for facts in (
        [override("seats", Allowance(8)), override("seats", Allowance(9), user="u")],
        [override("seats", Allowance(9), user="u"), override("seats", Allowance(8))],
    ):
        document = tenant(sub("pro"), *facts)
        assert decide(document, "seats", WORLD, user="u").value == Allowance(9)
        assert decide(document, "seats", WORLD, user="v").value == Allowance(8)
        assert decide(document, "seats", WORLD).value == Allowance(8)


def test_an_override_ends_by_itself():
    """At its end, exclusive, an override does not hold any more."""
    document = tenant(override("crm.export", True, since=NOW, until=NOW + HOUR))
    allowed = [decide(document, "crm.export", WORLD, at=at).allowed for at in (NOW - 1, NOW, NOW + HOUR - 1)]
    assert allowed == [False, True, True]
    assert not decide(document, "crm.export", WORLD, at=NOW + HOUR).allowed


def test_an_override_that_was_cleared_is_none():
    """It leaves the plan's answer."""
    denied = tenant(sub("pro"), override("seats", DENY))
    assert not decide(denied, "seats", WORLD).allowed
    cleared = tenant(sub("pro"), override("seats", DENY), NewFact(("override", "seats"), NOW, None))
    assert decide(cleared, "seats", WORLD).reason is Reason.PLAN_GRANTED


@pytest.mark.parametrize(
    ("key", "to"),
    [
        ("books", 1),
        ("books", "deny"),
        ("books", UNLIMITED),
        ("crm.export", 1),
        ("crm.export", Allowance(1)),
        ("seats", True),
        ("seats", 7),
        ("books.ledgers", True),
        ("books.ledgers", "7"),
        ("books.delay", 7),
        ("books.strict", 1),
    ],
)
def test_an_override_that_says_what_a_key_cannot_be_opens_nothing(key, to):
    """The plan's answer would, where a refusal was meant: damaged, or said of a key that was something else then."""
    document = tenant(sub("big"), override(key, to))
    decision = decide(document, key, WORLD)
    assert (decision.allowed, decision.reason, decision.source) == (False, Reason.OVERRIDE_DENIED, "override")
    assert "which it cannot be" in explain(document, WORLD, key, NOW).steps[-1].text


def test_add_ons_that_are_not_sold_any_more_give_nothing():
    """An add-on that the catalog has no longer is left out, and reading still works."""
    gone = tenant(sub("pro", add_ons={"vanished": 3, "more_seats": 1}))
    assert decide(gone, "seats", WORLD).value == Allowance(10)


def test_a_plan_that_was_never_published_here_gives_nothing():
    """A database restored without its catalog fails closed and still answers."""
    for version, plan in ((7, "pro"), (1, "platinum")):
        lost = tenant(sub(plan, version=version))
        assert decide(lost, "seats", WORLD).reason is Reason.PLAN_FEATURE_ABSENT


def test_the_trace_is_written_in_the_order_of_authority():
    """Every rule that is asked is a step, those of what is required one level deeper."""
    steps: list[Step] = []
    of = situation_of(sub("pro"), override("crm.calls", Allowance(7)), world=WORLD)
    assert Evaluation(WORLD, of, trace=steps).decide("books.close").allowed
    assert [(step.key, step.rule, step.outcome, step.depth) for step in steps if step.key == "books.close"] == [
        ("books.close", "status", "pass", 0),
        ("books.close", "kill", "pass", 0),
        ("books.close", "override", "pass", 0),
        ("books.close", "plan", "allow", 0),
        ("books.close", "requires", "pass", 0),
        ("books.close", "requires", "pass", 0),
    ]
    assert max(step.depth for step in steps) == 2


@pytest.mark.parametrize(
    ("facts", "world", "key", "rule", "outcome", "text"),
    [
        ([status("revoked")], WORLD, "crm", "status", "deny", "the tenant is revoked"),
        ([], KILLED, "crm.export", "kill", "deny", "a kill switch is on for it or for its module"),
        ([override("crm", DENY)], WORLD, "crm.export", "override", "deny", "crm is denied"),
        ([override("crm", True)], WORLD, "crm", "override", "allow", "the module is granted"),
        ([override("seats", Allowance(0))], WORLD, "seats", "override", "deny", "it is set to 0"),
        ([override("seats", Allowance(3))], WORLD, "seats", "override", "allow", "it is set to 3"),
        ([sub("pro")], WORLD, "crm.calls", "plan", "allow", "plan pro@1 gives 100/month"),
        ([sub("pro", **TRIAL)], WORLD, "crm", "trial", "allow", "plan pro@1 includes it"),
        ([], WORLD, "crm.export", "default", "pass", "free@1: plan.feature_absent"),
        (
            [override("crm.export", DENY), sub("pro")],
            world_of(modes=Modes({EVERYWHERE: OFF})),
            "crm.export",
            "enforcement",
            "note",
            "mode is off, but this is never softened",
        ),
        (
            [],
            world_of(modes=Modes({EVERYWHERE: OBSERVE})),
            "crm.export",
            "enforcement",
            "allow",
            "mode is observe: the refusal is only noted",
        ),
    ],
)
def test_a_step_says_what_its_rule_found(facts, world, key, rule, outcome, text):
    """Steps are sentences in the words of the catalog."""
    steps: list[Step] = []
    Evaluation(world, situation_of(*facts, world=world), trace=steps).decide(key)
    assert (rule, outcome, text) in [(step.rule, step.outcome, step.text) for step in steps]


def test_a_kill_switch_takes_a_module_with_its_features():
    """A killed module takes its features and what requires it, and nothing else."""
    world = world_of(controls=Controls().with_killed("crm"))
    document = tenant(sub("big"))
    assert decide(document, "crm.export", world).reason is Reason.ENFORCEMENT_KILLED
    assert decide(document, "books", world).source == "requires crm"
    assert decide(document, "seats", world).allowed


def test_equal_situations_have_equal_answers():
    """A decision depends on nothing but world, situation and intent."""
    catalog = Catalog.load(SMALL)
    one, other = world_of(catalog), world_of(catalog)
    of = situation_of(sub("pro"), world=one)
    again = Situation(tuple(Held(held.source, held.standing) for held in of.held))
    for key in (*catalog.modules, *catalog.features):
        assert Evaluation(one, of).decide(key) == Evaluation(other, again).decide(key)
