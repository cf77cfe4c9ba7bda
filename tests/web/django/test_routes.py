"""What the settings say of views, and what becomes of those before which nothing stands."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.views.generic import View
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ViewSet

from payaid_entitlements import require_feature
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web import exempt
from payaid_entitlements.web.django.judging import Judge
from payaid_entitlements.web.django.routes import Routes, known_to, unknown_to
from payaid_entitlements.web.django.walking import places
from payaid_entitlements.web.routing import EXEMPT, needs
from tests.web.django.conftest import CATALOG, plain

HR = ([path("pay", plain("pay"), name="pay"), path("open", plain("open"), name="open")], "hr")
PATTERNS = (
    path("hr/", include(HR)),
    path("accounts/login", plain("login"), name="login"),
    re_path(r"^static/.*$", plain("static")),
    path("left", plain("left"), name="left"),
)


async def awaited(request):
    return HttpResponse("awaited")


def test_the_settings_say_what_views_need(site):
    site.serve(
        *PATTERNS,
        path("awaited", awaited, name="awaited"),
        ROUTES={
            "hr": "hr",
            "hr:open": exempt,
            "/accounts/": exempt,
            "/static/": needs("crm.export", limits=["api"]),
            "awaited": ["crm", "crm.export"],
        },
    )
    assert site.asked("GET", "/hr/pay", "pro") == (200, "pay")
    assert site.asked("GET", "/hr/pay", "free") == (402, "plan.module_absent")
    assert site.asked("GET", "/hr/open", None) == (200, "open")
    assert site.asked("GET", "/accounts/login", None) == (200, "login")
    assert site.asked("GET", "/awaited", "pro") == (200, "awaited")
    assert site.asked("GET", "/awaited", "free") == (402, "plan.feature_absent")
    assert site.asked("GET", "/left", None) == (200, "left")
    assert [site.ask("GET", "/static/a.css", "pro").status_code for _ in range(3)] == [200, 200, 429]
    for way_round in ("//hr/pay", "/hr//pay", "/hr/./pay", "/HR/pay", "/hr/pay/", "/hr%2fpay", "/x/../hr/pay"):
        assert site.ask("GET", way_round, "free").status_code in (402, 404), way_round
    assert site.ask("HEAD", "/hr/pay", "free").status_code == 402


def test_a_beginning_of_a_route_ends_with_a_segment(site):
    """Who opens /health does not open /healthcare, and who opens / opens all."""
    patterns = [
        path("health", plain("health")),
        path("health/deep", plain("deep")),
        re_path("^health/?$", plain("again")),
        path("healthcare/patients", plain("patients")),
        path("health-records", plain("records")),
    ]
    site.serve(*patterns, UNGUARDED="refuse", ROUTES={"/health": exempt})
    assert site.asked("GET", "/health", None) == (200, "health")
    assert site.asked("GET", "/health/", None) == (200, "again")
    assert site.asked("GET", "/health/deep", None) == (200, "deep")
    for other in ("/healthcare/patients", "/health-records"):
        assert site.ask("GET", other, None).status_code == 404, other
    site.serve(*patterns, UNGUARDED="refuse", ROUTES={"/": exempt})
    assert site.asked("GET", "/healthcare/patients", None) == (200, "patients")
    assert list(Routes({"/heal": exempt}).unmatched([each.match for each in places()])) == [
        "no route begins with '/heal'"
    ]


@pytest.mark.parametrize("order", [("/a", "/b", "/a"), ("/b", "/a", "/b")])
def test_one_view_may_be_at_several_routes(site, order):
    """What is said of one route is not said of another, whichever is asked first."""
    everywhere = plain()
    site.serve(path("a", everywhere), path("b", everywhere), ROUTES={"/a": "hr"})
    assert [site.ask("GET", where, "free").status_code for where in order] == [
        {"/a": 402, "/b": 200}[where] for where in order
    ]


class Reports(ViewSet):
    """A router gives its list two routes by one name; one of them has a suffix for formats."""

    authentication_classes = ()
    permission_classes = ()

    def list(self, request, format=None):
        return Response("secret")


@pytest.mark.parametrize("order", [("/api/reports/", "/api/reports.json"), ("/api/reports.json", "/api/reports/")])
@pytest.mark.parametrize("line", ["/api/reports", "/api/reports/"])
def test_a_suffix_for_formats_opens_nothing(site, order, line):
    router = DefaultRouter()
    router.register("reports", Reports, basename="reports")
    site.serve(path("api/", include(router.urls)), ROUTES={line: "hr"})
    for where in order:
        assert site.asked("GET", where, "free") == (402, "plan.module_absent"), where


@pytest.mark.parametrize(
    ("route", "asked"),
    [
        ("books", ["/books"]),
        ("books/", ["/books/"]),
        (r"books(?:/(?P<n>\d+))?/", ["/books/", "/books/3/"]),
        (r"books\.(?P<format>csv|json)", ["/books.csv"]),
        (r"books?", ["/books", "/book"]),
        (r"books\Z", ["/books"]),
    ],
)
def test_what_a_line_asks_is_asked_however_the_route_is_written(site, route, asked):
    site.serve(
        re_path(f"^{route}$", lambda request, **_: HttpResponse("secret")), ROUTES={"/book": "hr", "/books": "hr"}
    )
    assert [site.ask("GET", where, "free").status_code for where in asked] == [402] * len(asked)


@pytest.mark.parametrize(
    ("route", "where"), [(r"books\.(?P<format>csv|json)", "/books.csv"), (r"books(?:/(?P<n>\d+))?", "/books")]
)
def test_a_line_that_ends_with_a_slash_asks_also_where_an_expression_has_none(site, route, where):
    site.serve(re_path(f"^{route}$", lambda request, **_: HttpResponse("secret")), ROUTES={"/books/": "hr"})
    assert site.ask("GET", where, "free").status_code == 402


def test_a_line_that_ends_with_a_slash_is_about_what_is_below(site):
    site.serve(path("books", plain("list")), path("books/1", plain("one")), ROUTES={"/books": exempt, "/books/": "hr"})
    assert site.asked("GET", "/books", None) == (200, "list")
    assert site.asked("GET", "/books/1", "free") == (402, "plan.module_absent")


@pytest.mark.parametrize(
    ("route", "where"),
    [
        ("^health(?P<what>care)?$", "/healthcare"),
        ("^health/?(?P<what>care)?$", "/healthcare"),
        ("^health/*(?P<what>care)?$", "/healthcare"),
        (r"^health\.(?P<format>json)$", "/health.json"),
    ],
)
@pytest.mark.parametrize("line", ["/health", "/health/"])
def test_a_line_that_opens_opens_only_what_surely_is_meant(site, route, where, line):
    site.serve(re_path(route, lambda request, **_: HttpResponse("in")), UNGUARDED="refuse", ROUTES={line: exempt})
    assert site.ask("GET", where, None).status_code == 404


def test_a_longer_name_is_another(site):
    site.serve(path("books", plain()), path("bookshop", plain()), ROUTES={"/books": "hr", "/book": "hr"})
    assert site.ask("GET", "/bookshop", "free").status_code == 200


def test_what_would_be_used_up_by_nobody_is_a_mistake(site):
    """A quota in a line of the settings, or of a viewset, would be counted for no request."""
    with pytest.raises(ConfigurationError, match=r"'hr:pay': it uses up crm.mails.*@consume_quota"):
        Routes({"hr:pay": needs("hr", quotas={"crm.mails": 1})})


class Half(View):
    @require_feature("crm.export")
    def get(self, request):
        return HttpResponse("in")

    def post(self, request):
        return HttpResponse("in")


@exempt
class Open(View):
    def get(self, request):
        return HttpResponse("in")


class OpenNoMore(Open):
    """It is another view: whoever opens it says so."""


def test_nothing_runs_before_which_nothing_stands(site):
    site.serve(
        *PATTERNS,
        path("half", Half.as_view()),
        path("open", Open.as_view()),
        path("no-more", OpenNoMore.as_view()),
        path("opened", exempt(OpenNoMore.as_view())),
        path("guarded", require_feature("crm.export")(plain())),
        path("exempt", exempt(plain())),
        path("awaited", awaited),
        UNGUARDED="refuse",
        ROUTES={"hr": "hr", "login": exempt},
    )
    for where, tenant, status in (
        ("/left", "pro", 404),
        ("/awaited", "pro", 404),
        ("/hr/pay", "pro", 200),
        ("/accounts/login", None, 200),
        ("/half", "pro", 200),
        ("/half", "free", 402),
        ("/open", None, 200),
        ("/no-more", None, 404),
        ("/opened", None, 200),
        ("/guarded", "free", 402),
        ("/exempt", None, 200),
    ):
        assert site.ask("GET", where, tenant).status_code == status, where
    assert site.ask("HEAD", "/half", "pro").status_code == 200
    assert site.ask("POST", "/half", "pro").status_code == 404
    assert site.ask("OPTIONS", "/half", None).status_code == 200


def test_views_are_looked_over_once(wsgi_site, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "payaid_entitlements.web.django.judging.standing_of", lambda view: seen.append(view) or pytest.fail("twice")
    )
    monkeypatch.setattr("payaid_entitlements.web.django.judging._MOST", 1)
    from payaid_entitlements.web.django.standing import standing_of

    def once(view):
        seen.append(view)
        return standing_of(view)

    monkeypatch.setattr("payaid_entitlements.web.django.judging.standing_of", once)
    wsgi_site.serve(*PATTERNS, ROUTES={"hr": "hr"})
    for where in ("/left", "/left", "/hr/pay", "/left"):
        wsgi_site.ask("GET", where, "pro")
    assert len(seen) == 3
    assert Judge


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"a": 5}, "'a': it needs 5"),
        ({"": "crm"}, "it is no name"),
        ({"a": ""}, "'a':"),
        ({"a": []}, "needs nothing"),
        ([("a", "crm")], "it is a dict"),
    ],
)
def test_a_table_that_says_nothing_is_refused(table, words):
    with pytest.raises(ConfigurationError, match=words):
        Routes(table)


def test_keys_are_looked_up_in_the_catalog():
    assert list(unknown_to(CATALOG, needs("crm", "crm.export"))) == []
    assert list(unknown_to(CATALOG, needs("crn"))) == ["the catalog has no module 'crn'; did you mean 'crm'?"]
    assert list(unknown_to(CATALOG, needs(limits=["apy"]))) == [
        "the catalog has no rate limit 'apy'; did you mean 'api'?"
    ]
    assert list(unknown_to(None, needs("crn"))) == []
    assert known_to(CATALOG, EXEMPT) is EXEMPT
