"""Calls are limited by what the tenant's plan says: let through, refused and counted, in both colours."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest

from payaid_entitlements import DENY, UNLIMITED, AsyncEntitlements, Reason
from payaid_entitlements.core.ratelimit.policy import MOST_UNITS
from payaid_entitlements.errors import (
    ConfigurationError,
    RateLimited,
    Refused,
    StoreUnavailable,
    UnknownRateLimit,
)
from tests.limiting.conftest import START


def let_through(ent, tenant, limit, calls, **named):
    """How many of so many calls are."""
    return sum(ent.try_rate_limit(tenant, limit, **named).allowed for _ in range(calls))


def test_calls_are_limited_by_the_plan(ent):
    """Whoever has none has the limit's default."""
    assert let_through(ent, "acme", "api", 25) == 20
    assert let_through(ent, "nobody", "api", 25) == 3


def test_an_outcome_says_all_that_a_client_needs(ent):
    outcome = ent.rate_limit("acme", "api", cost=5)
    assert (outcome.allowed, outcome.reason, outcome.cost) == (True, Reason.RATE_WITHIN, 5)
    assert (outcome.key, outcome.limit, outcome.remaining) == ("api", 20, 15)
    assert [(each.name, each.quota, each.window, each.remaining) for each in outcome.policies] == [
        ("api.1s", 20, timedelta(seconds=1), 15),
        ("api.60s", 600, timedelta(minutes=1), 595),
    ]
    assert outcome.resets_at == START + timedelta(seconds=0.25)
    assert (outcome.retry_after, outcome.retry_at, outcome.limited_by, outcome.on_outage) == (None, None, (), None)
    assert "api.1s: 15 of 20 left" in repr(outcome)


def test_a_refusal_names_the_limit_and_when_there_is_room(stage, ent):
    """Exactly then, and not a microsecond sooner."""
    ent.rate_limit("acme", "api", cost=20)
    with pytest.raises(RateLimited) as raised:
        ent.rate_limit("acme", "api", cost=10)
    error = raised.value
    assert isinstance(error, Refused)
    assert (error.tenant, error.decision.feature, error.decision.reason) == ("acme", "api", Reason.RATE_LIMITED)
    assert error.decision.source == "api.1s"
    outcome = error.outcome
    assert (outcome.allowed, outcome.limited_by, outcome.remaining) == (False, ("api.1s",), 0)
    assert outcome.retry_after == timedelta(seconds=0.5)
    assert outcome.retry_at == START + timedelta(seconds=0.5)
    stage.clock.advance(timedelta(seconds=0.4999))
    assert not ent.try_rate_limit("acme", "api", cost=10).allowed
    stage.clock.advance(timedelta(seconds=0.0001))
    assert ent.try_rate_limit("acme", "api", cost=10).allowed
    assert ent.counts[("rate_limit.refused", "api")] == 2


def test_what_was_refused_counts_nowhere(ent):
    """A limit that counts toward another one: both have room, or neither is touched."""
    for _ in range(8):
        ent.rate_limit("acme", "crm.export", user="asha")
    assert ent.rate_limit_status("acme", "api").remaining == 12
    outcome = ent.try_rate_limit("acme", "crm.export", user="asha")
    assert (outcome.limited_by, outcome.limit) == (("crm.export",), 8)
    assert ent.rate_limit_status("acme", "api").remaining == 12
    assert ent.try_rate_limit("acme", "crm.export", user="bela").allowed
    assert let_through(ent, "acme", "api", 15) == 11
    assert ent.try_rate_limit("acme", "crm.export", user="bela").limited_by == ("api.1s",)


def test_users_and_addresses_have_counters_of_their_own(ent):
    assert let_through(ent, None, "login", 5, address="192.0.2.1") == 3
    assert let_through(ent, "acme", "login", 5, address="192.0.2.1") == 0
    assert let_through(ent, None, "login", 5, address="192.0.2.2") == 3
    assert let_through(ent, "zoho", "crm.export", 5, user="asha") == 2
    assert let_through(ent, "zoho", "crm.export", 5, user="bela") == 1  # its tenant has one left


def test_whoever_has_a_network_of_addresses_is_one_caller(ent):
    """However an address is written, and whether a gate has made its network of it or not."""
    same = (
        "2001:db8:1:2::9",
        "2001:DB8:1:2:3:4:5:6",
        "2001:db8:1:2::/64",
        "[2001:db8:1:2::7]:443",
        "2001:db8:1:2::1%eth0",
    )
    assert sum(ent.try_rate_limit(None, "login", address=each).allowed for each in same) == 3
    assert ent.try_rate_limit(None, "login", address="2001:db8:1:3::9").allowed
    assert let_through(ent, None, "login", 2, address="192.0.2.1") == 2
    assert ent.rate_limit_status(None, "login", address="::ffff:192.0.2.1").remaining == 1
    assert ent.rate_limit_status(None, "login", address="no address").remaining == 3


