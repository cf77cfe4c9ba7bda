"""The two colours have the same verbs, words and outcomes; and all verbs that changing needs are there."""

from __future__ import annotations

import inspect

import pytest

from payaid_entitlements.admin import Admin, AsyncAdmin
from payaid_entitlements.core.values import DENY, UNLIMITED
from payaid_entitlements.errors import EntitlementError
from tests.admin.conftest import TODAY, Shop, at, edited, utc

#: Verbs by what they are about.
VERBS = {
    "what is sold": {"publish", "migrate", "migrate_add_on", "kill", "restore", "set_enforcement"},
    "subscriptions": {
        "subscribe",
        "change_plan",
        "set_add_on",
        "cancel",
        "pause",
        "resume",
        "past_due",
        "paid",
        "set_provider_id",
    },
    "tenants": {
        "suspend",
        "reinstate",
        "revoke",
        "override",
        "clear_override",
        "set_timezone",
        "invalidate",
        "forget",
    },
    "units": {"grant", "void", "adjust"},
    "flags": {
        "define_flag",
        "remove_flag",
        "rollout",
        "set_flag",
        "define_segment",
        "remove_segment",
        "import_flags",
        "forecast",
    },
    "guarded rollouts": {
        *("step_rollouts", "approve_rollout", "pause_rollout", "resume_rollout", "restart_rollout", "roll_back"),
    },
    "the past": {"undo", "audit"},
}


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_colours_have_every_verb():
    """The same ones, with the same words in the same order."""
    wanted = set().union(*VERBS.values())
    assert public(Admin) == public(AsyncAdmin) >= wanted
    for name in public(Admin):
        plain, awaited = (inspect.signature(getattr(kind, name)) for kind in (Admin, AsyncAdmin))
        assert list(plain.parameters.values()) == list(awaited.parameters.values()), name


@pytest.mark.parametrize("name", sorted(public(Admin) - {"audit", "forecast"}))
def test_every_verb_says_why(name):
    """And what happens to a tenant is safe to repeat; what a source says may be late, and join a transaction."""
    words = set(inspect.signature(getattr(Admin, name)).parameters)
    assert "because" in words
    # What reconciles, or lets what is due go on, is known by what it is about: repeated, nothing is left to do.
    if name not in ("publish", "migrate", "migrate_add_on", "reconcile", "step_rollouts"):
        assert "operation" in words
    if name in VERBS["flags"]:
        assert "expect" in words
    if name in VERBS["subscriptions"] | VERBS["tenants"]:
        assert "tx" in words
        assert ("as_of" in words) == (name not in ("invalidate", "forget"))
    if name in VERBS["subscriptions"]:
        assert "name" in words


STORY = [
    ("publish", (edited(pro={"seats": 4}),), {}),
    ("subscribe", ("acme", "pro"), {"trial": True, "add_ons": {"more_seats": 1}, "operation": ("order", 1)}),
    ("subscribe", ("acme", "pro"), {"trial": True, "add_ons": {"more_seats": 1}, "operation": ("order", 1)}),
    ("change_plan", ("acme", "big"), {"when": "period_end", "as_of": TODAY}),
    ("change_plan", ("acme", "big"), {"when": "tomorrow"}),
    ("set_add_on", ("acme", "contacts", 1), {}),
    ("set_add_on", ("acme", "nothing", 1), {}),
    ("override", ("acme", "crm.export", DENY), {"user": "u"}),
    ("override", ("acme", "seats", UNLIMITED), {"until": at(3), "operation": "evt_2"}),
    ("override", ("acme", "seats", 0.5), {}),
    ("clear_override", ("acme", "seats"), {"expect": 1}),
    ("publish", (edited(pro={"seats": 3}),), {"migrate": ["pro"]}),
    ("kill", ("books",), {"operation": "evt_3"}),
    ("kill", ("books",), {"operation": "evt_3"}),
    ("kill", ("boks",), {}),
    ("set_enforcement", ("*", "observe"), {}),
    ("set_enforcement", ("*", "off"), {"operation": "evt_3"}),
    ("restore", ("books",), {}),
    ("define_flag", ("look", {"rollout": "5%"}), {"operation": "evt_4"}),
    ("define_flag", ("look", {"rollout": "5%"}), {"operation": "evt_4"}),
    ("define_flag", ("look", {"salt": "other"}), {}),
    ("rollout", ("look", "25%"), {"expect": 1}),
    ("rollout", ("look", "50%"), {"expect": 1}),
    ("rollout", ("loook", 5), {}),
    ("set_flag", ("look", "on"), {}),
    ("define_segment", ("near", {"country": "IN"}), {}),
    ("import_flags", ({"flags": {"more": {"needs": {"look": "on"}}}},), {}),
    ("remove_flag", ("look",), {}),
    ("remove_segment", ("near",), {}),
    ("kill", ("look",), {}),
    ("forecast", ("look", 70), {}),
    ("past_due", ("acme", TODAY), {}),
    ("pause", ("acme", at(5)), {}),
    ("cancel", ("acme",), {"as_of": at(-1)}),
    ("cancel", ("acme",), {"as_of": at(-2)}),
    ("paid", ("acme",), {}),
    ("resume", ("acme",), {}),
    ("set_timezone", ("acme", "Asia/Kolkata"), {}),
    ("set_timezone", ("acme", "Nowhere"), {}),
    ("suspend", ("acme",), {}),
    ("reinstate", ("acme",), {}),
    ("revoke", ("globex",), {}),
    ("clear_override", ("acme", "seats"), {}),
    ("invalidate", ("acme",), {}),
    ("migrate", ("pro",), {}),
    ("undo", ("nothing",), {}),
    ("forget", ("acme",), {}),
    ("forget", ("nobody",), {}),
    ("subscribe", ("acme", "pro"), {"anchor": utc(2026, 1, 31), "name": "second"}),
    ("subscribe", ("", "pro"), {}),
]


def told(colour):
    """A story and what came of it, with ids in the order in which they were given out."""
    shop = Shop(colour)
    numbers = iter(range(1, 1000))
    object.__setattr__(shop.ent._setting, "new_id", lambda at: f"change-{next(numbers)}")
    admin = shop.admin()
    came_of_it = []
    for verb, arguments, named in STORY:
        shop.clock.advance(seconds=1)
        try:
            came_of_it.append(getattr(admin, verb)(*arguments, **named))
        except (EntitlementError, TypeError) as error:
            came_of_it.append((type(error), str(error)))
    came_of_it += shop.trail()
    came_of_it += [shop.document(tenant).to_json() for tenant in ("acme", "globex")]
    shop.close()
    return came_of_it


def test_one_story_has_one_outcome_in_both_colours():
    """Changes, errors, audit trail and documents are the same to the letter."""
    plain, awaited = told("sync"), told("async")
    assert plain == awaited
    assert len({change.reason for change in plain if hasattr(change, "reason")}) == 4
