"""A table of routes: what it matches, what it refuses to guess, and what is wrong with it when it is made."""

import posixpath
import re
from decimal import Decimal
from itertools import product
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements import Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards.limiting import Limited
from payaid_entitlements.guards.requirement import Rank
from payaid_entitlements.web.asgi import EntitlementsMiddleware as Asgi
from payaid_entitlements.web.exempting import exempt
from payaid_entitlements.web.needs import Needs
from payaid_entitlements.web.routing import EXEMPT, Routes, needs
from payaid_entitlements.web.wsgi import EntitlementsMiddleware as Wsgi
from tests.web.conftest import CATALOG

TABLE = {
    "/": exempt,
    "/health": exempt,
    "/static/*": exempt,
    "/invoices/*": "crm",
    "POST /invoices/{id}/send": needs("crm", flags=["mail"]),
    "GET /invoices/public": exempt,
    "/users/{id}": "hr",
    "WEBSOCKET /live": "books",
    "/Café": "hr",
}
ROUTES = Routes(TABLE)


def keys(found):
    """What was found, for people."""
    if found is None or found is EXEMPT:
        return "404" if found is None else "exempt"
    return " ".join(each.key for each in found.requirements)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/", "exempt"),
        ("GET", "/health", "exempt"),
        ("HEAD", "/health", "exempt"),
        ("GET", "/health/", "404"),
        ("GET", "/healthy", "404"),
        ("GET", "/health/x", "404"),
        ("GET", "/static", "exempt"),
        ("GET", "/static/", "exempt"),
        ("GET", "/static/a/b.css", "exempt"),
        ("GET", "/static-private/a", "404"),
        ("GET", "/invoices", "crm"),
        ("GET", "/invoices/", "crm"),
        ("GET", "/invoices/1", "crm"),
        ("DELETE", "/invoices/1/", "crm"),
        ("POST", "/invoices/1/send", "crm mail"),
        ("POST", "/invoices/1/send/", "crm mail"),
        ("PUT", "/invoices/1/send", "crm"),
        ("POST", "/invoices/1/2/send", "crm"),
        ("GET", "/invoices/public", "exempt"),
        ("HEAD", "/invoices/public", "exempt"),
        ("POST", "/invoices/public", "crm"),
        ("GET", "/invoices/public/", "crm"),
        ("OPTIONS", "/invoices/public", "crm"),
        ("WEBSOCKET", "/invoices/public", "crm"),
        ("GET", "/users/5", "hr"),
        ("GET", "/users/5/6", "404"),
        ("GET", "/users/", "404"),
        ("WEBSOCKET", "/live", "books"),
        ("GET", "/live", "404"),
        ("GET", "/Café", "hr"),
    ],
)
def test_the_most_specific_pattern_decides(method, path, found):
    assert keys(ROUTES.match(method, path)) == found


@pytest.mark.parametrize(
    "path",
    [
        "",
        "invoices",
        "//invoices",
        "/invoices//1",
        "//",
        "/./invoices",
        "/invoices/.",
        "/static/../invoices",
        "/static/..",
        "/static/..;/invoices",
        "/static/..;a=b",
        "/static\\..\\invoices",
        "/health\x00",
        "/health\n",
        "/health\u2028",
        "/health\x85",
        "/health\ufffd",
        "/health\udc80",
        "/static/%2e%2e/invoices",
        "/static/%2f",
        "/invoices/%41",
        "/INVOICES/1",
        "/Health",
        "/STATIC/x",
        "/cafe\u0301",
        "http://app/invoices",
        "*",
    ],
)
@pytest.mark.parametrize("unmapped", ["refuse", "allow"])
def test_what_could_be_read_in_two_ways_is_not_found(path, unmapped):
    assert Routes(TABLE, unmapped=unmapped).match("GET", path) is None


def test_an_encoded_slash_is_seen_in_what_was_sent():
    assert ROUTES.match("GET", "/static/a/b", b"/static/a%2fb") is None
    assert ROUTES.match("GET", "/health", b"/%68ealth") is EXEMPT
    assert ROUTES.match("GET", "/invoices/1", b"/invoices/1") is not None


