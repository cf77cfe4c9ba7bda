"""Many at once on one ledger: the last unit goes to one, an act happens once, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from payaid_entitlements.core.metering.posting import Balance, Debit, Hold, Line, Open, Settle
from payaid_entitlements.errors import OperationConflict
from payaid_entitlements.stores.opening import open_store

THREADS = 6

A, B = ("api", "w1"), ("credits", "g1")


def line(account: tuple[str, str], cap: int | None = 10**6, cost: int = 1) -> Line:
    return Line(*account, cap, cost)


def debit(amount: int, *lines: Line, feature: str = "api", **named: Any) -> Debit:
    return Debit(feature, amount, lines, **named)


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """What each of *acts* gave or raised, begun at one moment."""
    together = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        together.wait(30)
        try:
            return act()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_the_last_units_are_taken_once_by_whoever_asks_first(ledger):
    """Also where the account is not there yet: the first ones make it at once."""

    def consume(number):
        said = []
        for turn in range(10):
            posted = ledger.post("acme", [debit(3, line(A, 100))], operation=f"{number}/{turn}", digest="d")
            said.append(posted.short is None)
        return said

    said = at_once([lambda number=number: consume(number) for number in range(THREADS)])
    assert sum(map(sum, said)) == 33
    assert ledger.balances("acme", [A]) == {A: Balance(99, 0, 100)}
    assert len(ledger.entries("acme")) == 33


def test_the_same_operation_at_once_takes_effect_once(ledger):
    for turn in range(5):
        said = at_once(
            [lambda turn=turn: ledger.post("acme", [debit(1, line(A))], operation=f"op-{turn}", digest="d")] * THREADS
        )
        assert [each.replayed for each in said].count(False) == 1
        assert {each.filled for each in said} == {said[0].filled}
    assert ledger.balances("acme", [A])[A].used == 5


def test_the_same_operation_on_other_accounts_at_once_takes_effect_once_or_conflicts(ledger):
    """Nobody who locks only his own accounts sees the other: the key of the entry says who was first."""
    for turn in range(5):
        operation = f"op-{turn}"
        said = at_once(
            [
                lambda operation=operation: ledger.post("acme", [debit(1, line(A))], operation=operation, digest="d"),
                lambda operation=operation: ledger.post("acme", [debit(1, line(B))], operation=operation, digest="d"),
                lambda operation=operation: ledger.post("acme", [debit(2, line(B))], operation=operation, digest="e"),
            ]
        )
        done = [each for each in said if not isinstance(each, Exception)]
        assert [each.replayed for each in done].count(False) == 1
        assert all(isinstance(each, OperationConflict) for each in said if isinstance(each, Exception))
        assert len({each.filled for each in done}) == 1
    balances = ledger.balances("acme", [A, B])
    taken = [each.takes for each in ledger.entries("acme")]
    assert sum(balance.used for balance in balances.values()) == sum(take.used for takes in taken for take in takes)
    assert len(taken) == 5


def test_accounts_in_any_order_are_locked_in_one(ledger):
    both = [debit(1, line(A), feature="a"), debit(1, line(B), feature="b")]

    def consume(number):
        for turn in range(10):
            postings = both if number % 2 else both[::-1]
            ledger.post("acme", postings, operation=f"{number}/{turn}", digest="d")

    assert at_once([lambda number=number: consume(number) for number in range(THREADS)]) == [None] * THREADS
    assert {account: balance.used for account, balance in ledger.balances("acme", [A, B]).items()} == {
        A: 10 * THREADS,
        B: 10 * THREADS,
    }


def test_holds_are_settled_once_whoever_does_it(ledger):
    ledger.post("acme", [Hold(debit(5, line(A, 10)), 10**9)], operation="hold", digest="d")
    said = at_once([lambda: ledger.post("acme", [Settle("hold", 4)])] * THREADS)
    assert [each.replayed for each in said].count(False) == 1
    assert ledger.balances("acme", [A]) == {A: Balance(4, 0, 10)}


def test_a_window_is_opened_once(ledger):
    said = at_once([lambda cap=cap: ledger.post("acme", [Open(A, cap)]) for cap in range(1, THREADS + 1)])
    assert [each.filled[0].was_there for each in said].count(False) == 1
    assert len({each.filled[0].balances for each in said}) == 1


def test_holds_of_several_accounts_that_expire_are_freed_while_others_lock_those_accounts(ledger):
    """Who frees a hold locks accounts that it did not ask for, perhaps in another order."""
    for number in range(8):
        lines = (line(A, 5 * (number + 1)), line(B, 10**6))
        ledger.post("acme", [Hold(debit(8, *lines), 1)], operation=f"hold-{number}", digest="d", now=100)

    def consume(number):
        account = (A, B)[number % 2]
        for turn in range(5):
            posted = ledger.post("acme", [debit(1, line(account))], operation=f"{number}/{turn}", digest="d", now=200)
            assert posted.short is None

    assert at_once([lambda number=number: consume(number) for number in range(THREADS)]) == [None] * THREADS
    used = 5 * THREADS // 2
    found = ledger.balances("acme", [A, B])
    assert {account: (each.used, each.held) for account, each in found.items()} == {A: (used, 0), B: (used, 0)}
    assert ledger.book("acme").holds == ()
    assert sum(entry.kind == "expire" for entry in ledger.entries("acme")) == 8


def _consume(number: int, url: str, operations: list[str]) -> list[bool]:
    """In a process of its own: consume one unit for each of *operations*, all of which others do too."""
    store = open_store(url)
    try:
        return [
            store.ledger.post("acme", [debit(1, line(A, 30))], operation=each, digest="d").short is None
            for each in operations
        ]
    finally:
        store.close()


def test_processes_never_take_more_than_there_is(racers, database_url):
    own = [f"own-{number}" for number in range(10)]
    said = racers.race(_consume_mine, database_url, own)
    store = open_store(database_url)
    assert sum(map(sum, said)) == 30
    assert store.ledger.balances("acme", [A]) == {A: Balance(30, 0, 30)}
    said = racers.race(_consume, database_url, [f"shared-{number}" for number in range(10)])
    assert sum(map(sum, said)) == 0
    assert store.ledger.balances("acme", [A]) == {A: Balance(30, 0, 30)}
    store.close()


def _consume_mine(number: int, url: str, operations: list[str]) -> list[bool]:
    return _consume(number, url, [f"{number}/{each}" for each in operations])


def test_processes_that_do_the_same_do_it_once(racers, database_url):
    said = racers.race(_consume, database_url, [f"op-{number}" for number in range(10)])
    assert said == [[True] * 10] * len(said)
    store = open_store(database_url)
    assert store.ledger.balances("acme", [A]) == {A: Balance(10, 0, 30)}
    store.close()
