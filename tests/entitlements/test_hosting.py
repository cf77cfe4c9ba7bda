"""A host that keeps subscriptions in its own table: it stays the truth, and its outage is one of ours."""

from __future__ import annotations

import time

import pytest

from payaid_entitlements import Reason, Subscription
from payaid_entitlements.answering import look
from payaid_entitlements.cache.driving import PATIENCE
from payaid_entitlements.cache.loading import Found
from payaid_entitlements.errors import ConfigurationError
from tests.entitlements.conftest import START


class Table:
    """The host's own."""

    def __init__(self):
        self.rows = {}
        self.asked = []
        self.error = None

    def __call__(self, tenant):
        self.asked.append(tenant)
        if self.error is not None:
            raise self.error
        return self.rows.get(tenant)


@pytest.fixture
def table():
    return Table()


@pytest.fixture
def ent(stage, table):
    return stage.open(subscriptions=stage.host(table))


def test_what_the_table_says_is_what_a_tenant_holds(ent, table):
    """Whatever we have recorded; None is no subscription."""
    table.rows["acme"] = Subscription("pro", starts=START)
    assert ent.check("acme", "crm.export").plan == "pro"
    assert ent.check("other", "crm").reason is Reason.PLAN_DEFAULT


def test_the_table_is_asked_on_a_miss_only(ent, table):
    """Grants are near for a minute."""
    table.rows["acme"] = Subscription("pro")
    for _ in range(10):
        assert ent.check("acme", "crm.export").allowed
    assert table.asked == ["acme"]


def test_a_plain_function_serves_both_colours(stage, table):
    """The asynchronous client takes a coroutine function or a plain one."""
    table.rows["acme"] = Subscription("pro")
    assert stage.open(subscriptions=table).check("acme", "crm.export").allowed


def test_a_customer_who_has_just_paid_at_the_host_is_not_locked_out(ent, stage, table):
    """The change log was read a moment ago and knows nothing of it: the table is asked, once a second at most."""
    assert not ent.check("acme", "crm.export").allowed
    for _ in range(6):
        stage.clock.advance(seconds=0.5)
        assert not ent.check("acme", "crm.export").allowed
        ent.check("acme", "crm")
    assert len(table.asked) == 4
    table.rows["acme"] = Subscription("pro")
    stage.clock.advance(seconds=1)
    assert ent.check("acme", "crm.export").allowed


def test_within_a_minute_what_ended_at_the_host_ends_here(ent, stage, table):
    """Without being told: the table is read again."""
    table.rows["acme"] = Subscription("pro")
    assert ent.check("acme", "crm.export").allowed
    table.rows.clear()
    for _ in range(62):
        stage.clock.advance(seconds=1)
        last = ent.check("acme", "crm.export")
    assert not last.allowed


def test_told_of_a_change_it_is_read_again_at_once(ent, table):
    """The host calls invalidate when it writes its row."""
    table.rows["acme"] = Subscription("pro")
    assert ent.check("acme", "crm.export").allowed
    table.rows.clear()
    ent.admin().invalidate("acme")
    assert not ent.check("acme", "crm.export").allowed


def test_its_outage_is_an_outage(ent, stage, table):
    """Cold: the fail policy. Near: the last grant, which says so once nobody vouches for it."""
    table.rows["acme"] = Subscription("pro")
    assert ent.check("acme", "crm.export").allowed
    table.error = OSError("connection refused")
    assert ent.check("cold", "crm.export").reason is Reason.STORE_UNAVAILABLE
    assert ent.check("cold", "crm.import").reason is Reason.STORE_FAILED_OPEN
    stage.clock.advance(seconds=61)
    decision = ent.check("acme", "crm.export")
    assert (decision.allowed, decision.degraded) == (True, True)
    stage.clock.advance(seconds=240)
    assert ent.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_its_outages_are_counted_apart_from_those_of_the_store(ent, stage, table):
    """Whoever is called at night looks at the right one."""
    table.rows["acme"] = Subscription("pro")
    ent.check("acme", "crm.export")
    table.error = OSError("connection refused")
    ent.check("cold", "crm.export")
    stage.clock.advance(seconds=70)
    ent.check("acme", "crm.export")
    assert ent.counts["host.unavailable",] == ent.counts["host.stale",] == 1
    assert not {name for name, *_ in ent.counts} & {"store.unavailable", "store.stale", "breaker"}
    assert ent.health().ok
    table.error = None
    stage.faults.is_down = True
    stage.clock.advance(seconds=70)
    for _ in range(3):
        assert ent.check("cold", "crm.export").reason is Reason.STORE_UNAVAILABLE
    assert ent.counts["host.unavailable",] == 1
    assert ent.counts["store.unavailable",] == 3
    assert ent.counts["breaker", "store", "open"] == 1
    stage.faults.is_down = False
    stage.clock.advance(seconds=2)
    assert not ent.check("cold", "crm.export").degraded
    assert ent.counts["breaker", "store", "closed"] == 1


def test_a_refusal_that_cannot_be_made_sure_of_is_an_outage(ent, stage, table):
    """The table gives no answer: nobody knows whether it still holds."""
    assert ent.check("acme", "crm.export").reason is Reason.PLAN_FEATURE_ABSENT
    table.error = OSError("connection refused")
    stage.clock.advance(seconds=1)
    assert ent.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_an_answer_of_another_kind_is_a_mistake(stage):
    """A row is not a Subscription; taken for one it would decide something."""
    ent = stage.open(subscriptions=lambda tenant: {"plan": "pro"})
    with pytest.raises(TypeError, match="dict"):
        ent.check("acme", "crm.export")


def test_a_table_that_asks_its_own_client_is_told_so_at_once(stage, caplog):
    """A reading that waits for itself would cost seconds each time; it is an outage, and the log says why."""
    asked = []

    def curious(tenant):
        asked.append(tenant)
        answer = ent.inner.check(tenant, "crm")
        return answer if stage.colour == "sync" else _through(answer)

    async def _through(answer):
        await answer

    ent = stage.open(subscriptions=curious)
    before = time.monotonic()
    assert ent.check("acme", "crm").reason is Reason.STORE_UNAVAILABLE
    assert time.monotonic() - before < PATIENCE
    assert asked == ["acme"]
    assert "asks its own client about 'acme'" in caplog.text


def test_we_do_not_change_what_the_host_keeps(ent):
    """The message says where to change it."""
    with pytest.raises(ConfigurationError, match="invalidate"):
        ent.admin().subscribe("acme", "pro")


def test_overrides_are_still_ours(ent, stage, table):
    """Only subscriptions are the host's."""
    stage.elsewhere.override("acme", "crm.export", True)
    assert ent.check("acme", "crm.export").reason is Reason.OVERRIDE_GRANTED


def test_explain_reads_the_table(ent, table):
    """Past every cache."""
    ent.check("acme", "crm.export")
    table.rows["acme"] = Subscription("pro")
    assert ent.explain("acme", "crm.export").decision.reason is Reason.PLAN_GRANTED


def test_what_the_hosts_own_row_made_old_is_counted_as_the_hosts(ent, monkeypatch):
    ent.check("acme", "crm")
    setting = ent.inner._setting
    found = Found(setting.near.held["acme"], setting.near.clock(), age=7.0, is_hosts=True)

    def held(*_, **__):
        return found
        yield

    monkeypatch.setattr("payaid_entitlements.answering.hold", held)
    with pytest.raises(StopIteration) as done:
        next(look(setting, "acme"))
    assert done.value.value.stale
    assert ent.counts["host.stale",] == 1
    assert ("store.stale",) not in ent.counts
