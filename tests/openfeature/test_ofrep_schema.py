"""
Every answer against the protocol's own OpenAPI document.

Its ``evaluationSuccess`` says ``oneOf`` where ``anyOf`` is meant: its ``codeDefaultFlag`` fits whatever fits another
one, and a whole number is an integer and a float, so that no answer at all fits exactly one. That one word is read
so here. It also lists no reason ``DEFAULT``, of which the protocol's own decision records speak; with
``strict_reasons`` we fit the list as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from payaid_entitlements.web.ofrep import app
from tests.core.flags.conformance import outside
from tests.openfeature.stage import FLAGS, Stage
from tests.openfeature.wire import PATH, Answer, by_header, post

DOCUMENT = "ofrep/service/openapi.yaml"
SINGLE = "/ofrep/v1/evaluate/flags/{key}"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.fixture(scope="module")
def document() -> Any:
    found = yaml.safe_load(outside(DOCUMENT).read_text(encoding="utf-8"))
    (alternatives,) = (each for each in found["components"]["schemas"]["evaluationSuccess"]["allOf"] if "oneOf" in each)
    alternatives["anyOf"] = alternatives.pop("oneOf")
    return found


def fits(document: Any, path: str, answer: Answer) -> None:
    """Is *answer* one that the document lists for *path*, with the body that it says?"""
    said = document["paths"][path]["post"]["responses"][str(answer.status)]
    if "content" not in said:
        assert answer.content == b""
        return
    schema = {**said["content"]["application/json"]["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


@pytest.mark.parametrize("who", ["free", "pro", ""])
@pytest.mark.parametrize("if_none_match", ["", "*"])
def test_all_flags(stage, document, who, if_none_match):
    served = app(stage.ent, authenticate=by_header, strict_reasons=True)

    answer = post(served, PATH, {"context": {"targetingKey": "ann"}}, x_tenant=who, if_none_match=if_none_match)
    fits(document, PATH, answer)
    assert ("etag" in answer.headers) is bool(who)


@pytest.mark.parametrize("key", [*FLAGS, "nothing"])
def test_each_flag(stage, document, key):
    served = app(stage.ent, authenticate=by_header, strict_reasons=True)

    fits(document, SINGLE, post(served, f"{PATH}/{key}"))


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"context": {"targetingKey": 7}}'])
def test_what_cannot_be_read(stage, document, body):
    served = app(stage.ent, authenticate=by_header)

    fits(document, PATH, post(served, PATH, body))
    fits(document, SINGLE, post(served, f"{PATH}/plain", body))


def test_what_goes_wrong_with_us(stage, document):
    def login(scope: Any) -> None:
        raise RuntimeError

    served = app(stage.ent, authenticate=login)
    fits(document, PATH, post(served, PATH))
    fits(document, SINGLE, post(served, f"{PATH}/plain"))


def test_only_the_reasons_differ_without_being_strict(stage, document):
    answer = post(app(stage.ent, authenticate=by_header), PATH)

    reasons = {each["reason"] for each in answer.json()["flags"] if "reason" in each}
    assert "DEFAULT" in reasons
    with pytest.raises(jsonschema.ValidationError):
        fits(document, PATH, answer)
