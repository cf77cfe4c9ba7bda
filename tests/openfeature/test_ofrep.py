"""The OFREP server: what it answers, to whom, and what it makes of those who mean harm."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from payaid_entitlements.core.flags.details import FlagDetails, FlagError, FlagReason
from payaid_entitlements.core.flags.model import FlagType, Rule, Test
from payaid_entitlements.errors import Refused, TenantUnidentified
from payaid_entitlements.web.ofrep import Caller, app
from payaid_entitlements.web.ofrep.answers import Written
from tests.openfeature.stage import FLAGS, HALF, ON_OFF, Stage, a_flag
from tests.openfeature.wire import PATH, asgi, by_header, http, post, post_async


def about(**context: Any) -> dict[str, Any]:
    return {"context": context}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Nothing is changed on it; whoever changes something takes `own`."""
    made = Stage()
    yield made
    made.close()


@pytest.fixture
def own() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.fixture
def served(stage):
    return app(stage.ent, authenticate=by_header)


# -- what it answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("plain", {"value": True, "reason": "STATIC", "variant": "on", "metadata": {"team": "growth"}}),
        ("theme", {"value": "white", "reason": "STATIC", "variant": "light"}),
        ("size", {"value": 10, "reason": "STATIC", "variant": "small"}),
        ("layout", {"value": {"columns": [1, 2]}, "reason": "STATIC", "variant": "wide"}),
        ("for-pro", {"value": False, "reason": "DEFAULT", "variant": "off"}),
        ("off", {"reason": "DISABLED", "variant": ""}),
        ("callers", {"reason": "DEFAULT", "variant": ""}),
    ],
)
def test_one_flag(served, key, says):
    answer = post(served, f"{PATH}/{key}")

    assert (answer.status, answer.json()) == (200, {"key": key, **says})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("key", "text"), [("ratio", b'"value":1.0'), ("whole", b'"value":1.0'), ("size", b'"value":10')]
)
def test_a_float_is_written_as_one(served, key, text):
    """
    Clients tell it from an integer by nothing else.
    """
    assert text in post(served, f"{PATH}/{key}").content


def test_a_flag_that_there_is_not(served):
    answer = post(served, f"{PATH}/nothing/at all")

    assert answer.status == 404
    assert answer.json() == {
        "key": "nothing/at all",
        "errorCode": "FLAG_NOT_FOUND",
        "errorDetails": "There is no such flag.",
    }


def test_a_flag_that_is_broken_fails_alone_and_tells_nothing_of_its_rules(served):
    answer = post(served, f"{PATH}/broken")

    assert (answer.status, answer.json()["errorCode"]) == (400, "PARSE_ERROR")
    assert b"secretly" not in answer.content
    both = post(served, PATH)
    assert both.status == 200
    assert b"secretly" not in both.content


def test_all_flags_in_the_order_of_their_keys(served):
    answer = post(served, PATH)

    assert answer.status == 200
    flags = answer.json()["flags"]
    assert [each["key"] for each in flags] == sorted(FLAGS)
    for each in flags:
        assert each == post(served, f"{PATH}/{each['key']}").json()


def test_only_flags_that_may_be_asked_exist(stage):
    some = app(stage.ent, authenticate=by_header, flags=["plain", "size"])

    assert [each["key"] for each in post(some, PATH).json()["flags"]] == ["plain", "size"]
    assert post(some, f"{PATH}/theme").status == 404
    assert post(some, f"{PATH}/size").status == 200
    with pytest.raises(TypeError, match=r"give several keys, such as \['plain'\]"):
        app(stage.ent, authenticate=by_header, flags="plain")


def test_reasons_that_the_schema_forgot_can_be_left_out(stage, served):
    strict = app(stage.ent, authenticate=by_header, strict_reasons=True)

    assert post(served, f"{PATH}/for-pro").json()["reason"] == "DEFAULT"
    assert post(strict, f"{PATH}/for-pro").json()["reason"] == "UNKNOWN"
    assert post(strict, f"{PATH}/plain").json()["reason"] == "STATIC"


def test_what_json_has_no_word_for_is_that_flags_error():
    written = Written(is_strict=False)
    details = FlagDetails("huge", float("inf"), "on", FlagReason.STATIC)

    assert json.loads(written.of(details, FlagType.FLOAT))["errorCode"] == "GENERAL"


