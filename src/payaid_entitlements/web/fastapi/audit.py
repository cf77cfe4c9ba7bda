"""
The look over all routes when the app starts: what would let everybody pass without anybody noticing is loud here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastapi.dependencies.models import Dependant
from starlette.applications import Starlette

from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards import is_covered, rules_of
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.web.fastapi.marks import Mark, calls, is_maker, marks
from payaid_entitlements.web.fastapi.walking import Place, all_places
from payaid_entitlements.web.needs import unknown


def audit(app: Starlette, ent: AsyncEntitlements | Entitlements, *, refuse_unguarded: bool) -> None:
    """
    Look over all routes of *app* and of the apps that are mounted in it.

    Raises:
        ConfigurationError: Names every route with a mistake, and the way out.
    """
    mistakes = [
        f"{place}: {mistake}"
        for place in all_places(app)
        for mistake in _mistakes(place, ent, refuse_unguarded=refuse_unguarded)
    ]
    if mistakes:
        raise ConfigurationError("\n".join(("routes are not guarded as they look:", *(f"  {m}" for m in mistakes))))


def _mistakes(place: Place, ent: AsyncEntitlements | Entitlements, *, refuse_unguarded: bool) -> Iterator[str]:
    if is_covered(place.endpoint):
        yield "a guard stands above the route decorator, where it never runs; put it below"
    yield from (
        f"Depends({name}) guards nothing; use gate.{name}(key), without Depends" for name in _makers(place.dependant)
    )
    found = list(marks(place.dependant))
    rules = rules_of(place.endpoint)
    if rules is not None:
        if rules.tenant is None and not found:
            yield "its guard has no tenant to ask; add the dependency gate.tenant, or tenant='argument'"
        for need in (*rules.requirements, *(Requirement(Rank.LIMIT, limit.key) for limit in rules.limits)):
            yield from unknown(ent.catalog, need)
    yield from _paid_once(found)
    # How often is not who: a limit alone lets everybody pass.
    is_guarded = rules is not None and bool(rules.requirements or rules.metered)
    if place.is_exempt or is_guarded or any(mark.is_entitling for mark in found):
        return
    if place.is_bypassing:
        yield (
            "the gate of a router or app around it is not asked here: FastAPI knows dependencies of its own routes "
            "only; put a gate or guard on what is inside, or mark it with exempt(...)"
        )
    elif refuse_unguarded:
        yield "no gate or guard stands before it; add gate.require_module(...), or mark it with exempt(...)"


def _paid_once(found: Iterable[Mark]) -> Iterator[str]:
    """A second act under the name of the first one is a repetition of it, or in conflict with it."""
    seen: set[object] = set()
    for mark in found:
        if mark.need is None or not mark.is_taking:
            continue
        # Where the client names what is done, each feature has a name of its own.
        name = mark.operation or mark.need.key
        if name in seen:
            yield (
                f"two gates use something up under one operation, the second one {mark.need.key!r}; "
                "give it an operation of its own"
            )
        seen.add(name)


def _makers(dependant: Dependant | None) -> Iterator[str]:
    for call in calls(dependant):
        if is_maker(call):
            yield getattr(call, "__name__", "")


def is_guarded(place: Place) -> bool:
    """May this route refuse somebody?"""
    rules = rules_of(place.endpoint)
    return (rules is not None and rules.may_refuse) or any(True for _ in marks(place.dependant))


def is_named_by_client(place: Place) -> bool:
    """Must a request say by which key it is known when it is repeated?"""
    return any(mark.is_named_by_client for mark in marks(place.dependant))


def is_limited(place: Place) -> bool:
    """May this route be called too often?"""
    rules = rules_of(place.endpoint)
    return (rules is not None and bool(rules.limits)) or any(mark.is_limit for mark in marks(place.dependant))
