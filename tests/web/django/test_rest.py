"""Django REST framework: a permission and a throttle, asked when it knows who asks."""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar

import pytest
from django.test import RequestFactory, override_settings
from django.urls import include, path
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import CharField, Serializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ViewSet

from payaid_entitlements import current_tenant, require_feature
from payaid_entitlements.errors import NotEntitled
from payaid_entitlements.web import exempt
from payaid_entitlements.web.django import checks
from payaid_entitlements.web.django.rest import EntitlementThrottle, HasEntitlement
from payaid_entitlements.web.routing import needs
from tests.web.django.conftest import OURS


class User:
    """Whom a token names."""

    is_authenticated = True
    is_active = True
    pk = 1

    def __init__(self, org: str, name: str = "ann") -> None:
        self.org, self.name = org, name


class TokenLogin(BaseAuthentication):
    """A login that only the framework asks, behind every middleware."""

    def authenticate(self, request):
        token = request.headers.get("authorization")
        if token is None:
            return None
        if token == "bad":
            raise AuthenticationFailed
        return User(*token.split("/")), token


def tenant_of_user(request):
    return getattr(getattr(request, "user", None), "org", None)


def user_of_user(request):
    return getattr(getattr(request, "user", None), "name", None)


class Api:
    """What all views here have."""

    authentication_classes = (TokenLogin,)
    permission_classes = (HasEntitlement,)
    renderer_classes = (JSONRenderer,)

    def handle(self, request, *args, **kwargs):
        return Response(current_tenant().tenant)


class Plain(Api, APIView):
    required_features = "crm.export"
    get = post = Api.handle


class Invoices(Api, ViewSet):
    required_features: ClassVar = {"*": "crm", "send": "crm.export", "about": exempt, "destroy": ("hr", "crm.export")}
    list = create = destroy = Api.handle

    @action(detail=False, methods=["post"])
    def send(self, request):
        return Response("sent")

    @action(detail=False)
    def about(self, request):
        return Response("about")

    @action(detail=False)
    @exempt
    def marked(self, request):
        return Response("marked")


class Listed(Api, ViewSet):
    required_features: ClassVar = {"list": "crm"}
    list = create = Api.handle


def routed(name, view):
    router = SimpleRouter(trailing_slash=False)
    router.register(name, view, basename=name)
    return path("", include(router.urls))


SERVED = {"TENANT": tenant_of_user, "USER": user_of_user}


def ask(site, method, where, tenant, **headers):
    return site.ask(method, where, None, **({} if tenant is None else {"authorization": tenant}), **headers)


def asked(site, method, where, tenant, **headers):
    response = ask(site, method, where, tenant, **headers)
    body = response.json()
    return response.status_code, body["reason"] if isinstance(body, dict) and "reason" in body else body


def test_a_tenant_that_a_token_names(site):
    site.serve(path("plain", Plain.as_view()), **SERVED)
    assert asked(site, "GET", "/plain", "pro") == (200, "pro")
    assert asked(site, "GET", "/plain", "free") == (402, "plan.feature_absent")
    assert asked(site, "POST", "/plain", "paused") == (403, "subscription.paused")
    assert asked(site, "GET", "/plain", None) == (401, "tenant.unidentified")
    assert ask(site, "GET", "/plain", "bad").status_code in (401, 403)  # as the framework says it
    assert ask(site, "DELETE", "/plain", "pro").status_code == 405
    refused = ask(site, "GET", "/plain", "free")
    assert refused.headers["content-type"] == "application/problem+json"
    assert [each["plan"] for each in refused.json()["remedies"]] == ["pro", "big"]


