"""Whose id is hashed, as JsonLogic: the same id that we hash, and nobody where we hash nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.flagd.conditions import number, text

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.flags.model import Flag

#: What OpenFeature calls whom a flag is about. It is a string; the empty one is nobody.
_TARGETING_KEY: Final[FlagValue] = {"var": "targetingKey"}


@dataclass(frozen=True, slots=True)
class Identity:
    """
    Whose id a flag hashes.

    Attributes:
        id: The id; null where there is none.
        there: True where there is one.
        is_targeting_key: It is the targeting key and nothing else, which flagd hashes with the flag's key by default.
    """

    id: FlagValue
    there: FlagValue
    is_targeting_key: bool

    def written(self, before: str) -> FlagValue:
        """Write the id behind *before*, as one text; only where `there` is true."""
        return {"cat": [before, self.id]}


def identity(flag: Flag, targeting_key: str) -> Identity:
    """Say whose id *flag* hashes, where the targeting key is that of *targeting_key*."""
    first = _one(flag.bucket_by, targeting_key)
    if flag.fallback is None:
        return first
    other = _one(flag.fallback, targeting_key)
    either: FlagValue = {"if": [first.there, first.id, other.id]}
    return Identity(either, {"or": [first.there, other.there]}, is_targeting_key=False)


def _one(by: str, targeting_key: str) -> Identity:
    if by in (targeting_key, "targetingKey"):
        return Identity(_TARGETING_KEY, {"!!": [_TARGETING_KEY]}, is_targeting_key=True)
    var: FlagValue = {"var": by}
    # As `bucketing.identify` has it: a string that is not empty, or a whole number.
    named: FlagValue = {"and": [text(var), {"!==": [var, ""]}]}
    counted: FlagValue = {"and": [number(var), {"===": [{"%": [var, 1]}, 0]}]}
    return Identity(var, {"or": [named, counted]}, is_targeting_key=False)
