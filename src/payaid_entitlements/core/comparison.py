"""
Who gains and who loses what: by a change of one tenant, or by another catalog for all of them.

Nothing is written. A reduced allowance is a loss, a raised one a gain, each told as before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from payaid_entitlements.core.catalog.model import WIDTHS, Access, Catalog
from payaid_entitlements.core.catalog.publishing import Published, publish
from payaid_entitlements.core.conditions import differing_conditions, differing_limits_by_hand
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.evaluation import Held, Situation
from payaid_entitlements.core.instant import instant
from payaid_entitlements.core.resolution import Standpoint, held_of, standpoint
from payaid_entitlements.core.subscription import Standing, State, Subscription, terms_of
from payaid_entitlements.core.values import UNLIMITED, Allowance, Amount, Value
from payaid_entitlements.core.world import World
from payaid_entitlements.core.worth import is_less, is_more, told


@dataclass(frozen=True, slots=True)
class Effect:
    """
    What a change does to one tenant.

    Attributes:
        gains, losses: One line each: ``crm.export``, or ``invoicing.invoices: 2000/month -> 100/month``.
        exceeds: What is used beyond the new limit, where that is lower: ``seats: 7 used, 5 allowed``.
    """

    tenant: str
    gains: tuple[str, ...]
    losses: tuple[str, ...]
    exceeds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two catalogs, held against real subscriptions.

    Attributes:
        effects: Tenants for whom something differs, by their key.
        unchanged: How many keep exactly what they have.
    """

    effects: tuple[Effect, ...]
    unchanged: int

    @property
    def losers(self) -> tuple[Effect, ...]:
        """Those who lose something; a pipeline may fail on them."""
        return tuple(effect for effect in self.effects if effect.losses)

    def to_json(self) -> dict[str, object]:
        """All of it as JSON data."""
        return {
            "unchanged": self.unchanged,
            "tenants": [
                {
                    "tenant": effect.tenant,
                    "gains": list(effect.gains),
                    "losses": list(effect.losses),
                    "exceeds": list(effect.exceeds),
                }
                for effect in self.effects
            ],
        }

    def to_text(self) -> str:
        """All of it for a terminal."""
        changing, losing = len(self.effects), len(self.losers)
        change, lose = "tenant changes" if changing == 1 else "tenants change", "loses" if losing == 1 else "lose"
        keep = "keeps" if self.unchanged == 1 else "keep"
        lines = [f"{changing} {change}, {losing} of them {lose} something, {self.unchanged} {keep} all"]
        for effect in self.effects:
            lines.append(f"  {effect.tenant}")
            lines += [f"    + {gain}" for gain in effect.gains]
            lines += [f"    - {loss}" for loss in effect.losses]
            lines += [f"    ! {excess}" for excess in effect.exceeds]
        return "\n".join(lines)


def compare(
    old: Catalog,
    new: Catalog,
    subscriptions: Mapping[str, Subscription] | Iterable[tuple[str, Subscription]],
    *,
    at: datetime | None = None,
    usage: Mapping[str, Mapping[str, Amount]] | None = None,
) -> Comparison:
    """
    Try *new* on subscriptions that are held under *old*: who would gain and lose what, if all moved to it.

    Pure; publishes nothing. Each plan and add-on is taken as it is in either catalog, whatever version is held; one
    that *new* does not sell any more stays as it is. Conditions are compared too: what happens above a limit, when
    windows begin, what rolls over, what a credit pays for, rate limits.

    Args:
        subscriptions: By tenant.
        at: When; subscriptions stand as their times say. None: as if each were paid and in force, so that
            what a plan is worth is compared and not who has paid.
        usage: Units used, by tenant and feature; what exceeds a lower limit is told.

    Raises:
        CatalogInvalid: *new* may not follow *old* (a key was removed and not retired).
        UnknownPlan: *old* has no such plan or add-on.
        TypeError: *at*, or a time of a subscription, is naive.
    """
    before, _ = publish(None, old)
    after, _ = publish(before, new)
    worlds = World.of(before, Controls()), World.of(after, Controls())
    effects: list[Effect] = []
    unchanged = 0
    pairs = subscriptions.items() if isinstance(subscriptions, Mapping) else subscriptions
    for tenant, subscription in sorted(pairs, key=lambda pair: pair[0]):
        _require_known(subscription, before)
        then, now = (_standpoint(subscription, world, at) for world in worlds)
        gains, losses = _with_conditions(then, now)
        used = {} if usage is None else usage.get(tenant, {})
        if gains or losses:
            effects.append(Effect(tenant, gains, losses, _exceeds(then, now, used)))
        else:
            unchanged += 1
    return Comparison(tuple(effects), unchanged)