def test_what_is_kept_of_answers_is_bounded(monkeypatch):
    monkeypatch.setattr("payaid_entitlements.web.ofrep.answers.MOST", 3)
    written = Written(is_strict=False)
    for number in range(10):
        details = FlagDetails(f"f{number}", None, None, FlagReason.ERROR, None, FlagError.PROVIDER_NOT_READY, "secret")
        said = json.loads(written.of(details, FlagType.BOOLEAN))
        assert said == {"key": f"f{number}", "errorCode": "GENERAL", "errorDetails": "The flag cannot be evaluated."}
        assert written.of(details, FlagType.BOOLEAN) is written.of(details, FlagType.BOOLEAN)
        assert len(written._kept) <= 3


# -- whom it believes -------------------------------------------------------------------------------------------------


def test_the_tenant_is_the_logins_and_never_the_requests(served):
    assert post(served, f"{PATH}/for-pro", about(targetingKey="pro", tenant="pro", plan="pro")).json()["value"] is False
    assert post(served, f"{PATH}/for-pro", about(), x_tenant="pro").json()["value"] is True


LOGINS = {"tenant": Caller("free"), "user": Caller("free", "bob"), "visitor": Caller(None)}


@pytest.mark.parametrize("caller", LOGINS.values(), ids=LOGINS)
def test_the_user_is_the_logins_and_never_the_requests(stage, caller):
    served = app(stage.ent, authenticate=lambda scope: caller)
    ann = app(stage.ent, authenticate=lambda scope: ("free", "ann"))

    for claim in (about(targetingKey="ann"), about(user="ann"), about(targetingKey="ann", user="ann")):
        assert post(served, f"{PATH}/for-ann", claim).json()["value"] is False
    assert post(ann, f"{PATH}/for-ann", about(targetingKey="bob", user="bob")).json()["value"] is True


@pytest.mark.parametrize(
    ("path", "claim", "said"),
    [
        ("tenant", "pro", {"tenant": "pro"}),
        ("user", "ann", {"user": "ann"}),
        ("plan", "pro", {"plan": "pro"}),
        ("state", "active", {"state": "active"}),
        ("modules", "hr", {"modules": ["hr"]}),
        ("tenant.name", "pro", {"tenant": {"name": "pro"}, "tenant.name": "pro"}),
        # What this host knows.
        ("role", "staff", {"role": "staff"}),
    ],
)
@pytest.mark.parametrize("caller", LOGINS.values(), ids=LOGINS)
def test_what_the_server_knows_no_request_can_say(own, caller, path, claim, said):
    """Nor where the server knows that there is none."""
    test = Test(path, "contains" if path == "modules" else "eq", claim)
    own.put({"claimed": a_flag("claimed", ON_OFF, "off", Rule("r", "on", test))})
    served = app(own.ent, authenticate=lambda scope: replace(caller, attributes={"role": "guest"}))

    assert post(served, f"{PATH}/claimed", about(**said)).json()["value"] is False
    assert post(served, f"{PATH}/claimed", about(targetingKey="ann", **said)).json()["value"] is False


def test_a_request_names_who_is_bucketed_and_nobody_else(own):
    """A percentage of users needs an id, and no login; whose own overrides there are, it does not choose."""
    served = app(own.ent, authenticate=lambda scope: "free")
    told: list[Any] = []

    class Sink:
        def expose(self, exposure: Any) -> None:
            told.append((exposure.targeting_key, exposure.user))

    own.ent.on_exposure(Sink())
    every = {str(number): post(served, f"{PATH}/by-user", about(targetingKey=f"u{number}")) for number in range(20)}
    for number, answer in every.items():
        assert answer.json()["value"] is own.ent.tenant("free").flag("by-user", user=f"u{number}")
    assert {answer.json()["value"] for answer in every.values()} == {True, False}
    assert ("u1", None) in told

    # Nobody: the tenant's own id, and what is empty.
    for nobody in (about(), about(targetingKey="free"), about(targetingKey="")):
        assert post(served, f"{PATH}/by-user", nobody).json()["reason"] == "DEFAULT"


