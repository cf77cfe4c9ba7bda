"""Nobody gets past a guard by the way a request is written: in a bare WSGI app, and in Flask."""

from __future__ import annotations

from io import BytesIO

import pytest
from flask import Blueprint, Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from payaid_entitlements.web import exempt
from payaid_entitlements.web.flask import Gate
from payaid_entitlements.web.routing import Routes
from payaid_entitlements.web.wsgi import EntitlementsMiddleware
from tests.web.bypasses import ATTEMPTS, PREFLIGHT, Attempt

TABLE = {"/hr/*": "hr", "/inner/*": "hr", "/open": exempt, "/static/*": exempt}


class Tried:
    """An app that is tried: who asks, what of it has run that is guarded, and how its paths are told."""

    def __init__(self, directory):
        (directory / "x").write_text("open")
        self.directory = str(directory)
        self.tenant = "free"
        self.reached = []

    def pay(self, **what):
        self.reached.append(what)
        return "paid"

    def ask(self, app, attempt, *, tells=None):
        """The status, and what was said."""
        begun = []
        environ = {
            "REQUEST_METHOD": attempt.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": attempt.path_info,
            "QUERY_STRING": "",
            "SERVER_NAME": "app.example",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in attempt.headers.items()},
        }
        if tells is not None:
            environ[tells] = attempt.target
        body = app(environ, lambda status, headers, exc_info=None: begun.append(int(status[:3])) or begun.append)
        try:
            said = b"".join(body)
            return begun[-1], said
        finally:
            getattr(body, "close", list)()


def flask_app(tried):
    """With an app that is mounted, whose views are its own."""
    app = Flask(__name__, static_folder=tried.directory, static_url_path="/static")
    inner = Flask(__name__, static_folder=None)
    app.add_url_rule("/hr/<what>", "pay", tried.pay, methods=["GET", "POST"])
    app.add_url_rule("/open", "open", exempt(lambda: "open"))
    inner.add_url_rule("/pay", "pay", tried.pay)
    return app, inner


def mounted(app, inner):
    return DispatcherMiddleware(app, {"/inner": inner})


def bare(tried, ent):
    """Routes as crudely as can be: by what the path holds, in any form of it."""

    def app(environ, start_response):
        path = environ["PATH_INFO"].lower()
        if "hr" in path or "pay" in path:
            tried.reached.append(path)
        start_response("200 OK", [])
        return [b"paid"]

    return EntitlementsMiddleware(app, ent, tenant=lambda environ: tried.tenant, routes=Routes(TABLE))


def table(tried, ent):
    around = mounted(*flask_app(tried))
    return EntitlementsMiddleware(around, ent, tenant=lambda environ: tried.tenant, routes=Routes(TABLE))


def blueprints(tried, ent):
    gate = Gate(ent, tenant=lambda: tried.tenant)
    app = Flask(__name__, static_folder=tried.directory, static_url_path="/static")
    hr = Blueprint("hr", __name__, url_prefix="/hr")
    hr.before_request(gate.require_module("hr"))
    hr.add_url_rule("/<what>", "pay", tried.pay, methods=["GET", "POST"])
    app.register_blueprint(hr)
    app.add_url_rule("/open", "open", exempt(lambda: "open"))
    inner = Flask(__name__, static_folder=None)

    @inner.get("/pay")
    @gate.require_module("hr")
    def pay():
        return tried.pay()

    for each in (app, inner):
        gate.init_app(each, unguarded="refuse", static="open")
    return mounted(app, inner)


def whole(tried, ent):
    gate = Gate(ent, tenant=lambda: tried.tenant)
    both = flask_app(tried)
    for each in both:
        each.before_request(gate.require_module("hr"))
        gate.init_app(each, unguarded="refuse", static="open")
    return mounted(*both)


@pytest.mark.parametrize("tells", [None, "RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize("kind", [bare, table, blueprints, whole])
def test_nobody_gets_past_a_guard_by_how_a_request_is_written(kind, ent, tmp_path, tells):
    tried = Tried(tmp_path)
    app = kind(tried, ent)
    passed = []
    for attempt in ATTEMPTS:
        status, said = tried.ask(app, attempt, tells=tells)
        assert b"paid" not in said or kind is bare, attempt
        if status < 300:
            passed.append(str(attempt))
    if kind is bare:
        # Below what is open everything is, by whatever name.
        assert passed == ["GET /static/.../hr/pay", "GET /static"]
        assert tried.reached == ["/static/.../hr/pay"]
        tried.reached.clear()
    else:
        # Flask answers what methods there are, and no view runs.
        assert set(passed) <= {"OPTIONS /hr/pay", str(PREFLIGHT)}
    assert tried.reached == []
    # And whoever holds it gets there.
    tried.tenant = "pro"
    assert [tried.ask(app, Attempt(path))[1] for path in ("/hr/pay", "/inner/pay")] == [b"paid", b"paid"]
    assert [tried.ask(app, Attempt(path))[0] for path in ("/open", "/static/x")] == [200, 200]
