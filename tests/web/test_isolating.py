"""A module that is mounted as an app of its own fails by itself, over plain ASGI and WSGI."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
import weakref
from wsgiref.util import setup_testing_defaults

import pytest
from starlette.requests import ClientDisconnect

from payaid_entitlements.errors import ModuleFailed
from payaid_entitlements.web.boundary import MODULES
from payaid_entitlements.web.isolating import IsolatedASGI, IsolatedWSGI


@pytest.fixture(autouse=True)
def fresh():
    """No module has failed before."""
    MODULES.forget()


def asked(app, kind="http", method="GET", heard="request", into=None, **more):
    """What an app sends."""
    sent = [] if into is None else into

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": f"{kind}.{heard}"}

    headers = [(b"accept", b"application/json")]
    scope = {"type": kind, "method": method, "headers": headers, "path": "/", **more}
    asyncio.run(IsolatedASGI(app, "invoicing")(scope, receive, send))
    return sent


async def broken(scope, receive, send):
    raise OSError("disk of db-7 is full")


async def fine(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def half(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise OSError


def test_an_asgi_app_that_fails_is_answered_for():
    """By a document that names the module and nothing of what went wrong."""
    start, body = asked(broken)
    assert start["status"] == 500
    assert dict(start["headers"])[b"content-type"] == b"application/problem+json"
    said = json.loads(body["body"])
    assert (said["reason"], said["module"]) == ("module.failed", "invoicing")
    assert b"db-7" not in body["body"]


def test_head_is_answered_without_a_body():
    """RFC 9110 section 9.3.2."""
    assert asked(broken, method="HEAD")[1]["body"] == b""

    def app(environ, start_response):
        raise OSError

    environ = {"REQUEST_METHOD": "HEAD"}
    setup_testing_defaults(environ)
    begun = []
    assert b"".join(IsolatedWSGI(app, "hr")(environ, lambda *said: begun.append(said))) == b""
    assert begun[0][0] == "500 Internal Server Error"


@pytest.mark.parametrize("leaves", [False, True])
def test_a_websocket_that_has_ended_is_not_closed_again(leaves):
    """A server takes that for a mistake, and hides by it what went wrong."""

    async def app(scope, receive, send):
        if leaves:
            assert (await receive())["type"] == "websocket.disconnect"
        else:
            await send({"type": "websocket.close"})
        raise OSError

    sent = []
    with pytest.raises(ModuleFailed):
        asked(app, "websocket", heard="disconnect", into=sent)
    assert [each["type"] for each in sent] == ([] if leaves else ["websocket.close"])


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_client_that_has_gone_is_no_failure(kind):
    """Servers raise it where something is sent; whoever opens and leaves takes no module away from others."""
    gone = OSError("closed")

    async def send(message):
        raise gone

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def caught(scope, receive, send):
        with contextlib.suppress(OSError):
            await app(scope, receive, send)

    for _ in range(6):
        with pytest.raises(OSError, match="closed") as left:
            asyncio.run(IsolatedASGI(app, "invoicing")({"type": kind, "headers": []}, None, send))
        assert left.value is gone
    asyncio.run(IsolatedASGI(caught, "invoicing")({"type": kind, "headers": []}, None, send))
    assert asked(fine)[0]["status"] == 204


async def start(send):
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def leave(send):
    raise ClientDisconnect


async def lose(send):
    raise OSError("disk of db-7 is full")


def together(*steps):
    """What is raised through an app whose *steps* run at once, in groups, after their client has gone."""

    async def send(message):
        raise OSError("closed")

    async def app(scope, receive, send):
        async with asyncio.TaskGroup() as outer:
            outer.create_task(inner(send))

    async def inner(send):
        async with asyncio.TaskGroup() as tasks:
            for step in steps:
                tasks.create_task(step(send))

    with pytest.raises((ExceptionGroup, ModuleFailed)) as left:
        asyncio.run(IsolatedASGI(app, "invoicing")({"type": "http", "headers": []}, None, send))
    return left.value


@pytest.mark.parametrize("steps", [[start], [start, start], [start, leave]])
def test_a_client_that_has_gone_is_no_failure_of_tasks_either(steps):
    """They fail together, some by what the server raised and some by what their framework did."""
    for _ in range(6):
        assert isinstance(together(*steps), ExceptionGroup)
    assert asked(fine)[0]["status"] == 204


def test_what_fails_beside_a_client_that_has_gone_is_a_failure():
    """Also where it is an error of the kind that servers raise."""
    for _ in range(5):
        assert isinstance(together(start, lose), ModuleFailed)
    assert asked(fine)[0]["status"] == 503


class Closed(OSError):
    """One that can be watched."""


def test_an_app_that_goes_on_sending_to_nobody_fills_no_memory():
    """Of what it was told each time only the last is kept."""
    raised = []

    async def send(message):
        raised.append(weakref.ref(error := Closed()))
        raise error

    async def app(scope, receive, send):
        for _ in range(1000):
            with contextlib.suppress(OSError):
                await start(send)
        gc.collect()
        assert sum(each() is not None for each in raised) < 300
        await start(send)

    with pytest.raises(Closed):
        asyncio.run(IsolatedASGI(app, "invoicing")({"type": "http", "headers": []}, None, send))


def test_a_client_that_has_gone_is_no_sign_that_the_module_works_again(monkeypatch):
    """Else who opens and leaves would let everybody at what is down."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    async def send(message):
        raise OSError("closed")

    for _ in range(5):
        asked(broken)
    now[0] += 0.6
    with pytest.raises(OSError, match="closed"):
        asyncio.run(IsolatedASGI(fine, "invoicing")({"type": "http", "headers": []}, None, send))
    assert asked(broken)[0]["status"] == 500
    assert asked(fine)[0]["status"] == 503


