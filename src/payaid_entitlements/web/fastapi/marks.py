"""How the start-up audit knows the dependencies of a gate again, and what they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant

from payaid_entitlements.guards.requirement import Rank, Requirement


class Dependency(params.Depends):
    """
    What a gate gives. It goes where ``Depends(...)`` goes, and not into one: FastAPI, which asks each callable there
    for its signature, is told so.
    """

    def __call__(self) -> NoReturn:
        """
        Be no function.

        Raises:
            TypeError: Always.
        """
        raise TypeError(_NOT_IN_DEPENDS)

    @property
    def __signature__(self) -> NoReturn:
        raise TypeError(_NOT_IN_DEPENDS)


_NOT_IN_DEPENDS: Final = (
    "what a gate gives is a dependency already; write it without Depends(): dependencies=[gate.require_module(key)], "
    "Annotated[TenantView, gate.tenant]"
)
_NAME: Final = "__payaid_gate__"
_MAKER: Final = "__payaid_maker__"

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Mark:
    """
    What a dependency of a gate does.

    Attributes:
        need: What it requires, uses up, or the rate limit on which it counts; None where it only binds the tenant.
        operation: Of what it uses up: the dependency that names it; None where the client does.
    """

    need: Requirement | None
    operation: Callable[..., object] | None = None

    @property
    def is_limit(self) -> bool:
        """Does it only say how often, and not who?"""
        return self.need is not None and self.need.rank is Rank.LIMIT

    @property
    def is_taking(self) -> bool:
        """Does it use something up?"""
        return self.need is not None and self.need.rank is Rank.QUOTA

    @property
    def is_named_by_client(self) -> bool:
        """Must each request say by which key it is known when it is repeated?"""
        return self.is_taking and self.operation is None

    @property
    def is_entitling(self) -> bool:
        """Does it refuse those who do not hold something?"""
        return self.need is not None and self.need.rank is not Rank.LIMIT


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


def put_in_order(dependant: Dependant | None) -> None:
    """
    Let the rate limits of a route be counted before it is asked what anybody holds, wherever they were written, and
    quotas be used up when all else has let the request pass.

    As guards do: whoever asks all the time for what they do not hold is limited too. What is no gate stays where it is.
    """
    if dependant is None:
        return
    found = dependant.dependencies
    asks = (at for at, each in enumerate(found) if any(mark.is_entitling for mark in (*_own(each), *marks(each))))
    first = next(asks, len(found))
    early = [each for each in found[first:] if any(mark.is_limit for mark in _own(each))]
    late = [each for each in found if any(mark.is_taking for mark in _own(each))]
    # By identity: two that are alike are equal.
    moved = {id(each) for each in (*early, *late)}
    before, after = ([each for each in some if id(each) not in moved] for some in (found[:first], found[first:]))
    found[:] = [*before, *early, *after, *late]


def _own(dependant: Dependant) -> Iterator[Mark]:
    found = getattr(dependant.call, _NAME, None)
    if isinstance(found, Mark):
        yield found


def is_gate(dependency: params.Depends) -> bool:
    """Does *dependency*, or one that it has itself, refuse those who are not entitled, or who call too often?"""
    call = dependency.dependency
    if call is None:
        return False
    found = (getattr(call, _NAME, None), *marks(get_dependant(path="/", call=call)))
    return any(isinstance(mark, Mark) and mark.need is not None for mark in found)
