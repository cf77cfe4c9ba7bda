"""The answers of a gate in the OpenAPI description of an app, so that generated clients know them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from payaid_entitlements.web.fastapi.audit import is_guarded, is_limited, is_named_by_client
from payaid_entitlements.web.fastapi.walking import Place, places
from payaid_entitlements.web.rate_fields import FIELDS
from payaid_entitlements.web.refusing import ANSWERS, PROBLEM, PROBLEM_SCHEMA
from payaid_entitlements.web.taking import KEY_FIELD, LONGEST_KEY

_DONE: Final = "__payaid_describes__"
#: Name of the schema in the description; a host may have a `Problem` of its own.
_SCHEMA: Final = "EntitlementProblem"
#: Described only where something is limited.
_TOO_FAST: Final = 429
#: Described only where the client names what is used up: it is not named, or named before and otherwise.
_OF_NAMES: Final = frozenset({400, 409})
#: Of tables of routes, which a FastAPI app has not.
_UNMAPPED: Final = 404


def describe(app: FastAPI) -> None:
    """Let `app.openapi()` say what guarded routes may answer. Repeating it is harmless."""
    original = app.openapi
    if getattr(original, _DONE, False):
        return

    def openapi() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        schema = original()
        if is_new:
            _add(app, schema)
        return schema

    setattr(openapi, _DONE, True)
    app.openapi = openapi  # type: ignore[method-assign] # the way that FastAPI documents


def _add(app: FastAPI, schema: dict[str, Any]) -> None:
    operations = list(_guarded(app, schema))
    if operations:
        schema.setdefault("components", {}).setdefault("schemas", {}).setdefault(_SCHEMA, PROBLEM_SCHEMA)
    for operation, place in operations:
        left_out = {_UNMAPPED} if is_limited(place) else {_UNMAPPED, _TOO_FAST}
        if is_named_by_client(place):
            _add_key(operation)
        else:
            left_out |= _OF_NAMES
        for status, meaning in ANSWERS.items():
            if status in left_out:
                continue
            answer: dict[str, Any] = {
                "description": meaning,
                "content": {PROBLEM: {"schema": {"$ref": f"#/components/schemas/{_SCHEMA}"}}},
            }
            if status == _TOO_FAST:
                answer["headers"] = {name: dict(told) for name, told in FIELDS.items()}
            _answer(operation.setdefault("responses", {}), str(status), answer)


def _answer(responses: dict[str, Any], status: str, answer: dict[str, Any]) -> None:
    """Add *answer*. A route that describes one itself is right; where that comes in another form, ours comes too."""
    own = responses.setdefault(status, answer)
    if own is not answer and own.get("content"):
        own["content"] = answer["content"] | own["content"]


def _add_key(operation: dict[str, Any]) -> None:
    """Say that a request names itself; a route that reads the field has said so."""
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if parameter.get("in") == "header" and parameter.get("name", "").lower() == KEY_FIELD.lower():
            return
    parameters.append(
        {
            "name": KEY_FIELD,
            "in": "header",
            "required": True,
            "description": "The same when the request is repeated, so that it is counted once.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
        }
    )


def _guarded(app: FastAPI, schema: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Place]]:
    for place in places(app):
        if is_guarded(place):
            found = schema.get("paths", {}).get(place.path, {})
            yield from ((found[method.lower()], place) for method in place.methods if method.lower() in found)
