"""System checks: mistakes that would let everybody pass, or fail with the first request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views.generic import View

from payaid_entitlements import Entitlements, rate_limit, require_feature, require_module
from payaid_entitlements.web import exempt
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.django import FeatureRequiredMixin, checks, entitlements, process
from payaid_entitlements.web.django.configuration import said
from payaid_entitlements.web.django.process import _PROCESS, configuration
from payaid_entitlements.web.routing import needs
from tests.web.django.conftest import CATALOG, OURS, plain, tenant_of


def told(messages):
    return [f"{each.id} {each.msg}" for each in messages]


def of_settings(**payaid):
    payaid = {"URL": "memory://", "CATALOG": CATALOG, "TENANT": tenant_of} | payaid
    with override_settings(PAYAID={name: each for name, each in payaid.items() if each is not None}, MIDDLEWARE=[OURS]):
        return told(checks.settings_are_right(None))


@pytest.mark.parametrize(
    ("payaid", "words"),
    [
        ({"CATALOGE": "x"}, ["E001 PAYAID has an unknown key 'CATALOGE'; did you mean 'CATALOG'?"]),
        ({"TENANT": None}, ["E001 PAYAID has no TENANT; name a function"]),
        ({"TENANT": "tests.nowhere.tenant"}, ["E001 PAYAID['TENANT']: No module named"]),
        ({"TENANT": 5}, ["E001 PAYAID['TENANT'] is 5; it is a function of the request"]),
        ({"TENANT": f"{__name__}.CATALOG"}, ["E001 PAYAID['TENANT'] is Catalog("]),
        ({"USER": 5}, ["E001 PAYAID['USER'] is 5"]),
        ({"PROXIES": -1}, ["E001 PAYAID['PROXIES']: proxies is -1"]),
        ({"UNGUARDED": "no"}, ["E001 PAYAID['UNGUARDED'] is 'no'; it is 'allow' or 'refuse'"]),
        ({"ROUTES": {"a": 5}}, ["E001 PAYAID['ROUTES']: 'a': it needs 5"]),
        ({"ANSWERS": "payaid_entitlements.web.exempt"}, ["E001 PAYAID['ANSWERS'] is <function exempt"]),
        ({"SUBSCRIPTIONS": 5}, ["E001 PAYAID['SUBSCRIPTIONS'] is 5"]),
        ({"RATE_LIMIT": 5}, ["E001 PAYAID['RATE_LIMIT'] is 5; it is the key"]),
        ({"CLIENT": 5}, ["names a CLIENT, which is open already", "how to open one: CATALOG", "['CLIENT'] is 5"]),
        ({"URL": "nonsense://"}, ["E002 the client cannot be opened"]),
        ({"CATALOG": "nowhere.yaml"}, ["E002 the client cannot be opened"]),
        ({"ANSWERS": Answers(challenge="Session"), "SUBSCRIPTIONS": "builtins.dict"}, []),
    ],
)
def test_every_mistake_of_the_settings_is_told(payaid, words):
    found = of_settings(**payaid)
    assert len(found) == len(words), found
    for line, word in zip(found, words, strict=True):
        assert word in line


def test_a_mistake_is_told_by_the_server_too():
    given = {"URL": "memory://", "TENANTS": "x", "PROXIES": -1}
    every = pytest.raises(ImproperlyConfigured, match=r"(?s)TENANTS'; did you mean 'TENANT'.*no TENANT.*PROXIES")
    with override_settings(PAYAID=given), every:
        configuration()


@pytest.mark.parametrize(("payaid", "words"), [(None, "the settings need PAYAID"), ([], r"it is \[\]")])
def test_there_must_be_settings(payaid, words):
    with override_settings(PAYAID=payaid, ROOT_URLCONF=()):
        assert [each.id for each in checks.settings_are_right(None)] == ["payaid.E001"]
        assert checks.views_are_guarded(None) == []
        with pytest.raises(ImproperlyConfigured, match=words):
            said()


def test_the_middleware_is_there_once():
    def of_middleware(*names):
        with override_settings(PAYAID={"URL": "memory://", "TENANT": tenant_of}, MIDDLEWARE=names):
            return [(each.id, each.msg) for each in checks.settings_are_right(None)]

    assert of_middleware(OURS, "tests.nowhere.Middleware", "django.middleware.http.conditional_page") == []
    assert of_middleware()[0][1].startswith("MIDDLEWARE has no EntitlementsMiddleware")
    assert of_middleware(OURS, OURS)[0][1].startswith("MIDDLEWARE has several")
    ((number, text),) = of_middleware(OURS, "django.middleware.cache.FetchFromCacheMiddleware")
    assert number == "payaid.W001"
    assert "before anything is asked" in text


def test_one_client_for_a_process(tmp_path):
    (tmp_path / "catalog.yaml").write_text("catalog: 1\nmodules: {crm: {}}\nplans: {free: {modules: [crm]}}\n")
    with override_settings(PAYAID={"URL": "memory://", "CATALOG": "catalog.yaml"}, BASE_DIR=tmp_path):
        first = entitlements()
        assert first is entitlements()
        assert "crm" in first.catalog.modules
        assert not first._setting.strict
        with override_settings(DEBUG=True):
            assert entitlements() is not first
            assert entitlements()._setting.strict
    _PROCESS._unlock()
    with Entitlements.open("memory://", catalog=CATALOG) as own, override_settings(PAYAID={"CLIENT": own}):
        assert entitlements() is own
        _PROCESS.forget()
        assert own.tenant("acme").tenant == "acme"  # whoever has opened it closes it


def test_threads_that_ask_at_once_get_one_client(monkeypatch):
    begun = threading.Barrier(4)
    opened = []

    def slowly():
        opened.append(Entitlements.open("memory://", catalog=CATALOG))
        return opened[-1]

    def ask():
        begun.wait()
        return entitlements()

    with override_settings(PAYAID={"URL": "memory://"}):
        monkeypatch.setattr(process, "open_client", slowly)
        with ThreadPoolExecutor(4) as threads:
            found = [one.result() for one in [threads.submit(ask) for _ in range(4)]]
    assert opened == list(dict.fromkeys(found))


def of_views(wsgi_site, *patterns, **payaid):
    wsgi_site.serve(*patterns, **payaid)
    return told(checks.views_are_guarded(None))


def registering(view):
    """A decorator that keeps what it is put on, as one that registers a route does."""
    KEPT.append(view)
    return view


KEPT = []


def test_a_guard_where_it_never_runs(wsgi_site):
    @require_module("crm")
    @registering
    def above(request): ...

    (line,) = of_views(wsgi_site, path("above", KEPT.pop(), name="above"), path("right", above))
    assert line == (
        "payaid.E005 /above (above): a guard stands above whatever has put the view here, where it never runs; "
        "put it below"
    )


def test_keys_that_no_catalog_has(wsgi_site):
    class Export(FeatureRequiredMixin, View):
        required_feature = "crm.exprot"

        def get(self, request): ...

    class Methods(View):
        @require_feature("crm.export")
        def get(self, request): ...

        @rate_limit("apy")
        def post(self, request): ...

    class Dynamic(FeatureRequiredMixin, View):
        def get_requirements(self):
            return ()

    found = of_views(
        wsgi_site,
        path("a", require_module("crn")(plain()), name="a"),
        path("export", Export.as_view(), name="export"),
        path("fine", Export.as_view(required_feature="crm.export"), name="fine"),
        path("methods", Methods.as_view(), name="methods"),
        path("dynamic", Dynamic.as_view(), name="dynamic"),
    )
    assert found == [
        "payaid.E006 /a (a): the catalog has no module 'crn'; did you mean 'crm'?",
        "payaid.E006 /export (export): the catalog has no feature 'crm.exprot'; did you mean 'crm.export'?",
        "payaid.E006 /methods (methods): the catalog has no rate limit 'apy'; did you mean 'api'?",
    ]


def test_a_mixin_that_has_nothing_to_ask(wsgi_site):
    class Nothing(FeatureRequiredMixin, View): ...

    (line,) = of_views(wsgi_site, path("nothing", Nothing.as_view(), name="nothing"))
    assert "has nothing to ask" in line


def test_a_plain_guard_before_a_coroutine(wsgi_site):
    @method_decorator(require_module("crm"), name="dispatch")
    class Awaited(View):
        async def get(self, request): ...

    @method_decorator([require_module("crm"), exempt], name="dispatch")
    class Plain(View):
        def get(self, request): ...

    (line,) = of_views(wsgi_site, path("awaited", Awaited.as_view()), path("plain", Plain.as_view()))
    assert "cannot wait for the tenant" in line


def test_lines_of_the_settings_that_are_about_nothing(wsgi_site):
    found = of_views(
        wsgi_site,
        path("hr/", include(([path("pay", plain(), name="pay")], "hr"))),
        ROUTES={"hr": "hrr", "hr:pai": "hr", "/hr/": "hr", "/nowhere/": exempt},
    )
    assert found == [
        "payaid.E004 PAYAID['ROUTES']: 'hr:pai' names no view and no namespace; did you mean 'hr:pay'?",
        "payaid.E004 PAYAID['ROUTES']: no route begins with '/nowhere/'",
        "payaid.E004 PAYAID['ROUTES'], 'hr': the catalog has no module 'hrr'; did you mean 'hr'?",
    ]


def test_limits_that_would_fail_with_each_request(wsgi_site):
    views = [path("login", rate_limit("login")(plain()), name="login"), path("named", plain(), name="named")]
    routes = {"named": needs("crm", limits=["clicks", "api"])}
    assert of_views(wsgi_site, *views, ROUTES=routes) == [
        "payaid.E004 PAYAID['ROUTES'], 'named': the rate limit 'clicks' counts by user, and PAYAID has no USER",
        "payaid.E006 /login (login): the rate limit 'login' counts by address, and PAYAID has no PROXIES; 0 where "
        "there are none",
    ]
    assert of_views(wsgi_site, *views, ROUTES=routes, PROXIES=0, USER=lambda request: "asha") == []


def test_views_before_which_nothing_stands(wsgi_site):
    class Half(View):
        @require_feature("crm.export")
        def get(self, request): ...

        def post(self, request): ...

    found = of_views(
        wsgi_site,
        path("open", plain(), name="open"),
        path("limited", rate_limit("api")(plain()), name="limited"),
        path("half", Half.as_view(), name="half"),
        path("exempt", exempt(plain())),
        path("named", plain(), name="named"),
        path("guarded", require_feature("crm.export")(plain())),
        UNGUARDED="refuse",
        ROUTES={"named": exempt},
    )
    assert found == [
        "payaid.E007 /open (open): nothing stands before it",
        "payaid.E007 /limited (limited): nothing stands before it",
        "payaid.E007 /half (half): nothing stands before it for POST",
    ]


def test_a_site_without_views_has_no_mistakes_in_them():
    with override_settings(PAYAID={"URL": "memory://", "TENANT": tenant_of}, ROOT_URLCONF=None):
        assert checks.views_are_guarded(None) == []


def test_views_are_not_looked_over_where_the_settings_are_wrong():
    with override_settings(PAYAID={"URL": "memory://"}, ROOT_URLCONF=(path("open", plain()),)):
        assert checks.views_are_guarded(None) == []


def test_every_check_is_described():
    import inspect
    import re

    source = inspect.getsource(checks)
    errors = {f"payaid.E{int(number):03}" for number in re.findall(r"_error\(\s*(\d)", source)}
    # One is told where databases are looked at, in `migrating`.
    assert errors | {"payaid.W001", "payaid.W002"} == checks.CHECKS.keys()
