"""Usage: what people read of what a ledger counted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.instant import instant
from payaid_entitlements.core.metering.posting import MOST, Balance
from payaid_entitlements.core.metering.usage import Usage, usage
from payaid_entitlements.core.values import UNLIMITED
from payaid_entitlements.errors import QuotaExceeded
from tests.core.conftest import NOW, override, sub, tenant, world_of
from tests.core.metering.conftest import COUNTED, counted

WORLD = world_of(COUNTED)
ANCHOR = instant(datetime(2026, 9, 5, 9, 30, tzinfo=UTC))
PRO = tenant(sub("pro", starts=ANCHOR))
#: The same, in its second window.
SECOND = tenant(sub("pro", starts=instant(datetime(2026, 8, 5, 9, 30, tzinfo=UTC))))
MAX = tenant(sub("max", starts=ANCHOR))
CALLS = counted(PRO, "crm.calls", WORLD, NOW)


def test_a_plain_quota():
    """30 of 100 are used, 5 are set aside, so 65 are left."""
    assert usage(CALLS, [Balance(used=30, held=5)]) == Usage(
        feature="crm.calls",
        title="crm.calls",
        unit="call",
        limit=100,
        used=30,
        held=5,
        remaining=65,
        overage=0,
        fraction=Decimal("0.3"),
        resets_at=datetime(2026, 10, 5, 9, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("used", "held", "remaining", "overage", "fraction"),
    [
        (100, 0, 0, 0, "1"),
        (99, 1, 0, 0, "0.99"),
        (130, 0, 0, 30, "1.3"),
        (100, 7, 0, 0, "1"),
        (-20, 0, 120, 0, "-0.2"),
        (0, 0, 100, 0, "0"),
    ],
)
def test_what_is_left_is_never_less_than_nothing(used, held, remaining, overage, fraction):
    """Overage is said apart; a correction downwards leaves more."""
    found = usage(CALLS, [Balance(used=used, held=held)])

    assert (found.used, found.held, found.remaining, found.overage) == (used, held, remaining, overage)
    assert found.fraction == Decimal(fraction)


def test_a_fraction_is_rounded_down():
    """99.999 % is not all of it."""
    found = counted(tenant(sub("pro", starts=ANCHOR), override("credits", UNLIMITED)), "crm.grace", WORLD, NOW)
    assert usage(found, [Balance(used=999)]).fraction == Decimal("0.9990")
    third = counted(PRO, "crm.warned", WORLD, NOW)
    with localcontext() as narrow:
        narrow.prec = 2
        assert usage(third, [Balance(used=1)]).fraction == Decimal("0.3333")
        assert usage(third, [Balance(used=2)]).fraction == Decimal("0.6666")
        assert usage(third, [Balance(used=MOST)]).overage == MOST - 3


def test_without_a_limit_there_is_no_part_of_it():
    """What is used is counted all the same."""
    found = usage(counted(MAX, "crm.calls", WORLD, NOW), [Balance(used=5, held=1)])

    assert (found.limit, found.remaining, found.fraction, found.used, found.held) == (UNLIMITED, UNLIMITED, None, 5, 1)
    assert found.overage == 0


def test_of_nothing_there_is_no_part():
    """0 of 0 is no division; what was counted while nothing was enforced is overage."""
    found = usage(counted(tenant(sub("bare")), "crm.calls", WORLD, NOW), [Balance(used=4)], would_refuse=True)

    assert (found.limit, found.used, found.remaining, found.overage, found.fraction) == (0, 4, 0, 4, None)
    assert (found.resets_at, found.would_refuse, found.replayed) == (None, True, False)


def test_credits_count_for_what_they_can_still_buy():
    """100 credits at 5 each are 20; those that do not reach for one more buy none."""
    found = usage(counted(PRO, "crm.summaries", WORLD, NOW), [Balance(used=3, held=1)])

    assert (found.limit, found.used, found.remaining, found.fraction) == (0, 0, 19, None)


def test_what_the_plan_gives_and_what_credits_buy_are_left_together():
    """Own, credits at 5 of 100, coins at 2 of 3."""
    found = usage(counted(MAX, "crm.summaries", WORLD, NOW), [Balance(used=1), Balance(used=91), Balance()])

    assert (found.limit, found.used, found.remaining) == (4, 1, 3 + 1 + 1)


def test_credits_without_a_limit_leave_no_limit():
    """The limit is still that of its own lots."""
    document = tenant(sub("max", starts=ANCHOR), override("credits", UNLIMITED))
    found = usage(counted(document, "crm.summaries", WORLD, NOW), [Balance(used=1), Balance(), Balance()])

    assert (found.limit, found.remaining) == (4, UNLIMITED)


def test_what_rolled_over_is_part_of_the_limit_once_it_is_known():
    """Before the window is used for the first time nobody knows."""
    grace = counted(SECOND, "crm.grace", WORLD, NOW)

    assert usage(grace, [Balance(), Balance()]).limit == 1000
    opened = usage(grace, [Balance(used=10, cap=250, is_opened=True), Balance(used=1)])
    assert (opened.limit, opened.used, opened.remaining) == (1250, 11, 1239)


def test_decimals_are_shown_as_they_are_counted():
    """All amounts of a feature with decimals are Decimals with as many digits, so none looks like another kind."""
    found = usage(counted(PRO, "crm.minutes", WORLD, NOW), [Balance(used=101, held=49)], replayed=True)

    assert [str(each) for each in (found.limit, found.used, found.held, found.remaining, found.overage)] == [
        "2.50",
        "1.01",
        "0.49",
        "1.00",
        "0.00",
    ]
    assert found.replayed


def test_seats_are_used_by_who_holds_them():
    """What a ledger says of slots reads like any other usage."""
    found = usage(counted(PRO, "seats", WORLD, NOW), [Balance(used=25)])

    assert (found.title, found.unit, found.limit, found.used, found.remaining) == ("Team members", "seat", 25, 25, 0)


def test_it_is_written_as_json():
    """For browsers and command lines."""
    plain = usage(CALLS, [Balance(used=30, held=5)]).to_json()
    assert json.loads(json.dumps(plain)) == {
        "feature": "crm.calls",
        "title": "crm.calls",
        "unit": "call",
        "limit": 100,
        "used": 30,
        "held": 5,
        "remaining": 65,
        "overage": 0,
        "fraction": {"decimal": "0.3000"},
        "resets_at": "2026-10-05T09:30:00+00:00",
        "replayed": False,
        "would_refuse": False,
        "taken": 0,
    }
    endless = usage(counted(MAX, "crm.calls", WORLD, NOW), [Balance()]).to_json()
    assert (endless["limit"], endless["remaining"], endless["fraction"]) == ({"unlimited": True},) * 2 + (None,)
    minutes = usage(counted(PRO, "crm.minutes", WORLD, NOW), [Balance()]).to_json()
    assert minutes["limit"] == {"decimal": "2.50"}
    assert usage(counted(PRO, "seats", WORLD, NOW), [Balance()]).to_json()["resets_at"] is None


def test_a_balance_is_needed_for_each_line():
    """A missing one would be nothing used."""
    with pytest.raises(ValueError, match="zip"):
        usage(CALLS, [])


def test_a_decision_may_say_it():
    """Those of the shared tables say nothing: they were not asked."""
    found = usage(CALLS, [Balance(used=100)])
    decision = Decision(False, Reason.QUOTA_EXHAUSTED, "crm.calls", usage=found)

    assert CALLS.decision.usage is None
    assert "usage" not in CALLS.decision.to_public()
    assert decision.to_public()["usage"] == found.to_json()
    with pytest.raises(QuotaExceeded) as refused:
        decision.or_raise()
    assert refused.value.decision.usage is found
    assert hash(decision) != hash(replace(decision, usage=None))


balances = st.builds(Balance, st.integers(-(2**40), MOST), st.integers(0, 2**40))


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(["crm.calls", "crm.summaries", "crm.minutes", "crm.grace", "credits", "seats"]))
def test_the_published_formula(data, feature):
    """For all balances: never less than nothing left, and what is left of its own lots is what is not used or held."""
    found = counted(MAX, feature, WORLD, NOW)
    read = [data.draw(balances) for _ in found.lines]
    said = usage(found, read)

    assert said.remaining is UNLIMITED or said.remaining >= 0
    assert said.overage >= 0
    own = [balance for line, balance in zip(found.lines, read, strict=True) if line.meter == feature]
    scale = 10 ** WORLD.catalog.features[feature].decimals
    assert said.used * scale == sum(balance.used for balance in own)
    if len(found.lines) == 1 and said.limit is not UNLIMITED:
        assert said.remaining == max(0, said.limit - said.used - said.held)
        assert said.overage == max(0, said.used - said.limit)
    assert (said.fraction is None) is (said.limit is UNLIMITED or said.limit == 0)
    if said.fraction is not None:
        assert said.fraction <= Decimal(said.used) / Decimal(said.limit) < said.fraction + Decimal("0.0001")
