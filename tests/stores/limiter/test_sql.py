"""What a limiter does in a database beside its contract: what is thrown away, and how its table is."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.stores.limiter import Counter, Group
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.limiter import counting
from payaid_entitlements.stores.sql.limiter.sending import Sending
from payaid_entitlements.testing.contracts.limiter_calls import (
    FIVE,
    NOW,
    RATES,
    SECOND,
    call,
    digest,
    group,
)
from payaid_entitlements.testing.contracts.limiter_calls import remaining as left
from tests.stores.limiter.disturbing import before_locking, fail, rows

# -- what is thrown away ---------------------------------------------------------------------------------------------


def test_what_is_over_is_thrown_away_by_whoever_comes(limited, url, monkeypatch):
    monkeypatch.setattr(counting, "EVERY", 1)
    monkeypatch.setattr(counting, "_LETTERS", "a")
    end = NOW + 2 * FIVE.window
    for owner in ("acme", "beta", "core"):
        call(limited.another, *RATES, owner=owner)
    call(limited.another, *RATES, owner="beta", now=end)
    call(limited.limiter, FIVE, owner="dune", now=end + counting.GRACE)
    assert len({owner for owner, _ in rows(url)}) == 2
    assert left(limited.limiter, *RATES, owner="beta", now=end) == [4] * len(RATES)


def test_no_more_than_a_page_is_looked_at(limited, url, monkeypatch):
    monkeypatch.setattr(counting, "EVERY", 1)
    monkeypatch.setattr(counting, "_LETTERS", "a")
    edge, owners = limited.own._counting._statements.edge, 12
    monkeypatch.setitem(edge._defaults, next(name for name, value in edge._defaults.items() if value > 1), 4)
    for owner in range(owners):
        call(limited.another, FIVE, owner=f"owner {owner}")
    end = NOW + 2 * FIVE.window + counting.GRACE
    call(limited.limiter, FIVE, owner="dune", now=end)
    # The one behind the page is looked at too; the one who looks may be among them.
    assert len(rows(url)) in (owners + 1 - 5, owners + 1 - 4)


def test_who_cannot_throw_away_has_still_counted(limited, monkeypatch):
    monkeypatch.setattr(counting, "EVERY", 1)
    call(limited.limiter, FIVE)
    before_locking(monkeypatch, lambda: fail(OperationalError("delete", {}, Exception("disk full"))))
    assert call(limited.limiter, FIVE).is_allowed
    assert left(limited.limiter, FIVE) == [3]


def test_who_only_asks_or_is_refused_throws_nothing_away(limited, url, monkeypatch):
    call(limited.limiter, FIVE, cost=5)
    monkeypatch.setattr(counting, "EVERY", 1)
    monkeypatch.setattr(counting, "_LETTERS", "a")
    call(limited.another, *RATES, owner="beta", now=NOW - 4 * FIVE.window)
    monkeypatch.setattr(Sending, "together", lambda self, flow: fail(AssertionError("a transaction")))
    assert not call(limited.limiter, FIVE).is_allowed
    assert call(limited.limiter, FIVE, cost=0).is_allowed


# -- the table -------------------------------------------------------------------------------------------------------


def test_what_nobody_of_us_has_written_counts_as_nothing(limited, made):
    call(limited.limiter, *RATES, cost=5)
    with made[1].begin() as connection:
        connection.execute(text("UPDATE payaid_rates SET state = 'rubbish'"))
    assert call(limited.limiter, *RATES).is_allowed
    assert left(limited.limiter, *RATES) == [4] * len(RATES)


def test_the_time_is_the_servers(limited):
    ruling = limited.limiter.hit(group(FIVE))
    assert abs(ruling.now - time.time_ns() // 1000) < 60_000_000


def test_postgresql_keeps_no_log_of_it_and_leaves_indices_alone(migrated_url, postgres_url):
    """However the table was made."""
    store = SQLStore(postgres_url)
    found = []
    for make in (lambda: None, lambda: (store.downgrade(0), store.upgrade())):
        make()
        with store._engine.connect() as connection:
            found += connection.execute(
                text("SELECT relpersistence::text, reloptions FROM pg_class WHERE relname = 'payaid_rates'")
            ).all()
            assert inspect(connection).get_indexes("payaid_rates") == []
    store.close()
    assert found == [("u", ["fillfactor=50"])] * 2


def test_it_is_prepared_and_emptied_like_its_store(limited, url):
    limited.limiter.prepare()
    call(limited.limiter, *RATES)
    limited.limiter.reset(group(*RATES))
    assert rows(url) == []
    limited.limiter.close()
    assert call(limited.limiter, *RATES).is_allowed


# -- in the long run -------------------------------------------------------------------------------------------------


@pytest.mark.soak
def test_a_flood_of_keys_leaves_no_more_of_those_that_are_over_than_of_others(sqlite_url):
    store, lasts, calls = SQLStore(sqlite_url), SECOND, 30_000
    store.prepare()
    policy = Policy("flood", Algorithm.GCRA, 1, lasts, 1)
    step = (lasts + counting.GRACE) // 5_000
    for number in range(calls):
        assert store.limiter.hit(Group(digest(number), [Counter("key", policy)]), now=NOW + number * step).is_allowed
    store.close()
    # 5,000 are not over, or not long enough.
    assert 5_000 <= len(rows(sqlite_url)) < 12_000


def test_counters_are_found_by_their_key_and_in_no_other_way(made, url):
    if made[1].dialect.name == "mysql":
        pytest.skip("how MariaDB finds rows depends on how many there are")
    store = SQLStore(url)
    for number in range(60):
        call(store.limiter, *RATES, owner=f"owner {number}")
    statements, asked = store.limiter._counting._statements, store.limiter._counting._seats(group(*RATES))
    values = {**asked.named, "now": NOW, "begin": "a", "end": "b", "before": NOW}
    values |= {f"{name}{place}": "0" for name in ("old", "new") for place in range(4)}
    values |= {f"expires{place}": 0 for place in range(4)}
    is_sqlite = made[1].dialect.name == "sqlite"
    with made[1].connect() as connection:
        if not is_sqlite:
            connection.exec_driver_sql("SET enable_seqscan = off")
        for prepared in (
            statements.read(4),
            statements.swap(1),
            statements.swap(4),
            statements.lock(4),
            statements.edge,
        ):
            explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
            plan = str(connection.exec_driver_sql(f"{explain} {prepared.sql}", prepared.of(values)).all())
            assert "PRIMARY KEY" in plan if is_sqlite else "payaid_rates_pkey" in plan
            assert "Seq Scan on payaid_rates" not in plan
            assert "SCAN payaid_rates" not in plan
    store.close()