def test_whose_call_it_is_must_be_said(ent):
    """All users or addresses together would share one counter."""
    with pytest.raises(TypeError, match=r"counts by user.*user="):
        ent.rate_limit("acme", "crm.export")
    with pytest.raises(TypeError, match=r"counts by address.*address="):
        ent.rate_limit("acme", "login")
    with pytest.raises(TypeError, match="whose call"):
        ent.rate_limit(None, "api")
    for tenant, named in (
        ("", {}),
        ("undefined", {}),
        ("acme", {"user": "null"}),
        ("acme", {"address": ""}),
        (7, {}),
    ):
        with pytest.raises(TypeError):
            ent.rate_limit(tenant, "api", **named)
    ent.rate_limit("acme", "api")
    with pytest.raises(TypeError):
        ent.rate_limit("acme", "api", user="null")


def test_a_limit_that_the_catalog_does_not_have(ent):
    with pytest.raises(UnknownRateLimit, match="did you mean 'api'"):
        ent.rate_limit("acme", "apy")
    with pytest.raises(UnknownRateLimit):
        ent.rate_limit(None, "apy", address="192.0.2.1")
    with pytest.raises(TypeError):
        ent.rate_limit("acme", 7)


def test_what_a_call_may_weigh(ent):
    for cost in (True, 1.0, "1", None):
        with pytest.raises(TypeError, match="cost="):
            ent.rate_limit("acme", "api", cost=cost)
    for cost in (-1, MOST_UNITS + 1):
        with pytest.raises(ConfigurationError, match="cost is"):
            ent.rate_limit("acme", "api", cost=cost)
    never = ent.try_rate_limit("acme", "api", cost=21)
    assert (never.allowed, never.limited_by, never.retry_after, never.retry_at) == (False, ("api.1s",), None, None)
    assert ent.rate_limit("acme", "api", cost=0).remaining == 20


def test_a_status_counts_nothing(ent):
    for _ in range(3):
        assert ent.rate_limit_status("acme", "api").remaining == 20
    assert ent.rate_limit_status("acme", "jobs").remaining == 2


def test_what_is_only_observed_refuses_nobody(ent):
    outcomes = [ent.rate_limit("acme", "tried") for _ in range(4)]
    assert all(each.allowed and each.policies == () and each.limit is None for each in outcomes)
    assert [each.would_be_limited_by for each in outcomes] == [(), (), ("tried",), ("tried",)]
    assert ent.counts[("rate_limit.observed", "tried")] == 2
    assert [each.remaining for outcome in outcomes for each in outcome.observed] == [1, 0, 0, 0]
    assert ent.rate_limit_status("acme", "api").observed == ()


def test_what_is_not_limited_asks_nobody(stage, ent):
    stage.elsewhere.change_plan("acme", "all")
    with stage.limiter_down():
        outcome = ent.rate_limit("acme", "api")
    assert (outcome.allowed, outcome.limit, outcome.remaining, outcome.resets_at) == (True, None, None, None)
    assert (outcome.policies, outcome.on_outage) == ((), None)


def test_an_override_holds_while_it_is_there(stage, ent):
    """For the tenant or one user; what was counted stays counted."""
    admin = ent.admin()
    ent.rate_limit("acme", "api", cost=2)
    admin.override("acme", "rate_limits.api", ["5/second", "600/minute"], until=START + timedelta(hours=1))
    assert ent.rate_limit_status("acme", "api").limit == 5
    assert ent.rate_limit_status("acme", "api").remaining == 3
    admin.override("acme", "rate_limits.crm.export", "1/hour", user="asha")
    assert let_through(ent, "acme", "crm.export", 3, user="asha") == 1
    assert let_through(ent, "acme", "crm.export", 1, user="bela") == 1
    stage.clock.advance(timedelta(hours=1))
    assert ent.rate_limit_status("acme", "api").limit == 20
    admin.override("acme", "rate_limits.api", UNLIMITED)
    assert ent.rate_limit("acme", "api", cost=1_000).policies == ()


def test_an_override_may_let_no_call_pass(ent):
    """Also of what counts toward it; and nobody has to be named for that."""
    ent.admin().override("acme", "rate_limits.api", DENY)
    for limit in ("api", "crm.export"):
        with pytest.raises(RateLimited) as raised:
            ent.rate_limit("acme", limit)
        outcome = raised.value.outcome
        assert (outcome.reason, outcome.retry_after, outcome.key) == (Reason.OVERRIDE_DENIED, None, limit)
        assert ent.counts[("rate_limit.refused", limit)] == 1
    assert ent.try_rate_limit("zoho", "api").allowed


