"""
Every step of a decision, at any instant: why was it refused last Tuesday, and what will be true in May?

It runs the same rules as a check, with a place to write each step down, so it cannot disagree with one.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.evaluation import Evaluation, Situation
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import Instant, moment
from payaid_entitlements.core.period import zone
from payaid_entitlements.core.resolution import TIMEZONE, next_transition, situation
from payaid_entitlements.core.subscription import Terms
from payaid_entitlements.core.tracing import Step
from payaid_entitlements.core.world import World


@dataclass(frozen=True, slots=True)
class OverrideInForce:
    """An override that counted, with who set it and why: for operators, not for customers."""

    feature: str
    to: object
    until: Instant | None
    user: str | None
    actor: str
    because: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why a decision is what it is.

    Attributes:
        at: The instant that it is about.
        decision: What `check` says then, for writing.
        read: The same for reading, where it differs; else None.
        steps: Every rule that was asked, in order; deeper steps are about what a key requires.
        subscriptions: One line for each, with its state.
        overrides: Those in force.
        next_transition: When something changes by itself; None when nothing is known to.
        zone: IANA name of the zone in which times are told.
    """

    tenant: str
    user: str | None
    feature: str
    at: Instant
    decision: Decision
    read: Decision | None
    steps: tuple[Step, ...]
    subscriptions: tuple[str, ...]
    overrides: tuple[OverrideInForce, ...]
    next_transition: Instant | None
    revision: int | None
    catalog: str
    zone: str

    def to_json(self) -> dict[str, object]:
        """All of it as JSON data with stable keys."""
        return {
            "tenant": self.tenant,
            "user": self.user,
            "feature": self.feature,
            "at": moment(self.at).isoformat(),
            "decision": dict(self.decision.to_public()) | {"source": self.decision.source},
            "read": None if self.read is None else dict(self.read.to_public()) | {"source": self.read.source},
            "steps": [
                {"key": step.key, "rule": step.rule, "outcome": step.outcome, "text": step.text, "depth": step.depth}
                for step in self.steps
            ],
            "subscriptions": list(self.subscriptions),
            "overrides": [
                {
                    "feature": each.feature,
                    "to": each.to,
                    "until": None if each.until is None else moment(each.until).isoformat(),
                    "user": each.user,
                    "actor": each.actor,
                    "because": each.because,
                }
                for each in self.overrides
            ],
            "next_transition": None if self.next_transition is None else moment(self.next_transition).isoformat(),
            "revision": self.revision,
            "catalog": self.catalog,
            "zone": self.zone,
        }

    def to_text(self) -> str:
        """All of it for a terminal; each time in the tenant's zone and in UTC."""
        verdict = "allowed" if self.decision.allowed else "refused"
        who = f"{self.tenant} / {self.user}" if self.user else self.tenant
        lines = [
            f"{self.feature} for {who} at {self._told(self.at)}",
            f"  {verdict}: {self.decision.reason.value}" + (f" ({self.decision.source})" if self.decision.source else ""),
            f"  meaning: {self.decision.reason.meaning}",
            f"  way out: {self.decision.reason.way_out}",
        ]
        lines += [f"  besides: {note.value}: {note.meaning}" for note in self.decision.advisories]
        if self.read is not None:
            lines.append(f"  for reading: {'allowed' if self.read.allowed else 'refused'}: {self.read.reason.value}")
        lines.append("  rules, in the order in which they were asked:")
        lines += [
            f"    {'  ' * step.depth}{_MARKS[step.outcome]} {step.rule}: {step.text}"
            + (f"  [{step.key}]" if step.depth else "")
            for step in self.steps
        ]
        lines += [f"  subscription {line}" for line in self.subscriptions]
        for each in self.overrides:
            until = "for good" if each.until is None else f"until {self._told(each.until)}"
            user = f" for {each.user}" if each.user else ""
            lines.append(f"  override {each.feature} = {each.to}{user} {until}, by {each.actor}: {each.because}")
        if self.next_transition is not None:
            lines.append(f"  changes by itself at {self._told(self.next_transition)}")
        lines.append(f"  revision {self.revision}, catalog {self.catalog[:12]}")
        return "\n".join(lines)

    def _told(self, at: Instant) -> str:
        utc = moment(at)
        here = utc.astimezone(zone(self.zone))
        return f"{here:%Y-%m-%d %H:%M:%S %Z} ({utc:%Y-%m-%d %H:%M:%S} UTC)"


