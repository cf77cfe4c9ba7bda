"""`consume`, `try_consume` and `consume_many`: who may, what is counted, and what a repetition gets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from payaid_entitlements import UNLIMITED, Decision, Entitlements, Reason, Usage
from payaid_entitlements.core.metering.posting import Open, Posted
from payaid_entitlements.core.values import DENY
from payaid_entitlements.errors import (
    ConfigurationError,
    NotEntitled,
    OperationConflict,
    OutcomeUnknown,
    QuotaExceeded,
    StoreDamaged,
    StoreUnavailable,
    TenantSuspended,
    UnknownFeature,
)
from tests.metering.conftest import CATALOG

JUNE = datetime(2030, 6, 1, 12, tzinfo=UTC)


def counted(ent, **labels):
    """How often something was counted, by its first label."""
    return {labels: number for labels, number in ent.inner.counts.items() if labels[0].startswith("usage.")}


# -- counting ----------------------------------------------------------------------------------------------------------


def test_what_is_used_is_counted_and_said(ent):
    """Units, what is left of the limit, and when it starts anew."""
    said = ent.consume("acme", "crm.imports", 30, operation="one")
    assert said == Usage(
        "crm.imports",
        "crm.imports",
        "import",
        limit=100,
        used=30,
        held=0,
        remaining=70,
        overage=0,
        fraction=Decimal("0.3"),
        resets_at=JUNE,
        taken=30,
    )
    assert ent.consume("acme", "crm.imports", operation="two").used == 31
    assert ent.usage("acme", "crm.imports")["crm.imports"] == replace(
        said, used=31, remaining=69, fraction=Decimal("0.31"), taken=0
    )


def test_the_last_unit_is_given_once(ent):
    """Whoever wants one more is refused, nothing is counted, and the refusal carries the numbers."""
    ent.consume("acme", "crm.imports", 99, operation="one")
    with pytest.raises(QuotaExceeded) as refused:
        ent.consume("acme", "crm.imports", 2, operation="two")
    decision = refused.value.decision
    assert (decision.reason, decision.allowed, refused.value.tenant) == (Reason.QUOTA_EXHAUSTED, False, "acme")
    assert (decision.usage.used, decision.usage.remaining, decision.usage.taken) == (99, 1, 0)
    assert refused.value.reference
    assert ent.consume("acme", "crm.imports", 1, operation="two").remaining == 0
    assert ent.inner.counts["usage.refused", "crm.imports", "quota.exhausted"] == 1


def test_what_was_refused_can_be_tried_again_by_the_same_operation(ent):
    """A shortage is not remembered: the customer buys more, and the job runs again."""
    ent.consume("acme", "crm.imports", 100, operation="one")
    assert not ent.try_consume("acme", "crm.imports", operation="two").allowed
    ent.refund("acme", operation="one")
    assert ent.try_consume("acme", "crm.imports", operation="two").allowed


def test_a_refusal_is_a_value_where_it_is_asked_for(ent):
    """Allowed by the ledger, and refused by it; the usage is there in both."""
    yes = ent.try_consume("acme", "crm.imports", 100, operation="one")
    assert (yes.allowed, yes.reason, yes.source, yes.plan) == (True, Reason.QUOTA_GRANTED, "plan pro@1", "pro")
    assert (yes.usage.used, yes.usage.taken, yes.advisories) == (100, 100, ())
    no = ent.try_consume("acme", "crm.imports", operation="two")
    assert (no.allowed, no.reason, no.usage.used) == (False, Reason.QUOTA_EXHAUSTED, 100)
    assert no.to_public()["usage"]["remaining"] == 0


def test_tenants_and_features_are_counted_for_themselves(ent, stage):
    """One of each never sees the other's."""
    stage.elsewhere.subscribe("other", "pro")
    ent.consume("acme", "crm.imports", 60, operation="one")
    ent.consume("other", "crm.imports", 50, operation="one")
    ent.consume("acme", "crm.calls", 5, operation="two")
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 60
    assert ent.usage("other", "crm.imports")["crm.imports"].used == 50