def test_a_request_chooses_nobodys_overrides(own):
    own.put({"with-hr": a_flag("with-hr", ON_OFF, "off", Rule("r", "on", Test("modules", "contains", "hr")))})
    own.ent.admin("test", because="test").override("free", "hr", True, user="ann")
    claiming = app(own.ent, authenticate=lambda scope: "free")
    verified = app(own.ent, authenticate=lambda scope: ("free", "ann"))

    assert post(claiming, f"{PATH}/with-hr", about(targetingKey="ann")).json()["value"] is False
    assert post(verified, f"{PATH}/with-hr", about()).json()["value"] is True


def test_buckets_of_other_kinds_take_the_key_of_a_request_too(own):
    """Arms, shares of groups and salted flags hash by another path than a plain percentage does."""
    salted = a_flag("salted", ON_OFF, "off", Rule("half", "on", rollout=HALF), bucket_by="user", salt="other")
    own.put({"salted": salted})
    served = app(own.ent, authenticate=lambda scope: "free")

    for number in range(20):
        answer = post(served, f"{PATH}/salted", about(targetingKey=f"u{number}"))
        assert answer.json()["value"] is own.ent.tenant("free").flag("salted", user=f"u{number}")


def test_what_the_host_knows_counts_over_what_a_request_says(stage):
    knows = app(stage.ent, authenticate=lambda scope: Caller("free", attributes={"country": "DE"}))

    assert post(knows, f"{PATH}/by-country", about(country="IN")).json()["value"] is False
    assert (
        post(app(stage.ent, authenticate=by_header), f"{PATH}/by-country", about(country="IN")).json()["value"] is True
    )


def test_of_a_visitor_nothing_that_is_sold_is_known(stage):
    visitors = app(stage.ent, authenticate=lambda scope: Caller(None))

    assert post(visitors, f"{PATH}/for-pro", about(targetingKey="pro")).json()["value"] is False
    assert post(visitors, f"{PATH}/new-checkout", about()).json()["value"] is False
    assert post(visitors, f"{PATH}/by-country", about(country="IN")).json()["value"] is True
    by_user = {post(visitors, f"{PATH}/by-user", about(targetingKey=f"u{each}")).json()["value"] for each in range(9)}
    assert by_user == {True, False}
    named = app(stage.ent, authenticate=lambda scope: Caller(None, "ann"))
    assert post(named, f"{PATH}/for-ann", about(targetingKey="bob")).json()["value"] is True


class Says(Exception):  # as HTTPException of Starlette
    def __init__(self, status_code: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__("internal: db.internal:5432")
        self.status_code, self.headers = status_code, headers


def raising(error: BaseException) -> Callable[[Any], Any]:
    def login(scope: Any) -> Any:
        raise error

    return login


@pytest.mark.parametrize(
    ("login", "status"),
    [
        (lambda scope: None, 401),
        (lambda scope: "", 401),
        (lambda scope: "None", 401),
        (lambda scope: ("free", "undefined"), 401),
        (raising(TenantUnidentified("who?")), 401),
        (raising(Says(401)), 401),
        (raising(PermissionError("no")), 403),
        (raising(Says(403)), 403),
        (raising(Says(429, {"Retry-After": "7"})), 429),
        (raising(Says(418)), 500),
        (raising(ValueError("db.internal:5432")), 500),
        (lambda scope: 7, 500),
    ],
)
@pytest.mark.parametrize("path", [PATH, f"{PATH}/plain"])
def test_who_is_not_let_in_learns_no_more_than_that(stage, path, login, status):
    answer = post(app(stage.ent, authenticate=login), path)

    assert answer.status == status
    assert b"internal" not in answer.content
    if status == 500:
        assert answer.json() == {"errorDetails": "The flags cannot be evaluated at the moment."}
    else:
        assert answer.content == b""
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)


def test_a_login_may_be_awaited(stage):
    async def login(scope: Any) -> Caller:
        await asyncio.sleep(0)
        return Caller("pro")

    assert post(app(stage.ent, authenticate=login), f"{PATH}/for-pro").json()["value"] is True


