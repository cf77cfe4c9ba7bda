"""What is bound for one request to a Flask app, and kept in its environ for the gate that has bound it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from flask import request

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.web.finding import LazyBinding, Who
from payaid_entitlements.web.request import intent_of

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.usage import Usage
    from payaid_entitlements.web.flask.gate import Gate


class Visit(LazyBinding):
    """
    A request as one gate sees it.

    Args:
        gate: Whose it is.
        open_endpoints: Of views that are open on purpose.

    Attributes:
        usages: By feature, what it has used up.
    """

    __slots__ = ("_open", "_usages", "gate")

    def __init__(
        self,
        gate: Gate,
        client: Entitlements,
        find: Callable[[], Who],
        access: Intent,
        address: Callable[[], str | None] | None,
        open_endpoints: frozenset[str],
    ) -> None:
        super().__init__(client, find, access, address=address)
        self.gate = gate
        self._open = open_endpoints
        self._usages: dict[str, Usage] | None = None

    def is_about(self, method: str) -> None:
        """Learn by which *method* Flask handles the request. The request itself is gone when a stream still asks."""
        self._access = intent_of(method)

    @property
    def usages(self) -> dict[str, Usage]:
        """See above."""
        if self._usages is None:
            self._usages = {}
        return self._usages

    def is_open(self) -> bool:
        """Is nothing of this app's to be guarded now: no such path, no view that runs, or one that is open?"""
        # Of the request itself: each question to what stands for it would look for it again.
        asked = cast("Any", request)._get_current_object()
        if asked.routing_exception is not None:
            return True
        rule = asked.url_rule
        if rule.endpoint in self._open:
            return True
        # As in Flask.dispatch_request, to the letter: where Flask does not answer it itself the view runs.
        return asked.method == "OPTIONS" and bool(getattr(rule, "provide_automatic_options", False))

    @staticmethod
    def environ() -> dict[str, Any]:
        """Of the request. It is not kept: the environ keeps the visit."""
        environ: dict[str, Any] = request.environ
        return environ
