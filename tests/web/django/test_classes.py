"""Classes of views: the mixin, guards on methods, and guards by `method_decorator`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.generic import TemplateView, View
from rest_framework.views import APIView

from payaid_entitlements import consume_quota, require_feature, require_module
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.django import FeatureRequiredMixin
from tests.web.django.conftest import OURS


class Plain(View):
    def get(self, request):
        return HttpResponse("in")

    def post(self, request):
        return HttpResponse("in")


class Awaited(View):
    async def get(self, request):
        return HttpResponse("in")

    async def post(self, request):
        return HttpResponse("in")


@pytest.mark.parametrize("kind", [Plain, Awaited])
def test_the_mixin_asks_what_it_names(site, kind):
    class Export(FeatureRequiredMixin, kind):
        required_feature = "crm.export"

    site.serve(path("export", Export.as_view()))
    assert site.asked("GET", "/export", "pro") == (200, "in")
    assert site.asked("GET", "/export", "free") == (402, "plan.feature_absent")
    assert site.asked("GET", "/export", None) == (401, "tenant.unidentified")
    assert site.asked("POST", "/export", "paused") == (403, "subscription.paused")
    assert site.ask("GET", "/export", "paused").status_code == 200
    # A preflight has no credentials (Fetch standard, CORS-preflight request).
    assert site.ask("OPTIONS", "/export", None).headers["allow"] == "GET, POST, HEAD, OPTIONS"
    assert site.ask("PUT", "/export", "pro").status_code == 405


@pytest.mark.parametrize("kind", [Plain, Awaited])
def test_the_mixin_asks_all_that_it_names(site, kind):
    class New(FeatureRequiredMixin, kind):
        required_module = ("crm", "hr")
        required_feature = ("hr.payroll",)
        required_flag = "new-ui"

    site.serve(path("new", New.as_view()), path("other", New.as_view(required_flag=None)))
    assert site.asked("GET", "/new", "pro") == (200, "in")
    assert site.asked("GET", "/new", "free") == (402, "plan.module_absent")
    assert site.asked("GET", "/new", "big") == (403, "flag.rollout_excluded")
    assert site.asked("GET", "/other", "big") == (200, "in")


def test_what_is_needed_may_depend_on_the_request(site):
    class Some(FeatureRequiredMixin, Plain):
        def get_requirements(self):
            self.required_feature = self.request.GET["of"]
            return super().get_requirements()

    site.serve(path("some", Some.as_view()))
    assert site.asked("GET", "/some?of=crm.export") == (402, "plan.feature_absent")


def test_a_mixin_in_the_wrong_place_does_not_even_begin():
    with pytest.raises(TypeError, match=r"class Wrong\(FeatureRequiredMixin, ...\)"):

        class Wrong(TemplateView, FeatureRequiredMixin):
            required_feature = "crm.export"

    with pytest.raises(TypeError, match="use permission_classes"):

        class Api(FeatureRequiredMixin, APIView):
            required_feature = "crm.export"


def test_a_mixin_without_anything_to_ask_lets_nobody_in(wsgi_site):
    class Nothing(FeatureRequiredMixin, Plain): ...

    wsgi_site.serve(path("nothing", Nothing.as_view()))
    assert wsgi_site.ask("GET", "/nothing", "pro").status_code == 500
    with pytest.raises(ImproperlyConfigured, match="names nothing that is required"):
        Nothing().get_requirements()


def test_guards_by_method_decorator(site):
    def decorated(kind, name):
        class Decorated(kind): ...

        guards = [require_module("crm"), require_feature("crm.export")]
        return method_decorator(guards, name=name)(Decorated).as_view()

    kinds = [(kind, name) for kind in (Plain, Awaited) for name in ("dispatch", "get")]
    site.serve(*(path(f"{kind.__name__}/{name}", decorated(kind, name)) for kind, name in kinds))
    # What is near: a guard on the dispatch() of an asynchronous class is asked where it cannot wait.
    site.inside.client.tenant("pro")
    site.inside.client.tenant("free")
    for kind, name in kinds:
        where = f"/{kind.__name__}/{name}"
        assert site.asked("GET", where, "pro") == (200, "in"), where
        assert site.asked("GET", where, "free") == (402, "plan.feature_absent"), where
        assert site.ask("GET", where, None).status_code == 401, where


def test_guards_on_methods_and_around_as_view(site):
    class Mixed(View):
        @require_feature("crm.export")
        def get(self, request):
            return HttpResponse("in")

        @consume_quota("crm.mails", operation="mail:{number}")
        def post(self, request, number):
            return HttpResponse("in")

    site.serve(
        path("plain", require_feature("crm.export")(Plain.as_view())),
        path("awaited", require_feature("crm.export")(Awaited.as_view())),
        path("mixed", Mixed.as_view()),
        path("mails/<int:number>", Mixed.as_view()),
    )
    for where in ("/plain", "/awaited", "/mixed"):
        assert site.asked("GET", where, "pro") == (200, "in")
        assert site.asked("GET", where, "free") == (402, "plan.feature_absent")
    assert [site.ask("POST", f"/mails/{n}").status_code for n in (1, 2, 2, 3, 4)] == [200, 200, 200, 200, 402]


def test_who_has_not_logged_in_comes_to_the_login_where_that_is_asked_first(wsgi_site):
    class Report(LoginRequiredMixin, FeatureRequiredMixin, Plain):
        required_feature = "crm.export"

    guarded = login_required(require_feature("crm.export")(lambda request: HttpResponse("in")))
    wsgi_site.serve(
        path("class", Report.as_view()),
        path("function", guarded),
        middleware=[OURS, f"{__name__}.login"],
        set_LOGIN_URL="/login",
        UNGUARDED="refuse",
    )
    for where in ("/class", "/function"):
        assert wsgi_site.ask("GET", where, None).headers["location"] == f"/login?next={where}"
        assert wsgi_site.asked("GET", where, "free") == (402, "plan.feature_absent")
        assert wsgi_site.asked("GET", where, "pro") == (200, "in")


def login(get_response):
    def middle(request):
        request.user = SimpleNamespace(is_authenticated="x-tenant" in request.headers)
        return get_response(request)

    return middle


def test_what_names_arguments_stands_on_the_method_itself():
    """`method_decorator` tries each decorator on a function without arguments first."""
    with pytest.raises(ConfigurationError, match="has no such parameter"):
        method_decorator(consume_quota("crm.mails", operation="mail:{number}"))(lambda self, request, number: None)
