"""The one statement of PostgreSQL does what the book says, or nothing: with random debits, and with all at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import Engine, event

from payaid_entitlements.core.metering.posting import MOST, OPENED, Adjust, Debit, Hold, Line, Mark, Open, Short
from payaid_entitlements.errors import OperationConflict
from payaid_entitlements.stores.ledger import KeptEntry, Ledger
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.stores.sql.ledger import debiting
from payaid_entitlements.stores.sql.ledger import ledger as module
from payaid_entitlements.testing.contracts.awaiting import LoopThread
from tests.stores import racing
from tests.stores.conftest import Racers

#: What identifiers may have in them.
METERS = ("emails", 'say "%s" %% \\', "Größe\u2028")
LOTS = ("w0", "g'1", "r{2}")


@dataclass
class Asked:
    """
    A ledger on PostgreSQL, as plain calls.

    Attributes:
        at_once: For each time that the one statement was sent, whether it did what was posted.
    """

    ledger: Ledger
    own: Any
    at_once: list[bool]


class _Plain:
    """An async ledger as plain calls."""

    def __init__(self, own: Any, run: Callable[..., Any]) -> None:
        self._own, self._run = own, run

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: self._run(getattr(self._own, name)(*args, **named))


@pytest.fixture
def asked(colour: str, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """A ledger of each colour."""
    at_once: list[bool] = []
    answered = module.answered

    def spied(*args: Any) -> Any:
        row = answered(*args)
        at_once.append(row is not None)
        return row

    monkeypatch.setattr(module, "answered", spied)
    if colour == "sync":
        store = SQLStore(migrated_url)
        yield Asked(store.ledger, store.ledger, at_once)
        store.close()
        return
    with LoopThread() as loop:
        awaited = AsyncSQLStore(migrated_url)
        yield Asked(cast("Ledger", _Plain(awaited.ledger, loop.run)), awaited.ledger, at_once)
        loop.run(awaited.aclose())


def one(amount: int = 1, cap: int | None = 10, **more: Any) -> Debit:
    """A debit of the common case."""
    return Debit("emails", amount, (Line("emails", "w0", cap),), **more)


class Chance:
    """Postings by chance, the same for the same number."""

    def __init__(self, number: int) -> None:
        self._chance = random.Random(number)

    def beginning(self) -> list[tuple[Any, int]]:
        """What there is before: postings, and when. Some accounts are missing, some opened, some hold something."""
        chance, found = self._chance, []
        for meter in METERS:
            for lot in LOTS:
                line = Line(meter, lot, chance.choice([None, 0, 5, 40]))
                if chance.random() < 0.3:
                    found.append((Open((meter, lot), chance.choice([0, 5, 40])), 10))
                if (used := chance.choice([-4, 3, 9, 30, MOST - 40, 0])) != 0:
                    found.append((Adjust(line, used), chance.choice([50, 90])))
                if chance.random() < 0.3:
                    held = Debit("held", chance.randint(1, 5), (line,), beyond=None)
                    found.append((Hold(held, chance.choice([5, 10, 60])), 90))
        return found

    def debits(self) -> list[Debit]:
        """One debit, or several that go together."""
        chance = self._chance
        accounts = [(meter, lot) for meter in METERS for lot in LOTS]
        chance.shuffle(accounts)
        found = []
        for _ in range(chance.choice([1, 1, 2])):
            lines = tuple(
                Line(*accounts.pop(), chance.choice([None, OPENED, 0, 3, 12, 35, 100]), chance.choice([1, 1, 2, 7]))
                for _ in range(chance.choice([1, 1, 2, 3]))
            )
            marks = [
                Mark(meter, at)
                for meter in sorted({line.meter for line in lines} | {METERS[0]})
                for at in sorted(chance.sample([1, 5, 10, 12, 30, 60], chance.choice([0, 0, 1, 2])))
            ]
            found.append(
                Debit(
                    METERS[len(found)],
                    chance.choice([1, 1, 2, 5, 20]),
                    lines,
                    chance.randrange(len(lines)),
                    chance.choice([0, 0, None, 3, 10]),
                    chance.choice([None, None, 20, 60]),
                    chance.choice(list(Short)),
                    tuple(marks),
                )
            )
        return found


def alike(asked: Asked, tenants: int) -> None:
    """Post the same to a ledger in memory, which runs the book: each answer, and what is kept, must be the same."""
    book = MemoryStore().ledger
    for number in range(tenants):
        tenant, chance = f"tenant-{number} %s", Chance(number)
        for place, (posting, now) in enumerate(chance.beginning()):
            both = [
                ledger.post(tenant, [posting], operation=f"first-{place}", digest="-", now=now)
                for ledger in (book, asked.ledger)
            ]
            assert both[0] == both[1]
        for turn in range(6):
            debits, operation = chance.debits(), f"turn-{turn} {METERS[1]}"
            both = [
                ledger.post(tenant, debits, operation=operation, digest=f"{turn}", now=100 + turn)
                for ledger in (book, asked.ledger)
            ]
            assert both[0] == both[1], debits
        every = [(meter, lot) for meter in METERS for lot in LOTS]
        assert asked.ledger.balances(tenant, every, now=200) == book.balances(tenant, every, now=200)
        assert _acts(asked.ledger, tenant) == _acts(book, tenant)


def _acts(ledger: Ledger, tenant: str) -> list[KeptEntry]:
    # But for holds that have expired: each ledger frees them when it comes by.
    return [entry for entry in ledger.entries(tenant) if entry.kind != "expire"]


def test_what_one_statement_does_is_what_the_book_says(asked: Asked) -> None:
    alike(asked, 25)
    assert sum(asked.at_once) > 30
    assert asked.at_once.count(False) > 30


@pytest.mark.soak
def test_what_one_statement_does_is_what_the_book_says_in_many_cases(asked: Asked) -> None:
    alike(asked, 1_500)


def test_it_is_one_statement_that_commits_by_itself(asked: Asked, migrated_url: str) -> None:
    asked.ledger.post("acme", [one()], operation="first", digest="-")
    with psycopg.connect(migrated_url, autocommit=True) as other:
        asked.at_once.clear()
        posted = asked.ledger.post("acme", [one(2)], operation="second", digest="-")
        assert asked.at_once == [True]
        rows = other.execute("SELECT used, cap FROM payaid_usage_accounts").fetchall()
    assert rows == [(3, 10)]
    assert (posted.filled[0].amount, posted.filled[0].balances[0].used, posted.replayed) == (2, 3, False)
    assert posted.at > 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("debits", "why"),
    [
        ([one(8)], "short"),
        ([one(cap=None), Debit("sms", 1, (Line("sms", "w0", 5),))], "an account is missing"),
        ([Debit("emails", 1, (Line("emails", "w0", OPENED),))], "its cap is not fixed"),
        ([one(2, marks=(Mark("emails", 5),))], "a mark is reached"),
        ([one(MOST - 1, cap=None)], "it would be more than can be counted"),
    ],
)
def test_what_it_cannot_do_is_left_to_the_general_path(asked: Asked, debits: list[Debit], why: str) -> None:
    asked.ledger.post("acme", [one(4)], operation="first", digest="-")
    before = asked.ledger.book("acme")
    asked.at_once.clear()
    try:
        asked.ledger.post("acme", debits, operation="second", digest="-")
    except ValueError:
        assert asked.ledger.book("acme") == before
    assert asked.at_once == [False], why


@pytest.mark.parametrize(
    "debits",
    [
        [Debit("emails", MOST // 2, (Line("emails", "w0", None, cost=3),))],
        [Debit("emails", 1, tuple(Line("emails", f"w{lot}", None) for lot in range(debiting.MOST_LINES + 1)))],
        [one(), Debit("sms", 1, (Line("emails", "w0", 10),))],
        [one(), Debit("sms", 1, (Line("sms", "w0", 10),), marks=(Mark("emails", 1),))],
    ],
)
def test_what_it_is_not_for_is_not_sent(asked: Asked, debits: list[Debit]) -> None:
    try:
        asked.ledger.post("acme", debits, operation="first", digest="-")
    except ValueError:
        assert debits[0].amount > 1
    assert asked.at_once == []


def test_a_hold_that_has_expired_is_freed_by_the_general_path(asked: Asked) -> None:
    asked.ledger.post("acme", [Hold(one(6), 10)], operation="held", digest="-", now=100)
    asked.ledger.post("acme", [one(2)], operation="early", digest="-", now=105)
    assert asked.at_once == [True]
    posted = asked.ledger.post("acme", [one(2)], operation="late", digest="-", now=110)
    assert asked.at_once == [True, False]
    assert (posted.filled[0].balances[0].used, posted.filled[0].balances[0].held) == (4, 0)


def test_a_repetition_gets_the_first_answer_and_another_act_is_a_conflict(asked: Asked) -> None:
    asked.ledger.post("acme", [one()], operation="made", digest="-")
    first = asked.ledger.post("acme", [one(2)], operation="act", digest="a")
    again = asked.ledger.post("acme", [one(2)], operation="act", digest="a")
    assert (again.replayed, again.filled, again.at) == (True, first.filled, first.at)
    with pytest.raises(OperationConflict):
        asked.ledger.post("acme", [one(3)], operation="act", digest="b")
    assert asked.ledger.balances("acme", [("emails", "w0")])["emails", "w0"].used == 3


def test_the_same_act_by_many_at_once_happens_once(asked: Asked) -> None:
    asked.ledger.post("acme", [one()], operation="made", digest="-")
    with ThreadPoolExecutor(8) as threads:
        for turn in range(10):
            posting = [one(2, cap=None)]
            each = list(
                threads.map(
                    lambda _: asked.ledger.post("acme", posting, operation=f"act-{turn}", digest="-"),  # noqa: B023
                    range(8),
                )
            )
            assert [posted.replayed for posted in each].count(False) == 1
            assert len({(posted.filled, posted.at) for posted in each}) == 1
    assert asked.ledger.balances("acme", [("emails", "w0")])["emails", "w0"].used == 21


def test_in_a_transaction_of_the_host_it_is_the_same_statement_and_ends_with_it(
    migrated_url: str, engine_on: Callable[..., Engine]
) -> None:
    engine = engine_on(migrated_url)
    store, sent = SQLStore(engine), list[str]()
    store.ledger.post("acme", [one()], operation="made", digest="-")
    event.listen(engine, "before_cursor_execute", lambda c, cursor, statement, *rest: sent.append(statement.split()[0]))
    with engine.begin() as connection:
        kept = store.ledger.post("acme", [one(2)], operation="kept", digest="-", tx=connection)
    with engine.connect() as connection, connection.begin() as transaction:
        store.ledger.post("acme", [one(3)], operation="gone", digest="-", tx=connection)
        transaction.rollback()
    assert sent == ["SAVEPOINT", "WITH", "RELEASE"] * 2
    assert kept.filled[0].balances[0].used == 3
    assert store.ledger.balances("acme", [("emails", "w0")])["emails", "w0"].used == 3
    with engine.begin() as connection:
        short = store.ledger.post("acme", [one(8)], operation="more", digest="-", tx=connection)
    assert short.short is not None
    assert short.short.room == 7


def test_statements_are_kept_but_not_without_end(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debiting, "MOST_TEXTS", 1)
    marks = tuple(Mark("emails", 1_000 + n) for n in range(3))
    for number in range(3):
        for _ in range(2):
            asked.ledger.post(
                "acme", [one(cap=None, marks=marks[:number])], operation=str(len(asked.at_once)), digest="-"
            )
    assert asked.at_once == [False, *[True] * 5]


def test_processes_that_race_for_the_last_units_get_exactly_those(racers: Racers, migrated_url: str) -> None:
    sold = racers.race(racing.use_up, migrated_url, 20, 5)
    store = SQLStore(migrated_url)
    assert sum(sold) == 20 * 5
    for number in range(20):
        book = store.ledger.book(f"tenant-{number}")
        assert sum(account.balance.used for account in book.accounts) == 5
    store.close()


@pytest.mark.soak
def test_eight_processes_that_race_for_long_get_exactly_what_there_is(migrated_url: str) -> None:
    import multiprocessing

    spawning = multiprocessing.get_context("spawn")
    barrier, count = spawning.Barrier(8), 200
    with spawning.Pool(8, racing.meet, (barrier,)) as pool:
        asked = [pool.apply_async(racing.together, (racing.use_up, n, (migrated_url, count, 5))) for n in range(8)]
        assert sum(each.get(300) for each in asked) == count * 5
    store = SQLStore(migrated_url)
    used = [account.balance.used for n in range(count) for account in store.ledger.book(f"tenant-{n}").accounts]
    assert sum(used) == count * 5
    assert min(used) >= 0
    store.close()
