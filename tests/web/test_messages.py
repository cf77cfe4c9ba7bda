"""A refusal as messages of ASGI: the same for everybody who sends one."""

from __future__ import annotations

import pytest

from payaid_entitlements.web.messages import denial_of, response_of
from payaid_entitlements.web.refusing import PROBLEM, Refusal

SAID = Refusal(402, {"Content-Type": PROBLEM, "Vary": "Accept"}, {"reason": "plan.module_absent", "title": "Nö"})
CLOSED = {"type": "websocket.close", "code": 1008, "reason": "plan.module_absent"}
CAN_DENY = {"extensions": {"websocket.http.response": {}}}


def test_a_request_is_answered_with_a_whole_response():
    start, body = response_of(SAID, "GET")
    assert start == {
        "type": "http.response.start",
        "status": 402,
        "headers": [
            (b"content-type", PROBLEM.encode()),
            (b"vary", b"Accept"),
            (b"content-length", str(len(SAID.content)).encode()),
        ],
    }
    assert body == {"type": "http.response.body", "body": SAID.content}


def test_to_head_it_is_the_same_without_a_body():
    start, body = response_of(SAID, "HEAD")
    assert start == response_of(SAID, "GET")[0]
    assert body == {"type": "http.response.body", "body": b""}


def test_a_handshake_is_answered_with_a_response_where_the_server_can():
    start, body = denial_of(SAID, CAN_DENY, is_open=False)
    assert start == response_of(SAID, "GET")[0] | {"type": "websocket.http.response.start"}
    assert body == {"type": "websocket.http.response.body", "body": SAID.content}


@pytest.mark.parametrize(
    ("scope", "is_open"), [(CAN_DENY, True), ({}, False), ({"extensions": None}, False), ({"extensions": {}}, True)]
)
def test_else_a_websocket_is_closed_and_told_why(scope, is_open):
    assert denial_of(SAID, scope, is_open=is_open) == (CLOSED,)


def test_what_the_server_did_not_expect_is_no_policy():
    """A client that is refused by policy does not come again; one that met a failure may."""
    (closed,) = denial_of(Refusal(503, {}, {"reason": "store.unavailable"}), {}, is_open=True)
    assert closed == {"type": "websocket.close", "code": 1011, "reason": "store.unavailable"}


def test_a_reason_fits_into_a_close_frame():
    """125 bytes, two of them the code (RFC 6455 section 5.5)."""
    (closed,) = denial_of(Refusal(402, {}, {"reason": "x" * 200}), {}, is_open=False)
    assert len(closed["reason"]) == 123
