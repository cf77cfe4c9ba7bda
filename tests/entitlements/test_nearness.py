"""What is near is believed as long as it may be, and nobody is turned away by it: in both colours."""

from __future__ import annotations

import pytest

from payaid_entitlements import DENY, Reason
from payaid_entitlements.errors import NotEntitled, StoreUnavailable
from tests.entitlements.conftest import START


@pytest.fixture
def warm(ent, stage):
    """A client that knows acme, who holds the free plan."""
    stage.elsewhere.cancel("acme", when=START)
    ent.check("acme", "crm.export")
    stage.faults.calls.clear()
    return ent


def test_a_change_of_another_process_is_seen_within_two_seconds(ent, stage):
    """By whoever asks next, five seconds being the promise."""
    assert ent.check("acme", "crm.export").allowed
    stage.elsewhere.override("acme", "crm.export", DENY)
    stage.clock.advance(seconds=1.999)
    assert ent.check("acme", "crm.export").allowed
    stage.clock.advance(seconds=0.001)
    assert ent.check("acme", "crm.export").reason is Reason.OVERRIDE_DENIED


def test_a_kill_switch_of_another_process_is_seen_within_two_seconds(ent, stage):
    """For every tenant at once."""
    ent.check("acme", "crm.export")
    stage.elsewhere.kill("crm.export")
    stage.clock.advance(seconds=2)
    assert ent.check("acme", "crm.export").reason is Reason.ENFORCEMENT_KILLED


def test_a_customer_who_has_just_paid_is_not_locked_out(warm, stage):
    """Before a refusal on a copy older than a second, the store is asked."""
    stage.elsewhere.subscribe("acme", "pro")
    assert not warm.check("acme", "crm.export").allowed
    stage.clock.advance(seconds=1)
    assert warm.check("acme", "crm.export").allowed


@pytest.mark.parametrize("verb", ["require", "check_many", "confirm", "value", "remedies"])
def test_every_way_to_be_refused_asks_first(warm, stage, verb):
    """Not only check."""
    stage.elsewhere.subscribe("acme", "pro")
    stage.clock.advance(seconds=1)
    match verb:
        case "require":
            assert warm.require("acme", "crm.export").allowed
        case "check_many":
            assert warm.check_many("acme", ["crm", "crm.export"])["crm.export"].allowed
        case "confirm":
            assert warm.confirm(warm.peek_tenant("acme")).check("crm.export").allowed
        case "value":
            assert warm.value("acme", "crm.colours", list) == ["red", "green"]
        case "remedies":
            assert warm.remedies("acme", "crm.export") == ()


def test_a_refusal_costs_one_question_a_second(warm, stage):
    """However often it is asked, and by however many tenants: the log vouches for all."""
    for _ in range(20):
        for _ in range(10):
            assert not warm.check("acme", "crm.export").allowed
            assert not warm.check_many("acme", ["crm.export"])["crm.export"].allowed
            warm.confirm(warm.tenant("acme"))
        stage.clock.advance(seconds=0.1)
    assert stage.faults.calls == ["changes_since"]


def test_a_grant_does_not_ask_first(warm, stage):
    """Only refusals are made sure of: a check that is allowed costs nothing more."""
    stage.clock.advance(seconds=1.5)
    assert warm.check("acme", "crm").allowed
    assert stage.faults.calls == []


def test_after_a_minute_a_tenant_is_read_again(ent, stage):
    """Although no change was heard of: what was lost on the way does not stay lost."""
    ent.check("acme", "crm.export")
    for _ in range(70):
        stage.clock.advance(seconds=1)
        assert ent.check("acme", "crm.export").allowed
    assert stage.faults.calls.count("read") == 2


def test_a_trial_ends_to_the_instant_near_or_not(ent, stage):
    """The end is exclusive, and crossing it asks nobody."""
    stage.elsewhere.subscribe("acme", "pro", trial=True)
    ent.check("acme", "crm.export", after=2)
    stage.clock.advance(days=14, seconds=-1)
    assert ent.check("acme", "crm.export").allowed
    stage.faults.calls.clear()
    stage.clock.advance(seconds=0.999)
    assert ent.check("acme", "crm.export").allowed
    stage.clock.advance(seconds=0.001)
    assert not ent.peek("acme", "crm.export")
    assert ent.check("acme", "crm.export").reason is Reason.SUBSCRIPTION_TRIAL_ENDED
    assert "read" not in stage.faults.calls


def test_an_override_of_a_user_ends_to_the_instant(ent, stage):
    """Also while the tenant's own answers stay near."""
    end = stage.clock_now().replace(second=1)
    stage.elsewhere.override("acme", "crm.export", DENY, user="bob", until=end)
    view = ent.tenant("acme", user="bob")
    assert not view.check("crm.export").allowed
    assert view.valid_until == end
    assert ent.tenant("acme").for_user("bob").valid_until == end
    assert ent.tenant("acme").valid_until is None
    stage.clock.advance(seconds=1)
    assert ent.check("acme", "crm.export", user="bob").allowed


