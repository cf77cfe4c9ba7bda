"""
The look over all routes when the app starts: what would let everybody pass without anybody noticing is loud here.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from starlette.applications import Starlette

from payaid_entitlements.core.catalog.problems import did_you_mean
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards import is_covered, rules_of
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.web.fastapi.marks import calls, is_maker, marks
from payaid_entitlements.web.fastapi.walking import Place, all_places


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
        for need in rules.requirements:
            yield from unknown(ent, need)
    if place.is_exempt or rules is not None or any(mark.need is not None for mark in found):
        return
    if place.is_bypassing:
        yield (
            "the gate of a router or app around it is not asked here: FastAPI knows dependencies of its own routes "
            "only; put a gate or guard on what is inside, or mark it with exempt(...)"
        )
    elif refuse_unguarded:
        yield "no gate or guard stands before it; add gate.require_module(...), or mark it with exempt(...)"


def _makers(dependant: Dependant | None) -> Iterator[str]:
    for call in calls(dependant):
        if is_maker(call):
            yield getattr(call, "__name__", "")


def is_guarded(place: Place) -> bool:
    """May this route refuse somebody?"""
    return rules_of(place.endpoint) is not None or any(True for _ in marks(place.dependant))


def require_known(ent: AsyncEntitlements | Entitlements, need: Requirement) -> None:
    """
    Refuse a key that the catalog of *ent* does not have.

    Raises:
        ConfigurationError: It has not. Where no catalog was given, nothing is known before the first question.
    """
    for mistake in unknown(ent, need):
        raise ConfigurationError(f"gate.require_{need.rank.name.lower()}({need.key!r}): {mistake}")


def unknown(ent: AsyncEntitlements | Entitlements, need: Requirement) -> Iterator[str]:
    """What is wrong with the key of *need*."""
    catalog = ent.catalog
    if catalog is None:
        return
    keys = catalog.modules if need.rank is Rank.MODULE else catalog.features
    if need.key not in keys:
        others = catalog.features if need.rank is Rank.MODULE else catalog.modules
        word = need.rank.name.lower()
        if need.key in others:
            yield f"{need.key!r} is no {word}; use require_{'feature' if need.rank is Rank.MODULE else 'module'}"
        else:
            yield f"the catalog has no {word} {need.key!r}{did_you_mean(need.key, [*keys, *others])}"