@pytest.mark.parametrize("method", ["get", "Get", "pOST", "", "1"])
def test_methods_are_as_they_are_written(method):
    assert Routes(TABLE, unmapped="allow").match(method, "/health") is None


def test_what_is_unmapped_is_refused_unless_it_is_allowed():
    assert ROUTES.match("GET", "/new") is None
    assert Routes(TABLE, unmapped="allow").match("GET", "/new") is EXEMPT
    with pytest.raises(ValueError, match="'refuse' or 'allow'"):
        Routes(TABLE, unmapped="ignore")


def test_the_catalog_says_which_keys_are_features_and_they_are_asked_after_modules():
    routes = Routes(
        {
            "/a": ("crm.export", "hr"),
            "/b": needs("crm", access="read", flags=["beta"]),
            "/c": exempt,
            "/d": needs(limits=[Limited("calls", cost=3), "other"]),
        }
    )
    assert routes.known_to(None) is routes

    known = Routes({text: said for text, said in routes if not said.limits} | {"/c": exempt}).known_to(CATALOG)

    assert [(each.rank, each.key) for each in known.match("GET", "/a").requirements] == [
        (Rank.MODULE, "hr"),
        (Rank.FEATURE, "crm.export"),
    ]
    assert [each.access for each in known.match("GET", "/b").requirements] == ["read", None]
    assert known.match("GET", "/c") is EXEMPT
    assert routes.match("GET", "/d") == Needs((Limited("calls", 3), Limited("other")))
    assert repr(known) == "Routes(/a, /b, /c; unmapped='refuse')"


def test_keys_that_the_catalog_does_not_have_are_told_all_at_once():
    routes = Routes({"/a": "crn", "/b": needs(limits=["calls"]), "/c": needs(flags=["of.the.store"])})
    with pytest.raises(ConfigurationError) as told:
        routes.known_to(CATALOG)
    assert "'/a': the catalog has no module or feature 'crn'; did you mean 'crm'" in str(told.value)
    assert "'/b': the catalog has no rate limit 'calls'" in str(told.value)
    assert "'/c'" not in str(told.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"invoices": "crm"}, "matches nothing"),
        ({"//x": "crm"}, "matches nothing"),
        ({"/x/../y": "crm"}, "matches nothing"),
        ({"/x%20y": "crm"}, "matches nothing"),
        ({"HEAD /x": "crm"}, "say 'GET /x'"),
        ({"get /x": "crm"}, "'get' is no method in upper case"),
        ({"/x/*/y": "crm"}, "'\\*' is neither a name"),
        ({"/x*": "crm"}, "'x\\*' is neither a name"),
        ({"/{a}b": "crm"}, "is neither a name"),
        ({"/x/<id>": "crm"}, "'<id>' is neither a name"),
        ({"/x/:id": "crm"}, "':id' is neither a name"),
        ({"/{a:path}": "crm"}, "is neither a name"),
        ({7: "crm"}, "no str"),
        ({"/x": 7}, "say a key, several, needs"),
        ({"/x": Needs()}, "say a key, several, needs"),
        ({"/x": ()}, "needs nothing"),
        ({"/x": "crm", "/x/": "hr"}, "are the same"),
        ({"/x/{a}": "crm", "/x/{b}": "hr"}, "are the same"),
        ({"/x/{a}": "crm", "/{a}/y": "hr"}, "say what '/x/y' needs"),
        ({"/x/*": "crm", "/{a}/y/*": "hr"}, "say what '/x/y/\\*' needs"),
        ({"GET /x/*": "crm", "/x/{a}": "hr"}, "say what 'GET /x/{any}' needs"),
        ({"/x/a": "crm", "/X/b": "hr"}, "tell 'x' and 'X' apart"),
    ],
)
def test_a_table_that_is_wrong_is_not_made(table, message):
    with pytest.raises(ConfigurationError, match=message):
        Routes(table)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ConfigurationError, match=r"(?s)no method.*matches nothing.*are the same"):
        Routes({"get /x": "crm", "y": "crm", "/a": "crm", "/a/": "crm"})


def test_two_that_overlap_are_right_where_a_third_says_what_both_mean():
    routes = Routes({"/x/{a}": "crm", "/{a}/y": "hr", "/x/y": "books"})
    assert [keys(routes.match("GET", path)) for path in ("/x/z", "/z/y", "/x/y")] == ["crm", "hr", "books"]


