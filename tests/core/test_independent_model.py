"""
The rules, written a second time in the most direct way, from what describes them; both must agree.

Nothing of the resolution is used here: the model reads what it needs from the facts and the catalog by
itself. It knows no memo, no shared table, no segment and no trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog, Kind
from payaid_entitlements.core.controls import ENFORCE, OFF, Controls
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import DAY, Instant
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.core.world import World
from tests.core.conftest import EXAMPLE
from tests.core.generated import KEYS, PUBLISHED, controls, days, documents

FULL, READ, NOTHING = 2, 1, 0


@dataclass
class Held:
    """A subscription in the model: what it sells by key, how far it is open, and why not further."""

    plan: str
    rank: int
    sells: dict[str, object]
    open: int
    is_trial: bool
    why_not: str


class Model:
    """The order of authority, as the design tells it."""

    def __init__(
        self, document: TenantDocument, catalog: Catalog, controls: Controls, at: Instant, user: str | None
    ) -> None:
        self.facts = {path: line.facts for path, line in document.timelines.items()}
        self.catalog = catalog
        self.controls = controls
        self.at = at
        self.user = user
        self.document = document
        self.is_paying = True
        self.held = sorted(self.subscriptions(), key=lambda held: -held.rank)

    def now(self, *path: str) -> object:
        found = None
        for fact in self.facts.get(path, ()):
            if fact.since <= self.at:
                found = fact.value
        return found

    # -- subscriptions ----

    def subscriptions(self) -> list[Held]:
        names = sorted({path[1] for path in self.facts if path[0] == "subscription"})
        return [self.subscription(name) for name in names if self.now("subscription", name, "plan") is not None]

    def subscription(self, name: str) -> Held:
        plan = self.catalog.plans[self.now("subscription", name, "plan")["plan"]]
        is_open, why_not = self.standing(name)
        trial_end = self.now("subscription", name, "trial_end")
        return Held(
            plan.key,
            plan.rank,
            self.sold(plan, self.add_ons(name)),
            is_open,
            trial_end is not None and self.at < trial_end and why_not == "",
            why_not,
        )

    def standing(self, name: str) -> tuple[int, str]:
        at = self.at
        time = {
            word: self.now("subscription", name, word)
            for word in (
                "starts",
                "cancel_at",
                "ends",
                "trial_end",
                "past_due_since",
                "paused_from",
                "paused_until",
            )
        }
        if time["starts"] is not None and at < time["starts"]:
            return NOTHING, "scheduled"
        for word, reason in (("cancel_at", "cancelled"), ("ends", "ended"), ("trial_end", "trial_ended")):
            if time[word] is not None and time[word] <= at:
                return NOTHING, reason
        found = [(FULL, "")]
        is_paused = time["paused_from"] is not None and time["paused_from"] <= at
        if is_paused and (time["paused_until"] is None or at < time["paused_until"]):
            found.append((READ, "paused"))
        if time["past_due_since"] is not None and time["past_due_since"] <= at:
            # The catalog: full for 7 days, read_only for 14 days, none.
            days = (at - time["past_due_since"]) // DAY
            found.append((FULL if days < 7 else READ if days < 21 else NOTHING, "past_due"))
        least = min(access for access, _ in found)
        words = [word for access, word in found if access == least and word]
        return least, words[0] if words else ""

    def add_ons(self, name: str) -> dict[str, int]:
        found = {}
        for path in self.facts:
            if path[:3] == ("subscription", name, "add_on"):
                held = self.now(*path)
                if held:
                    found[path[3]] = held["quantity"]
        return found

    def sold(self, plan, add_ons: Mapping[str, int]) -> dict[str, object]:
        sells: dict[str, object] = dict.fromkeys(plan.modules, True)
        sells |= plan.features
        for key, quantity in add_ons.items():
            add_on = self.catalog.add_ons[key]
            for module in add_on.modules:
                sells[module] = True
            for feature, more in add_on.increment.items():
                had = sells.get(feature, Allowance(0, more.per))
                if had.limit is not UNLIMITED:
                    sells[feature] = Allowance(had.limit + quantity * more.limit, more.per or had.per)
            for feature, least in add_on.max.items():
                sells[feature] = max(sells.get(feature, 0), least)
        return sells

    # -- deciding ----

    def answer(self, key: str, access: str) -> tuple[bool, str, object]:
        """Verdict, reason, value."""
        allowed, reason, value, hard = self.decide(key, access)
        module = key.partition(".")[0] if key in self.catalog.modules or "." in key else None
        mode = self.controls.modes.get(module, self.controls.modes.get("*", ENFORCE))
        if not allowed and not hard and mode is not ENFORCE:
            return True, "enforcement.off" if mode is OFF else "enforcement.observed", None
        return allowed, reason, value

    def decide(self, key: str, access: str) -> tuple[bool, str, object, bool]:
        status = self.now("status")
        if status:
            return False, f"subscription.{status}", None, True
        module = key.partition(".")[0] if "." in key else None
        if key in self.controls.killed or module in self.controls.killed:
            return False, "enforcement.killed", None, True
        said = self.overriding(key)
        if said is DENY or (module and self.overriding(module) is DENY):
            return False, "override.denied", None, True
        if said is not None:
            value = self.with_window(said, key)
            if isinstance(value, Allowance) and value.limit == 0:
                return False, "plan.zero", None, False
            found = True, "override.granted", value
        else:
            found = self.besides(key, access, self.from_what_is_sold(key, access))
        allowed, reason, value = found
        feature = self.catalog.features.get(key)
        needed = feature.requires if feature else self.catalog.modules[key].requires
        beneath = [self.decide(required, access) for required in ((module,) if module else ()) + tuple(needed)]
        for held, why, _, hard in beneath:
            if not held and hard:
                return False, why, None, True
        if not allowed:
            return False, reason, None, False
        if not all(held for held, _, _, _ in beneath):
            return False, "dependency.missing", None, False
        return True, reason, value, False

    def overriding(self, key: str) -> object:
        values = [self.override_at("override", key, self.user)] if self.user else []
        values.append(self.override_at("override", key))
        values = [value for value in values if value is not None]
        return DENY if DENY in values else values[0] if values else None

    def override_at(self, *path: str) -> object:
        said = self.now(*path)
        if said is None or (said["until"] is not None and said["until"] <= self.at):
            return None
        match said["to"]:
            case {"deny": True}:
                return DENY
            case {"limit": {"unlimited": True}}:
                return Allowance(UNLIMITED)
            case {"limit": limit}:
                return Allowance(limit)
            case {"microseconds": length}:
                return timedelta(microseconds=length)
        return DENY if said["to"] is False else said["to"]

    def with_window(self, value: object, key: str) -> object:
        if isinstance(value, Allowance) and value.limit is not UNLIMITED:
            for level in self.levels():
                for held in level:
                    sold = held.sells.get(key)
                    if isinstance(sold, Allowance) and sold.per is not None:
                        return Allowance(value.limit, sold.per)
        return value

    def levels(self) -> list[list[Held]]:
        in_force = [held for held in self.held if held.open != NOTHING]
        default = self.catalog.plans[self.catalog.default_plan]
        free = Held(default.key, default.rank, self.sold(default, {}), FULL, False, "")
        paid = [held for held in in_force if not held.is_trial]
        trials = [held for held in in_force if held.is_trial]
        return [paid, trials, [] if in_force else [free]]

    def from_what_is_sold(self, key: str, access: str) -> tuple[bool, str, object]:
        needed = READ if access == "read" else FULL
        refusal = ""
        words = ("plan.granted", "trial.granted", "plan.default_granted")
        for level, word in zip(self.levels(), words, strict=True):
            selling = [held for held in level if is_something(held.sells.get(key))]
            usable = [held for held in selling if held.open >= needed]
            if usable:
                return True, word, self.merged(key, [held.sells[key] for held in usable])
            if level and not refusal:
                refusal = f"subscription.{selling[0].why_not}" if selling else self.absent(key, level)
        for held in self.held:
            if held.open == NOTHING and is_something(held.sells.get(key)):
                return False, f"subscription.{held.why_not}", None
        return False, refusal, None

    def besides(self, key: str, access: str, sold: tuple[bool, str, object]) -> tuple[bool, str, object]:
        """Granted units, and credits that pay: where nothing sold gives it, and nothing must be settled first."""
        feature = self.catalog.features.get(key)
        if sold[0] or feature is None or sold[1] in ("subscription.past_due", "subscription.paused"):
            return sold
        if key in self.granted():
            return True, "grant.held", None
        # What a credit needs must be there without any credit.
        unpaid = Model(self.document, self.catalog, self.controls, self.at, self.user)
        unpaid.is_paying = False
        for credit in self.catalog.features.values():
            if self.is_paying and key in credit.pays_for:
                allowed, reason, _, _ = unpaid.decide(credit.key, access)
                if allowed and (feature.module is None or self.decide(feature.module, access)[0]):
                    return True, "credit.pays", None
                if sold[1] in ("plan.feature_absent", "plan.zero") and reason.startswith("subscription."):
                    sold = False, reason, None
        return sold

    def granted(self) -> set[str]:
        said = [self.now(*path) for path in self.facts if path[0] == "grant"]
        return {each["feature"] for each in said if each and (each["expires"] is None or self.at < each["expires"])}

    def absent(self, key: str, level: list[Held]) -> str:
        module = key.partition(".")[0] if "." in key or key in self.catalog.modules else None
        if module and not any(held.sells.get(module) for held in level):
            return "plan.module_absent"
        listed = [held.sells[key] for held in level if key in held.sells]
        return "plan.zero" if any(isinstance(value, Allowance) for value in listed) else "plan.feature_absent"

    def merged(self, key: str, values: list[object]) -> object:
        feature = self.catalog.features.get(key)
        if feature is None or feature.kind is Kind.SWITCH:
            return True
        if feature.kind is Kind.CONFIG:
            order = feature.choices.index if feature.choices else lambda value: value
            return (min if feature.merge == "min" else max)(values, key=order)
        if any(value.limit is UNLIMITED for value in values):
            return UNLIMITED
        return Allowance(sum(value.limit for value in values), values[0].per)


def is_something(value: object) -> bool:
    if isinstance(value, Allowance):
        return value.limit is UNLIMITED or value.limit > 0
    return value is not None and value is not False


def seen(decision: Decision) -> tuple[bool, str, object]:
    value = decision.value
    if isinstance(value, Allowance) and value.limit is UNLIMITED:
        value = UNLIMITED
    return decision.allowed, decision.reason.value, value


def said(model: Model, key: str, access: str) -> tuple[bool, str, object]:
    allowed, reason, value = model.answer(key, access)
    if isinstance(value, Allowance) and value.limit is UNLIMITED:
        value = UNLIMITED
    return allowed, reason, value


@settings(max_examples=300, deadline=None)
@given(documents, controls, days, st.sampled_from([None, "u"]))
def test_the_rules_agree_with_what_they_are_told_to_be(document, switches, at, user):
    """Whatever is known of a tenant, resolution answers as the plain reading of the design does."""
    world = World.of(PUBLISHED, switches)
    stand = resolve(document, world, at, at + 1, user=user)[0].standpoint
    model = Model(document, EXAMPLE, switches, at, user)
    for key in KEYS:
        assert seen(stand.write[key]) == said(model, key, "write"), (key, "write")
        assert seen(stand.read[key]) == said(model, key, "read"), (key, "read")
