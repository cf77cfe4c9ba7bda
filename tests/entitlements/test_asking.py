"""What applications ask, in both colours: one answer, one reason, and no answer for nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from payaid_entitlements import DENY, AddAddOn, ChangePlan, Contact, Reason
from payaid_entitlements.answering import PAGE, _controls_at
from payaid_entitlements.cache.local import LEASE
from payaid_entitlements.cache.steps import ReadAudit
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.errors import (
    ConfigurationError,
    NotEntitled,
    Refused,
    StoreUnavailable,
    SubscriptionExpired,
    TenantSuspended,
    UnknownFeature,
)
from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS, AuditEntry, Scope
from tests.entitlements.conftest import CATALOG, START

NOBODY = [None, "", "None", "null", "undefined", 7]


def test_what_the_plan_includes_is_allowed_and_what_it_lacks_is_not(ent):
    """With the plan that decided, cold and then near."""
    for _ in range(2):
        granted = ent.check("acme", "crm.export")
        assert (granted.allowed, granted.reason, granted.plan) == (True, Reason.PLAN_GRANTED, "pro")
        refused = ent.check("acme", "hr.payroll")
        assert (refused.allowed, refused.reason) == (False, Reason.PLAN_MODULE_ABSENT)


def test_a_module_is_asked_like_a_feature(ent):
    """One key space."""
    assert ent.check("acme", "crm").allowed
    assert not ent.check("acme", "hr").allowed


def test_tenants_have_nothing_to_do_with_one_another(ent, stage):
    """No cross-tenant effect: neither by likeness of the id nor by what another one holds."""
    stage.elsewhere.subscribe("Acme", "all")
    for _ in range(2):
        assert ent.check("Acme", "hr.payroll").allowed
        assert not ent.check("acme", "hr.payroll").allowed
        assert not ent.check("acme ", "crm.export").allowed


def test_a_warm_answer_asks_nobody(ent, stage):
    """Grants and refusals, views and several keys at once: while the log vouches, the store is not asked."""
    ent.check("acme", "crm.export")
    stage.faults.calls.clear()
    for _ in range(100):
        assert ent.check("acme", "crm.export").allowed
        assert not ent.check("acme", "hr").allowed
        assert ent.tenant("acme").plan == "pro"
        ent.check_many("acme", ["crm", "hr"])
    assert stage.faults.calls == []


def test_a_cold_check_is_one_reading(ent, stage):
    """Once the process knows what is sold."""
    ent.check("acme", "crm.export")
    stage.faults.calls.clear()
    ent.check("other", "crm.export")
    assert stage.faults.calls == ["read"]


@pytest.mark.parametrize("tenant", NOBODY)
def test_a_tenant_that_is_nobody_is_refused_everywhere(ent, tenant):
    """Never a default tenant that all who forgot would share."""
    for ask in (ent.check, ent.require, ent.remedies, ent.explain):
        with pytest.raises(TypeError, match="tenant"):
            ask(tenant, "crm.export")
    with pytest.raises(TypeError, match="tenant"):
        ent.value(tenant, "crm.page_size", int)
    with pytest.raises(TypeError, match="tenant"):
        ent.tenant(tenant)
    with pytest.raises(TypeError, match="tenant"):
        ent.check_many(tenant, ["crm.export"])
    assert ent.peek("acme", "crm.export") is None


@pytest.mark.parametrize("user", ["", "None", "null", 7])
def test_a_user_that_is_nobody_is_refused_cold_and_warm(ent, user):
    """Also where no user has overrides and the answer would be near."""
    for _ in range(2):
        for ask in (ent.check, ent.require, ent.explain):
            with pytest.raises(TypeError, match="user"):
                ask("acme", "crm.export", user=user)
        with pytest.raises(TypeError, match="user"):
            ent.tenant("acme", user=user)
        ent.check("acme", "crm.export")
    with pytest.raises(TypeError, match="user"):
        ent.peek_tenant("acme", user=user)


def test_overrides_of_a_user_count_for_that_user(ent, stage):
    """In check, require, check_many and on views; others of the tenant are not touched."""
    stage.elsewhere.override("acme", "hr.payroll", True, user="ann")
    stage.elsewhere.override("acme", "crm.export", DENY, user="bob")
    stage.elsewhere.override("acme", "hr", True, user="ann")
    for _ in range(2):
        assert ent.check("acme", "hr.payroll", user="ann").reason is Reason.OVERRIDE_GRANTED
        assert not ent.check("acme", "hr.payroll", user="bob").allowed
        assert ent.check("acme", "crm.export", user="bob").reason is Reason.OVERRIDE_DENIED
        assert ent.check("acme", "crm.export", user="eve").allowed
        assert ent.check("acme", "crm.export").allowed
    assert ent.require("acme", "hr.payroll", user="ann").allowed
    found = ent.check_many("acme", ["hr.payroll", "crm.export"], user="bob")
    assert {key: decision.allowed for key, decision in found.items()} == {"hr.payroll": False, "crm.export": False}
    assert ent.explain("acme", "crm.export", user="bob").decision.reason is Reason.OVERRIDE_DENIED


def test_a_key_that_no_catalog_has_is_refused_and_counted_each_time(ent):
    """Also when the refusal is near: the mistake is in the code that asks, and shows."""
    for _ in range(3):
        assert ent.check("acme", "crm.exprot").reason is Reason.CATALOG_UNKNOWN
    assert ent.counts[("decision", "crm.exprot", "catalog.unknown_feature")] == 3


def test_a_key_that_no_catalog_has_is_said_once(ent, caplog):
    """With the way out; the log is not flooded."""
    for _ in range(3):
        ent.check("acme", "crm.exprot")
    assert caplog.text.count("crm.exprot") == 1


def test_where_it_is_strict_a_wrong_key_raises_and_says_what_was_meant(stage):
    """Cold and near, for every way to ask."""
    ent = stage.open(strict=True)
    for _ in range(2):
        for ask in (ent.check, ent.require):
            with pytest.raises(UnknownFeature, match=r"did you mean 'crm\.export'"):
                ask("acme", "crm.exprot")
        with pytest.raises(UnknownFeature):
            ent.check_many("acme", ["crm.exprot"])
    assert not ent.check("acme", "hr").allowed


@pytest.mark.parametrize("feature", [None, 7, ("crm", "export")])
def test_a_key_is_a_string(ent, feature):
    """In an outage too, and near: anything else is a mistake of the code that asks."""
    for _ in range(2):
        with pytest.raises(TypeError, match="str"):
            ent.check("acme", feature)
        with pytest.raises(TypeError, match="str"):
            ent.tenant("acme").check(feature)
        with pytest.raises(TypeError, match="str"):
            ent.tenant("acme").explain(feature)
        with pytest.raises(TypeError, match="str"):
            ent.explain("acme", feature)
        ent.check("acme", "crm.export")


def test_an_access_that_does_not_exist_is_a_mistake(ent):
    """Neither read nor write: nobody guesses."""
    with pytest.raises(ValueError, match="'read' or 'write'"):
        ent.check("acme", "crm.export", access="reed")


def test_a_paused_subscription_can_be_read(ent, stage):
    """Access is what is about to be done."""
    stage.elsewhere.pause("acme")
    assert not ent.check("acme", "crm.export").allowed
    assert ent.check("acme", "crm.export", access="read").allowed
    assert ent.check_many("acme", ["crm.export"], access="read")["crm.export"].allowed


def test_require_gives_the_decision_or_raises_it(ent):
    """With the decision, the tenant and a reference to quote."""
    assert ent.require("acme", "crm.export").reason is Reason.PLAN_GRANTED
    with pytest.raises(NotEntitled) as caught:
        ent.require("acme", "hr.payroll")
    assert caught.value.decision == ent.check("acme", "hr.payroll")
    assert caught.value.tenant == "acme"
    assert caught.value.reference


def test_require_says_in_its_kind_what_would_help(ent, stage):
    """Money, patience or a talk with the vendor."""
    stage.elsewhere.subscribe("late", "pro", trial=True)
    stage.elsewhere.suspend("bad")
    stage.clock.advance(days=14)
    with pytest.raises(SubscriptionExpired):
        ent.require("late", "crm.export")
    with pytest.raises(TenantSuspended):
        ent.require("bad", "crm")


def test_check_many_answers_from_one_view(ent, stage):
    """In the order of the keys; one reading for all."""
    found = ent.check_many("acme", ("hr", "crm", "crm.export"))
    assert [(key, decision.allowed) for key, decision in found.items()] == [
        ("hr", False),
        ("crm", True),
        ("crm.export", True),
    ]
    assert stage.faults.calls.count("read") == 1
    assert ent.check_many("acme", []) == {}


def test_check_many_takes_no_single_string(ent):
    """Its letters would be asked about one by one."""
    with pytest.raises(TypeError, match=r"check_many\('crm'\)"):
        ent.check_many("acme", "crm")


def test_peek_asks_nobody_ever(ent, stage):
    """None where nothing near may be believed; then what is near."""
    assert ent.peek("acme", "crm.export") is None
    assert ent.peek_tenant("acme") is None
    assert stage.faults.calls == []
    ent.check("acme", "crm.export")
    stage.faults.calls.clear()
    assert ent.peek("acme", "crm.export").allowed
    assert not ent.peek("acme", "hr").allowed
    assert ent.peek_tenant("acme", user="ann").user == "ann"
    stage.clock.advance(seconds=5)
    assert ent.peek("acme", "crm.export") is None
    assert ent.peek_tenant("acme") is None
    assert stage.faults.calls == []


def test_after_is_never_answered_from_before(ent, stage):
    """Read your writes: the revision that another process's change returned is the floor."""
    assert not ent.check("acme", "hr.payroll").allowed
    change = stage.elsewhere.change_plan("acme", "all")
    assert ent.tenant("acme").plan == "pro"
    assert ent.tenant("acme", after=change.revision).plan == "all"
    assert ent.check("acme", "hr.payroll", after=change.revision).allowed
    assert ent.require("acme", "hr.payroll", after=change.revision).allowed
    degraded = ent.check("acme", "hr.payroll", after=change.revision + 1)
    assert degraded.reason is Reason.STORE_UNAVAILABLE


