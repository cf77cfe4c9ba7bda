"""A range inside of each framework that answers in WSGI; and the middleware by the book (PEP 3333)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web import exempt
from payaid_entitlements.web.versions import ApiVersions, Version, current_version
from payaid_entitlements.web.versions.wsgi import VersionsMiddleware
from tests.web.conftest import CATALOG

VERSIONS = ApiVersions([Version("1"), Version("2")], default="oldest")


def ask(app: Any, version: str) -> tuple[int, dict[str, str], bytes]:
    environ: dict[str, Any] = {"HTTP_X_API_VERSION": version, "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    begun: list[Any] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        begun.append((int(status[:3]), {name.lower(): value for name, value in headers}))
        return lambda data: None

    body = app(environ, start)
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return *begun[-1], content


@contextmanager
def flask(ent: Entitlements) -> Iterator[Any]:
    from flask import Flask

    from payaid_entitlements.web.flask import Gate

    app = Flask(__name__)

    @app.get("/")
    @exempt
    @VERSIONS.since("2")
    def newer() -> str:
        return current_version().name

    Gate(ent, tenant=lambda: None).init_app(app)
    yield app


@contextmanager
def django(ent: Entitlements) -> Iterator[Any]:
    from tests.project import begun

    begun()
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, HttpResponse
    from django.test import override_settings
    from django.urls import path

    @VERSIONS.since("2")
    def newer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(current_version().name)

    with override_settings(
        PAYAID={"CLIENT": ent, "TENANT": lambda request: None},
        ROOT_URLCONF=(path("", newer),),
        MIDDLEWARE=["payaid_entitlements.web.django.EntitlementsMiddleware"],
        ALLOWED_HOSTS=["*"],
    ):
        yield get_wsgi_application()


@pytest.mark.parametrize("framework", [flask, django])
def test_a_range_is_answered_in_the_framework(framework: Any) -> None:
    ent = Entitlements.open("memory://", catalog=CATALOG)
    with sandbox(ent), framework(ent) as inner:
        app = VersionsMiddleware(inner, VERSIONS)
        status, headers, body = ask(app, "2")
        assert (status, headers["x-api-version"], body) == (200, "2", b"2")
        status, headers, body = ask(app, "1")
        assert (status, headers["x-api-version"], headers["content-type"]) == (404, "1", "application/problem+json")
        assert b'"versions": ["2"]' in body


def test_what_the_book_demands_of_both_sides() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"first ")
        return iter([current_version().name.encode()])

    checked = validator(VersionsMiddleware(validator(app), VERSIONS))
    assert ask(checked, "2")[::2] == (200, b"2")
    assert ask(checked, "9")[0] == 400
