"""
The look over all routes when the app starts: what would let everybody pass without anybody noticing is loud here.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.applications import Starlette

from payaid_entitlements.core.catalog.problems import did_you_mean
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards import is_covered, require_feature, require_module, rules_of
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.web.exempting import is_exempt
from payaid_entitlements.web.fastapi.marks import Mark, calls, marks
from payaid_entitlements.web.fastapi.walking import Place, apps, places


def audit(app: Starlette, ent: AsyncEntitlements | Entitlements, *, refuse_unguarded: bool) -> None:
    """
    Look over all routes of *app* and of the apps that are mounted in it.

    Raises:
        ConfigurationError: Names every route with a mistake, and the way out.
    """
    mistakes = [
        f"{place}: {mistake}"
        for inner in apps(app)
        for place in places(inner)
        for mistake in _mistakes(place, ent, refuse_unguarded=refuse_unguarded)
    ]
    if mistakes:
        raise ConfigurationError("\n".join(("routes are not guarded as they look:", *(f"  {m}" for m in mistakes))))


def _mistakes(place: Place, ent: AsyncEntitlements | Entitlements, *, refuse_unguarded: bool) -> Iterator[str]:
    if is_covered(place.endpoint):
        yield "a guard stands above the route decorator, where it never runs; put it below"
    found = list(marks(place.dependant))
    for call in calls(place.dependant):
        if call is require_module or call is require_feature:
            yield f"Depends({call.__name__}) guards nothing; use gate.{call.__name__}(key)"
    rules = rules_of(place.endpoint)
    if rules is not None:
        if rules.tenant is None and not found:
            yield "its guard has no tenant to ask; add the dependency gate.tenant, or tenant='argument'"
        for need in rules.requirements:
            yield from unknown(ent, need)
    is_guarded = rules is not None or any(mark.need is not None for mark in found)
    if refuse_unguarded and not is_guarded and not is_exempt(place.endpoint):
        yield "no gate or guard stands before it; add gate.require_module(...), or mark it with @exempt"


def is_guarded(place: Place) -> bool:
    """May this route refuse somebody?"""
    return rules_of(place.endpoint) is not None or any(isinstance(mark, Mark) for mark in marks(place.dependant))


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
