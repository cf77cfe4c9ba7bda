"""What a flag says: a value, and why, in the words of OpenFeature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

#: What a variant may be worth: JSON. A bool is no int.
FlagValue: TypeAlias = bool | int | float | str | list["FlagValue"] | Mapping[str, "FlagValue"] | None


class FlagReason(StrEnum):
    """Why a value came out: OpenFeature's reasons (specification 0.9.0, types.md)."""

    STATIC = "STATIC"
    DEFAULT = "DEFAULT"
    TARGETING_MATCH = "TARGETING_MATCH"
    SPLIT = "SPLIT"
    DISABLED = "DISABLED"
    CACHED = "CACHED"
    STALE = "STALE"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"


class FlagError(StrEnum):
    """What went wrong: OpenFeature's error codes."""

    PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PARSE_ERROR = "PARSE_ERROR"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    GENERAL = "GENERAL"


@dataclass(frozen=True, slots=True)
class FlagDetails:
    """
    The answer of a flag. Built once for each variant when the flag is compiled, and shared: it names nobody.

    Attributes:
        key: Of the flag.
        value: Of the variant; None where the caller's own default is to be used, which `variant` None says too.
        variant: Its name; None where there is none.
        rule: Id of the rule that decided; None where none did.
        error: What went wrong; then `reason` is ``ERROR`` and the caller's default is used.
        message: The error in a sentence that names the way out; empty without one.
        metadata: Of the flag, over that of its set.
    """

    key: str
    value: FlagValue
    variant: str | None
    reason: FlagReason
    rule: str | None = None
    error: FlagError | None = None
    message: str = ""
    metadata: Mapping[str, FlagValue] = field(default_factory=dict)
