"""Who is faster: a limiter in a database decides again, and as if one had come after the other."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from payaid_entitlements.core.ratelimit.deciding import decide
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.memory_limiter import MemoryLimiter
from payaid_entitlements.stores.sql.ledger.again import TRIES
from payaid_entitlements.stores.sql.limiter import counting
from payaid_entitlements.stores.sql.limiter.sending import Alone
from payaid_entitlements.testing.contracts.limiter_calls import (
    AT_ONCE,
    FIVE,
    MINUTE,
    NOW,
    POLICIES,
    RATES,
    call,
    group,
)
from payaid_entitlements.testing.contracts.limiter_calls import remaining as left
from tests.stores.limiter.disturbing import before_locking, fail, lost_race, meanwhile


@pytest.mark.parametrize("policies", [[FIVE], [*RATES]], ids=["one", "four"])
def test_who_was_overtaken_decides_again(limited, monkeypatch, policies):
    call(limited.limiter, *policies, cost=2)
    meanwhile(monkeypatch, lambda: call(limited.another, *policies, cost=2))
    assert call(limited.limiter, *policies).is_allowed
    assert left(limited.limiter, *policies) == [0] * len(policies)


@pytest.mark.parametrize("policies", [[FIVE], [*RATES]], ids=["one", "four"])
def test_who_was_overtaken_by_the_last_one_is_refused(limited, monkeypatch, policies):
    call(limited.limiter, *policies, cost=4)
    meanwhile(monkeypatch, lambda: call(limited.another, *policies))
    assert not call(limited.limiter, *policies).is_allowed
    assert left(limited.limiter, *policies) == [0] * len(policies)


def test_where_one_of_several_was_changed_none_is_written(limited, monkeypatch):
    call(limited.limiter, *RATES, cost=4)
    meanwhile(monkeypatch, lambda: call(limited.another, RATES[-1]))
    assert not call(limited.limiter, *RATES).is_allowed
    assert left(limited.limiter, *RATES) == [1] * (len(RATES) - 1) + [0]


@pytest.mark.parametrize("window", [1, 1_000_003, 2**40])
@pytest.mark.parametrize("is_enforced", [True, False])
def test_who_is_overtaken_is_told_how_things_stand_by_then(limited, monkeypatch, window, is_enforced):
    """As the core has it, whoever does the sum; who is refused before anything is written, comes first."""
    for quota in (1, 3, 7, 2**26):
        policy = Policy("odd", Algorithm.GCRA, quota, window, min(quota, 50), is_enforced)
        state, owner = (), f"{quota} a window"
        for turn, (theirs, ours) in enumerate([(1, 2), (3, 1), (20, 20), (1, 1), (9, 30)]):
            now = NOW + turn * (window // 3 + 1)
            with monkeypatch.context() as patch:
                meanwhile(patch, partial(call, limited.another, policy, cost=theirs, now=now, owner=owner))
                found = call(limited.limiter, policy, cost=ours, now=now, owner=owner)
            wanted = decide([policy], [state], now, ours)
            comes_first = wanted.states in (None, (state,))
            state = (decide([policy], [state], now, theirs).states or [state])[0]
            if not comes_first:
                wanted = decide([policy], [state], now, ours)
                state = (wanted.states or [state])[0]
            assert (found.is_allowed, found.now, found.verdicts) == (wanted.is_allowed, now, wanted.verdicts)


@pytest.mark.parametrize(
    "state", ["rubbish", "1", "1 2", "1 2 3 4", f"{NOW + 99} 5 5", f"{NOW + 99} 0 0", f"{NOW + 99} 0 67108865", ""]
)
def test_who_is_overtaken_by_what_nobody_of_us_has_written_counts_anew(limited, made, monkeypatch, state):
    def disturb():
        with made[1].begin() as connection:
            connection.execute(text(f"UPDATE payaid_rates SET state = '{state}'"))

    call(limited.limiter, FIVE, cost=4)
    meanwhile(monkeypatch, disturb)
    assert call(limited.limiter, FIVE).is_allowed
    assert left(limited.limiter, FIVE) == [4]


@pytest.mark.parametrize("theirs", [3, 6])
@pytest.mark.parametrize("quotas", [(1_000_003, 7), (9, 1_000_003)])
def test_a_quota_that_was_changed_holds_for_who_is_overtaken(limited, monkeypatch, quotas, theirs):
    """What was taken by another quota is as many units, to a part of a microsecond."""
    before, after = (Policy("changed", Algorithm.GCRA, quota, MINUTE, quota) for quota in quotas)
    model = MemoryLimiter()
    call(model, before, cost=2)
    call(limited.limiter, before, cost=2)
    meanwhile(monkeypatch, partial(call, limited.another, before, cost=theirs))
    found, wanted = call(limited.limiter, after), (call(model, before, cost=theirs), call(model, after))[1]
    assert (found.is_allowed, found.verdicts) == (wanted.is_allowed, wanted.verdicts)
    assert found.is_allowed is (2 + theirs < after.quota)
    assert left(limited.limiter, after) == left(model, after)


def test_of_two_who_come_first_both_are_counted(limited, monkeypatch):
    meanwhile(monkeypatch, lambda: call(limited.another, FIVE, cost=2))
    assert call(limited.limiter, FIVE).is_allowed
    assert left(limited.limiter, FIVE) == [2]


@pytest.mark.parametrize("is_lost", [False, True])
def test_only_a_race_that_was_lost_is_done_again(limited, monkeypatch, is_lost):
    write, errors = Alone.write, [lost_race() if is_lost else OperationalError("update", {}, Exception("no"))]

    def failing(self, asked):
        if errors:
            raise errors.pop()
        return write(self, asked)

    monkeypatch.setattr(Alone, "write", failing)
    if is_lost:
        assert call(limited.limiter, FIVE).is_allowed
        assert left(limited.limiter, FIVE) == [4]
    else:
        with pytest.raises(StoreUnavailable, match="no answer: no"):
            call(limited.limiter, FIVE)
        assert left(limited.limiter, FIVE) == [5]


@pytest.mark.parametrize("times", [1, TRIES, TRIES + 1])
def test_a_transaction_that_a_database_ends_is_begun_again_some_times(limited, monkeypatch, times):
    before_locking(monkeypatch, lambda: fail(lost_race()), times)
    if times <= TRIES:
        assert call(limited.limiter, *RATES).is_allowed
        assert left(limited.limiter, *RATES) == [4] * len(RATES)
    else:
        with pytest.raises(StoreUnavailable, match=f"at the same counters each of {TRIES + 1} times"):
            call(limited.limiter, *RATES)


def test_a_transaction_that_fails_is_an_outage(limited, monkeypatch):
    before_locking(monkeypatch, lambda: fail(OperationalError("insert", {}, Exception("disk full"))))
    with pytest.raises(StoreUnavailable, match="disk full"):
        call(limited.limiter, *RATES)


def test_counters_that_somebody_forgets_meanwhile_are_made_anew(limited, monkeypatch):
    logged = RATES[1]
    call(limited.limiter, logged, cost=3)
    meanwhile(monkeypatch, lambda: call(limited.another, logged))
    before_locking(monkeypatch, lambda: limited.another.reset(group(logged)))
    assert call(limited.limiter, logged).is_allowed
    assert left(limited.another, logged) == [4]


def test_a_permit_is_given_back_whatever_others_do_meanwhile(limited, monkeypatch):
    for permit in (1, 2):
        call(limited.limiter, AT_ONCE, permit=permit)
    meanwhile(monkeypatch, lambda: limited.another.give_back(group(AT_ONCE), 2))
    limited.limiter.give_back(group(AT_ONCE), 1)
    assert left(limited.limiter, AT_ONCE) == [5]


def test_what_was_counted_of_others_stands_when_a_permit_is_given_back(limited):
    call(limited.limiter, *POLICIES, cost=1, permit=7)
    limited.limiter.give_back(group(*POLICIES), 8)
    assert left(limited.limiter, *POLICIES) == [4] * len(POLICIES)
    limited.limiter.give_back(group(*POLICIES), 7)
    assert left(limited.limiter, *POLICIES) == [4] * len(RATES) + [5]


def test_where_many_want_one_counter_postgresql_counts_by_itself_for_a_while(limited, monkeypatch):
    """After that it is tried again whether it is faster without."""
    if not limited.own._counting._statements.take:
        pytest.skip("only PostgreSQL does")
    monkeypatch.setattr(counting, "IN_DEMAND", 3)
    wanted, wrote, write = group(FIVE), [], Alone.write
    monkeypatch.setattr(Alone, "write", lambda self, asked: wrote.append(asked) or write(self, asked))
    assert limited.limiter.hit(wanted, now=NOW).is_allowed
    meanwhile(monkeypatch, lambda: call(limited.another, FIVE, now=NOW))
    later = NOW + 10 * FIVE.window
    assert limited.limiter.hit(wanted, now=later).is_allowed
    # Each of both groups has written; the second time, one of them in vain.
    assert len(wrote) == 3
    for number in range(1, 5):
        assert limited.limiter.hit(wanted, now=later).is_allowed
        assert len(wrote) == 3 + max(0, number - 2)
    assert not limited.limiter.hit(wanted, now=later).is_allowed
    assert left(limited.limiter, FIVE, now=later) == [0]
