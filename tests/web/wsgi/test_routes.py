"""A table of routes before a WSGI app: what it needs is asked before the app runs, and nothing goes round it."""

from __future__ import annotations

import itertools
import json
import sys

import pytest
from flask import Flask

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web import exempt
from payaid_entitlements.web.routing import Routes
from payaid_entitlements.web.wsgi import EntitlementsMiddleware
from tests.web.wsgi.conftest import served, tenant_of

ROUTES = Routes({"/hr/*": "hr", "GET /open": exempt, "/export": ["crm", "crm.export"], "/": exempt})


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ran"]


@pytest.fixture
def table(ent):
    return EntitlementsMiddleware(app, ent, tenant=tenant_of, routes=ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "tenant", "status"),
    [
        ("GET", "/hr/staff", "pro", 200),
        ("GET", "/hr/staff", "free", 402),
        ("HEAD", "/hr/staff", "free", 402),
        ("POST", "/hr", None, 401),
        ("GET", "/export", "free", 402),
        ("GET", "/export", "pro", 200),
        ("GET", "/open", None, 200),
        ("HEAD", "/open", None, 200),
        ("POST", "/open", None, 404),
        ("GET", "/elsewhere", "pro", 404),
        ("GET", "", None, 200),
        ("get", "/hr/staff", "pro", 404),
    ],
)
def test_the_table_decides_before_the_app_runs(table, method, path, tenant, status):
    if method == "get":
        # Not what `wsgiref.validate` would let through.
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_X_TENANT": tenant}
        said: list[str] = []
        table(environ, lambda status, headers, exc_info=None: said.append(status))
        assert said == ["404 Not Found"]
        return
    more = {"SCRIPT_NAME": "/mounted"} if path == "" else {}
    answer = served(table, path, tenant, method, **more)
    assert answer.status.startswith(str(status))
    assert (answer.body == b"ran") == (status == 200) or method == "HEAD"
    if status == 404:
        assert json.loads(answer.body)["reason"] == "route.unknown"


SPELLINGS = [
    "//hr/staff",
    "/./hr/staff",
    "/hr//staff",
    "/open/../hr/staff",
    "/HR/staff",
    "/Hr/staff",
    "/hr%2fstaff",
    "/open%00",
    "/open;a=b/../hr",
    "/open\\..\\hr",
    "/open\n",
    "/open/",
    "/open/..",
    "/%68r/staff",
    "/h\xffr/staff",
]


def test_no_spelling_goes_round_it(table):
    for path, method in itertools.product(SPELLINGS, ["GET", "HEAD", "POST"]):
        assert served(table, path, None, method).status.split()[0] in {"401", "404"}, (method, path)


@pytest.mark.parametrize("key", ["RAW_URI", "REQUEST_URI"])
def test_a_slash_that_was_encoded_is_seen_where_the_server_tells(table, key):
    assert served(table, "/hr/staff", "pro", **{key: "/hr/staff?next=%2Fopen"}).status == "200 OK"
    assert served(table, "/hr/staff", "pro", **{key: "/hr%2Fstaff"}).status == "404 Not Found"


def test_what_the_catalog_does_not_have_is_told_when_it_is_made(ent):
    with pytest.raises(ConfigurationError, match="did you mean 'hr'"):
        EntitlementsMiddleware(app, ent, tenant=tenant_of, routes=Routes({"/hr": "hrr"}))


def flask_app() -> Flask:
    found = Flask(__name__, static_url_path="/files", static_folder=".")
    found.get("/hr/<int:number>", endpoint="hr")(lambda number: "ran")
    found.route("/both", methods=["GET", "OPTIONS"], endpoint="both")(lambda: "ran")
    return found


def test_routes_of_flask_that_it_does_not_know_are_named_when_it_is_made(ent):
    flask = flask_app()
    for inner in (flask, flask.wsgi_app):
        with pytest.raises(ConfigurationError) as error:
            EntitlementsMiddleware(inner, ent, tenant=tenant_of, routes=Routes({"/hr/*": "hr", "/files/{one}": exempt}))
        assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
            "GET /files/<path:filename>",
            "HEAD /files/<path:filename>",
            "GET /both",
            "HEAD /both",
            "OPTIONS /both",
        ]
    open_to_all = Routes({"/hr/*": "hr"}, unmapped="allow")
    flask.wsgi_app = EntitlementsMiddleware(flask.wsgi_app, ent, tenant=tenant_of, routes=open_to_all)
    client = flask.test_client()
    assert [client.get(path).status_code for path in ("/both", "/hr/1")] == [200, 401]
    assert client.get("/hr/1", headers={"X-Tenant": "pro"}).text == "ran"


def test_routes_that_come_later_are_named_at_the_first_request(ent):
    flask = flask_app()
    routes = Routes({"/hr/*": "hr", "/files/*": exempt, "/both": exempt, "/late": "hr"})
    inner = flask.wsgi_app
    flask.wsgi_app = EntitlementsMiddleware(inner, ent, tenant=tenant_of, routes=routes)
    flask.get("/late", endpoint="late")(lambda: "ran")
    assert flask.test_client().get("/late").status_code == 401
    other = flask_app()
    other.wsgi_app = EntitlementsMiddleware(other.wsgi_app, ent, tenant=tenant_of, routes=routes)
    other.get("/forgotten")(lambda: "ran")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="GET /forgotten"):
            other.test_client().get("/late")


def test_without_flask_nobody_looks(ent, monkeypatch):
    monkeypatch.delitem(sys.modules, "flask")
    EntitlementsMiddleware(flask_app(), ent, tenant=tenant_of, routes=ROUTES)
