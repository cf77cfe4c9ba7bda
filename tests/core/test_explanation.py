"""Every step of a decision, at any instant, for people and for programs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.controls import OBSERVE, Controls
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.explanation import OverrideInForce, SubscriptionThen, explain, explain_situation
from payaid_entitlements.core.facts import NewFact, TenantDocument
from payaid_entitlements.core.instant import DAY, EARLIEST, HOUR, LATEST
from payaid_entitlements.core.resolution import resolve, situation
from payaid_entitlements.core.subscription import Access, State, Terms, Times, subject
from payaid_entitlements.core.values import DENY, Allowance
from payaid_entitlements.core.world import World
from tests.core.conftest import NOW, of, override, sub, tenant, world_of
from tests.core.generated import KEYS, PUBLISHED, controls, days, documents

WORLD = world_of()
ZONE = NewFact(("timezone",), 0, {"zone": "Asia/Kolkata", "history": []})


@settings(deadline=None)
@given(documents, controls, days, st.sampled_from([None, "u"]), st.sampled_from([*KEYS, "nonsense", "crm.fax"]))
def test_an_explanation_never_disagrees_with_a_check(document, switches, at, user, key):
    """What is explained is what is answered, for reading too, and all of it is JSON."""
    world = World.of(PUBLISHED, switches)
    explanation = explain(document, world, key, at, user=user)
    segment = resolve(document, world, at, at + 1, user=user)[0]
    assert explanation.decision == segment.standpoint.write[key]
    read = explanation.decision if explanation.read is None else explanation.read
    assert read == segment.standpoint.read[key]
    assert explanation.next_transition == segment.until
    data = json.loads(json.dumps(explanation.to_json()))
    assert data["decision"]["reason"] == explanation.decision.reason.value
    assert key in explanation.to_text()
    assert explanation.steps and explanation.steps[-1].key == key
    seen = explain_situation("acme", situation(document, world, at, user=user), world, key, at, user=user)
    assert (seen.decision, seen.read, seen.steps) == (
        explanation.decision,
        explanation.read,
        explanation.steps,
    )


def test_an_explanation_reads_like_a_story():
    """The answer first, then every rule in its order, then what is held; each time in two zones."""
    document = tenant(
        sub("pro", past_due_since=NOW - 8 * DAY, add_ons={"more_seats": 2}),
        override("seats", Allowance(50), until=NOW + HOUR),
        override("books.close", DENY, user="ravi", because="he asked for it"),
        ZONE,
    )
    text = explain(document, WORLD, "books.close", NOW, user="ravi").to_text().splitlines()
    assert text == [
        "books.close for acme / ravi at 2026-09-21 19:43:20 IST (2026-09-21 14:13:20 UTC)",
        "  refused: override.denied (override)",
        "  meaning: Somebody of the vendor took this away by hand.",
        "  way out: Talk to the vendor; the override says until when.",
        "  rules, in the order in which they were asked:",
        "    - status: the tenant is neither suspended nor revoked",
        "    - kill: no kill switch is on",
        "    x override: it is denied",
        "  subscription main: pro@1 + 2 x more_seats@1: past_due, access read_only; "
        "changes at 2026-10-04 19:43:20 IST (2026-10-04 14:13:20 UTC)",
        "  override books.close = denied for ravi, by asha: he asked for it",
        "  override seats = 50 until 2026-09-21 20:43:20 IST (2026-09-21 15:13:20 UTC), by asha: a promise",
        "  changes by itself at 2026-09-21 20:43:20 IST (2026-09-21 15:13:20 UTC)",
        f"  revision 1, catalog {WORLD.catalog.hash[:12]}",
    ]


def test_what_is_required_is_indented_and_named():
    """Steps about what a key requires are one level deeper for each requirement."""
    text = explain(tenant(sub("pro")), WORLD, "books.close", NOW).to_text()
    assert "    - requires: needs books, which is held\n" in text
    assert "      + plan: plan pro@1 includes it  [books]\n" in text
    assert "        + plan: plan pro@1 includes it  [crm]\n" in text


def test_reading_is_told_where_it_differs():
    """A read-only stage is both refused and allowed; the explanation has the two."""
    late = tenant(sub("pro", past_due_since=NOW - 8 * DAY))
    explanation = explain(late, WORLD, "crm.export", NOW)
    assert explanation.decision.reason is Reason.SUBSCRIPTION_PAST_DUE
    assert explanation.read.reason is Reason.PLAN_GRANTED
    assert "  for reading: allowed: plan.granted\n" in explanation.to_text()
    assert (
        "  besides: subscription.in_grace"
        in explain(tenant(sub("pro", past_due_since=NOW)), WORLD, "crm", NOW).to_text()
    )
    gone = explain(tenant(override("crm", DENY), sub("pro", paused_from=NOW)), WORLD, "crm.export", NOW)
    assert gone.read is None
    features = {"x": {"kind": "quota", "unit": "call"}, "y": {"kind": "switch", "requires": ["m.x"]}}
    plan = {"modules": ["m"], "features": {"m.x": "5/month", "m.y": True}}
    written = {"catalog": 1, "default_plan": "none", "modules": {"m": {"features": features}}, "plans": {"pro": plan}}
    paused = tenant(sub("pro", paused_from=NOW), override("m.x", Allowance(0)))
    both = explain(paused, world_of(Catalog.load(written)), "m.y", NOW)
    assert both.decision.reason is Reason.SUBSCRIPTION_PAUSED
    assert "for reading: refused: dependency.missing" in both.to_text()


@pytest.mark.parametrize(
    ("key", "reason", "text"),
    [
        (
            "crm.exprot",
            Reason.CATALOG_UNKNOWN,
            "the catalog has no module or feature 'crm.exprot'; did you mean 'crm.export'?",
        ),
        ("zzz", Reason.CATALOG_UNKNOWN, "the catalog has no module or feature 'zzz'"),
        ("crm.telex", Reason.CATALOG_RETIRED, "it was retired on 2020-02-29"),
    ],
)
def test_a_key_that_is_not_sold_is_explained_too(key, reason, text):
    """A typo gets the key that was perhaps meant, a retired key its day."""
    explanation = explain(TenantDocument("acme"), WORLD, key, NOW)
    assert (explanation.decision.allowed, explanation.decision.reason) == (False, reason)
    assert [(step.rule, step.outcome, step.text) for step in explanation.steps] == [("catalog", "deny", text)]


def test_it_answers_for_the_past_and_for_the_future():
    """The same document explains last week, now and next month."""
    facts = [
        NewFact(subject("main", "plan"), NOW, {"plan": "pro", "version": 1}),
        NewFact(subject("main", "plan"), NOW + 30 * DAY, {"plan": "big", "version": 1}),
    ]
    document = tenant(facts)
    plans = [explain(document, WORLD, "seats", at).decision.plan for at in (NOW - 1, NOW, NOW + 30 * DAY)]
    assert plans == ["free", "pro", "big"]


def test_subscriptions_are_told_with_what_changes_them_next():
    """The highest plan first, each with its own next transition: a boundary, or what is decided for later."""
    document = tenant(
        sub("pro", "a", ends=NOW + 10 * DAY),
        sub("big", "b"),
        [
            NewFact(subject("a", "add_on", "contacts"), NOW + 5, of(1)),
            NewFact(subject("a", "anchor"), NOW - 5, 1),
        ],
        ZONE,
    )
    assert explain(document, WORLD, "crm", NOW).subscriptions == (
        SubscriptionThen("b", "big", 1, (), State.ACTIVE, Access.FULL, None),
        SubscriptionThen("a", "pro", 1, (), State.ACTIVE, Access.FULL, NOW + 5),
    )
    later = explain(document, WORLD, "crm", NOW + 5).subscriptions[1]
    assert (later.add_ons, later.next_transition) == ((("contacts", 1, 1),), NOW + 3 * DAY)


def test_subscriptions_of_the_host_are_told():
    """What only the host knows is explained by what the host said."""
    host = (Terms("host", "pro", None, (), Times(trial_end=NOW + DAY)),)
    explanation = explain(tenant(sub("big", name="host")), WORLD, "crm", NOW, host=host)
    assert explanation.decision.reason is Reason.TRIAL_GRANTED
    assert explanation.subscriptions == (
        SubscriptionThen("host", "pro", 1, (), State.TRIALING, Access.FULL, NOW + DAY),
    )


def test_only_overrides_in_force_for_the_asked_user_are_told():
    """Those of other users, those that are over and those that were cleared are not."""
    document = tenant(
        override("seats", Allowance(9), user="u"),
        override("crm", DENY, user="v"),
        override("crm.export", True, until=NOW),
        [
            NewFact(("override", "books"), 0, None),
            NewFact(("override", "old"), 0, {"to": True, "until": None}),
        ],
    )
    assert explain(document, WORLD, "crm", NOW, user="u").overrides == (
        OverrideInForce("old", True, None, None, "", ""),
        OverrideInForce("seats", {"limit": 9, "per": None}, None, "u", "asha", "a promise"),
    )


def test_data_has_stable_keys():
    """Programs read explanations too: these keys stay."""
    document = tenant(sub("pro", trial_end=NOW + DAY), override("seats", DENY, until=NOW + 5), ZONE)
    data = explain(document, world_of(controls=Controls().with_mode("crm", OBSERVE)), "crm", NOW).to_json()
    assert list(data) == [
        "tenant",
        "user",
        "feature",
        "at",
        "decision",
        "read",
        "steps",
        "subscriptions",
        "overrides",
        "grants",
        "next_transition",
        "revision",
        "catalog",
        "zone",
    ]
    assert data["at"] == "2026-09-21T14:13:20+00:00"
    assert data["decision"]["source"] == "plan pro@1"
    assert data["steps"][0] == {
        "key": "crm",
        "rule": "status",
        "outcome": "pass",
        "text": "the tenant is neither suspended nor revoked",
        "depth": 0,
    }
    assert data["subscriptions"] == [
        {
            "name": "main",
            "plan": "pro",
            "version": 1,
            "add_ons": {},
            "add_on_versions": {},
            "state": "trialing",
            "access": "full",
            "next_transition": "2026-09-22T14:13:20+00:00",
        }
    ]
    assert data["overrides"] == [
        {
            "feature": "seats",
            "to": {"deny": True},
            "until": "2026-09-21T14:13:20.000005+00:00",
            "user": None,
            "actor": "asha",
            "because": "a promise",
        }
    ]
    assert (data["next_transition"], data["revision"], data["zone"]) == (
        "2026-09-21T14:13:20.000005+00:00",
        1,
        "Asia/Kolkata",
    )


def test_a_view_explains_without_names():
    """From a situation alone: what counts, but neither who set it nor what comes next."""
    document = tenant(sub("pro", ends=NOW + DAY), override("seats", Allowance(9)))
    explanation = explain_situation("acme", situation(document, WORLD, NOW), WORLD, "seats", NOW, user="u")
    assert explanation.user == "u"
    assert explanation.subscriptions == (SubscriptionThen(None, "pro", 1, (), State.ACTIVE, Access.FULL, None),)
    assert explanation.overrides == (OverrideInForce("seats", {"limit": 9, "per": None}, None, None, "", ""),)
    text = explanation.to_text()
    assert "  subscription pro@1: active, access full\n" in text
    assert "  override seats = 9\n" in text
    assert text.endswith(f"  catalog {WORLD.catalog.hash[:12]}")


@pytest.mark.parametrize(("at", "told"), [(EARLIEST, "0001-01-01 00:00:00 UTC"), (LATEST, "9999-12-31 23:59:59 UTC")])
def test_the_ends_of_time_can_be_asked_about(at, told):
    """Where the tenant's zone has no calendar any more, its name and UTC are told."""
    zones = [
        NewFact(("timezone",), EARLIEST, {"zone": zone, "history": []}) for zone in ("America/New_York", "Asia/Tokyo")
    ]
    texts = [explain(tenant(zone), WORLD, "crm", at).to_text().splitlines()[0] for zone in zones]
    assert all(f"({told})" in text for text in texts)
    lost = "America/New_York" if at == EARLIEST else "Asia/Tokyo"
    assert f"crm for acme at {lost} ({told})" in texts


def test_an_override_that_was_cleared_is_not_told():
    """What does not count is not in force."""
    cleared = tenant(override("seats", DENY), NewFact(("override", "seats"), NOW, None))
    assert explain(cleared, WORLD, "crm", NOW).overrides == ()
