"""Versions of plans and add-ons as they are kept: flattened, as written, so that they can be read again later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from payaid_entitlements.core.catalog import written
from payaid_entitlements.core.catalog.offers import (
    Flat,
    common_currency,
    flatten,
    read_add_on,
    read_plan,
    with_currency,
)
from payaid_entitlements.core.catalog.reading import CatalogReading
from payaid_entitlements.core.written.plain import Plain, as_json, plain
from payaid_entitlements.core.written.problems import Findings
from payaid_entitlements.core.written.shape import fit

if TYPE_CHECKING:
    from pydantic import BaseModel

    from payaid_entitlements.core.catalog.model import AddOn, Catalog, Plan
    from payaid_entitlements.core.written.problems import Path


def written_plans(catalog: Catalog) -> dict[str, Mapping[str, object]]:
    """Write each plan of *catalog* as JSON data that stands alone: what it extends is merged in."""
    document = _document(catalog)
    flat = flatten(document.plans, common_currency(document))
    return {key: _as_data(each.plan) for key, each in flat.items()}


def written_add_ons(catalog: Catalog) -> dict[str, Mapping[str, object]]:
    """Write each add-on of *catalog* as JSON data that stands alone."""
    return {key: _as_data(add_on) for key, add_on in with_currency(_document(catalog)).items()}


def _document(catalog: Catalog) -> written.WrittenCatalog:
    return fit(written.WrittenCatalog, plain(catalog.document, Findings()), Findings())[0]


def _as_data(offer: BaseModel) -> Mapping[str, object]:
    dumped = cast("Plain", offer.model_dump(exclude_defaults=True))
    return cast("Mapping[str, object]", as_json(dumped))


def read_version(
    key: str, rank: int, version: int, data: Mapping[str, object], catalog: Catalog, findings: Findings
) -> Plan:
    """
    Read one version of a plan as `written_plans` wrote it, in the terms of *catalog*.

    A module, feature or rate limit that *catalog* does not define any more is left out: retiring a
    key takes it from every version.
    """
    path: Path = ("plans", key)
    plan, _ = fit(written.WrittenPlan, plain(data, findings), findings, path)
    known: dict[str, object] = {
        "modules": [name for name in plan.modules if name in catalog.modules],
        "features": {name: value for name, value in plan.features.items() if name in catalog.features},
        "rate_limits": {name: rate for name, rate in plan.rate_limits.items() if name in catalog.rate_limits},
    }
    kept = plan.model_copy(update=known)
    origins: dict[Path, Path] = {
        (section, name): (*path, section, name)
        for section in ("modules", "features", "rate_limits")
        for name in getattr(kept, section)
    }
    reading = CatalogReading(findings, modules=dict(catalog.modules), features=dict(catalog.features))
    read = read_plan(key, rank, Flat(kept, origins), catalog.rate_limits, reading)
    return replace(read, version=version)


def read_add_on_version(
    key: str, rank: int, version: int, data: Mapping[str, object], catalog: Catalog, findings: Findings
) -> AddOn:
    """Read one version of an add-on as `written_add_ons` wrote it; otherwise as `read_version`."""
    add_on, _ = fit(written.WrittenAddOn, plain(data, findings), findings, ("add_ons", key))
    known: dict[str, object] = {"modules": [name for name in add_on.modules if name in catalog.modules]}
    for section in ("increment", "override", "max", "grant"):
        given: Mapping[str, object] = getattr(add_on, section)
        # `expires` stands among the credits of a grant, and is none.
        known[section] = {
            name: value
            for name, value in given.items()
            if name in catalog.features or (section == "grant" and name == "expires")
        }
    kept = add_on.model_copy(update=known)
    reading = CatalogReading(findings, modules=dict(catalog.modules), features=dict(catalog.features))
    # Plans that are not sold any more stay: without them it would be for all.
    return replace(read_add_on(key, rank, kept, dict.fromkeys(kept.for_plans), reading), version=version)