def test_keys_by_action(site):
    site.serve(routed("invoices", Invoices), **SERVED)
    assert asked(site, "GET", "/invoices", "free") == (200, "free")
    assert ask(site, "HEAD", "/invoices", "free").status_code == 200
    assert asked(site, "POST", "/invoices/send", "free") == (402, "plan.feature_absent")
    assert asked(site, "POST", "/invoices/send", "pro") == (200, "sent")
    assert asked(site, "DELETE", "/invoices/1", "free") == (402, "plan.module_absent")
    assert asked(site, "GET", "/invoices/about", None) == (200, "about")
    assert asked(site, "GET", "/invoices/marked", None) == (200, "marked")


def test_an_action_without_a_key_is_refused(site):
    site.serve(routed("listed", Listed), **SERVED)
    assert asked(site, "GET", "/listed", "free") == (200, "free")
    assert ask(site, "POST", "/listed", "pro").status_code == 500
    assert ask(site, "PUT", "/listed", "pro").status_code == 405
    assert ask(site, "OPTIONS", "/listed", "pro").status_code == 200


def test_what_the_settings_say_is_asked_after_the_login_too(site):
    class Silent(Api, APIView):
        get = Api.handle

    site.serve(
        path("silent", Silent.as_view(), name="silent"),
        path("plain", Plain.as_view(), name="plain"),
        ROUTES={"silent": "hr", "plain": needs("hr", limits=["clicks"])},
        **SERVED,
    )
    assert asked(site, "GET", "/silent", "pro") == (200, "pro")
    assert asked(site, "GET", "/silent", "free") == (402, "plan.module_absent")
    assert [ask(site, "GET", "/plain", "pro/bob").status_code for _ in range(3)] == [200, 200, 429]
    assert ask(site, "GET", "/plain", "pro/eve").headers["ratelimit"].startswith('"clicks";r=1')


def test_functions_ask_by_guards_and_by_a_permission_of_their_own(site):
    @api_view(["GET"])
    @require_feature("crm.export")
    def guarded(request):
        return Response(current_tenant().tenant)

    @api_view(["GET"])
    @permission_classes([HasEntitlement.of("crm", "crm.export")])
    def permitted(request):
        return Response(current_tenant().tenant)

    @require_feature("crm.export")
    @api_view(["GET"])
    def early(request): ...

    @api_view(["GET"])
    @exempt
    def opened(request): ...

    guarded.cls.authentication_classes = permitted.cls.authentication_classes = (TokenLogin,)
    site.serve(path("guarded", guarded), path("permitted", permitted), **SERVED)
    for where in ("/guarded", "/permitted"):
        assert asked(site, "GET", where, "pro") == (200, "pro")
        assert asked(site, "GET", where, "free") == (402, "plan.feature_absent")
    (line,) = told(
        site,
        path("guarded", guarded),
        path("permitted", permitted),
        path("opened", opened),
        path("early", early),
        UNGUARDED="refuse",
    )
    assert "before that knows who asks; put it below api_view" in line


def test_the_token_of_one_does_not_pass_by_the_session_of_another(site):
    """Somebody asks before the framework has logged in: a middleware, by what the session says."""
    site.serve(path("plain", Plain.as_view()), middleware=[OURS, f"{__name__}.session_middleware"], **SERVED)
    assert asked(site, "GET", "/plain", "pro", session="pro") == (200, "pro")
    assert asked(site, "GET", "/plain", "big", session="pro") == (403, "tenant.conflict")
    assert asked(site, "GET", "/plain", None, session="pro") == (401, "tenant.unidentified")
    site.inside.client.admin("test", because="a test").override("pro", "crm.export", False, user="bob")
    assert asked(site, "GET", "/plain", "pro/bob", session="pro")[0] == 403
    assert asked(site, "GET", "/plain", "pro/ann", session="pro")[0] == 200


def session_middleware(get_response):
    def middle(request):
        request.user = User(request.headers["session"])
        assert request.entitlements.tenant == request.headers["session"]
        return get_response(request)

    return middle


class Form(Serializer):
    name = CharField()


