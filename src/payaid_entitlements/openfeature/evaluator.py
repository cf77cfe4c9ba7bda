"""
Our engine as an evaluator of flagd's: what OpenFeature's own flagd provider asks, where it evaluates in the process.

The protocol is that of ``openfeature-flagd-api``. It knows a flagd file and a context, and no tenants, plans or stores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from openfeature.contrib.tools.flagd.api import FlagStoreError
from openfeature.exception import ErrorCode, FlagNotFoundError, ParseError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason

from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagReason
from payaid_entitlements.core.flags.flagd import load
from payaid_entitlements.core.flags.flagd.evaluating import Evaluate, evaluator
from payaid_entitlements.core.instant import from_clock
from payaid_entitlements.errors import FlagsInvalid
from payaid_entitlements.openfeature.kinds import Kind, fitting
from payaid_entitlements.openfeature.whom import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openfeature.evaluation_context import EvaluationContext

    from payaid_entitlements.core.flags.details import FlagDetails
    from payaid_entitlements.core.flags.flagd.loading import FlagDocument
    from payaid_entitlements.core.flags.model import Flag
    from payaid_entitlements.core.flags.nodes import Scheme

_V = TypeVar("_V")

_REASONS: Final = {reason: Reason(reason.value) for reason in FlagReason}
#: Kinds of attributes that are JSON data as they are; nearly all.
_PLAIN: Final = frozenset((str, int, float, bool))


@dataclass(frozen=True, slots=True)
class _Loaded:
    """
    One file, as it can be asked; swapped as a whole, so that whoever is asking needs no lock.

    Attributes:
        constant: What flags without targeting, or that are disabled, say to everybody.
        evaluators: The others.
        broken: Why flags that are there cannot be asked.
    """

    constant: Mapping[str, FlagDetails] = field(default_factory=dict)
    evaluators: Mapping[str, Evaluate] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)


class FlagdEvaluator:
    """
    Implements ``openfeature.contrib.tools.flagd.api.Evaluator``.

    Args:
        fractional: Which generation of ``fractional`` hashes the buckets; None is what the file says, else ``"v3"``.
            Use ``"v2"`` while any service that reads the same file does: they put people into different buckets.
        clock: Seconds since 1970, which rules see as ``$flagd.timestamp``.
    """

    def __init__(self, *, fractional: Scheme | None = None, clock: Callable[[], float] | None = None) -> None:
        self._fractional: Final = fractional
        self._clock = clock
        self._loaded = _Loaded()

    def set_flags(self, flag_configuration: str | dict[str, Any]) -> None:
        """
        Take a flagd file in the place of the one before. A flag that is wrong fails alone, when it is asked.

        Raises:
            FlagStoreError: It is no flagd file; the one before stays.
        """
        self.set_flags_and_get_changed_keys(flag_configuration)

    def set_flags_and_get_changed_keys(self, flag_configuration: str | dict[str, Any]) -> list[str]:
        """
        Same as `set_flags`; tells which flags are new, gone or other than before.

        Raises:
            FlagStoreError: It is no flagd file; the one before stays.
        """
        try:
            document = load(flag_configuration, fractional=self._fractional)
        except FlagsInvalid as invalid:
            raise FlagStoreError(str(invalid)) from invalid
        before, after = self._loaded.fingerprints, _fingerprints(document)
        evaluators = {key: evaluator(flag) for key, flag in document.flags.items()}
        constant = {key for key, flag in document.flags.items() if flag.targeting is None or not flag.enabled}
        nobody = self._context(None)
        self._loaded = _Loaded(
            {key: evaluators[key](nobody) for key in constant},
            {key: evaluate for key, evaluate in evaluators.items() if key not in constant},
            {key: broken.message for key, broken in document.broken.items()},
            cast("Mapping[str, float | int | str | bool]", document.metadata),
            after,
        )
        return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))

    def get_flag_set_metadata(self) -> Mapping[str, float | int | str | bool]:
        """Give the metadata of the flag set."""
        return self._loaded.metadata

    def resolve_boolean_value(
        self, flag_key: str, default_value: bool, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """
        Answer a boolean flag; the other five do so for their types.

        Raises:
            FlagNotFoundError: There is no such flag.
            ParseError: It cannot be evaluated as it is written.
            TypeMismatchError: It is worth something else.
            GeneralError: Its targeting names a variant that is not there.
        """
        return self._resolve(flag_key, default_value, ctx, Kind.BOOLEAN)

    def resolve_string_value(
        self, flag_key: str, default_value: str, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Same as `resolve_boolean_value`."""
        return self._resolve(flag_key, default_value, ctx, Kind.STRING)

    def resolve_integer_value(
        self, flag_key: str, default_value: int, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Same as `resolve_boolean_value`."""
        return self._resolve(flag_key, default_value, ctx, Kind.INTEGER)

    def resolve_float_value(
        self, flag_key: str, default_value: float, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Same as `resolve_boolean_value`; a whole number is a float too."""
        return self._resolve(flag_key, default_value, ctx, Kind.FLOAT)

    def resolve_object_value(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        ctx: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Same as `resolve_boolean_value`."""
        return self._resolve(flag_key, default_value, ctx, Kind.OBJECT)

    def _resolve(self, key: str, default: _V, ctx: EvaluationContext | None, kind: Kind) -> FlagResolutionDetails[_V]:
        loaded = self._loaded
        details = loaded.constant.get(key)
        if details is None:
            evaluate = loaded.evaluators.get(key)
            if evaluate is None:
                if key in loaded.broken:
                    raise ParseError(loaded.broken[key])
                raise FlagNotFoundError(f"there is no flag {key!r}")
            details = evaluate(self._context(ctx))
        if details.error is not None:
            raise ErrorCode.to_exception(ErrorCode(details.error.value), details.message)
        metadata = cast("dict[str, bool | int | float | str]", dict(details.metadata))
        reason = _REASONS[details.reason]
        if details.variant is None:
            return FlagResolutionDetails(default, reason=reason, flag_metadata=metadata)
        value = cast("_V", fitting(key, details.value, kind))
        return FlagResolutionDetails(value, reason=reason, variant=details.variant, flag_metadata=metadata)

    def _context(self, ctx: EvaluationContext | None) -> FlagContext:
        attributes: dict[str, object] = {}
        if ctx is not None:
            for name, value in ctx.attributes.items():
                attributes[name] = value if type(value) in _PLAIN else plain(value)
            if ctx.targeting_key is not None:
                attributes["targetingKey"] = ctx.targeting_key
        # Looked up at each call, so that a clock that tests put in its place counts.
        at = from_clock((self._clock or time)())
        return FlagContext(tenant=None, user=None, at=at, attributes=attributes, tenant_text=None, user_text=None)


def _fingerprints(document: FlagDocument) -> dict[str, str]:
    """Write of each flag all that its answers come from. As text: Python takes 1, 1.0 and True for one value."""
    broken = {key: f"broken: {why.message}" for key, why in document.broken.items()}
    return {key: _fingerprint(flag) for key, flag in document.flags.items()} | broken


def _fingerprint(flag: Flag) -> str:
    said = (flag.enabled, flag.variants, flag.default, flag.targeting, flag.metadata, flag.scheme)
    return json.dumps(said, sort_keys=True)