def test_what_was_counted_is_forgotten_on_demand(ent):
    """What it counts toward stays counted."""
    assert let_through(ent, "acme", "crm.export", 10, user="asha") == 8
    ent.reset_rate_limit("acme", "crm.export", user="asha")
    assert let_through(ent, "acme", "crm.export", 10, user="asha") == 8
    assert ent.rate_limit_status("acme", "api").remaining == 4
    ent.reset_rate_limit("acme", "api")
    assert ent.rate_limit_status("acme", "api").remaining == 20
    ent.admin().override("acme", "rate_limits.api", UNLIMITED)
    ent.reset_rate_limit("acme", "api")
    with pytest.raises(TypeError):
        ent.reset_rate_limit("acme", "crm.export")


def test_a_change_of_plan_takes_effect_on_what_was_counted(stage, ent):
    ent.rate_limit("zoho", "api", cost=3)
    assert not ent.try_rate_limit("zoho", "api").allowed
    ent.admin().subscribe("zoho", "pro")
    # Three are taken still, and one more by this call.
    assert {each.name: each.remaining for each in ent.rate_limit("zoho", "api").policies} == {
        "api.1s": 19,
        "api.60s": 596,
    }


def test_an_outcome_is_no_truth_value(ent):
    with pytest.raises(TypeError, match=r"\.allowed"):
        bool(ent.try_rate_limit("acme", "api"))


def test_an_error_travels_between_processes(ent):
    ent.rate_limit("zoho", "api", cost=3)
    with pytest.raises(RateLimited) as raised:
        ent.rate_limit("zoho", "api")
    copied = pickle.loads(pickle.dumps(raised.value))
    assert (copied.tenant, copied.decision, repr(copied.outcome)) == (
        "zoho",
        raised.value.decision,
        repr(raised.value.outcome),
    )


def test_without_a_limiter_all_else_works(stage):
    """And limiting says what is missing."""
    del stage.memory.limiter
    if stage.colour == "async":
        del stage.store.inner.limiter
    ent = stage.open()
    assert ent.check("acme", "crm").allowed
    with pytest.raises(ConfigurationError, match="limiter="):
        ent.rate_limit("acme", "api")
    with pytest.raises(ConfigurationError, match="limiter="):
        ent.reset_rate_limit("acme", "api")
    found = ent.health()
    assert (found.ok, found.limiter, found.limiter_answers) == (True, None, None)


def test_where_nothing_is_known_the_catalog_of_the_program_holds(stage):
    """The store gives no answer and the limiter does: a limit's default, if the client was opened with a catalog."""
    stage.elsewhere.subscribe("acme", "pro")
    ent, without = stage.open(), stage.open(catalog=None)
    down = {"read", "catalog", "controls", "flags", "changes_since"}

    def fail(name):
        if name in down:
            raise StoreUnavailable("the store is down (a test says so)")

    stage.faults.before = fail
    assert let_through(ent, "acme", "api", 5) == 3
    assert let_through(ent, None, "login", 5, address="192.0.2.1") == 3
    for tenant, limit in (("acme", "api"), (None, "login")):
        with pytest.raises(StoreUnavailable, match="catalog="):
            without.try_rate_limit(tenant, limit, address="192.0.2.1")
    stage.faults.before = None


def test_what_is_known_holds_in_an_outage_of_the_store(stage, ent):
    assert ent.rate_limit("acme", "feed").allowed
    stage.faults.before = _down
    stage.clock.advance(timedelta(seconds=30))
    assert ent.rate_limit_status("acme", "api").limit == 20
    stage.faults.before = None


def _down(name):
    if name not in {"hit", "give_back", "reset"}:
        raise StoreUnavailable("the store is down (a test says so)")


def test_a_published_catalog_reaches_who_only_limits_addresses(stage):
    """Nobody else asks in such a process: the change log is read all the same."""
    ent = stage.open()
    assert ent.rate_limit(None, "login", address="192.0.2.1").limit == 3
    document = dict(stage.catalog.document)
    document["rate_limits"] = {**document["rate_limits"], "login": {"per": "address", "default": "50/minute"}}
    stage.elsewhere.publish(document)
    stage.clock.advance(timedelta(seconds=10))
    assert ent.rate_limit(None, "login", address="192.0.2.1").limit == 50


def test_a_colour_is_awaited(stage, ent):
    """A forgotten await of the asynchronous one is loud."""
    if isinstance(ent.inner, AsyncEntitlements):
        asked = ent.inner.rate_limit("acme", "api")
        assert asked.__await__ is not None
        asked.close()
