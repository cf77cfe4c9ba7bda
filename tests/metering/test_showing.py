"""`usage`, `check(amount=...)` and `refund`: what is left, whether more would do, and giving back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from payaid_entitlements import UNLIMITED, Catalog, Entitlements, Reason
from payaid_entitlements.answering import blind_view
from payaid_entitlements.core.values import DENY
from payaid_entitlements.errors import (
    ConfigurationError,
    NotEntitled,
    OperationConflict,
    QuotaExceeded,
    StoreUnavailable,
    UnknownFeature,
    UnknownOperation,
)
from payaid_entitlements.metering import showing
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing import FaultyStore

# -- usage ----------------------------------------------------------------------------------------------------------


def test_all_that_is_sold_is_shown_by_one_reading(ent, stage):
    """In the catalog's order; neither what is not sold, nor what the host counts."""
    ent.consume("acme", "crm.imports", 7, operation="one")
    ent.consume("acme", "crm.texts", 7, operation="two")
    stage.faults.calls.clear()
    said = ent.usage("acme")
    assert stage.faults.calls == ["balances"]
    assert list(said) == [
        "crm.imports",
        "crm.calls",
        "crm.mails",
        "crm.files",
        "crm.notes",
        "crm.hours",
        "crm.summaries",
        "crm.drawings",
        "crm.texts",
        "seats",
        "tokens",
    ]
    assert (said["crm.imports"].used, said["crm.texts"].used, said["crm.hours"].used) == (7, 7, Decimal("0.00"))
    assert (said["seats"].limit, said["crm.imports"].taken, said["crm.imports"].replayed) == (2, 0, False)


def test_what_is_named_is_shown_also_where_it_is_not_sold(ent):
    said = ent.usage("acme", "hr.runs", "crm.imports")
    assert list(said) == ["hr.runs", "crm.imports"]
    assert (said["hr.runs"].limit, said["hr.runs"].remaining, said["hr.runs"].fraction) == (0, 0, None)
    assert ent.usage("nobody-yet", "crm.imports")["crm.imports"].limit == 10


def test_for_a_tenant_who_is_sold_nothing_that_is_counted_nobody_is_asked(ent, stage):
    """An empty page, and no statement."""
    ent.admin().suspend("acme")
    stage.faults.calls.clear()
    assert ent.usage("acme") == {}
    assert "balances" not in stage.faults.calls


def test_usage_for_a_user_is_that_of_the_tenant_under_the_users_limit(ent):
    ent.admin().override("acme", "crm.imports", 5, user="bob")
    ent.consume("acme", "crm.imports", 3, operation="one")
    assert ent.usage("acme", "crm.imports", user="bob")["crm.imports"].remaining == 2
    assert ent.usage("acme", "crm.imports", user="ann")["crm.imports"].remaining == 97


def test_usage_of_what_is_not_counted_is_a_mistake(ent):
    for key in ("crm", "crm.export", "crm.page", "crm.contacts"):
        with pytest.raises(TypeError):
            ent.usage("acme", key)
    with pytest.raises(UnknownFeature, match=r"crm\.importz"):
        ent.usage("acme", "crm.importz")
    for wrong in ({"tenant": ""}, {"user": "None"}):
        with pytest.raises(TypeError):
            ent.usage(**{"tenant": "acme", **wrong})
    with pytest.raises(TypeError):
        ent.usage("acme", ["crm.imports"])


def test_usage_in_an_outage_is_one(ent, stage):
    """Of the store and of the ledger: nobody is shown a number that nobody knows."""
    ent.check("acme", "crm.imports")
    stage.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        ent.usage("acme")
    stage.clock.advance(seconds=6)
    with pytest.raises(StoreUnavailable, match="not known for sure"):
        ent.usage("acme")


# -- would so many do? -------------------------------------------------------------------------------------------------


def test_asked_for_an_amount_the_ledger_says_whether_it_is_left(ent):
    """Nothing is counted; the decision is that of `check`, with the numbers."""
    ent.consume("acme", "crm.imports", 95, operation="one")
    yes = ent.check("acme", "crm.imports", amount=5)
    assert (yes.allowed, yes.reason, yes.usage.remaining) == (True, Reason.PLAN_GRANTED, 5)
    no = ent.check("acme", "crm.imports", amount=6)
    assert (no.allowed, no.reason, no.usage.remaining) == (False, Reason.QUOTA_EXHAUSTED, 5)
    assert ent.check("acme", "crm.imports").usage is None
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 95
    with pytest.raises(QuotaExceeded):
        ent.require("acme", "crm.imports", amount=6)
    assert ent.require("acme", "crm.imports", amount=5).usage.used == 95


