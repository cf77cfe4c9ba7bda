"""
Every step of a decision, at any instant: why was it refused last Tuesday, and what will be true in May?

It runs the same rules as a check, with a place to write each step down, so it cannot disagree with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from payaid_entitlements.core.catalog.model import Access
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.encoding import decode_value, encode_value
from payaid_entitlements.core.evaluation import Evaluation, Held, Situation
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import LATEST, Instant, moment
from payaid_entitlements.core.metering.granting import Grant, grants_at
from payaid_entitlements.core.period import zone
from payaid_entitlements.core.ratelimit.explaining import explain_limit
from payaid_entitlements.core.resolution import held_of, next_transition, situation
from payaid_entitlements.core.subscription import State, Terms, boundaries, terms_at
from payaid_entitlements.core.tracing import Step
from payaid_entitlements.core.values import Deny
from payaid_entitlements.core.world import World
from payaid_entitlements.core.worth import told
from payaid_entitlements.core.written.keyspace import RATE_LIMITS
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.core.zones import TIMEZONE


@dataclass(frozen=True, slots=True)
class SubscriptionThen:
    """
    A subscription as it stood.

    Attributes:
        name: None where only its effect is known, as to a view.
        add_ons: (key, version, quantity).
        next_transition: When something about it changes by itself; None when nothing is known to.
    """

    name: str | None
    plan: str
    version: int
    add_ons: tuple[tuple[str, int, int], ...]
    state: State
    access: Access
    next_transition: Instant | None

    def __str__(self) -> str:
        name = "" if self.name is None else f"{self.name}: "
        add_ons = "".join(f" + {quantity} x {key}@{version}" for key, version, quantity in self.add_ons)
        return f"{name}{self.plan}@{self.version}{add_ons}: {self.state.value}, access {self.access.value}"


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
        subscriptions: Each with its state, that of the highest plan first.
        overrides: Those in force, for this key and for others.
        next_transition: When something changes by itself; None when nothing is known to.
        revision: Of the tenant's facts; None where only their effect is known.
        catalog: Content hash of the catalog that was asked.
        zone: IANA name of the zone in which times are told.
        grants: Those in force, of this feature and of others; how much is left of them only the ledger knows.
    """

    tenant: str
    user: str | None
    feature: str
    at: Instant
    decision: Decision
    read: Decision | None
    steps: tuple[Step, ...]
    subscriptions: tuple[SubscriptionThen, ...]
    overrides: tuple[OverrideInForce, ...]
    next_transition: Instant | None
    revision: int | None
    catalog: str
    zone: str
    grants: tuple[Grant, ...] = ()

    def to_json(self) -> dict[str, object]:
        """All of it as JSON data with stable keys."""
        return {
            "tenant": self.tenant,
            "user": self.user,
            "feature": self.feature,
            "at": moment(self.at).isoformat(),
            "decision": _decision_data(self.decision),
            "read": None if self.read is None else _decision_data(self.read),
            "steps": [
                {
                    "key": step.key,
                    "rule": step.rule,
                    "outcome": step.outcome,
                    "text": step.text,
                    "depth": step.depth,
                }
                for step in self.steps
            ],
            "subscriptions": [
                {
                    "name": each.name,
                    "plan": each.plan,
                    "version": each.version,
                    "add_ons": {key: quantity for key, _, quantity in each.add_ons},
                    "add_on_versions": {key: version for key, version, _ in each.add_ons},
                    "state": each.state.value,
                    "access": each.access.value,
                    "next_transition": _written(each.next_transition),
                }
                for each in self.subscriptions
            ],
            "overrides": [
                {
                    "feature": each.feature,
                    "to": each.to,
                    "until": _written(each.until),
                    "user": each.user,
                    "actor": each.actor,
                    "because": each.because,
                }
                for each in self.overrides
            ],
            "grants": [
                {
                    "id": each.id,
                    "feature": each.feature,
                    "amount": encode_value(each.amount),
                    "since": _written(each.since),
                    "expires": _written(each.expires),
                    "priority": each.priority,
                    "promotional": each.promotional,
                    "source": each.source,
                    "actor": each.actor,
                    "because": each.because,
                }
                for each in self.grants
            ],
            "next_transition": _written(self.next_transition),
            "revision": self.revision,
            "catalog": self.catalog,
            "zone": self.zone,
        }

    def to_text(self) -> str:
        """All of it for a terminal; each time in the tenant's zone and in UTC."""
        verdict = "allowed" if self.decision.allowed else "refused"
        who = f"{self.tenant} / {self.user}" if self.user else self.tenant
        source = f" ({self.decision.source})" if self.decision.source else ""
        lines = [
            f"{self.feature} for {who} at {self._told(self.at)}",
            f"  {verdict}: {self.decision.reason.value}{source}",
            f"  meaning: {self.decision.reason.meaning}",
            f"  way out: {self.decision.reason.way_out}",
        ]
        lines += [f"  besides: {note.value}: {note.meaning}" for note in self.decision.advisories]
        if self.read is not None:
            verdict = "allowed" if self.read.allowed else "refused"
            lines.append(f"  for reading: {verdict}: {self.read.reason.value}")
        lines.append("  rules, in the order in which they were asked:")
        lines += [
            f"    {'  ' * step.depth}{_MARKS[step.outcome]} {step.rule}: {step.text}"
            + (f"  [{step.key}]" if step.depth else "")
            for step in self.steps
        ]
        for each in self.subscriptions:
            end = "" if each.next_transition is None else f"; changes at {self._told(each.next_transition)}"
            lines.append(f"  subscription {each}{end}")
        lines += [f"  override {self._override(each)}" for each in self.overrides]
        lines += [f"  grant {self._grant(each)}" for each in self.grants]
        if self.next_transition is not None:
            lines.append(f"  changes by itself at {self._told(self.next_transition)}")
        revision = "" if self.revision is None else f"revision {self.revision}, "
        lines.append(f"  {revision}catalog {self.catalog[:12]}")
        return "\n".join(lines)

    def _override(self, of: OverrideInForce) -> str:
        user = f" for {of.user}" if of.user else ""
        until = "" if of.until is None else f" until {self._told(of.until)}"
        by = f", by {of.actor}: {of.because}" if of.actor else ""
        value = decode_value(of.to)
        to = "denied" if isinstance(value, Deny | None) else told(value)
        return f"{of.feature} = {to}{user}{until}{by}"

    def _grant(self, of: Grant) -> str:
        until = "" if of.expires is None else f" until {self._told(of.expires)}"
        because = f": {of.because}" if of.because else ""
        by = f", by {of.actor}{because}" if of.actor else f", by {of.source}"
        return f"{of.id}: {told(of.amount)} {of.feature}{until}{by}"

    def _told(self, at: Instant) -> str:
        utc = moment(at)
        try:
            here = _shown(utc.astimezone(zone(self.zone)))
        except OverflowError:  # at the ends of the years 1 and 9999 some zones have no calendar
            here = self.zone
        return f"{here} ({_shown(utc)})"


