"""Each gate and middleware takes answers of the host's own: its words, its pages, its challenge."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from starlette.testclient import TestClient
from werkzeug.test import Client

from payaid_entitlements import Entitlements, current_tenant
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web import Answers, Words, asgi, fastapi, flask, wsgi

ANSWERS = Answers(
    challenge='Session realm="shop"',
    words=Words({"fr": {"tenant.unidentified": {"title": "Qui êtes-vous ?", "detail": "Connectez-vous."}}}),
    pages=lambda page: f"<h1>{page.title}</h1>",
)
FIELDS = {"Accept": "text/html", "Accept-Language": "fr"}


def by_asgi(ent: Entitlements) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        current_tenant()

    return TestClient(asgi.EntitlementsMiddleware(app, ent, tenant=lambda scope: None, answers=ANSWERS))


def by_wsgi(ent: Entitlements) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        current_tenant()

    return Client(wsgi.EntitlementsMiddleware(app, ent, tenant=lambda environ: None, answers=ANSWERS))


def by_fastapi(ent: Entitlements) -> Any:
    from fastapi import FastAPI

    gate = fastapi.Gate(ent, tenant=lambda: None, answers=ANSWERS)
    app = FastAPI()
    app.get("/", dependencies=[gate.tenant])(lambda: "in")
    gate.init_app(app)
    return TestClient(app)


def by_flask(ent: Entitlements) -> Any:
    gate = flask.Gate(ent, tenant=lambda: None, answers=ANSWERS)
    app = Flask(__name__)
    app.get("/")(lambda: gate.tenant().tenant)
    gate.init_app(app)
    return Client(app)


@pytest.mark.parametrize("client_of", [by_asgi, by_wsgi, by_fastapi, by_flask])
def test_what_the_host_says_is_said(client_of: Callable[[Entitlements], Any]) -> None:
    with Entitlements.open("memory://") as ent:
        answer = client_of(ent).get("/", headers=FIELDS)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Session realm="shop"'
    assert answer.headers["Content-Language"] == "fr"
    assert answer.text == "<h1>Qui êtes-vous ?</h1>"


@pytest.mark.parametrize("gate", [fastapi.Gate, flask.Gate])
def test_nobody_says_it_twice(gate: Any) -> None:
    with Entitlements.open("memory://") as ent, pytest.raises(ConfigurationError, match=r"answers=Answers\("):
        gate(ent, tenant=lambda: None, answers=ANSWERS, legacy_fields=True)
