"""The audit trail: who changed what, when and why."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.controls import OBSERVE
from payaid_entitlements.core.values import DENY
from payaid_entitlements.stores.ports import Scope
from tests.admin.conftest import TODAY, at


def test_an_entry_says_who_did_what_when_and_why(shop):
    """With the operation, with when its source said it, and in words what became otherwise."""
    shop.clock.advance(days=1)
    webhook = shop.admin("webhook:payments", because=None)
    change = webhook.subscribe("acme", "pro", operation=("invoice", 7), as_of=TODAY, because="invoice 7")
    (entry,) = shop.trail("acme")
    assert (entry.id, entry.at, entry.scope, entry.tenant, entry.revision) == (
        change.id,
        at(1),
        Scope.TENANT,
        "acme",
        1,
    )
    assert (entry.verb, entry.actor, entry.because, entry.operation, entry.as_of) == (
        "subscribe",
        "webhook:payments",
        "invoice 7",
        '["invoice",7]',
        TODAY,
    )
    assert [str(each) for each in entry.altered] == [
        "plan: none -> pro@1",
        "starts: none -> 2026-09-21 14:13:20+00:00",
        "anchor: none -> 2026-09-21 14:13:20+00:00",
    ]
    assert entry.altered == change.altered
    assert entry.detail["asked"]["plan"] == "pro"


def test_what_was_to_come_and_is_dropped_is_in_the_trail(shop, admin):
    """Nothing that was agreed vanishes without a trace."""
    admin.subscribe("acme", "pro")
    admin.change_plan("acme", "big", when=at(5))
    change = admin.change_plan("acme", "pro")
    assert [str(each) for each in change.altered] == ["plan from 2026-09-26 14:13:20+00:00: big@1 -> pro@1"]
    assert shop.trail("acme")[-1].altered == change.altered
    assert change.effective_at == at(5)


def test_the_trail_is_filtered_by_tenant_feature_and_time(shop, admin):
    """Filters join by "and"; a feature also finds its kill switches, its modes and their undoing."""
    admin.override("acme", "seats", 5)
    admin.override("acme", "crm", DENY)
    admin.override("globex", "crm", DENY, user="u")
    shop.clock.advance(days=1)
    admin.kill("crm")
    change = admin.set_enforcement("crm", OBSERVE)
    admin.undo(change.id)
    admin.clear_override("acme", "crm")

    def found(*args, **named):
        return [(entry.tenant, entry.verb) for entry in shop.trail(*args, **named)]

    assert found("globex") == [("globex", "override")]
    assert found(feature="crm") == [
        ("acme", "override"),
        ("globex", "override"),
        (None, "kill"),
        (None, "set_enforcement"),
        (None, "undo"),
        ("acme", "clear_override"),
    ]
    assert found(since=at(1)) == [
        (None, "kill"),
        (None, "set_enforcement"),
        (None, "undo"),
        ("acme", "clear_override"),
    ]
    assert found("acme", feature="crm", since=at(1)) == [("acme", "clear_override")]
    assert found("acme", feature="books") == []


def test_a_long_trail_is_read_page_by_page(shop, admin):
    """Oldest first, nothing twice and nothing left out, while somebody iterates."""
    for number in range(1000):
        admin.override("acme", "crm.contacts", number)
    entries = shop.trail("acme")
    assert [entry.revision for entry in entries] == list(range(1, 1001))
    assert shop.trail("acme", feature="seats") == []


def test_a_trail_is_asked_for_properly(admin):
    """Wrong arguments are refused at the call, not at the first entry."""
    for arguments in ({"tenant": "None"}, {"tenant": 5}, {"since": TODAY.replace(tzinfo=None)}, {"since": 5}):
        with pytest.raises(TypeError):
            admin.audit(**arguments)
