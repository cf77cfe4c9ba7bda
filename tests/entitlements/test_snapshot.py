"""A process that starts while the store gives no answer says what was last known, and how old that is."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from payaid_entitlements import DENY, AsyncEntitlements, Entitlements, Reason
from payaid_entitlements.core.subscription import Subscription
from payaid_entitlements.errors import StoreUnavailable, TenantSuspended
from tests.entitlements.conftest import CATALOG


@pytest.fixture
def file(tmp_path):
    return tmp_path / "known.db"


@pytest.fixture
def warm(stage, file):
    """A process that knows acme, who holds the plan pro."""
    stage.elsewhere.subscribe("acme", "pro")
    opened = stage.open(snapshot=file)
    assert opened.check("acme", "crm.export").allowed
    return opened


@pytest.fixture
def cold(stage, file):
    """Starts another process on the same file, after the store went down."""

    def start(*, seconds=0.0, **named):
        stage.faults.is_down = True
        stage.clock.advance(seconds=seconds)
        return stage.open(**{"snapshot": file, **named})

    return start


@pytest.mark.parametrize("seconds", [1, 299, 300])
def test_a_grant_is_repeated_up_to_its_bound(warm, cold, seconds):
    """With its true age: that of the reading, not of the start."""
    decision = cold(seconds=seconds).check("acme", "crm.export")
    assert (decision.allowed, decision.degraded, decision.reason) == (True, True, Reason.PLAN_GRANTED)


def test_beyond_the_bound_the_fail_policies_decide(warm, cold, stage):
    """Just as for a copy that is near; and time goes on for the cold process."""
    ent = cold(seconds=300)
    assert ent.check("acme", "crm.export").allowed
    stage.clock.advance(seconds=1)
    assert ent.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE
    assert ent.check("acme", "crm.import").reason is Reason.STORE_FAILED_OPEN
    known = ent.check("acme", "crm.report")
    assert (known.allowed, known.advisories) == (True, (Reason.STORE_LAST_KNOWN_GOOD,))
    stage.clock.advance(seconds=299)
    assert ent.check("acme", "crm.report").allowed
    stage.clock.advance(seconds=1)
    assert ent.check("acme", "crm.report").reason is Reason.STORE_UNAVAILABLE
    with pytest.raises(StoreUnavailable):
        ent.require("acme", "crm.export")


def test_without_a_file_nothing_is_known(warm, cold):
    """So the file it is that answers."""
    assert cold(snapshot=None).check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_an_old_refusal_is_not_repeated(warm, cold, stage):
    """The customer may have paid meanwhile."""
    assert not warm.check("acme", "hr.payroll").allowed
    assert cold().check("acme", "hr.payroll").reason is Reason.STORE_UNAVAILABLE


@pytest.mark.parametrize("verb", ["suspend", "revoke"])
def test_what_the_vendor_refused_is_refused_at_any_age(warm, cold, stage, verb):
    """Also to features that fail open."""
    getattr(warm.admin(), verb)("acme")
    assert not warm.check("acme", "crm.export").allowed
    ent = cold(seconds=20 * 86_400)
    decision = ent.check("acme", "crm.import")
    assert (decision.allowed, decision.degraded) == (False, True)
    assert decision.reason in {Reason.SUBSCRIPTION_SUSPENDED, Reason.SUBSCRIPTION_REVOKED}
    with pytest.raises(TenantSuspended):
        ent.require("acme", "crm.import")


def test_a_change_of_this_process_crosses_out_what_was_before(warm, cold):
    """At once: it may die before it reads again."""
    warm.admin().override("acme", "crm.export", DENY)
    assert cold().check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_a_change_that_was_heard_of_crosses_out_what_was_before(warm, cold, stage):
    """By a question about somebody else, which read the change log."""
    stage.elsewhere.revoke("acme")
    stage.clock.advance(seconds=2)
    warm.check("globex", "crm")
    ent = cold()
    assert ent.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE
    assert ent.check("globex", "crm").allowed


def test_a_kill_switch_goes_with_the_file(warm, cold, stage):
    """Also one that was turned long before: what is sold and the switches are of the same moment as the tenant."""
    stage.elsewhere.kill("crm.report")
    stage.clock.advance(seconds=2)
    warm.check("acme", "crm.export")
    ent = cold()
    assert ent.check("acme", "crm.report").reason is Reason.ENFORCEMENT_KILLED
    assert ent.check("acme", "crm.export").allowed


def test_the_change_log_vouches_for_the_file(warm, cold, stage):
    """A tenant who was read once is as old as the last look at the log, since nothing has contradicted it."""
    for _ in range(200):
        stage.clock.advance(seconds=3)
        warm.check("globex", "crm")
    ent = cold(seconds=300)
    assert ent.check("acme", "crm.export").allowed
    stage.clock.advance(seconds=1)
    assert not ent.check("acme", "crm.export").allowed


def test_nobody_vouches_for_what_another_life_has_written(warm, cold, stage, file):
    """What was changed between two lives of a process was heard of by none."""
    warm.close()
    stage.clock.advance(seconds=200)
    warm.check("globex", "crm")
    assert not cold(seconds=101).check("acme", "crm.export").allowed
    assert cold().check("globex", "crm").allowed


def test_with_the_store_back_the_store_answers(warm, cold, stage):
    """What came from the file is never near, so nobody is kept from asking."""
    ent = cold()
    assert ent.check("acme", "crm.export").degraded
    assert ent.inner._near.world is None
    assert ent.inner._near.held == {}
    stage.faults.is_down = False
    stage.elsewhere.override("acme", "crm.export", DENY)
    stage.clock.advance(seconds=2)
    decision = ent.check("acme", "crm.export")
    assert (decision.reason, decision.degraded) == (Reason.OVERRIDE_DENIED, False)


def test_a_tenant_who_is_not_near_comes_from_the_file_too(warm, stage, file):
    """In a process that had begun before the store went down."""
    other = stage.open(snapshot=file)
    other.check("globex", "crm")
    stage.faults.is_down = True
    assert other.check("acme", "crm.export").degraded
    assert other.counts[("snapshot.used",)] == 1
    assert ("store.stale",) not in other.counts


def test_degraded_answers_are_told_apart(warm, cold, stage):
    """From near, from the file, and from nowhere."""
    ent = cold()
    ent.check("acme", "crm.export")
    ent.check("nobody", "crm.export")
    stage.clock.advance(seconds=6)
    warm.check("acme", "crm.export")
    counts = ent.counts
    assert (counts[("snapshot.used",)], counts[("store.unavailable",)]) == (1, 1)
    assert ("store.stale",) not in counts
    assert warm.counts[("store.stale",)] == 1
    assert ("snapshot.used",) not in warm.counts


def test_of_a_tenant_who_is_not_in_the_file_the_policies_are_known(warm, cold):
    """Since it says what is sold."""
    ent = cold()
    assert ent.check("nobody", "crm.import").reason is Reason.STORE_FAILED_OPEN
    assert ent.check("nobody", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_never_from_before_a_revision_that_was_asked_for(warm, cold):
    """The file is at the first."""
    ent = cold()
    assert ent.check("acme", "crm.export", after=1).allowed
    assert ent.check("acme", "crm.export", after=2).reason is Reason.STORE_UNAVAILABLE


def test_a_clock_that_was_set_back_says_nothing_about_age(warm, cold, stage):
    """So the file is not used, rather than taken to be young."""
    assert cold(seconds=-1).check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_warming_up_fills_the_file(stage, file, cold):
    """All that were read are known to the next process."""
    stage.elsewhere.subscribe("acme", "pro")
    stage.elsewhere.subscribe("globex", "pro")
    assert stage.open(snapshot=file).warm_up() == 2
    ent = cold()
    assert ent.check("acme", "crm.export").allowed
    assert ent.check("globex", "crm.export").allowed


def test_warming_up_writes_nothing_that_was_overtaken(stage, file, cold):
    """A change that was heard of while it was read: neither near nor in the file."""
    stage.elsewhere.subscribe("acme", "pro")
    ent = stage.open(snapshot=file)
    stage.faults.before = lambda name: name == "read" and ent.inner._near.invalidate("acme", 2, 99)
    assert ent.warm_up() == 1
    stage.faults.before = None
    assert ent.inner._near.held == {}
    assert cold().check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE


def test_health_says_whether_the_file_can_be_used(stage, tmp_path):
    """A process is well without it."""
    assert stage.open().health().snapshot is None
    assert stage.open(snapshot=tmp_path / "known.db").health().snapshot is True
    health = stage.open(snapshot=tmp_path / "missing" / "known.db").health()
    assert (health.ok, health.snapshot) == (True, False)


def test_a_host_that_answers_is_asked(stage, file, cold):
    """Its table is another store. What it says is judged by what the file says is sold."""
    sold = {"acme": Subscription("pro")}

    def tell(tenant):
        if tenant == "broken":
            raise RuntimeError("no")
        return sold.get(tenant)

    ent = stage.open(snapshot=file, subscriptions=stage.host(tell))
    assert ent.check("acme", "crm.export").allowed
    cold_one = cold(subscriptions=stage.host(tell))
    assert cold_one.check("acme", "crm.export").allowed
    sold.clear()
    assert cold_one.check("acme", "crm.export").reason is Reason.STORE_UNAVAILABLE
    sold["acme"] = Subscription("never-published")
    assert cold_one.check("acme", "crm").reason is Reason.STORE_UNAVAILABLE
    assert cold_one.check("broken", "crm").reason is Reason.STORE_UNAVAILABLE


def test_a_gap_in_the_change_log_empties_the_file(warm, cold, stage):
    """Nobody knows what was changed there."""
    warm.inner._near.position = 1_000
    stage.clock.advance(seconds=2)
    warm.check("globex", "crm")
    ent = cold()
    assert not ent.check("acme", "crm.export").allowed
    assert ent.check("globex", "crm").allowed


@pytest.mark.parametrize("kind", [Entitlements, AsyncEntitlements])
def test_the_environment_may_name_the_file(kind, monkeypatch, file):
    """Where the program names none; empty is none."""
    monkeypatch.setenv("PAYAID_SNAPSHOT", str(file))
    assert kind.open("memory://", catalog=CATALOG)._setting.snapshot.path == str(file)
    assert kind.open("memory://", catalog=CATALOG, snapshot=f"{file}2")._setting.snapshot.path == f"{file}2"
    monkeypatch.setenv("PAYAID_SNAPSHOT", "")
    assert kind.open("memory://", catalog=CATALOG)._setting.snapshot is None


def test_a_trial_ends_also_by_the_file(stage, file, cold):
    """What a tenant's own facts foretell needs no store."""
    stage.elsewhere.subscribe("acme", "pro", trial=True)
    ent = stage.open(snapshot=file)
    stage.clock.advance(days=14, seconds=-10)
    assert ent.check("acme", "crm.export").allowed
    assert cold(seconds=9).check("acme", "crm.export").allowed
    assert not cold(seconds=1).check("acme", "crm.export").allowed


