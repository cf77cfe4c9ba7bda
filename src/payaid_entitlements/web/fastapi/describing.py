"""The answers of a gate in the OpenAPI description of an app, so that generated clients know them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from payaid_entitlements.web.fastapi.audit import is_guarded
from payaid_entitlements.web.fastapi.walking import places
from payaid_entitlements.web.refusing import ANSWERS, PROBLEM, PROBLEM_SCHEMA

_DONE: Final = "__payaid_describes__"
#: Name of the schema in the description; a host may have a `Problem` of its own.
_SCHEMA: Final = "EntitlementProblem"


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
    for operation in operations:
        for status, meaning in ANSWERS.items():
            content = {PROBLEM: {"schema": {"$ref": f"#/components/schemas/{_SCHEMA}"}}}
            # A route that describes an answer itself is right.
            operation.setdefault("responses", {}).setdefault(str(status), {"description": meaning, "content": content})


def _guarded(app: FastAPI, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for place in places(app):
        if is_guarded(place):
            found = schema.get("paths", {}).get(place.path, {})
            yield from (found[method.lower()] for method in place.methods if method.lower() in found)