def test_a_new_window_starts_from_nothing_without_a_job(ent, stage):
    """And so does the one after a month in which nobody came."""
    ent.consume("acme", "crm.imports", 100, operation="one")
    stage.clock.travel_to(JUNE - timedelta(microseconds=1))
    assert not ent.try_consume("acme", "crm.imports", operation="two").allowed
    stage.clock.travel_to(JUNE)
    said = ent.consume("acme", "crm.imports", operation="two")
    assert (said.used, said.resets_at) == (1, datetime(2030, 7, 1, 12, tzinfo=UTC))
    stage.clock.advance(days=70)
    assert ent.consume("acme", "crm.imports", operation="three").used == 1


def test_a_limit_that_is_edited_keeps_the_count(ent, stage):
    """Up and down: what was used stays used, and below it nobody is given more."""
    ent.consume("acme", "crm.imports", 60, operation="one")
    ent.admin().override("acme", "crm.imports", 50)
    said = ent.try_consume("acme", "crm.imports", operation="two")
    assert (said.allowed, said.usage.limit, said.usage.used, said.usage.remaining) == (False, 50, 60, 0)
    assert said.usage.overage == 10
    ent.admin().override("acme", "crm.imports", 61)
    assert ent.consume("acme", "crm.imports", operation="two").remaining == 0


def test_what_has_no_limit_is_counted_too(ent):
    """By the billing month."""
    ent.admin().override("acme", "crm.imports", UNLIMITED)
    said = ent.consume("acme", "crm.imports", 10_000, operation="one")
    assert (said.limit, said.used, said.remaining, said.fraction) == (UNLIMITED, 10_000, UNLIMITED, None)


def test_amounts_are_exact(ent):
    """With as many digits as the feature has: not one more, no float, and nothing is no amount."""
    said = ent.consume("acme", "crm.hours", Decimal("0.25"), operation="one")
    assert (said.used, said.remaining, said.taken) == (Decimal("0.25"), Decimal("9.75"), Decimal("0.25"))
    assert ent.consume("acme", "crm.hours", 1, operation="two").used == Decimal("1.25")
    for wrong in (0.5, True, "1", None):
        with pytest.raises(TypeError, match=r"crm\.hours"):
            ent.consume("acme", "crm.hours", wrong, operation="three")
    for wrong in (0, -1, Decimal("0.001"), Decimal("NaN"), 2**60):
        with pytest.raises(ConfigurationError, match=r"crm\.hours"):
            ent.consume("acme", "crm.hours", wrong, operation="three")
    assert ent.usage("acme", "crm.hours")["crm.hours"].used == Decimal("1.25")


# -- repetitions -------------------------------------------------------------------------------------------------------


def test_the_same_operation_counts_once(ent):
    """Whichever way it is called; what comes back says that it was there, and is counted as such."""
    operation = ("invoice", 17, UUID(int=1))
    first = ent.consume("acme", "crm.imports", 3, operation=operation)
    again = ent.consume("acme", "crm.imports", 3, operation=operation)
    assert again == replace(first, replayed=True)
    assert ent.try_consume("acme", "crm.imports", 3, operation=operation).usage == again
    assert ent.consume_many("acme", {"crm.imports": 3}, operation=operation) == {"crm.imports": again}
    assert ent.inner.counts["usage.replayed", "crm.imports"] == 3
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 3


def test_a_repetition_is_told_what_is_used_now(ent, stage):
    """Also in another window, and when the plan is another one: its lots are others."""
    ent.consume("acme", "crm.imports", 3, operation="one")
    ent.consume("acme", "crm.imports", 4, operation="two")
    again = ent.consume("acme", "crm.imports", 3, operation="one")
    assert (again.used, again.taken, again.replayed) == (7, 3, True)
    stage.clock.travel_to(JUNE)
    ent.admin().change_plan("acme", "all")
    again = ent.consume("acme", "crm.imports", 3, operation="one")
    assert (again.used, again.limit, again.replayed) == (0, UNLIMITED, True)


