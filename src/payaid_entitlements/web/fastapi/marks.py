"""How the start-up audit knows the dependencies of a gate again, and what they ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fastapi.dependencies.models import Dependant

from payaid_entitlements.guards.requirement import Requirement

_NAME: Final = "__payaid_gate__"


@dataclass(frozen=True, slots=True)
class Mark:
    """
    What a dependency of a gate does.

    Attributes:
        need: What it requires; None where it only binds the tenant.
    """

    need: Requirement | None


def mark(dependency: object, what: Mark) -> None:
    """Remember *what* with the function."""
    setattr(dependency, _NAME, what)


def marks(dependant: Dependant | None) -> Iterator[Mark]:
    """The marks of all dependencies of a route, in the order in which they run."""
    for dependency in () if dependant is None else dependant.dependencies:
        yield from marks(dependency)
        found = getattr(dependency.call, _NAME, None)
        if isinstance(found, Mark):
            yield found


def calls(dependant: Dependant | None) -> Iterator[object]:
    """What all dependencies of a route call."""
    for dependency in () if dependant is None else dependant.dependencies:
        yield from calls(dependency)
        yield dependency.call
