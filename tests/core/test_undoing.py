"""Undoing a change, with what has come since and stands on it."""

from __future__ import annotations

from payaid_entitlements.core.adding import set_add_on
from payaid_entitlements.core.changing import change_plan
from payaid_entitlements.core.facts import NewFact, record
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.subscription import HeldAddOn, subject, terms_at
from payaid_entitlements.core.undoing import undone
from tests.core.conftest import NOW, sub, tenant, world_of

WORLD = world_of()


def after(document, verb, now):
    outcome = record(document, verb(Ground(document, WORLD, now)), recorded=now)
    return outcome.document, outcome.recorded


def test_an_add_on_that_came_since_ends_where_it_is_not_for_the_plan_of_before():
    """Others that came since stay, and so does the subscription beside."""
    begun = tenant(sub("big"), sub("pro", "second", add_ons={"contacts": 1}))
    changed, facts = after(begun, lambda on: change_plan(on, "pro"), NOW)
    added, _ = after(changed, lambda on: set_add_on(on, "contacts", 1), NOW + DAY)
    added, _ = after(added, lambda on: set_add_on(on, "more_seats", 1), NOW + DAY)
    back, _ = after(added, lambda on: undone(on, facts), NOW + 2 * DAY)
    main, second = terms_at(back, NOW + 2 * DAY)
    assert (main.plan, main.add_ons) == ("big", (HeldAddOn("more_seats", 1, 1),))
    assert (second.plan, second.add_ons) == ("pro", (HeldAddOn("contacts", 1, 1),))
    assert terms_at(back, NOW + 2 * DAY - 1)[0].add_ons == (
        HeldAddOn("contacts", 1, 1),
        HeldAddOn("more_seats", 1, 1),
    )


def test_what_is_about_no_subscription_is_undone_alone():
    """A status needs nothing else."""
    suspended, facts = after(tenant(), lambda on: (NewFact(("status",), on.at, "suspended"),), NOW)
    back, _ = after(suspended, lambda on: undone(on, facts), NOW + DAY)
    assert (back.value(("status",), NOW), back.value(("status",), NOW + DAY)) == ("suspended", None)
    assert subject("main", "plan") not in back.timelines
