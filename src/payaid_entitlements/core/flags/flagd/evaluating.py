"""
What a flag that was read from flagd answers, as flagd answers it.

No targeting is ``STATIC``, a variant from targeting ``TARGETING_MATCH`` (by a bucket too), null from targeting the
default variant and ``DEFAULT``, no default variant the caller's own default and ``DEFAULT``, disabled the caller's own
default and ``DISABLED``. A boolean names the variants ``true`` and ``false``. A variant that is not there is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from payaid_entitlements.core.flags.coercion import text
from payaid_entitlements.core.flags.compiling import compile as compiled
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagDetails, FlagError, FlagReason
from payaid_entitlements.core.flags.failing import EvaluationFailed, RuleInvalid
from payaid_entitlements.core.flags.jsonlogic.reading import read

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.flags.model import Flag

#: Answers for a context and raises nothing: what went wrong is in the details.
Evaluate: TypeAlias = Callable[[FlagContext], FlagDetails]


def evaluator(flag: Flag) -> Evaluate:
    """Make the function that answers *flag*. One that cannot be evaluated says so when it is asked."""
    outcomes = _Outcomes(flag)
    if not flag.enabled:
        disabled = outcomes.of(flag.off, FlagReason.DISABLED)
        return lambda _: disabled
    if flag.targeting is None:
        static = outcomes.default(FlagReason.STATIC)
        return lambda _: static
    try:
        step = compiled(read(flag.targeting, flag=flag.key, scheme=flag.scheme), segments={}, key=flag.key)
    except RuleInvalid as invalid:
        broken = outcomes.failed(FlagError.PARSE_ERROR, str(invalid))
        return lambda _: broken
    return _targeted(step, outcomes)


def _targeted(step: Callable[[FlagContext], FlagValue], outcomes: _Outcomes) -> Evaluate:
    matched = {name: outcomes.of(name, FlagReason.TARGETING_MATCH) for name in outcomes.flag.variants}
    default = outcomes.default(FlagReason.DEFAULT)

    def evaluate(context: FlagContext) -> FlagDetails:
        try:
            result = step(context)
        except EvaluationFailed as failure:
            return outcomes.failed(failure.code, failure.message)
        if result is None:
            return default
        if not isinstance(result, bool | int | float | str):
            return outcomes.failed(
                FlagError.GENERAL, f"targeting gives a {type(result).__name__}; let it give a variant"
            )
        name = text(result)
        return matched.get(name) or outcomes.unknown(name)

    return evaluate


class _Outcomes:
    """The details of one flag."""

    def __init__(self, flag: Flag) -> None:
        self.flag = flag

    def of(self, variant: str | None, reason: FlagReason) -> FlagDetails:
        flag = self.flag
        value = None if variant is None else flag.variants[variant]
        return FlagDetails(flag.key, value, variant, reason, metadata=flag.metadata)

    def default(self, reason: FlagReason) -> FlagDetails:
        """Details of the default variant; without one the caller's own default counts, and that is the reason."""
        default = self.flag.default
        if default is None:
            return self.of(None, FlagReason.DEFAULT)
        return self.of(default, reason) if default in self.flag.variants else self.unknown(default)

    def unknown(self, variant: str) -> FlagDetails:
        return self.failed(FlagError.GENERAL, f"there is no variant {variant[:80]!r}; add it, or name another")

    def failed(self, error: FlagError, message: str) -> FlagDetails:
        flag = self.flag
        return FlagDetails(flag.key, None, None, FlagReason.ERROR, None, error, message, flag.metadata)
