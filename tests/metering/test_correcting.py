"""`admin.adjust` and `admin.forget`: what is counted is corrected once and audited, and forgotten with the tenant."""

from __future__ import annotations

from decimal import Decimal

import pytest

from payaid_entitlements.errors import (
    ConfigurationError,
    OperationConflict,
    StoreUnavailable,
    UnknownFeature,
    UnknownTenant,
)


def used(ent, feature="crm.imports"):
    return ent.usage("acme", feature)[feature].used


def test_what_is_used_is_corrected_in_both_directions(ent):
    """Whatever the limit, also below nothing; and the change says what it was."""
    ent.consume("acme", "crm.imports", 30, operation="one")
    change = ent.admin().adjust("acme", "crm.imports", -10, operation="a")
    assert (change.applied, change.reason, used(ent)) == (True, "change.applied", 20)
    assert [str(each) for each in change.altered] == ["used of crm.imports: 30 -> 20"]
    ent.admin().adjust("acme", "crm.imports", 100, operation="b")
    assert not ent.try_consume("acme", "crm.imports", operation="two").allowed
    ent.admin().adjust("acme", "crm.imports", -125, operation="c")
    said = ent.usage("acme", "crm.imports")["crm.imports"]
    assert (said.used, said.remaining, said.overage) == (-5, 105, 0)
    ent.admin().adjust("acme", "crm.hours", Decimal("0.5"), operation="d")
    assert used(ent, "crm.hours") == Decimal("0.50")
    ent.admin().adjust("acme", "tokens", 7, operation="e")
    assert used(ent, "tokens") == 7


def test_a_correction_is_made_once(ent):
    """Repeated it changes nothing; with another amount it is another act."""
    first = ent.admin().adjust("acme", "crm.imports", 5, operation=("ticket", 7))
    again = ent.admin().adjust("acme", "crm.imports", 5, operation=("ticket", 7))
    assert (again.applied, again.reason, again.id) == (False, "change.repeated", first.id)
    with pytest.raises(OperationConflict):
        ent.admin().adjust("acme", "crm.imports", 6, operation=("ticket", 7))
    assert used(ent) == 5


def test_who_was_interrupted_between_the_trail_and_the_ledger_repeats_it(ent, stage):
    """The trail has it; the ledger has not, until it is repeated. Then it was applied now."""

    def before(name):
        if name == "post":
            raise StoreUnavailable("a test says so")

    stage.faults.before = before
    with pytest.raises(StoreUnavailable):
        ent.admin().adjust("acme", "crm.imports", 5, operation="a")
    stage.faults.before = None
    assert used(ent) == 0
    change = ent.admin().adjust("acme", "crm.imports", 5, operation="a")
    assert (change.applied, change.reason, used(ent)) == (True, "change.applied", 5)


def test_who_corrected_it_and_why_is_in_the_trail(stage):
    ent = stage.open()
    stage.elsewhere.subscribe("acme", "pro")
    stage.elsewhere.adjust("acme", "crm.imports", -3, operation="a")
    (entry,) = [entry for entry in stage.elsewhere.audit("acme") if entry.verb == "adjust"]
    assert (entry.actor, entry.because, entry.operation) == ("other", "there", "a")
    assert entry.detail["asked"] == {"feature": "crm.imports", "amount": -3}
    assert used(ent) == -3


def test_a_correction_is_not_undone_but_corrected(ent):
    """An undoing that did nothing would look like one."""
    change = ent.admin().adjust("acme", "crm.imports", 5, operation="a")
    with pytest.raises(ConfigurationError, match="by the opposite"):
        ent.admin().undo(change.id)
    assert used(ent) == 5


def test_a_dry_run_says_what_it_would_be(ent):
    ent.consume("acme", "crm.imports", 30, operation="one")
    change = ent.dry_admin().adjust("acme", "crm.imports", -10, operation="a")
    assert (change.applied, change.reason) == (False, "change.dry_run")
    assert [str(each) for each in change.altered] == ["used of crm.imports: 30 -> 20"]
    assert used(ent) == 30
    ent.admin().adjust("acme", "crm.imports", -10, operation="a")
    assert ent.dry_admin().adjust("acme", "crm.imports", -10, operation="a").reason == "change.repeated"


def test_what_has_no_allowance_of_its_own_is_corrected_where_it_is_counted(ent):
    """In what was granted; and of what is not sold at all, in the lot of that."""
    ent.admin().grant("other", "crm.hours", 50, operation="gift")
    ent.consume("other", "crm.hours", 20, operation="one")
    ent.admin().adjust("other", "crm.hours", 3, operation="a")
    assert ent.usage("other", "crm.hours")["crm.hours"].remaining == 27
    change = ent.admin().adjust("other", "hr.runs", 2, operation="b")
    assert [str(each) for each in change.altered] == ["used of hr.runs: 0 -> 2"]


def test_what_cannot_be_corrected_is_refused(ent, stage):
    """And leaves nothing in the trail."""
    for amount in (0, 2**60, -(2**60)):
        with pytest.raises(ConfigurationError, match=r"crm\.imports"):
            ent.admin().adjust("acme", "crm.imports", amount, operation="a")
    for amount in (1.5, True):
        with pytest.raises(TypeError):
            ent.admin().adjust("acme", "crm.imports", amount, operation="a")
    with pytest.raises(TypeError):
        ent.admin().adjust("acme", "crm.imports", 1, operation=None)
    with pytest.raises(TypeError, match="slot"):
        ent.admin().adjust("acme", "seats", 1, operation="a")
    with pytest.raises(UnknownFeature):
        ent.admin().adjust("acme", "crm.importz", 1, operation="a")
    with pytest.raises(ConfigurationError, match=r"credits pay .*: tokens"):
        ent.admin().adjust("acme", "crm.drawings", 1, operation="a")
    stage.faults.is_down = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            ent.admin().adjust("acme", "crm.imports", 1, operation="a")
        stage.clock.advance(seconds=6)
    stage.faults.is_down = False
    assert [entry.verb for entry in stage.elsewhere.audit("acme")] == ["subscribe"]


# -- forgetting ------------------------------------------------------------------------------------------------------


def test_what_was_counted_is_forgotten_with_the_tenant(ent, stage):
    """Of this tenant alone; a dry run forgets nothing."""
    ent.consume("acme", "crm.imports", 3, operation="one")
    ent.consume("other", "crm.imports", 3, operation="one")
    ent.dry_admin().forget("acme")
    assert used(ent) == 3
    ent.admin().forget("acme")
    assert used(ent) == 0
    assert not ent.consume("acme", "crm.imports", 3, operation="one").replayed
    assert ent.usage("other", "crm.imports")["crm.imports"].used == 3


def test_who_has_no_facts_may_have_used_something(ent):
    """It is forgotten, although nothing was ever recorded."""
    ent.consume("other", "crm.imports", 3, operation="one")
    with pytest.raises(UnknownTenant):
        ent.admin().forget("other")
    assert ent.usage("other", "crm.imports")["crm.imports"].used == 0


def test_where_the_ledger_gives_no_answer_nothing_is_forgotten(ent, stage):
    """The facts stay too, so that it can be repeated."""

    def before(name):
        if name == "forget":
            raise StoreUnavailable("a test says so")

    stage.faults.before = before
    with pytest.raises(StoreUnavailable):
        ent.admin().forget("acme")
    assert ent.tenant("acme", fresh=True).plan == "pro"
