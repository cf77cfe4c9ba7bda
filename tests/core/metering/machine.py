"""
Acts in any order on a ledger, each compared with what the naive one says, and with the book's own answer.

It runs on every ledger, on a tenant of its own.

A test asks a fixture for a ledger and calls ``run(ledger, examples=20, steps=30)``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from payaid_entitlements.core.metering.posting import (
    OPENED,
    SLOTS,
    Adjust,
    Assign,
    Debit,
    Extend,
    Hold,
    Line,
    Open,
    Posted,
    Posting,
    Reassign,
    Refund,
    Release,
    Settle,
    Short,
    Unassign,
)
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.memory_ledger import MemoryLedger
from tests.core.metering.naive import Naive, Refusal

NOW = 1_790_000_000_000_000

AMOUNTS = st.integers(1, 7)
CAPS = st.integers(0, 6) | st.none()
BEYOND = st.sampled_from([0, 0, 0, 2, 5, None])
GRACE = st.sampled_from([None, None, 0, 3])
SHORT = st.sampled_from([Short.REJECT, Short.REJECT, Short.CAP, Short.OVERFLOW])
#: One act in eight has the name of one that was done.
AGAIN = st.sampled_from([None] * 7 + [0])
#: Which of the acts that were done: counted from the last.
PICKS = st.integers(0, 9)
LIVES = st.integers(1, 5)
HOLDERS = st.sampled_from(["asha", "bina", "chetan", "deepa"])
#: The lots of a feature, but for the window's: which, and at which cost.
LOTS = st.lists(
    st.sampled_from(
        [("calls", "g1", 1), ("calls", "g2", 1), ("credits", "g3", 3), ("credits", "g4", 2), ("calls", "r0", 1)]
    ),
    unique=True,
    max_size=3,
)


def _timeless(answer: Any) -> Any:
    """
    An answer, without when it was first given.

    A hold that has expired is closed by whoever comes by next, and ledgers may look at more or fewer of them.
    """
    return replace(answer, at=0) if isinstance(answer, Posted) and answer.replayed else answer


class LedgerMachine(RuleBasedStateMachine):
    """One tenant, whom nobody else knows."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.memory = MemoryLedger()
        self.tenant = f"tenant-{uuid.uuid4().hex}"
        self.naive = Naive()
        self.now = NOW
        self.window = 0
        self.openings = 0
        self.last: tuple[list[Posting], str, Any] | None = None
        self.accounts = {("calls", "w0")}

    # -- acts, on both -------------------------------------------------------------------------------------------------

    def post(self, postings: list[Posting], operation: str | None = None, asked: Any = None) -> Posted | str:
        """Post; the answer, which is that of the book to the last field, or the name of the error."""
        digest = None if asked is None else repr(asked)
        posted, by_the_book = (
            self.outcome(ledger, postings, operation, digest) for ledger in (self.ledger, self.memory)
        )
        assert _timeless(posted) == _timeless(by_the_book)
        if operation is not None and isinstance(posted, Posted) and posted.filled:
            self.last = list(postings), operation, asked
        return posted

    def outcome(self, ledger: Ledger, postings: list[Posting], operation: str | None, digest: str | None) -> Any:
        """The answer of a ledger."""
        try:
            return ledger.post(self.tenant, postings, operation=operation, digest=digest, now=self.now)
        except EntitlementError as error:
            return type(error).__name__

    def expected(self, act: Callable[..., Any], *args: Any) -> Any:
        """What the naive one says, or the name of the error."""
        try:
            return act(*args)
        except Refusal as refusal:
            return str(refusal)

    def named(self, again: int | None) -> str:
        """What an act is called: nothing that was there, or like the one before it."""
        return f"op-{len(self.naive.acts)}" if again is None else self.done(again)

    def done(self, pick: int, kind: str | None = None) -> str:
        """The name of an act that was done, mostly one of the last; now and then one that nobody knows."""
        found = [name for name, act in self.naive.acts.items() if kind in (None, act.kind)]
        return "nothing" if pick == 9 or not found else found[-1 - pick % min(len(found), 4)]

    def hold(self, pick: int) -> str:
        """The name of a hold; now and then of an act that is none."""
        return self.done(pick, None if pick == 8 else "hold")

    def lines(self, lots: list[tuple[str, str, int]], caps: list[int | None], first: int) -> tuple[Line, ...]:
        """Lines with the window's among them, in the order that was drawn."""
        found = [
            Line(meter, lot, OPENED if lot == "r0" else cap, cost)
            for (meter, lot, cost), cap in zip(lots, caps, strict=False)
        ]
        found.insert(first % (len(found) + 1), Line("calls", f"w{self.window}", caps[-1]))
        self.accounts |= {line.account for line in found}
        return tuple(found)

    def compare(self, expected: Any, posted: Posted | str) -> None:
        """Is it the same answer?"""
        match expected, posted:
            case str(), str():
                assert posted == expected
            case ("short", index, room), Posted(short=short) if short is not None:
                assert (short.index, short.room) == (index, room)
            case ("unopened", accounts), Posted(unopened=unopened):
                assert list(unopened) == accounts
            case list(), Posted(filled=filled) if filled:
                assert [(each.feature, each.amount, each.overage) for each in filled] == expected
            case _:
                raise AssertionError(f"expected {expected}, got {posted}")

    @rule(
        operation=AGAIN,
        amount=AMOUNTS,
        lots=LOTS,
        caps=st.lists(CAPS, min_size=4, max_size=4),
        first=st.integers(0, 3),
        sink=st.integers(0, 3),
        beyond=BEYOND,
        grace=GRACE,
        short=SHORT,
    )
    def consume(self, operation, amount, lots, caps, first, sink, beyond, grace, short):
        operation = self.named(operation)
        lines = self.lines(lots, caps, first)
        debit = Debit("calls", amount, lines, sink % len(lines), beyond, grace, short)
        asked = [amount, short.value]
        self.compare(
            self.expected(self.naive.debit, operation, asked, [debit], self.now), self.post([debit], operation, asked)
        )

    @rule(operation=AGAIN, amounts=st.tuples(AMOUNTS, AMOUNTS), caps=st.tuples(CAPS, CAPS), short=SHORT)
    def consume_two(self, operation, amounts, caps, short):
        operation = self.named(operation)
        debits: list[Posting] = [
            Debit("calls", amounts[0], (Line("calls", f"w{self.window}", caps[0]),), short=short),
            Debit("mails", amounts[1], (Line("credits", "g3", caps[1], 2),), short=short),
        ]
        self.accounts |= {("credits", "g3")}
        asked = [amounts, short.value]
        self.compare(
            self.expected(self.naive.debit, operation, asked, debits, self.now), self.post(debits, operation, asked)
        )

    @rule(
        operation=AGAIN,
        amounts=st.tuples(AMOUNTS, AMOUNTS),
        lots=st.tuples(LOTS, LOTS),
        caps=st.lists(CAPS, min_size=4, max_size=4),
        others=st.lists(CAPS, min_size=4, max_size=4),
        sinks=st.tuples(st.integers(0, 3), st.integers(0, 3)),
        beyond=BEYOND,
        grace=GRACE,
        short=SHORT,
    )
    def consume_two_that_share(self, operation, amounts, lots, caps, others, sinks, beyond, grace, short):
        operation = self.named(operation)
        lines = [self.lines(each, these, 0) for each, these in zip(lots, (caps, others), strict=True)]
        debits: list[Posting] = [
            Debit(feature, amount, mine, sink % len(mine), beyond, grace, short)
            for feature, amount, mine, sink in zip(("calls", "mails"), amounts, lines, sinks, strict=True)
        ]
        asked = ["shared", amounts, short.value]
        self.compare(
            self.expected(self.naive.debit, operation, asked, debits, self.now), self.post(debits, operation, asked)
        )

    @rule(
        operation=AGAIN,
        amount=AMOUNTS,
        lots=LOTS,
        caps=st.lists(CAPS, min_size=4, max_size=4),
        first=st.integers(0, 3),
        sink=st.integers(0, 3),
        beyond=BEYOND,
        short=SHORT,
        life=LIVES,
    )
    def reserve(self, operation, amount, lots, caps, first, sink, beyond, short, life):
        operation = self.named(operation)
        lines = self.lines(lots, caps, first)
        debit = Debit("calls", amount, lines, sink % len(lines), beyond, short=short)
        asked = ["hold", amount]
        expected = self.expected(self.naive.debit, operation, asked, [debit], self.now, life)
        self.compare(expected, self.post([Hold(debit, life)], operation, asked))

    @precondition(lambda self: self.naive.acts)
    @rule(operation=PICKS, actual=st.integers(0, 9) | st.none())
    def settle(self, operation, actual):
        operation = self.hold(operation)
        expected = self.expected(self.naive.settle, operation, actual, self.now)
        posted = self.post([Settle(operation, actual)])
        assert expected == (posted if isinstance(posted, str) else posted.filled[0].amount)

    @precondition(lambda self: self.naive.acts)
    @rule(operation=PICKS)
    def release(self, operation):
        operation = self.hold(operation)
        expected = self.expected(self.naive.release, operation, self.now)
        posted = self.post([Release(operation)])
        assert expected == (posted if isinstance(posted, str) else "free")

    @precondition(lambda self: self.naive.acts)
    @rule(operation=PICKS, by=LIVES)
    def extend(self, operation, by):
        operation = self.hold(operation)
        expected = self.expected(self.naive.extend, operation, by, self.now)
        posted = self.post([Extend(operation, by)])
        assert expected == (posted if isinstance(posted, str) else posted.filled[0].expires)

    @precondition(lambda self: self.naive.acts)
    @rule(
        operation=PICKS,
        amounts=st.none()
        | st.just({"calls": 1})
        | st.dictionaries(st.sampled_from(["calls", "mails"]), AMOUNTS, min_size=1),
    )
    def refund(self, operation, amounts):
        operation = self.done(operation)
        expected = self.expected(self.naive.refund, operation, amounts, self.now)
        posted = self.post([Refund(operation, None if amounts is None else tuple(amounts.items()))])
        if not isinstance(posted, str):
            posted = {each.feature: each.amount for each in posted.filled if each.amount}
        assert expected == posted

    @rule(operation=AGAIN, amount=st.integers(-5, 5).filter(bool), lots=LOTS, cap=CAPS)
    def adjust(self, operation, amount, lots, cap):
        operation = self.named(operation)
        line = self.lines(lots, [cap] * 4, 0)[-1]
        expected = self.expected(self.naive.adjust, operation, amount, line, amount, self.now)
        posted = self.post([Adjust(line, amount)], operation, amount)
        if isinstance(posted, Posted) and posted.filled:
            assert expected == posted.filled[0].amount
        else:
            self.compare(expected, posted)

    @precondition(lambda self: self.last is not None and self.last[1] in self.naive.acts)
    @rule(as_another=st.sampled_from([False, False, True]))
    def repeat(self, as_another):
        postings, operation, asked = self.last
        act = self.naive.acts[operation]
        posted = self.post(postings, operation, [asked] if as_another else asked)
        if as_another:
            assert posted == "OperationConflict"
        else:
            assert posted.replayed
            assert act.said in (
                posted.filled[0].amount,
                [(each.feature, each.amount, each.overage) for each in posted.filled],
            )

    @precondition(lambda self: len(self.naive.acts) > 2 * self.openings)
    @rule(cap=st.integers(0, 6))
    def open(self, cap):
        self.openings += 1
        self.accounts |= {("calls", "r0")}
        posted = self.post([Open(("calls", "r0"), cap)])
        assert isinstance(posted, Posted)
        (filled,) = posted.filled
        assert self.naive.open(("calls", "r0"), cap, self.now) == (filled.was_there, filled.balances[0].cap)

    @rule(holder=HOLDERS, cap=st.integers(0, 3) | st.none(), beyond=BEYOND, life=LIVES | st.none())
    def assign(self, holder, cap, beyond, life):
        posted = self.post([Assign("seats", holder, cap, beyond, life)])
        assert isinstance(posted, Posted)
        found = ("full", posted.short.frees_at) if posted.short is not None else ("given", posted.filled[0].was_there)
        assert found == self.naive.assign("seats", holder, cap, beyond, life, self.now)

    @precondition(lambda self: self.naive.seats)
    @rule(holder=HOLDERS)
    def unassign(self, holder):
        posted = self.post([Unassign("seats", holder)])
        assert isinstance(posted, Posted)
        assert posted.filled[0].was_there == self.naive.unassign("seats", holder, self.now)

    @precondition(lambda self: self.naive.seats)
    @rule(holder=HOLDERS, to=HOLDERS)
    def reassign(self, holder, to):
        expected = self.expected(self.naive.reassign, "seats", holder, to, self.now)
        posted = self.post([Reassign("seats", holder, to)])
        assert expected == (posted if isinstance(posted, str) else "there" if posted.filled[0].was_there else "handed")

    @rule(by=st.integers(1, 4))
    def wait(self, by):
        self.now += by

    @rule()
    def reset(self):
        """A new window begins: a lot that nobody has used."""
        self.window += 1
        self.accounts.add(("calls", f"w{self.window}"))

    # -- what must be so at any time -----------------------------------------------------------------------------------

    @invariant()
    def counts_the_same(self):
        accounts = sorted(self.accounts)
        balances = self.ledger.balances(self.tenant, accounts, now=self.now)
        found = {
            account: (balances[account].used, balances[account].held) if account in balances else (0, 0)
            for account in accounts
        }
        assert found == self.naive.balances(accounts, self.now)
        over = {account: each.over_since for account, each in balances.items() if each.over_since is not None}
        assert over == self.naive.over

    @invariant()
    def seats_the_same(self):
        slots = {slot.holder: (slot.since, slot.expires) for slot in self.ledger.slots(self.tenant, now=self.now)}
        assert slots == self.naive.seated("seats", self.now)
        account = ("seats", SLOTS)
        balance = self.ledger.balances(self.tenant, [account], now=self.now).get(account)
        assert (0 if balance is None else balance.used) == len(slots)

    def teardown(self):
        """Balances are the sum of all acts, and holds those of the entries."""
        entries = self.ledger.entries(self.tenant, limit=10_000)
        book = self.ledger.book(self.tenant)
        sums: dict[tuple[str, str], list[int]] = {}
        for entry in entries:
            for take in entry.takes:
                total = sums.setdefault((take.meter, take.lot), [0, 0])
                total[0] += take.used
                total[1] += take.held
        found = {(each.meter, each.lot): [each.balance.used, each.balance.held] for each in book.accounts}
        for account, balance in found.items():
            if account[1] != SLOTS:
                assert balance == sums.get(account, [0, 0])
        closed = {entry.operation for entry in entries if entry.part == 1}
        held = {entry.operation for entry in entries if entry.kind == "hold"}
        assert {hold.operation for hold in book.holds} == held - closed
        self.ledger.forget(self.tenant)


def run(ledger: Ledger, examples: int, steps: int) -> None:
    """Run the machine on *ledger*, which a fixture gave."""
    asked = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(lambda: LedgerMachine(ledger), settings=asked)