class Browsable(Api, GenericViewSet):
    renderer_classes = (BrowsableAPIRenderer, JSONRenderer)
    required_features: ClassVar = {"list": "crm", "create": "crm.export"}
    serializer_class = Form
    list = create = Api.handle


def test_the_browsable_api_shows_only_the_forms_of_what_is_held(site):
    site.serve(routed("browsable", Browsable), **SERVED)
    seen = {
        tenant: ask(site, "GET", "/browsable", tenant, accept="text/html").content.decode()
        for tenant in ("pro", "free", "paused")
    }
    assert 'name="name"' in seen["pro"]
    assert 'name="name"' not in seen["free"]
    assert 'name="name"' not in seen["paused"]
    assert ask(site, "GET", "/browsable", "free", accept="application/json").json() == "free"
    told = ask(site, "OPTIONS", "/browsable", "pro", accept="application/json").json()
    assert "POST" in told["actions"]
    assert "actions" not in ask(site, "OPTIONS", "/browsable", "free", accept="application/json").json()
    assert ask(site, "POST", "/browsable", "free", accept="text/html").status_code == 402


class Throttled(Api, ViewSet):
    required_features = "crm"
    throttle_classes = (EntitlementThrottle,)
    rate_limit: ClassVar = {"list": "api", "*": "clicks"}
    list = create = Api.handle


class Open(Api, APIView):
    permission_classes = (AllowAny,)
    throttle_classes = (EntitlementThrottle,)

    def get(self, request):
        return Response("in")


def test_a_throttle_counts_on_the_limit_of_the_view(site):
    site.serve(routed("throttled", Throttled), path("open", Open.as_view()), PROXIES=0, RATE_LIMIT="login", **SERVED)
    assert [ask(site, "GET", "/throttled", "pro").status_code for _ in range(2)] == [200, 200]
    refused = ask(site, "GET", "/throttled", "pro")
    assert (refused.status_code, refused.json()["reason"]) == (429, "rate.limited")
    assert int(refused.headers["retry-after"]) > 0
    assert ask(site, "POST", "/throttled", "pro").headers["ratelimit"].startswith('"clicks";r=1')
    # By address also those are counted who have not logged in.
    assert [ask(site, "GET", "/open", None).status_code for _ in range(3)] == [200, 200, 429]
    assert ask(site, "GET", "/open", "pro").status_code == 429


def test_a_throttle_without_a_limit_is_a_mistake(wsgi_site):
    wsgi_site.serve(path("open", Open.as_view()), **SERVED)
    assert ask(wsgi_site, "GET", "/open", None).status_code == 500


def test_a_view_may_be_called_without_a_site(inside):
    """In a task, or in a test of the view alone: whoever calls it says for whom."""
    with override_settings(PAYAID={"CLIENT": inside.client, "TENANT": tenant_of_user}, ROOT_URLCONF=()):
        for tenant, ends in (("pro", nullcontext()), ("free", pytest.raises(NotEntitled))):
            with inside.client.bind(tenant), ends:
                assert Plain.as_view()(RequestFactory().get("/")).status_code == 200


def test_the_host_may_answer_itself(site, monkeypatch):
    class Own(Plain):
        def get_exception_handler(self):
            return lambda error, context: Response({"mine": error.decision.reason.value}, 418)

    site.serve(path("own", Own.as_view()), **SERVED)
    assert ask(site, "GET", "/own", "free").json() == {"mine": "plan.feature_absent"}


# -- system checks ------------------------------------------------------------------------------------------------


def told(wsgi_site, *patterns, **more):
    wsgi_site.serve(*patterns, **SERVED, **more)
    return [f"{each.id} {each.msg}" for each in checks.views_are_guarded(None)]


def test_what_is_right_is_no_mistake(wsgi_site):
    assert told(wsgi_site, routed("invoices", Invoices), path("plain", Plain.as_view()), UNGUARDED="refuse") == []
    assert told(wsgi_site, routed("throttled", Throttled)) == []


