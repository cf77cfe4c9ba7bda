"""Flags and contexts for tests, written short."""

from __future__ import annotations

from typing import Any

from payaid_entitlements.core.flags.cbor import text
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagDetails
from payaid_entitlements.core.flags.model import Condition, Flag, FlagSet, FlagType, Progress, Rollout, Rule
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import EARLIEST


def context(tenant: str | None = "acme", user: str | None = "ann", at: int = 0, **attributes: object) -> FlagContext:
    """Somebody who asks; names of attributes have ``__`` for a dot that leads into a mapping of one entry."""
    given: dict[str, object] = {}
    for name, value in attributes.items():
        first, _, rest = name.partition("__")
        given[first] = {rest: value} if rest else value
    return FlagContext(
        tenant=tenant,
        user=user,
        at=at,
        attributes={"tenant": tenant, "user": user, **given},
        tenant_text=text(tenant) if tenant else None,
        user_text=text(user) if user else None,
    )


def switch(key: str = "look", **fields: Any) -> Flag:
    """A boolean flag, off unless a rule says otherwise."""
    given: dict[str, Any] = {"default": "off", "off": "off", "salt": key, **fields}
    return Flag(key, FlagType.BOOLEAN, {"on": True, "off": False}, **given)


def percentage(parts: int, serve: Any = "on", *, when: Condition | None = None, name: str = "rollout") -> Rule:
    """A rule for a share of everybody."""
    return Rule(name, serve, when, Rollout(((EARLIEST, parts),)))


def snapshot(*flags: Flag, progress: Progress | None = None, **more: Any) -> FlagSnapshot:
    """All of *flags*, compiled."""
    stands = {} if progress is None else {flags[0].key: progress}
    return FlagSnapshot.of({flag.key: flag for flag in flags}, FlagSet(progress=stands), **more)


def ask(flag: Flag, asker: FlagContext | None = None, *others: Flag, **more: Any) -> FlagDetails:
    """What *flag* answers."""
    return snapshot(flag, *others, **more).flags[flag.key].evaluate(asker or context())
