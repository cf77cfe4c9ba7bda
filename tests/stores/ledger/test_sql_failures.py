"""What is done again, what is given up, and how much is done at once."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from payaid_entitlements.core.metering.posting import Balance, Debit, Hold, Line
from payaid_entitlements.errors import ChangeConflict, StoreUnavailable
from payaid_entitlements.stores.keeping import KEPT
from payaid_entitlements.stores.ledger import Book, KeptAccount, KeptEntry
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.applying import Answer
from payaid_entitlements.stores.sql.ledger import keeping, posting
from payaid_entitlements.stores.sql.ledger.again import PAUSE, TRIES, Overtaken, overtaken, pauses, require_another
from payaid_entitlements.stores.sql.ledger.keeping import pruning
from tests.stores.ledger.conftest import plain

A = ("api", "w1")


def debit(amount=1, cap=10):
    return Debit("api", amount, (Line(*A, cap),))


def test_it_is_tried_some_times_and_the_pauses_grow():
    *waits, last = pauses()
    assert len(waits) == TRIES
    assert all(0 <= wait <= PAUSE * 2**number for number, wait in enumerate(waits))
    assert last is None


def test_a_key_that_is_there_already_says_that_somebody_was_faster():
    with pytest.raises(Overtaken), overtaken():
        raise IntegrityError("insert", {}, Exception("there already"))
    with overtaken():
        pass


def test_what_was_ended_for_others_is_done_again_outside_of_a_hosts_transaction_and_then_given_up():
    lost = ChangeConflict("others changed the same rows", expected=0, found=0)
    assert require_another(lost, 0.25, None) == 0.25
    assert require_another(Overtaken(), 0.25, object()) == 0.25
    with pytest.raises(ChangeConflict, match="others changed"):
        require_another(lost, 0.25, object())
    with pytest.raises(StoreUnavailable, match=f"each of {TRIES + 1} times: others changed"):
        require_another(lost, None, None)
    with pytest.raises(ChangeConflict, match="begin a new one"):
        require_another(Overtaken(), None, object())


def test_a_read_on_a_connection_that_the_server_closed_is_sent_once_more(open_sql, migrated_url):
    ledger = plain(open_sql(migrated_url))
    ledger.post("acme", [debit()], operation="op", digest="d")
    assert ledger.balances("acme", [A]) == {A: Balance(1, 0, 10)}
    with psycopg.connect(migrated_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'client backend' "
            "AND pid <> pg_backend_pid()"
        )
    assert ledger.balances("acme", [A]) == {A: Balance(1, 0, 10)}


@pytest.mark.parametrize("url", ["postgres_url", "sqlite_url"])
def test_tables_that_are_not_there_are_an_outage_with_its_cause(open_sql, url, request):
    ledger = plain(open_sql(request.getfixturevalue(url)))
    for act in (
        lambda: ledger.balances("acme", [A]),
        lambda: ledger.post("acme", [debit()], operation="op", digest="d"),
    ):
        with pytest.raises(StoreUnavailable, match="payaid_usage_accounts"):
            act()


def test_nobody_is_refused_while_there_are_holds_that_have_expired(ledger, monkeypatch):
    monkeypatch.setattr(posting, "FREED", 2)
    for number in range(10):
        ledger.post("acme", [Hold(debit(1), 1)], operation=f"hold-{number}", digest="d", now=100)
    posted = ledger.post("acme", [debit(10)], operation="op-1", digest="d", now=200)
    assert posted.short is None
    assert ledger.book("acme").holds == ()
    assert ledger.post("acme", [debit(1)], operation="op-2", digest="d", now=200).short.room == 0


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
def test_what_is_restored_comes_in_pages(ledger, monkeypatch):
    monkeypatch.setattr(keeping, "PAGE", 2)
    accounts = tuple(KeptAccount("acme", "api", f"w{number}", Balance(number)) for number in range(5))
    entries = [KeptEntry("acme", f"op-{number}", 0, "debit", "d", 100, (), [1]) for number in range(5)]
    ledger.restore("acme", Book(accounts), iter(entries))
    assert ledger.book("acme").accounts == accounts
    assert ledger.entries("acme") == entries


def test_who_is_restored_gets_accounts_that_others_only_waited_for(ledger):
    assert ledger.post("acme", [debit(11)], operation="op", digest="d").short is not None
    account = KeptAccount("acme", *A, Balance(7, 0, 10), 3)
    ledger.restore("acme", Book((account,)), [])
    assert ledger.book("acme").accounts == (account,)


def _pruning(statements, count):
    flow = pruning(statements, 10**18, KEPT, 10, None)
    next(flow)
    flow.send(Answer([(10**15,)], 1))
    flow.send(Answer([("acme", "op", 0, "[]"), ("acme", "op", 1, "[]")], 2))
    with pytest.raises(StopIteration) as done:
        flow.send(Answer([], count))
    return done.value.value


def test_of_two_who_prune_the_same_one_begins_again(sqlite_url):
    store = SQLStore(sqlite_url)
    assert _pruning(store.ledger._statements, 2) == 2
    with pytest.raises(Overtaken):
        _pruning(store.ledger._statements, 1)
    store.close()


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
def test_the_url_says_how_long_operations_are_kept(ledger, open_sql, database_url):
    assert ledger.keeps_for == KEPT
    joint = "&" if "?" in database_url else "?"
    assert open_sql(f"{database_url}{joint}payaid_keep_operations=90d").own.ledger.keeps_for == 90 * 86_400_000_000
