"""Add-ons of a subscription: who may hold which, and how many."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payaid_entitlements.core.facts import Fact, NewFact, Subject, TenantDocument, Timeline, joined
from payaid_entitlements.core.instant import LATEST, Instant
from payaid_entitlements.core.metering.granting import given_by
from payaid_entitlements.core.subscription import MAIN, MOST, HeldAddOn, add_on_in, subject
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, UnknownPlan

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import AddOn
    from payaid_entitlements.core.ground import Ground
    from payaid_entitlements.core.world import World


def set_add_on(on: Ground, add_on: str, quantity: int, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """
    Hold *quantity* of an add-on from now on; 0 gives it back.

    Whoever has some keeps the version, also of what is added: in one that gives less, more would be a loss, and one
    quantity has one version. Whoever has none gets the newest: so does who gives it back and takes it again, and whom
    `migrate_add_on` moves. Some of one that is not sold any more can be given back. What an add-on grants it gives once
    for each unit; see `payaid_entitlements.core.metering.granting`.

    It ends where the plan becomes one that it is not for; said late, when that is so already, it is superseded, as is
    what was said before the present subscription began: no facts.

    Raises:
        UnknownPlan: The catalog has no such add-on (any more), and it is not only given back.
        UnknownTenant: There is no such subscription.
        TypeError: The quantity is no whole number.
        ConfigurationError: It is negative or too much, or the add-on is not for the plan that is held.
    """
    terms = on.terms(name)
    about = subject(name, "add_on", add_on)
    if on.is_of_another(name):
        return ()
    held = add_on_in(add_on, on.document.value(about, on.at))
    since, plan = on.at, terms.plan
    # Late, it is for the plans of since then: which one was held when it was said may not have been written down.
    for later in on.document.timelines[subject(name, "plan")].facts:
        if on.at < later.since <= on.now and isinstance(later.value, dict):
            if quantity and not _suits(_version(on.world, add_on, held), later.value):
                return ()
            since, plan = later.since, str(later.value["plan"])
    value = None
    if quantity or about not in on.document.timelines:
        value = bought(on.world, add_on, quantity, plan, held)
    fact = NewFact(about, on.at, value)
    lots = granted(on, name, {add_on: value}, terms.times.starts or on.at)
    return (fact, *lots, *endings(on, (fact,), name, since, {add_on}))


def granted(
    on: Ground, name: str, said: Mapping[str, object], since: Instant, *, anew: bool = False
) -> tuple[NewFact, ...]:
    """Give the lots of add-ons of which this is *said*, as `payaid_entitlements.core.metering.granting.given_by`."""
    held = [each for key, value in said.items() if (each := add_on_in(key, value)) is not None]
    return given_by(on, name, {each.key: (each.quantity, each.version or 0) for each in held}, since, anew=anew)


def endings(
    on: Ground, facts: Sequence[NewFact], name: str, since: Instant, only: Container[str] | None = None
) -> tuple[NewFact, ...]:
    """
    Let add-ons end where, after *facts*, the plan is one that they are not for; and no more where it is not.

    Such an end was said when the add-on was: so it is replaced by the next word about that, and a change of plan that
    arrives late comes to the same.

    Args:
        facts: What is about to be recorded about the subscription *name*.
        since: Plans before it do not matter: what ended by them has ended.
        only: Keys of the add-ons to look at; None for all.
    """
    after = joined(on.document, facts, recorded=on.now, as_of=on.as_of).document
    plans = after.timelines.get(subject(name, "plan"), Timeline())
    found: list[NewFact] = []
    for key, line in known_add_ons(after, name).items():
        if only is not None and key not in only:
            continue
        for held in _stretches(line):
            points = (max(held.fact.since, since), *(each.since for each in plans.facts))
            begins = points[0]
            wrong = [
                # What never suited ends a moment after its begin: it is not lost where its plan is yet to arrive.
                max(at, held.fact.since + 1)
                for at in points
                if begins <= at < held.until and not _suits(_held(on.world, key, held.fact), plans.at(at))
            ]
            found += _moved(subject(name, "add_on", key), held, min(wrong, default=None), since)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """
    How long one word about an add-on would hold.

    Attributes:
        until: When something else was said about it.
        end: When it ends before, since the plan is one that it is not for.
    """

    fact: Fact
    until: Instant
    end: Instant | None


def _stretches(line: Timeline) -> Iterator[_Stretch]:
    facts = line.facts
    for index, fact in enumerate(facts):
        if fact.value is None:
            continue
        following = facts[index + 1 : index + 3]
        end = None
        if following and following[0].value is None and following[0].said == fact.said:
            end, following = following[0].since, following[1:]
        yield _Stretch(fact, following[0].since if following else LATEST, end)


def _moved(about: Subject, held: _Stretch, end: Instant | None, since: Instant) -> Iterator[NewFact]:
    """Let *held* end at *end*, no more where it ends now. What ended before *since* has ended."""
    if held.end == end or (held.end is not None and held.end < since):
        return
    if held.end is not None and (end is None or held.end < end):
        yield NewFact(about, held.fact.since, held.fact.value, held.fact.said)
    if end is not None:
        yield NewFact(about, end, None, held.fact.said)


def known_add_ons(document: TenantDocument, name: str) -> dict[str, Timeline]:
    """All add-ons of a subscription of which something is known, also those that were given back."""
    return {
        path[3]: line
        for path, line in document.timelines.items()
        if path[:2] == ("subscription", name) and path[2] == "add_on"
    }


def fits(add_on: AddOn, plan: str) -> bool:
    """May holders of *plan* hold it?"""
    return not add_on.for_plans or plan in add_on.for_plans


def _held(world: World, key: str, fact: Fact) -> AddOn:
    """The version that *fact* says is held; one that nobody can read gives nothing, so it may stay."""
    held = add_on_in(key, fact.value)
    return world.add_on(key, 0 if held is None else held.version)


def _suits(add_on: AddOn, held: object) -> bool:
    """May it be held beside the plan of a fact? Where there is no plan it gives nothing anyway."""
    match held:
        case {"plan": str(plan)}:
            return fits(add_on, plan)
    return True


def bought(world: World, key: str, quantity: int, plan: str, held: HeldAddOn | None = None) -> object:
    """
    Give the fact that *quantity* of an add-on is held, where a holder of *plan* may have it.

    Args:
        held: What there is of it already; None for nothing.

    Raises:
        UnknownPlan, TypeError, ConfigurationError: As for `set_add_on`.
    """
    if type(quantity) is not int:
        raise TypeError(f"a quantity is a whole number, not {quantity!r}; 0 gives the add-on back")
    if abs(quantity) > MOST:
        raise ConfigurationError(f"of add-on {key!r} at most {MOST:,} may be held")
    if quantity < 0:
        raise ConfigurationError(f"{quantity} of add-on {key!r} cannot be held; 0 gives it back")
    add_on = _version(world, key, held)
    if held is None or quantity > held.quantity:
        most = _sold(world, key).max_quantity
        if quantity and not fits(add_on, plan):
            raise ConfigurationError(f"add-on {key!r} is not for plan {plan!r}, only for {', '.join(add_on.for_plans)}")
        if most is not None and quantity > most:
            raise ConfigurationError(f"of add-on {key!r} at most {most} may be held, not {quantity}")
    return {"quantity": quantity, "version": add_on.version} if quantity else None


def _version(world: World, key: str, held: HeldAddOn | None) -> AddOn:
    """What whoever has *held* of it would have."""
    return _sold(world, key) if held is None else world.add_on(key, held.version)


def _sold(world: World, key: str) -> AddOn:
    add_ons = world.catalog.add_ons
    if key not in add_ons:
        raise UnknownPlan(f"the catalog has no add-on {key!r}{did_you_mean(str(key), add_ons)}")
    return world.published.add_on(key)
