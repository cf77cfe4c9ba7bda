"""A view that answers OPTIONS by itself is asked about it: what looks like a preflight may be written by anybody."""

from __future__ import annotations

from functools import wraps
from typing import ClassVar

import pytest
from django.contrib.auth.mixins import AccessMixin
from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from rest_framework.metadata import BaseMetadata
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from payaid_entitlements import require_feature, require_module
from payaid_entitlements.web.django import FeatureRequiredMixin
from payaid_entitlements.web.django.checks import views_are_guarded
from tests.web.django.test_rest import Api

PREFLIGHT = {"origin": "https://app.example", "access_control_request_method": "GET"}


def preflight(site, where):
    return site.ask("OPTIONS", where, None, **PREFLIGHT)


class Plain(View):
    def get(self, request):
        return HttpResponse("people")


class Own(Plain):
    def options(self, request):
        return HttpResponse("secret")


class Awaited(View):
    async def get(self, request):
        return HttpResponse("people")

    async def options(self, request):
        return HttpResponse("secret")


@pytest.mark.parametrize("kind", [Own, Awaited])
def test_the_mixin_asks_before_an_options_of_the_hosts(site, kind):
    class Export(FeatureRequiredMixin, kind):
        required_feature = "crm.export"

    class Djangos(FeatureRequiredMixin, Plain):
        required_feature = "crm.export"

    site.serve(path("own", Export.as_view()), path("djangos", Djangos.as_view()))
    assert preflight(site, "/own").json()["reason"] == "tenant.unidentified"
    assert site.asked("OPTIONS", "/own", "free") == (402, "plan.feature_absent")
    assert site.asked("OPTIONS", "/own", "pro") == (200, "secret")
    assert (preflight(site, "/djangos").status_code, site.asked("OPTIONS", "/djangos", None)[1]) == (200, "")


class Dispatching(View):
    """Answers without looking at the method."""

    def dispatch(self, request, *args, **kwargs):
        return HttpResponse("secret")


class Overriding(Plain):
    """Believes what a client writes into a field."""

    def dispatch(self, request, *args, **kwargs):
        method = request.headers.get("x-http-method-override", request.method)
        return getattr(self, method.lower())(request, *args, **kwargs)


@method_decorator(lambda options: wraps(options)(lambda request: HttpResponse("secret")), name="options")
class Decorated(Plain):
    """Its options() says that it is Django's."""


@pytest.mark.parametrize("kind", [Dispatching, Overriding, Decorated])
def test_the_mixin_asks_before_a_dispatch_of_the_hosts(site, kind):
    class Export(FeatureRequiredMixin, kind):
        required_feature = "crm.export"

    site.serve(path("it", Export.as_view()))
    for said in ("GET", "OPTIONS"):
        seen = site.asked("OPTIONS", "/it", "free", x_http_method_override=said)
        assert seen == (402, "plan.feature_absent"), said
    assert site.asked("OPTIONS", "/it", "pro", x_http_method_override="GET")[0] == 200


def test_a_login_of_djangos_before_the_view_leaves_preflights_alone(site):
    class Export(FeatureRequiredMixin, AccessMixin, Plain):
        required_feature = "crm.export"

    @method_decorator(never_cache, name="dispatch")
    class Uncached(Export):
        pass

    site.serve(path("it", Export.as_view()), path("uncached", Uncached.as_view()))
    assert [preflight(site, where).status_code for where in ("/it", "/uncached")] == [200, 200]


def test_a_class_that_answers_by_dispatch_alone_is_open(site):
    """As views of GraphQL do; it has no methods that could be guarded."""
    site.serve(
        path("it", Dispatching.as_view()),
        path("guarded", require_module("crm")(Dispatching.as_view())),
        UNGUARDED="refuse",
    )
    (mistake,) = views_are_guarded(None)
    assert mistake.msg.endswith("Dispatching): nothing stands before it")
    assert [site.ask(method, "/it").status_code for method in ("GET", "POST", "OPTIONS")] == [404] * 3
    assert site.asked("POST", "/guarded") == (200, "secret")


def test_a_function_is_asked_by_every_method(site):
    """Django calls it whatever the method is."""

    @require_module("hr")
    def guarded(request):
        return HttpResponse("secret")

    site.serve(
        path("guarded", guarded),
        path("named", lambda request: HttpResponse("secret"), name="named"),
        ROUTES={"named": "hr"},
    )
    assert [preflight(site, where).status_code for where in ("/guarded", "/named")] == [401, 401]


class Half(Own):
    """Guarded but for one method."""

    @require_module("crm")
    def get(self, request):
        return HttpResponse("people")


class Whole(Half):
    @require_module("crm")
    def options(self, request):
        return HttpResponse("secret")