@pytest.mark.parametrize("after", [-1, True, "3", 1.0])
def test_after_is_a_revision(ent, after):
    """What a change returned, nothing else."""
    with pytest.raises(TypeError, match="after"):
        ent.check("acme", "crm.export", after=after)


def test_fresh_goes_past_every_cache(ent, stage):
    """For the page to which a customer returns from paying."""
    assert ent.tenant("acme").plan == "pro"
    stage.elsewhere.change_plan("acme", "all")
    assert ent.tenant("acme", fresh=True).plan == "all"
    assert ent.tenant("acme").plan == "all"


def test_the_writer_sees_its_own_changes_at_once(ent):
    """The same process never reads its own past."""
    for plan in ("all", "pro", "all"):
        ent.admin().change_plan("acme", plan)
        assert ent.tenant("acme").plan == plan
    ent.admin().kill("crm.export")
    assert ent.check("acme", "crm.export").reason is Reason.ENFORCEMENT_KILLED
    ent.admin().restore("crm.export")
    assert ent.check("acme", "crm.export").allowed


def test_a_value_is_of_the_type_that_was_asked_for(ent):
    """And of the plan that the tenant holds."""
    assert ent.value("acme", "crm.page_size", int) == 50
    assert ent.value("nobody-yet", "crm.page_size", int) == 10
    assert ent.value("acme", "crm.colours", list) == ["red", "green"]
    assert ent.value("acme", "crm.colours", tuple) == ("red", "green")


