"""
What a change of a subscription, or of a tenant as a whole, records: one pure function for each verb.

Each takes the ground it stands on and gives new facts; nothing is decided elsewhere. Values depend on the
arguments and on the instant at which the source said it, hardly ever on what is known already: so messages that
arrive in another order come to the same end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from payaid_entitlements.core import period
from payaid_entitlements.core.adding import allowed, fits, known_add_ons
from payaid_entitlements.core.catalog.model import Access, Plan
from payaid_entitlements.core.catalog.problems import did_you_mean
from payaid_entitlements.core.facts import NewFact, TenantDocument
from payaid_entitlements.core.instant import LATEST, Instant, moment
from payaid_entitlements.core.provider_ids import replaced
from payaid_entitlements.core.resolution import STATUS, TIMEZONE, held_of
from payaid_entitlements.core.subscription import MAIN, Terms, subject, terms_at
from payaid_entitlements.core.world import World
from payaid_entitlements.core.zones import history, moved, period_end, zones_subject
from payaid_entitlements.errors import ConfigurationError, UnknownPlan, UnknownTenant

#: When a change takes effect: at once, when what runs now ends, or at an instant.
When = Literal["now", "period_end"] | Instant

#: What somebody of the vendor does to a tenant as a whole.
VendorStatus = Literal["suspended", "revoked"]

#: What a new subscription of the same name wipes out.
_TROUBLES = ("past_due_since", "paused_from", "paused_until", "cancel_at", "zones")


@dataclass(frozen=True, slots=True)
class Ground:
    """
    What a change is worked out from.

    Attributes:
        now: The instant that it is.
        as_of: When the source said it; None for what has no order but that of arrival.
    """

    document: TenantDocument
    world: World
    now: Instant
    as_of: Instant | None = None

    @property
    def at(self) -> Instant:
        """From when on it holds: when the source said it, but never later than now."""
        return self.now if self.as_of is None else min(self.as_of, self.now)

    def terms(self, name: str) -> Terms:
        """
        The subscription *name* as it is known now.

        Raises:
            UnknownTenant: The tenant has none of this name.
        """
        for terms in terms_at(self.document, self.now):
            if terms.name == name:
                return terms
        raise UnknownTenant(f"tenant {self.document.tenant!r} has no subscription {name!r}; subscribe it first")

    def instant(self, when: When, terms: Terms) -> Instant:
        """The instant that *when* is for a subscription."""
        if when == "now":
            return self.at
        return period_end(self.document, self.world, terms, self.at) if when == "period_end" else when


def subscribe(
    on: Ground,
    plan: str,
    *,
    trial: bool = False,
    add_ons: Mapping[str, int] | None = None,
    anchor: Instant | None = None,
    starts: Instant | None = None,
    ends: Instant | None = None,
    timezone: str | None = None,
    provider_ids: Mapping[str, str] | None = None,
    name: str = MAIN,
) -> tuple[NewFact, ...]:
    """
    Begin a subscription, in place of the one of the same name and of all that was known about that.

    The newest version of *plan* is held. A trial is as long as the plan says; who may have one, and how often, is
    up to the caller.

    Raises:
        UnknownPlan: The catalog has no such plan or add-on.
        ConfigurationError: The plan has no trial; an add-on is not for this plan or too many; another
            subscription is in force until a later *starts*; there is no such time zone.
    """
    sold = newest(on.world, plan)
    begins = on.at if starts is None else starts
    if begins > on.at:
        _require_room(on, name, begins)
    zone = period.zone(timezone or str(history(on.document, on.world, on.now)[-1][1]))
    if trial and sold.trial is None:
        raise ConfigurationError(
            f"plan {plan!r} has no trial; write `trial: 14 days` in the catalog, or leave out trial=True"
        )
    fields: dict[str, object] = {
        "plan": _version(sold),
        "starts": begins,
        "anchor": begins if anchor is None else anchor,
        "timezone": timezone,
        "trial_end": period.add(begins, sold.trial, 1, zone) if trial and sold.trial is not None else None,
        "ends": ends,
        **dict.fromkeys(_TROUBLES),
    }
    wanted = {key: allowed(on.world, key, quantity, plan) for key, quantity in (add_ons or {}).items()}
    return (
        *(NewFact(subject(name, key), on.at, value) for key, value in fields.items()),
        *(
            NewFact(subject(name, "add_on", key), on.at, wanted.get(key) or None)
            for key in sorted({*known_add_ons(on.document, name), *wanted})
        ),
        *replaced(on, provider_ids or {}, name),
    )


def change_plan(on: Ground, plan: str, *, when: When = "now", name: str = MAIN) -> tuple[NewFact, ...]:
    """
    Hold the newest version of *plan* from *when* on.

    A trial ends by it: that was the purchase. A change that was scheduled for later is dropped. Add-ons that are not
    for the new plan end with the old one. The anchor, a pause, an overdue payment and a cancellation stay.

    Raises:
        UnknownPlan: The catalog has no such plan.
        UnknownTenant: There is no such subscription.
    """
    sold = newest(on.world, plan)
    terms = on.terms(name)
    since = on.instant(when, terms)
    facts = [NewFact(subject(name, "plan"), since, _version(sold)), NewFact(subject(name, "trial_end"), since, None)]
    for key, line in known_add_ons(on.document, name).items():
        is_scheduled = any(fact.since > since for fact in line.facts)
        if not fits(on.world.catalog.add_ons.get(key), plan):
            facts.append(NewFact(subject(name, "add_on", key), since, None))
        elif is_scheduled:
            # A change that is dropped by this one would have ended it.
            facts.append(NewFact(subject(name, "add_on", key), since, line.at(on.now)))
    return tuple(facts)


def cancel(on: Ground, *, when: When = "period_end", name: str = MAIN) -> tuple[NewFact, ...]:
    """Let a subscription end at *when*; until then nothing changes."""
    return (NewFact(subject(name, "cancel_at"), on.at, on.instant(when, on.terms(name))),)


def pause(on: Ground, *, until: Instant | None = None, name: str = MAIN) -> tuple[NewFact, ...]:
    """Pause a subscription, to *until* or until it is resumed; one that is paused goes on being so."""
    times = on.terms(name).times
    # What a source says must not depend on what is known, or its messages would not commute.
    is_kept = on.as_of is None and times.paused_from is not None and on.at < (times.paused_until or LATEST)
    return (
        NewFact(subject(name, "paused_from"), on.at, times.paused_from if is_kept else on.at),
        NewFact(subject(name, "paused_until"), on.at, until),
    )


def resume(on: Ground, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """End the pause of a subscription."""
    on.terms(name)
    return tuple(NewFact(subject(name, each), on.at, None) for each in ("paused_from", "paused_until"))


def past_due(on: Ground, since: Instant, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """
    Note that payment is due since *since*.

    A second failure does not begin the grace anew: the earlier instant stays. (Of two failures that arrive in the
    wrong order and carry different instants only the later one is known: that errs in the customer's favour.)
    """
    known = on.terms(name).times.past_due_since
    return (NewFact(subject(name, "past_due_since"), on.at, since if known is None else min(since, known)),)


def paid(on: Ground, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """Note that nothing is due any more."""
    on.terms(name)
    return (NewFact(subject(name, "past_due_since"), on.at, None),)


def set_status(on: Ground, status: VendorStatus | None) -> tuple[NewFact, ...]:
    """Suspend or revoke a tenant as a whole, or (None) reinstate it; a tenant without a subscription too."""
    return (NewFact(STATUS, on.at, status),)


def set_timezone(on: Ground, timezone: str) -> tuple[NewFact, ...]:
    """
    Move a tenant and its subscriptions to another time zone; the window that runs ends in the old one.

    Raises:
        ConfigurationError: There is no such time zone.
    """
    period.zone(timezone)
    known = moved(history(on.document, on.world, on.now), timezone, on.at)
    facts = [NewFact(TIMEZONE, on.at, {"zone": timezone, "history": known})]
    for terms in terms_at(on.document, on.now):
        if terms.timezone is not None:
            own = moved(history(on.document, on.world, on.now, terms), timezone, on.at)
            facts.append(NewFact(subject(terms.name, "timezone"), on.at, timezone))
            facts.append(NewFact(zones_subject(terms.name), on.at, own))
    return tuple(facts)


def migrate(on: Ground, plan: str, to: int) -> tuple[NewFact, ...]:
    """Hold version *to* of *plan* wherever an older one is held, or will be by a scheduled change."""
    facts: list[NewFact] = []
    for about, line in on.document.timelines.items():
        if about[0] != "subscription" or about[2:] != ("plan",):
            continue
        coming = [(on.at, line.at(on.at)), *((fact.since, fact.value) for fact in line.facts if fact.since > on.at)]
        newer = [(since, _migrated(value, plan, to)) for since, value in coming]
        if newer != coming:
            facts += (NewFact(about, since, value) for since, value in newer)
    return tuple(facts)


def newest(world: World, plan: str) -> Plan:
    """
    The newest version of a plan that is sold.

    Raises:
        UnknownPlan: The catalog has no such plan.
    """
    if plan not in world.catalog.plans:
        raise UnknownPlan(f"the catalog has no plan {plan!r}{did_you_mean(str(plan), world.catalog.plans)}")
    return world.published.plan(plan)


def _version(plan: Plan) -> dict[str, object]:
    return {"plan": plan.key, "version": plan.version}


def _migrated(value: object, plan: str, to: int) -> object:
    match value:
        case {"plan": held, "version": int(version)} if held == plan and version < to:
            return {"plan": plan, "version": to}
    return value


def _require_room(on: Ground, name: str, begins: Instant) -> None:
    """Refuse to take away what is in force now for something that begins later."""
    for terms in terms_at(on.document, on.now):
        if terms.name == name and held_of(terms, on.world, on.now).standing.access is not Access.NONE:
            raise ConfigurationError(
                f"tenant {on.document.tenant!r} holds plan {terms.plan!r} until {moment(begins)}; use "
                "change_plan(..., when=...) to go on with another plan then"
            )
