"""How the start-up audit knows the dependencies of a gate again, and what they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant

from payaid_entitlements.guards.requirement import Requirement

_NAME: Final = "__payaid_gate__"
_MAKER: Final = "__payaid_maker__"

F = TypeVar("F", bound=Callable[..., object])


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


def maker(method: F) -> F:
    """Remember that *method* gives a dependency, and guards nothing where it is used as one itself."""
    setattr(method, _MAKER, True)
    return method


def is_maker(call: object) -> bool:
    """Was it forgotten to call it?"""
    return getattr(call, _MAKER, False) is True


def marks(dependant: Dependant | None) -> Iterator[Mark]:
    """The marks of all dependencies of a route, in the order in which they run."""
    for call in calls(dependant):
        found = getattr(call, _NAME, None)
        if isinstance(found, Mark):
            yield found


def calls(dependant: Dependant | None) -> Iterator[object]:
    """What all dependencies of a route call, in the order in which they run."""
    for dependency in () if dependant is None else dependant.dependencies:
        yield from calls(dependency)
        yield dependency.call


def is_gate(dependency: params.Depends) -> bool:
    """Does *dependency*, or one that it has itself, refuse those who are not entitled?"""
    call = dependency.dependency
    if call is None:
        return False
    found = (getattr(call, _NAME, None), *marks(get_dependant(path="/", call=call)))
    return any(isinstance(mark, Mark) and mark.need is not None for mark in found)
