"""The middlewares: what the app is told, what the client is told, and that nothing else changes on the way."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import asyncio
import json
from datetime import UTC, date, datetime
from typing import Annotated, Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from payaid_entitlements.core.observing import Tally
from payaid_entitlements.errors import ConfigurationError, TenantConflict, TenantUnidentified, UnknownApiVersion
from payaid_entitlements.web.needs import Needs, ask, ask_async
from payaid_entitlements.web.routing import needs
from payaid_entitlements.web.tenancy import Tenancy, by, state, subdomain
from payaid_entitlements.web.versions import ApiVersions, Version, asgi, current_version, header, path, wsgi
from payaid_entitlements.web.versions.current import CURRENT_VERSION

NOW = datetime(2026, 9, 21, 14, tzinfo=UTC)
OLD = Version("1", deprecated=date(2026, 1, 1), sunset=date(2027, 1, 1), notes="https://example.com/move")
ENDED = Version("0", sunset=date(2026, 1, 1))
NEW = Version("2")


def api(**more: Any) -> ApiVersions:
    return ApiVersions([ENDED, OLD, NEW], **{"default": "newest", "now": lambda: NOW, "by": (header(), path()), **more})


VERSIONS = api()


class Asgi:
    """Calls an app of ASGI, and keeps what it sent."""

    def __init__(self, app: Any, **more: Any) -> None:
        self.counts = Tally()
        self.app = asgi.VersionsMiddleware(app, more.pop("versions", VERSIONS), observer=self.counts, **more)

    def ask(self, *fields: tuple[str, str], **scope: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        sent = self.messages(*fields, **scope)
        headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])

    def messages(self, *fields: tuple[str, str], **scope: Any) -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        headers = [(name.encode(), value.encode()) for name, value in fields]
        full = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers, **scope}
        asyncio.run(self.app(full, receive, send))
        return sent


class Wsgi:
    """Calls an app of WSGI, and keeps what it began with and what it gave."""

    def __init__(self, app: Any, **more: Any) -> None:
        self.counts = Tally()
        self.app = wsgi.VersionsMiddleware(app, more.pop("versions", VERSIONS), observer=self.counts, **more)

    def ask(self, *fields: tuple[str, str], **environ: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        begun: list[Any] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            begun.append((int(status[:3]), [(name.lower(), value) for name, value in headers]))

        full = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields}
        full |= {"PATH_INFO": environ.pop("path", "/"), "REQUEST_METHOD": environ.pop("method", "GET"), **environ}
        setup_testing_defaults(full)
        body = self.app(full, start)
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        assert CURRENT_VERSION.get() is None
        return *begun[-1], content


async def plain_asgi(scope: Any, receive: Any, send: Any) -> None:
    VERSIONS.since("1").require()
    headers = [(b"vary", b"Cookie")] if scope["path"] != "/own" else [(b"sunset", b"never")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": current_version().name.encode(), "more_body": True})
    if scope["path"] == "/late":
        VERSIONS.since("2").require()
    await send({"type": "http.response.body", "body": current_version().name.encode()})


def plain_wsgi(environ: Any, start_response: Any) -> Any:
    VERSIONS.since("1").require()
    start_response("200 OK", [("Sunset", "never")] if environ["PATH_INFO"] == "/own" else [("Vary", "Cookie")])
    if environ["PATH_INFO"] == "/list":
        return [current_version().name.encode()] * 2
    if environ["PATH_INFO"] == "/late":
        VERSIONS.since("2").require()
    return (current_version().name.encode() for _ in range(2))


BOTH = pytest.mark.parametrize("client", [Asgi(plain_asgi), Wsgi(plain_wsgi)], ids=["asgi", "wsgi"])


@BOTH
def test_the_app_and_the_client_know_the_version(client: Any) -> None:
    status, headers, body = client.ask(("x-api-version", "2"))
    assert (status, body) == (200, b"22")
    assert headers == [("vary", "Cookie"), ("x-api-version", "2"), ("vary", "X-API-Version")]


@BOTH
def test_what_is_deprecated_says_so(client: Any) -> None:
    status, headers, body = client.ask(path="/v1/x")
    assert (status, body) == (200, b"11")
    assert headers[1:] == [
        ("x-api-version", "1"),
        ("deprecation", "@1767225600"),
        ("sunset", "Fri, 01 Jan 2027 00:00:00 GMT"),
        (
            "link",
            '<https://example.com/move>; rel="deprecation"; type="text/html", '
            '<https://example.com/move>; rel="sunset"; type="text/html"',
        ),
        ("vary", "X-API-Version"),
        ("link", '</v2/x>; rel="successor-version"'),
    ]


@BOTH
def test_what_the_app_says_itself_counts(client: Any) -> None:
    _, headers, _ = client.ask(("x-api-version", "1"), path="/own")
    assert [value for name, value in headers if name == "sunset"] == ["never"]


@BOTH
@pytest.mark.parametrize(("asked", "expected"), [("9", 400), ("0", 410), ("1,2", 400)])
def test_what_cannot_be_had_is_refused_before_the_app(client: Any, asked: str, expected: int) -> None:
    status, headers, body = client.ask(("x-api-version", asked), ("accept-language", "de"))
    named = dict(headers)
    assert status == expected
    assert (named["content-type"], named["content-language"]) == ("application/problem+json", "de")
    assert b'"versions": ["1", "2"]' in body
    assert headers[-1] == ("vary", "X-API-Version")
    assert int(named["content-length"]) == len(body)
    assert "x-api-version" not in named


@BOTH
def test_to_head_it_is_refused_without_a_body(client: Any) -> None:
    status, headers, body = client.ask(("x-api-version", "9"), method="HEAD")
    assert (status, body) == (400, b"")
    assert int(dict(headers)["content-length"]) > 0


def test_requests_are_counted_by_version() -> None:
    for client in (Asgi(plain_asgi), Wsgi(plain_wsgi)):
        for asked in ("1", "2", "2", "9"):
            client.ask(("x-api-version", asked))
        client.ask()
        assert client.counts.counts() == {
            ("api_version", "1", "asked"): 1,
            ("api_version", "2", "asked"): 2,
            ("api_version", "2", "default"): 1,
            ("api_version.refused", "unknown"): 1,
        }


def lacking_asgi() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        VERSIONS.since("2").require()

    return Asgi(app)


def lacking_wsgi() -> Any:
    return Wsgi(lambda environ, start_response: VERSIONS.since("2").require())


@pytest.mark.parametrize("client", [lacking_asgi(), lacking_wsgi()], ids=["asgi", "wsgi"])
def test_a_route_that_a_version_does_not_have_is_not_there(client: Any) -> None:
    status, headers, body = client.ask(("x-api-version", "1"))
    assert status == 404
    assert b'"versions": ["2"]' in body
    assert ("x-api-version", "1") in headers
    assert client.counts.counts()["api_version.refused", "absent"] == 1


def test_in_asgi_what_was_begun_is_not_answered_twice() -> None:
    with pytest.raises(UnknownApiVersion):
        Asgi(plain_asgi).ask(("x-api-version", "1"), path="/late")


def test_in_wsgi_what_was_begun_may_still_be_replaced() -> None:
    assert Wsgi(plain_wsgi).ask(("x-api-version", "1"), path="/late")[0] == 404


def test_in_wsgi_an_app_that_is_a_generator_is_answered_for_too() -> None:
    """It runs when its body is read; what it has sent by then cannot be taken back."""
    only = VERSIONS.since("2")

    def late(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/sent":
            yield b"a part"
        yield b""
        only.require()
        yield b"all"

    client = Wsgi(late)
    status, headers, body = client.ask(("x-api-version", "1"))
    assert (status, json.loads(body)["reason"]) == (404, "version.absent")
    assert dict(headers)["content-length"] == str(len(body))
    assert client.ask(("x-api-version", "1"), REQUEST_METHOD="HEAD")[::2] == (404, b"")
    assert client.ask(("x-api-version", "2"))[::2] == (200, b"all")
    with pytest.raises(UnknownApiVersion):
        client.ask(("x-api-version", "1"), PATH_INFO="/sent")


def test_lists_and_files_go_to_the_server_as_they_are() -> None:
    client = Wsgi(plain_wsgi)
    assert client.ask(path="/list")[2] == b"22"
    file = FileWrapper(open(__file__, "rb"))  # noqa: SIM115
    passed = wsgi.VersionsMiddleware(lambda environ, start_response: file, VERSIONS)
    assert passed({"wsgi.file_wrapper": FileWrapper, "PATH_INFO": "/"}, lambda *_: lambda _: None) is file
    file.filelike.close()


def test_a_body_knows_the_version_until_it_is_closed() -> None:
    said: list[str] = []

    class Body:
        def __iter__(self) -> Any:
            return iter([b"x"])

        def close(self) -> None:
            said.append(current_version().name)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body()

    assert Wsgi(app).ask(("x-api-version", "1"))[2] == b"x"
    assert said == ["1"]


# Whose request it is


def test_a_tenant_gets_what_it_is_pinned_to() -> None:
    pinned = api(pinned={"acme": "1"}.get)
    assert Asgi(plain_asgi, versions=pinned, tenant=Tenancy(by(lambda scope: "acme"))).ask()[2] == b"11"
    assert Asgi(plain_asgi, versions=pinned, tenant=lambda scope: scope["org"]).ask(org="acme")[2] == b"11"
    assert Wsgi(plain_wsgi, versions=pinned, tenant=Tenancy(by(lambda _: "acme"))).ask()[2] == b"11"
    assert Wsgi(plain_wsgi, versions=pinned, tenant=lambda _: None).ask()[2] == b"22"


def test_a_tenant_may_be_found_by_a_coroutine_in_asgi_alone() -> None:
    async def whose(native: Any) -> str:
        return "acme"

    pinned = api(pinned={"acme": "1"}.get)
    assert Asgi(plain_asgi, versions=pinned, tenant=whose).ask()[2] == b"11"
    with pytest.raises(TypeError, match="nothing can in WSGI"):
        Wsgi(plain_wsgi, versions=pinned, tenant=whose).ask()


@pytest.mark.parametrize(
    ("tenancy", "status"),
    [
        (Tenancy(by(lambda _: "acme"), beside=[subdomain(of="example.com")]), 403),
        (Tenancy(by(lambda _: "None")), 401),
    ],
)
def test_a_request_of_two_or_of_nobody_is_refused(tenancy: Tenancy, status: int) -> None:
    pinned = api(pinned={"acme": "1"}.get)
    host = ("host", "evil.example.com")
    assert Asgi(plain_asgi, versions=pinned, tenant=tenancy).ask(host)[0] == status
    assert Wsgi(plain_wsgi, versions=pinned, tenant=tenancy).ask(host)[0] == status


@pytest.mark.parametrize("error", [TenantConflict({"a": "b"}), TenantUnidentified("nobody")])
def test_who_was_refused_inside_is_answered_by_who_knows_the_tenant(error: Exception) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        Asgi(app).ask()


def test_pins_need_somebody_who_says_whose_a_request_is() -> None:
    for middleware in (asgi.VersionsMiddleware, wsgi.VersionsMiddleware):
        with pytest.raises(ConfigurationError, match="tenant=Tenancy"):
            middleware(plain_asgi, api(pinned={"acme": "1"}.get))


# Websockets, lifespan


def test_websockets_have_versions_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        VERSIONS.since("1").require()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": current_version().name})

    client = Asgi(app)
    sent = client.messages(type="websocket", path="/v2/live")
    assert (b"x-api-version", b"2") in sent[0]["headers"]
    assert sent[1]["text"] == "2"
    closed = client.messages(type="websocket", path="/v9/live")
    assert closed == [{"type": "websocket.close", "code": 1008, "reason": "version.unknown"}]
    denied = client.messages(type="websocket", path="/v0/live", extensions={"websocket.http.response": {}})
    assert [message["type"] for message in denied] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert denied[0]["status"] == 410


def test_everything_else_passes() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    assert Asgi(app).messages(type="lifespan") == []
    assert seen == ["lifespan"]


# Frameworks, tables of routes


def test_requests_at_the_same_time_know_each_its_own_version() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            scope["seen"].add(current_version().name)

    async def all_at_once() -> list[tuple[str, set[str]]]:
        middleware = asgi.VersionsMiddleware(app, VERSIONS)
        asked = [(str(number % 2 + 1), set[str]()) for number in range(40)]
        await asyncio.gather(
            *(
                middleware({"type": "http", "path": f"/v{name}", "headers": [], "seen": seen}, None, None)
                for name, seen in asked
            )
        )
        return asked

    assert all(seen == {name} for name, seen in asyncio.run(all_at_once()))


def test_routes_of_fastapi_are_there_in_their_versions() -> None:
    app = FastAPI()

    @app.get("/invoices")
    async def invoices(version: Annotated[Version, Depends(VERSIONS.since("2").dependency)]) -> str:
        return version.name

    @app.get("/older")
    @VERSIONS.until("2")
    def older() -> str:
        return current_version().name

    @app.get("/forgotten", dependencies=[Depends(VERSIONS.since("2"))])
    async def forgotten() -> str:
        return "secret"

    app.add_middleware(asgi.VersionsMiddleware, versions=VERSIONS)
    with TestClient(app) as client:
        assert client.get("/invoices").json() == "2"
        refused = client.get("/invoices", headers={"X-API-Version": "1"})
        assert (refused.status_code, refused.json()["versions"]) == (404, ["2"])
        assert client.get("/older", headers={"X-API-Version": "1"}).json() == "1"
        assert client.get("/older").status_code == 404
        assert client.get("/forgotten").status_code == 422


def test_around_a_whole_framework_a_range_is_answered_too() -> None:
    app = FastAPI()

    @app.get("/older")
    @VERSIONS.until("2")
    async def older() -> str:
        return current_version().name

    @app.get("/broken")
    async def broken() -> str:
        raise RuntimeError("a mistake of the app")

    with TestClient(asgi.VersionsMiddleware(app, VERSIONS), raise_server_exceptions=False) as client:
        assert client.get("/older").status_code == 404
        assert client.get("/broken").status_code == 500


def test_an_app_that_answers_a_range_itself_with_an_error_is_heard() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            VERSIONS.since("2").require()
        except UnknownApiVersion:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"mine"})

    status, headers, body = Asgi(app).ask(("x-api-version", "1"))
    assert (status, body) == (503, b"mine")
    assert ("x-api-version", "1") in headers


def test_a_table_of_routes_knows_versions() -> None:
    needed = needs(versions=VERSIONS.since("2")) + needs("crm", versions=VERSIONS.since("1"))
    assert len(needed.versions) == 2
    binding: Any = None
    token = CURRENT_VERSION.set(OLD)
    alone = Needs(versions=needed.versions[:1])
    with pytest.raises(Exception, match="absent"):
        ask(binding, needed)
    with pytest.raises(Exception, match="absent"):
        asyncio.run(ask_async(binding, needed))
    CURRENT_VERSION.reset(token)
    token = CURRENT_VERSION.set(NEW)
    ask(binding, alone)
    asyncio.run(ask_async(binding, alone))
    CURRENT_VERSION.reset(token)


def test_claims_of_the_state_are_found_behind_a_login() -> None:
    pinned = api(pinned={"acme": "1"}.get)
    client = Asgi(plain_asgi, versions=pinned, tenant=Tenancy(by(state("org"))))
    assert client.ask(state={"org": "acme"})[2] == b"11"
    assert client.ask()[2] == b"22"
