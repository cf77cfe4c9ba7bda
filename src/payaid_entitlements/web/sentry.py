"""
For hosts that report to Sentry: whose request it was and in which module it failed, and no noise of refusals.

    sentry_sdk.init(dsn, integrations=[PayaidIntegration()])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

try:
    import sentry_sdk
    from sentry_sdk.integrations import Integration
except ModuleNotFoundError as error:
    if error.name != "sentry_sdk":
        raise
    raise ModuleNotFoundError(
        "reporting to Sentry needs the package 'sentry-sdk'; run: pip install 'payaid-entitlements[sentry]'",
        name=error.name,
    ) from error

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.core.redacting import without_secrets
from payaid_entitlements.errors import EntitlementError, ModuleFailed, ModuleUnavailable
from payaid_entitlements.web.failing import Failure, on_failure

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

__all__ = ["PayaidIntegration"]

#: Answers to clients, of which nobody wants to be woken.
_MISTAKES: Final = (LookupError, ValueError)


class PayaidIntegration(Integration):
    """
    Reports failures of modules, once each, and says of every event whose request it was.

    Tags: ``payaid.module``, ``payaid.plan``, ``payaid.tenant``, ``payaid.reference``. Refusals, outages of the store
    (which have metrics) and the `ModuleFailed` that stands for a failure that was reported are dropped.

    Args:
        send_tenant: Send the ids of tenants and users; else none is sent.
    """

    identifier = "payaid_entitlements"

    def __init__(self, *, send_tenant: bool = True) -> None:
        self.send_tenant = send_tenant

    @staticmethod
    def setup_once() -> None:
        """Called by the SDK, once in a process."""
        on_failure(_report)
        sentry_sdk.scope.add_global_event_processor(_process)


def _report(failure: Failure) -> None:
    if sentry_sdk.get_client().get_integration(PayaidIntegration) is None:
        return
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("payaid.module", failure.module)
        scope.set_tag("payaid.reference", failure.reference)
        if failure.correlation_id is not None:
            scope.set_tag("correlation_id", failure.correlation_id)
        scope.capture_exception(failure.error)


def _process(event: Event, hint: Hint) -> Event | None:
    integration = sentry_sdk.get_client().get_integration(PayaidIntegration)
    if integration is None:
        return event
    error = (hint.get("exc_info") or (None, None, None))[1]
    if isinstance(error, ModuleFailed | ModuleUnavailable):
        return None
    if isinstance(error, EntitlementError) and not isinstance(error, _MISTAKES):
        return None
    tags = dict(event.get("tags") or {})
    binding = CURRENT.get()
    if binding is not None and binding.is_found:
        view = binding.view
        if view.plan is not None:
            tags.setdefault("payaid.plan", view.plan)
        if integration.send_tenant:
            tags.setdefault("payaid.tenant", view.tenant)
            if view.user is not None:
                tags.setdefault("payaid.user", view.user)
    event["tags"] = {name: str(value) for name, value in without_secrets(tags).items()}
    return event