def test_an_action_without_a_key_is_told(wsgi_site):
    class Silent(Api, APIView):
        get = Api.handle

    found = told(
        wsgi_site, routed("listed", Listed), path("silent", Silent.as_view(), name="silent"), UNGUARDED="refuse"
    )
    assert found == [
        "payaid.E005 /listed (listed-list): its action 'create' has no line in required_features, nor has '*'; "
        "name a key, or exempt",
        "payaid.E005 /silent (silent): its action 'get' has no line in required_features, nor has '*'; "
        "name a key, or exempt",
    ]
    assert told(wsgi_site, path("silent", Silent.as_view(), name="silent"), ROUTES={"silent": "hr"}) == []


def test_other_mistakes_are_told(wsgi_site):
    class Unasked(Plain):
        permission_classes = (IsAuthenticated,)

    class Wrong(Api, ViewSet):
        required_features: ClassVar = {"*": "crn", "list": 5, "sned": "crm"}
        list = send = Api.handle

    class Dropped(Invoices):
        @action(detail=False, methods=["post"], permission_classes=[IsAuthenticated])
        def send(self, request): ...

    class Combined(Plain):
        permission_classes = (HasEntitlement | IsAuthenticated,)

    class Turned(Plain):
        permission_classes = (~HasEntitlement,)

    class Fine(Plain):
        permission_classes = (HasEntitlement & IsAuthenticated, IsAuthenticated | HasEntitlement)

    class Limited(Plain):
        throttle_classes = (EntitlementThrottle,)
        rate_limit: ClassVar = {"get": "apy"}

    class Dynamic(Unasked):
        def get_permissions(self):
            return [HasEntitlement()]

    found = told(
        wsgi_site,
        path("unasked", Unasked.as_view(), name="unasked"),
        path("wrong", Wrong.as_view({"get": "list", "post": "send"}), name="wrong"),
        path("dropped", Dropped.as_view({"post": "send"}, permission_classes=[IsAuthenticated]), name="dropped"),
        path("combined", Combined.as_view(), name="combined"),
        path("turned", Turned.as_view(), name="turned"),
        path("fine", Fine.as_view(), name="fine"),
        path("limited", Limited.as_view(), name="limited"),
        path("dynamic", Dynamic.as_view(), name="dynamic"),
        UNGUARDED="refuse",
    )
    assert [line.partition("/")[2] for line in found] == [
        "unasked (unasked): required_features is never asked; permission_classes have no HasEntitlement",
        "unasked (unasked): nothing stands before it for GET, POST",
        "wrong (wrong): required_features, 'list': it needs 5; say a key, several, needs(...), or exempt",
        "wrong (wrong): required_features has a line for 'sned', which it has no action for; did you mean 'send'?",
        "wrong (wrong): the catalog has no module 'crn'; did you mean 'crm'?",
        "dropped (dropped): required_features is never asked; permission_classes have no HasEntitlement",
        "dropped (dropped): nothing stands before it for POST",
        "combined (combined): HasEntitlement stands before a |, and what it refuses is answered at once; write it last",
        "turned (turned): HasEntitlement stands behind a ~; whoever may not pass is refused at once, and the "
        "others by that",
        "limited (limited): the catalog has no rate limit 'apy'; did you mean 'api'?",
        "limited (limited): EntitlementThrottle: Limited names no rate_limit for 'post', nor does PAYAID['RATE_LIMIT']",
    ]


def test_the_framework_is_named_where_it_is_missing(monkeypatch):
    import importlib
    import sys

    monkeypatch.delitem(sys.modules, "payaid_entitlements.web.django.rest")
    monkeypatch.setitem(sys.modules, "rest_framework", None)
    monkeypatch.delitem(sys.modules, "rest_framework.permissions")
    with pytest.raises(ModuleNotFoundError, match="pip install djangorestframework"):
        importlib.import_module("payaid_entitlements.web.django.rest")
