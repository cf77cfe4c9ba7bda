"""The gate before blueprints and views: who passes, what is answered, and that nothing stays behind."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Blueprint, Flask, Response, abort, g, has_request_context, request, session, stream_with_context
from flask.views import MethodView
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from payaid_entitlements import AsyncEntitlements, Entitlements, current_tenant, require_feature, require_module
from payaid_entitlements.errors import ConfigurationError, EntitlementError
from payaid_entitlements.web import exempt
from payaid_entitlements.web.flask import Gate
from payaid_entitlements.web.tenancy import Tenancy, by, subdomain
from tests.web.flask.conftest import ask, asked, login


def view() -> Callable[[], str]:
    """A view of its own: a guard remembers the function that it stands around."""

    def let_in() -> str:
        return "let in"

    return let_in


def test_before_request_of_a_blueprint_guards_its_views_and_those_of_blueprints_in_it(app, gate):
    hr, inner = Blueprint("hr", __name__, url_prefix="/hr"), Blueprint("inner", __name__, url_prefix="/inner")
    hr.before_request(gate.require_module("hr"))
    hr.get("/a", endpoint="a")(view())
    inner.get("/b", endpoint="b")(view())
    hr.register_blueprint(inner)
    app.register_blueprint(hr)
    app.get("/open")(view())
    gate.init_app(app)

    assert asked(app, "/hr/a", "pro") == (200, "let in")
    for path in ("/hr/a", "/hr/inner/b"):
        assert asked(app, path, "free") == (402, "plan.module_absent")
        assert asked(app, path, None) == (401, "tenant.unidentified")
    assert asked(app, "/open", None) == (200, "let in")


def test_a_decorator_of_the_gate_and_a_guard_below_the_route_do_the_same(app, gate):
    app.get("/one", endpoint="one")(gate.require_feature("crm.export")(view()))
    app.get("/two", endpoint="two")(require_feature("crm.export")(view()))
    gate.init_app(app)
    for path in ("/one", "/two"):
        assert asked(app, path, "pro") == (200, "let in")
        free = ask(app, path)
        assert free.status_code == 402
        assert free.content_type == "application/problem+json"
        assert free.headers["Cache-Control"] == "no-store"
        assert free.get_json()["remedies"][0]["kind"] == "change_plan"
        assert "X-Tenant" not in free.headers


def test_who_it_is_is_found_after_the_hosts_login(app, gate, ent):
    """And only where somebody asks."""
    finds = []

    def tenant():
        finds.append(g.org)
        return g.org

    gate = Gate(ent, tenant=tenant, user=lambda: g.user)
    crm = Blueprint("crm", __name__)

    @crm.before_request
    def signed_in():
        g.org, g.user = request.headers.get("X-Tenant"), "u1"

    crm.before_request(gate.require_module("crm"))

    @crm.get("/who")
    def who():
        assert gate.tenant() is current_tenant()
        return f"{gate.tenant().tenant} {gate.tenant().user}"

    app.register_blueprint(crm)
    app.get("/open")(view())
    gate.init_app(app)
    assert asked(app, "/who", "pro") == (200, "pro u1")
    assert finds == ["pro"]
    assert asked(app, "/open") == (200, "let in")
    assert finds == ["pro"]


@pytest.mark.parametrize("tenant", [None, "", "None", "null", "undefined"])
def test_who_is_nobody_is_401_and_never_a_default(app, gate, tenant):
    app.get("/")(gate.require_module("crm")(view()))
    gate.init_app(app)
    answer = ask(app, "/", tenant)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_tenancy_finds_and_refuses_what_disagrees(app, ent):
    gate = Gate(ent, tenant=Tenancy(by(lambda environ: environ.get("HTTP_X_TENANT")), beside=[subdomain(of="x.test")]))
    app.get("/")(gate.require_module("crm")(view()))
    gate.init_app(app)
    assert asked(app, "/", "pro", base_url="http://pro.x.test") == (200, "let in")
    assert asked(app, "/", "pro", base_url="http://free.x.test") == (403, "tenant.conflict")
    assert asked(app, "/", None, base_url="http://pro.x.test") == (401, "tenant.unidentified")


def test_reading_and_writing_are_told_apart_by_the_method(app, gate):
    crm = Blueprint("crm", __name__)
    crm.before_request(gate.require_module("crm"))
    crm.route("/it", methods=["GET", "POST"])(view())
    app.register_blueprint(crm)
    app.post("/search", endpoint="search")(gate.require_module("crm", access="read")(view()))
    gate.init_app(app)
    assert asked(app, "/it", "paused") == (200, "let in")
    assert asked(app, "/it", "paused", "POST") == (403, "subscription.paused")
    assert asked(app, "/search", "paused", "POST") == (200, "let in")


def test_head_is_asked_as_get_and_refused_without_a_body(app, gate):
    app.get("/")(gate.require_module("hr")(view()))
    gate.init_app(app)
    answer = ask(app, "/", method="HEAD")
    assert (answer.status_code, answer.data) == (402, b"")


def test_the_old_answer_decides_until_the_module_is_enforced(app, gate, inside):
    app.get("/", endpoint="old")(gate.require_module("hr", legacy=lambda: request.args["old"] == "yes")(view()))
    gate.init_app(app)
    inside.admin().set_enforcement("hr", "observe")
    assert asked(app, "/?old=yes") == (200, "let in")
    inside.admin().set_enforcement("hr", "enforce")
    assert asked(app, "/?old=yes") == (402, "plan.module_absent")


def test_flags_let_in_whom_they_are_on_for(app, gate):
    app.get("/beta", endpoint="beta")(gate.require_flag("beta")(view()))
    app.get("/said", endpoint="said")(gate.require_flag("checkout", attributes={"country": "IN"})(view()))
    by_request = gate.require_flag("checkout", attributes=lambda: {"country": request.args["c"]})
    bp = Blueprint("bp", __name__)
    bp.before_request(by_request)
    bp.get("/asked")(view())
    app.register_blueprint(bp)
    gate.init_app(app)
    assert asked(app, "/beta")[0] == 403
    assert asked(app, "/said") == (200, "let in")
    assert asked(app, "/asked?c=IN") == (200, "let in")
    assert asked(app, "/asked?c=DE")[0] == 403


# -- what must pass, and what must not -------------------------------------------------------------------------------


@pytest.fixture
def gated(app, gate):
    """An app of which everything is gated."""
    app.before_request(gate.require_module("hr"))
    app.get("/it")(view())
    app.get("/slash/", endpoint="slash")(view())

    @app.get("/login")
    @exempt
    def log_in():
        return "log in"

    app.route("/own", methods=["GET", "OPTIONS"], endpoint="own")(view())
    return app


def test_what_is_not_there_stays_404_and_what_redirects_redirects(gated, gate):
    gate.init_app(gated)
    assert ask(gated, "/nowhere").status_code == 404
    assert ask(gated, "/it", method="POST").status_code == 405
    assert ask(gated, "/slash").status_code == 308
    assert asked(gated, "/slash/")[0] == 402


def test_a_preflight_passes_where_flask_answers_it_and_no_view_runs(gated, gate):
    gate.init_app(gated)
    preflight = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
    answer = ask(gated, "/it", None, "OPTIONS", headers=preflight)
    assert (answer.status_code, answer.data) == (200, b"")
    assert "GET" in answer.headers["Allow"]
    # Here the view runs, whatever the method says.
    assert asked(gated, "/own", None, "OPTIONS", headers=preflight) == (401, "tenant.unidentified")


def test_what_is_exempt_is_open_before_a_gate_of_the_app(gated, gate):
    gate.init_app(gated)
    assert asked(gated, "/login", None) == (200, "log in")
    assert asked(gated, "/it", None)[0] == 401


def test_a_class_of_views_is_exempt_as_a_whole(app, gate):
    @exempt
    class Health(MethodView):
        def get(self):
            return "up"

    class Deeper(Health):
        """Made of an open one, and not open itself."""

    app.before_request(gate.require_module("hr"))
    app.add_url_rule("/health", view_func=Health.as_view("health"))
    app.add_url_rule("/deeper", view_func=Deeper.as_view("deeper"))
    gate.init_app(app)
    assert asked(app, "/health", None) == (200, "up")
    assert asked(app, "/deeper", None)[0] == 401


@pytest.mark.parametrize(("static", "status"), [("gated", 401), ("open", 200)])
def test_static_folders_are_open_where_that_is_said(tmp_path, gate, static, status):
    (tmp_path / "a.css").write_text("a {}")
    app = Flask("static", static_folder=str(tmp_path), static_url_path="/static")
    bp = Blueprint("bp", __name__, url_prefix="/bp", static_folder=str(tmp_path), static_url_path="/static")
    app.before_request(gate.require_module("hr"))
    app.get("/it")(view())
    app.register_blueprint(bp)
    gate.init_app(app, static=static)
    for path in ("/static/a.css", "/bp/static/a.css"):
        answer = ask(app, path, None)
        assert answer.status_code == status
        answer.close()
    assert ask(app, "/it", None).status_code == 401


def test_no_spelling_of_a_path_goes_round_a_gate(gated, gate):
    """Flask itself decides which view that is; the gate asks before that one, or there is none."""
    gate.init_app(gated)
    paths = [
        "//it",
        "/./it",
        "/it/",
        "/%69t",
        "/IT",
        "/it%2f",
        "/x/../it",
        "/it;a=1",
        "/it%00",
        "/it?x",
        "/it#x",
        "/it.",
    ]
    for path, method in itertools.product(paths, ["GET", "HEAD", "POST", "OPTIONS", "PUT"]):
        answer = ask(gated, path, None, method)
        assert answer.status_code in {200, 308, 401, 404, 405}, (method, path)
        assert b"let in" not in answer.data, (method, path)
        assert answer.status_code != 200 or method == "OPTIONS", (method, path)


def test_a_gate_that_is_not_installed_lets_nobody_in(app, gate):
    app.get("/it", endpoint="it")(gate.require_module("crm")(view()))
    bp = Blueprint("bp", __name__)
    bp.before_request(gate.require_module("crm"))
    bp.get("/bp")(view())
    app.register_blueprint(bp)
    assert [asked(app, path, "pro")[0] for path in ("/it", "/bp")] == [500, 500]
    app.testing = True
    with pytest.raises(ConfigurationError, match="init_app"):
        ask(app, "/it", "pro")


# -- classes, async views, streams -----------------------------------------------------------------------------------


def test_classes_of_views_are_gated_by_their_decorators_and_by_methods(app, gate):
    class Whole(MethodView):
        decorators = (gate.require_module("hr"),)

        def get(self):
            return "whole"

    class Some(MethodView):
        def get(self):
            return "read"

        @gate.require_feature("crm.export")
        def post(self):
            return "wrote"

    app.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    app.add_url_rule("/some", view_func=Some.as_view("some"))
    gate.init_app(app)
    assert asked(app, "/whole")[0] == 402
    assert asked(app, "/some") == (200, "read")
    assert asked(app, "/some", method="POST") == (402, "plan.feature_absent")
    assert asked(app, "/some", "pro", "POST") == (200, "wrote")
    with pytest.raises(TypeError, match=r"decorators = \[gate\.require_module\('hr'\)\]"):
        gate.require_module("hr")(Whole)


def test_async_views_are_gated_and_see_the_tenant(app, gate):
    @app.get("/guard")
    @require_feature("crm.export")
    async def guarded():
        return current_tenant().tenant

    @app.get("/gate")
    @gate.require_feature("crm.export")
    @gate.rate_limit("api")
    async def by_gate():
        return gate.tenant().tenant

    gate.init_app(app)
    for path in ("/guard", "/gate"):
        assert asked(app, path, "pro") == (200, "pro")
        assert asked(app, path) == (402, "plan.feature_absent")
        assert asked(app, path, None) == (401, "tenant.unidentified")


def test_a_stream_is_refused_before_its_first_byte_and_sees_the_tenant_to_its_end(app, gate):
    @app.get("/late")
    def late():
        def pieces():
            yield current_tenant().tenant
            yield gate_in_stream()

        return Response(stream_with_context(pieces()))

    @require_feature("crm.export")
    def gate_in_stream():
        return current_tenant().tenant

    @app.get("/early")
    def early():
        def pieces():
            yield gate_in_stream()

        return Response(stream_with_context(pieces()))

    gate.init_app(app)
    assert asked(app, "/late", "pro") == (200, "propro")
    assert asked(app, "/early") == (402, "plan.feature_absent")


def test_what_the_app_does_with_a_response_it_does_with_a_refusal(app, gate):
    app.secret_key = "secret"
    ended = []

    @app.before_request
    def count():
        session["seen"] = True

    @app.after_request
    def sign(response):
        response.headers["X-Signed"] = "yes"
        return response

    app.teardown_request(ended.append)
    app.get("/")(gate.require_module("hr")(view()))
    gate.init_app(app)
    answer = ask(app, "/")
    assert (answer.status_code, answer.headers["X-Signed"]) == (402, "yes")
    assert "session" in answer.headers["Set-Cookie"]
    assert ended == [None]


def test_what_the_host_answers_itself_is_right(app, gate):
    bp = Blueprint("bp", __name__, url_prefix="/bp")
    bp.register_error_handler(EntitlementError, lambda error: ("of the blueprint", 418))
    bp.get("/it")(gate.require_module("hr")(view()))
    app.register_blueprint(bp)
    app.get("/it")(gate.require_module("hr")(view()))
    app.register_error_handler(EntitlementError, lambda error: ("of the host", 418))
    app.register_error_handler(Exception, lambda error: ("anything", 500))
    gate.init_app(app)
    assert asked(app, "/it") == (418, "of the host")
    assert asked(app, "/bp/it") == (418, "of the blueprint")
    assert asked(app, "/it", None) == (418, "of the host")


def test_refusals_are_answered_before_a_handler_of_all_exceptions(app, gate):
    app.register_error_handler(Exception, lambda error: ("anything", 500))
    app.get("/it")(gate.require_module("hr")(view()))
    app.get("/abort", endpoint="abort")(gate.require_module("crm")(lambda: abort(404)))
    gate.init_app(app)
    assert asked(app, "/it")[0] == 402
    assert asked(app, "/abort") == (500, "anything")


# -- several apps, several gates -------------------------------------------------------------------------------------


def make(gate: Gate, name: str) -> Flask:
    """A factory of apps."""
    app = Flask(name, static_folder=None)
    crm = Blueprint("crm", __name__)
    crm.before_request(gate.require_module("crm"))

    @crm.get("/")
    def who():
        return f"{name}: {current_tenant().tenant}"

    gate.init_app(app)
    app.register_blueprint(crm)
    return app


def test_one_gate_serves_several_apps_one_mounted_in_the_other(gate):
    outer, inner = make(gate, "outer"), make(gate, "inner")
    assert asked(outer, "/", "pro") == (200, "outer: pro")
    assert asked(inner, "/", "pro") == (200, "inner: pro")
    both = Client(DispatcherMiddleware(outer, {"/in": inner}))
    assert both.get("/in/", headers={"X-Tenant": "pro"}).text == "inner: pro"
    assert both.get("/in/").status_code == 401
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/in": inner})
    assert asked(outer, "/in/", "pro") == (200, "inner: pro")
    assert asked(outer, "/in/", None)[0] == 401


def test_each_of_two_gates_asks_for_its_own(app, ent):
    customers = Gate(ent, tenant=login)
    partners = Gate(ent, tenant=lambda: request.headers.get("X-Partner"), challenge="Partner")

    @app.get("/both")
    @partners.require_module("crm")
    @customers.require_module("hr")
    def both():
        return f"{customers.tenant().tenant} {partners.tenant().tenant} {current_tenant().tenant}"

    bp = Blueprint("bp", __name__)
    bp.before_request(customers.require_module("hr"))
    bp.before_request(partners.require_module("crm"))

    @bp.get("/bp")
    def of_both():
        return f"{customers.tenant().tenant} {partners.tenant().tenant} {current_tenant().tenant}"

    app.register_blueprint(bp)
    customers.init_app(app)
    partners.init_app(app)
    assert asked(app, "/both", "pro", headers={"X-Partner": "p"}) == (200, "pro p pro")
    assert asked(app, "/bp", "pro", headers={"X-Partner": "p"}) == (200, "pro p p")
    assert asked(app, "/both", "free", headers={"X-Partner": "pro"})[0] == 402
    answer = ask(app, "/bp", "pro")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Partner")


def test_installing_twice_is_harmless_and_the_last_options_hold(app, gate):
    app.get("/it")(view())
    gate.init_app(app)
    inner = app.wsgi_app
    with pytest.raises(ConfigurationError, match="no gate or guard stands before it"):
        gate.init_app(app, unguarded="refuse")
    gate.init_app(app)
    assert app.wsgi_app is inner
    assert asked(app, "/it") == (200, "let in")


def test_an_app_context_of_a_test_is_no_request(app, gate):
    """`flask.g` is shared by all requests inside of one; what is bound is not."""
    app.get("/")(lambda: gate.tenant().tenant)
    gate.init_app(app)
    with app.app_context():
        assert [asked(app, "/", tenant)[1] for tenant in ("pro", "free")] == ["pro", "free"]


def test_a_client_of_a_test_that_keeps_the_context_reads_what_was(app, gate):
    app.get("/")(lambda: gate.tenant().tenant)
    gate.init_app(app)
    with app.test_client() as client:
        assert client.get("/", headers={"X-Tenant": "pro"}).text == "pro"
        assert request.path == "/"
        assert client.get("/", headers={"X-Tenant": "free"}).text == "free"


def test_mistakes_of_the_host_are_said_when_they_are_made(ent, gate, app):
    with pytest.raises(ConfigurationError, match="cannot wait for AsyncEntitlements"):
        Gate(AsyncEntitlements.open("memory://"), tenant=login)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"did you mean 'crm\.export'"):
        gate.require_feature("crm.exprot")
    with pytest.raises(ConfigurationError, match="use require_feature"):
        gate.require_module("crm.export")
    with pytest.raises(ValueError, match="'read' or 'write'"):
        gate.require_module("crm", access="rw")
    with pytest.raises(TypeError):
        gate.require_module(view())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'allow' or 'refuse'"):
        gate.init_app(app, unguarded="deny")
    with pytest.raises(ValueError, match="'gated' or 'open'"):
        gate.init_app(app, static="yes")
    assert "gate.require_flag" in repr(gate.require_flag("beta"))


def test_a_guard_of_another_tenants_name_is_answered_without_what_that_one_could_do(app, gate, ent):
    @require_module("hr", tenant="whom", client=ent)
    def of(whom):
        return whom

    app.get("/<whom>")(gate.require_module("crm")(of))
    gate.init_app(app)
    assert json.loads(ask(app, "/free", "pro").data)["remedies"] == []


def test_without_a_catalog_keys_are_known_at_the_first_question(app):
    with Entitlements.open("memory://") as ent:
        gate = Gate(ent, tenant=login)
        gate.require_module("nothing")
        gate.rate_limit("nothing")


def test_threads_keep_their_tenants(app, gate):
    """Also in streams, and in what runs when they end."""
    app.before_request(gate.require_module("crm"))

    @app.get("/")
    def stream():
        def pieces():
            for _ in range(5):
                yield gate.tenant().tenant + current_tenant().tenant + " "

        response = Response(stream_with_context(pieces()))
        response.call_on_close(lambda: closed.append(current_tenant().tenant))
        return response

    gate.init_app(app)
    closed: list[str] = []

    def one(number: int) -> bool:
        return all(asked(app, "/", f"t{number}") == (200, f"t{number}t{number} " * 5) for _ in range(4))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(8)))
    assert sorted(closed) == sorted(f"t{number}" for number in range(8) for _ in range(4))


def overriding(app):
    """Middleware that takes the method from a field, as Flask's documentation has it."""

    def overridden(environ, start_response):
        environ["REQUEST_METHOD"] = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"])
        return app(environ, start_response)

    return overridden