def test_needs_takes_only_what_could_be_needed():
    with pytest.raises(TypeError, match="list of keys"):
        needs(flags="beta")
    with pytest.raises(ValueError, match="'read' or 'write'"):
        needs("crm", access="look")
    with pytest.raises(TypeError):
        needs("")
    for amount in (0, -1, True, 0.5, "1", None, *map(Decimal, ("0", "-0.5", "NaN", "sNaN", "Infinity"))):
        with pytest.raises(ConfigurationError, match="more than 0"):
            needs("crm", quotas={"crm.pages": amount})
    assert needs(quotas={"crm.pages": Decimal("0.5")}).quotas == (("crm.pages", Decimal("0.5")),)


@pytest.mark.parametrize("middleware", [Asgi, Wsgi])
def test_a_table_is_made_of_routes(middleware):
    """A dict in its place would be found out by what it has not."""
    with Entitlements.open("memory://", catalog=CATALOG) as ent, pytest.raises(ConfigurationError, match="say Routes"):
        middleware(None, ent, tenant=lambda scope: "acme", routes={"/x": "crm"})


# -- against a model that knows sets of requests, and nothing of trees ---------------------------------------------

#: "c" and DELETE stand in no pattern: whatever holds for them holds for all others.
PATHS = ["/" + "/".join(path) for length in range(4) for path in product("abc", repeat=length)]
REQUESTS = [(method, path) for method in ("GET", "POST", "DELETE") for path in PATHS]


@st.composite
def patterns(draw):
    segments = draw(st.lists(st.sampled_from(["a", "b", "{x}"]), max_size=2))
    ends = draw(st.booleans())
    path = "/" + "/".join([*segments, *["*"] * ends])
    return draw(st.sampled_from(["", "", "GET ", "POST "])) + path


def matched(pattern):
    """All requests that *pattern* is about."""
    *method, path = pattern.split(" ")
    expression = re.sub(r"\{x\}", "[^/]+", path).replace("/*", "(/.*)?")
    return frozenset(
        (used, asked)
        for used, asked in REQUESTS
        if (not method or used == method[0]) and (re.fullmatch(expression, asked) or (path == "/*"))
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(patterns(), max_size=5, unique=True))
def test_it_matches_as_sets_of_requests_do(table):
    meant = {pattern: matched(pattern) for pattern in table}
    expected = {}
    is_clear = len(set(meant.values())) == len(meant)
    for request in REQUESTS:
        about = [pattern for pattern in table if request in meant[pattern]]
        smallest = [pattern for pattern in about if all(meant[pattern] <= meant[other] for other in about)]
        is_clear = is_clear and bool(smallest) is bool(about)
        expected[request] = smallest[0] if smallest else None
    try:
        routes = Routes({pattern: f"m{number}" for number, pattern in enumerate(table)})
    except ConfigurationError:
        assert not is_clear
        return
    assert is_clear
    for (method, path), pattern in expected.items():
        found = routes.match(method, path)
        assert keys(found) == ("404" if pattern is None else f"m{table.index(pattern)}"), (method, path)


PIECES = st.sampled_from(
    [
        "static",
        "Static",
        "invoices",
        "health",
        "..",
        ".",
        "",
        "%2e",
        "%2f",
        "%5c",
        "%00",
        "%252f",
        "\\",
        "%c3",
        "é",
        "x",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=5), st.booleans())
def test_what_is_let_through_is_read_alike_by_everybody(pieces, is_closed):
    raw = quote("/" + "/".join(pieces) + "/" * is_closed, safe="/%\\")
    path = unquote(raw)
    found = Routes(TABLE, unmapped="allow").match("GET", path, raw.encode())
    if found is None:
        return
    # Whoever decodes once more, or makes the path plain, gets the same; and to ignore case makes no other route of it.
    assert unquote(path) == path
    assert posixpath.normpath(path) == (path.rstrip("/") or "/")
    assert "\\" not in path and "\x00" not in path and "\ufffd" not in path
    first = path.split("/")[1]
    if first.lower() in ("static", "invoices", "health"):
        assert first == first.lower()
    if found is EXEMPT:
        assert first != "invoices"