def test_one_that_works_is_left_as_it_is():
    """Message by message."""
    assert [each["type"] for each in asked(fine)] == ["http.response.start", "http.response.body"]


def test_after_several_failures_it_is_not_asked():
    """503, and when to try again."""
    for _ in range(5):
        asked(broken)
    start, _ = asked(fine)
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"2"


def test_what_fails_when_its_response_has_begun_ends_the_connection():
    """A second response cannot be sent into the first one."""
    with pytest.raises(ModuleFailed):
        asked(half)


def test_a_websocket_is_closed():
    """With the code for what the server did not expect."""
    assert asked(broken, "websocket") == [{"type": "websocket.close", "code": 1011, "reason": "module.failed"}]


def test_a_websocket_that_is_not_open_is_answered_where_the_server_can():
    """Closing it then is a 403 of most servers, as if somebody had been forbidden something."""

    async def accepted(scope, receive, send):
        await send({"type": "websocket.accept"})
        raise OSError

    can = {"websocket.http.response": {}}
    start, body = asked(broken, "websocket", extensions=can)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 500)
    assert json.loads(body["body"])["reason"] == "module.failed"
    close = asked(accepted, "websocket", extensions=can)[1]
    assert close == {"type": "websocket.close", "code": 1011, "reason": "module.failed"}


def test_the_start_of_a_server_is_not_in_the_wall():
    """What fails then must keep it from starting."""
    with pytest.raises(OSError, match="disk"):
        asked(broken, "lifespan")


def called(app):
    """Status, fields and body of what a WSGI app gives."""
    started = []
    environ = {}
    setup_testing_defaults(environ)

    def start_response(status, headers, exc_info=None):
        started[:] = [status, dict(headers)]

    body = IsolatedWSGI(app, "invoicing")(environ, start_response)
    try:
        content = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return *started, content


def test_a_wsgi_app_that_fails_is_answered_for():
    """Also where it had begun to answer, or fails at the first piece of its body."""

    def at_once(environ, start_response):
        raise OSError("db-7")

    def late(environ, start_response):
        start_response("200 OK", [])
        raise OSError("db-7")

    def in_body(environ, start_response):
        start_response("200 OK", [])
        raise OSError("db-7")
        yield b""

    for app in (at_once, late, in_body):
        MODULES.forget()
        status, headers, content = called(app)
        assert status == "500 Internal Server Error"
        assert headers["Content-Length"] == str(len(content))
        assert json.loads(content)["module"] == "invoicing"
        assert b"db-7" not in content


def test_a_wsgi_app_that_works_is_left_as_it_is():
    """Its list is given on, its pieces too, and what it holds is let go of."""
    closed = []

    class Pieces:
        def __iter__(self):
            return iter([b"a", b"b"])

        def close(self):
            closed.append(1)

    def at_once(environ, start_response):
        start_response("200 OK", [])
        return [b"ab"]

    def in_pieces(environ, start_response):
        start_response("200 OK", [])
        return Pieces()

    assert called(at_once)[2] == called(in_pieces)[2] == b"ab"
    assert called(lambda environ, start_response: iter([b"x"]) if not start_response("200 OK", []) else [])[2] == b"x"
    assert closed == [1]