def test_what_is_asked_is_about_the_method_that_flask_handles(gate):
    """Who may only read does not write by a GET that says it is a DELETE, wherever that is put in its place."""
    app = Flask("app")
    app.wsgi_app = overriding(app.wsgi_app)
    app.add_url_rule("/gated", view_func=gate.require_module("hr")(lambda: "read"), endpoint="gated")
    app.add_url_rule("/guarded", view_func=require_module("hr")(lambda: "read"), endpoint="guarded")
    app.add_url_rule("/gated", methods=["DELETE"], view_func=gate.require_module("hr")(lambda: "deleted"), endpoint="1")
    app.add_url_rule("/guarded", methods=["DELETE"], view_func=require_module("hr")(lambda: "deleted"), endpoint="2")

    @app.route("/rows", methods=["GET", "DELETE"])
    def rows():
        @require_module("hr")
        def deleting():
            yield "deleted"

        def later():
            yield from deleting()

        gate.tenant()
        return later() if request.method == "DELETE" else "read"

    gate.init_app(app)
    delete = {"X-HTTP-Method-Override": "DELETE"}
    for path in ("/gated", "/guarded", "/rows"):
        assert asked(app, path, "paused") == (200, "read")
        assert asked(app, path, "paused", headers=delete) == (403, "subscription.paused")
        assert asked(app, path, "pro", headers=delete) == (200, "deleted")