def test_an_operation_is_one_act(ent):
    """Another amount, feature or way is another act, and so is another number of features."""
    ent.consume("acme", "crm.imports", 3, operation="one")
    for features in ({"crm.imports": 4}, {"crm.calls": 3}, {"crm.imports": 3, "crm.calls": 3}):
        with pytest.raises(OperationConflict):
            ent.consume_many("acme", features, operation="one")
    with pytest.raises(OperationConflict):
        ent.try_consume("acme", "crm.imports", 3, operation="one", when_short="cap")
    assert ent.usage("acme", "crm.imports", "crm.calls")["crm.calls"].used == 0


def test_amounts_that_are_equal_are_the_same_act(ent):
    """1 and 1.00 are."""
    ent.consume("acme", "crm.hours", 1, operation="one")
    assert ent.consume("acme", "crm.hours", Decimal("1.00"), operation="one").replayed


def test_an_operation_that_identifies_nothing_is_refused(ent):
    """Before it makes usage free for all that follow."""
    for wrong in (None, "", ("invoice", None), "invoice:None", (), ("invoice", True), 3):
        with pytest.raises(TypeError, match="operation"):
            ent.consume("acme", "crm.imports", operation=wrong)
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 0


def test_a_lost_reply_leaves_it_unknown_and_repeating_resolves_it(ent, stage):
    """Nobody calls it refused, and it is counted once."""
    ent.check("acme", "crm.imports")
    stage.faults.loses_replies = True
    for verb in (ent.consume, ent.try_consume):
        with pytest.raises(OutcomeUnknown) as lost:
            verb("acme", "crm.imports", 5, operation=("job", 1))
        assert lost.value.operation == '["job",1]'
    stage.faults.loses_replies = False
    said = ent.consume("acme", "crm.imports", 5, operation=("job", 1))
    assert (said.replayed, said.used) == (True, 5)


@pytest.mark.parametrize("taken_away", ["suspended", "not sold", "killed"])
def test_who_repeats_it_learns_that_it_was_counted_whatever_has_changed_since(ent, stage, taken_away):
    """Its reply was lost, and then everything was taken away: a refusal would say that nothing was counted."""
    ent.consume("acme", "crm.imports", 5, operation="one")
    if taken_away == "suspended":
        ent.admin().suspend("acme")
    elif taken_away == "killed":
        ent.admin().kill("crm.imports")
    else:
        ent.admin().override("acme", "crm.imports", DENY)
    again = ent.consume("acme", "crm.imports", 5, operation="one")
    assert (again.replayed, again.taken) == (True, 5)
    assert not ent.try_consume("acme", "crm.imports", 5, operation="two").allowed
    # And where nobody can say, it is refused by the facts, as everything else is.
    stage.faults.before = _fails("post")
    assert not ent.try_consume("acme", "crm.imports", 5, operation="one").allowed


def _fails(method):
    def before(name):
        if name == method:
            raise StoreUnavailable("a test says so")

    return before


# -- when there is less than is asked ----------------------------------------------------------------------------------


def test_cap_takes_what_is_left_and_says_how_many(ent):
    """Of nothing there is nothing: then it is a refusal."""
    ent.consume("acme", "crm.imports", 97, operation="one")
    said = ent.consume("acme", "crm.imports", 5, operation="two", when_short="cap")
    assert (said.taken, said.used, said.remaining, said.overage) == (3, 100, 0, 0)
    assert ent.consume("acme", "crm.imports", 5, operation="two", when_short="cap") == replace(said, replayed=True)
    assert not ent.try_consume("acme", "crm.imports", 5, operation="three", when_short="cap").allowed


def test_overflow_takes_all_and_records_what_is_beyond(ent):
    """It is said: by the usage and by an advisory."""
    decision = ent.try_consume("acme", "crm.imports", 105, operation="one", when_short="overflow")
    assert (decision.allowed, decision.advisories) == (True, (Reason.QUOTA_OVERAGE,))
    assert (decision.usage.used, decision.usage.overage, decision.usage.remaining) == (105, 5, 0)
    assert decision.usage.fraction == Decimal("1.05")
    assert not ent.try_consume("acme", "crm.imports", operation="two").allowed