def test_a_quota_of_questions_says_when_to_come_again(own):
    numbers = itertools.count()

    def login(scope: Any) -> str:
        own.ent.consume("pro", "crm.calls", 60, operation=f"question-{next(numbers)}")
        return "pro"

    served = app(own.ent, authenticate=login)
    assert post(served, PATH).status == 200
    refused = post(served, PATH)

    assert (refused.status, refused.content) == (429, b"")
    assert 0 < int(refused.headers["retry-after"]) <= timedelta(days=31).total_seconds()


def test_who_is_not_entitled_is_forbidden(stage):
    def login(scope: Any) -> str:
        stage.ent.require("free", "hr.payroll")
        return "free"

    assert post(app(stage.ent, authenticate=login), PATH).status == 403
    assert issubclass(Refused, Exception)


# -- entity tags ------------------------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(own):
    served = app(own.ent, authenticate=by_header)
    first = post(served, PATH)
    etag = first.headers["etag"]

    again = post(served, PATH, if_none_match=etag)
    assert (again.status, again.content, again.headers["etag"]) == (304, b"", etag)
    assert "content-type" not in again.headers
    for named in (f"W/{etag}", f'"x", {etag}', "*"):
        assert post(served, PATH, if_none_match=named).status == 304
    assert post(served, PATH, if_none_match='"x"').status == 200

    own.put({"plain": a_flag("plain", ON_OFF, "off")})
    changed = post(served, PATH, if_none_match=etag)
    assert changed.status == 200
    assert changed.headers["etag"] != etag


def test_a_tag_is_of_the_context_and_the_same_in_every_process(stage, served):
    another = app(stage.client(), authenticate=by_header)

    assert post(served, PATH).headers["etag"] == post(another, PATH).headers["etag"]
    assert post(served, PATH).headers["etag"] != post(served, PATH, about(country="IN")).headers["etag"]
    assert post(served, PATH).headers["etag"] != post(served, PATH, x_tenant="pro").headers["etag"]


def test_what_a_trigger_says_in_the_query_changes_nothing(served):
    assert post(served, f"{PATH}?flagConfigEtag=1&flagConfigLastModified=2").content == post(served, PATH).content


# -- hostile and broken requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "PARSE_ERROR"),
        (b"{", 400, "PARSE_ERROR"),
        (b"\xff\xfe{}", 400, "PARSE_ERROR"),
        (b'{"context": {"a": NaN}}', 400, "PARSE_ERROR"),
        (b'{"context": {"a": ' + b"9" * 5000 + b"}}", 400, "PARSE_ERROR"),
        (b'{"context": {"targetingKey": "\\ud800"}}', 400, "PARSE_ERROR"),
        (b'{"context": {"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}}", 400, "PARSE_ERROR"),
        (b"[]", 400, "INVALID_CONTEXT"),
        (b'"context"', 400, "INVALID_CONTEXT"),
        (b'{"context": []}', 400, "INVALID_CONTEXT"),
        (b'{"context": null}', 400, "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', 400, "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": "' + b"x" * 70_000 + b'"}}', 413, "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": "None"}}', 400, "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": "a\\u0000b"}}', 400, "INVALID_CONTEXT"),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("path", [PATH, f"{PATH}/plain"])
def test_a_body_that_is_none_is_an_error_of_the_client(served, path, body, status, code):
    answer = post(served, path, body)

    assert (answer.status, answer.json()["errorCode"]) == (status, code)
    assert answer.json().get("key") == ("plain" if path != PATH else None)


def test_official_clients_leave_out_a_context_that_nobody_has_set(served):
    assert post(served, PATH, b"{}").content == post(served, PATH, about()).content


def test_escapes_that_are_whole_characters_pass(served):
    assert post(served, PATH, b'{"context": {"targetingKey": "\\u00e9\\ud83d\\ude00"}}').status == 200


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
    ],
)
def test_only_json_is_read_so_that_no_page_of_another_origin_can_ask_unasked(served, kind, status):
    assert post(served, PATH, content_type=kind).status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}/plain"])
def test_flags_are_asked_by_post(served, method, path):
    answer = post(served, path, method=method)

    assert (answer.status, answer.headers["allow"], answer.content) == (405, "POST", b"")


@pytest.mark.parametrize(
    "path", ["/", "/ofrep", "/ofrep/v1/evaluate", f"{PATH}/", f"{PATH}x", "/ofrep/v2/evaluate/flags", f"{PATH}/\udce9"]
)
def test_there_is_nothing_else_here(served, path):
    answer = post(served, path)

    assert (answer.status, answer.content) == (404, b"")


