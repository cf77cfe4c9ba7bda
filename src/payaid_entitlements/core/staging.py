"""
For whom a mode holds that holds for a part of the tenants only.

The same hash as a rollout's (`payaid_entitlements.core.flags.hashed`), of the scope and the tenant and of nothing that
anybody could change: a growing share loses nobody, each scope begins with others, and every process says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from payaid_entitlements.core.controls import EVERYWHERE, Controls, Enforcement
from payaid_entitlements.core.flags.hashed import stage_bytes
from payaid_entitlements.core.flags.hashing import murmur3, threshold


@dataclass(frozen=True, slots=True)
class Staged:
    """
    What is decided by tenant where a module's mode is.

    Attributes:
        scope: That the stage was set for: the module, or everywhere.
        mode: For those whom it has reached.
        otherwise: For the others.
        parts: How many it reaches, of `PARTS`.
    """

    scope: str
    mode: Enforcement
    otherwise: Enforcement
    parts: int


def is_reached(scope: str, tenant: str, parts: int) -> bool:
    """Is *tenant* among the first *parts* of `PARTS` for *scope*?"""
    return murmur3(stage_bytes(scope, tenant)) < threshold(parts)


def stored_mode(controls: Controls, scope: str, tenant: str) -> Enforcement | None:
    """The mode that is stored for *tenant* in exactly this scope; None where none is."""
    stage = controls.stages.get(scope)
    if stage is not None and is_reached(scope, tenant, stage.parts):
        return stage.mode
    return controls.modes.get(scope)


def in_force(controls: Controls, module: str, tenant: str) -> Enforcement | None:
    """The stored mode by which *tenant* is decided in *module*; None where none is stored for it or for everywhere."""
    return stored_mode(controls, module if module in controls.modes else EVERYWHERE, tenant)


@dataclass(frozen=True, slots=True)
class Move:
    """A tenant that comes under another mode; None is what each process says itself."""

    tenant: str
    was: Enforcement | None
    now: Enforcement | None


def moves(tenants: Iterable[str], scope: str, before: Controls, after: Controls) -> Iterator[Move]:
    """Give those of *tenants* whose mode in *scope* is another one *after*, in their order."""
    for tenant in tenants:
        was, now = in_force(before, scope, tenant), in_force(after, scope, tenant)
        if was is not now:
            yield Move(tenant, was, now)