_MARKS = {"pass": "-", "allow": "+", "deny": "x", "note": "i"}


def explain(
    document: TenantDocument,
    world: World,
    key: str,
    at: Instant,
    *,
    user: str | None = None,
    host: tuple[Terms, ...] | None = None,
) -> Explanation:
    """
    Explain what *key* is to a tenant at *at*.

    Pure. A key that no catalog has is explained too.

    Args:
        document: Its facts; for the past its whole history.
        host: Subscriptions that the host keeps; None where it keeps none.
    """
    of = situation(document, world, at, user=user, host=host)
    overrides = tuple(
        OverrideInForce(
            path[1], value["to"], value["until"], path[2] if len(path) > 2 else None, value["actor"], value["because"]
        )
        for path, line in sorted(document.timelines.items())
        if path[0] == "override" and (len(path) == 2 or path[2] == user)
        if isinstance(value := line.at(at), dict) and (value["until"] is None or at < value["until"])
    )
    named = document.value(TIMEZONE, at)
    return _explained(
        document.tenant,
        of,
        world,
        key,
        at,
        user=user,
        overrides=overrides,
        next_at=next_transition(document, world, at, user=user, host=host),
        revision=document.revision,
        zone_name=named if isinstance(named, str) else world.catalog.timezone,
    )


def explain_situation(
    tenant: str, of: Situation, world: World, key: str, at: Instant, *, user: str | None = None
) -> Explanation:
    """Explain from a situation alone, as a view does: without who set an override, and without what comes next."""
    overrides = tuple(
        OverrideInForce(feature, encode_value(to), None, None, "", "") for feature, to in sorted((of.overrides or {}).items())
    )
    return _explained(
        tenant,
        of,
        world,
        key,
        at,
        user=user,
        overrides=overrides,
        next_at=None,
        revision=None,
        zone_name=world.catalog.timezone,
    )


def _explained(
    tenant: str,
    of: Situation,
    world: World,
    key: str,
    at: Instant,
    *,
    user: str | None,
    overrides: tuple[OverrideInForce, ...],
    next_at: Instant | None,
    revision: int | None,
    zone_name: str,
) -> Explanation:
    steps: list[Step] = []
    if key in world.catalog.modules or key in world.catalog.features:
        decision = Evaluation(world, of, "write", steps).decide(key)
        read = Evaluation(world, of, "read").decide(key)
    else:
        decision = read = _unknown(world, key, steps)
    return Explanation(
        tenant=tenant,
        user=user,
        feature=key,
        at=at,
        decision=decision,
        read=None if read == decision else read,
        steps=tuple(steps),
        subscriptions=tuple(
            f"{held.source.plan.key}@{held.source.plan.version}"
            + "".join(f" + {quantity} x {add_on.key}" for add_on, quantity in held.source.add_ons)
            + f": {held.standing.state.value}, access {held.standing.access.value}"
            for held in of.held
        ),
        overrides=overrides,
        next_transition=next_at,
        revision=revision,
        catalog=world.catalog.hash,
        zone=zone_name,
    )


def _unknown(world: World, key: str, steps: list[Step]) -> Decision:
    retired = world.catalog.retired.get(key)
    if retired is not None:
        steps.append(Step(key, "catalog", "deny", f"it was retired on {retired.isoformat()}"))
        return Decision(False, Reason.CATALOG_RETIRED, key)
    close = difflib.get_close_matches(key, [*world.catalog.modules, *world.catalog.features], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    steps.append(Step(key, "catalog", "deny", f"the catalog has no module or feature {key!r}{hint}"))
    return Decision(False, Reason.CATALOG_UNKNOWN, key)