def test_a_word_that_nobody_knows_is_refused(ent):
    with pytest.raises(ConfigurationError, match="'reject', 'cap' or 'overflow'"):
        ent.consume("acme", "crm.imports", operation="one", when_short="capp")


@pytest.mark.parametrize(
    ("feature", "advisory"),
    [
        ("crm.calls", Reason.QUOTA_OVERAGE),
        ("crm.mails", Reason.QUOTA_OVERAGE),
        ("crm.notes", Reason.QUOTA_WARNED),
        ("crm.files", Reason.QUOTA_IN_GRACE),
    ],
)
def test_beyond_the_limit_it_is_said_and_let_pass_as_the_catalog_says(ent, feature, advisory):
    """At the limit nothing is said yet."""
    assert ent.try_consume("acme", feature, 10, operation="one").advisories == ()
    decision = ent.try_consume("acme", feature, 2, operation="two")
    assert (decision.allowed, decision.reason, decision.advisories) == (True, Reason.QUOTA_GRANTED, (advisory,))
    assert (decision.usage.used, decision.usage.overage, decision.usage.would_refuse) == (12, 2, False)


def test_soft_until_ends_there(ent):
    ent.consume("acme", "crm.mails", 12, operation="one")
    assert ent.try_consume("acme", "crm.mails", operation="two").reason is Reason.QUOTA_EXHAUSTED
    assert ent.consume("acme", "crm.mails", 5, operation="three", when_short="overflow").overage == 7


def test_grace_ends_and_that_is_another_reason(ent, stage):
    """Counted from when it was over, not from when it was at the limit; the next window begins without."""
    ent.consume("acme", "crm.files", 10, operation="one")
    stage.clock.advance(days=3)
    assert ent.try_consume("acme", "crm.files", operation="two").advisories == (Reason.QUOTA_IN_GRACE,)
    stage.clock.advance(days=2, seconds=-1)
    assert ent.try_consume("acme", "crm.files", operation="three").allowed
    stage.clock.advance(seconds=1)
    assert ent.try_consume("acme", "crm.files", operation="four").reason is Reason.QUOTA_GRACE_ENDED
    stage.clock.travel_to(JUNE)
    assert ent.consume("acme", "crm.files", operation="four").used == 1


# -- credits -----------------------------------------------------------------------------------------------------------


def test_credits_pay_for_what_is_not_sold_by_itself(ent):
    """Each by its own cost, from one balance; what is left of it is not enough for one more."""
    ent.consume("acme", "crm.summaries", 4, operation="one")
    said = ent.consume("acme", "crm.drawings", 2, operation="two")
    assert (said.used, said.remaining, said.limit, said.taken) == (0, 1, 0, 2)
    ent.consume("acme", "crm.summaries", 1, operation="three")
    decision = ent.try_consume("acme", "crm.drawings", operation="four")
    assert (decision.allowed, decision.reason) == (False, Reason.CREDIT_EXHAUSTED)
    assert ent.usage("acme", "tokens")["tokens"].used == 45
    assert ent.consume("acme", "tokens", 5, operation="five").remaining == 0
    assert ent.try_consume("acme", "tokens", operation="six").reason is Reason.CREDIT_EXHAUSTED


def test_an_allowance_of_its_own_is_used_before_credits(ent):
    """And is what is shown as its limit."""
    ent.admin().change_plan("acme", "all")
    said = ent.consume("acme", "crm.summaries", 5, operation="one")
    assert (said.limit, said.used, said.remaining, said.overage) == (3, 3, 8, 0)
    assert ent.usage("acme", "tokens")["tokens"].used == 10


def test_granted_units_are_used_beside_the_allowance(ent):
    """They are there at once, and gone when they are used up."""
    ent.consume("acme", "crm.imports", 100, operation="one")
    ent.admin().grant("acme", "crm.imports", 5, operation="gift")
    said = ent.consume("acme", "crm.imports", 3, operation="two")
    assert (said.limit, said.used, said.remaining) == (105, 103, 2)


