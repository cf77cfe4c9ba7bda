"""What is bound for one request to a Flask app, and kept in its environ for the gate that has bound it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import has_request_context, request

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.finding import LazyBinding, Who
from payaid_entitlements.web.request import READS, intent_of

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.usage import Usage
    from payaid_entitlements.web.flask.gate import Gate

#: As what it is, for those who ask it for the request itself: each question to it would look for that again.
proxy: Any = request


class Visit(LazyBinding):
    """
    A request as one gate sees it.

    Args:
        gate: Whose it is.
        method: As the server says it; functions of the host may set another.
        open_endpoints: Of views that are open on purpose.

    Attributes:
        usages: By feature, what it has used up.
    """

    __slots__ = ("_is_noted", "_method", "_open", "_usages", "gate")

    def __init__(
        self,
        gate: Gate,
        client: Entitlements,
        find: Callable[[], Who],
        method: str,
        address: Callable[[], str | None] | None,
        open_endpoints: frozenset[str],
    ) -> None:
        # All of it here, as `Seeking` says: a second one costs each request.
        self.client = client
        self.outcomes = []
        self.takings = None
        self._loop = None
        self._inner = None
        self._address = address
        self._find = find
        self._method = method
        self._is_noted = False
        self.gate = gate
        self._open = open_endpoints
        self._usages: dict[str, Usage] | None = None

    @property
    def access(self) -> Intent:
        """Same as `Seeking.access`."""
        if not self._is_noted and has_request_context():
            return intent_of(request.method)
        return "read" if self._method in READS else "write"

    def is_about(self, method: str) -> None:
        """
        Remember that what is asked, and what runs, is about *method*: when a stream asks, Flask's request is gone.

        Raises:
            ConfigurationError: Something was asked about another one, and might have been answered otherwise. What
                passes as an OPTIONS that Flask answers itself, or as reading, would do what nobody was asked about.
        """
        if self._is_noted and _tells_apart(self._method, method):
            raise ConfigurationError(
                f"a function has changed the method of the request from {self._method} to {method} after a gate was "
                f"asked: give it to before_request of the app, before all gates"
            )
        self._method = method
        self._is_noted = True

    @property
    def usages(self) -> dict[str, Usage]:
        """See above."""
        if self._usages is None:
            self._usages = {}
        return self._usages

    def is_open(self) -> bool:
        """
        Is nothing of this app's to be guarded now: no such path, no view that runs, or one that is open?

        That holds for the method of now, and `is_about` sees to it that it stays so where another would matter.
        """
        asked = proxy._get_current_object()
        self.is_about(asked.method)
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


def _tells_apart(asked: str, runs: str) -> bool:
    """May a gate answer otherwise for the method that *runs* than for the one that was *asked* about?"""
    return asked != runs and ("OPTIONS" in {asked, runs} or intent_of(asked) != intent_of(runs))
