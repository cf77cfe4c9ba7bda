"""
Processors of structlog. They are plain functions, and structlog is not imported.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.core.redacting import masked_lines, without_secrets

#: Of structlog and of `logging`, and no text.
_LEFT: Final = frozenset({"exc_info", "stack_info", "_record", "_from_structlog"})


def add_tenant(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """
    Say whose request it is, where that is bound and was found: ``tenant``, and ``user`` where there is one.

    What a line says itself stays. Nobody is looked for: a line of a log must not ask a store.
    """
    binding = CURRENT.get()
    if binding is not None and binding.is_found:
        view = binding.view
        event.setdefault("tenant", view.tenant)
        if view.user is not None:
            event.setdefault("user", view.user)
    return event


def redact(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """
    Mask secrets, and addresses for mail and numbers of cards; control characters become escapes.

    Put it last before the renderer, and behind what makes text of an exception.
    """
    kept = {name: event[name] for name in _LEFT & event.keys()}
    said = without_secrets({name: value for name, value in event.items() if name not in kept})
    if isinstance(text := event.get("exception"), str):
        said["exception"] = masked_lines(text)
    event.clear()
    event.update(said, **kept)
    return event
