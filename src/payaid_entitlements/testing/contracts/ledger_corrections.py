"""Contract: what was used up is given back, once; what was miscounted is corrected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.metering.posting import (
    OPENED,
    Adjust,
    Balance,
    Filled,
    Hold,
    Line,
    Open,
    Posted,
    Refund,
    Release,
    Settle,
    Short,
    Take,
)
from payaid_entitlements.errors import ConfigurationError, OperationConflict, UnknownOperation
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.testing.contracts.ledger_postings import ACCOUNT, NOW, SECOND, debit, everything, use, used

#: Lots of three kinds: 13 units of the feature.
LINES = (Line("calls", "g1", 3), Line("calls", "w0", 6), Line("credits", "g2", 12, cost=3))


class Corrections:
    """`Ledger.post` of `Refund` and `Adjust`."""

    def test_it_goes_back_to_where_it_came_from(self, ledger: Ledger) -> None:
        accounts = [line.account for line in LINES]
        ledger.post("acme", [debit(2, *LINES)], operation="op-0", now=NOW)
        before = ledger.balances("acme", accounts, now=NOW)
        ledger.post("acme", [debit(12, *LINES, sink=1, beyond=1)], operation="op-1", now=NOW)
        posted = ledger.post("acme", [Refund("op-1")], now=NOW + 1)
        assert posted == Posted(
            (
                Filled(
                    12,
                    1,
                    (
                        Take("calls", "g1", -1),
                        Take("calls", "w0", -6),
                        Take("credits", "g2", -12, cost=3),
                        Take("calls", "w0", -1),
                    ),
                    feature="calls",
                ),
            ),
            NOW + 1,
        )
        after = ledger.balances("acme", accounts, now=NOW)
        assert {key: (each.used, each.held, each.over_since) for key, each in after.items()} == {
            **dict.fromkeys(accounts, (0, 0, None)),
            **{key: (each.used, each.held, each.over_since) for key, each in before.items()},
        }

    def test_what_was_burnt_last_goes_back_first(self, ledger: Ledger) -> None:
        ledger.post("acme", [debit(15, *LINES, short=Short.OVERFLOW)], operation="op-1", now=NOW)
        posted = ledger.post("acme", [Refund("op-1", (("calls", 4),))], now=NOW)
        assert posted.filled[0] == Filled(
            4, 2, (Take("credits", "g2", -6, cost=3), Take("calls", "g1", -2)), feature="calls"
        )

    def test_it_goes_back_once(self, ledger: Ledger) -> None:
        use(ledger, 8, "op-1")
        first = ledger.post("acme", [Refund("op-1", (("calls", 5),))], now=NOW)
        assert used(ledger) == (3, 0)
        before = everything(ledger)
        again = ledger.post("acme", [Refund("op-1", (("calls", 5),))], now=NOW + SECOND)
        assert again == replace(first, replayed=True)
        for other in (None, (("calls", 3),), (("calls", 8),)):
            with pytest.raises(OperationConflict, match="op-1"):
                ledger.post("acme", [Refund("op-1", other)], now=NOW)
        assert everything(ledger) == before

    def test_all_and_as_much_as_was_used_are_the_same(self, ledger: Ledger) -> None:
        use(ledger, 8, "op-1")
        first = ledger.post("acme", [Refund("op-1")], now=NOW)
        assert ledger.post("acme", [Refund("op-1", (("calls", 8),))], now=NOW) == replace(first, replayed=True)

    def test_the_operation_stays_what_it_was(self, ledger: Ledger) -> None:
        first = use(ledger, 8, "op-1")
        ledger.post("acme", [Refund("op-1")], now=NOW)
        assert use(ledger, 8, "op-1") == replace(first, replayed=True)
        assert used(ledger) == (0, 0)

    def test_more_than_was_used_does_not_go_back(self, ledger: Ledger) -> None:
        use(ledger, 8, "op-1")
        before = everything(ledger)
        for amounts in ((("calls", 9),), (("mails", 1),), (("calls", 1), ("mails", 1))):
            with pytest.raises(ConfigurationError):
                ledger.post("acme", [Refund("op-1", amounts)], now=NOW)
        assert everything(ledger) == before

    def test_of_several_features_each_goes_back_by_itself(self, ledger: Ledger) -> None:
        postings = [debit(4), debit(2, feature="mails", cap=3), debit(1, feature="chats")]
        ledger.post("acme", postings, operation="op-1", now=NOW)
        posted = ledger.post("acme", [Refund("op-1", (("mails", 1), ("chats", 1)))], now=NOW)
        assert [(filled.feature, filled.amount) for filled in posted.filled] == [
            ("calls", 0),
            ("mails", 1),
            ("chats", 1),
        ]
        balances = ledger.balances("acme", [("calls", "w0"), ("mails", "w0"), ("chats", "w0")], now=NOW)
        assert [balance.used for balance in balances.values()] == [4, 1, 0]
        assert ledger.post("acme", [Refund("op-1", (("chats", 1), ("mails", 1)))], now=NOW).replayed

    def test_what_was_settled_goes_back(self, ledger: Ledger) -> None:
        ledger.post("acme", [Hold(debit(9, *LINES), SECOND)], operation="hold-1", now=NOW)
        with pytest.raises(OperationConflict, match="hold-1"):
            ledger.post("acme", [Refund("hold-1")], now=NOW)
        ledger.post("acme", [Settle("hold-1", 5)], now=NOW)
        posted = ledger.post("acme", [Refund("hold-1", (("calls", 3),))], now=NOW)
        assert posted.filled[0].takes == (Take("calls", "g1", -1), Take("calls", "w0", -2))
        with pytest.raises(OperationConflict, match="hold-1"):
            ledger.post("acme", [Refund("hold-1")], now=NOW)

    @pytest.mark.parametrize("end", ["released", "settled by nothing", "expired", "expired unseen"])
    def test_of_what_came_to_nothing_nothing_goes_back(self, ledger: Ledger, end: str) -> None:
        ledger.post("acme", [Hold(debit(5), SECOND)], operation="hold-1", now=NOW)
        late = NOW + SECOND
        match end:
            case "released":
                ledger.post("acme", [Release("hold-1")], now=NOW)
            case "settled by nothing":
                ledger.post("acme", [Settle("hold-1", 0)], now=NOW)
            case "expired":
                use(ledger, 10, "op-1", now=late)
        with pytest.raises(ConfigurationError):
            ledger.post("acme", [Refund("hold-1", (("calls", 1),))], now=late)
        posted = ledger.post("acme", [Refund("hold-1")], now=late)
        assert [(filled.feature, filled.amount, filled.overage) for filled in posted.filled] == [("calls", 0, 0)]
        assert ledger.post("acme", [Refund("hold-1")], now=late).replayed
        assert used(ledger, now=late) == (10 if end == "expired" else 0, 0)

    def test_of_what_is_not_known_nothing_goes_back(self, ledger: Ledger) -> None:
        with pytest.raises(UnknownOperation, match="nothing"):
            ledger.post("acme", [Refund("nothing")], now=NOW)
        use(ledger, 1, "nothing", tenant="beta")
        with pytest.raises(UnknownOperation, match="nothing"):
            ledger.post("acme", [Refund("nothing")], now=NOW)

    def test_grace_ends_where_it_is_over_no_more(self, ledger: Ledger) -> None:
        ledger.post("acme", [debit(12, short=Short.OVERFLOW)], operation="op-1", now=NOW)
        ledger.post("acme", [Refund("op-1", (("calls", 1),))], now=NOW + 1)
        assert ledger.balances("acme", [ACCOUNT], now=NOW) == {ACCOUNT: Balance(11, 0, 10, over_since=NOW)}
        ledger.post("acme", [Adjust(Line("calls", "w0", 10), -1)], operation="op-2", now=NOW + 2)
        assert ledger.balances("acme", [ACCOUNT], now=NOW) == {ACCOUNT: Balance(10, 0, 10)}

    def test_it_is_corrected_up_and_down_whatever_the_limit(self, ledger: Ledger) -> None:
        line = Line("calls", "w0", 10)
        up = ledger.post("acme", [Adjust(line, 12)], operation="op-1", now=NOW)
        filled = Filled(12, 0, (Take("calls", "w0", 12),), (Balance(12, 0, 10, over_since=NOW),), feature="calls")
        assert up == Posted((filled,), NOW)
        down = ledger.post("acme", [Adjust(line, -15)], operation="op-2", now=NOW)
        assert down.filled[0].balances == (Balance(-3, 0, 10),)
        assert use(ledger, 13, "op-3").filled[0].balances == (Balance(10, 0, 10),)

    def test_a_correction_is_no_use(self, ledger: Ledger) -> None:
        ledger.post("acme", [Adjust(Line("calls", "w0", 10), 5)], operation="op-1", now=NOW)
        with pytest.raises(OperationConflict, match="op-1"):
            ledger.post("acme", [Refund("op-1")], now=NOW)
        assert used(ledger) == (5, 0)

    def test_a_correction_opens_no_account(self, ledger: Ledger) -> None:
        line = Line("calls", "r0", OPENED)
        assert ledger.post("acme", [Adjust(line, 5)], operation="op-1", now=NOW) == Posted(
            at=NOW, unopened=(("calls", "r0"),)
        )
        ledger.post("acme", [Open(("calls", "r0"), 3)], now=NOW)
        posted = ledger.post("acme", [Adjust(line, 5)], operation="op-1", now=NOW)
        assert posted.filled[0].balances == (Balance(5, 0, 3, True, NOW),)
