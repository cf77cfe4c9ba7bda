"""The look over all views: what guards nothing is named before anybody is let in."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View

from payaid_entitlements import consume_quota, rate_limit, require_feature, require_module
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web import exempt
from payaid_entitlements.web.flask import Gate
from tests.web.flask.conftest import asked, login


def view() -> Callable[[], str]:
    """A view of its own: a guard remembers the function that it stands around."""

    def let_in() -> str:
        return "let in"

    return let_in


def mistakes(gate: Gate, app: Flask, **options: str) -> list[str]:
    """What `init_app` says, or nothing."""
    try:
        gate.init_app(app, **options)  # type: ignore[arg-type]
    except ConfigurationError as error:
        head, *lines = str(error).splitlines()
        assert head == "views are not guarded as they look:"
        return [line.strip() for line in lines]
    return []


def test_a_guard_above_the_route_is_found(app, gate):
    @require_feature("crm.export")
    @app.get("/guard")
    def one():
        return "let in"

    @gate.require_feature("crm.export")
    @app.route("/gate", methods=["POST", "PUT"])
    def two():
        return "let in"

    assert mistakes(gate, app) == [
        "GET /guard: a guard stands above the route decorator, where it never runs; put it below",
        "POST/PUT /gate: a guard stands above the route decorator, where it never runs; put it below",
    ]


def test_a_key_of_a_guard_that_the_catalog_does_not_have_is_found(app, gate):
    app.get("/a", endpoint="a")(require_feature("crm.exprot")(view()))
    app.get("/b", endpoint="b")(rate_limit("apis")(view()))

    class Books(MethodView):
        @require_module("hrr")
        def get(self):
            return ""

    app.add_url_rule("/c", view_func=Books.as_view("c"))
    found = mistakes(gate, app)
    assert [line.split(": ")[0] for line in found] == ["GET /a", "GET /b", "GET /c"]
    assert all("the catalog has no" in line for line in found)


def test_what_guards_nothing_in_before_request_is_found(app, gate):
    bp = Blueprint("bp", __name__)
    bp.before_request(gate.require_module)
    bp.before_request(gate.tenant)
    app.before_request(require_module("crm"))
    app.register_blueprint(bp)
    found = mistakes(gate, app)
    assert len(found) == 3
    assert "before_request of the app: require_module('crm') is a decorator and does nothing there" in found[0]
    assert found[0].endswith("use gate.require_module('crm')")
    assert found[1].startswith("before_request of the blueprint 'bp': gate.require_module guards nothing there")
    assert found[2].startswith("before_request of the blueprint 'bp': gate.tenant guards nothing there")


def test_unguarded_views_are_named_where_that_is_refused(app, gate):
    hr = Blueprint("hr", __name__, url_prefix="/hr")
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    hr.before_request(gate.require_module("hr"))
    hr.get("/a", endpoint="a")(view())
    inner.get("/b", endpoint="b")(view())
    hr.register_blueprint(inner)
    app.register_blueprint(hr)

    def through(function):
        @functools.wraps(function)
        def passed():
            return function()

        return passed

    class Mixed(MethodView):
        @gate.require_feature("crm.export")
        def get(self):
            return ""

        def post(self):
            return ""

    class Guarded(MethodView):
        @require_feature("crm.export")
        def get(self):
            return ""

    class Dispatched(View):
        @gate.require_feature("crm.export")
        def dispatch_request(self):
            return ""

    class Decorated(MethodView):
        decorators = (through, gate.require_feature("crm.export"), through)

        def get(self):
            return ""

    app.get("/1", endpoint="1")(through(gate.require_feature("crm.export")(view())))
    app.get("/2", endpoint="2")(through(require_feature("crm.export")(view())))
    app.get("/3", endpoint="3")(gate.consume_quota("crm.pages", operation=lambda: "o")(view()))
    app.get("/4", endpoint="4")(consume_quota("crm.pages", operation="o:{n}")(lambda n: n))
    app.get("/5", endpoint="5")(exempt(view_of_its_own()))
    app.add_url_rule("/6", view_func=Guarded.as_view("6"))
    app.add_url_rule("/7", view_func=Dispatched.as_view("7"))
    app.add_url_rule("/8", view_func=Decorated.as_view("8"))
    assert mistakes(gate, app, unguarded="refuse") == []
    app.get("/often", endpoint="often")(gate.rate_limit("api")(view()))
    app.get("/plain", endpoint="plain")(view())
    app.add_url_rule("/mixed", view_func=Mixed.as_view("mixed"))
    app.view_functions["unruled"] = view()
    said = "no gate or guard stands before it; add gate.require_module(...), or mark it with exempt(...)"
    assert mistakes(gate, app, unguarded="refuse") == [
        f"GET /often: {said}",
        f"GET /plain: {said}",
        f"GET/POST /mixed: {said}",
        f"unruled: {said}",
    ]


def view_of_its_own():
    def mine():
        return "open"

    return mine


def test_a_guarded_function_before_a_blueprint_counts(app, gate):
    bp = Blueprint("bp", __name__)

    @bp.before_request
    @require_module("crm")
    def entitled():
        return None

    bp.get("/")(view())
    app.register_blueprint(bp)
    assert mistakes(gate, app, unguarded="refuse") == []
    assert asked(app, "/") == (200, "let in")
    assert asked(app, "/", None)[0] == 401


def test_static_folders_are_named_with_their_way_out(tmp_path, gate):
    app = Flask("static", static_folder=str(tmp_path))
    [found] = mistakes(gate, app, unguarded="refuse")
    assert found.startswith("GET /")
    assert found.endswith("or say init_app(..., static='open')")
    assert mistakes(gate, app, unguarded="refuse", static="open") == []
    # A view of that name is not one.
    app = Flask("views", static_folder=None)
    app.get("/static", endpoint="static")(view())
    bp = Blueprint("bp", __name__)
    bp.get("/x", endpoint="static")(view())
    app.register_blueprint(bp)
    assert len(mistakes(gate, app, unguarded="refuse", static="open")) == 2


def test_what_is_registered_later_is_looked_over_at_the_first_request(app, gate):
    gate.init_app(app, unguarded="refuse")
    late = Blueprint("late", __name__)
    late.get("/late")(view())
    app.register_blueprint(late)
    with pytest.raises(ConfigurationError, match="GET /late: no gate or guard"):
        asked(app, "/late", "pro")
    with pytest.raises(ConfigurationError, match="GET /late: no gate or guard"):
        asked(app, "/late", "pro")


def test_what_is_open_later_is_open(app, gate):
    app.before_request(gate.require_module("hr"))
    gate.init_app(app)
    app.get("/health")(exempt(view_of_its_own()))
    assert asked(app, "/health", None) == (200, "open")


def test_a_websocket_route_of_an_extension_is_named_by_what_it_takes(app, ent):
    app.add_url_rule("/options", "options", view(), methods=["OPTIONS"])
    gate = Gate(ent, tenant=login)
    [found] = mistakes(gate, app, unguarded="refuse")
    assert found.startswith("OPTIONS /options: ")
