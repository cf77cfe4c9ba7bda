"""Going through lists: ``map filter reduce all none some``. Within them, an element is all that a rule sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast

from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagError
from payaid_entitlements.core.flags.failing import EvaluationFailed

Step: TypeAlias = Callable[[FlagContext], object]

#: How many nodes one loop may evaluate, with all loops that are within it.
MOST_VISITS: Final = 50_000


class _Within(FlagContext):
    """The context within a loop: its attributes are an element, which may be any JSON value."""

    __slots__ = ("visits",)

    def __init__(self, outer: FlagContext, visits: int) -> None:
        # Written out: the inherited one, with its keywords, costs more than three elements.
        self.tenant = outer.tenant
        self.user = outer.user
        self.at = outer.at
        self.tenant_text = outer.tenant_text
        self.user_text = outer.user_text
        # One count for a loop and all that are within it.
        self.visits: list[int] = outer.visits if isinstance(outer, _Within) else [0]
        # By the length of the list, and not by how soon one is found: what fails depends on no order.
        self.visits[0] += visits
        if self.visits[0] > MOST_VISITS:
            raise EvaluationFailed(FlagError.GENERAL, f"a loop takes more than {MOST_VISITS} steps")

    def see(self, element: object) -> None:
        # What is compiled for a loop knows that this may be anything.
        self.attributes = cast("Mapping[str, object]", element)


def _elements(source: Step, context: FlagContext) -> Sequence[object]:
    found = source(context)
    return found if isinstance(found, list | tuple) else ()


def mapping(source: Step, body: Step, cost: int) -> Step:
    """
    Make ``map``.

    Args:
        source: Gives the list; what is none has no elements.
        body: Evaluated for each element.
        cost: How many nodes *body* has.
    """

    def each(context: FlagContext) -> list[object]:
        elements = _elements(source, context)
        within = _Within(context, cost * len(elements))
        made: list[object] = []
        for element in elements:
            within.see(element)
            made.append(body(within))
        return made

    return each


def filtering(source: Step, body: Step, cost: int) -> Step:
    """Make ``filter``; as `mapping`, but that *body* says true or false."""

    def those(context: FlagContext) -> list[object]:
        elements = _elements(source, context)
        within = _Within(context, cost * len(elements))
        made: list[object] = []
        for element in elements:
            within.see(element)
            if body(within):
                made.append(element)
        return made

    return those


def reducing(source: Step, body: Step, start: Step, cost: int) -> Step:
    """Make ``reduce``, which begins with what *start* gives; as `mapping` else."""

    def together(context: FlagContext) -> object:
        elements = _elements(source, context)
        within = _Within(context, cost * len(elements))
        made = start(context)
        for element in elements:
            within.see({"current": element, "accumulator": made})
            made = body(within)
        return made

    return together


def seeking(source: Step, body: Step, cost: int, *, wanted: bool, found: bool, empty: bool) -> Step:
    """
    Make ``all``, ``none`` or ``some``: they stop at the first element of which *body* says *wanted*.

    Args:
        found: The answer where there is one.
        empty: The answer of an empty list.
    """

    def seek(context: FlagContext) -> bool:
        elements = _elements(source, context)
        if not elements:
            return empty
        within = _Within(context, cost * len(elements))
        for element in elements:
            within.see(element)
            if body(within) is wanted:
                return found
        return not found

    return seek