@pytest.mark.parametrize(
    ("feature", "before", "amount", "allowed"),
    [
        ("crm.calls", 10, 1_000_000, True),
        ("crm.notes", 15, 1_000_000, True),
        ("crm.mails", 11, 1, True),
        ("crm.mails", 11, 2, False),
        ("crm.files", 11, 1_000_000, True),
        ("crm.summaries", 9, 1, True),
        ("crm.summaries", 9, 2, False),
        ("crm.hours", Decimal("9.99"), Decimal("0.01"), True),
        ("crm.hours", Decimal("9.99"), Decimal("0.02"), False),
    ],
)
def test_it_says_what_consume_would_do(ent, feature, before, amount, allowed):
    """By the same rule, whatever happens beyond the limit."""
    ent.consume("acme", feature, before, operation="one")
    assert ent.check("acme", feature, amount=amount).allowed is allowed
    assert ent.try_consume("acme", feature, amount, operation="two").allowed is allowed


def test_it_says_so_when_grace_is_over(ent, stage):
    ent.consume("acme", "crm.files", 11, operation="one")
    stage.clock.advance(days=2)
    assert ent.check("acme", "crm.files", amount=1).reason is Reason.QUOTA_GRACE_ENDED


def test_what_has_no_limit_always_does(ent):
    ent.admin().override("acme", "crm.imports", UNLIMITED)
    assert ent.check("acme", "crm.imports", amount=10**9).usage.remaining is UNLIMITED


def test_what_is_not_sold_is_refused_without_asking_the_ledger(ent, stage):
    ent.check("acme", "hr.runs")
    stage.faults.calls.clear()
    assert ent.check("acme", "hr.runs", amount=1).reason is Reason.PLAN_MODULE_ABSENT
    assert stage.faults.calls == []
    with pytest.raises(NotEntitled):
        ent.require("acme", "hr.runs", amount=1)


def test_only_what_is_counted_has_amounts(ent):
    for key in ("crm", "crm.export", "crm.page"):
        with pytest.raises(TypeError):
            ent.check("acme", key, amount=1)
    with pytest.raises(ConfigurationError):
        ent.check("acme", "crm.imports", amount=0)
    with pytest.raises(TypeError, match="your own rows"):
        ent.check("acme", "crm.contacts", amount=1)
    assert ent.check("acme", "seats", amount=2).allowed
    assert ent.check("acme", "seats", amount=3).reason is Reason.ALLOCATION_FULL


def test_where_it_is_not_enforced_it_would_be_let_pass_and_that_is_said(ent):
    ent.admin().set_enforcement("crm", "observe")
    decision = ent.check("acme", "crm.imports", amount=101)
    assert (decision.allowed, decision.reason) == (True, Reason.ENFORCEMENT_OBSERVED)
    assert decision.advisories == (Reason.QUOTA_EXHAUSTED,)
    ent.admin().override("acme", "crm.imports", 0)
    assert ent.check("acme", "crm.imports", amount=1).advisories == (Reason.PLAN_ZERO,)


def test_who_has_just_paid_is_not_told_that_nothing_is_left(ent, stage):
    """On facts of more than a second ago nobody is."""
    ent.consume("acme", "crm.imports", 100, operation="one")
    stage.elsewhere.change_plan("acme", "all")
    stage.clock.advance(seconds=1.5)
    assert ent.check("acme", "crm.imports", amount=1).allowed
    stage.elsewhere.override("acme", "crm.imports", DENY)
    ent.consume("acme", "crm.texts", 100, operation="two")
    stage.elsewhere.override("acme", "crm.texts", DENY)
    stage.clock.advance(seconds=1.5)
    assert ent.check("acme", "crm.texts", amount=1).reason is Reason.OVERRIDE_DENIED


def test_an_outage_of_the_ledger_is_no_refusal(ent, stage):
    ent.check("acme", "crm.imports")
    stage.faults.is_down = True
    assert ent.check("acme", "crm.imports").allowed
    decision = ent.check("acme", "crm.imports", amount=1)
    assert (decision.allowed, decision.reason, decision.degraded) == (False, Reason.STORE_UNAVAILABLE, True)


def test_an_amount_after_a_revision_and_for_a_user(ent):
    change = ent.admin().override("acme", "crm.imports", 5, user="bob")
    assert not ent.check("acme", "crm.imports", amount=6, user="bob", after=change.revision).allowed
    assert ent.check("acme", "crm.imports", amount=6, user="ann", after=change.revision).allowed


# -- giving back --------------------------------------------------------------------------------------------------


def test_what_was_used_is_given_back_once(ent):
    """To where it came from; repeated, it gives back nothing more and says so."""
    ent.consume("acme", "crm.imports", 30, operation="one")
    ent.consume("acme", "crm.imports", 5, operation="two")
    said = ent.refund("acme", operation="one")["crm.imports"]
    assert (said.used, said.remaining, said.taken, said.replayed) == (5, 95, -30, False)
    again = ent.refund("acme", operation="one")["crm.imports"]
    assert (again.used, again.taken, again.replayed) == (5, -30, True)


def test_a_part_is_given_back_by_feature(ent):
    ent.consume_many("acme", {"crm.imports": 30, "crm.hours": 3}, operation="one")
    said = ent.refund("acme", operation="one", amounts={"crm.hours": Decimal("0.5"), "crm.imports": 10})
    assert {key: (each.used, each.taken) for key, each in said.items()} == {
        "crm.imports": (20, -10),
        "crm.hours": (Decimal("2.50"), Decimal("-0.50")),
    }
    with pytest.raises(OperationConflict):
        ent.refund("acme", operation="one")


