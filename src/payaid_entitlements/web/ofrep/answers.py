"""
What goes over the wire, as the OpenAPI document of OFREP 0.3.0 has it.

No sentence of the host's is in it: what a flag's own error says may quote rules that are nobody's business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from payaid_entitlements.core.flags.details import FlagDetails, FlagError, FlagReason, FlagValue
from payaid_entitlements.core.flags.model import FlagType

#: What is said of an error; the error itself is in the host's log.
SENTENCES: Final[Mapping[FlagError, str]] = {
    FlagError.FLAG_NOT_FOUND: "There is no such flag.",
    FlagError.PARSE_ERROR: "The flag cannot be read.",
    FlagError.TARGETING_KEY_MISSING: "The flag needs a targetingKey.",
    FlagError.INVALID_CONTEXT: "The flag cannot be evaluated with this context.",
    FlagError.GENERAL: "The flag cannot be evaluated.",
}

#: The reasons that the protocol's schema lists. It forgets some that its own decision record uses.
LISTED: Final = frozenset(
    {FlagReason.STATIC, FlagReason.TARGETING_MATCH, FlagReason.SPLIT, FlagReason.DISABLED, FlagReason.UNKNOWN}
)

#: Answers that are kept as bytes; more there are only where flags fail in ever new ways.
MOST: Final = 50_000


class Written:
    """
    Answers of flags as JSON, each written once: the answers of a flag are few, and shared by all who ask.

    Args:
        is_strict: Say no reason that the protocol's schema does not list; ``UNKNOWN`` instead.
    """

    def __init__(self, *, is_strict: bool) -> None:
        self._is_strict = is_strict
        # By identity, with the answer itself, which must not go while its identity is a key.
        self._kept: dict[int, tuple[FlagDetails, bytes]] = {}

    def of(self, details: FlagDetails, type_: FlagType) -> bytes:
        """Write the answer of a flag of *type_*, or its error."""
        kept = self._kept.get(id(details))
        if kept is not None and kept[0] is details:
            return kept[1]
        try:
            text = to_json(
                success(details, type_, is_strict=self._is_strict) if details.error is None else failed(details)
            )
        except ValueError:
            # A value that JSON has no word for, as flagd's files may hold: 1e999.
            text = to_json(failure(FlagError.GENERAL, details.key))
        if len(self._kept) >= MOST:
            self._kept = {}
        self._kept[id(details)] = (details, text)
        return text


def success(details: FlagDetails, type_: FlagType, *, is_strict: bool) -> dict[str, object]:
    """``serverEvaluationSuccess``. Without ``value`` the client uses its own default."""
    reason = details.reason if not is_strict or details.reason in LISTED else FlagReason.UNKNOWN
    # An official client cannot read an answer that names no variant.
    said: dict[str, object] = {"key": details.key, "reason": reason.value, "variant": details.variant or ""}
    if details.variant is not None:
        value = details.value
        # Clients tell the two apart by how they are written.
        said["value"] = float(value) if type_ is FlagType.FLOAT and isinstance(value, int) else value
    return said | _metadata(details)


def failed(details: FlagDetails) -> dict[str, object]:
    """``evaluationFailure`` or ``flagNotFound``."""
    return failure(details.error or FlagError.GENERAL, details.key) | _metadata(details)


def failure(error: FlagError, key: str | None = None, says: str | None = None) -> dict[str, object]:
    """``evaluationFailure``, ``flagNotFound``, or ``bulkEvaluationFailure`` without a *key*."""
    code = error if error in SENTENCES else FlagError.GENERAL
    said: dict[str, object] = {} if key is None else {"key": key}
    return {**said, "errorCode": code.value, "errorDetails": says or SENTENCES[code]}


def status_of(details: FlagDetails) -> int:
    """The status of the answer to a question about one flag."""
    if details.error is None:
        return 200
    return 404 if details.error is FlagError.FLAG_NOT_FOUND else 400


def to_json(said: Mapping[str, object]) -> bytes:
    """Write *said* as the smallest JSON that says it."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=dict).encode()


def etag_of(body: bytes) -> str:
    """
    A strong entity tag, RFC 9110 section 8.8.3.

    Of the answer and not of a revision: it depends on the context, and on time where a rule looks at the clock.
    """
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def is_same(etag: str, if_none_match: str) -> bool:
    """Does *if_none_match*, a header, name *etag*? Compared weakly, RFC 9110 section 13.1.2."""
    named = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in named or etag in named


def _metadata(details: FlagDetails) -> dict[str, object]:
    plain = plain_metadata(details.metadata)
    return {"metadata": plain} if plain else {}


def plain_metadata(metadata: Mapping[str, FlagValue]) -> dict[str, bool | int | float | str]:
    """Metadata as OpenFeature has it: texts, numbers and booleans; nothing else is told."""
    return {key: value for key, value in metadata.items() if isinstance(value, bool | int | float | str)}