# -- outages -------------------------------------------------------------------------------------------------------


def test_for_five_seconds_an_outage_is_not_noticed(ent, stage):
    """A grant goes on as it was."""
    ent.check("acme", "crm.export")
    stage.faults.is_down = True
    stage.clock.advance(seconds=4.999)
    decision = ent.check("acme", "crm.export")
    assert (decision.allowed, decision.degraded) == (True, False)


def test_a_log_that_cannot_be_read_ends_answers_after_five_seconds(ent, stage):
    """From then on a grant says that it is old."""
    ent.check("acme", "crm.export")
    stage.faults.is_down = True
    stage.clock.advance(seconds=5)
    decision = ent.check("acme", "crm.export")
    assert (decision.allowed, decision.degraded, decision.reason) == (True, True, Reason.PLAN_GRANTED)
    assert ent.tenant("acme").stale


def test_a_refusal_during_an_outage_is_not_one(warm, stage):
    """An outage is never "not entitled": from the first second in which nobody could be asked."""
    stage.faults.is_down = True
    assert warm.check("acme", "crm.export").reason is Reason.SUBSCRIPTION_CANCELLED
    stage.clock.advance(seconds=1)
    decision = warm.check("acme", "crm.export")
    assert (decision.allowed, decision.degraded, decision.reason) == (False, True, Reason.STORE_UNAVAILABLE)
    with pytest.raises(StoreUnavailable):
        warm.require("acme", "crm.export")
    assert warm.check_many("acme", ["crm.export"])["crm.export"].reason is Reason.STORE_UNAVAILABLE


def test_up_to_five_minutes_the_last_grant_is_repeated_then_the_fail_policy_decides(ent, stage):
    """Closed, open, or the last known one within its bound; each says so."""
    ent.check("acme", "crm.export")
    stage.faults.is_down = True

    def found():
        return {
            key.partition(".")[2]: (decision.allowed, decision.degraded, decision.reason)
            for key, decision in ent.check_many("acme", ["crm.export", "crm.import", "crm.report"]).items()
        }

    stage.clock.advance(seconds=300)
    assert found() == {
        "export": (True, True, Reason.PLAN_GRANTED),
        "import": (True, True, Reason.PLAN_GRANTED),
        "report": (True, True, Reason.PLAN_GRANTED),
    }
    stage.clock.advance(seconds=1)
    assert found() == {
        "export": (False, True, Reason.STORE_UNAVAILABLE),
        "import": (True, True, Reason.STORE_FAILED_OPEN),
        "report": (True, True, Reason.PLAN_GRANTED),
    }
    assert Reason.STORE_LAST_KNOWN_GOOD in ent.check("acme", "crm.report").advisories
    stage.clock.advance(seconds=299)
    assert ent.check("acme", "crm.report").allowed
    stage.clock.advance(seconds=1)
    assert ent.check("acme", "crm.report").reason is Reason.STORE_UNAVAILABLE
    with pytest.raises(StoreUnavailable):
        ent.require("acme", "crm.report")
    assert ent.require("acme", "crm.import").reason is Reason.STORE_FAILED_OPEN


def test_what_ends_during_an_outage_ends(ent, stage):
    """A trial that was foreseen to end is not repeated, however recent."""
    stage.elsewhere.subscribe("acme", "pro", trial=True)
    ent.check("acme", "crm.export", after=2)
    stage.clock.advance(days=14, seconds=-100)
    ent.check("acme", "crm.export")
    stage.faults.is_down = True
    stage.clock.advance(seconds=99)
    assert ent.check("acme", "crm.export").allowed
    stage.clock.advance(seconds=1)
    assert ent.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_a_cold_start_without_the_store_fails_closed(ent, stage):
    """Not even the catalog is known: store.unavailable, never "not entitled"."""
    stage.faults.is_down = True
    for key in ("crm.export", "crm.import", "crm"):
        decision = ent.check("acme", key)
        assert (decision.allowed, decision.degraded, decision.reason) == (False, True, Reason.STORE_UNAVAILABLE)
    with pytest.raises(StoreUnavailable):
        ent.require("acme", "crm.export")
    assert ent.tenant("acme").check("crm").reason is Reason.STORE_UNAVAILABLE


def test_a_tenant_that_is_not_near_has_the_fail_policy_of_the_feature(ent, stage):
    """The catalog is known, the tenant is not."""
    ent.check("acme", "crm.export")
    stage.faults.is_down = True
    assert ent.check("cold", "crm.export").reason is Reason.STORE_UNAVAILABLE
    assert ent.check("cold", "crm.import").reason is Reason.STORE_FAILED_OPEN
    assert ent.check("cold", "crm.report").reason is Reason.STORE_UNAVAILABLE