# -- rollover ----------------------------------------------------------------------------------------------------------


def test_what_was_left_rolls_over_when_the_window_is_first_used(ent, stage):
    """At most as much as the catalog says, once, and without a job; a page shows it before anybody has used any."""
    ent.consume("acme", "crm.texts", 70, operation="one")
    stage.clock.travel_to(JUNE)
    assert ent.usage("acme", "crm.texts")["crm.texts"].remaining == 130
    said = ent.consume("acme", "crm.texts", 10, operation="two")
    assert (said.limit, said.used, said.remaining) == (130, 10, 120)
    assert ent.usage("acme", "crm.texts")["crm.texts"] == replace(said, taken=0)
    assert ent.consume("acme", "crm.texts", 120, operation="three").remaining == 0
    stage.clock.travel_to(datetime(2030, 7, 1, 12, tzinfo=UTC))
    assert ent.consume("acme", "crm.texts", operation="four").limit == 100


class Forgetful:
    """A ledger that never knows which windows were opened."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def post(self, tenant, postings, **named):
        posted = Posted(unopened=(("crm.texts", "r0"),))
        if isinstance(postings[0], Open):
            posted = self._inner.post(tenant, postings, **named)
        return posted


def test_a_ledger_that_forgets_what_was_opened_is_damaged_and_asked_three_times(stage):
    """And not for ever."""
    stage.elsewhere.subscribe("acme", "pro")
    stage.clock.advance(days=40)
    ledger = Forgetful(stage.memory.ledger)
    with (
        Entitlements(stage.memory, ledger=ledger, catalog=CATALOG, clock=stage.clock) as ent,
        pytest.raises(StoreDamaged, match="does not know it"),
    ):
        ent.consume("acme", "crm.texts", operation="one")


# -- several at once ---------------------------------------------------------------------------------------------------


def test_several_features_are_used_together_or_not_at_all(ent):
    """In whichever order they are given: it is the same act."""
    said = ent.consume_many("acme", {"crm.imports": 2, "crm.calls": 3}, operation="one")
    assert {key: (each.used, each.taken) for key, each in said.items()} == {"crm.imports": (2, 2), "crm.calls": (3, 3)}
    assert all(
        each.replayed for each in ent.consume_many("acme", {"crm.calls": 3, "crm.imports": 2}, operation="one").values()
    )
    with pytest.raises(QuotaExceeded) as refused:
        ent.consume_many("acme", {"crm.calls": 1, "crm.imports": 99}, operation="two")
    assert refused.value.decision.feature == "crm.imports"
    assert ent.usage("acme", "crm.calls")["crm.calls"].used == 3


def test_one_that_is_not_sold_refuses_all(ent):
    with pytest.raises(NotEntitled) as refused:
        ent.consume_many("acme", {"crm.imports": 1, "hr.runs": 1}, operation="one")
    assert refused.value.decision.feature == "hr.runs"
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 0


def test_what_one_credit_pays_for_is_consumed_together(ent):
    """Each finds what those before it have left, in the order of the features' keys."""
    said = ent.consume_many("acme", {"tokens": 3, "crm.summaries": 4, "crm.drawings": 1}, operation="one")
    assert {key: each.taken for key, each in said.items()} == {"crm.drawings": 1, "crm.summaries": 4, "tokens": 3}
    assert said["tokens"].used == ent.usage("acme", "tokens")["tokens"].used == 10 + 20 + 3
    with pytest.raises(QuotaExceeded) as refused:
        ent.consume_many("acme", {"crm.drawings": 1, "crm.summaries": 2}, operation="two")
    assert refused.value.decision.feature == "crm.summaries"
    assert refused.value.decision.reason is Reason.CREDIT_EXHAUSTED
    assert ent.usage("acme", "tokens")["tokens"].used == 33
    ent.refund("acme", operation="one", amounts={"crm.drawings": 1})
    assert ent.usage("acme", "tokens")["tokens"].used == 23


