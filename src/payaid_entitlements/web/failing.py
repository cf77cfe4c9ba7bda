"""What failed in a module, and who is told of it."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.core.observing import log

#: By these names a host binds what it knows a request by, in the context variables of structlog.
_NAMES: Final = ("correlation_id", "request_id", "trace_id")


@dataclass(frozen=True, slots=True)
class Failure:
    """
    An error of the host's own, in one of its modules.

    Attributes:
        module: Key of the module.
        error: What was raised.
        reference: What the customer is told, to quote to support.
        correlation_id: By which the host finds the request in its logs; None where it has bound none.
        tenant, user: Whose request it was; None where that is not known.
    """

    module: str
    error: Exception = field(repr=False)
    reference: str
    correlation_id: str | None = None
    tenant: str | None = None
    user: str | None = None


Reporter: TypeAlias = Callable[[Failure], object]
R = TypeVar("R", bound=Reporter)

_REPORTERS: Final[list[Reporter]] = []


def on_failure(reporter: R) -> R:
    """
    Have *reporter* called with each `Failure`, in the thread where it happened; a decorator too. Twice is once.

    What it raises is logged, and changes nothing for the request.
    """
    if reporter not in _REPORTERS:
        _REPORTERS.append(reporter)
    return reporter


def failure_of(module: str, error: Exception) -> Failure:
    """Say who was met by *error*, as far as that is bound here."""
    return Failure(module, error, secrets.token_hex(6), _correlation_id(), *whose())


def whose() -> tuple[str | None, str | None]:
    """Name the tenant and the user who are bound here; nobody is looked for: that may be what fails, or takes long."""
    binding = CURRENT.get()
    return (None, None) if binding is None or not binding.is_found else (binding.view.tenant, binding.view.user)


def report(failure: Failure) -> None:
    """Write *failure* to the log, and hand it to all who want to know."""
    log.error(
        "module.failed",
        error=failure.error,
        module=failure.module,
        kind=type(failure.error).__name__,
        tenant=failure.tenant,
        user=failure.user,
        reference=failure.reference,
        correlation_id=failure.correlation_id,
    )
    for reporter in tuple(_REPORTERS):
        try:
            reporter(failure)
        except Exception as error:  # whoever reports must not fail the request a second time
            log.error("module.unreported", error=error, reporter=repr(reporter), reference=failure.reference)


def _correlation_id() -> str | None:
    # What the host has not imported it has bound nothing with.
    contextvars = sys.modules.get("structlog.contextvars")
    if contextvars is None:
        return None
    bound = contextvars.get_contextvars()
    return next((str(bound[name]) for name in _NAMES if bound.get(name)), None)
