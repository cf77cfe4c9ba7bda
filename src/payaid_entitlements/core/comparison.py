"""
Who gains and who loses what: by a change of one tenant, or by another catalog for all of them.

Nothing is written. A reduced allowance is a loss, a raised one a gain, each told as before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from payaid_entitlements.core.catalog.model import Catalog, Feature, Merge
from payaid_entitlements.core.catalog.publishing import publish
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.evaluation import Evaluation, Situation
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.merging import size
from payaid_entitlements.core.resolution import Standpoint, held_of
from payaid_entitlements.core.subscription import Subscription, terms_of
from payaid_entitlements.core.values import Allowance, Value
from payaid_entitlements.core.world import World


@dataclass(frozen=True, slots=True)
class Effect:
    """
    What a change does to one tenant.

    Attributes:
        gains, losses: One line each: ``crm.export``, or ``invoicing.invoices: 2000/month -> 100/month``.
    """

    tenant: str
    gains: tuple[str, ...]
    losses: tuple[str, ...]


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
                {"tenant": effect.tenant, "gains": list(effect.gains), "losses": list(effect.losses)}
                for effect in self.effects
            ],
        }

    def to_text(self) -> str:
        """All of it for a terminal."""
        lines = [f"{len(self.effects)} tenants change, {len(self.losers)} of them lose something, {self.unchanged} keep all"]
        for effect in self.effects:
            lines.append(f"  {effect.tenant}")
            lines += [f"    + {gain}" for gain in effect.gains]
            lines += [f"    - {loss}" for loss in effect.losses]
        return "\n".join(lines)


def compare(
    old: Catalog,
    new: Catalog,
    subscriptions: Mapping[str, Subscription] | Iterable[tuple[str, Subscription]],
    *,
    at: Instant = 0,
) -> Comparison:
    """
    Try *new* on subscriptions that are held under *old*: who would gain and lose what, if all of them moved to it.

    Pure; publishes nothing.

    Args:
        subscriptions: By tenant.
        at: Instant at which subscriptions are judged; it matters for those that are described by times.

    Raises:
        CatalogInvalid: *new* may not follow *old* (a key that is still held was removed).
    """
    before, _ = publish(None, old)
    after, _ = publish(before, new)
    worlds = World.of(before, Controls()), World.of(after, Controls())
    effects: list[Effect] = []
    unchanged = 0
    pairs = subscriptions.items() if isinstance(subscriptions, Mapping) else subscriptions
    for tenant, subscription in sorted(pairs, key=lambda pair: pair[0]):
        held = [_decisions(subscription, world, at) for world in worlds]
        gains, losses = differences(held[0], held[1], {**old.features, **new.features})
        if gains or losses:
            effects.append(Effect(tenant, gains, losses))
        else:
            unchanged += 1
    return Comparison(tuple(effects), unchanged)


def _decisions(subscription: Subscription, world: World, at: Instant) -> dict[str, Decision]:
    evaluation = Evaluation(world, Situation((held_of(terms_of(subscription), world, at),)))
    return {key: evaluation.decide(key) for key in (*world.catalog.modules, *world.catalog.features)}


def gains_and_losses(before: Standpoint, after: Standpoint) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a tenant gains and loses between two standpoints in the same world."""
    catalog = before.write.world.catalog
    keys = (*catalog.modules, *catalog.features)
    return differences(
        {key: before.write[key] for key in keys}, {key: after.write[key] for key in keys}, catalog.features
    )


def differences(
    before: Mapping[str, Decision], after: Mapping[str, Decision], features: Mapping[str, Feature]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell what *after* allows more and less than *before*, as (gains, losses)."""
    gains: list[str] = []
    losses: list[str] = []
    for key in dict.fromkeys((*before, *after)):
        old, new = _held(before, key), _held(after, key)
        if old is None and new is not None:
            gains.append(_named(key, new))
        elif old is not None and new is None:
            losses.append(_named(key, old))
        elif old is not None and new is not None and old != new:
            line = f"{key}: {told(old)} -> {told(new)}"
            (gains if _is_more(features.get(key), old, new) else losses).append(line)
    return tuple(gains), tuple(losses)


def _held(decisions: Mapping[str, Decision], key: str) -> Value | None:
    decision = decisions.get(key)
    return decision.value if decision is not None and decision.allowed else None


def _named(key: str, value: Value) -> str:
    return key if value is True else f"{key}: {told(value)}"


def _is_more(feature: Feature | None, old: Value, new: Value) -> bool:
    if feature is None:
        return True
    if feature.merge is Merge.MIN:
        return size(feature, new) < size(feature, old)
    return size(feature, new) > size(feature, old)


def told(value: Value) -> str:
    """A value in the words of the catalog: ``100/month``, ``unlimited``, ``basic``."""
    if isinstance(value, Allowance):
        limit = told(value.limit)
        return limit if value.per is None else f"{limit}/{value.per}"
    encoded = encode_value(value)
    return "unlimited" if encoded == {"unlimited": True} else str(value)