def test_of_nothing_there_is_no_act(ent):
    with pytest.raises(ConfigurationError, match="at least one"):
        ent.consume_many("acme", {}, operation="one")


# -- who may -----------------------------------------------------------------------------------------------------------


def test_what_is_not_sold_is_refused_as_by_check(ent):
    decision = ent.try_consume("acme", "hr.runs", operation="one")
    assert decision == ent.check("acme", "hr.runs")
    with pytest.raises(NotEntitled):
        ent.consume("acme", "hr.runs", operation="one")


def test_a_refused_act_is_counted_nowhere(ent, stage):
    """Also where a correction has left less than nothing used: the same operation would be free once it is sold."""
    ent.admin("ops", because="ticket").adjust("free-rider", "crm.calls", -5, operation="fix")
    assert not ent.try_consume("free-rider", "crm.calls", 3, operation="one").allowed
    assert ent.usage("free-rider", "crm.calls")["crm.calls"].used == -5
    stage.elsewhere.subscribe("free-rider", "pro")
    stage.clock.advance(seconds=3)
    assert ent.consume("free-rider", "crm.calls", 3, operation="one").replayed is False
    assert ent.usage("free-rider", "crm.calls")["crm.calls"].used == 3


def test_who_is_suspended_uses_nothing(ent):
    """Whatever is left, and whatever the mode."""
    ent.admin().suspend("acme")
    with pytest.raises(TenantSuspended):
        ent.consume("acme", "crm.imports", operation="one")
    ent.admin().set_enforcement("crm", "off")
    assert ent.try_consume("acme", "crm.imports", operation="one").reason is Reason.SUBSCRIPTION_SUSPENDED
    assert ent.try_consume("acme", "crm.imports", operation="one", legacy=True).allowed is False


def test_a_users_override_counts_too(ent):
    ent.admin().override("acme", "crm.imports", DENY, user="bob")
    assert ent.try_consume("acme", "crm.imports", operation="one", user="ann").allowed
    assert ent.try_consume("acme", "crm.imports", operation="two", user="bob").reason is Reason.OVERRIDE_DENIED


@pytest.mark.parametrize("key", ["crm", "crm.export", "crm.page", "seats"])
def test_only_what_is_used_up_can_be_consumed(ent, key):
    """It is the caller's mistake, whether it is sold or not; and the message says what to call."""
    for tenant in ("acme", "nobody-yet"):
        with pytest.raises(TypeError, match=f"'{key}' is an? .*; (ask with|take a slot)"):
            ent.consume(tenant, key, operation="one")


def test_a_key_that_nobody_knows_is_refused_and_a_strict_client_says_so(ent, stage):
    assert ent.try_consume("acme", "crm.importz", operation="one").reason is Reason.CATALOG_UNKNOWN
    with pytest.raises(UnknownFeature, match="did you mean"):
        stage.open(strict=True).consume("acme", "crm.importz", operation="one")
    with pytest.raises(TypeError, match="key"):
        ent.consume("acme", 7, operation="one")


@pytest.mark.parametrize("wrong", [{"tenant": None}, {"tenant": "None"}, {"user": ""}, {"legacy": "yes"}])
def test_who_is_nobody_is_refused(ent, wrong):
    with pytest.raises(TypeError):
        ent.consume(**{"tenant": "acme", "feature": "crm.imports", "operation": "one", **wrong})


# -- facts that may be old ---------------------------------------------------------------------------------------------


def test_a_customer_who_has_just_paid_consumes_at_once(ent, stage):
    """Nobody in this process has heard of it: neither of the larger limit, nor that it is sold at all."""
    ent.consume("acme", "crm.imports", 100, operation="one")
    stage.elsewhere.change_plan("acme", "all")
    stage.clock.advance(seconds=1.5)
    assert ent.consume("acme", "crm.imports", 500, operation="two").used == 600
    stage.elsewhere.change_plan("acme", "pro")
    stage.clock.advance(seconds=3)
    assert not ent.check("acme", "hr.runs").allowed
    stage.elsewhere.change_plan("acme", "all")
    stage.clock.advance(seconds=1.5)
    assert ent.consume("acme", "hr.runs", operation="three").used == 1


