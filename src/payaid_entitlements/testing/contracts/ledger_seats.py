"""Contract: slots that somebody holds by name."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.metering.posting import (
    SLOTS,
    Assign,
    Balance,
    Filled,
    Posted,
    Reassign,
    Shortage,
    Slot,
    Unassign,
)
from payaid_entitlements.errors import SlotTaken
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.testing.contracts.ledger_postings import NOW, SECOND, everything


def give(ledger: Ledger, holder: str, *, now: int = NOW, cap: int | None = 2, **named: int | None) -> Posted:
    """Give a seat to *holder*."""
    return ledger.post("acme", [Assign("seats", holder, cap, **named)], now=now)


def holders(ledger: Ledger, *, now: int = NOW) -> list[str]:
    """Who has a seat; and that the account says how many."""
    found = [slot.holder for slot in ledger.slots("acme", "seats", now=now)]
    account = ("seats", SLOTS)
    balance = ledger.balances("acme", [account], now=now).get(account, Balance())
    assert balance.used == len(found)
    return found


class Seats:
    """`Ledger.post` of `Assign`, `Unassign` and `Reassign`, and `Ledger.slots`."""

    def test_a_seat_is_somebodys(self, ledger: Ledger) -> None:
        slot = Slot("seats", "asha", NOW)
        filled = Filled(1, balances=(Balance(1, 0, 2),), slot=slot, feature="seats")
        assert give(ledger, "asha") == Posted((filled,), NOW)
        assert ledger.slots("acme", now=NOW) == [slot]

    def test_the_last_can_be_given_and_no_more(self, ledger: Ledger) -> None:
        give(ledger, "asha")
        give(ledger, "bina", now=NOW + 1)
        before = everything(ledger)
        short = give(ledger, "chetan", now=NOW + 2)
        assert short == Posted(at=NOW + 2, short=Shortage(0, "seats", 0, (Balance(2, 0, 2),)))
        assert everything(ledger) == before
        assert holders(ledger) == ["asha", "bina"]
        assert give(ledger, "chetan", cap=3).short is None
        assert give(ledger, "deepa", cap=0).short is not None
        assert give(ledger, "deepa", cap=None).filled[0].overage == 0

    def test_so_many_more_may_be_given(self, ledger: Ledger) -> None:
        given = [give(ledger, holder, cap=1, beyond=1) for holder in ("asha", "bina", "chetan")]
        assert [[filled.overage for filled in posted.filled] for posted in given] == [[0], [1], []]
        assert given[1].filled[0].balances == (Balance(2, 0, 1, over_since=NOW),)
        assert give(ledger, "chetan", cap=1, beyond=None).filled[0].overage == 1
        assert holders(ledger) == ["asha", "bina", "chetan"]

    def test_who_has_one_keeps_it(self, ledger: Ledger) -> None:
        give(ledger, "asha")
        again = give(ledger, "asha", now=NOW + 1, cap=0)
        assert again.filled == (
            Filled(balances=(Balance(1, 0, 2),), slot=Slot("seats", "asha", NOW), was_there=True, feature="seats"),
        )
        assert holders(ledger) == ["asha"]

    def test_taken_back_it_is_free(self, ledger: Ledger) -> None:
        for holder in ("asha", "bina"):
            give(ledger, holder)
        posted = ledger.post("acme", [Unassign("seats", "asha")], now=NOW + 1)
        filled = Filled(1, balances=(Balance(1, 0, 2),), was_there=True, feature="seats")
        assert posted == Posted((filled,), NOW + 1)
        again = ledger.post("acme", [Unassign("seats", "asha")], now=NOW + 1)
        assert again.filled == (Filled(balances=(Balance(1, 0, 2),), feature="seats"),)
        assert give(ledger, "chetan", now=NOW + 2).short is None
        assert holders(ledger) == ["bina", "chetan"]

    def test_of_nobody_nothing_is_taken_back(self, ledger: Ledger) -> None:
        posted = ledger.post("acme", [Unassign("seats", "asha")], now=NOW)
        assert posted.filled == (Filled(balances=(Balance(),), feature="seats"),)
        assert everything(ledger)[0].slots == ()

    def test_handed_over_it_is_somebody_elses_and_expires_no_more(self, ledger: Ledger) -> None:
        give(ledger, "asha", cap=1, expires_in=SECOND)
        posted = ledger.post("acme", [Reassign("seats", "asha", "bina")], now=NOW + 1)
        slot = Slot("seats", "bina", NOW + 1)
        filled = Filled(balances=(Balance(1, 0, 1),), slot=slot, feature="seats")
        assert posted == Posted((filled,), NOW + 1)
        for at in (NOW + 1, NOW + SECOND):
            assert ledger.slots("acme", "seats", now=at) == [slot]
        assert give(ledger, "chetan", cap=1, now=NOW + SECOND).short is not None

    def test_it_is_handed_over_only_by_who_has_one_to_who_has_none(self, ledger: Ledger) -> None:
        for holder in ("asha", "bina"):
            give(ledger, holder)
        before = everything(ledger)
        for holder, to in (("chetan", "deepa"), ("asha", "bina"), ("asha", "asha"), ("chetan", "chetan")):
            with pytest.raises(SlotTaken, match="has"):
                ledger.post("acme", [Reassign("seats", holder, to)], now=NOW)
        assert everything(ledger) == before

    def test_handed_over_again_it_stays_where_it_is(self, ledger: Ledger) -> None:
        give(ledger, "asha", expires_in=SECOND)
        ledger.post("acme", [Reassign("seats", "asha", "bina")], now=NOW)
        give(ledger, "deepa", now=NOW + 1, expires_in=SECOND)
        before = everything(ledger)
        for to, slot in (
            ("bina", Slot("seats", "bina", NOW)),
            ("deepa", Slot("seats", "deepa", NOW + 1, NOW + 1 + SECOND)),
        ):
            again = ledger.post("acme", [Reassign("seats", "asha", to)], now=NOW + 2)
            filled = Filled(balances=(Balance(2, 0, 2),), slot=slot, was_there=True, feature="seats")
            assert again == Posted((filled,), NOW + 2)
        assert everything(ledger) == before

    def test_it_expires_at_that_instant(self, ledger: Ledger) -> None:
        give(ledger, "asha", cap=1, expires_in=SECOND)
        ends = NOW + SECOND
        assert (holders(ledger, now=ends - 1), holders(ledger, now=ends)) == (["asha"], [])
        short = give(ledger, "bina", cap=1, now=ends - 1).short
        assert short == Shortage(0, "seats", 0, (Balance(1, 0, 1),), frees_at=ends)
        posted = give(ledger, "bina", cap=1, now=ends)
        assert posted.filled[0].balances == (Balance(1, 0, 1),)
        assert holders(ledger, now=ends) == ["bina"]

    def test_what_has_expired_is_nobodys(self, ledger: Ledger) -> None:
        late = NOW + SECOND
        give(ledger, "asha", expires_in=SECOND)
        with pytest.raises(SlotTaken):
            ledger.post("acme", [Reassign("seats", "asha", "bina")], now=late)
        assert ledger.post("acme", [Unassign("seats", "asha")], now=late).filled[0].was_there is False
        give(ledger, "asha", expires_in=SECOND)
        again = give(ledger, "asha", now=late)
        assert (again.filled[0].slot, again.filled[0].was_there) == (Slot("seats", "asha", late), False)
        give(ledger, "bina", expires_in=SECOND)
        handed = ledger.post("acme", [Reassign("seats", "asha", "bina")], now=late)
        assert handed.filled[0].slot == Slot("seats", "bina", late)
        assert holders(ledger, now=late) == ["bina"]

    def test_given_again_it_expires_later(self, ledger: Ledger) -> None:
        give(ledger, "asha", expires_in=SECOND)
        give(ledger, "asha", now=NOW + 1, expires_in=SECOND)
        assert ledger.slots("acme", "seats", now=NOW) == [Slot("seats", "asha", NOW, NOW + 1 + SECOND)]
        give(ledger, "asha", now=NOW + 2)
        assert ledger.slots("acme", "seats", now=NOW + 9 * SECOND) == [Slot("seats", "asha", NOW)]

    def test_it_says_when_the_next_is_free(self, ledger: Ledger) -> None:
        give(ledger, "asha", cap=3)
        give(ledger, "bina", cap=3, expires_in=5 * SECOND)
        give(ledger, "chetan", cap=3, expires_in=2 * SECOND)
        for after, frees_at in ((1, NOW + 2 * SECOND), (3 * SECOND, NOW + 5 * SECOND)):
            short = give(ledger, "deepa", cap=1, now=NOW + after).short
            assert short is not None
            assert short.frees_at == frees_at
        short = give(ledger, "deepa", cap=1, now=NOW + 5 * SECOND).short
        assert short == Shortage(0, "seats", 0, (Balance(1, 0, 3),))

    def test_they_are_listed_by_feature_since_and_holder(self, ledger: Ledger) -> None:
        for at, feature, holder in (
            (1, "seats", "asha"),
            (0, "seats", "\ue000"),
            (0, "seats", "\U0001d560"),
            (0, "seats", "Z"),
            (2, "desks", "asha"),
            (3, "Seats", "asha"),
        ):
            ledger.post("acme", [Assign(feature, holder, None)], now=NOW + at)
        ledger.post("beta", [Assign("seats", "bina", None)], now=NOW)
        listed = [(slot.feature, slot.holder) for slot in ledger.slots("acme", now=NOW + 9)]
        seats = [("seats", "Z"), ("seats", "\ue000"), ("seats", "\U0001d560"), ("seats", "asha")]
        assert listed == [("Seats", "asha"), ("desks", "asha"), *seats]
        assert [(slot.feature, slot.holder) for slot in ledger.slots("acme", "seats", now=NOW + 9)] == seats
        assert ledger.slots("nobody", now=NOW) == []

    def test_holders_are_compared_by_their_bytes(self, ledger: Ledger) -> None:
        names = ("asha", "Asha", "asha ", "\xe1sha", "a\u0301sha")
        for name in names:
            assert give(ledger, name, cap=None).filled[0].was_there is False, name
        assert sorted(holders(ledger)) == sorted(names)