def test_a_value_is_never_made_up(ent, stage):
    """The last known one in an outage; none where the feature fails open and nothing is known."""
    ent.check("acme", "crm.export")
    stage.faults.is_down = True
    stage.clock.advance(seconds=10)
    assert ent.value("acme", "crm.page_size", int) == 50
    for feature, type_ in (("crm.page_size", int), ("crm.colours", list)):
        with pytest.raises(StoreUnavailable):
            ent.value("cold", feature, type_)


def test_after_an_outage_the_truth_is_back_within_half_a_second(ent, stage):
    """A store that was down is not hammered, and not forgotten either."""
    ent.check("acme", "crm.export")
    stage.faults.is_down = True
    stage.clock.advance(seconds=400)
    stage.faults.calls.clear()
    for _ in range(10):
        assert ent.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE
    # Each question asks once for the log and once for the tenant, until the breaker opens.
    assert len(stage.faults.calls) == 3
    stage.faults.is_down = False
    stage.clock.advance(seconds=0.5)
    decision = ent.check("acme", "crm.export")
    assert (decision.allowed, decision.degraded) == (True, False)


def test_what_was_revoked_stays_so_in_an_outage(ent, stage):
    """A refusal that the vendor made is repeated at any age: time does not undo it."""
    stage.elsewhere.revoke("acme")
    ent.check("acme", "crm.import")
    stage.faults.is_down = True
    stage.clock.advance(days=1)
    decision = ent.check("acme", "crm.import")
    assert (decision.allowed, decision.reason) == (False, Reason.SUBSCRIPTION_REVOKED)


@pytest.mark.parametrize("verb", ["suspend", "reinstate"])
def test_what_this_process_has_changed_is_not_undone_by_an_outage(ent, stage, verb):
    """A copy from before is wrong, not old: it neither lets in whom we suspended, nor keeps out whom we reinstated."""
    if verb == "reinstate":
        stage.elsewhere.suspend("acme")
    ent.check("acme", "crm.export")
    getattr(ent.admin(), verb)("acme")
    stage.faults.is_down = True
    for _ in range(3):
        assert ent.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE
        assert ent.tenant("acme").check("crm.export").reason is Reason.STORE_UNAVAILABLE
        stage.clock.advance(seconds=5)


def test_an_outage_is_counted_and_said_once(ent, stage, caplog):
    """By name, for the one who gets up at night."""
    stage.faults.is_down = True
    for _ in range(3):
        ent.check("acme", "crm.export")
    assert ent.counts[("store.unavailable",)] == 3
    assert ent.counts[("decision", "crm.export", "store.unavailable")] == 3
    assert caplog.text.count("store.unavailable") == 1
    stage.faults.is_down = False
    stage.clock.advance(seconds=0.5)
    ent.check("acme", "crm.export")
    stage.faults.is_down = True
    stage.clock.advance(seconds=10)
    ent.check("acme", "crm.export")
    assert ent.counts[("store.stale",)] == 1


def test_an_answer_of_a_revision_that_is_not_there_is_an_outage(ent, stage):
    """A replica that is behind, or a revision of another store: never an older answer."""
    assert ent.tenant("acme", after=99).stale
    with pytest.raises(StoreUnavailable):
        ent.require("acme", "crm.export", after=99)


def test_an_outage_is_said_once_for_all_who_ask(stage, caplog):
    """Its text names the tenant where the host's table is down; that is no reason to repeat it ten thousand times."""

    def down(tenant):
        raise OSError(f"no row of {tenant}")

    ent = stage.open(subscriptions=down)
    for number in range(3):
        assert ent.check(f"t{number}", "crm.export").reason is Reason.STORE_UNAVAILABLE
    assert ent.counts["host.unavailable",] == 3
    assert caplog.text.count("host.unavailable") == 1


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_the_cache_is_bounded_and_who_is_asked_about_stays(stage):
    """Two hundred tenants in room for ten: the hot one is never read again."""
    ent = stage.open(cache_size=10)
    stage.elsewhere.subscribe("hot", "pro")
    assert ent.check("hot", "crm.export").allowed
    stage.faults.calls.clear()
    for number in range(200):
        ent.check(f"cold-{number}", "crm")
        assert ent.check("hot", "crm.export").allowed
    assert ent.health().tenants == 10
    assert stage.faults.calls.count("read") == 200


@pytest.mark.soak
def test_anybody_can_ask_for_any_number_of_names(stage):
    """A hundred thousand of whom nothing is known fill the room that there is, and no more."""
    ent = stage.open(cache_size=10_000)
    for number in range(100_000):
        ent.check(f"stranger-{number}", "crm")
    assert ent.health().tenants == 10_000


def test_a_refused_tenant_is_not_kept_by_strangers(stage):
    """Refusals do not make a tenant hot: eviction prefers who is really used."""
    ent = stage.open(cache_size=2)
    with pytest.raises(NotEntitled):
        ent.require("refused", "crm.export")
    ent.check("used", "crm")
    ent.check("used", "crm")
    ent.check("new", "crm")
    assert ent.peek_tenant("refused") is None
    assert ent.peek_tenant("used") is not None
