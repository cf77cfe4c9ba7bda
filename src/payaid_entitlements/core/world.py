"""
What is the same for every tenant: what is published, and how the operators' switches stand.

A world is immutable but for its memo of tables; a change of the catalog or of the controls makes a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.model import AddOn, Plan
from payaid_entitlements.core.controls import EVERYWHERE, Controls, Enforcement
from payaid_entitlements.core.metering.amounts import cost_in_units
from payaid_entitlements.core.staging import Staged, is_reached
from payaid_entitlements.core.written.keyspace import folded
from payaid_entitlements.errors import UnknownPlan

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.catalog.publishing import Published
    from payaid_entitlements.core.decision import Reason
    from payaid_entitlements.core.evaluation import Situation
    from payaid_entitlements.core.metering.usage import Usage
    from payaid_entitlements.core.ratelimit.limits import Limit
    from payaid_entitlements.core.remedies import Remedy


#: Worlds that are kept at once of those that stages make: two of each stage, in all combinations.
MOST_VARIANTS = 256


@dataclass(frozen=True, slots=True)
class Modes:
    """
    Enforcement modes with their sources joined.

    The narrower scope wins, a module over everywhere; for the same scope the environment of the process
    over what is stored over what the program says.

    Attributes:
        program: By module or `EVERYWHERE`, what ``Entitlements.open(enforcement=...)`` says.
        environment: By module, with ``_`` for dashes, or `EVERYWHERE`, from ``PAYAID_*`` variables.
    """

    program: Mapping[str, Enforcement] = field(default_factory=dict)
    environment: Mapping[str, Enforcement] = field(default_factory=dict)

    def of(self, module: str | None, stored: Mapping[str, Enforcement]) -> Enforcement:
        """The mode of *module*, of those whom no stage has reached; None asks for features of the whole account."""
        return self._found(module, stored)[0]

    def staged(self, module: str | None, controls: Controls) -> Staged | None:
        """What is decided by tenant where the mode of *module* is; None where it is one for all."""
        otherwise, scope = self._found(module, controls.modes)
        stage = None if scope is None else controls.stages.get(scope)
        return None if scope is None or stage is None else Staged(scope, stage.mode, otherwise, stage.parts)

    def _found(self, module: str | None, stored: Mapping[str, Enforcement]) -> tuple[Enforcement, str | None]:
        """The mode, and the scope for which it is stored, where it comes from the store."""
        for scope in (module, EVERYWHERE):
            if scope is not None:
                # Names of environment variables have no dashes.
                if (mode := self.environment.get(folded(scope))) is not None:
                    return mode, None
                if (mode := stored.get(scope)) is not None:
                    return mode, scope
                if (mode := self.program.get(scope)) is not None:
                    return mode, None
        return Enforcement.ENFORCE, None

    def unknown(self, catalog: Catalog) -> tuple[str, ...]:
        """Scopes that are no module of *catalog*: a typo there leaves the module that was meant as it is."""
        modules = {EVERYWHERE, *catalog.modules}
        spelt = {folded(module) for module in modules}
        strays = [scope for scope in self.program if scope not in modules]
        return (*strays, *(scope for scope in self.environment if scope not in spelt))


@dataclass(frozen=True, slots=True)
class World:
    """
    All that answers depend on besides the tenant's own facts.

    Attributes:
        modes: Mode by module; under None that of features of the whole account.
        dependents: By key the keys whose decisions may depend on its own, in the catalog's order: itself, what is in
            it, requires it or is paid by it, and so on.
        payers: By key of a quota the credits that pay for it, each with what one of the quota's smallest units costs,
            in smallest units of the credit.
        narrowed: Keys of modules and features that flags may refuse, with all that is in those modules.
        longest_outage: For how long anything is answered from what was last known, at most, in microseconds.
        tables: Decisions by shape, filled as shapes are met: shared by all tenants of one shape.
        limits: Rate limits by plans and overrides, filled likewise.
        offered: What was found for those who are refused, by their modes and situation, which are kept with it, and by
            the refusal. Shared by all `variants`, so that it is bounded once for them all.
        staged: By module whose mode is decided by tenant, how. Only `for_tenant` has the modes of somebody, then.
        variants: The worlds that `for_tenant` gives, by the scopes whose stages have reached somebody.
    """

    published: Published
    controls: Controls
    modes: Mapping[str | None, Enforcement]
    dependents: Mapping[str, tuple[str, ...]]
    payers: Mapping[str, tuple[tuple[str, int], ...]]
    narrowed: frozenset[str] = frozenset()
    longest_outage: int = 0
    tables: dict[object, object] = field(default_factory=dict, compare=False, repr=False)
    limits: dict[object, Mapping[str, Limit]] = field(default_factory=dict, compare=False, repr=False)
    offered: dict[
        tuple[int, int, str, Reason, Usage | None],
        tuple[Mapping[str | None, Enforcement], Situation, tuple[Remedy, ...]],
    ] = field(default_factory=dict, compare=False, repr=False)
    staged: Mapping[str | None, Staged] = field(default_factory=dict)
    variants: dict[frozenset[str], World] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(published: Published, controls: Controls, modes: Modes = Modes(), narrowing: Iterable[str] = ()) -> World:
        """
        Join what is published with the switches.

        Args:
            narrowing: Keys of the modules and features that flags narrow.
        """
        catalog = published.catalog
        scopes: tuple[str | None, ...] = (None, *catalog.modules)
        by_scope = {scope: modes.of(scope, controls.modes) for scope in scopes}
        staged = {scope: found for scope in scopes if (found := modes.staged(scope, controls)) is not None}
        bounds = [module.on_outage.bound for module in catalog.modules.values()]
        bounds += [feature.on_outage.bound for feature in catalog.features.values()]
        return World(
            published,
            controls,
            by_scope,
            dependents_in(catalog),
            payers_in(catalog),
            narrowed_in(catalog, narrowing),
            longest_outage=max(bounds, default=0),
            staged=staged,
        )

    def for_tenant(self, tenant: str) -> World:
        """
        The same with the modes of *tenant*, where a stage decides them: itself mostly.

        Shared by all tenants whom the same stages have reached, with their tables.
        """
        if not self.staged:
            return self
        parts = {each.scope: each.parts for each in self.staged.values()}
        reached = frozenset(scope for scope, share in parts.items() if is_reached(scope, tenant, share))
        found = self.variants.get(reached)
        if found is None:
            modes = {
                module: each.mode if each.scope in reached else each.otherwise for module, each in self.staged.items()
            }
            if len(self.variants) >= MOST_VARIANTS:
                self.variants.clear()
            # With the same variants, so that one of another tenant is as good to start from.
            found = replace(self, modes={**self.modes, **modes}, tables={})
            self.variants[reached] = found
        return found

    def narrowed_by(self, narrowing: Iterable[str]) -> World:
        """The same where flags narrow other keys; itself where they are the same."""
        narrowed = narrowed_in(self.catalog, narrowing)
        return (
            self if narrowed == self.narrowed else replace(self, narrowed=narrowed, tables={}, offered={}, variants={})
        )

    def after(self, before: World | None) -> World:
        """
        The same, sharing the tables of *before* where nobody is decided for otherwise than by that.

        Kill switches of flags are the flags' business: whoever turns one in an emergency must not have every process
        read every tenant again.
        """
        if before is None or (
            self.catalog.hash,
            self.published.revision,
            self.modes,
            self.staged,
            self.narrowed,
        ) != (before.catalog.hash, before.published.revision, before.modes, before.staged, before.narrowed):
            return self
        catalog = self.catalog
        turned = self.controls.killed ^ before.controls.killed
        if any(key in catalog.modules or key in catalog.features for key in turned):
            return self
        return replace(before, controls=self.controls)

    @property
    def catalog(self) -> Catalog:
        """What is sold now."""
        return self.published.catalog

    @property
    def default_plan(self) -> Plan | None:
        """What tenants without a subscription in force hold; None refuses them."""
        key = self.catalog.default_plan
        return None if key is None else self.published.plan(key)

    def plan(self, key: str, version: int | None) -> Plan:
        """
        Look up a plan version that somebody holds.

        A version that was never published here (a database restored without its catalog) gives nothing
        instead of raising: reading must always work, and giving nothing fails closed.
        """
        try:
            return self.published.plan(key, version)
        except UnknownPlan:
            return Plan(key, key, rank=-1, modules=(), features={}, version=version or 0, buy="hidden")

    def add_on(self, key: str, version: int | None) -> AddOn:
        """Look up an add-on version that somebody holds; one that was never published here gives nothing, as a plan."""
        try:
            return self.published.add_on(key, version)
        except UnknownPlan:
            return AddOn(key, key, rank=-1, version=version or 0)

    def module_of(self, key: str) -> str | None:
        """The module that *key* is or belongs to; None for features of the whole account and unknown keys."""
        if key in self.catalog.modules:
            return key
        feature = self.catalog.features.get(key)
        return None if feature is None else feature.module

    def mode_of(self, key: str) -> Enforcement:
        """The mode under which *key* is decided; by tenant where that is staged, see `for_tenant`."""
        return self.modes[self.module_of(key)]

    def staged_at(self, key: str) -> Staged | None:
        """What is decided by tenant where the mode of *key* is; None where it is one for all."""
        return self.staged.get(self.module_of(key)) if self.staged else None

    def is_killed(self, key: str) -> bool:
        """Is *key*, or the module it belongs to, off for everybody?"""
        killed = self.controls.killed
        return bool(killed) and (key in killed or self.module_of(key) in killed)


def narrowed_in(catalog: Catalog, narrowing: Iterable[str]) -> frozenset[str]:
    """All keys that flags may refuse, where they narrow the modules and features *narrowing*."""
    found = frozenset(narrowing)
    return found | {key for key, feature in catalog.features.items() if feature.module in found}


def dependents_in(catalog: Catalog) -> Mapping[str, tuple[str, ...]]:
    """Turn what keys need around, however far; see `World.dependents`."""
    needs: dict[str, tuple[str, ...]] = {key: module.requires for key, module in catalog.modules.items()}
    for key, feature in catalog.features.items():
        needs[key] = feature.requires if feature.module is None else (feature.module, *feature.requires)
    for key, paying in payers_in(catalog).items():
        needs[key] = (*needs[key], *(credit for credit, _ in paying))
    found: dict[str, list[str]] = {}
    for key in needs:
        reached: dict[str, None] = {}
        ahead = [key]
        while ahead:
            one = ahead.pop()
            if one not in reached:
                reached[one] = None
                ahead += needs.get(one, ())
        for one in reached:
            found.setdefault(one, []).append(key)
    return {key: tuple(keys) for key, keys in found.items()}


def payers_in(catalog: Catalog) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """Turn what credits pay for around; see `World.payers`."""
    found: dict[str, list[tuple[str, int]]] = {}
    for key, credit in catalog.features.items():
        for paid, cost in credit.pays_for.items():
            units = cost_in_units(cost, credit, catalog.features[paid])
            # A catalog whose costs do not fit is refused; one of an older release never becomes cheaper.
            found.setdefault(paid, []).append((key, ceil(units)))
    return {key: tuple(each) for key, each in found.items()}
