"""The official OFREP clients of Python and of JavaScript (for servers and for browsers), against our server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.testclient import TestClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from payaid_entitlements.web.ofrep import app
from tests.openfeature.serving import serving
from tests.openfeature.stage import Stage
from tests.openfeature.wire import PATH, by_header

CLIENTS = Path(__file__).parent / "npm" / "clients.mjs"
#: A folder that has ``node_modules`` with what `npm/package.json` names.
VARIABLE = "PAYAID_NODE_MODULES"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(stage) -> Iterator[str]:
    with serving(app(stage.ent, authenticate=by_header)) as where:
        yield where


# -- Python -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(asking, address) -> Callable[[str], Any]:
    def as_tenant(tenant: str) -> Any:
        return asking(OFREPProvider(address, headers_factory=lambda: {"x-tenant": tenant}))

    return as_tenant


@pytest.mark.parametrize(
    ("ask", "key", "default", "value", "variant", "reason"),
    [
        ("boolean", "plain", False, True, "on", Reason.STATIC),
        ("boolean", "for-pro", False, True, "on", Reason.TARGETING_MATCH),
        ("string", "theme", "x", "white", "light", Reason.STATIC),
        ("integer", "size", 7, 10, "small", Reason.STATIC),
        ("float", "ratio", 7.5, 1.0, "one", Reason.STATIC),
        ("float", "whole", 7.5, 1.0, "one", Reason.STATIC),
        ("object", "layout", {}, {"columns": [1, 2]}, "wide", Reason.STATIC),
        ("boolean", "off", True, True, "", Reason.DISABLED),
        ("boolean", "callers", True, True, "", Reason.DEFAULT),
    ],
)
def test_python_reads_every_answer(client, ask, key, default, value, variant, reason):
    details = getattr(client("pro"), f"get_{ask}_details")(key, default, EvaluationContext("ann", {"country": "DE"}))

    assert (details.value, details.variant, details.reason, details.error_code) == (value, variant, reason, None)


def test_python_reads_metadata(client):
    assert client("pro").get_boolean_details("plain", False).flag_metadata == {"team": "growth"}


@pytest.mark.parametrize(
    ("tenant", "ask", "key", "code"),
    [
        ("pro", "boolean", "nothing", ErrorCode.FLAG_NOT_FOUND),
        ("pro", "boolean", "broken", ErrorCode.PARSE_ERROR),
        ("pro", "boolean", "size", ErrorCode.TYPE_MISMATCH),
        ("", "boolean", "plain", ErrorCode.GENERAL),
    ],
)
def test_python_reads_every_error(client, tenant, ask, key, code):
    details = getattr(client(tenant), f"get_{ask}_details")(key, True, EvaluationContext("ann"))

    assert (details.value, details.reason, details.error_code) == (True, Reason.ERROR, code)


def test_python_reads_a_context_that_is_none(client):
    details = client("pro").get_boolean_details("plain", False, EvaluationContext("undefined"))

    assert details.error_code is ErrorCode.INVALID_CONTEXT


# -- JavaScript -------------------------------------------------------------------------------------------------------


def node() -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs node to run the official clients of JavaScript")
    place = os.environ.get(VARIABLE)
    if not place or not (Path(place) / "node_modules" / "@openfeature" / "ofrep-web-provider").is_dir():
        pytest.skip(
            f"needs the official clients of JavaScript: run `npm install` in a copy of {CLIENTS.parent.name}/, "
            f"which has their names, and set {VARIABLE} to it"
        )
    return program


def ask_javascript(base: str, tenant: str, questions: list[dict[str, Any]]) -> dict[str, Any]:
    program = node()
    said = json.dumps({"base": base, "headers": {"x-tenant": tenant}, "questions": questions})
    done = subprocess.run(
        [program, str(CLIENTS)],
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_javascript_reads_every_answer_on_servers_and_in_browsers(address):
    context = {"targetingKey": "ann", "country": "DE"}
    asked = [
        ("boolean", "plain", False, {"value": True, "variant": "on", "reason": "STATIC"}),
        ("boolean", "for-pro", False, {"value": True, "variant": "on", "reason": "TARGETING_MATCH"}),
        ("boolean", "by-country", True, {"value": False, "variant": "off", "reason": "DEFAULT"}),
        ("boolean", "for-ann", False, {"value": True, "variant": "on", "reason": "TARGETING_MATCH"}),
        ("string", "theme", "x", {"value": "white", "variant": "light", "reason": "STATIC"}),
        ("number", "size", 7, {"value": 10, "variant": "small", "reason": "STATIC"}),
        ("number", "ratio", 7, {"value": 1, "variant": "one", "reason": "STATIC"}),
        ("object", "layout", {}, {"value": {"columns": [1, 2]}, "variant": "wide", "reason": "STATIC"}),
        # An answer without a value is read as a mistake by the client for servers (0.1.3), which knows no such answer
        # yet; what comes out is the caller's default as it should.
        ("boolean", "off", True, {"value": True}),
        ("boolean", "callers", True, {"value": True}),
        ("boolean", "nothing", True, {"value": True, "reason": "ERROR", "errorCode": "FLAG_NOT_FOUND"}),
        ("boolean", "broken", True, {"value": True, "reason": "ERROR", "errorCode": "PARSE_ERROR"}),
        ("boolean", "size", True, {"value": True, "reason": "ERROR", "errorCode": "TYPE_MISMATCH"}),
    ]
    questions = [{"type": kind, "key": key, "default": default, "context": context} for kind, key, default, _ in asked]

    told = ask_javascript(address, "pro", questions)

    for colour in ("server", "web"):
        for found, (_, key, _, expected) in zip(told[colour], asked, strict=True):
            assert expected.items() <= found.items(), (colour, key, found)
    assert told["server"][0]["flagMetadata"] == told["web"][0]["flagMetadata"] == {"team": "growth"}
    # What it has is not sent again.
    assert told["seen"]["statuses"][:2] == [200, 304]
    assert told["seen"]["etags"][0] == told["seen"]["etags"][1] is not None


def test_javascript_reads_that_nobody_is_let_in(address):
    program_is_there = node()
    questions = [{"type": "boolean", "key": "plain", "default": False, "context": {"targetingKey": "ann"}}]
    said = json.dumps({"base": address, "headers": {}, "questions": questions})
    done = subprocess.run(
        [program_is_there, str(CLIENTS)], input=said, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode != 0
    assert "401" in done.stderr or "auth" in done.stderr.lower()


# -- another origin ---------------------------------------------------------------------------------------------------


def test_it_is_mounted_in_an_app_whose_cors_it_follows(stage):
    """
    The way of the documentation: a browser asks first, and may read the entity tag.
    """
    api = FastAPI()
    api.add_middleware(
        CORSMiddleware,
        allow_origins=["https://app.example"],
        allow_methods=["POST"],
        allow_headers=["content-type", "if-none-match", "x-tenant"],
        expose_headers=["etag"],
    )
    api.mount("/flags", app(stage.ent, authenticate=by_header))
    with TestClient(api) as client:
        asks = {"origin": "https://app.example", "access-control-request-method": "POST"}
        first = client.options(f"/flags{PATH}", headers={**asks, "access-control-request-headers": "x-tenant"})
        assert first.status_code == 200
        answer = client.post(f"/flags{PATH}/for-pro", json={"context": {}}, headers={**asks, "x-tenant": "pro"})
        assert answer.json()["value"] is True
        everything = client.post(f"/flags{PATH}", json={"context": {}}, headers={**asks, "x-tenant": "pro"})
        assert everything.headers["access-control-expose-headers"] == "etag"
        assert everything.headers["etag"]