def test_before_anybody_is_refused_on_facts_that_are_older_than_a_second_the_store_is_asked(ent, stage):
    """And it is posted again. Not where the store was asked a moment ago: that would be once for each refusal."""
    ent.consume("acme", "crm.imports", 100, operation="one")
    stage.faults.calls.clear()
    assert not ent.try_consume("acme", "crm.imports", operation="two").allowed
    assert stage.faults.calls == ["post"]
    stage.clock.advance(seconds=1.5)
    stage.faults.calls.clear()
    assert not ent.try_consume("acme", "crm.imports", operation="two").allowed
    assert stage.faults.calls == ["post", "changes_since", "post"]


def test_what_was_taken_away_meanwhile_is_refused_by_the_new_facts(ent, stage):
    """It was short by the old ones; the new ones do not sell it."""
    ent.consume("acme", "crm.imports", 100, operation="one")
    stage.elsewhere.override("acme", "crm.imports", DENY)
    stage.clock.advance(seconds=1.5)
    assert ent.try_consume("acme", "crm.imports", operation="two").reason is Reason.OVERRIDE_DENIED


def test_a_view_is_enough_when_all_is_near(ent, stage):
    """Neither store is asked: one call of the ledger."""
    ent.consume("acme", "crm.imports", operation="one")
    stage.faults.calls.clear()
    ent.consume("acme", "crm.imports", operation="two")
    assert stage.faults.calls == ["post"]


# -- where it is not enforced ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "reason"), [("observe", Reason.ENFORCEMENT_OBSERVED), ("off", Reason.ENFORCEMENT_OFF)]
)
def test_where_it_is_not_enforced_it_is_counted_and_let_pass(ent, mode, reason):
    """And said what would have been: before anybody is refused for the first time."""
    ent.admin().set_enforcement("crm", mode)
    assert ent.consume("acme", "crm.imports", 100, operation="one").would_refuse is False
    decision = ent.try_consume("acme", "crm.imports", 5, operation="two")
    assert (decision.allowed, decision.reason, decision.advisories) == (True, reason, (Reason.QUOTA_EXHAUSTED,))
    assert (decision.usage.used, decision.usage.overage, decision.usage.would_refuse) == (105, 5, True)
    assert (
        ent.consume_many("acme", {"crm.imports": 1, "crm.summaries": 100}, operation="three")["crm.imports"].used == 106
    )
    assert ent.inner.counts["usage.would_refuse", "crm.imports"] == 2
    ent.admin().set_enforcement("crm", "enforce")
    assert ent.try_consume("acme", "crm.imports", 5, operation="four").reason is Reason.QUOTA_EXHAUSTED
    assert ent.try_consume("acme", "crm.imports", 5, operation="two").usage.replayed


def test_what_is_not_sold_is_counted_where_it_is_not_enforced(ent):
    """In a lot of its own, that never counts for what is sold later."""
    ent.admin().set_enforcement("hr", "observe")
    decision = ent.try_consume("acme", "hr.runs", 3, operation="one")
    assert (decision.allowed, decision.reason) == (True, Reason.ENFORCEMENT_OBSERVED)
    assert decision.advisories == (Reason.PLAN_MODULE_ABSENT,)
    assert (decision.usage.used, decision.usage.limit, decision.usage.would_refuse) == (3, 0, True)
    ent.admin().set_enforcement("hr", "enforce")
    ent.admin().change_plan("acme", "all")
    assert ent.consume("acme", "hr.runs", 2, operation="two").remaining == 0


def test_cap_still_caps_where_it_is_not_enforced_and_lets_pass_when_nothing_is_left(ent):
    ent.admin().set_enforcement("crm", "observe")
    assert ent.consume("acme", "crm.imports", 105, operation="one", when_short="cap").taken == 100
    said = ent.consume("acme", "crm.imports", 5, operation="two", when_short="cap")
    assert (said.taken, said.would_refuse) == (5, True)


