"""What a gate adds to an app: what is bound around it, and answers to refusals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, current_app, request

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web.answers import ANSWERED, answerable
from payaid_entitlements.web.finding import view_of_refused
from payaid_entitlements.web.flask.asking import asked_by
from payaid_entitlements.web.flask.audit import audit, open_endpoints
from payaid_entitlements.web.flask.visiting import Visit, proxy
from payaid_entitlements.web.wsgi.calling import App, Call, Environ, StartResponse

if TYPE_CHECKING:
    from payaid_entitlements.web.flask.gate import Gate

#: Under which name an app keeps its gates.
_NAME: Final = "payaid_entitlements"


def install(app: Flask, gate: Gate, *, refuse_unguarded: bool, is_static_open: bool) -> None:
    """Install *gate* in *app*, or tell it other options there, and look over what is there already."""
    known: dict[Gate, Installed] = app.extensions.setdefault(_NAME, {})
    installed = known.get(gate)
    if not known:
        _ungroup(app)
        _note_methods(app, known)
    if installed is None:
        installed = known[gate] = Installed(app, gate)
        # The way that Flask documents for middleware; outside of what the host has put there before.
        app.wsgi_app = installed  # type: ignore[method-assign] # as Flask has it done
    installed.refuses_unguarded = refuse_unguarded
    installed.is_static_open = is_static_open
    handlers = app.error_handler_spec[None][None]
    for kind in ANSWERED:
        # What the host answers itself is right, also where it answers all errors of the library in one place.
        if not {kind, EntitlementError} & handlers.keys():
            app.register_error_handler(kind, _answer)
    installed.look_over()
    installed.is_done = False


class Installed:
    """
    One gate in one app: binds around the app, until the last byte is read, and looks over its views before the first.

    Attributes:
        refuses_unguarded, is_static_open: As `Gate.init_app` was told.
        is_done: All views were looked over.
    """

    def __init__(self, app: Flask, gate: Gate) -> None:
        self._app = app
        self._gate = gate
        self._inner: App = app.wsgi_app
        self._open: frozenset[str] = frozenset()
        self.refuses_unguarded = False
        self.is_static_open = False
        self.is_done = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if not self.is_done:
            # Flask takes no more views once it has begun to serve.
            self.look_over()
        visit = self._gate.begin(environ, self._open)
        return Call(visit, self._gate.answers, environ, start_response).run(self._inner)

    def look_over(self) -> None:
        """
        Look over all views that are there.

        Raises:
            ConfigurationError: As `Gate.init_app` says.
        """
        self._open = open_endpoints(self._app, is_static_open=self.is_static_open)
        audit(self._app, self._gate, self._open, refuse_unguarded=self.refuses_unguarded)
        for asked in self._app.before_request_funcs.values():
            _put_limits_first(asked)
        self.is_done = True


def _put_limits_first(asked: list[Any]) -> None:
    """
    Count before it is asked what anybody holds, wherever that was written.

    As guards do: whoever asks all the time for what they do not hold is limited too. What is no gate stays where it is.
    """
    steps = [asked_by(each) for each in asked]
    first = next((at for at, each in enumerate(steps) if each is not None and each.is_entitling), None)
    if first is not None:
        late = [at for at, each in enumerate(steps) if at > first and each is not None and each.is_limit]
        asked[first:] = [asked[at] for at in late] + [asked[at] for at in range(first, len(asked)) if at not in late]


def _ungroup(app: Flask) -> None:
    """
    Let *app* look for who handles the first of a group of refusals.

    It looks by class, and all groups have one. A handler for that class would be asked about groups of the host's too,
    in place of the host's own handler of all exceptions.
    """
    handle = app.handle_user_exception

    def handle_first(e: Exception) -> Any:
        return handle(answerable(e) or e)

    app.handle_user_exception = handle_first  # type: ignore[method-assign] # Flask has no hook before that look


def _note_methods(app: Flask, gates: Iterable[Gate]) -> None:
    """Tell what *gates* have bound by which method a view of *app* runs."""
    dispatch = app.dispatch_request

    def dispatch_noted(*given: Any) -> Any:
        asked = proxy._get_current_object()
        for gate in gates:
            visit: Visit | None = asked.environ.get(gate.key)
            if visit is not None:
                visit.is_about(asked.method)
        return dispatch(*given)

    app.dispatch_request = dispatch_noted  # type: ignore[method-assign] # Flask has no hook behind what may change it


def _answer(error: EntitlementError) -> Response:
    """Answer in the name of the gate that was asked."""
    environ: dict[str, Any] = request.environ
    gates: list[Gate] = list(current_app.extensions[_NAME])
    gate = next((each for each in gates if each.is_asked(environ)), gates[0])
    binding = CURRENT.get()
    said = gate.answers.say(
        error,
        view=None if binding is None else view_of_refused(binding, error),
        accept=environ.get("HTTP_ACCEPT", ""),
        language=environ.get("HTTP_ACCEPT_LANGUAGE", ""),
    )
    return Response(said.content, said.status, said.headers)