@pytest.mark.parametrize(
    ("feature", "type_"),
    [
        ("crm.page_size", str),
        ("crm.page_size", bool),
        ("crm.page_size", float),
        ("crm.page_size", timedelta),
        ("crm.export", bool),
        ("crm", bool),
    ],
)
def test_a_value_of_another_type_or_kind_is_a_mistake(ent, feature, type_):
    """A bool is no int, a switch and a module are no config."""
    with pytest.raises(TypeError, match=feature):
        ent.value("acme", feature, type_)


def test_a_value_that_is_not_held_is_refused(ent):
    """There is no default that would be given away."""
    with pytest.raises(NotEntitled) as caught:
        ent.value("nobody-yet", "crm.colours", list)
    assert caught.value.decision.reason is Reason.PLAN_FEATURE_ABSENT


def test_nobody_is_refused_a_value_on_a_copy_older_than_a_second(ent, stage):
    """Who has just paid gets what was bought."""
    stage.elsewhere.cancel("acme", when=START)
    stage.clock.advance(seconds=1)
    with pytest.raises(Refused):
        ent.value("acme", "crm.colours", list)
    stage.elsewhere.subscribe("acme", "pro")
    stage.clock.advance(seconds=1)
    assert ent.value("acme", "crm.colours", list) == ["red", "green"]


