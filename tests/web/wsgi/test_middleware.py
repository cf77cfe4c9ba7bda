"""The middleware for WSGI: bound while the app runs and while its body is read; what is refused is answered."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import gevent
import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements, current_tenant, require_feature, require_module
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.errors import ConfigurationError, NotEntitled, StoreUnavailable, TenantUnidentified
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web.routing import Routes, needs
from payaid_entitlements.web.taking import Takings, take
from payaid_entitlements.web.wsgi import EntitlementsMiddleware
from tests.web.flask.conftest import RICHER
from tests.web.wsgi.conftest import Served, served, tenant_of

PLAIN = [("Content-Type", "text/plain")]


@require_feature("crm.export")
def export() -> bytes:
    return b"exported"


def listed(environ, start_response):
    body = export()
    start_response("200 OK", PLAIN)
    return [body]


@pytest.fixture(autouse=True)
def _nothing_stays_bound():
    yield
    assert CURRENT.get() is None


@pytest.fixture
def quotas(clock):
    with sandbox(Entitlements.open("memory://", catalog=RICHER), clock=clock) as found:
        yield found.client


def behind(ent, app, **more):
    return EntitlementsMiddleware(validator(app), ent, tenant=tenant_of, **more)


@pytest.mark.parametrize(
    ("tenant", "status", "said"),
    [
        ("pro", "200 OK", b"exported"),
        ("free", "402 Payment Required", "plan.feature_absent"),
        ("suspended", "403 Forbidden", "subscription.suspended"),
        (None, "401 Unauthorized", "tenant.unidentified"),
        ("None", "401 Unauthorized", "tenant.unidentified"),
    ],
)
def test_guards_ask_about_the_tenant_of_the_request(ent, tenant, status, said):
    answer = served(behind(ent, listed), tenant=tenant)
    assert answer.status == status
    assert said == (answer.body if tenant == "pro" else json.loads(answer.body)["reason"])
    if tenant != "pro":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["content-length"] == str(len(answer.body))


def test_a_refusal_says_what_the_tenant_could_do(ent):
    body = json.loads(served(behind(ent, listed)).body)
    assert body["remedies"][0]["kind"] == "change_plan"


def test_nobody_is_looked_for_before_somebody_asks(ent):
    def login_inside(environ, start_response):
        environ["HTTP_X_TENANT"] = "pro"
        return listed(environ, start_response)

    assert served(behind(ent, login_inside), tenant=None).body == b"exported"

    def public(environ, start_response):
        start_response("200 OK", PLAIN)
        return [b"open"]

    assert served(behind(ent, public), tenant=None).body == b"open"


def test_a_head_is_refused_as_a_get_without_its_body(ent):
    get, head = served(behind(ent, listed)), served(behind(ent, listed), method="HEAD")
    assert (head.status, head.headers.keys(), head.body) == (get.status, get.headers.keys(), b"")
    assert head.headers["content-length"] == get.headers["content-length"]


# -- bodies --------------------------------------------------------------------------------------------------------


def test_the_context_holds_while_a_body_is_read_and_closed(ent):
    seen: list[str] = []

    class Body:
        def __iter__(self):
            seen.append(f"iter {current_tenant().tenant}")
            yield b"a"
            seen.append(f"next {current_tenant().tenant}")
            yield b"b"

        def close(self):
            seen.append(f"close {current_tenant().tenant}")

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return Body()

    assert served(behind(ent, app), tenant="pro").body == b"ab"
    assert seen == ["iter pro", "next pro", "close pro"]


def test_nothing_is_read_ahead(ent):
    made: list[int] = []

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    body = EntitlementsMiddleware(app, ent, tenant=tenant_of)({"REQUEST_METHOD": "GET"}, lambda *_: None)
    assert made == []
    pieces = iter(body)
    assert (next(pieces), made) == (b"0", [0])
    assert (next(pieces), made) == (b"1", [0, 1])


def test_a_refusal_before_the_first_byte_replaces_what_was_begun(ent):
    closed: list[bool] = []

    def app(environ, start_response):
        try:
            start_response("200 OK", PLAIN)
            yield b""
            yield export()
        finally:
            closed.append(True)

    answer = served(behind(ent, app))
    assert answer.status == "402 Payment Required"
    assert json.loads(answer.body)["reason"] == "plan.feature_absent"
    assert closed == [True]
    assert served(behind(ent, app), method="HEAD").status == "402 Payment Required"


def test_a_refusal_in_a_list_app_after_it_has_begun_replaces_it(ent):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return [export()]

    assert served(behind(ent, app)).status == "402 Payment Required"


def test_a_generator_app_that_is_refused_at_its_first_step_is_answered(ent):
    def app(environ, start_response):
        body = export()
        start_response("200 OK", PLAIN)
        yield body

    assert served(behind(ent, app)).status == "402 Payment Required"
    assert served(behind(ent, app), tenant="pro").body == b"exported"


def test_after_the_first_byte_the_server_breaks_off(ent):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        yield b"some"
        yield export()

    answer = served(behind(ent, app))
    assert (answer.status, answer.body) == ("200 OK", b"some")
    assert isinstance(answer.error, NotEntitled)


def test_write_is_the_servers_own(ent):
    def app(environ, start_response):
        write = start_response("200 OK", PLAIN)
        write(current_tenant().tenant.encode())
        return [b"!"]

    assert served(behind(ent, app), tenant="pro").body == b"pro!"

    def refused(environ, start_response):
        start_response("200 OK", PLAIN)(b"some")
        return [export()]

    answer = served(behind(ent, refused))
    assert answer.body == b"some"
    assert isinstance(answer.error, NotEntitled)


def test_a_response_that_is_begun_twice_is_the_servers_to_refuse(ent):
    def twice(environ, start_response):
        start_response("200 OK", PLAIN)
        start_response("200 OK", PLAIN)
        return [b""]

    with pytest.raises(AssertionError, match="begun twice"):
        Served(EntitlementsMiddleware(twice, ent, tenant=tenant_of))

    def corrected(environ, start_response):
        start_response("200 OK", PLAIN)
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Oops", PLAIN, sys.exc_info())
        yield b"oops"
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Too late", PLAIN, sys.exc_info())

    answer = served(behind(ent, corrected))
    assert (answer.status, answer.body) == ("500 Oops", b"oops")
    assert isinstance(answer.error, ZeroDivisionError)


def test_addresses_are_counted_behind_so_many_proxies(ent):
    seen = []

    def app(environ, start_response):
        seen.append(CURRENT.get().address)
        start_response("200 OK", PLAIN)
        return [b""]

    for proxies in (None, 0, 1):
        served(behind(ent, app, proxies=proxies), HTTP_X_FORWARDED_FOR="203.0.113.5", REMOTE_ADDR="203.0.113.9")
    assert seen == [None, "203.0.113.9", "203.0.113.5"]


def test_a_list_and_a_file_of_the_server_are_left_as_they_are(ent, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "wsgi.file_wrapper": FileWrapper}
    file = FileWrapper((tmp_path / "file").open("rb"))
    for body in ([b"one"], (b"one",), file):
        app = EntitlementsMiddleware(lambda environ, start, body=body: body, ent, tenant=tenant_of)
        assert app(environ, lambda *_: None) is body
    file.close()
    # A function makes things of which nobody knows by what.
    environ["wsgi.file_wrapper"] = lambda file: iter([b""])
    app = EntitlementsMiddleware(lambda environ, start: iter([b"piece"]), ent, tenant=tenant_of)
    assert list(app(environ, lambda *_: None)) == [b"piece"]


def test_what_a_body_binds_is_bound_at_its_next_piece_and_at_no_other_ones(ent):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        with ent.bind("other"):
            yield current_tenant().tenant.encode()
            yield current_tenant().tenant.encode()
        yield current_tenant().tenant.encode()

    mine = EntitlementsMiddleware(app, ent, tenant=tenant_of)({"REQUEST_METHOD": "GET", "HTTP_X_TENANT": "pro"}, print)
    pieces = []
    for piece in mine:
        assert CURRENT.get() is None
        pieces.append(piece)
    assert pieces[:2] == [b"other", b"other"]
    assert pieces[2] != b"other"


def test_what_was_used_up_is_given_back_where_a_part_was_sent_and_the_rest_is_refused(quotas):
    def app(environ, start_response):
        binding = CURRENT.get()
        binding.takings = Takings()
        binding.takings.add(take(binding, {"crm.pages": 4}, "o"))
        start_response("200 OK", PLAIN)(b"some")
        assert quotas.usage("free")["crm.pages"].used == 4
        return iter(export, b"")

    answer = Served(EntitlementsMiddleware(app, quotas, tenant=tenant_of))
    assert answer.body == b"some"
    assert isinstance(answer.error, NotEntitled)
    assert quotas.usage("free")["crm.pages"].used == 0


def test_an_app_behind_a_table_sees_that_a_request_is_a_repetition_that_was_free(quotas):
    repeated = []

    def app(environ, start_response):
        repeated.append(environ["payaid_entitlements.usages"]["crm.pages"].replayed)
        start_response("200 OK", PLAIN)
        return [b"done"]

    table = Routes({"/*": needs(quotas={"crm.pages": 4})})
    gated = EntitlementsMiddleware(app, quotas, tenant=tenant_of, routes=table)
    for _ in range(2):
        assert served(gated, "/", "free", "POST", HTTP_IDEMPOTENCY_KEY="a").status == "200 OK"
    assert repeated == [False, True]
    assert quotas.usage("free")["crm.pages"].used == 4


# -- limits, errors, mistakes ----------------------------------------------------------------------------------------


def test_other_errors_are_the_servers(ent):
    def app(environ, start_response):
        raise ZeroDivisionError

    assert isinstance(served(behind(ent, app)).error, ZeroDivisionError)


@pytest.mark.parametrize("is_read", [False, True], ids=["called", "read"])
def test_tasks_that_fail_together_are_answered_where_all_of_it_is_for_clients(ent, is_read):
    def failing(*errors):
        def app(environ, start_response):
            yield raised()

        def raised():
            raise ExceptionGroup("tasks", errors)

        return app if is_read else lambda environ, start_response: raised()

    refusals = [
        NotEntitled(Decision(False, Reason.PLAN_FEATURE_ABSENT, "crm.export"), tenant="free"),
        TenantUnidentified("nobody"),
    ]
    assert served(behind(ent, failing(*refusals))).status == "402 Payment Required"
    assert isinstance(served(behind(ent, failing(*refusals, KeyError("x")))).error, ExceptionGroup)


def test_a_guard_that_an_argument_tells_the_tenant_says_what_that_one_could_do(ent):
    @require_module("hr", tenant="whom", client=ent)
    def of_argument(whom: str) -> None:
        pass

    def app(environ, start_response):
        of_argument("free")
        return []

    assert json.loads(served(behind(ent, app)).body)["remedies"]


def test_a_store_that_is_silent_is_a_503(ent, monkeypatch):
    def silent(self, tenant, user=None):
        raise StoreUnavailable("silent")

    def asks(environ, start_response):
        current_tenant()
        return []

    monkeypatch.setattr(type(ent), "peek_tenant", lambda self, tenant, user=None: None)
    monkeypatch.setattr(type(ent), "tenant", silent)
    answer = served(behind(ent, asks))
    assert (answer.status, answer.headers["retry-after"]) == ("503 Service Unavailable", "2")


def test_who_is_refused_by_another_name_learns_nothing_of_that_one(ent):
    @require_module("hr", tenant="whom", client=ent)
    def of_argument(whom: str) -> None:
        pass

    def app(environ, start_response):
        current_tenant()
        of_argument("free")
        return []

    assert json.loads(served(behind(ent, app), tenant="pro").body)["remedies"] == []


def test_users_have_exceptions_of_their_own(ent):
    seen = []

    def app(environ, start_response):
        seen.append(current_tenant().user)
        start_response("200 OK", PLAIN)
        return [b""]

    served(behind(ent, app, user=lambda environ: "u1"))
    served(behind(ent, app))
    assert seen == ["u1", None]


def test_an_asynchronous_client_is_refused():
    with pytest.raises(ConfigurationError, match="cannot wait for AsyncEntitlements"):
        EntitlementsMiddleware(listed, AsyncEntitlements.open("memory://"), tenant=tenant_of)  # type: ignore[arg-type]


def test_a_number_of_proxies_that_is_none_is_refused(ent):
    with pytest.raises(ConfigurationError, match="proxies is -1"):
        behind(ent, listed, proxies=-1)


# -- threads and greenlets -------------------------------------------------------------------------------------------


def streaming(environ, start_response):
    start_response("200 OK", PLAIN)
    for _ in range(10):
        yield current_tenant().tenant.encode() + b" "


def test_threads_keep_their_tenants(ent):
    app = behind(ent, streaming)
    gate = threading.Barrier(8)

    def one(number: int) -> bool:
        gate.wait()
        return all(served(app, tenant=f"t{number}").body == b"t%d " % number * 10 for _ in range(5))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(8)))


def test_greenlets_that_take_turns_at_each_piece_keep_their_tenants(ent):
    class Yielding(Served):
        def _write(self, piece: bytes) -> None:
            gevent.sleep(0)
            super()._write(piece)

    app = behind(ent, streaming)
    running = [gevent.spawn(Yielding, app, "/", f"t{number}") for number in range(20)]
    gevent.joinall(running, timeout=10)
    assert [each.value.body for each in running] == [b"t%d " % number * 10 for number in range(20)]


def test_a_guard_inside_asks_about_the_method_that_the_app_handles(inside):
    """Who may only read does not write by a GET that middleware makes a DELETE of, further inside."""
    payroll = require_module("hr")(lambda: b"paid")

    def app(environ, start_response):
        environ["REQUEST_METHOD"] = environ["HTTP_X_HTTP_METHOD_OVERRIDE"]
        body = payroll()
        start_response("200 OK", PLAIN)
        return [body]

    wrapped = EntitlementsMiddleware(app, inside.client, tenant=tenant_of)
    methods = ("GET", "DELETE")
    said = [served(wrapped, "/", "paused", HTTP_X_HTTP_METHOD_OVERRIDE=each).status for each in methods]
    assert said == ["200 OK", "403 Forbidden"]