def test_where_credits_had_paid_credits_come_back(ent):
    ent.consume("acme", "crm.drawings", 2, operation="one")
    ent.consume("acme", "crm.summaries", 2, operation="two")
    said = ent.refund("acme", operation="one")["crm.drawings"]
    assert (said.remaining, said.taken) == (4, -2)
    assert ent.usage("acme", "tokens")["tokens"].used == 10
    assert ent.refund("acme", operation="two", amounts={"crm.summaries": 1})["crm.summaries"].taken == -1
    assert ent.usage("acme", "tokens")["tokens"].used == 5


def test_more_than_was_used_cannot_be_given_back(ent):
    """Nor of another feature."""
    ent.consume("acme", "crm.imports", 3, operation="one")
    for amounts in ({"crm.imports": 4}, {"crm.calls": 1}):
        with pytest.raises(ConfigurationError, match="cannot be given back"):
            ent.refund("acme", operation="one", amounts=amounts)
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 3


def test_a_refund_in_a_later_window_gives_nothing_to_that(ent, stage):
    """What has expired stays expired."""
    ent.consume("acme", "crm.imports", 100, operation="one")
    stage.clock.travel_to(datetime(2030, 6, 1, 12, tzinfo=UTC))
    said = ent.refund("acme", operation="one")["crm.imports"]
    assert (said.used, said.remaining, said.taken) == (0, 100, -100)


def test_what_was_never_used_cannot_be_given_back(ent):
    ent.consume("acme", "crm.imports", 3, operation="one")
    for tenant, operation in (("acme", "two"), ("other", "one")):
        with pytest.raises(UnknownOperation):
            ent.refund(tenant, operation=operation)
    with pytest.raises(TypeError):
        ent.refund("acme", operation=("invoice", None))
    with pytest.raises(ConfigurationError, match="amounts"):
        ent.refund("acme", operation="one", amounts={})
    with pytest.raises(UnknownFeature):
        ent.refund("acme", operation="one", amounts={"crm.importz": 1})
    with pytest.raises(TypeError):
        ent.refund("acme", operation="one", amounts={7: 1})
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 3


def test_what_is_sold_no_more_can_be_given_back(ent, stage):
    """The plan was changed, or the feature is in no catalog any more: then nobody knows its decimals."""
    ent.consume("acme", "crm.imports", 30, operation="one")
    ent.consume("acme", "crm.hours", Decimal("1.50"), operation="two")
    stage.elsewhere.cancel("acme", when="now")
    stage.clock.advance(seconds=3)
    assert ent.refund("acme", operation="one")["crm.imports"].taken == -30
    other = Catalog.load({"plans": {"one": {}}})
    with Entitlements(MemoryStore(), ledger=stage.memory.ledger, catalog=other, clock=stage.clock) as elsewhere:
        said = elsewhere.refund("acme", operation="two")["crm.hours"]
    assert (said.limit, said.used, said.taken) == (0, 0, -150)


def test_in_an_outage_of_the_store_alone_the_ledger_gives_back(stage):
    """In the units of the feature; where not even the catalog is known, nothing is given back, rather than guessed."""
    stage.elsewhere.subscribe("acme", "pro")
    stage.open().consume("acme", "crm.hours", Decimal("1.50"), operation="one")
    facts = FaultyStore(stage.memory)
    with Entitlements(facts, ledger=stage.memory.ledger, clock=stage.clock) as ent:
        facts.faults.is_down = True
        with pytest.raises(StoreUnavailable, match="not even the catalog"):
            ent.refund("acme", operation="one")
        facts.faults.is_down = False
        stage.clock.advance(seconds=3)
        ent.check("other", "crm.imports")
        facts.faults.is_down = True
        said = ent.refund("acme", operation="one")["crm.hours"]
    assert (said.used, said.taken, said.replayed) == (Decimal("0.00"), Decimal("-1.50"), False)


def test_a_refund_in_an_outage_gives_back_nothing(ent, stage):
    ent.consume("acme", "crm.imports", 3, operation="one")
    stage.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        ent.refund("acme", operation="one")
    stage.faults.is_down = False
    stage.clock.advance(seconds=3)
    assert ent.refund("acme", operation="one")["crm.imports"].replayed is False


def test_usage_of_a_tenant_about_whom_nothing_is_known_is_no_answer(ent, monkeypatch):
    """Driven by hand: a tracer loses lines behind an error that is thrown into a flow."""
    setting = ent.inner._setting

    def look(setting, tenant, *, user=None):
        return blind_view(setting, tenant, user)
        yield

    monkeypatch.setattr(showing, "look", look)
    monkeypatch.setattr(showing, "near_view", lambda *of: None)
    with pytest.raises(StoreUnavailable, match="no answer"):
        next(showing.show(setting, "acme", (), None))
