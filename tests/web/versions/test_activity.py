"""Which tenant uses which version on which day is remembered, by whoever is found in a request."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

from collections.abc import Callable
from datetime import date, timedelta
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from payaid_entitlements import Entitlements, TenantView, current_tenant
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.stores.activity import Seen, Sighting
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.web.asgi import EntitlementsMiddleware as ForAsgi
from payaid_entitlements.web.fastapi import Gate
from payaid_entitlements.web.tenancy import Tenancy, by
from payaid_entitlements.web.versions import ApiVersions, Version, asgi, wsgi
from payaid_entitlements.web.wsgi import EntitlementsMiddleware as ForWsgi
from tests.web.conftest import CATALOG
from tests.web.versions.test_middleware import Asgi, Wsgi

VERSIONS = ApiVersions([Version("1"), Version("2")], default="oldest")
ACME = Tenancy(by(lambda _: "acme"))


def over_asgi(ent: Entitlements) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        binding: Any = CURRENT.get()
        view = await binding.found_async()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": view.tenant.encode()})

    return Asgi(ForAsgi(app, ent, tenant=ACME), versions=VERSIONS).ask(("x-api-version", "2"))[2]


def over_wsgi(ent: Entitlements) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        # Found while the body is read, long after the app has returned.
        return (current_tenant().tenant.encode() for _ in range(1))

    return Wsgi(ForWsgi(app, ent, tenant=ACME), versions=VERSIONS).ask(("x-api-version", "2"))[2]


def over_fastapi(ent: Entitlements) -> Any:
    gate = Gate(ent, tenant=ACME)
    app = FastAPI()

    @app.get("/")
    async def whose(view: Annotated[TenantView, gate.tenant]) -> str:
        return view.tenant

    gate.init_app(app)
    app.add_middleware(asgi.VersionsMiddleware, versions=VERSIONS, observer=ent.observer)
    with TestClient(app) as client:
        body = client.get("/", headers={"X-API-Version": "2"}).content
    assert ent.counts["api_version", "2", "asked"]
    return body.strip(b'"')


def sightings(ent: Entitlements, store: MemoryStore) -> list[Sighting]:
    ent.close()
    today = date.today()
    found = store.activity.of("acme", today - timedelta(days=2), today + timedelta(days=2))
    return [each for each in found if each.kind is Seen.API_VERSION]


@pytest.mark.parametrize("ask", [over_asgi, over_wsgi, over_fastapi])
def test_it_is_remembered(ask: Callable[[Entitlements], bytes]) -> None:
    store = MemoryStore()
    ent = Entitlements(store, catalog=CATALOG)
    ent.admin("tests").publish(CATALOG)
    for _ in range(2):
        assert ask(ent) == b"acme"
    assert [each.key for each in sightings(ent, store)] == ["2"]


def test_without_versions_nothing_is() -> None:
    store = MemoryStore()
    ent = Entitlements(store, catalog=CATALOG)
    ent.admin("tests").publish(CATALOG)
    with ent.bind("acme"):
        assert current_tenant().tenant == "acme"
    assert sightings(ent, store) == []


def test_who_is_not_asked_about_is_not_remembered() -> None:
    store = MemoryStore()
    ent = Entitlements(store, catalog=CATALOG)
    app = wsgi.VersionsMiddleware(ForWsgi(lambda environ, start: [b"x"], ent, tenant=ACME), VERSIONS)
    assert list(app({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: lambda _: None)) == [b"x"]
    assert sightings(ent, store) == []
