"""
A client against a model of six lines: whatever happens in whichever order, an answer is the truth, as old as allowed.

Two clients change things, one of them asks; the clock moves, the store goes down and comes back. What the asking client
answers must follow from facts that were true within the bound that is documented for such an answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from payaid_entitlements import DENY, Reason
from payaid_entitlements.cache.breaker import LONGEST
from payaid_entitlements.errors import Refused, StoreUnavailable
from tests.entitlements.conftest import Stage

TENANTS = st.sampled_from(["a", "b", "c"])
FEATURES = st.sampled_from(["crm.export", "crm.import", "crm.report"])
#: Sixty-fourths: exact as a float and in microseconds, so that the model and the client agree on what is over.
SECONDS = st.sampled_from([0.125, 0.25, 0.5, 0.984375, 1, 1.5, 1.984375, 2, 3, 4.984375, 5, 30, 61, 100, 300, 301, 700])

#: How old, in seconds, that may be from which an answer follows: a refusal, a grant while the log is read, and not.
SURE, LEASE, TRUSTED = 1, 2, 5
#: A store that failed is left alone for so long, at most.
RETRY = LONGEST


@dataclass(frozen=True)
class Facts:
    """All that is true about a tenant from `since` on."""

    since: float
    is_subscribed: bool = False
    ends: float | None = None
    exported: object = None
    exported_until: float | None = None
    is_suspended: bool = False

    def allow(self, feature: str, at: float) -> bool:
        """The model."""
        if self.is_suspended:
            return False
        if feature == "crm.export" and self.exported is not None:
            if self.exported_until is None or at < self.exported_until:
                return self.exported is True
        return self.is_subscribed and (self.ends is None or at < self.ends)


def moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


@dataclass(frozen=True)
class Killed:
    """The features that are off for everybody from `since` on."""

    since: float
    features: frozenset[str] = frozenset()


class Past:
    """What was true, the newest last, and what of it the asking client may still believe."""

    def __init__(self, first):
        self.states = [first]
        self.seen = 0

    def change(self, at, *, is_own, **changes):
        self.states.append(replace(self.states[-1], since=at, **changes))
        if is_own:
            self.seen = len(self.states) - 1

    def since(self, at):
        """All that was true at *at* or later, and not before what the client has written itself."""
        ends = [*(state.since for state in self.states[1:]), float("inf")]
        return [state for state, end in list(zip(self.states, ends, strict=True))[self.seen :] if end >= at]


class Machine(RuleBasedStateMachine):
    """Rules are what happens; each question is checked where it is asked."""

    colour = "sync"

    @initialize()
    def begin(self):
        self.runner = asyncio.Runner()
        self.stage = Stage(self.colour, self.runner)
        self.ent = self.stage.open(cache_size=2)
        self.facts = {tenant: Past(Facts(self.now)) for tenant in "abc"}
        self.killed = Past(Killed(self.now))
        self.failed_at = float("-inf")

    def teardown(self):
        if hasattr(self, "stage"):
            self.stage.close()
            self.runner.close()

    @property
    def now(self) -> float:
        return self.stage.clock()

    # -- what happens -------------------------------------------------------------------------------------------------

    def admin(self, is_own):
        return self.ent.admin() if is_own else self.stage.elsewhere

    def note(self, tenant, is_own, **changes):
        self.facts[tenant].change(self.now, is_own=is_own, **changes)

    def may_write(self, is_own):
        return not (is_own and self.stage.faults.is_down)

    @rule(tenant=TENANTS, is_own=st.booleans(), lasts=st.none() | SECONDS)
    def subscribe(self, tenant, is_own, lasts):
        if self.may_write(is_own):
            ends = None if lasts is None else self.now + lasts
            self.admin(is_own).subscribe(
                tenant, "pro", ends=None if ends is None else datetime.fromtimestamp(ends, UTC)
            )
            self.note(tenant, is_own, is_subscribed=True, ends=ends)

    @rule(tenant=TENANTS, is_own=st.booleans(), to=st.sampled_from([True, DENY]), lasts=st.none() | SECONDS)
    def override(self, tenant, is_own, to, lasts):
        if self.may_write(is_own):
            until = None if lasts is None else self.now + lasts
            self.admin(is_own).override(tenant, "crm.export", to, until=moment(until))
            before = self.facts[tenant].states[-1]
            self.note(tenant, is_own, exported=to, exported_until=until)
            # What was said before counts again when this one ends; the model does not know that, so it is cleared.
            if before.exported is not None and until is not None:
                self.clear(tenant, is_own)

    @rule(tenant=TENANTS, is_own=st.booleans())
    def clear(self, tenant, is_own):
        if self.may_write(is_own):
            self.admin(is_own).clear_override(tenant, "crm.export")
            self.note(tenant, is_own, exported=None, exported_until=None)

    @rule(tenant=TENANTS, is_own=st.booleans(), suspends=st.booleans())
    def suspend(self, tenant, is_own, suspends):
        if self.may_write(is_own):
            admin = self.admin(is_own)
            # Somebody of whom nothing is known cannot be suspended.
            admin.override(tenant, "hr", DENY)
            (admin.suspend if suspends else admin.reinstate)(tenant)
            self.note(tenant, is_own, is_suspended=suspends)

    @rule(feature=FEATURES, is_own=st.booleans(), kills=st.booleans())
    def kill(self, feature, is_own, kills):
        if self.may_write(is_own):
            (self.admin(is_own).kill if kills else self.admin(is_own).restore)(feature)
            killed = self.killed.states[-1].features
            self.killed.change(self.now, is_own=is_own, features=killed | {feature} if kills else killed - {feature})

    @rule(seconds=SECONDS)
    def advance(self, seconds):
        self.stage.clock.advance(seconds=seconds)

    @rule()
    def go_down(self):
        self.stage.faults.is_down = True

    @precondition(lambda self: self.stage.faults.is_down)
    @rule()
    def come_back(self):
        self.stage.faults.is_down = False
        self.failed_at = self.now

    @rule()
    def restart(self):
        self.ent.close()

    # -- what is asked ------------------------------------------------------------------------------------------------

    def possible(self, tenant, feature, within):
        """What an answer may be that follows from what was true within so many seconds."""
        at = self.now - within
        return {
            feature not in killed.features and facts.allow(feature, self.now)
            for facts in self.facts[tenant].since(at)
            for killed in self.killed.since(at)
        }

    @property
    def is_quiet(self):
        """Was nothing wrong with the store, as far as the client can still know?"""
        return not self.stage.faults.is_down and self.now - self.failed_at >= RETRY

    def judge(self, tenant, feature, decision, *, refusal_within=SURE):
        if decision.degraded:
            assert not self.is_quiet
            if decision.reason is Reason.STORE_FAILED_OPEN:
                assert feature == "crm.import"
            elif decision.allowed:
                bound = 600 if feature == "crm.report" else 300
                assert True in self.possible(tenant, feature, bound)
            elif decision.reason is not Reason.STORE_UNAVAILABLE:
                # What the vendor did is repeated at any age.
                assert False in self.possible(tenant, feature, float("inf"))
        else:
            grant_within = LEASE if self.now - self.failed_at >= TRUSTED and self.is_quiet else TRUSTED
            within = grant_within if decision.allowed else min(refusal_within, grant_within)
            assert decision.allowed in self.possible(tenant, feature, within)

    @rule(tenant=TENANTS, feature=FEATURES, user=st.sampled_from([None, "ann"]))
    def check(self, tenant, feature, user):
        self.judge(tenant, feature, self.ent.check(tenant, feature, user=user))

    @rule(tenant=TENANTS, feature=FEATURES)
    def check_many(self, tenant, feature):
        self.judge(tenant, feature, self.ent.check_many(tenant, [feature, "crm"])[feature])

    @rule(tenant=TENANTS, feature=FEATURES)
    def require(self, tenant, feature):
        try:
            decision = self.ent.require(tenant, feature)
        except Refused as refused:
            decision = refused.decision
        except StoreUnavailable:
            assert not self.is_quiet
            return
        self.judge(tenant, feature, decision)

    @rule(tenant=TENANTS, feature=FEATURES)
    def view(self, tenant, feature):
        """A view is not made sure of by itself: its refusal is as old as a grant may be."""
        self.judge(tenant, feature, self.ent.tenant(tenant).check(feature), refusal_within=TRUSTED)

    @rule(tenant=TENANTS, feature=FEATURES)
    def fresh(self, tenant, feature):
        """Past every cache: nothing older than now, unless it says so."""
        decision = self.ent.tenant(tenant, fresh=True).check(feature)
        if not decision.degraded:
            facts, killed = self.facts[tenant].states[-1], self.killed.states[-1]
            assert decision.allowed is (feature not in killed.features and facts.allow(feature, self.now))

    @rule(tenant=TENANTS, feature=FEATURES)
    def peek(self, tenant, feature):
        """Never I/O, never older than a grant may be without any."""
        asked = len(self.stage.faults.calls)
        decision = self.ent.peek(tenant, feature)
        assert len(self.stage.faults.calls) == asked
        if decision is not None:
            assert decision.allowed in self.possible(tenant, feature, LEASE)

    @invariant()
    def is_bounded(self):
        if hasattr(self, "ent"):
            assert len(self.ent.inner._near.held) <= 2


class AsyncMachine(Machine):
    """The same, awaited."""

    colour = "async"


def running(machine, examples):
    """A test case of *machine*; each of its examples has forty steps."""
    case = type("Case", (machine.TestCase,), {})
    case.settings = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    return case


TestMachine = running(Machine, 25)
TestAsyncMachine = running(AsyncMachine, 25)
TestMachineForLong = pytest.mark.soak(running(Machine, 2000))
TestAsyncMachineForLong = pytest.mark.soak(running(AsyncMachine, 2000))
