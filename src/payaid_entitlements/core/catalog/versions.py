"""Versions of plans as they are kept: flattened, as written, so that they can be read again later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from payaid_entitlements.core.catalog import written
from payaid_entitlements.core.catalog.offers import (
    Flat,
    common_currency,
    flatten,
    read_plan,
)
from payaid_entitlements.core.catalog.plain import Plain, as_json, plain
from payaid_entitlements.core.catalog.problems import Findings
from payaid_entitlements.core.catalog.reading import Reading
from payaid_entitlements.core.catalog.shape import fit

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog, Plan
    from payaid_entitlements.core.catalog.problems import Path


def written_plans(catalog: Catalog) -> dict[str, Mapping[str, object]]:
    """Write each plan of *catalog* as JSON data that stands alone: what it extends is merged in."""
    document, _ = fit(written.WrittenCatalog, plain(catalog.document, Findings()), Findings())
    flat = flatten(document.plans, common_currency(document))
    return {key: _as_data(plan) for key, plan in flat.items()}


def _as_data(flat: Flat) -> Mapping[str, object]:
    dumped = cast("Plain", flat.plan.model_dump(exclude_defaults=True))
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
    reading = Reading(findings, modules=dict(catalog.modules), features=dict(catalog.features))
    read = read_plan(key, rank, Flat(kept, origins), catalog.rate_limits, reading)
    return replace(read, version=version)