#: A worker that knows acme, and is killed before it can close anything.
KILLED = """
import os, signal, sys
from payaid_entitlements import Entitlements
from tests.entitlements.conftest import CATALOG
ent = Entitlements.open(sys.argv[1], catalog=CATALOG, snapshot=sys.argv[2])
ent.admin("test").subscribe("acme", "pro")
ent.admin("test").revoke("acme") if sys.argv[3] == "revoke" else None
ent.check("acme", "crm.export")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("verb", ["subscribe", "revoke"])
def test_a_worker_that_was_killed_leaves_what_it_knew(tmp_path, file, verb):
    """By the clocks of the system; the database is gone when the next one starts."""
    url = f"sqlite:///{tmp_path}/payaid.db"
    worker = subprocess.run([sys.executable, "-c", KILLED, url, str(file), verb], check=False, timeout=60)
    assert worker.returncode == -signal.SIGKILL
    for database in tmp_path.glob("payaid.db*"):
        database.unlink()
    (tmp_path / "payaid.db").mkdir()
    with Entitlements.open(url, catalog=CATALOG, snapshot=file) as ent:
        decision = ent.check("acme", "crm.import")
        assert (decision.allowed, decision.degraded) == (verb == "subscribe", True)
        assert ent.counts[("snapshot.used",)] == 1
