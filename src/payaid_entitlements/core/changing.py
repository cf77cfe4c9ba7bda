"""
What a change of a subscription, or of a tenant as a whole, records: one pure function for each verb.

Each takes the ground it stands on and gives new facts; nothing is decided elsewhere. Values depend on the
arguments and on the instant at which the source said it; where they follow from something that is known (which add-ons
a plan ends, the earliest failure) they are worked out anew when something arrives late. So messages come to the
same end in whatever order they arrive.

What cannot be exchanged, because it is worked out from what is known when it arrives:

- ``period_end``, where what says when the period ends (the subscription itself, its anchor, a yearly plan, a trial, a
  time zone) was said before and arrives later. Pass the instant that the provider names.
- A time zone that was set before another one and arrives after it: later windows do not know that it was there.
- A change of plan that another one had replaced before it arrived: it ends no add-on any more.
- The version of an add-on, which is that of what was held when it was said: a word that it was given back and taken
  again may arrive after a catalog with a newer one.
- A subscription that had replaced a trial, and arrives after a change of plan that was said later: that was taken for
  the purchase of the trial, and took back what was cancelled. It errs in the customer's favour.
- Into which lots what an add-on grants is split, and so when each part of it expires. Their sum is the same.
- What is left of a balance, where a change of plan arrives after one that was said later: the names of lots follow from
  what was known when each arrived.
- What is refused: an add-on for a plan that arrives after it. The provider sends it again.

Of what was said before a subscription began nothing is left: it was about the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from zoneinfo import ZoneInfo

from payaid_entitlements.core import period
from payaid_entitlements.core.adding import bought, endings, granted, known_add_ons
from payaid_entitlements.core.catalog.model import Access, Plan
from payaid_entitlements.core.earliest import earliest
from payaid_entitlements.core.facts import NewFact, Timeline
from payaid_entitlements.core.ground import Ground, When
from payaid_entitlements.core.instant import LATEST, Instant, moment
from payaid_entitlements.core.metering.carrying import CarryMode, carried_subject
from payaid_entitlements.core.metering.upgrading import carried
from payaid_entitlements.core.provider_ids import replaced
from payaid_entitlements.core.resolution import STATUS, held_of
from payaid_entitlements.core.subscription import MAIN, State, Terms, subject, terms_at
from payaid_entitlements.core.world import World
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.core.zones import TIMEZONE, billing_interval, history, moved, zones_subject
from payaid_entitlements.errors import ConfigurationError, UnknownPlan

#: What somebody of the vendor does to a tenant as a whole.
VendorStatus = Literal["suspended", "revoked"]

#: What a new subscription of the same name wipes out.
_TROUBLES = ("paused_from", "paused_until", "zones")
_FIRST_TROUBLES = ("past_due_since", "cancel_at")

#: What does not go on.
_OVER = (State.TRIAL_ENDED, State.CANCELLED, State.ENDED)


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
    Begin a subscription, in place of the one of the same name and of all that was said about that before.

    The newest version of *plan* is held. A trial is as long as the plan says; who may have one, and how often, is
    up to the caller. It ends by contract at *ends*. Add-ons give what they grant; those that one gave whose place it
    takes while that is in force, they do not give again.

    Raises:
        UnknownPlan: The catalog has no such plan or add-on.
        ConfigurationError: The plan has no trial; an add-on is not for this plan or too many; another
            subscription is in force until a later *starts*; there is no such time zone; *ends* is over already, or
            not after *starts*; no period can be counted from the anchor.
    """
    sold = newest(on.world, plan)
    begins = on.at if starts is None else starts
    if begins > on.at:
        _require_room(on, name, begins)
    _require_length(on, begins, ends)
    zone = period.zone(str(history(on.document, on.world, on.now)[-1][1]) if timezone is None else timezone)
    counted_from = begins if anchor is None else anchor
    _require_countable(sold, counted_from, zone, max(begins, on.at))
    if trial and sold.trial is None:
        raise ConfigurationError(
            f"plan {plan!r} has no trial; write `trial: 14 days` in the catalog, or leave out trial=True"
        )
    fields: dict[str, object] = {
        "plan": _version(sold),
        "starts": begins,
        "anchor": counted_from,
        "timezone": timezone,
        "trial_end": period.add(begins, sold.trial, 1, zone) if trial and sold.trial is not None else None,
        "ends": ends,
        **dict.fromkeys(_TROUBLES),
    }
    wanted = {key: bought(on.world, key, quantity, plan) for key, quantity in (add_ons or {}).items()}
    if on.is_of_another(name):
        return ()
    facts = (
        *(
            NewFact(subject(name, key), on.at, value)
            for key, value in fields.items()
            # That there is nothing needs not be said where nothing is known.
            if value is not None or on.knows(name, key)
        ),
        *(fact for key in _FIRST_TROUBLES if on.knows(name, key) for fact in earliest(on, subject(name, key), None)),
        *(
            NewFact(subject(name, "add_on", key), on.at, wanted.get(key))
            for key in sorted({*known_add_ons(on.document, name), *wanted})
        ),
        # Its windows are others.
        *((NewFact(left, on.at, None),) if (left := carried_subject(name)) in on.document.timelines else ()),
        *granted(on, name, wanted, begins, anew=_is_over(on, name)),
        *replaced(on, provider_ids or {}, name),
        *(_bought_since(on, name) if trial else ()),
    )
    return (*facts, *endings(on, facts, name, on.at))


