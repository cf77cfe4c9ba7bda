"""What publishing changed: which plans and add-ons are sold, have a new version, or are not sold any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.difference import Difference


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """One version of one plan."""

    plan: str
    version: int

    def __str__(self) -> str:
        return f"plan {self.plan}"


@dataclass(frozen=True, slots=True)
class AddOnVersion:
    """One version of one add-on."""

    add_on: str
    version: int

    def __str__(self) -> str:
        return f"add-on {self.add_on}"


#: One version of what is sold.
OfferVersion: TypeAlias = PlanVersion | AddOnVersion


@dataclass(frozen=True, slots=True)
class Publication:
    """
    What publishing changed.

    Attributes:
        revision: Of the catalog that is sold now.
        hash: Of the catalog that is sold now.
        added: Plans that were not sold before; one that comes back goes on counting its versions.
        changed: Plans of which there is a new version.
        removed: Plans that are not sold any more, each with the newest version that some may hold.
        added_add_ons, changed_add_ons, removed_add_ons: The same for add-ons.
        differences: All that differs from what was sold before, as it is written; nothing for the
            first publication.
        is_empty: The same catalog is sold already.
    """

    revision: int
    hash: str
    added: tuple[PlanVersion, ...] = ()
    changed: tuple[PlanVersion, ...] = ()
    removed: tuple[PlanVersion, ...] = ()
    added_add_ons: tuple[AddOnVersion, ...] = ()
    changed_add_ons: tuple[AddOnVersion, ...] = ()
    removed_add_ons: tuple[AddOnVersion, ...] = ()
    differences: tuple[Difference, ...] = ()
    is_empty: bool = False

    @property
    def all_added(self) -> tuple[OfferVersion, ...]:
        """Plans and add-ons that were not sold before."""
        return (*self.added, *self.added_add_ons)

    @property
    def all_changed(self) -> tuple[OfferVersion, ...]:
        """Plans and add-ons of which there is a new version."""
        return (*self.changed, *self.changed_add_ons)

    @property
    def all_removed(self) -> tuple[OfferVersion, ...]:
        """Plans and add-ons that are not sold any more."""
        return (*self.removed, *self.removed_add_ons)

    def lines(self) -> tuple[str, ...]:
        """Tell people what changed, one fact a line."""
        if self.is_empty:
            return (f"nothing changed; revision {self.revision}, {self.hash[:12]}, is sold already",)
        return (
            f"revision {self.revision}, {self.hash[:12]}",
            *(f"{each} is sold, version {each.version}" for each in self.all_added),
            *(f"{each} has version {each.version}; who holds an older one keeps it" for each in self.all_changed),
            *(f"{each} is not sold any more; who holds it keeps it" for each in self.all_removed),
            *map(str, self.differences),
        )