def _require_known(subscription: Subscription, published: Published) -> None:
    published.plan(subscription.plan)
    for add_on in subscription.add_ons:
        published.add_on(add_on)


def _with_conditions(before: Standpoint, after: Standpoint) -> tuple[tuple[str, ...], tuple[str, ...]]:
    gains, losses = (list(lines) for lines in gains_and_losses(before, after))
    for each in differing_conditions(before, after):
        if each.is_more or not each.is_less:
            gains.append(each.line)
        if each.is_less or not each.is_more:
            losses.append(each.line)
    return tuple(gains), tuple(losses)


_IN_FORCE = Standing(State.ACTIVE, Access.FULL)


def _standpoint(subscription: Subscription, world: World, at: datetime | None) -> Standpoint:
    terms = replace(terms_of(subscription), version=None)
    held = held_of(terms, world, 0 if at is None else instant(at))
    return standpoint(Situation((Held(held.source, held.standing if at else _IN_FORCE),)), world)


def _exceeds(before: Standpoint, after: Standpoint, used: Mapping[str, Amount]) -> tuple[str, ...]:
    return tuple(
        f"{key}: {units} used, {allowed} allowed"
        for key, units in sorted(used.items())
        if (allowed := _limit(after, key)) is not None
        and units > allowed
        and ((allowed_before := _limit(before, key)) is None or allowed < allowed_before)
    )


def _limit(of: Standpoint, key: str) -> Amount | None:
    """How many units are sold; None for no limit."""
    match of.read[key].value:
        case Allowance(limit):
            return None if limit is UNLIMITED else limit
    return 0


def gains_and_losses(before: Standpoint, after: Standpoint) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Tell what a tenant gains and loses between two standpoints, which may be of two worlds.

    What is left to be read, but not written any more, is a loss of its own: ``crm: full -> read_only``. Where
    nobody can say which is more (another text) the line is in both.
    """
    gains: list[str] = []
    losses: list[str] = []
    features = {**before.write.world.catalog.features, **after.write.world.catalog.features}
    for key in _keys(before.write.world.catalog, after.write.world.catalog):
        access, was = _has(before, key)
        access_now, now = _has(after, key)
        if access is not access_now:
            line = f"{key}: {access.value} -> {access_now.value}"
            if Access.NONE in (access, access_now):
                # Nothing to compare with: the key itself says it.
                line = _named(key, now if access is Access.NONE else was, access, access_now)
            (gains if WIDTHS[access] < WIDTHS[access_now] else losses).append(line)
        if key in features and features[key].kind.is_metered and Access.NONE not in (access, access_now):
            # What is only granted, or paid for by credits, has no allowance of its own: to lose that is a loss.
            was, now = was or Allowance(0), now or Allowance(0)
        if was is not None and now is not None and was != now:
            line = f"{key}: {told(was)} -> {told(now)}"
            less, more = is_less(features[key], was, now), is_more(features[key], was, now)
            if more or not less:
                gains.append(line)
            if less or not more:
                losses.append(line)
    for each in differing_limits_by_hand(before, after):
        (gains if each.is_more else losses).append(each.line)
    return tuple(gains), tuple(losses)


def _keys(old: Catalog, new: Catalog) -> Iterable[str]:
    return dict.fromkeys((*old.modules, *old.features, *new.modules, *new.features))


def _has(of: Standpoint, key: str) -> tuple[Access, Value | None]:
    if of.write[key].allowed:
        return Access.FULL, of.write[key].value
    if of.read[key].allowed:
        return Access.READ_ONLY, of.read[key].value
    return Access.NONE, None


def _named(key: str, value: Value | None, *accesses: Access) -> str:
    worth = "" if value is None or value is True else f": {told(value)}"
    return f"{key}{worth}{' (read_only)' if Access.READ_ONLY in accesses else ''}"