def _bought_since(on: Ground, name: str) -> tuple[NewFact, ...]:
    """Where the change of plan that bought a trial arrived before the trial did: it takes back what was cancelled."""
    plans = on.document.timelines.get(subject(name, "plan"), Timeline()).facts
    for plan in plans:
        if on.as_of is not None and plan.said > on.as_of and plan.since > on.at:
            return earliest(on, subject(name, "cancel_at"), None, at=plan.since, said=plan.said)
    return ()


def change_plan(
    on: Ground, plan: str, *, when: When = "now", usage: CarryMode = "carry_usage", name: str = MAIN
) -> tuple[NewFact, ...]:
    """
    Hold the newest version of *plan* from *when* on.

    A trial ends by it: that was the purchase, and a cancellation of the trial is nothing any more. A change that was
    scheduled for later is dropped. Add-ons that are not for the new plan end with the old one. The anchor, a pause,
    an overdue payment and any other cancellation stay.

    Args:
        usage: What becomes of what was used; see `payaid_entitlements.core.metering.upgrading`.

    Raises:
        UnknownPlan: The catalog has no such plan.
        UnknownTenant: There is no such subscription.
        ConfigurationError: *when* is over already, and nobody said so then.
    """
    sold = newest(on.world, plan)
    terms = on.terms(name)
    since = on.instant(when, terms)
    if on.as_of is None and since < on.now:
        raise ConfigurationError(
            f"when={moment(since)} is over already; change the plan now ('now'), or pass as_of= where a payment "
            "provider said so then"
        )
    if on.is_of_another(name):
        return ()
    facts: tuple[NewFact, ...] = (
        NewFact(subject(name, "plan"), since, _version(sold)),
        NewFact(subject(name, "trial_end"), since, None),
        *(
            earliest(on, subject(name, "cancel_at"), None, at=since)
            if on.document.value(subject(name, "trial_end"), since) is not None
            else ()
        ),
    )
    plans = on.document.timelines[subject(name, "plan")].facts
    if on.as_of is not None and any(on.as_of < each.said and each.since <= max(since, on.now) for each in plans):
        return facts  # over before it arrived
    facts = (*facts, *endings(on, facts, name, since))
    # A source that says twice what is held must not give its allowance twice.
    known = (on.document.value(subject(name, key), since) for key in ("plan", "trial_end"))
    is_held = tuple(known) == (_version(sold), None)
    return (*facts, *carried(on, facts, name, since, None if is_held else usage))


