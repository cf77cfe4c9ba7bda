"""Contract: units are set aside, then charged, freed, or free again by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.metering.posting import (
    OPENED,
    Balance,
    Extend,
    Filled,
    Hold,
    Line,
    Open,
    Posted,
    Release,
    Settle,
    Short,
    Shortage,
    Take,
)
from payaid_entitlements.errors import ConfigurationError, OperationConflict, ReservationExpired, UnknownOperation
from payaid_entitlements.stores.ledger import KeptHold, Ledger
from payaid_entitlements.testing.contracts.ledger_postings import (
    ACCOUNT,
    NOW,
    SECOND,
    all_entries,
    debit,
    everything,
    use,
    used,
)

MINUTE = 60 * SECOND


def set_aside(ledger: Ledger, amount: int, operation: str = "hold-1", *, now: int = NOW, **named: object) -> Posted:
    """Hold *amount* for a minute."""
    posting = Hold(debit(amount, **named), MINUTE)  # type: ignore[arg-type] # handed on as they are
    return ledger.post("acme", [posting], operation=operation, digest=str(amount), now=now)


class Holds:
    """`Ledger.post` of `Hold`, `Settle`, `Release` and `Extend`, and `Ledger.hold`."""

    def test_what_is_held_is_not_free(self, ledger: Ledger) -> None:
        posted = set_aside(ledger, 7)
        take = Take("calls", "w0", held=7)
        balances = (Balance(0, 7, 10),)
        assert posted == Posted((Filled(7, 0, (take,), balances, expires=NOW + MINUTE, feature="calls"),), NOW)
        assert ledger.hold("acme", "hold-1", now=NOW) == KeptHold(
            "acme", "hold-1", debit(7), (take,), NOW, NOW + MINUTE
        )
        assert use(ledger, 4, "op-1").short == Shortage(0, "calls", 3, balances)
        assert set_aside(ledger, 4, "hold-2").short == Shortage(0, "calls", 3, balances)
        assert use(ledger, 3, "op-1").filled[0].balances == (Balance(3, 7, 10),)

    def test_what_is_left_can_be_held(self, ledger: Ledger) -> None:
        use(ledger, 7, "op-1")
        posted = set_aside(ledger, 5, short=Short.CAP)
        assert posted.filled[0].amount == 3
        hold = ledger.hold("acme", "hold-1", now=NOW)
        assert hold is not None
        assert hold.debit == debit(3, short=Short.CAP)
        assert ledger.post("acme", [Settle("hold-1")], now=NOW).filled[0].amount == 3

    def test_all_of_it_is_charged(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        posted = ledger.post("acme", [Settle("hold-1")], now=NOW + 1)
        filled = Filled(7, 0, (Take("calls", "w0", 7, -7),), (Balance(7, 0, 10),), feature="calls")
        assert posted == Posted((filled,), NOW + 1)
        assert ledger.hold("acme", "hold-1", now=NOW) is None
        assert used(ledger) == (7, 0)

    def test_less_is_charged_and_the_rest_is_free(self, ledger: Ledger) -> None:
        lines = (Line("calls", "w0", 3), Line("credits", "g1", 10, cost=2))
        ledger.post("acme", [Hold(debit(6, *lines), MINUTE)], operation="hold-1", now=NOW)
        posted = ledger.post("acme", [Settle("hold-1", 4)], now=NOW)
        assert posted.filled[0].takes == (Take("calls", "w0", 3, -3), Take("credits", "g1", 2, -6, cost=2))
        assert posted.filled[0].balances == (Balance(3, 0, 3), Balance(2, 0, 10))

    def test_nothing_is_charged(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        posted = ledger.post("acme", [Settle("hold-1", 0)], now=NOW)
        assert posted.filled[0] == Filled(0, 0, (Take("calls", "w0", 0, -7),), (Balance(0, 0, 10),), feature="calls")
        assert used(ledger) == (0, 0)
        assert ledger.post("acme", [Release("hold-1")], now=NOW) == replace(posted, replayed=True)

    def test_more_is_charged_where_it_is_free_and_then_beyond(self, ledger: Ledger) -> None:
        lines = (Line("calls", "w0", 3), Line("credits", "g1", 9, cost=2))
        ledger.post("acme", [Hold(debit(4, *lines), MINUTE)], operation="hold-1", now=NOW)
        posted = ledger.post("acme", [Settle("hold-1", 10)], now=NOW + 1)
        assert posted.filled == (
            Filled(
                10,
                3,
                (Take("calls", "w0", 3, -3), Take("credits", "g1", 8, -2, cost=2), Take("calls", "w0", 3)),
                (Balance(6, 0, 3, over_since=NOW + 1), Balance(8, 0, 9)),
                feature="calls",
            ),
        )

    def test_overage_that_is_held_is_charged_last(self, ledger: Ledger) -> None:
        posted = set_aside(ledger, 14, beyond=5)
        assert posted.filled[0].overage == 4
        assert posted.filled[0].takes == (Take("calls", "w0", held=10), Take("calls", "w0", held=4))
        assert posted.filled[0].balances == (Balance(0, 14, 10),)
        short = ledger.post("acme", [debit(2, beyond=5)], operation="op-1", now=NOW).short
        assert short == Shortage(0, "calls", 1, (Balance(0, 14, 10),))
        settled = ledger.post("acme", [Settle("hold-1", 11)], now=NOW + 1)
        assert (settled.filled[0].amount, settled.filled[0].overage) == (11, 1)
        assert settled.filled[0].takes == (Take("calls", "w0", 10, -10), Take("calls", "w0", 1, -4))
        assert settled.filled[0].balances == (Balance(11, 0, 10, over_since=NOW + 1),)

    def test_a_window_that_was_opened_is_charged_as_any(self, ledger: Ledger) -> None:
        lines = (Line("calls", "r0", OPENED), Line("calls", "w0", 1))
        posting = Hold(debit(2, *lines), MINUTE)
        unopened = ledger.post("acme", [posting], operation="hold-1", now=NOW)
        assert unopened == Posted(at=NOW, unopened=(("calls", "r0"),))
        ledger.post("acme", [Open(("calls", "r0"), 2)], now=NOW)
        ledger.post("acme", [posting], operation="hold-1", now=NOW)
        settled = ledger.post("acme", [Settle("hold-1", 3)], now=NOW)
        assert settled.filled[0].takes == (Take("calls", "r0", 2, -2), Take("calls", "w0", 1))
        assert settled.filled[0].balances == (Balance(2, 0, 2, True), Balance(1, 0, 1))

    def test_settled_again_it_gives_the_first_outcome(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        first = ledger.post("acme", [Settle("hold-1", 5)], now=NOW)
        before = everything(ledger)
        assert ledger.post("acme", [Settle("hold-1", 5)], now=NOW + 2 * MINUTE) == replace(first, replayed=True)
        for other in (4, 7, None, 0):
            with pytest.raises(OperationConflict, match="hold-1"):
                ledger.post("acme", [Settle("hold-1", other)], now=NOW)
        assert everything(ledger) == before

    def test_all_and_as_much_as_is_held_are_the_same(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        first = ledger.post("acme", [Settle("hold-1")], now=NOW)
        assert ledger.post("acme", [Settle("hold-1", 7)], now=NOW) == replace(first, replayed=True)

    def test_released_it_is_free(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        posted = ledger.post("acme", [Release("hold-1")], now=NOW + 1)
        assert posted == Posted((Filled(7, 0, (Take("calls", "w0", held=-7),), feature="calls"),), NOW + 1)
        assert used(ledger) == (0, 0)
        before = everything(ledger)
        assert ledger.post("acme", [Release("hold-1")], now=NOW + 2) == replace(posted, replayed=True)
        for late in (Settle("hold-1"), Settle("hold-1", 0), Extend("hold-1", 1)):
            with pytest.raises(ReservationExpired) as raised:
                ledger.post("acme", [late], now=NOW + 2)
            assert raised.value.operation == "hold-1"
        assert everything(ledger) == before

    def test_what_was_charged_cannot_be_released_or_extended(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        ledger.post("acme", [Settle("hold-1", 5)], now=NOW)
        before = everything(ledger)
        for late in (Release("hold-1"), Extend("hold-1", 1)):
            with pytest.raises(OperationConflict, match="hold-1"):
                ledger.post("acme", [late], now=NOW)
        assert everything(ledger) == before

    def test_extended_it_lives_longer(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        posted = ledger.post("acme", [Extend("hold-1", 5 * SECOND)], now=NOW + 1)
        assert posted == Posted((Filled(expires=NOW + MINUTE + 5 * SECOND, feature="calls"),), NOW + 1)
        alive = NOW + MINUTE + 5 * SECOND - 1
        hold = ledger.hold("acme", "hold-1", now=alive)
        assert hold is not None
        assert (hold.since, hold.expires) == (NOW, alive + 1)
        assert use(ledger, 4, "op-1", now=alive).short is not None
        assert ledger.hold("acme", "hold-1", now=alive + 1) is None

    def test_extended_without_end_is_refused(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        ledger.post("acme", [Extend("hold-1", 2**52)], now=NOW)
        with pytest.raises(ConfigurationError):
            ledger.post("acme", [Extend("hold-1", 2**52)], now=NOW)
        assert used(ledger) == (0, 7)

    def test_what_has_expired_is_free_at_that_instant(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        ends = NOW + MINUTE
        assert (used(ledger, now=ends - 1), used(ledger, now=ends)) == ((0, 7), (0, 0))
        assert ledger.hold("acme", "hold-1", now=ends - 1) is not None
        assert ledger.hold("acme", "hold-1", now=ends) is None
        assert use(ledger, 10, "op-1", now=ends - 1).short is not None
        assert use(ledger, 10, "op-1", now=ends).filled[0].balances == (Balance(10, 0, 10),)

    def test_many_that_have_expired_are_free(self, ledger: Ledger) -> None:
        for number in range(30):
            lot = Line("calls", f"g{number % 3}", 20)
            posting = Hold(debit(1, lot, Line("calls", "w0", 30)), MINUTE)
            ledger.post("acme", [posting], operation=f"hold-{number}", now=NOW)
        lines = [Line("calls", f"g{number}", 20) for number in range(3)]
        posted = ledger.post("acme", [debit(60, *lines)], operation="op-1", now=NOW + MINUTE)
        assert posted.filled[0].balances == (Balance(20, 0, 20),) * 3

    def test_it_is_written_down_that_it_expired(self, ledger: Ledger) -> None:
        set_aside(ledger, 7)
        use(ledger, 10, "op-1", now=NOW + MINUTE)
        entry = next(entry for entry in all_entries(ledger) if entry.part == 1)
        assert (entry.operation, entry.kind, entry.at) == ("hold-1", "expire", NOW + MINUTE)
        assert entry.takes == (Take("calls", "w0", held=-7),)
        assert ledger.book("acme").holds == ()
        before = everything(ledger)
        assert ledger.post("acme", [Release("hold-1")], now=NOW + MINUTE).replayed
        assert everything(ledger) == before

    @pytest.mark.parametrize("seen", [False, True])
    def test_what_has_expired_is_charged_no_more(self, ledger: Ledger, seen: bool) -> None:
        set_aside(ledger, 7)
        ends = NOW + MINUTE
        if seen:
            use(ledger, 1, "op-1", now=ends)
        for late in (Settle("hold-1"), Settle("hold-1", 0), Extend("hold-1", MINUTE)):
            with pytest.raises(ReservationExpired) as raised:
                ledger.post("acme", [late], now=ends)
            assert raised.value.operation == "hold-1"
        assert used(ledger, now=ends) == (int(seen), 0)
        released = ledger.post("acme", [Release("hold-1")], now=ends)
        assert released.short is None
        assert used(ledger, now=ends) == (int(seen), 0)
        assert ledger.book("acme").holds == ()

    def test_one_that_expired_stays_what_it_was(self, ledger: Ledger) -> None:
        first = set_aside(ledger, 7)
        late = NOW + 2 * MINUTE
        assert set_aside(ledger, 7, now=late) == replace(first, replayed=True)
        assert ledger.hold("acme", "hold-1", now=late) is None
        assert used(ledger, now=late) == (0, 0)

    @pytest.mark.parametrize("posting", [Settle("nothing"), Release("nothing"), Extend("nothing", 1)], ids=repr)
    def test_of_what_nothing_is_known(self, ledger: Ledger, posting: Settle | Release | Extend) -> None:
        with pytest.raises(UnknownOperation, match="nothing"):
            ledger.post("acme", [posting], now=NOW)
        ledger.post("beta", [Hold(debit(1), MINUTE)], operation="nothing", now=NOW)
        with pytest.raises(UnknownOperation, match="nothing"):
            ledger.post("acme", [posting], now=NOW)
        use(ledger, 1, "nothing")
        with pytest.raises(UnknownOperation, match="nothing"):
            ledger.post("acme", [posting], now=NOW)
        assert ledger.hold("acme", "nothing", now=NOW) is None

    def test_the_balance_is_that_of_another_instant(self, ledger: Ledger) -> None:
        set_aside(ledger, 3, "hold-1")
        set_aside(ledger, 4, "hold-2", now=NOW + SECOND)
        sums = [used(ledger, now=NOW + MINUTE + after)[1] for after in (-1, 0, SECOND - 1, SECOND)]
        assert sums == [7, 4, 4, 0]
        assert ACCOUNT in ledger.balances("acme", [ACCOUNT], now=NOW + 2 * MINUTE)
