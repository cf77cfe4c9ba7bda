"""Contract: units are used up, of one lot or several, and never more than may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.metering.posting import (
    MOST,
    OPENED,
    Balance,
    Crossing,
    Filled,
    Line,
    Mark,
    Open,
    Posted,
    Refund,
    Short,
    Shortage,
    Take,
)
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.testing.contracts.ledger_postings import ACCOUNT, NOW, SECOND, debit, everything, use, used


class Debits:
    """`Ledger.post` of `Debit` and `Open`, and `Ledger.balances`."""

    def test_it_says_all_that_it_did(self, ledger: Ledger) -> None:
        posted = ledger.post("acme", [debit(3)], operation="op-1", digest="d", now=NOW)
        filled = Filled(3, 0, (Take("calls", "w0", used=3),), (Balance(3, 0, 10),), feature="calls")
        assert posted == Posted((filled,), NOW)
        assert ledger.balances("acme", [ACCOUNT], now=NOW) == {ACCOUNT: Balance(3, 0, 10)}

    def test_the_last_unit_can_be_used_and_no_more(self, ledger: Ledger) -> None:
        use(ledger, 9, "op-1")
        before = everything(ledger)
        assert use(ledger, 2, "op-2") == Posted(at=NOW, short=Shortage(0, "calls", 1, (Balance(9, 0, 10),)))
        assert everything(ledger) == before
        assert use(ledger, 1, "op-2").short is None
        assert use(ledger, 1, "op-3").short == Shortage(0, "calls", 0, (Balance(10, 0, 10),))
        assert used(ledger) == (10, 0)

    def test_nothing_is_sold(self, ledger: Ledger) -> None:
        posted = use(ledger, 1, "op-1", cap=0)
        assert posted.short == Shortage(0, "calls", 0, (Balance(),))
        assert everything(ledger)[1] == []

    def test_there_is_no_limit(self, ledger: Ledger) -> None:
        assert use(ledger, 10**12, "op-1", cap=None).filled[0].balances == (Balance(10**12, 0, None),)
        assert used(ledger) == (10**12, 0)

    def test_a_limit_that_is_edited_keeps_the_count(self, ledger: Ledger) -> None:
        use(ledger, 8, "op-1", cap=10)
        short = use(ledger, 1, "op-2", cap=5).short
        assert short is not None
        assert short.room == 0
        assert use(ledger, 12, "op-3", cap=20).filled[0].balances == (Balance(20, 0, 20),)

    def test_ids_are_compared_by_their_bytes(self, ledger: Ledger) -> None:
        use(ledger, 10, "op-1")
        for tenant, meter, lot in (
            ("Acme", "calls", "w0"),
            ("acme ", "calls", "w0"),
            ("a\u0301cme", "calls", "w0"),
            ("\u00e1cme", "calls", "w0"),
            ("acme", "Calls", "w0"),
            ("acme", "calls", "W0"),
            ("acme", "calls", "w00"),
            ("acme", "callsw", "0"),
        ):
            posting = debit(10, Line(meter, lot, 10))
            posted = ledger.post(tenant, [posting], operation=f"op {meter} {lot}", now=NOW)
            assert posted.short is None, f"{tenant!r} {meter!r} {lot!r} is another account: compare ids by their bytes"
        assert used(ledger) == (10, 0)

    def test_lots_are_burnt_in_their_order(self, ledger: Ledger) -> None:
        lines = (Line("calls", "w0", 3), Line("calls", "g1", 2), Line("calls", "g2", 5))
        posted = ledger.post("acme", [debit(4, *lines)], operation="op-1", now=NOW)
        assert posted.filled[0].takes == (Take("calls", "w0", 3), Take("calls", "g1", 1))
        assert posted.filled[0].balances == (Balance(3, 0, 3), Balance(1, 0, 2), Balance())
        posted = ledger.post("acme", [debit(5, *lines)], operation="op-2", now=NOW)
        assert posted.filled[0].takes == (Take("calls", "g1", 1), Take("calls", "g2", 4))
        short = ledger.post("acme", [debit(2, *lines)], operation="op-3", now=NOW).short
        assert short == Shortage(0, "calls", 1, (Balance(3, 0, 3), Balance(2, 0, 2), Balance(4, 0, 5)))

    def test_credits_pay_at_their_cost_and_never_in_part(self, ledger: Ledger) -> None:
        lines = (Line("calls", "w0", 1), Line("credits", "g1", 8, cost=3))
        posted = ledger.post("acme", [debit(3, *lines)], operation="op-1", now=NOW)
        assert posted.filled[0].takes == (Take("calls", "w0", 1), Take("credits", "g1", 6, cost=3))
        short = ledger.post("acme", [debit(1, *lines)], operation="op-2", now=NOW).short
        assert short == Shortage(0, "calls", 0, (Balance(1, 0, 1), Balance(6, 0, 8)))

    def test_what_is_left_is_taken_where_that_is_enough(self, ledger: Ledger) -> None:
        assert use(ledger, 7, "op-1").filled[0].amount == 7
        capped = ledger.post("acme", [debit(5, short=Short.CAP)], operation="op-2", now=NOW)
        assert (capped.filled[0].amount, capped.filled[0].overage) == (3, 0)
        nothing = ledger.post("acme", [debit(5, short=Short.CAP)], operation="op-3", now=NOW)
        assert nothing.short == Shortage(0, "calls", 0, (Balance(10, 0, 10),))

    def test_what_is_beyond_is_counted_on_the_sink(self, ledger: Ledger) -> None:
        lines = (Line("calls", "w0", 3), Line("credits", "g1", 4, cost=2))
        posted = ledger.post("acme", [debit(9, *lines, short=Short.OVERFLOW)], operation="op-1", now=NOW)
        assert posted.filled == (
            Filled(
                9,
                4,
                (Take("calls", "w0", 3), Take("credits", "g1", 4, cost=2), Take("calls", "w0", 4)),
                (Balance(7, 0, 3, over_since=NOW), Balance(4, 0, 4)),
                feature="calls",
            ),
        )
        by_credit = debit(1, *lines, short=Short.OVERFLOW, sink=1)
        posted = ledger.post("acme", [by_credit], operation="op-2", now=NOW + 1)
        assert posted.filled[0].takes == (Take("credits", "g1", 2, cost=2),)
        assert posted.filled[0].balances == (Balance(7, 0, 3, over_since=NOW), Balance(6, 0, 4, over_since=NOW + 1))

    def test_so_much_may_be_beyond(self, ledger: Ledger) -> None:
        posted = ledger.post("acme", [debit(12, beyond=3)], operation="op-1", now=NOW)
        assert (posted.filled[0].amount, posted.filled[0].overage) == (12, 2)
        short = ledger.post("acme", [debit(2, beyond=3)], operation="op-2", now=NOW).short
        assert short == Shortage(0, "calls", 1, (Balance(12, 0, 10, over_since=NOW),))
        capped = ledger.post("acme", [debit(2, beyond=3, short=Short.CAP)], operation="op-3", now=NOW)
        assert (capped.filled[0].amount, capped.filled[0].overage) == (1, 1)
        # A ceiling that was lowered counts what is beyond already.
        short = ledger.post("acme", [debit(1, beyond=1)], operation="op-4", now=NOW).short
        assert short is not None
        assert short.room == 0

    def test_part_of_a_cost_that_is_beyond_is_a_unit(self, ledger: Ledger) -> None:
        line = Line("credits", "g1", 10, cost=3)
        ledger.post("acme", [debit(4, line, beyond=2)], operation="op-1", now=NOW)
        short = ledger.post("acme", [debit(2, line, beyond=2)], operation="op-2", now=NOW).short
        assert short == Shortage(0, "calls", 1, (Balance(12, 0, 10, over_since=NOW),))

    def test_grace_begins_when_it_is_over_and_then_ends(self, ledger: Ledger) -> None:
        def take(amount: int, number: int, now: int) -> Posted:
            posting = debit(amount, beyond=None, grace=5 * SECOND)
            return ledger.post("acme", [posting], operation=f"op-{number}", now=now)

        at_the_limit = take(10, 1, NOW).filled[0].balances
        assert at_the_limit == (Balance(10, 0, 10),)
        assert take(1, 2, NOW + 60 * SECOND).filled[0].balances == (Balance(11, 0, 10, over_since=NOW + 60 * SECOND),)
        assert take(1, 3, NOW + 65 * SECOND - 1).filled[0].overage == 1
        over = (Balance(12, 0, 10, over_since=NOW + 60 * SECOND),)
        assert take(1, 4, NOW + 65 * SECOND).short == Shortage(0, "calls", 0, over)
        raised = ledger.post("acme", [debit(1, cap=20, beyond=None, grace=0)], operation="op-5", now=NOW)
        assert raised.filled[0].balances == (Balance(13, 0, 20),)

    def test_a_cap_that_is_raised_ends_what_was_over_it_and_its_grace(self, ledger: Ledger) -> None:
        def take(amount: int, cap: int, now: int, number: int) -> Posted:
            posting = debit(amount, cap=cap, beyond=None, grace=5 * SECOND)
            return ledger.post("acme", [posting], operation=f"op-{number}", now=now)

        take(15, 10, NOW, 1)
        late = NOW + 60 * SECOND
        assert take(1, 10, late, 2).short is not None
        # Of what the new cap has room for some is taken, or nothing: what is beyond has begun just now.
        assert take(10, 20, late, 3).filled[0].balances == (Balance(25, 0, 20, over_since=late),)
        later = late + 60 * SECOND
        assert take(1, 20, later, 4).short is not None
        assert take(1, 25, later, 5).filled[0].balances == (Balance(26, 0, 25, over_since=later),)

    def test_several_features_are_used_up_together_or_not_at_all(self, ledger: Ledger) -> None:
        calls, mails = debit(4), debit(2, feature="mails", cap=3)
        posted = ledger.post("acme", [calls, mails], operation="op-1", digest="d", now=NOW)
        assert [(filled.feature, filled.amount) for filled in posted.filled] == [("calls", 4), ("mails", 2)]
        before = everything(ledger)
        short = ledger.post("acme", [calls, mails], operation="op-2", digest="d", now=NOW).short
        assert short == Shortage(1, "mails", 1, (Balance(2, 0, 3),))
        assert everything(ledger) == before
        assert ledger.post("acme", [calls, mails], operation="op-1", digest="d", now=NOW).replayed

    def test_what_pays_for_several_features_is_spread_one_after_the_other(self, ledger: Ledger) -> None:
        paying = Line("credits", "g1", 10, cost=2)
        marks = (Mark("credits", 5), Mark("credits", 9))
        calls = debit(2, Line("calls", "w0", 1), paying, marks=marks)
        mails = debit(2, replace(paying, cost=3), feature="mails", marks=marks)
        before = everything(ledger)
        # There is enough for three mails, but not after one call.
        short = ledger.post("acme", [calls, replace(mails, amount=3)], operation="op-1", now=NOW).short
        assert short == Shortage(1, "mails", 2, (Balance(),))
        assert everything(ledger) == before
        posted = ledger.post("acme", [calls, mails], operation="op-1", digest="d", now=NOW)
        both = Take("calls", "w0", 1), Take("credits", "g1", 2, cost=2)
        after = Balance(8, 0, 10)
        assert posted.filled == (
            Filled(2, 0, both, (Balance(1, 0, 1), after), feature="calls"),
            Filled(2, 0, (Take("credits", "g1", 6, cost=3),), (after,), feature="mails"),
        )
        assert posted.crossings == (Crossing(marks[0], 8),)
        assert [event.crossing for event in ledger.claim_events(10, SECOND, now=NOW)] == [Crossing(marks[0], 8)]
        assert ledger.post("acme", [calls, mails], operation="op-1", digest="d", now=NOW).replayed
        rest = [replace(calls, amount=1, short=Short.OVERFLOW), replace(mails, amount=1, short=Short.OVERFLOW)]
        beyond = ledger.post("acme", rest, operation="op-2", now=NOW + 1)
        assert [(each.amount, each.overage) for each in beyond.filled] == [(1, 0), (1, 1)]
        over = Balance(13, 0, 10, over_since=NOW + 1)
        assert [each.balances[-1] for each in beyond.filled] == [over, over]
        back = ledger.post("acme", [Refund("op-1", (("mails", 1),))], now=NOW + 2)
        assert [each.takes for each in back.filled] == [(), (Take("credits", "g1", -3, cost=3),)]
        assert ledger.balances("acme", [paying.account], now=NOW + 2) == {paying.account: Balance(10, 0, 10)}

    def test_too_much_by_the_first_is_no_shortage_of_the_second(self, ledger: Ledger) -> None:
        use(ledger, 1, "op-1", cap=None)
        before = everything(ledger)
        first, second = debit(MOST, cap=None), debit(2, Line("credits", "g1", 1), feature="mails")
        with pytest.raises(ConfigurationError):
            ledger.post("acme", [first, second], operation="op-2", now=NOW)
        assert everything(ledger) == before

    def test_a_balance_stays_exact_up_to_the_most_that_can_be_counted(self, ledger: Ledger) -> None:
        assert use(ledger, MOST - 1, "op-1", cap=MOST).short is None
        short = use(ledger, 2, "op-2", cap=MOST).short
        assert short is not None
        assert short.room == 1
        assert use(ledger, 1, "op-3", cap=None).short is None
        before = everything(ledger)
        with pytest.raises(ConfigurationError):
            use(ledger, 1, "op-4", cap=None)
        with pytest.raises(ConfigurationError):
            ledger.post("acme", [debit(1, short=Short.OVERFLOW)], operation="op-5", now=NOW)
        assert everything(ledger) == before
        assert used(ledger) == (MOST, 0)

    def test_a_cap_is_fixed_once_by_who_opens_the_account(self, ledger: Ledger) -> None:
        account = ("calls", "r0")
        lines = (Line("calls", "r0", OPENED), Line("calls", "w0", 10))
        unopened = ledger.post("acme", [debit(3, *lines)], operation="op-1", now=NOW)
        assert unopened == Posted(at=NOW, unopened=(account,))
        assert everything(ledger)[1] == []
        opened = ledger.post("acme", [Open(account, 2)], now=NOW)
        assert opened == Posted((Filled(balances=(Balance(0, 0, 2, True),), feature="calls"),), NOW)
        again = ledger.post("acme", [Open(account, 7)], now=NOW + 1)
        assert again.filled == (Filled(balances=(Balance(0, 0, 2, True),), was_there=True, feature="calls"),)
        posted = ledger.post("acme", [debit(3, *lines)], operation="op-1", now=NOW)
        assert posted.filled[0].takes == (Take("calls", "r0", 2), Take("calls", "w0", 1))
        assert ledger.balances("acme", [account], now=NOW) == {account: Balance(2, 0, 2, True)}

    def test_an_account_that_is_used_can_be_opened(self, ledger: Ledger) -> None:
        use(ledger, 8, "op-1")
        opened = ledger.post("acme", [Open(ACCOUNT, 5)], now=NOW + 1)
        assert opened.filled[0].balances == (Balance(8, 0, 5, True, NOW + 1),)
        # What a line says does not change what was fixed; yet it decides how far that line goes.
        assert use(ledger, 1, "op-2", cap=9).filled[0].balances == (Balance(9, 0, 5, True, NOW + 1),)

    def test_only_what_was_posted_to_has_a_balance(self, ledger: Ledger) -> None:
        use(ledger, 1, "op-1")
        others = [("calls", "w1"), ("mails", "w0")]
        assert ledger.balances("acme", [*others, ACCOUNT], now=NOW) == {ACCOUNT: Balance(1, 0, 10)}
        assert ledger.balances("acme", others, now=NOW) == {}
        assert ledger.balances("acme", [], now=NOW) == {}
        assert ledger.balances("nobody", [ACCOUNT], now=NOW) == {}

    def test_its_own_clock_is_the_time(self, ledger: Ledger) -> None:
        first = ledger.post("acme", [debit(1)], operation="op-1")
        second = ledger.post("acme", [debit(1)], operation="op-2")
        assert NOW // 2 < first.at <= second.at