def _shown(dt: datetime) -> str:
    return f"{dt.replace(tzinfo=None).isoformat(sep=' ', timespec='seconds')} {dt.tzname()}"


def _written(at: Instant | None) -> str | None:
    return None if at is None else moment(at).isoformat()


def _decision_data(decision: Decision) -> dict[str, object]:
    return {**decision.to_public(), "source": decision.source}


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

    Pure. A rate limit is explained by ``rate_limits.`` and its key; a key that no catalog has is explained too.

    Args:
        document: Its facts; for the past its whole history.
        host: Subscriptions that the host keeps; None where it keeps none.
    """
    world = world.for_tenant(document.tenant)
    return _explained(
        document.tenant,
        situation(document, world, at, user=user, host=host),
        world,
        key,
        at,
        user=user,
        subscriptions=_subscriptions(document, world, at, host),
        overrides=tuple(_overrides(document, at, user)),
        next_at=next_transition(document, world, at, user=user, host=host),
        revision=document.revision,
        zone_name=_zone(document, world, at),
        grants=grants_at(document, at),
    )


def _zone(document: TenantDocument, world: World, at: Instant) -> str:
    match document.value(TIMEZONE, at):
        case {"zone": str(name)}:
            return name
    return world.catalog.timezone


def _overrides(document: TenantDocument, at: Instant, user: str | None) -> Iterator[OverrideInForce]:
    for path, line in sorted(document.timelines.items()):
        if path[0] == "override" and (len(path) == 2 or path[2] == user):
            match line.at(at):
                case {"to": to, "until": until, **said} if to is not None and (until is None or at < until):
                    whose = path[2] if len(path) > 2 else None
                    actor, because = str(said.get("actor", "")), str(said.get("because", ""))
                    yield OverrideInForce(path[1], to, until, whose, actor, because)


def _subscriptions(
    document: TenantDocument, world: World, at: Instant, host: tuple[Terms, ...] | None
) -> tuple[SubscriptionThen, ...]:
    found: list[tuple[Held, SubscriptionThen]] = []
    for terms in terms_at(document, at) if host is None else host:
        held = held_of(terms, world, at)
        changes = [when for when in boundaries(terms.times, world.catalog.lifecycle) if at < when <= LATEST]
        if host is None:
            for path, line in document.timelines.items():
                if path[:2] == ("subscription", terms.name):
                    changes += [fact.since for fact in line.facts if fact.since > at]
        found.append((held, _then(held, terms.name, min(changes, default=None))))
    found.sort(key=lambda each: -each[0].source.plan.rank)
    return tuple(then for _, then in found)


def _then(held: Held, name: str | None, next_at: Instant | None) -> SubscriptionThen:
    plan = held.source.plan
    add_ons = tuple((add_on.key, add_on.version, quantity) for add_on, quantity in held.source.add_ons)
    return SubscriptionThen(name, plan.key, plan.version, add_ons, held.standing.state, held.standing.access, next_at)


def explain_situation(
    tenant: str, of: Situation, world: World, key: str, at: Instant, *, user: str | None = None
) -> Explanation:
    """Explain from a situation alone, as a view does: not who set an override, and not what comes next."""
    return _explained(
        tenant,
        of,
        world,
        key,
        at,
        user=user,
        subscriptions=tuple(_then(held, None, None) for held in of.held),
        overrides=tuple(
            OverrideInForce(feature, encode_value(to), None, None, "", "")
            for feature, to in sorted((of.overrides or {}).items())
        ),
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
    subscriptions: tuple[SubscriptionThen, ...],
    overrides: tuple[OverrideInForce, ...],
    next_at: Instant | None,
    revision: int | None,
    zone_name: str,
    grants: tuple[Grant, ...] = (),
) -> Explanation:
    steps: list[Step] = []
    if key.startswith(RATE_LIMITS):
        decision = read = explain_limit(world, of, key, steps)
    elif key in world.catalog.modules or key in world.catalog.features:
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
        subscriptions=subscriptions,
        overrides=overrides,
        next_transition=next_at,
        revision=revision,
        catalog=world.catalog.hash,
        zone=zone_name,
        grants=grants,
    )


def _unknown(world: World, key: str, steps: list[Step]) -> Decision:
    retired = world.catalog.retired.get(key)
    if retired is not None:
        steps.append(Step(key, "catalog", "deny", f"it was retired on {retired.isoformat()}"))
        return Decision(False, Reason.CATALOG_RETIRED, key)
    hint = did_you_mean(key, [*world.catalog.modules, *world.catalog.features])
    steps.append(Step(key, "catalog", "deny", f"the catalog has no module or feature {key!r}{hint}"))
    return Decision(False, Reason.CATALOG_UNKNOWN, key)
