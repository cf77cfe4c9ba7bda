"""A catalog while it is read: what is defined so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payaid_entitlements.core.written.reading import Reading

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Feature, Module


@dataclass(slots=True)
class CatalogReading(Reading):
    """
    One catalog while it is read.

    Attributes:
        modules, features: As far as they are read.
    """

    modules: dict[str, Module] = field(default_factory=dict)
    features: dict[str, Feature] = field(default_factory=dict)