def test_values_and_remedies_may_be_those_of_one_user(ent):
    """As decisions are: an exception for a user is about all that is asked for it."""
    admin = ent.admin()
    admin.override("acme", "crm.page_size", 200, user="ravi")
    admin.override("acme", "crm.export", DENY, user="ravi")
    assert (ent.value("acme", "crm.page_size", int, user="ravi"), ent.value("acme", "crm.page_size", int)) == (200, 50)
    assert [type(each) for each in ent.remedies("acme", "crm.export", user="ravi")] == [Contact]
    assert ent.remedies("acme", "crm.export") == ()


def test_remedies_are_what_would_open_it_the_cheapest_first(ent, stage):
    """Nothing where it is open already, also when it was opened a second ago."""
    (change,) = ent.remedies("acme", "hr.payroll")
    assert isinstance(change, ChangePlan)
    assert not isinstance(change, AddAddOn)
    assert change.plan == "all"
    assert ent.remedies("acme", "crm.export") == ()
    stage.elsewhere.change_plan("acme", "all")
    stage.clock.advance(seconds=1)
    assert ent.remedies("acme", "hr.payroll") == ()


def test_explain_tells_the_past_the_present_and_the_future(ent, stage):
    """From the change history, whatever is near."""
    ent.check("acme", "hr.payroll")
    stage.clock.advance(days=40)
    stage.elsewhere.change_plan("acme", "all")
    stage.elsewhere.override("acme", "hr.payroll", DENY, from_=stage.clock_now() + timedelta(days=1))
    past = ent.explain("acme", "hr.payroll", at=START)
    now = ent.explain("acme", "hr.payroll")
    future = ent.explain("acme", "hr.payroll", at=stage.clock_now() + timedelta(days=2))
    assert [each.decision.reason for each in (past, now, future)] == [
        Reason.PLAN_MODULE_ABSENT,
        Reason.PLAN_GRANTED,
        Reason.OVERRIDE_DENIED,
    ]
    with pytest.raises(TypeError, match="no time zone"):
        ent.explain("acme", "hr.payroll", at=START.replace(tzinfo=None))


def test_explain_tells_the_past_with_the_switches_of_then(ent, stage):
    """A kill switch that was on for two days, and a mode that was taken back, are in the answers of those days."""
    stage.clock.advance(days=1)
    stage.elsewhere.kill("crm.export")
    stage.clock.advance(days=1)
    change = stage.elsewhere.set_enforcement("hr", "observe")
    stage.clock.advance(days=1)
    stage.elsewhere.restore("crm.export")
    stage.elsewhere.undo(change.id)
    stage.clock.advance(days=1)
    told = [
        [ent.explain("acme", key, at=START + timedelta(days=day)).decision.reason for key in ("crm.export", "hr")]
        for day in range(4)
    ]
    assert told == [
        [Reason.PLAN_GRANTED, Reason.PLAN_MODULE_ABSENT],
        [Reason.ENFORCEMENT_KILLED, Reason.PLAN_MODULE_ABSENT],
        [Reason.ENFORCEMENT_KILLED, Reason.ENFORCEMENT_OBSERVED],
        [Reason.PLAN_GRANTED, Reason.PLAN_MODULE_ABSENT],
    ]


def test_a_turn_of_a_switch_that_cannot_be_read_is_passed_over():
    """An entry of another release in the audit trail does not end the explanation of a day long ago."""
    turn = AuditEntry("id", 1, Scope.CONTROLS, None, 1, 1, 5, "kill", "asha", None, None, None, (), {})
    flow = _controls_at(Controls().with_killed("hr"), 4)
    assert next(flow) == ReadAudit(scope=Scope.CONTROLS, since=5, limit=PAGE)
    with pytest.raises(StopIteration) as landed:
        flow.send([turn, replace(turn, detail={"about": ["killed", "hr"], "was": False})])
    assert landed.value.value.killed == frozenset()


