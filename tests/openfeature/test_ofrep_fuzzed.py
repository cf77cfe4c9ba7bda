"""Whatever a request holds, it is answered as the protocol says: never by an error of ours, never for somebody else."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as some

from payaid_entitlements.core.flags.model import Rule, Test
from payaid_entitlements.web.ofrep import app
from tests.openfeature.stage import FLAGS, ON_OFF, Stage, a_flag
from tests.openfeature.wire import PATH, by_header, post

#: Names that mean something, and any others.
NAMES = some.sampled_from(["targetingKey", "tenant", "user", "plan", "modules", "state", "country", "n", "a.b"])
TEXTS = some.text(some.characters(codec="utf-8"), max_size=20)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
CONTEXTS = some.dictionaries(NAMES | TEXTS, VALUES, max_size=6)

WANTED = {
    "eq": "IN",
    "in": ["IN", 7],
    "gt": 7,
    "before": "2030-01-01T00:00:00Z",
    "starts_with": "I",
    "contains": "I",
    "matches": "^I",
    "semver_gte": "1.2.3",
    "cidr": "10.0.0.0/8",
}
ASKING = a_flag(
    "asking",
    ON_OFF,
    "off",
    *(
        Rule(f"{operator} {name}", "on", Test(name, operator, wanted))
        for operator, wanted in WANTED.items()
        for name in ("country", "n", "a.b", "user", "targetingKey", "modules")
    ),
)
STAGE = Stage({**FLAGS, "asking": ASKING})
SERVED = app(STAGE.ent, authenticate=by_header)


@settings(max_examples=60, deadline=None)
@given(CONTEXTS)
def test_any_context_is_answered(context):
    answer = post(SERVED, PATH, {"context": context})

    assert answer.status in (200, 400)
    if answer.status == 400:
        assert answer.json()["errorCode"] == "INVALID_CONTEXT"
        return
    said = {each["key"]: each for each in answer.json()["flags"]}
    assert said.keys() == {*FLAGS, "asking"}
    assert said["asking"]["reason"] in ("DEFAULT", "TARGETING_MATCH")
    # The tenant is that of the login, on no plan but its own.
    assert said["for-pro"]["value"] is False


@settings(max_examples=100, deadline=None)
@given(some.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_answered(body):
    for path in (PATH, f"{PATH}/asking"):
        assert post(SERVED, path, body).status in (200, 400)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_any_key_is_answered(key):
    assert post(SERVED, f"{PATH}/{key.replace('?', '')}").status in (200, 400, 404)
