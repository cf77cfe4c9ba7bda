"""Contract: many at once, and the count stays exact."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from payaid_entitlements.core.metering.posting import (
    Assign,
    Debit,
    Hold,
    Line,
    Mark,
    Open,
    Posted,
    Posting,
    Reassign,
    Refund,
    Release,
    Settle,
    Unassign,
)
from payaid_entitlements.errors import OperationConflict, ReservationExpired, SlotTaken
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.testing.contracts.ledger_postings import NOW, SECOND, all_entries, debit, used
from payaid_entitlements.testing.contracts.writes import at_once

T = TypeVar("T")

RACERS = 4


def _amount(outcome: object) -> int:
    """Units that were taken by one who may have been refused; who failed fails the test."""
    assert isinstance(outcome, Posted), repr(outcome)
    return sum(filled.amount for filled in outcome.filled)


class Hurrying:
    """`Ledger.post`, at once by clients of their own."""

    def test_of_many_small_limits_none_is_exceeded(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        meters, cap = [f"meter-{number}" for number in range(12)], 5

        def take(client: Ledger, racer: int) -> list[str]:
            taken, order = [], meters * 2
            random.Random(racer).shuffle(order)
            for number, meter in enumerate(order):
                posting = debit(1, feature=meter, cap=cap)
                posted = client.post("acme", [posting], operation=f"{racer}/{number}", now=NOW)
                taken += [meter] * _amount(posted)
            return taken

        outcomes = at_once([partial(take, open_ledger(), racer) for racer in range(RACERS)])
        taken = [meter for outcome in outcomes for meter in _taken(outcome)]
        assert sorted(taken) == sorted(meters * cap)
        balances = ledger.balances("acme", [(meter, "w0") for meter in meters], now=NOW)
        assert [balance.used for balance in balances.values()] == [cap] * len(meters)
        assert len(all_entries(ledger)) == len(meters) * cap

    def test_of_two_who_want_the_last_unit_one_gets_it(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        clients = [open_ledger() for _ in range(RACERS)]
        for number in range(5):
            posting = [debit(1, Line("calls", f"w{number}", 1))]
            outcomes = at_once(
                [
                    partial(client.post, "acme", posting, operation=f"{number}/{racer}", now=NOW)
                    for racer, client in enumerate(clients)
                ]
            )
            assert sorted(_amount(outcome) for outcome in outcomes) == [0] * (RACERS - 1) + [1]

    def test_many_that_do_it_at_once_do_it_once(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        clients = [open_ledger() for _ in range(RACERS)]
        for number in range(3):
            outcomes = at_once(
                [
                    partial(client.post, "acme", [debit(2)], operation=f"op-{number}", digest="2", now=NOW)
                    for client in clients
                ]
            )
            assert [_amount(outcome) for outcome in outcomes] == [2] * RACERS
            replayed = [isinstance(outcome, Posted) and outcome.replayed for outcome in outcomes]
            assert sorted(replayed) == [False] + [True] * (RACERS - 1)
        assert used(ledger) == (6, 0)

    def test_of_many_that_mean_something_else_by_it_one_does_it(
        self, ledger: Ledger, open_ledger: Callable[[], Ledger]
    ) -> None:
        outcomes = at_once(
            [
                # Accounts differ too: nothing but the operation is common to them.
                partial(
                    open_ledger().post,
                    "acme",
                    [debit(1, Line("calls", f"w{racer}", 1))],
                    operation="op-1",
                    digest=str(racer),
                    now=NOW,
                )
                for racer in range(RACERS)
            ]
        )
        conflicts = [outcome for outcome in outcomes if isinstance(outcome, OperationConflict)]
        assert len(conflicts) == RACERS - 1, outcomes
        assert len(all_entries(ledger)) == 1

    def test_lots_in_any_order_are_no_deadlock(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        lines = [Line("calls", f"g{number}", 20) for number in range(4)]

        def take(client: Ledger, racer: int) -> int:
            taken, chance = 0, random.Random(racer)
            for number in range(12):
                order = chance.sample(lines, len(lines))
                postings = [Debit("a", 3, tuple(order[:2])), Debit("b", 2, tuple(order[2:]))]
                taken += _amount(client.post("acme", postings, operation=f"{racer}/{number}", now=NOW))
            return taken

        outcomes = at_once([partial(take, open_ledger(), racer) for racer in range(RACERS)])
        balances = ledger.balances("acme", [line.account for line in lines], now=NOW)
        assert sum(_count(outcome) for outcome in outcomes) == sum(balance.used for balance in balances.values())
        assert max(balance.used for balance in balances.values()) <= 20

    def test_a_hold_ends_once(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        clients = [open_ledger() for _ in range(RACERS)]
        for number in range(4):
            hold = f"hold-{number}"
            ledger.post("acme", [Hold(debit(3, cap=None), SECOND)], operation=hold, now=NOW)
            before = used(ledger)[0]
            ends: list[Posting] = [Settle(hold, 2), Release(hold), Settle(hold, 2), Settle(hold, 1)]
            outcomes = at_once(
                [partial(client.post, "acme", [end], now=NOW) for client, end in zip(clients, ends, strict=True)]
            )
            done = [outcome for outcome in outcomes if isinstance(outcome, Posted) and not outcome.replayed]
            refused = [outcome for outcome in outcomes if not isinstance(outcome, Posted)]
            assert len(done) == 1, outcomes
            assert {type(outcome) for outcome in refused} <= {OperationConflict, ReservationExpired}, outcomes
            charged = next(entry for entry in all_entries(ledger) if (entry.operation, entry.part) == (hold, 1))
            assert used(ledger) == (before + sum(take.used for take in charged.takes), 0)

    def test_it_is_given_back_once(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        clients = [open_ledger() for _ in range(RACERS)]
        for number in range(4):
            ledger.post("acme", [debit(3)], operation=f"op-{number}", now=NOW)
            outcomes = at_once([partial(client.post, "acme", [Refund(f"op-{number}")], now=NOW) for client in clients])
            assert [_amount(outcome) for outcome in outcomes] == [3] * RACERS
            assert used(ledger) == (0, 0)

    def test_what_has_expired_is_freed_once(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        for number in range(5):
            ledger.post("acme", [Hold(debit(2), SECOND)], operation=f"hold-{number}", now=NOW)
        outcomes = at_once(
            [
                partial(open_ledger().post, "acme", [debit(3)], operation=f"op-{racer}", now=NOW + SECOND)
                for racer in range(RACERS)
            ]
        )
        assert sorted(_amount(outcome) for outcome in outcomes) == [0, 3, 3, 3]
        assert used(ledger, now=NOW) == (9, 0)
        assert len([entry for entry in all_entries(ledger) if entry.kind == "expire"]) == 5

    def test_of_many_seats_none_is_given_twice(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        def take(client: Ledger, racer: int) -> int:
            given = 0
            for number in range(6):
                holder = f"{racer}/{number}"
                given += _amount(client.post("acme", [Assign("seats", holder, 7)], now=NOW))
                if number == 2:
                    given -= _amount(client.post("acme", [Unassign("seats", f"{racer}/0")], now=NOW))
            return given

        outcomes = at_once([partial(take, open_ledger(), racer) for racer in range(RACERS)])
        assert sum(_count(outcome) for outcome in outcomes) == len(ledger.slots("acme", now=NOW)) == 7

    def test_a_seat_is_handed_to_one(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        ledger.post("acme", [Assign("seats", "asha", 1)], now=NOW)
        outcomes = at_once(
            [
                partial(open_ledger().post, "acme", [Reassign("seats", "asha", f"to-{racer}")], now=NOW)
                for racer in range(RACERS)
            ]
        )
        assert len([outcome for outcome in outcomes if isinstance(outcome, SlotTaken)]) == RACERS - 1, outcomes
        assert len(ledger.slots("acme", now=NOW)) == 1

    def test_a_cap_is_fixed_by_one(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        account = ("calls", "r0")
        outcomes = at_once(
            [partial(open_ledger().post, "acme", [Open(account, racer)], now=NOW) for racer in range(RACERS)]
        )
        balances = {outcome.filled[0].balances for outcome in outcomes if isinstance(outcome, Posted)}
        assert len(balances) == 1, outcomes
        assert balances == {tuple(ledger.balances("acme", [account], now=NOW).values())}

    def test_each_event_is_claimed_by_one(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
        for number in range(8):
            posting = debit(1, Line("calls", f"w{number}", 1), marks=(Mark("calls", 1),))
            ledger.post(f"tenant-{number}", [posting], operation="op-1", now=NOW)
        claims = at_once([partial(open_ledger().claim_events, 5, SECOND, now=NOW) for _ in range(RACERS)])
        claimed = [event.id for claim in claims for event in _taken(claim)]
        claimed += [event.id for event in ledger.claim_events(8, SECOND, now=NOW)]
        assert len(claimed) == len(set(claimed)) == 8


def _taken(outcome: Sequence[T] | Exception) -> list[T]:
    assert not isinstance(outcome, Exception), repr(outcome)
    return list(outcome)


def _count(outcome: int | Exception) -> int:
    assert not isinstance(outcome, Exception), repr(outcome)
    return outcome