def test_a_method_that_middleware_outside_has_changed_is_the_method(app, gate):
    """What is put around the app afterwards stands outside, and is no matter of it."""
    app.add_url_rule("/", methods=["GET", "DELETE"], view_func=require_module("hr")(view()))
    gate.init_app(app)
    app.wsgi_app = overriding(app.wsgi_app)
    said = asked(app, "/", "paused", headers={"X-HTTP-Method-Override": "DELETE"})
    assert said == (403, "subscription.paused")


def override():
    """A function for ``before_request`` that takes the method from a field."""
    request.method = request.headers.get("X-HTTP-Method-Override", request.method)


def test_a_method_that_a_function_has_changed_before_is_the_method(app, gate):
    """Also for a stream that asks when Flask has forgotten the request."""

    class Rows(MethodView):
        decorators = (gate.require_module("hr", access="read"),)

        def get(self):
            return self.streamed()

        def delete(self):
            return self.streamed()

        def streamed(self):
            method = request.method

            def deleting():
                assert not has_request_context()
                yield require_module("hr")(lambda: method)()

            return deleting()

    class Plain(MethodView):
        def get(self):
            return "GET"

        def delete(self):
            return "DELETE"

    class Gated(Plain):
        decorators = (gate.require_module("hr"),)

    app.before_request(override)
    blueprint = Blueprint("hr", "hr")
    blueprint.before_request(gate.require_module("hr"))
    blueprint.add_url_rule("/plain", view_func=Plain.as_view("plain"))
    app.register_blueprint(blueprint)
    app.add_url_rule("/rows", view_func=Rows.as_view("rows"))
    app.add_url_rule("/gated", view_func=Gated.as_view("gated"))
    gate.init_app(app)
    delete = {"X-HTTP-Method-Override": "DELETE"}
    for path in ("/plain", "/rows", "/gated"):
        assert asked(app, path, "paused") == (200, "GET")
        assert asked(app, path, "paused", headers=delete) == (403, "subscription.paused")
        assert asked(app, path, "pro", headers=delete) == (200, "DELETE")