def test_nobodys_body_is_not_read(stage):
    sent: list[dict[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
    asyncio.run(app(stage.ent, authenticate=by_header)(scope, receive, send))
    assert sent[0]["status"] == 401


HTTP = http(PATH)


def test_a_body_in_pieces_is_bounded_too(served):
    piece = {"type": "http.request", "body": b" " * 40_000, "more_body": True}

    sent = asgi(served, HTTP, piece, piece)
    assert sent[0]["status"] == 413


def test_a_length_that_is_declared_is_believed_only_where_it_is_too_much(served):
    for declared, status in ((b"999999999", 413), (b"9" * 30, 200), (b"-5", 200)):
        scope = {**HTTP, "headers": [*HTTP["headers"], (b"content-length", declared)]}
        sent = asgi(served, scope, {"type": "http.request", "body": b'{"context":{}}', "more_body": False})
        assert sent[0]["status"] == status


def test_who_has_gone_away_gets_no_answer(served):
    assert asgi(served, HTTP, {"type": "http.disconnect"}) == []


@pytest.mark.parametrize(
    ("root", "path"), [("", PATH), ("/api", f"/api{PATH}"), ("/api", PATH)], ids=["alone", "mounted", "older server"]
)
def test_it_can_be_mounted_anywhere(served, root, path):
    scope = {**HTTP, "root_path": root, "path": f"{path}/plain"}

    sent = asgi(served, scope, {"type": "http.request", "body": b'{"context":{}}'})
    assert json.loads(sent[1]["body"])["key"] == "plain"


def test_a_header_that_is_repeated_counts_as_a_list(served):
    etag = post(served, PATH).headers["etag"].encode()
    scope = {**HTTP, "headers": [*HTTP["headers"], (b"if-none-match", b'"x"'), (b"if-none-match", etag)]}

    assert asgi(served, scope, {"type": "http.request", "body": b'{"context":{}}'})[0]["status"] == 304


def test_it_can_be_served_by_itself(served):
    sent = asgi(served, {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})

    assert [each["type"] for each in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_it_speaks_no_web_socket(served):
    assert asgi(served, {"type": "websocket"}) == [{"type": "websocket.close", "code": 1008}]


# -- outages, and clients of both colours -----------------------------------------------------------------------------


def test_in_an_outage_flags_are_those_that_were_last_known(own):
    served = app(own.ent, authenticate=by_header)
    known = post(served, PATH).content
    own.faults.is_down = True
    own.clock.advance(seconds=30)

    assert post(served, PATH).content == known
    assert post(app(own.ent, authenticate=lambda scope: Caller(None)), f"{PATH}/plain").json()["value"] is True


def test_where_nothing_is_known_the_client_keeps_what_it_has(own):
    """
    An empty list would take every flag away from it.
    """
    own.faults.is_down = True
    for login in (by_header, lambda scope: Caller(None)):
        answer = post(app(own.client(catalog=None), authenticate=login), PATH)
        assert answer.status == 500


def test_an_async_client_answers_the_same(own):
    served = app(own.ent, authenticate=by_header)
    expected = post(served, PATH, x_tenant="pro").content

    async def run(login: Any) -> bytes:
        async with own.async_client() as client:
            served = app(client, authenticate=login)
            first = await post_async(served, PATH, x_tenant="pro")
            assert first == await post_async(served, PATH, x_tenant="pro")
            return first.content

    assert asyncio.run(run(by_header)) == expected
    visitors = app(own.client(), authenticate=lambda scope: Caller(None))
    assert asyncio.run(run(lambda scope: Caller(None))) == post(visitors, PATH).content


def test_all_at_once_is_not_yet_shown_and_one_is(own):
    told: list[Any] = []

    class Sink:
        def expose(self, exposure: Any) -> None:
            told.append((exposure.flag, exposure.tenant))

    own.ent.on_exposure(Sink())
    served = app(own.ent, authenticate=by_header)

    post(served, PATH)
    assert told == []
    post(served, f"{PATH}/new-checkout")
    assert told == [("new-checkout", "free")]