def test_explain_knows_a_switch_that_was_turned_a_moment_ago(ent, stage):
    """A process that was idle explains by what is sold now, not by what it knew."""
    ent.check("acme", "crm.export")
    stage.elsewhere.kill("crm.export")
    assert ent.explain("acme", "crm.export").decision.reason is Reason.ENFORCEMENT_KILLED


def test_explain_can_be_the_first_question(ent):
    """Nothing is near yet, also of somebody of whom nothing was ever recorded."""
    assert ent.explain("nobody-yet", "crm").decision.reason is Reason.PLAN_DEFAULT


def test_explain_reads_a_long_history_to_its_end(ent, stage):
    """Page by page; the first of a thousand changes counts too."""
    for number in range(510):
        stage.elsewhere.override("acme", "hr.payroll", number % 2 == 0)
    stage.clock.advance(days=40)
    assert ent.explain("acme", "crm.export", at=START).decision.reason is Reason.PLAN_GRANTED


def test_explain_has_nothing_to_say_without_the_store(ent, stage):
    """It is about facts, and there are none."""
    stage.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        ent.explain("acme", "crm.export")


def test_health_says_whether_the_store_answers(ent, stage):
    """Without raising; the first question makes the store ready."""
    healthy = ent.health()
    assert (healthy.ok, healthy.store, healthy.is_durable, healthy.detail) == (True, "memory", False, "")
    assert healthy.catalog == CATALOG.hash
    ent.check("acme", "crm.export")
    assert ent.health().tenants == 1
    stage.faults.is_down = True
    ill = ent.health()
    assert (ill.ok, ill.catalog) == (False, CATALOG.hash)
    assert "down" in ill.detail
    cold = stage.open().health()
    assert (cold.ok, cold.catalog, cold.position, cold.tenants) == (False, None, None, 0)


def test_health_of_a_store_that_sells_nothing_says_what_to_do(stage):
    """A readiness probe is answered, not struck by an error of the setup."""
    ill = stage.open(catalog=None).health()
    assert (ill.ok, ill.catalog) == (False, None)
    assert "payaid catalog publish" in ill.detail


def test_health_says_what_is_vouched_for_and_whether_the_store_is_asked(ent, stage):
    fine = ent.health()
    assert (fine.breaker, fine.lease, fine.shared) == ("closed", LEASE, None)
    assert fine.concerns == (LOST_WITH_THE_PROCESS,)
    stage.clock.advance(seconds=1)
    stage.faults.is_down = True
    assert ent.health().lease == LEASE - 1
    ent.health()
    assert ent.health().breaker == "open"
    stage.faults.calls.clear()
    ill = ent.health()
    assert (ill.ok, ill.breaker, stage.faults.calls) == (False, "open", [])
    assert "a moment ago" in ill.detail
    stage.clock.advance(seconds=LEASE)
    assert ent.health().lease == 0
    stage.faults.is_down = False
    stage.clock.advance(seconds=2)
    well = ent.health()
    assert (well.ok, well.breaker, well.lease) == (True, "closed", 0)
    ent.check("acme", "crm")
    assert ent.health().lease == LEASE


def test_a_client_that_was_closed_begins_anew(ent, stage):
    """Closing lets go of connections and of what is near; repeating it is harmless."""
    ent.check("acme", "crm.export")
    ent.close()
    ent.close()
    assert ent.peek("acme", "crm.export") is None
    stage.elsewhere.cancel("acme", when=START)
    assert not ent.check("acme", "crm.export").allowed


def test_nothing_sold_is_a_mistake_of_the_setup(stage):
    """It is said at the first question, with the command to run."""
    ent = stage.open(catalog=None)
    with pytest.raises(ConfigurationError, match="payaid catalog publish"):
        ent.check("acme", "crm")
    assert ent.catalog is None


def test_the_catalog_that_the_code_expects_is_the_one_it_was_opened_with(stage):
    """What this version of the code knows, whatever is published."""
    assert stage.open().catalog is CATALOG


def test_counts_are_those_of_the_tally(stage):
    """An observer of the host's own counts by itself."""

    class Silent:
        def count(self, name, *labels):
            pass

        def once(self, event, **fields):
            pass

    assert stage.open().counts == {}
    assert stage.open(observer=Silent()).counts == {}