def cancel(on: Ground, *, when: When = "period_end", name: str = MAIN) -> tuple[NewFact, ...]:
    """
    Let a subscription end at *when*; until then nothing changes.

    Of several cancellations the earliest counts, so that cancelling never lengthens; what is over stays over. To go on,
    undo the cancellation, or subscribe anew.
    """
    terms = on.terms(name)
    word = on.instant(when, terms)
    times = terms.times
    is_over = any(end is not None and end <= on.at for end in (times.cancel_at, times.ends, times.trial_end))
    # Of what a source says everything is kept: that it is over may turn out to have been said later.
    if on.is_of_another(name) or (on.as_of is None and is_over):
        return ()
    return earliest(on, subject(name, "cancel_at"), word)


def pause(on: Ground, *, until: Instant | None = None, name: str = MAIN) -> tuple[NewFact, ...]:
    """
    Pause a subscription, to *until* or until it is resumed; one that is paused goes on being so.

    Raises:
        ConfigurationError: *until* is over already.
    """
    times = on.terms(name).times
    if until is not None and until <= on.at:
        raise ConfigurationError(
            f"until={moment(until)} is over already; a pause ends in the future, or when it is resumed (None)"
        )
    if on.is_of_another(name):
        return ()
    # What a source says must not depend on what is known, or its messages would not commute.
    is_kept = on.as_of is None and times.paused_from is not None and on.at < (times.paused_until or LATEST)
    return (
        NewFact(subject(name, "paused_from"), on.at, times.paused_from if is_kept else on.at),
        NewFact(subject(name, "paused_until"), on.at, until),
    )


def resume(on: Ground, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """End the pause of a subscription."""
    on.terms(name)
    if on.is_of_another(name):
        return ()
    return tuple(NewFact(subject(name, each), on.at, None) for each in ("paused_from", "paused_until"))


def past_due(on: Ground, since: Instant, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """
    Note that payment is due since *since*.

    A second failure does not begin the grace anew: it counts from the earliest one after the last payment.
    """
    on.terms(name)
    return () if on.is_of_another(name) else earliest(on, subject(name, "past_due_since"), since)


def paid(on: Ground, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """Note that nothing is due any more."""
    on.terms(name)
    return () if on.is_of_another(name) else earliest(on, subject(name, "past_due_since"), None)


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


def _require_length(on: Ground, begins: Instant, ends: Instant | None) -> None:
    """Refuse a subscription that is over before it begins."""
    if ends is not None and ends <= max(begins, on.at):
        raise ConfigurationError(
            f"ends={moment(ends)} is not after {moment(max(begins, on.at))}, so nothing would ever be held; for a "
            "subscription that is over leave it out, then cancel(when=...) at that instant"
        )


def _require_countable(plan: Plan, anchor: Instant, zone: ZoneInfo, at: Instant) -> None:
    """Refuse an anchor of which the first use would fail."""
    try:
        period.window(anchor, billing_interval(plan), zone, at)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"no billing period can be counted from {moment(anchor)}; pass an anchor= of these centuries: {error}"
        ) from error


def _require_room(on: Ground, name: str, begins: Instant) -> None:
    """Refuse to take away what is in force now for something that begins later."""
    terms = _in_force(on, name, on.now)
    if terms is not None:
        raise ConfigurationError(
            f"tenant {on.document.tenant!r} holds plan {terms.plan!r} until {moment(begins)}; use "
            "change_plan(..., when=...) to go on with another plan then"
        )


def _is_over(on: Ground, name: str) -> bool:
    """Is there none that goes on, or is yet to begin? Overdue or paused it goes on."""
    return not any(
        terms.name == name and held_of(terms, on.world, on.at).standing.state not in _OVER
        for terms in terms_at(on.document, on.at)
    )


def _in_force(on: Ground, name: str, at: Instant) -> Terms | None:
    for terms in terms_at(on.document, at):
        if terms.name == name and held_of(terms, on.world, at).standing.access is not Access.NONE:
            return terms
    return None
