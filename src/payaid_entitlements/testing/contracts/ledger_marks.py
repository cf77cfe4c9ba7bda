"""Contract: others are told of a mark that was reached."""

from __future__ import annotations

from dataclasses import replace

from payaid_entitlements.core.metering.posting import Adjust, Crossing, Hold, Line, Mark, Refund, Settle, Short
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.testing.contracts.ledger_postings import NOW, SECOND, debit, use

MARKS = (Mark("calls", 8), Mark("calls", 10))


def take(ledger: Ledger, amount: int, operation: str, *, tenant: str = "acme", now: int = NOW) -> list[tuple[int, int]]:
    """Use up *amount*; the marks that were reached, and what was used then."""
    posting = debit(amount, marks=MARKS, short=Short.OVERFLOW)
    return told(ledger.post(tenant, [posting], operation=operation, now=now).crossings)


def told(crossings: tuple[Crossing, ...]) -> list[tuple[int, int]]:
    """Marks, and what was used."""
    return [(crossing.mark.at, crossing.used) for crossing in crossings]


class Marks:
    """`Posted.crossings`, `Ledger.claim_events` and `Ledger.drop_events`."""

    def test_a_mark_is_told_when_it_is_reached_and_once(self, ledger: Ledger) -> None:
        assert [take(ledger, amount, f"op-{number}") for number, amount in enumerate((7, 1, 1, 1, 1))] == [
            [],
            [(8, 8)],
            [],
            [(10, 10)],
            [],
        ]

    def test_several_at_once_are_told_together(self, ledger: Ledger) -> None:
        assert take(ledger, 12, "op-1") == [(8, 12), (10, 12)]

    def test_repeated_it_says_the_same_and_tells_nobody_again(self, ledger: Ledger) -> None:
        take(ledger, 12, "op-1")
        assert take(ledger, 12, "op-1") == [(8, 12), (10, 12)]
        assert len(ledger.claim_events(10, SECOND, now=NOW)) == 2

    def test_what_is_used_of_all_lines_counts(self, ledger: Ledger) -> None:
        lines = (Line("calls", "w0", 6), Line("credits", "g1", 4, cost=2), Line("calls", "g2", 6))
        marks = (Mark("calls", 8), Mark("credits", 4), Mark("mails", 1))
        posted = ledger.post("acme", [debit(8, *lines, marks=marks)], operation="op-1", now=NOW)
        assert posted.crossings == (Crossing(Mark("credits", 4), 4),)
        posted = ledger.post("acme", [debit(2, *lines, marks=marks)], operation="op-2", now=NOW)
        assert posted.crossings == (Crossing(Mark("calls", 8), 8),)

    def test_after_falling_it_is_told_again(self, ledger: Ledger) -> None:
        take(ledger, 9, "op-1")
        refunded = ledger.post("acme", [Refund("op-1", (("calls", 2),))], now=NOW)
        assert refunded.crossings == ()
        assert take(ledger, 1, "op-2") == [(8, 8)]

    def test_what_is_held_reaches_nothing_until_it_is_used(self, ledger: Ledger) -> None:
        held = ledger.post("acme", [Hold(debit(9, marks=MARKS), SECOND)], operation="hold-1", now=NOW)
        assert held.crossings == ()
        settled = ledger.post("acme", [Settle("hold-1", 11)], now=NOW)
        assert told(settled.crossings) == [(8, 11), (10, 11)]
        assert [event.operation for event in ledger.claim_events(10, SECOND, now=NOW)] == ["hold-1"] * 2

    def test_a_correction_reaches_them_too(self, ledger: Ledger) -> None:
        use(ledger, 7, "op-1")
        posting = Adjust(Line("calls", "w0", 10), 2, MARKS)
        assert told(ledger.post("acme", [posting], operation="op-2", now=NOW).crossings) == [(8, 9)]

    def test_what_was_short_tells_nobody(self, ledger: Ledger) -> None:
        postings = [debit(9, marks=MARKS), debit(1, feature="mails", cap=0)]
        posted = ledger.post("acme", postings, operation="op-1", now=NOW)
        assert posted.crossings == ()
        assert ledger.claim_events(10, SECOND, now=NOW) == []

    def test_it_waits_until_it_is_told(self, ledger: Ledger) -> None:
        take(ledger, 8, "op-1", now=NOW)
        take(ledger, 9, "op-2", tenant="beta", now=NOW + 1)
        take(ledger, 2, "op-3", now=NOW + 2)
        (first,) = ledger.claim_events(1, SECOND, now=NOW + 3)
        assert (first.tenant, first.operation, first.at) == ("acme", "op-1", NOW)
        assert first.crossing == Crossing(MARKS[0], 8)
        rest = ledger.claim_events(10, SECOND, now=NOW + 3)
        assert [(event.tenant, event.operation) for event in rest] == [("beta", "op-2"), ("acme", "op-3")]
        assert sorted(event.id for event in [first, *rest]) == [event.id for event in [first, *rest]]
        assert ledger.claim_events(10, SECOND, now=NOW + 3 + SECOND - 1) == []
        again = ledger.claim_events(10, SECOND, now=NOW + 3 + SECOND)
        assert again == [first, *rest]
        ledger.drop_events([first.id, rest[0].id])
        ledger.drop_events([first.id])
        ledger.drop_events([])
        assert ledger.claim_events(10, SECOND, now=NOW + 9 * SECOND) == [rest[1]]

    def test_claimed_again_it_is_nobody_elses(self, ledger: Ledger) -> None:
        take(ledger, 8, "op-1")
        for at in (NOW, NOW + SECOND, NOW + 2 * SECOND):
            assert len(ledger.claim_events(1, SECOND, now=at)) == 1
            assert ledger.claim_events(1, SECOND, now=at) == []

    def test_marks_are_the_tenants_own(self, ledger: Ledger) -> None:
        take(ledger, 8, "op-1")
        take(ledger, 8, "op-1", tenant="beta")
        ledger.forget("acme")
        (event,) = ledger.claim_events(10, SECOND, now=NOW)
        assert event.tenant == "beta"
        assert replace(event, id="") != event
