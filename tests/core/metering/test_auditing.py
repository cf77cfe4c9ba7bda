"""Self-audit: a ledger that adds up, and each thing that can be wrong with one."""

from dataclasses import replace

import pytest

from payaid_entitlements.core.metering.auditing import Finding, Trouble, audited
from payaid_entitlements.core.metering.posting import Assign, Debit, Hold, Line, Release, Settle
from payaid_entitlements.stores.memory_ledger import MemoryLedger

NOW = 1_700_000_000_000_000
LINE = Line("api", "w1", 100)


@pytest.fixture
def ledger():
    ledger = MemoryLedger()

    def post(posting, operation=None):
        ledger.post("acme", [posting], operation=operation, digest=operation, now=NOW)

    post(Debit("api", 7, (LINE,)), "o1")
    post(Hold(Debit("api", 5, (LINE,)), 1000), "h1")
    post(Hold(Debit("api", 4, (LINE,)), 1000), "h2")
    post(Settle("h2", 3))
    post(Hold(Debit("api", 2, (LINE,)), 1000), "h3")
    post(Release("h3"))
    post(Assign("seats", "ann", 5, expires_in=1000))
    post(Assign("seats", "ben", 5))
    return ledger


def found(ledger, now=NOW, *, book=None, entries=None):
    book = ledger.book("acme") if book is None else book
    entries = ledger.entries("acme") if entries is None else entries
    return list(audited("acme", book, entries, now))


def test_a_ledger_adds_up(ledger):
    assert found(ledger) == []


def test_what_has_expired_is_overdue_and_no_drift(ledger):
    assert found(ledger, NOW + 1000) == [
        Finding(Trouble.OVERDUE, "acme", "api", "", "hold", 5, 5, "h1"),
        Finding(Trouble.OVERDUE, "acme", "seats", "slots", "slot", 1, 1, "ann"),
    ]


def test_a_balance_that_is_not_what_was_done_is_drift(ledger):
    book = ledger.book("acme")
    wrong = tuple(
        replace(each, balance=replace(each.balance, used=each.balance.used + 1, held=each.balance.held - 2))
        for each in book.accounts
        if each.meter == "api"
    )
    rest = tuple(each for each in book.accounts if each.meter != "api")
    assert found(ledger, book=replace(book, accounts=wrong + rest)) == [
        Finding(Trouble.DRIFT, "acme", "api", "w1", "used", 11, 10),
        Finding(Trouble.DRIFT, "acme", "api", "w1", "held", 3, 5),
    ]


def test_an_account_that_is_gone_is_drift(ledger):
    book = ledger.book("acme")
    kept = tuple(each for each in book.accounts if each.meter == "api")
    assert found(ledger, book=replace(book, accounts=kept)) == [
        Finding(Trouble.DRIFT, "acme", "seats", "slots", "used", 0, 2),
    ]


def test_what_was_pruned_is_in_the_balance(ledger):
    book, entries = ledger.book("acme"), [each for each in ledger.entries("acme") if each.operation != "o1"]
    folded = tuple(replace(each, folded=7 if each.meter == "api" else 0) for each in book.accounts)
    assert found(ledger, book=replace(book, accounts=folded), entries=entries) == []


def test_a_hold_whose_act_is_unknown_is_an_orphan(ledger):
    entries = [each for each in ledger.entries("acme") if each.operation != "h1"]
    assert found(ledger, entries=entries) == [
        Finding(Trouble.DRIFT, "acme", "api", "w1", "held", 5, 0),
        Finding(Trouble.ORPHAN, "acme", "api", "", "hold", 5, 0, "h1"),
    ]


def test_a_hold_that_is_gone_without_having_been_closed_is_an_orphan(ledger):
    book = replace(ledger.book("acme"), holds=())
    assert found(ledger, book=book) == [
        Finding(Trouble.DRIFT, "acme", "api", "w1", "held", 5, 0),
        Finding(Trouble.ORPHAN, "acme", "api", "", "hold", 0, 0, "h1"),
    ]


def test_a_hold_that_was_closed_and_is_still_there_is_an_orphan(ledger):
    book = ledger.book("acme")
    late = replace(book.holds[0], operation="h2", takes=())
    assert Finding(Trouble.ORPHAN, "acme", "api", "", "hold", 0, 0, "h2") in found(
        ledger, book=replace(book, holds=(*book.holds, late))
    )


def test_the_act_of_a_hold_that_took_nothing_is_told_without_a_meter(ledger):
    entries = [
        replace(each, takes=()) if (each.operation, each.part) == ("h1", 0) else each for each in ledger.entries("acme")
    ]
    book = replace(ledger.book("acme"), holds=())
    assert Finding(Trouble.ORPHAN, "acme", "", "", "hold", 0, 0, "h1") in found(ledger, book=book, entries=entries)
