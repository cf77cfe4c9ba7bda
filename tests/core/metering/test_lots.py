"""Lots: which there are, how much each holds, in which order they are burnt, and what happens beyond."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.instant import DAY, instant
from payaid_entitlements.core.metering.carrying import Carry
from payaid_entitlements.core.metering.lots import LIFETIME, UNSOLD, debit
from payaid_entitlements.core.metering.meters import PLAN_PRIORITY, Lot
from payaid_entitlements.core.metering.posting import MOST, OPENED, SLOTS, Balance, Debit, Line, Mark, Short
from payaid_entitlements.core.metering.windows import MONTH
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from tests.core.conftest import NOW, override, sub, tenant, world_of
from tests.core.metering.conftest import COUNTED, counted

WORLD = world_of(COUNTED)
#: 5 September 2026, 15:00 in Kolkata.
ANCHOR = instant(datetime(2026, 9, 5, 9, 30, tzinfo=UTC))
MONTH_END = instant(datetime(2026, 10, 5, 9, 30, tzinfo=UTC))
PRO = tenant(sub("pro", starts=ANCHOR))
#: The same, in its second window.
SECOND = tenant(sub("pro", starts=instant(datetime(2026, 8, 5, 9, 30, tzinfo=UTC))))


def test_an_allowance_of_a_month_is_counted_in_the_month_that_runs():
    """From the billing date, in the lot that is named by when it began."""
    found = counted(PRO, "crm.calls", WORLD, NOW)

    assert found.lines == (Line("crm.calls", f"w{ANCHOR}", 100),)
    assert (found.window.start, found.window.end) == (ANCHOR, MONTH_END)
    assert (found.limit, found.sink, found.beyond, found.grace) == (100, 0, 0, None)
    assert found.is_sold
    assert found.resets_at == datetime(2026, 10, 5, 9, 30, tzinfo=UTC)
    assert debit(found, 3, Short.CAP) == Debit(
        "crm.calls", 3, found.lines, short=Short.CAP, marks=(Mark("crm.calls", 80), Mark("crm.calls", 100))
    )


def test_a_window_ends_for_those_who_come_at_its_end():
    """Half-open: its last microsecond is in it, its end is in the next."""
    assert counted(PRO, "crm.calls", WORLD, MONTH_END - 1).lines[0].lot == f"w{ANCHOR}"
    assert counted(PRO, "crm.calls", WORLD, MONTH_END).lines[0].lot == f"w{MONTH_END}"


@pytest.mark.parametrize(
    ("feature", "beyond", "grace"),
    [
        ("crm.calls", 0, None),
        ("crm.soft", None, None),
        ("crm.until", 5, None),
        ("crm.grace", None, 3 * DAY),
        ("crm.warned", None, None),
    ],
)
def test_what_happens_beyond_is_what_the_feature_says(feature, beyond, grace):
    """110 % of 55 are 60.5: half a unit is none."""
    found = counted(PRO, feature, WORLD, NOW)

    assert (found.beyond, found.grace) == (beyond, grace)


def test_seats_are_held_in_their_own_lot():
    """There is no window, and nothing resets."""
    found = counted(PRO, "seats", WORLD, NOW)

    assert found.lines == (Line("seats", SLOTS, 25),)
    assert (found.window, found.resets_at, found.limit) == (None, None, 25)


def test_what_is_not_sold_has_a_lot_of_nothing():
    """It is where usage is counted while nothing is enforced."""
    found = counted(tenant(sub("bare")), "crm.calls", WORLD, NOW)

    assert found.lines == (Line("crm.calls", UNSOLD, 0),)
    assert (found.limit, found.beyond, found.marks, found.is_sold) == (0, 0, (), False)


# -- several lots -------------------------------------------------------------------------------------------


def lot(
    id: str,
    amount: int = 7,
    *,
    feature: str = "crm.calls",
    priority: int = PLAN_PRIORITY,
    since: int = NOW - DAY,
    until: int | None = None,
    is_promotional: bool = False,
    created: int = NOW - DAY,
) -> Lot:
    """A grant."""
    return Lot(id, feature, amount, priority, since, until, is_promotional, created)


OWN = f"w{ANCHOR}"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lot("z", priority=0), lot("a", until=NOW + 1)),
        (lot("z", until=NOW + 1), lot("a", is_promotional=True)),
        (lot("z", is_promotional=True), lot("a", since=0)),
        (lot("z", since=0), lot("a", created=0)),
        (lot("z", created=0), lot("a")),
        (lot("a"), lot("z")),
    ],
)
def test_the_burn_order_is_one_rule_after_the_other(first, second):
    """Priority, expiry, promotional, beginning, recording, name: each decides what those before leave open."""
    for facts in ((first, second), (second, first)):
        lots = [line.lot for line in counted(PRO, "crm.calls", WORLD, NOW, *facts).lines if line.lot != OWN]
        assert lots == [f"g{first.id}", f"g{second.id}"]


def test_the_window_is_burnt_before_what_never_expires_and_after_what_expires_first():
    """What would be lost first is used first, and what a plan gives ends with its window."""
    found = counted(
        PRO,
        "crm.calls",
        WORLD,
        NOW,
        lot("soon", until=MONTH_END - 1),
        lot("never"),
        lot("with", until=MONTH_END),
        lot("gift", until=MONTH_END, is_promotional=True),
        lot("last", priority=100, until=NOW + 1),
    )

    # Of two that end together the one that comes anew is burnt first: it is short, and there will be another.
    assert [line.lot for line in found.lines] == ["gsoon", "ggift", OWN, "gwith", "gnever", "glast"]
    assert found.sink == 2
    assert found.limit == 100 + 5 * 7


def test_a_grant_counts_from_its_beginning_until_its_end():
    """Half-open, and only for what it was granted for."""
    facts = (lot("a", until=NOW), lot("b", since=NOW + 1), lot("c", since=NOW, until=NOW + 1))
    others = (lot("d", feature="crm.soft"), lot("e", feature="seats"))

    assert [line.lot for line in counted(PRO, "crm.calls", WORLD, NOW, *facts, *others).lines] == ["gc", OWN]


lots = st.lists(
    st.builds(
        lot,
        st.uuids().map(str),
        st.integers(1, 2**60),
        feature=st.sampled_from(["crm.summaries", "credits", "coins"]),
        priority=st.integers(49, 51),
        since=st.sampled_from([NOW - 2, NOW - 1, NOW, NOW + 1]),
        until=st.sampled_from([None, NOW, NOW + 1, NOW + 2, MONTH_END]),
        is_promotional=st.booleans(),
        created=st.sampled_from([NOW - 2, NOW - 1]),
    ),
    max_size=8,
    unique_by=lambda each: each.id,
)


@settings(max_examples=200, deadline=None)
@given(lots, st.randoms(use_true_random=False), st.sampled_from(["free", "pro", "max"]))
def test_the_burn_order_is_total(facts, chance, plan):
    """Whatever order facts are read in, the lots come in one; each account once; a feature's own before what pays."""
    document = tenant(sub(plan, starts=ANCHOR))
    found = counted(document, "crm.summaries", WORLD, NOW, *facts)
    chance.shuffle(facts)
    assert counted(document, "crm.summaries", WORLD, NOW, *facts) == found

    assert len({line.account for line in found.lines}) == len(found.lines)
    assert all(line.cap <= MOST for line in found.lines)
    sold = [line.meter == "crm.summaries" for line in found.lines if line.lot != UNSOLD]
    assert sold == sorted(sold, reverse=True)
    in_force = {f"g{each.id}" for each in facts if each.since <= NOW and (each.until is None or each.until > NOW)}
    granted = [line.lot for line in found.lines if line.lot.startswith("g")]
    assert set(granted) <= in_force
    own = {f"g{each.id}" for each in facts if each.feature == "crm.summaries"}
    # What pays must be sold; granted units of the feature itself are always there.
    assert in_force & own <= set(granted)
    prices = {(line.meter, line.cost) for line in found.lines}
    assert prices <= {("crm.summaries", 1), ("credits", 5), ("coins", 2000)}
    # All that is beyond goes somewhere that is counted.
    assert found.lines[found.sink].lot in {OWN, UNSOLD} or found.lines[found.sink].meter == "coins"
    for meter in {line.meter for line in found.lines}:
        marks = [mark.at for mark in found.marks if mark.meter == meter]
        assert marks == sorted(set(marks))
        total = min(sum(line.cap for line in found.lines if line.meter == meter), MOST)
        assert marks == ([] if not total else sorted({-(-total * 4 // 5), total}))


# -- credits ------------------------------------------------------------------------------------------------


def test_credits_pay_where_nothing_is_sold():
    """Overage is a debt of the credit's window; there is no ceiling but what is paid."""
    found = counted(PRO, "crm.summaries", WORLD, NOW)

    assert found.lines == (Line("credits", OWN, 100, 5),)
    assert (found.sink, found.beyond, found.limit) == (0, 0, 0)
    assert found.marks == (Mark("credits", 80), Mark("credits", 100))
    assert found.window.end == MONTH_END
    assert found.is_sold


def test_credits_pay_after_what_the_plan_gives():
    """In units that both can be counted in: a coin has three decimals, a summary none."""
    found = counted(tenant(sub("max", starts=ANCHOR)), "crm.summaries", WORLD, NOW, lot("g", 9, feature="coins"))

    assert found.lines == (
        Line("crm.summaries", OWN, 4),
        Line("credits", OWN, 100, 5),
        Line("coins", OWN, 3000, 2000),
        Line("coins", "gg", 9, 2000),
    )
    assert (found.sink, found.limit) == (0, 4)
    # 0.1 coins for a minute of 100 hundredths: one thousandth each.
    assert counted(tenant(sub("max", starts=ANCHOR)), "crm.minutes", WORLD, NOW).lines[1:] == (
        Line("coins", OWN, 3000, 1),
    )


def test_amounts_with_decimals_are_counted_in_their_smallest_unit():
    """2.50 a day are 250 hundredths."""
    found = counted(PRO, "crm.minutes", WORLD, NOW)

    assert (found.lines[0].cap, found.limit) == (250, 250)


def test_credits_that_are_taken_away_pay_for_nothing():
    """Also where the quota has an allowance of its own."""
    found = counted(tenant(sub("max", starts=ANCHOR), override("credits", DENY)), "crm.summaries", WORLD, NOW)

    assert {line.meter for line in found.lines} == {"crm.summaries", "coins"}


def test_credits_without_a_limit_pay_for_all():
    """There is no part of them to tell of."""
    found = counted(tenant(sub("pro", starts=ANCHOR), override("credits", UNLIMITED)), "crm.summaries", WORLD, NOW)

    assert found.lines == (Line("credits", OWN, None, 5),)
    assert found.marks == ()


def test_while_nothing_has_a_limit_nothing_else_is_burnt():
    """Granted units wait."""
    found = counted(tenant(sub("max", starts=ANCHOR)), "crm.calls", WORLD, NOW, lot("a", until=NOW + 1))

    assert found.lines == (Line("crm.calls", OWN, None),)


def test_granted_units_alone_are_overdrawn_nowhere():
    """What is beyond them is counted with what is not sold, not on the grant."""
    found = counted(tenant(), "crm.until", WORLD, NOW, lot("a", feature="crm.until"))

    assert found.lines == (Line("crm.until", "ga", 7), Line("crm.until", UNSOLD, 0))
    assert (found.sink, found.beyond, found.limit, found.window) == (1, 0, 7, None)


# -- rollover, lifetime, plans that changed -------------------------------------------------------------------


def test_what_rolled_over_is_burnt_first_and_known_to_the_ledger():
    """It ends with the window that it rolled into, and was there before."""
    found = counted(SECOND, "crm.grace", WORLD, NOW)

    assert found.lines == (Line("crm.grace", f"r{ANCHOR}", OPENED), Line("crm.grace", OWN, 1000))
    assert (found.sink, found.limit) == (1, 1000)
    assert found.marks == (Mark("crm.grace", 800), Mark("crm.grace", 1000))
    # Into the first window of a subscription nothing can have rolled over.
    assert counted(PRO, "crm.grace", WORLD, NOW).lines == (Line("crm.grace", OWN, 1000),)


def test_nothing_rolls_over_without_a_limit():
    """There is nothing that could be left."""
    found = counted(tenant(sub("pro", starts=ANCHOR), override("crm.grace", UNLIMITED)), "crm.grace", WORLD, NOW)

    assert found.lines == (Line("crm.grace", OWN, None),)


def test_what_never_comes_anew_has_one_lot():
    """Of 3 units 80 % are all of them, so there is one mark."""
    found = counted(PRO, "crm.warned", WORLD, NOW)

    assert found.lines == (Line("crm.warned", LIFETIME, 3),)
    assert (found.window, found.marks) == (None, (Mark("crm.warned", 3),))


def carry(mode, at, lot=OWN, until=MONTH_END, cap=30, feature="crm.calls"):
    """What a change of plan left."""
    return Carry(at, mode, feature, lot, until, cap)


def test_fresh_counts_in_a_lot_of_its_own_until_the_window_ends():
    """What was used before is out of sight; the next window is one as any."""
    facts = [carry("fresh", NOW - 5)]

    assert counted(PRO, "crm.calls", WORLD, NOW, *facts).lines == (Line("crm.calls", f"{OWN}.{NOW - 5}", 100),)
    assert counted(PRO, "crm.calls", WORLD, MONTH_END, *facts).lines[0].lot == f"w{MONTH_END}"
    assert counted(PRO, "crm.calls", WORLD, NOW - 6, *facts).lines[0].lot == OWN
    assert counted(PRO, "crm.soft", WORLD, NOW, *facts).lines[0].lot == OWN


def test_a_carried_balance_is_burnt_first_and_ends_with_its_window():
    """With its old cap, beside the whole new allowance."""
    facts = [carry("carry_balance", NOW - 5, until=NOW + 5)]
    new = Line("crm.calls", f"{OWN}.{NOW - 5}", 100)

    found = counted(PRO, "crm.calls", WORLD, NOW, *facts)
    assert found.lines == (Line("crm.calls", OWN, 30), new)
    assert (found.sink, found.limit) == (1, 130)
    assert counted(PRO, "crm.calls", WORLD, NOW + 5, *facts).lines == (new,)


def test_carried_usage_counts_where_the_old_plan_counted():
    """Until the window that runs then ends."""
    facts = [carry("carry_usage", NOW - 5, lot="w7")]

    assert counted(PRO, "crm.calls", WORLD, NOW, *facts).lines == (Line("crm.calls", "w7", 100),)
    assert counted(PRO, "crm.calls", WORLD, MONTH_END, *facts).lines[0].lot == f"w{MONTH_END}"


def test_several_changes_in_one_window_each_leave_theirs():
    """The last one says where is counted; fresh forgets what was left before it."""
    first = carry("carry_balance", NOW - 9, until=None)
    second = carry("carry_balance", NOW - 8, lot=f"{OWN}.{NOW - 9}", cap=40)
    back = carry("carry_usage", NOW - 7, lot=OWN)

    lines = counted(PRO, "crm.calls", WORLD, NOW, second, first).lines
    assert [(line.lot, line.cap) for line in lines] == [
        (f"{OWN}.{NOW - 9}", 40),
        (f"{OWN}.{NOW - 8}", 100),
        (OWN, 30),
    ]
    # Of one account there is one line: what was carried back is not counted twice.
    lines = counted(PRO, "crm.calls", WORLD, NOW, back, first, second).lines
    assert [(line.lot, line.cap) for line in lines] == [(f"{OWN}.{NOW - 9}", 40), (OWN, 100)]
    anew = carry("fresh", NOW - 6)
    lines = counted(PRO, "crm.calls", WORLD, NOW, back, first, second, anew).lines
    assert [(line.lot, line.cap) for line in lines] == [(f"{OWN}.{NOW - 6}", 100)]


def test_an_allowance_for_a_lifetime_begins_anew_when_a_plan_says_so():
    """There is no window whose end could forget it."""
    fresh = carry("fresh", NOW - 5, feature="crm.warned")

    assert counted(PRO, "crm.warned", WORLD, NOW, fresh).lines[0].lot == f"{LIFETIME}.{NOW - 5}"


def test_seats_without_a_limit_are_still_counted():
    """Who sits where is known."""
    assert counted(tenant(sub("max")), "seats", WORLD, NOW).lines == (Line("seats", SLOTS, None),)


def test_a_ceiling_is_never_beyond_what_can_be_counted():
    """In scripts a larger number would not be exact."""
    document = tenant(sub("pro", starts=ANCHOR), override("crm.until", Allowance(2**60, MONTH)))
    found = counted(document, "crm.until", WORLD, NOW)

    assert (found.lines[0].cap, found.beyond) == (MOST, MOST // 10)


def test_balances_are_put_in_the_order_of_the_lines():
    """Of accounts that nobody has used nothing is known, which is nothing."""
    found = counted(SECOND, "crm.grace", WORLD, NOW)
    used = Balance(used=3)

    assert found.accounts == (("crm.grace", f"r{ANCHOR}"), ("crm.grace", OWN))
    assert found.in_order({("crm.grace", OWN): used, ("crm.calls", OWN): Balance(9)}) == (Balance(), used)


@settings(max_examples=150, deadline=None)
@given(
    lots, st.sampled_from(["free", "pro", "max"]), st.sampled_from(["crm.summaries", "crm.calls", "credits", "coins"])
)
def test_it_holds_as_long_as_it_says(facts, plan, feature):
    """Worked out again at the end of that it may be another; before that it is the same."""
    document = tenant(sub(plan, starts=ANCHOR))
    carries = [carry("carry_balance", NOW - 5, until=NOW + 2, feature=feature)]
    found = counted(document, feature, WORLD, NOW, *facts, *carries)

    assert found.holds.start == NOW
    for at in {NOW, min(NOW + 1, found.holds.end - 1), min(found.holds.end, MONTH_END * 2) - 1}:
        assert counted(document, feature, WORLD, at, *facts, *carries) == found
