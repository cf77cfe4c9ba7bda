"""What can go wrong with a rule: at load, and when it is evaluated. Nothing else leaves this package."""

from __future__ import annotations

from payaid_entitlements.core.flags.details import FlagError


class RuleInvalid(ValueError):
    """A rule cannot be used as it is written; the message names what and the way out. Raised at load."""


class EvaluationFailed(Exception):
    """
    A flag has no answer for this context. Whoever evaluates turns it into details with an error.

    Attributes:
        code: As OpenFeature calls it: ``PARSE_ERROR`` for a broken rule, ``GENERAL`` for what the context did to it.
        message: What went wrong, in a sentence; names nobody.
    """

    def __init__(self, code: FlagError, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)
