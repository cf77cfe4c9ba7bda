"""
The order of authority: one key, decided, rule by rule.

::

    revoked or suspended -> kill switch -> override DENY -> override value
    -> plan merged with add-ons -> trial -> default plan -> grant -> credit that pays for it -> deny
    then what it requires must hold; enforcement comes last

`explain` runs this very code with a place to write down each step, so it cannot disagree with `check`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from payaid_entitlements.core.catalog.model import Access, Feature, Kind, Module
from payaid_entitlements.core.controls import Enforcement
from payaid_entitlements.core.decision import HARD, Decision, Intent, Reason
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.merging import Source, is_held, is_zero, merge, suits
from payaid_entitlements.core.subscription import MAIN, Standing, State
from payaid_entitlements.core.tracing import Outcome, Step
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance, Deny, Value
from payaid_entitlements.core.world import World
from payaid_entitlements.core.worth import told

#: What somebody of the vendor did to a tenant as a whole.
Status = Literal["suspended", "revoked"]


@dataclass(frozen=True, slots=True)
class Held:
    """
    One subscription as the rules see it: what it sells, and where it stands.

    No rule looks at the rest, which is for remedies: those who differ only in that share their decisions.

    Attributes:
        besides: What would still be in the way, were it not for what *standing* names: paid, it is still paused.
        is_trial: Nobody has bought it yet, also where *standing* names what is due or a pause.
        name: Tells several subscriptions of one tenant apart.
    """

    source: Source
    standing: Standing
    besides: Reason | None = None
    is_trial: bool = False
    name: str = MAIN


@dataclass(frozen=True, slots=True)
class Situation:
    """
    All about one tenant at one instant that decisions depend on. Equal situations have equal answers.

    Attributes:
        held: Its subscriptions, the highest plan first.
        status: Of the tenant as a whole; None where nothing was done to it.
        overrides: In force now, a user's already joined with the tenant's.
        granted: Features of which units were granted and have not expired. Whether any are left only the ledger knows.
        coming: What is known to come of the subscriptions by itself, oldest first. No rule looks at it: it is what
            the remedy "wait" says.
    """

    held: tuple[Held, ...]
    status: Status | None = None
    overrides: Mapping[str, Value | Deny] | None = None
    coming: tuple[tuple[Instant, Situation], ...] = ()
    granted: frozenset[str] = frozenset()


_STATUS = {"suspended": Reason.SUBSCRIPTION_SUSPENDED, "revoked": Reason.SUBSCRIPTION_REVOKED}
_ABSENT = frozenset({Reason.PLAN_FEATURE_ABSENT, Reason.PLAN_ZERO})
_STUCK = frozenset({Reason.SUBSCRIPTION_PAST_DUE, Reason.SUBSCRIPTION_PAUSED})
_SOFTENED = {Enforcement.OBSERVE: Reason.ENFORCEMENT_OBSERVED, Enforcement.OFF: Reason.ENFORCEMENT_OFF}


class Evaluation:
    """
    Decides keys in one situation.

    Pure: the same world, situation and intent always give the same decisions. Asked keys are remembered,
    since many require the same few.
    """

    def __init__(
        self, world: World, situation: Situation, intent: Intent = "write", trace: list[Step] | None = None
    ) -> None:
        self._world = world
        self._situation = situation
        self._intent = intent
        self._trace = trace
        self._depth = 0
        self._sold: dict[str, Decision] = {}
        self._is_unpaid = False
        in_force = [held for held in situation.held if held.standing.access is not Access.NONE]
        self._paid = [held for held in in_force if held.standing.state is not State.TRIALING]
        self._trials = [held for held in in_force if held.standing.state is State.TRIALING]
        self._default: list[Held] = []
        default_plan = world.default_plan
        if not in_force and default_plan is not None:
            self._default = [Held(Source(default_plan), Standing(State.ACTIVE, Access.FULL))]

    def decide(self, key: str) -> Decision:
        """Decide *key*, a module or a feature of the catalog."""
        decision = self.sold(key)
        mode = self._world.mode_of(key)
        if decision.allowed:
            return decision
        stage = self._world.staged_at(key)
        if stage is not None:
            reached = "has reached this tenant" if mode is stage.mode else "has not reached this tenant"
            share = percent(stage.parts)
            self._say(key, "enforcement", "note", f"mode {stage.mode.value} for {share} of tenants {reached}")
        if mode is Enforcement.ENFORCE:
            return decision
        if decision.reason in HARD:
            self._say(key, "enforcement", "note", f"mode is {mode.value}, but this is never softened")
            return decision
        self._say(key, "enforcement", "allow", f"mode is {mode.value}: the refusal is only noted")
        return replace(
            decision,
            allowed=True,
            reason=_SOFTENED[mode],
            advisories=(decision.reason, *decision.advisories),
        )

    def sold(self, key: str) -> Decision:
        """Decide *key* before enforcement: what the tenant really holds."""
        known = self._sold.get(key)
        if known is None:
            known = self._sold[key] = self._by_authority(key)
        return known

    def _by_authority(self, key: str) -> Decision:
        decision = self._by_vendor(key)
        if decision is None:
            decision = self._besides(key, self._by_levels(key))
            if not decision.allowed:
                self._say(key, "result", "deny", f"{decision.reason.value}: {decision.reason.meaning}")
        return decision if decision.reason in HARD else self._with_requirements(key, decision)

    # -- what the vendor did by hand ------------------------------------------------------------------------

    def _by_vendor(self, key: str) -> Decision | None:
        status = self._situation.status
        if status is not None:
            self._say(key, "status", "deny", f"the tenant is {status}")
            return Decision(False, _STATUS[status], key)
        self._say(key, "status", "pass", "the tenant is neither suspended nor revoked")
        if self._world.is_killed(key):
            self._say(key, "kill", "deny", "a kill switch is on for it or for its module")
            return Decision(False, Reason.ENFORCEMENT_KILLED, key)
        self._say(key, "kill", "pass", "no kill switch is on")
        return self._by_override(key)

    def _by_override(self, key: str) -> Decision | None:
        overrides = self._situation.overrides or {}
        module = self._world.module_of(key)
        if module is not None and overrides.get(module) is DENY:
            self._say(key, "override", "deny", f"{module} is denied")
            return Decision(
                False, Reason.OVERRIDE_DENIED, key, "override" if module == key else f"override of {module}"
            )
        to = overrides.get(key)
        if to is None:
            self._say(key, "override", "pass", "there is none")
            return None
        feature = self._world.catalog.features.get(key)
        is_on_or_off = feature is None or feature.kind is Kind.SWITCH
        if to is DENY or (to is False and is_on_or_off):
            self._say(key, "override", "deny", "it is denied")
            return Decision(False, Reason.OVERRIDE_DENIED, key, "override")
        if not suits(feature, to):
            # Damaged, or said of a key that was something else then: nobody knows what was meant, so it opens nothing.
            self._say(key, "override", "deny", f"it is set to {told(to)}, which it cannot be")
            return Decision(False, Reason.OVERRIDE_DENIED, key, "override")
        if feature is None:
            self._say(key, "override", "allow", "the module is granted")
            notes = self._notes(self._world.catalog.modules[key], None)
            return Decision(True, Reason.OVERRIDE_GRANTED, key, "override", value=True, advisories=notes)
        value = self._overriding_value(feature, to)
        if not is_held(feature, value):
            self._say(key, "override", "deny", f"it is set to {told(value)}")
            return Decision(False, Reason.PLAN_ZERO, key, "override")
        self._say(key, "override", "allow", f"it is set to {told(value)}")
        return Decision(
            True, Reason.OVERRIDE_GRANTED, key, "override", value=value, advisories=self._notes(feature, None)
        )

    def _overriding_value(self, feature: Feature, to: Value) -> Value:
        """An override that names no window keeps that of what is sold."""
        if isinstance(to, Allowance) and to.per is None and to.limit is not UNLIMITED:
            for held in (*self._paid, *self._trials, *self._default):
                sold = held.source.value(feature)
                if isinstance(sold, Allowance) and sold.per is not None:
                    return replace(to, per=sold.per)
        return to

    # -- what is sold ---------------------------------------------------------------------------------------

    def _by_levels(self, key: str) -> Decision:
        levels = (
            ("plan", self._paid, Reason.PLAN_GRANTED),
            ("trial", self._trials, Reason.TRIAL_GRANTED),
            ("default", self._default, Reason.PLAN_DEFAULT),
        )
        refused: Decision | None = None
        for rule, level, reason in levels:
            if not level:
                self._say(key, rule, "pass", "there is none in force")
                continue
            decision = self._by_level(key, level, reason)
            if self._trace is not None:
                self._say(key, rule, "allow" if decision.allowed else "pass", _sentence(decision, level))
            if decision.allowed:
                return decision
            if refused is None:
                refused = decision
        if refused is None:
            refused = Decision(False, Reason.SUBSCRIPTION_NONE, key)
        lapsed = self._lapsed(key)
        return refused if lapsed is None else lapsed

    def _by_level(self, key: str, level: Sequence[Held], reason: Reason) -> Decision:
        selling = [held for held in level if _sells(held.source, key, self._world.catalog.features.get(key))]
        open_now = [held for held in selling if self._opens(held.standing)]
        first = (open_now or selling or level)[0]
        plan, named = first.source.plan.key, first.source.named(key)
        feature = self._world.catalog.features.get(key)
        if open_now:
            notes = self._notes(feature or self._world.catalog.modules[key], first.standing.advisory)
            if feature is None:
                return Decision(True, reason, key, named, plan, True, notes)
            values = [value for held in open_now if (value := held.source.value(feature)) is not None]
            return Decision(True, reason, key, named, plan, merge(feature, values), notes)
        if selling:
            # Sold, but the standing leaves only reading open and this wants to write.
            return Decision(False, first.standing.denial or Reason.SUBSCRIPTION_NONE, key, named, plan)
        return Decision(False, self._absence(key, feature, level), key, named, plan)

    def _opens(self, standing: Standing) -> bool:
        return standing.access is Access.FULL or self._intent == "read"

    def _absence(self, key: str, feature: Feature | None, level: Sequence[Held]) -> Reason:
        if feature is None:
            return Reason.PLAN_MODULE_ABSENT
        if feature.module is not None and not any(held.source.opens(feature.module) for held in level):
            return Reason.PLAN_MODULE_ABSENT
        for held in level:
            value = held.source.value(feature)
            if isinstance(value, Allowance) and is_zero(value):
                return Reason.PLAN_ZERO
        return Reason.PLAN_FEATURE_ABSENT

    def _lapsed(self, key: str) -> Decision | None:
        """Why not, when something that is over, or has not begun, would have given it."""
        feature = self._world.catalog.features.get(key)
        nothing_in_force = not (self._paid or self._trials or self._default)
        for held in self._situation.held:
            standing = held.standing
            if standing.access is Access.NONE and standing.denial is not None:
                if nothing_in_force or _sells(held.source, key, feature):
                    return Decision(False, standing.denial, key, held.source.named(key), held.source.plan.key)
        return None

    def _notes(self, sold: Feature | Module, advisory: Reason | None) -> tuple[Reason, ...]:
        notes = () if advisory is None else (advisory,)
        module = self._world.catalog.modules.get(self._world.module_of(sold.key) or "")
        # What is in a module ends with it.
        is_ending = sold.deprecated is not None or (module is not None and module.deprecated is not None)
        return (*notes, Reason.CATALOG_DEPRECATED) if is_ending else notes

    def _besides(self, key: str, decision: Decision) -> Decision:
        """What is held beside what is sold, or instead: granted units, and credits that pay for it."""
        feature = self._world.catalog.features.get(key)
        if feature is None or not feature.kind.is_metered:
            return decision
        is_granted = key in self._situation.granted
        if decision.allowed or decision.reason in _STUCK:
            # What is overdue or paused must be settled first: the units wait.
            if is_granted:
                self._say(key, "grant", "note", "units were granted besides")
            return decision
        if is_granted:
            self._say(key, "grant", "allow", "units were granted")
            return Decision(True, Reason.GRANT_HELD, key, "grant", advisories=self._notes(feature, None))
        if key in self._world.payers and not self._is_unpaid:
            return self._by_credits(feature, decision)
        return decision

    def _by_credits(self, feature: Feature, refused: Decision) -> Decision:
        """
        Decide a quota of which nothing is sold by the credits that pay for it: it is sold when one of them is.

        What a credit requires must be held otherwise than by credits, so that none opens itself or another: else it
        would count which of them is asked first.
        """
        key, module = feature.key, feature.module
        is_open = module is None or self._beneath(module, is_told=False).allowed
        unpaid = Evaluation(self._world, self._situation, self._intent)
        unpaid._is_unpaid = True
        for credit, _ in self._world.payers[key]:
            found, source = unpaid.sold(credit), f"credit {credit}"
            if found.allowed and not is_open:
                self._say(key, "credit", "pass", f"{credit} would pay for it, but {module} is not open")
            elif found.allowed:
                self._say(key, "credit", "allow", f"{credit} pays for it, and is held: {found.reason.value}")
                notes = tuple(dict.fromkeys((*found.advisories, *self._notes(feature, None))))
                return Decision(True, Reason.CREDIT_PAYS, key, source, found.plan, advisories=notes)
            else:
                self._say(key, "credit", "pass", f"{credit} would pay for it, and is refused: {found.reason.value}")
                if refused.reason in _ABSENT and found.reason.family == "subscription":
                    # What is in the way of the credit is in the way of what it pays for.
                    refused = Decision(False, found.reason, key, source, found.plan)
        return refused

    # -- what it requires -----------------------------------------------------------------------------------

    def _with_requirements(self, key: str, decision: Decision) -> Decision:
        feature = self._world.catalog.features.get(key)
        sold: Feature | Module = feature if feature is not None else self._world.catalog.modules[key]
        needed = list(sold.requires)
        if feature is not None and feature.module is not None:
            needed.insert(0, feature.module)
        missing: Decision | None = None
        for required in needed:
            found = self._beneath(required, is_told=decision.allowed)
            if found.allowed:
                if decision.allowed:
                    self._say(key, "requires", "pass", f"needs {required}, which is held")
                continue
            # What somebody took away from beneath is not just missing: no purchase, mode or outage brings it back.
            if found.reason in HARD:
                self._say(key, "requires", "deny", f"needs {required}, which is refused: {found.reason.value}")
                return Decision(False, found.reason, key, f"requires {required}", decision.plan)
            if missing is None and decision.allowed:
                self._say(key, "requires", "deny", f"needs {required}, which is refused: {found.reason.value}")
                missing = Decision(False, Reason.DEPENDENCY_MISSING, key, f"requires {required}", decision.plan)
        return decision if missing is None else missing

    def _beneath(self, required: str, *, is_told: bool) -> Decision:
        """Decide what something requires; of what is refused anyhow, only what was taken away is worth telling."""
        trace = self._trace
        self._trace = trace if is_told else None
        self._depth += 1
        found = self.sold(required)
        self._depth -= 1
        self._trace = trace
        return found

    def _say(self, key: str, rule: str, outcome: Outcome, text: str) -> None:
        if self._trace is not None:
            self._trace.append(Step(key, rule, outcome, text, self._depth))


def _sells(source: Source, key: str, feature: Feature | None) -> bool:
    return source.opens(key) if feature is None else is_held(feature, source.value(feature))


def _sentence(decision: Decision, level: Sequence[Held]) -> str:
    names = ", ".join(f"{held.source.plan.key}@{held.source.plan.version}" for held in level)
    if decision.allowed:
        if decision.value is None or decision.value is True:
            return f"{decision.source} includes it"
        return f"{decision.source} gives {told(decision.value)}"
    return f"{names}: {decision.reason.value}"