@pytest.mark.parametrize("is_last", [True, False], ids=["after all gates", "between gates"])
@pytest.mark.parametrize(("said", "becomes"), [("GET", "DELETE"), ("OPTIONS", "GET"), ("GET", "OPTIONS")])
def test_a_method_that_a_function_changes_afterwards_runs_no_view(app, gate, said, becomes, is_last):
    """Whoever may only read would write, and an OPTIONS, which passes since Flask answers it, would be a GET."""

    class Rows(MethodView):
        def get(self):
            return "GET"

        delete = get

    app.before_request(gate.require_module("hr"))
    app.before_request(override)
    if not is_last:
        app.before_request(gate.require_module("crm"))
    app.add_url_rule("/", view_func=Rows.as_view("rows"))
    gate.init_app(app)
    app.testing = True
    fields = {"X-Tenant": "paused", "X-HTTP-Method-Override": becomes}
    with pytest.raises(ConfigurationError, match=f"from {said} to {becomes} after a gate"):
        app.test_client().open("/", method=said, headers=fields)
    assert app.test_client().open("/", method=said, headers={"X-Tenant": "paused"}).status_code == 200
    app.testing = False
    assert app.test_client().open("/", method=said, headers=fields).status_code == 500


@pytest.mark.parametrize(
    ("said", "becomes", "who"), [("HEAD", "GET", "paused"), ("POST", "DELETE", "pro"), ("GET", "GET", "paused")]
)
def test_a_method_may_become_one_for_which_a_gate_answers_the_same(app, gate, said, becomes, who):
    """Some make a GET of each HEAD, or a DELETE of a form's POST, in a function that runs after a gate."""
    ran = []
    blueprint = Blueprint("hr", "hr")
    blueprint.before_request(gate.require_module("hr"))
    blueprint.before_request(override)
    blueprint.before_request(gate.require_module("hr"))
    blueprint.add_url_rule("/", methods=["GET", "POST"], view_func=lambda: ran.append(request.method) or "ran")
    app.register_blueprint(blueprint)
    gate.init_app(app)
    fields = {"X-Tenant": who, "X-HTTP-Method-Override": becomes}
    assert app.test_client().open("/", method=said, headers=fields).status_code == 200
    assert ran == [becomes]


def test_a_method_that_is_changed_twice_is_held_against_what_was_asked(app, gate):
    """From HEAD to GET is no matter; from there to DELETE is."""
    app.before_request(gate.require_module("hr"))
    app.before_request(lambda: setattr(request, "method", "GET"))
    app.before_request(gate.require_module("hr"))
    app.before_request(lambda: setattr(request, "method", "DELETE"))
    app.add_url_rule("/", view_func=view())
    gate.init_app(app)
    app.testing = True
    with pytest.raises(ConfigurationError, match="from GET to DELETE after a gate"):
        app.test_client().head("/", headers={"X-Tenant": "paused"})


def test_a_function_that_runs_before_all_gates_asks_about_the_method_that_was_set(app, gate):
    app.before_request(override)
    app.before_request(require_module("hr")(lambda: None))
    app.add_url_rule("/", methods=["GET", "DELETE"], view_func=view())
    gate.init_app(app)
    delete = {"X-HTTP-Method-Override": "DELETE"}
    assert asked(app, "/", "paused") == (200, "let in")
    assert asked(app, "/", "paused", headers=delete) == (403, "subscription.paused")
