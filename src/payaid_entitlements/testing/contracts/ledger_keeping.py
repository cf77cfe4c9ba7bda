"""Contract: what a ledger keeps can be read, carried elsewhere, folded and forgotten."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.metering.posting import (
    Adjust,
    Assign,
    Balance,
    Hold,
    Line,
    Open,
    Refund,
    Settle,
    Short,
    Slot,
    Take,
)
from payaid_entitlements.errors import UnknownOperation
from payaid_entitlements.stores.ledger import Book, KeptAccount, KeptEntry, Ledger
from payaid_entitlements.testing.contracts.ledger_postings import (
    ACCOUNT,
    DAY,
    NOW,
    SECOND,
    all_entries,
    debit,
    everything,
    use,
    used,
)

#: Long before any operation is remembered, by a real clock.
OLD = NOW - 400 * DAY


def fill(ledger: Ledger, tenant: str = "acme", *, now: int = NOW) -> None:
    """Do a little of everything."""
    lines = (Line("calls", "w0", 6), Line("credits", "g1", 9, cost=3))
    ledger.post(tenant, [debit(8, *lines)], operation="op-1", digest="d", now=now)
    ledger.post(tenant, [Refund("op-1", (("calls", 3),))], now=now + 1)
    for number in (1, 2):
        ledger.post(tenant, [Hold(debit(2), SECOND)], operation=f"hold-{number}", now=now + 2)
    ledger.post(tenant, [Settle("hold-1", 1)], now=now + 3)
    ledger.post(tenant, [Adjust(Line("mails", "w0", None), -2)], operation="op-2", now=now + 4)
    ledger.post(tenant, [Open(("mails", "r0"), 7)], now=now + 5)
    ledger.post(tenant, [Assign("seats", "asha", 2, expires_in=SECOND)], now=now + 6)
    ledger.post(tenant, [Assign("seats", "bina", 2)], now=now + 7)


def summed(book: Book, entries: list[KeptEntry]) -> dict[tuple[str, str], tuple[int, int]]:
    """What entries, and what was folded of others, add up to by account."""
    sums = {(each.meter, each.lot): (each.folded, 0) for each in book.accounts}
    for entry in entries:
        for take in entry.takes:
            used, held = sums[take.meter, take.lot]
            sums[take.meter, take.lot] = used + take.used, held + take.held
    return {key: sums[key] for key in sums if key[1] != "slots"}


class Keeping:
    """`Ledger.entries`, `tenants`, `book`, `prune`, `forget` and `restore`."""

    def test_an_act_is_kept(self, ledger: Ledger) -> None:
        ledger.post("acme", [debit(3)], operation="op-1", digest="d", now=NOW)
        (entry,) = all_entries(ledger)
        assert (entry.tenant, entry.operation, entry.part, entry.kind) == ("acme", "op-1", 0, "debit")
        assert (entry.digest, entry.at, entry.takes) == ("d", NOW, (Take("calls", "w0", 3),))

    def test_all_acts_are_listed_in_order(self, ledger: Ledger) -> None:
        fill(ledger)
        kinds = [(entry.operation, entry.part, entry.kind) for entry in all_entries(ledger)]
        assert kinds == [
            ("hold-1", 0, "hold"),
            ("hold-1", 1, "settle"),
            ("hold-2", 0, "hold"),
            ("op-1", 0, "debit"),
            ("op-1", 2, "refund"),
            ("op-2", 0, "adjust"),
        ]
        for limit in (1, 4, 6):
            assert all_entries(ledger, limit=limit) == all_entries(ledger)
        assert all_entries(ledger, "nobody") == []

    def test_the_order_is_that_of_bytes(self, ledger: Ledger) -> None:
        names = ["\U0001d560", "\ue000", "a", "B", "\xe9", "a ", "a\u0301"]
        for name in names:
            use(ledger, 1, name, tenant=name)
            use(ledger, 1, name)
        by_bytes = sorted(names, key=str.encode)
        assert [entry.operation for entry in all_entries(ledger, limit=2)] == by_bytes
        assert ledger.tenants() == sorted([*names, "acme"], key=str.encode)
        paged: list[str] = []
        page = ledger.tenants(limit=3)
        while page:
            paged += page
            page = ledger.tenants(after=paged[-1], limit=3)
        assert paged == ledger.tenants()

    def test_the_book_has_all_of_a_tenant(self, ledger: Ledger) -> None:
        fill(ledger)
        fill(ledger, "beta")
        book = ledger.book("acme")
        assert sorted(book.accounts, key=lambda each: (each.meter, each.lot)) == [
            KeptAccount("acme", "calls", "w0", Balance(6, 2, 10)),
            KeptAccount("acme", "credits", "g1", Balance(0, 0, 9)),
            KeptAccount("acme", "mails", "r0", Balance(0, 0, 7, True)),
            KeptAccount("acme", "mails", "w0", Balance(-2, 0, None)),
            KeptAccount("acme", "seats", "slots", Balance(2, 0, 2)),
        ]
        hold = ledger.hold("acme", "hold-2", now=NOW)
        assert book.holds == (hold,)
        slots = {Slot("seats", "asha", NOW + 6, NOW + 6 + SECOND), Slot("seats", "bina", NOW + 7)}
        assert set(book.slots) == slots
        assert ledger.book("nobody") == Book()

    def test_balances_are_the_sum_of_the_acts(self, ledger: Ledger) -> None:
        fill(ledger)
        book, entries = everything(ledger)
        balances = {(each.meter, each.lot): (each.balance.used, each.balance.held) for each in book.accounts}
        del balances["seats", "slots"]
        assert summed(book, entries) == balances

    def test_reading_changes_nothing(self, ledger: Ledger) -> None:
        fill(ledger)
        before = everything(ledger)
        late = NOW + 9 * SECOND
        ledger.balances("acme", [ACCOUNT], now=late)
        ledger.hold("acme", "hold-2", now=late)
        ledger.slots("acme", now=late)
        ledger.balances("nobody", [ACCOUNT], now=late)
        assert everything(ledger) == before
        assert ledger.tenants() == ["acme"]

    def test_who_was_refused_is_not_kept(self, ledger: Ledger) -> None:
        use(ledger, 11, "op-1")
        with pytest.raises(UnknownOperation):
            ledger.post("acme", [Settle("nothing")], now=NOW)
        assert ledger.tenants() == []

    def test_old_acts_are_folded(self, ledger: Ledger) -> None:
        fill(ledger, now=OLD)
        use(ledger, 1, "op-9", now=OLD + 9)
        before = ledger.book("acme")
        assert ledger.prune(OLD + DAY) == 6
        book, entries = everything(ledger)
        # A hold that is open stays what it is.
        assert [(entry.operation, entry.part) for entry in entries] == [("hold-2", 0)]
        assert [(each.meter, each.lot, each.balance) for each in book.accounts] == [
            (each.meter, each.lot, each.balance) for each in before.accounts
        ]
        balances = {(each.meter, each.lot): (each.balance.used, each.balance.held) for each in book.accounts}
        del balances["seats", "slots"]
        assert summed(book, entries) == balances
        with pytest.raises(UnknownOperation):
            ledger.post("acme", [Refund("op-1")], now=NOW)
        assert not use(ledger, 1, "op-1").replayed

    def test_the_oldest_are_folded_first_and_young_ones_never(self, ledger: Ledger) -> None:
        assert ledger.keeps_for >= 32 * DAY
        young = ledger.post("acme", [debit(1)], operation="op-0", digest="1").at
        for number in range(4):
            use(ledger, 1, f"op-{number + 1}", now=OLD + number)
        use(ledger, 1, "op-1", tenant="beta", now=OLD)
        assert ledger.prune(OLD) == 0
        # Acts at the instant itself stay.
        assert ledger.prune(OLD + 1) == 2
        assert ledger.tenants() == ["acme", "beta"]
        assert ledger.prune(young + DAY, limit=1) == 1
        assert [entry.operation for entry in all_entries(ledger)] == ["op-0", "op-3", "op-4"]
        assert ledger.prune(young + DAY) == 2
        assert ledger.prune(young + DAY) == 0
        assert [entry.operation for entry in all_entries(ledger)] == ["op-0"]
        assert used(ledger) == (5, 0)

    def test_an_operation_is_folded_as_a_whole(self, ledger: Ledger) -> None:
        use(ledger, 5, "op-1", now=OLD)
        use(ledger, 1, "op-2", now=OLD)
        refund = ledger.post("acme", [Refund("op-1")])
        assert ledger.prune(refund.at + DAY) == 1
        assert [(entry.operation, entry.part) for entry in all_entries(ledger)] == [("op-1", 0), ("op-1", 2)]
        assert use(ledger, 5, "op-1").replayed
        assert ledger.post("acme", [Refund("op-1")]).replayed

    def test_a_tenant_is_forgotten(self, ledger: Ledger) -> None:
        fill(ledger)
        fill(ledger, "Acme")
        other = everything(ledger, "Acme")
        ledger.forget("acme")
        assert everything(ledger) == (Book(), [])
        assert ledger.tenants() == ["Acme"]
        assert everything(ledger, "Acme") == other
        ledger.forget("acme")
        assert not use(ledger, 10, "op-1").replayed

    def test_what_one_ledger_kept_another_goes_on_with(self, ledger: Ledger) -> None:
        fill(ledger)
        use(ledger, 1, "op-3", now=OLD)
        ledger.prune(OLD + DAY)
        book, entries = everything(ledger)
        ledger.forget("acme")
        ledger.restore("acme", book, iter(entries))
        assert everything(ledger) == (book, entries)
        ledger.restore("acme", book, entries)
        assert everything(ledger) == (book, entries)
        assert ledger.post("acme", [debit(8)], operation="op-1", digest="d", now=NOW).replayed
        assert ledger.post("acme", [Settle("hold-1", 1)], now=NOW).replayed
        assert ledger.post("acme", [Settle("hold-2")], now=NOW).filled[0].amount == 2
        assert ledger.post("acme", [Assign("seats", "bina", 2)], now=NOW).filled[0].was_there
        assert ledger.post("acme", [Assign("seats", "chetan", 2)], now=NOW + 7).short is not None

    def test_what_is_there_stays_as_it_is(self, ledger: Ledger) -> None:
        fill(ledger)
        book, entries = everything(ledger)
        use(ledger, 1, "op-3")
        ledger.post("acme", [Assign("seats", "chetan", None)], now=NOW + 8)
        late = everything(ledger)
        ledger.restore("acme", book, entries)
        assert everything(ledger) == late

    def test_nothing_is_restored_of_nothing(self, ledger: Ledger) -> None:
        ledger.restore("acme", Book(), [])
        assert everything(ledger) == (Book(), [])
        ledger.post("acme", [debit(1, short=Short.CAP)], operation="op-1", now=NOW)
        assert used(ledger) == (1, 0)
