"""
The catalog: what is sold, as people write it and as the rules read it.

Importing this reads nothing and builds no pydantic model; `Catalog.load` does both.
"""

from __future__ import annotations

from payaid_entitlements.core.catalog.difference import Difference, difference
from payaid_entitlements.core.catalog.keys import keys_module
from payaid_entitlements.core.catalog.model import (
    Access,
    AddOn,
    Catalog,
    ConfigType,
    CreditGrant,
    FailPolicy,
    Feature,
    Kind,
    Lifecycle,
    Merge,
    Microseconds,
    Module,
    OnExceed,
    Plan,
    Price,
    Rate,
    RateLimit,
    Rollover,
    Stage,
)
from payaid_entitlements.core.catalog.publication import AddOnVersion, PlanVersion, Publication
from payaid_entitlements.core.catalog.publishing import Published, publish
from payaid_entitlements.core.written.problems import Problem

__all__ = [
    "Access",
    "AddOn",
    "AddOnVersion",
    "Catalog",
    "ConfigType",
    "CreditGrant",
    "Difference",
    "FailPolicy",
    "Feature",
    "Kind",
    "Lifecycle",
    "Merge",
    "Microseconds",
    "Module",
    "OnExceed",
    "Plan",
    "PlanVersion",
    "Price",
    "Problem",
    "Publication",
    "Published",
    "Rate",
    "RateLimit",
    "Rollover",
    "Stage",
    "catalog_schema",
    "difference",
    "keys_module",
    "publish",
]


def catalog_schema() -> dict[str, object]:
    """Write the JSON Schema (draft 2020-12) that editors check a catalog against."""
    from payaid_entitlements.core.catalog.written import schema

    return schema()
