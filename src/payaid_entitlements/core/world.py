"""
What is the same for every tenant: what is published, and how the operators' switches stand.

A world is immutable but for its memo of tables; a change of the catalog or of the controls makes a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.keyspace import folded
from payaid_entitlements.core.catalog.model import AddOn, Plan
from payaid_entitlements.core.controls import EVERYWHERE, Controls, Enforcement
from payaid_entitlements.core.metering.amounts import cost_in_units
from payaid_entitlements.errors import UnknownPlan

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.catalog.publishing import Published


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
        """The mode of *module*; None asks for features of the whole account."""
        for scope in (module, EVERYWHERE):
            if scope is not None:
                # Names of environment variables have no dashes.
                for modes, name in ((self.environment, folded(scope)), (stored, scope), (self.program, scope)):
                    if name in modes:
                        return modes[name]
        return Enforcement.ENFORCE

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
        tables: Decisions by shape, filled as shapes are met: shared by all tenants of one shape.
    """

    published: Published
    controls: Controls
    modes: Mapping[str | None, Enforcement]
    dependents: Mapping[str, tuple[str, ...]]
    payers: Mapping[str, tuple[tuple[str, int], ...]]
    tables: dict[object, object] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(published: Published, controls: Controls, modes: Modes = Modes()) -> World:
        """Join what is published with the switches."""
        catalog = published.catalog
        scopes: tuple[str | None, ...] = (None, *catalog.modules)
        by_scope = {scope: modes.of(scope, controls.modes) for scope in scopes}
        return World(published, controls, by_scope, dependents_in(catalog), payers_in(catalog))

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
        """The mode under which *key* is decided."""
        return self.modes[self.module_of(key)]

    def is_killed(self, key: str) -> bool:
        """Is *key*, or the module it belongs to, off for everybody?"""
        killed = self.controls.killed
        return bool(killed) and (key in killed or self.module_of(key) in killed)


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