def test_nothing_before_an_options_of_the_hosts_is_a_mistake(site):
    site.serve(path("half", Half.as_view()), path("whole", Whole.as_view()), UNGUARDED="refuse")
    (mistake,) = views_are_guarded(None)
    assert mistake.msg.endswith("Half): nothing stands before it for OPTIONS")
    assert preflight(site, "/half").status_code == 404
    assert site.ask("GET", "/half").status_code == 200
    assert preflight(site, "/whole").status_code == 401
    assert site.asked("OPTIONS", "/whole") == (200, "secret")


class Listed(Api, APIView):
    required_features: ClassVar = {"get": "crm", "options": "crm.export"}
    get = Api.handle

    def options(self, request):
        return Response("secret")


class Unnamed(Listed):
    required_features: ClassVar = {"get": "crm"}


class Set(Api, ViewSet):
    required_features: ClassVar = {"list": "crm", "probe": "crm.export", "options": "crm.export"}
    list = Api.handle

    def options(self, request):
        return Response("secret")

    def probe(self, request):
        return Response("secret")


class Bare(Set):
    options = ViewSet.options


@pytest.mark.parametrize(
    "view",
    [Listed.as_view(), Set.as_view({"get": "list"}), Bare.as_view({"get": "list", "options": "probe"})],
    ids=["view", "viewset", "action"],
)
def test_a_view_of_rest_framework_is_asked_by_what_its_class_says(site, view):
    site.serve(path("it", view), TENANT=lambda request: getattr(request.user, "org", None))
    assert preflight(site, "/it").json()["reason"] == "tenant.unidentified"
    assert site.asked("OPTIONS", "/it", None, authorization="free") == (402, "plan.feature_absent")
    assert site.asked("OPTIONS", "/it", None, authorization="pro") == (200, '"secret"')
    assert views_are_guarded(None) == []


def test_what_it_does_not_say_is_a_mistake(site):
    site.serve(path("it", Unnamed.as_view()), TENANT=lambda request: getattr(request.user, "org", None))
    (mistake,) = views_are_guarded(None)
    assert "its action 'options' has no line in required_features" in mistake.msg
    assert site.ask("OPTIONS", "/it", None, authorization="pro").status_code == 500


def test_what_the_framework_says_about_actions_stays_open(site):
    class Plainly(Api, APIView):
        required_features: ClassVar = {"get": "crm"}
        get = Api.handle

    site.serve(
        path("it", Plainly.as_view()),
        path("set", Bare.as_view({"get": "list"})),
        TENANT=lambda request: getattr(request.user, "org", None),
    )
    assert [preflight(site, where).status_code for where in ("/it", "/set")] == [200, 200]


class Choices(BaseMetadata):
    def determine_metadata(self, request, view):
        return ["secret"]


class Choosing(Api, APIView):
    metadata_class = Choices
    required_features: ClassVar = {"get": "crm", "options": "crm.export"}
    get = Api.handle


class ChoosingSet(Api, ViewSet):
    required_features: ClassVar = {"list": "crm", "options": "crm.export"}
    list = Api.handle


@pytest.mark.parametrize(
    "view",
    [Choosing.as_view(), ChoosingSet.as_view({"get": "list"}, metadata_class=Choices)],
    ids=["view", "viewset"],
)
def test_metadata_of_the_hosts_are_asked_about(site, view):
    site.serve(path("it", view), TENANT=lambda request: getattr(request.user, "org", None), UNGUARDED="refuse")
    assert preflight(site, "/it").json()["reason"] == "tenant.unidentified"
    assert site.asked("OPTIONS", "/it", None, authorization="free") == (402, "plan.feature_absent")
    assert site.asked("OPTIONS", "/it", None, authorization="pro") == (200, '["secret"]')
    assert views_are_guarded(None) == []


def test_metadata_of_which_nothing_is_said_are_a_mistake(site):
    class Unsaid(Choosing):
        required_features: ClassVar = {"get": "crm"}

    class Unwilling(Unsaid):
        metadata_class = None

    site.serve(
        path("it", Unsaid.as_view()),
        path("none", Unwilling.as_view()),
        TENANT=lambda request: getattr(request.user, "org", None),
    )
    (mistake,) = views_are_guarded(None)
    assert "its action 'options' has no line in required_features" in mistake.msg
    assert site.ask("OPTIONS", "/it", None, authorization="pro").status_code == 500
    assert site.ask("OPTIONS", "/none", None, authorization="pro").status_code == 405


def test_a_guard_on_it_is_seen(site):
    class Guarded(Own):
        get = require_feature("crm.export")(Plain.get)
        options = require_feature("crm.export")(Own.options)

    site.serve(path("it", Guarded.as_view()), UNGUARDED="refuse")
    assert views_are_guarded(None) == []
