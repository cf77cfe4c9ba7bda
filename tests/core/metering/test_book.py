"""Which rows a posting must see, and what is written of them: the parts of the book that no ledger shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.metering.book import accounts, needs, post
from payaid_entitlements.core.metering.encoding import debit_data, debit_from, posted_data, posted_from
from payaid_entitlements.core.metering.kept import KeptHold
from payaid_entitlements.core.metering.posting import (
    OPENED,
    Adjust,
    Assign,
    Balance,
    Debit,
    Extend,
    Hold,
    Line,
    Mark,
    Open,
    Posting,
    Reassign,
    Refund,
    Release,
    Settle,
    Short,
    Slot,
    Take,
    Unassign,
)
from payaid_entitlements.core.metering.rows import Needs, Outcome, Rows, as_of, in_order
from payaid_entitlements.core.metering.spreading import Spread, TooFew, spread
from payaid_entitlements.errors import ConfigurationError, OperationConflict, ReservationExpired

NOW = 1_790_000_000_000_000
W, G, R = Line("calls", "w0", 3), Line("credits", "g1", 7, 3), Line("calls", "r0", OPENED)


def after(rows: Rows, outcome: Outcome) -> Rows:
    """What a ledger has when it has written what came of a posting."""
    return Rows(
        rows.tenant,
        {**rows.accounts, **outcome.accounts},
        {**rows.entries, **{(entry.operation, entry.part): entry for entry in outcome.entries}},
        {key: hold for key, hold in {**rows.holds, **outcome.holds}.items() if hold is not None},
        {key: slot for key, slot in {**rows.slots, **outcome.slots}.items() if slot is not None},
    )


# -- what is to be loaded ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("postings", "needed"),
    [
        ([Debit("calls", 1, (G, W))], Needs((W.account, G.account), (("op", 0),))),
        (
            [Debit("calls", 1, (W,)), Debit("a", 1, (Line("a", "w0", 1),))],
            Needs((("a", "w0"), W.account), (("op", 0),)),
        ),
        ([Hold(Debit("calls", 1, (W, R)), 1)], Needs((R.account, W.account), (("op", 0),))),
        ([Adjust(W, -1)], Needs((W.account,), (("op", 0),))),
        ([Settle("h")], Needs((), (("h", 0), ("h", 1)), ("h",))),
        ([Release("h")], Needs((), (("h", 0), ("h", 1)), ("h",))),
        ([Extend("h", 1)], Needs((), (("h", 0), ("h", 1)), ("h",))),
        ([Refund("h")], Needs((), (("h", 0), ("h", 1), ("h", 2)), ("h",))),
        ([Open(("calls", "r0"), 3)], Needs((("calls", "r0"),))),
        ([Assign("seats", "b", 1)], Needs((("seats", "slots"),), slots=(("seats", "b"),), feature="seats")),
        ([Unassign("seats", "b")], Needs((("seats", "slots"),), slots=(("seats", "b"),), feature="seats")),
        (
            [Reassign("seats", "b", "a")],
            Needs((("seats", "slots"),), slots=(("seats", "a"), ("seats", "b")), feature="seats"),
        ),
    ],
)
def test_what_must_be_seen(postings: list[Posting], needed: Needs):
    assert needs(postings, "op") == needed


def test_accounts_are_locked_in_one_order_which_is_that_of_bytes():
    names = ["\U0001d560", "\ue000", "a", "B", "a"]
    assert [each[0] for each in in_order((name, "w0") for name in names)] == ["B", "a", "\ue000", "\U0001d560"]
    assert in_order([("a", "\U0001d560"), ("a", "\ue000")]) == (("a", "\ue000"), ("a", "\U0001d560"))


def test_accounts_of_holds_and_entries_must_be_seen_too():
    rows = Rows("acme")
    hold = Hold(Debit("calls", 1, (W, G)), 5)
    rows = after(rows, post(rows, [hold], "h", None, NOW))
    rows = after(rows, post(rows, [Debit("mails", 1, (Line("mails", "w0", 1),))], "op", None, NOW))
    assert accounts(needs([Settle("h")], None), replace(rows, entries={})) == (W.account, G.account)
    mine = {("op", 0): rows.entries["op", 0]}
    assert accounts(needs([Refund("op")], None), replace(rows, entries=mine, holds={})) == (("mails", "w0"),)


def test_rows_stay_as_they_were_loaded():
    rows = Rows("acme", {W.account: Balance(1, 0, 3)}, {}, {}, {("seats", "a"): Slot("seats", "a", 0, NOW)})
    before = repr(rows)
    outcome = post(rows, [Debit("calls", 2, (W,))], "op", None, NOW)
    assert outcome.is_change
    assert repr(rows) == before


def test_what_was_short_changes_nothing_but_what_has_expired():
    rows = Rows("acme")
    rows = after(rows, post(rows, [Hold(Debit("calls", 1, (W,)), 5)], "h", None, NOW))
    short = post(rows, [Debit("calls", 3, (W,))], "op", None, NOW + 4)
    assert short.posted.short is not None
    assert not short.is_change
    short = post(rows, [Debit("calls", 4, (W,))], "op", None, NOW + 5)
    assert short.posted.short is not None
    assert short.posted.short.room == 3
    assert short.accounts == {W.account: Balance(0, 0, 3)}
    assert short.holds == {"h": None}
    assert [(entry.operation, entry.part, entry.kind) for entry in short.entries] == [("h", 1, "expire")]


def test_a_repetition_changes_nothing_at_all():
    rows = Rows("acme")
    rows = after(rows, post(rows, [Hold(Debit("calls", 1, (W,)), 5)], "h", None, NOW))
    again = post(rows, [Hold(Debit("calls", 1, (W,)), 5)], "h", None, NOW + 9)
    assert again.posted.replayed
    assert not again.is_change


def test_one_that_has_lost_its_hold_charges_nothing():
    # As a backup that was cut by hand: the act is there, the hold is not, and nobody knows what became of it.
    rows = Rows("acme")
    rows = after(rows, post(rows, [Hold(Debit("calls", 1, (W,)), 5)], "h", None, NOW))
    with pytest.raises(ReservationExpired):
        post(replace(rows, holds={}), [Settle("h")], None, None, NOW)


def test_an_event_is_known_again():
    rows, marked = Rows("acme"), Debit("calls", 3, (W,), marks=(Mark("calls", 2), Mark("calls", 3)))
    first = post(rows, [marked], "op", None, NOW)
    assert first.events == post(rows, [marked], "op", None, NOW).events
    other = post(replace(rows, tenant="beta"), [marked], "op", None, NOW)
    later = post(rows, [marked], "op", None, NOW + 1)
    named = [event.id for outcome in (first, other, later) for event in outcome.events]
    assert len(set(named)) == 6
    assert max(named[:4]) < min(named[4:])


def test_what_was_settled_is_told_by_the_name_of_the_hold():
    rows, marked = Rows("acme"), Debit("calls", 3, (W,), marks=(Mark("calls", 2),))
    rows = after(rows, post(rows, [Hold(marked, 5)], "h", None, NOW))
    outcome = post(rows, [Settle("h")], "ignored", "ignored", NOW)
    assert [event.operation for event in outcome.events] == ["h"]
    assert [(entry.operation, entry.part, entry.digest) for entry in outcome.entries] == [("h", 1, None)]


def test_caps_are_those_of_the_newest_act_that_took_something():
    rows = Rows("acme")
    rows = after(rows, post(rows, [Hold(Debit("calls", 1, (W, G)), 5)], "h", None, NOW))
    raised = Debit("calls", 1, (replace(W, cap=9),))
    rows = after(rows, post(rows, [raised], "op", None, NOW))
    assert post(rows, [Release("h")], None, None, NOW).accounts[W.account].cap == 9
    settled = post(rows, [Settle("h", 4)], None, None, NOW)
    # The hold's own caps say how far it goes; where nothing was said yet, they are noted.
    assert settled.accounts == {W.account: Balance(3, 0, 9), G.account: Balance(6, 0, 7)}


def test_what_has_expired_does_not_count():
    takes = (Take("calls", "w0", held=2), Take("calls", "w9", held=1))
    hold = KeptHold("acme", "h", Debit("calls", 2, (W,)), takes, NOW, NOW + 5)
    slots = [Slot("seats", "a", NOW, NOW + 5), Slot("seats", "b", NOW), Slot("desks", "a", NOW, NOW + 5)]
    balances = {W.account: Balance(1, 3, 3), ("seats", "slots"): Balance(2)}
    assert as_of(balances, [hold], slots, NOW + 4) == balances
    assert as_of(balances, [hold], slots, NOW + 5) == {W.account: Balance(1, 1, 3), ("seats", "slots"): Balance(1)}


# -- how far a debit goes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("debit", "balances", "expected"),
    [
        (Debit("calls", 3, (W,)), {}, Spread((3,))),
        (Debit("calls", 4, (W,)), {}, TooFew(3)),
        (Debit("calls", 4, (W,), short=Short.CAP), {}, Spread((3,))),
        (Debit("calls", 4, (W,), short=Short.CAP), {W.account: Balance(2, 1)}, TooFew(0)),
        (Debit("calls", 4, (W,), short=Short.OVERFLOW), {}, Spread((3,), 1)),
        (Debit("calls", 6, (W, G)), {}, TooFew(5)),
        (Debit("calls", 5, (W, G)), {W.account: Balance(-1)}, Spread((4, 1))),
        (Debit("calls", 1, (W,)), {W.account: Balance(9)}, TooFew(0)),
        (Debit("calls", 1, (W,), beyond=1), {W.account: Balance(4)}, TooFew(0)),
        (Debit("calls", 2, (W,), beyond=3), {W.account: Balance(3, 1)}, Spread((0,), 2)),
        (Debit("calls", 3, (W,), beyond=3), {W.account: Balance(3, 1)}, TooFew(2)),
        (Debit("calls", 3, (W,), beyond=3, short=Short.CAP), {W.account: Balance(3, 1)}, Spread((0,), 2)),
        (Debit("calls", 1, (W, G), 1, beyond=2), {W.account: Balance(3), G.account: Balance(11)}, TooFew(0)),
        (Debit("calls", 1, (W, G), 1, beyond=2), {W.account: Balance(3), G.account: Balance(10)}, Spread((0, 0), 1)),
        (Debit("calls", 9, (replace(W, cap=None), G), 1), {}, Spread((9, 0))),
        (Debit("calls", 9, (W, replace(G, cap=None))), {}, Spread((3, 6))),
        (Debit("calls", 9, (W,), beyond=None), {W.account: Balance(99)}, Spread((0,), 9)),
        (Debit("calls", 4, (W,), beyond=None, grace=5), {W.account: Balance(1)}, Spread((2,), 2)),
        (Debit("calls", 1, (W,), beyond=None, grace=5), {W.account: Balance(4, over_since=NOW - 4)}, Spread((0,), 1)),
        (Debit("calls", 1, (W,), beyond=None, grace=5), {W.account: Balance(4, over_since=NOW - 5)}, TooFew(0)),
        (Debit("calls", 1, (R,)), {R.account: Balance(1, 0, 2, True)}, Spread((1,))),
        (Debit("calls", 2, (R,)), {R.account: Balance(1, 0, 2, True)}, TooFew(1)),
    ],
)
def test_how_far_it_goes(debit: Debit, balances: dict[tuple[str, str], Balance], expected: Spread | TooFew):
    found = spread(debit, balances, NOW)
    assert found == expected
    if isinstance(found, Spread):
        assert found.amount == sum(found.units) + found.overage <= debit.amount


LINES = st.lists(
    st.builds(
        Line,
        st.just("calls"),
        st.sampled_from(["w0", "g1", "g2", "g3"]),
        st.none() | st.integers(0, 40),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda line: line.account,
).map(tuple)
BALANCES = st.dictionaries(
    st.sampled_from(["w0", "g1", "g2", "g3"]).map(lambda lot: ("calls", lot)),
    st.builds(Balance, st.integers(-20, 60), st.integers(0, 20)),
)


@given(lines=LINES, balances=BALANCES, amount=st.integers(1, 30), short=st.sampled_from([Short.REJECT, Short.CAP]))
def test_no_lot_goes_beyond_a_hard_limit(lines, balances, amount, short):
    rows = Rows("acme", balances)
    outcome = post(rows, [Debit("calls", amount, lines, short=short)], "op", None, NOW)
    caps = {line.account: line.cap for line in lines}
    for account, balance in outcome.accounts.items():
        cap = caps[account]
        assert cap is None or balance.used + balance.held <= cap
    if outcome.posted.short is None:
        (filled,) = outcome.posted.filled
        taken = sum(take.used // take.cost for take in filled.takes)
        assert filled.overage == 0
        assert taken == filled.amount <= amount
        assert filled.amount == amount or short is Short.CAP
    else:
        assert outcome.posted.short.room < amount
        assert short is Short.REJECT or outcome.posted.short.room == 0
        assert not outcome.is_change


@given(
    lines=LINES,
    balances=BALANCES,
    amount=st.integers(1, 30),
    sink=st.integers(0, 3),
    settled=st.none() | st.integers(0, 40),
    back=st.integers(1, 40),
)
@settings(max_examples=200)
def test_entries_add_up_and_what_is_given_back_is_as_if_it_never_was(lines, balances, amount, sink, settled, back):
    rows = Rows("acme", {key: replace(balance, held=0) for key, balance in balances.items()})
    debit = Debit("calls", amount, lines, sink % len(lines), short=Short.OVERFLOW)
    before = rows.accounts
    rows = after(rows, post(rows, [Hold(debit, 5)], "h", None, NOW))
    rows = after(rows, post(rows, [Settle("h", settled)], None, None, NOW))
    used = amount if settled is None else settled
    part = (("calls", min(back, used)),) if used else None
    parted = after(rows, post(rows, [Refund("h", part)], None, None, NOW))
    rows = after(rows, post(rows, [Refund("h")], None, None, NOW))
    for found, left in ((rows, 0), (parted, used - min(back, used))):
        sums = {account: [before.get(account, Balance()).used, 0] for account in found.accounts}
        for entry in found.entries.values():
            for take in entry.takes:
                sums[take.meter, take.lot][0] += take.used
                sums[take.meter, take.lot][1] += take.held
        assert sums == {account: [each.used, each.held] for account, each in found.accounts.items()}
        costs = {line.account: line.cost for line in lines}
        taken = [
            (balance.used - before.get(account, Balance()).used) // costs[account]
            for account, balance in found.accounts.items()
            if account in costs
        ]
        assert sum(taken) == left


@given(
    lines=LINES, amount=st.integers(1, 30), beyond=st.none() | st.integers(0, 9), grace=st.none() | st.integers(0, 9)
)
def test_what_is_written_reads_the_same(lines, amount, beyond, grace):
    marks = (Mark("calls", 2), Mark("calls", 9))
    debit = Debit("calls", amount, lines, 0, beyond, grace, Short.OVERFLOW, marks)
    assert debit_from(debit_data(debit)) == debit
    posted = post(Rows("acme"), [debit], "op", None, NOW).posted
    assert posted_from(posted_data(posted), replayed=False) == posted
    assert posted_from(posted_data(posted)) == replace(posted, replayed=True)


# -- what is refused ---------------------------------------------------------------------------------------------------

ONE = Debit("calls", 1, (W,))


@pytest.mark.parametrize(
    ("postings", "error", "says"),
    [
        ([], ConfigurationError, "nothing to post"),
        (["debit"], TypeError, "is no posting"),
        ([replace(ONE, amount=10**60)], ConfigurationError, "more than 40 digits"),
        ([replace(ONE, amount=True)], TypeError, "amount is an int, not bool"),
        ([replace(ONE, feature=3)], TypeError, "feature is a str, not int"),
        ([replace(ONE, feature="")], ConfigurationError, "feature is empty"),
        ([replace(ONE, lines=())], ConfigurationError, "has no lines"),
        ([replace(ONE, lines=("w0",))], TypeError, "is no Line"),
        ([replace(ONE, lines=(W, W))], ConfigurationError, "come twice"),
        ([replace(ONE, lines=(replace(W, meter=""),))], ConfigurationError, "meter is empty"),
        ([replace(ONE, lines=(replace(W, lot=None),))], TypeError, "lot is a str"),
        ([replace(ONE, lines=(replace(W, lot="slots"),))], ConfigurationError, "only Assign and Unassign"),
        ([replace(ONE, lines=(replace(W, cap=-1),))], ConfigurationError, "cap is -1"),
        ([replace(ONE, lines=(replace(W, cap="open"),))], TypeError, "cap is an int, not str"),
        ([replace(ONE, lines=(replace(W, cost=0),))], ConfigurationError, "cost is 0"),
        ([replace(ONE, sink=1)], ConfigurationError, "sink is 1"),
        ([replace(ONE, sink=-1)], ConfigurationError, "sink is -1"),
        ([replace(ONE, beyond=-1)], ConfigurationError, "beyond is -1"),
        ([replace(ONE, grace=1.5)], TypeError, "grace is an int"),
        ([replace(ONE, short="reject")], TypeError, "short is a Short"),
        ([replace(ONE, marks=(Mark("calls", 0),))], ConfigurationError, "at of a mark is 0"),
        ([replace(ONE, marks=(Mark("", 1),))], ConfigurationError, "meter of a mark is empty"),
        ([ONE, replace(ONE, lines=(G,))], ConfigurationError, "a feature comes twice"),
        ([ONE, Open(("calls", "r0"), 1)], ConfigurationError, "only debits are posted together"),
        ([Hold(replace(ONE, amount=0), 1)], ConfigurationError, "amount is 0"),
        ([Hold(ONE, 0)], ConfigurationError, "expires_in is 0"),
        ([Hold(ONE, 2**52 + 1)], ConfigurationError, "expires_in"),
        ([Settle("")], ConfigurationError, "operation is empty"),
        ([Settle("h", -1)], ConfigurationError, "actual is -1"),
        ([Release(None)], TypeError, "operation is a str"),
        ([Extend("h", 0)], ConfigurationError, "by is 0"),
        ([Extend(3, 1)], TypeError, "operation is a str"),
        ([Refund(3)], TypeError, "operation is a str"),
        ([Refund("h", ())], ConfigurationError, "by feature"),
        ([Refund("h", (("calls", 1), ("calls", 1)))], ConfigurationError, "each once"),
        ([Refund("h", (("calls", 0),))], ConfigurationError, "amount is 0"),
        ([Refund("h", ((3, 1),))], TypeError, "feature is a str"),
        ([Adjust(W, 0)], ConfigurationError, "corrects nothing"),
        ([Adjust(W, -(2**53))], ConfigurationError, "amount is"),
        ([Adjust(replace(W, cost=0), 1)], ConfigurationError, "cost is 0"),
        ([Adjust(W, 1, (Mark("calls", True),))], TypeError, "at of a mark"),
        ([Open(("calls", "slots"), 1)], ConfigurationError, "only Assign"),
        ([Open(("calls", "r0"), None)], TypeError, "cap is an int"),
        ([Assign("", "a", 1)], ConfigurationError, "feature is empty"),
        ([Assign("seats", "a", -1)], ConfigurationError, "cap is -1"),
        ([Assign("seats", "a", 1, -1)], ConfigurationError, "beyond is -1"),
        ([Assign("seats", "a", 1, 0, 0)], ConfigurationError, "expires_in is 0"),
        ([Unassign("seats", "")], ConfigurationError, "holder is empty"),
        ([Reassign("seats", "a", None)], TypeError, "to is a str"),
        ([Reassign("seats", None, "a")], TypeError, "holder is a str"),
    ],
)
def test_what_is_no_posting_is_refused(postings, error, says):
    with pytest.raises(error, match=says) as raised:
        needs(postings, "op")
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("posting", "operation", "error"),
    [
        (ONE, None, ConfigurationError),
        (Hold(ONE, 1), None, ConfigurationError),
        (Adjust(W, 1), None, ConfigurationError),
        (ONE, "", ConfigurationError),
        (ONE, 3, TypeError),
    ],
)
def test_what_moves_units_is_an_operation(posting, operation, error):
    with pytest.raises(error):
        needs([posting], operation)


def test_the_largest_and_the_smallest_can_be_posted():
    for posting in (
        replace(ONE, amount=2**53 - 1, beyond=2**53 - 1, grace=0, lines=(replace(W, cap=2**53 - 1, cost=2**53 - 1),)),
        Hold(ONE, 2**52),
        Adjust(W, -(2**53) + 1),
        Open(("calls", "r0"), 0),
        Open(("calls", "r0"), 2**53 - 1),
        Settle("h", 0),
        Extend("h", 2**52),
        Assign("seats", "a", 0, None, 2**52),
    ):
        assert needs([posting], "op") is not None


def test_settled_otherwise_or_extended_for_ever_it_is_refused():
    rows = Rows("acme")
    rows = after(rows, post(rows, [Hold(ONE, 5)], "h", None, NOW))
    with pytest.raises(ConfigurationError, match="never expire"):
        longer = after(rows, post(rows, [Extend("h", 2**52)], None, None, NOW))
        post(longer, [Extend("h", 2**52)], None, None, NOW)
    rows = after(rows, post(rows, [Settle("h")], None, None, NOW))
    with pytest.raises(OperationConflict, match="settled before, with 1 and not 0"):
        post(rows, [Settle("h", 0)], None, None, NOW)


def test_more_than_can_be_counted_is_refused():
    for balance, posting in (
        (Balance(2**53 - 1), replace(ONE, short=Short.OVERFLOW)),
        (Balance(0, 2**53 - 1), replace(ONE, short=Short.OVERFLOW)),
        (Balance(1 - 2**53), Adjust(W, -1)),
    ):
        with pytest.raises(ConfigurationError, match="counts to 9007199254740991"):
            post(Rows("acme", {W.account: balance}), [posting], "op", None, NOW)
