"""
The names that payment providers have for a subscription: ``stripe`` calls it ``sub_1Q...``.

No decision looks at them. They are facts like all others, so each knows since when it holds and, with ``as_of``, how
new the provider's word about it was: an older one that arrives later is superseded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from payaid_entitlements.core.facts import NewFact, TenantDocument
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.subscription import MAIN, subject

if TYPE_CHECKING:
    from payaid_entitlements.core.ground import Ground

_FIELD = "provider_id"


def set_provider_id(on: Ground, provider: str, id: str | None, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """
    Note what *provider* calls a subscription from now on; None for nothing any more.

    What was said before the present subscription began is superseded: no facts.

    Raises:
        UnknownTenant: There is no such subscription.
        TypeError: The provider or the id identifies nothing.
    """
    on.terms(name)
    fact = _fact(on.at, name, provider, id)
    return () if on.is_of_another(name) else (fact,)


def replaced(on: Ground, wanted: Mapping[str, str], name: str) -> tuple[NewFact, ...]:
    """The ids of a subscription that begins: *wanted*, and nothing of what its predecessor was called."""
    known = {path[3] for path in on.document.timelines if path[:2] == ("subscription", name) and path[2] == _FIELD}
    return tuple(_fact(on.at, name, provider, wanted.get(provider)) for provider in sorted({*known, *wanted}))


def provider_ids(document: TenantDocument, at: Instant) -> dict[str, dict[str, str]]:
    """What each subscription is called at *at*: id by provider, by name of the subscription."""
    found: dict[str, dict[str, str]] = {}
    for path, line in document.timelines.items():
        if path[0] == "subscription" and path[2] == _FIELD and isinstance(value := line.at(at), str):
            found.setdefault(path[1], {})[path[3]] = value
    return found


def _fact(since: Instant, name: str, provider: str, id: str | None) -> NewFact:
    value = None if id is None else identify("id", id)
    return NewFact(subject(name, _FIELD, identify("provider", provider)), since, value)