def test_the_hosts_old_answer_decides_until_the_module_is_enforced(ent):
    """Differences are counted in both directions; once it is enforced, ours decides."""
    ent.admin().set_enforcement("crm", "observe")
    ent.admin().set_enforcement("hr", "observe")
    no = ent.try_consume("acme", "crm.imports", operation="one", legacy=False)
    assert (no.allowed, no.reason) == (False, Reason.ENFORCEMENT_LEGACY)
    assert ent.inner.counts["legacy.differs", "crm.imports", "legacy_refuses"] == 1
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 0
    yes = ent.try_consume("acme", "hr.runs", operation="two", legacy=True)
    assert (yes.allowed, yes.reason, yes.advisories) == (True, Reason.ENFORCEMENT_LEGACY, (Reason.PLAN_MODULE_ABSENT,))
    assert ent.inner.counts["legacy.differs", "hr.runs", "legacy_allows"] == 1
    ent.admin().set_enforcement("hr", "enforce")
    assert not ent.try_consume("acme", "hr.runs", operation="three", legacy=True).allowed
    assert ent.try_consume("acme", "crm.imports", 101, operation="four", legacy=True).usage.would_refuse


# -- outages -----------------------------------------------------------------------------------------------------------


def test_who_cannot_count_lets_nobody_pass(ent, stage):
    """Warm and cold: it is an outage, never a refusal and never free."""
    ent.consume("acme", "crm.imports", operation="one")
    stage.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        ent.consume("acme", "crm.imports", operation="two")
    decision = ent.try_consume("acme", "crm.imports", operation="two")
    assert decision == Decision(False, Reason.STORE_UNAVAILABLE, "crm.imports", degraded=True)
    stage.clock.advance(seconds=6)
    with pytest.raises(StoreUnavailable):
        ent.consume("acme", "crm.imports", operation="two")
    cold = stage.open()
    with pytest.raises(StoreUnavailable):
        cold.consume("acme", "crm.imports", operation="two")
    assert cold.try_consume("acme", "crm.imports", operation="two") == decision
    stage.faults.is_down = False
    stage.clock.advance(seconds=3)
    assert ent.consume("acme", "crm.imports", operation="two").used == 2


def test_what_the_vendor_took_away_stays_away_in_an_outage(ent, stage):
    ent.admin().suspend("acme")
    ent.check("acme", "crm.imports")
    stage.faults.is_down = True
    stage.clock.advance(seconds=6)
    assert ent.try_consume("acme", "crm.imports", operation="one").reason is Reason.SUBSCRIPTION_SUSPENDED


def test_an_outage_in_a_transaction_is_no_decision(ent, stage):
    """The transaction has failed with it: who went on would commit half."""
    ent.check("acme", "crm.imports")
    stage.faults.before = _fails("post")
    for feature in ("crm.imports", "hr.runs"):
        with pytest.raises(StoreUnavailable):
            ent.try_consume("acme", feature, operation="one", tx=object())


def test_a_ledger_without_transactions_refuses_one(ent):
    with pytest.raises(ConfigurationError, match="tx"):
        ent.consume("acme", "crm.imports", operation="one", tx=object())


# -- what happened earlier ---------------------------------------------------------------------------------------------


def test_late_events_are_counted_in_the_running_window_within_bounds(ent, stage):
    """35 days back and 5 minutes ahead, to the second; never into a window that is over."""
    now = stage.clock_now()
    for number, away in enumerate((timedelta(days=-35), timedelta(minutes=5))):
        assert (
            ent.consume("acme", "crm.imports", operation=number_of(number), occurred_at=now + away).used == number + 1
        )
    for away in (timedelta(days=-35, seconds=-1), timedelta(minutes=5, seconds=1)):
        with pytest.raises(ConfigurationError, match="occurred_at"):
            ent.try_consume("acme", "crm.imports", operation="late", occurred_at=now + away)
    with pytest.raises(TypeError, match="aware"):
        ent.consume("acme", "crm.imports", operation="late", occurred_at=datetime(2030, 5, 1))


def number_of(number):
    return "event", number
