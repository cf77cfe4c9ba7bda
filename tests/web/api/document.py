"""What the small API says of itself: six routes, which an app of each framework serves."""

from __future__ import annotations

from typing import Any, Final

from payaid_entitlements.web.rate_fields import FIELDS
from payaid_entitlements.web.refusing import ANSWERS, PROBLEM, PROBLEM_SCHEMA

#: What stands in for a login, and who may come: one of each kind.
TENANTS: Final = ("free", "pro", "paused", "suspended", "denied", "busy")
#: Statuses that we answer; what a host says of its own routes is 200, 201, 404 and 422.
OURS: Final = frozenset(ANSWERS)


def _answers(ok: str, schema: dict[str, Any], *own: int) -> dict[str, Any]:
    found: dict[str, Any] = {ok: {"description": "done", "content": {"application/json": {"schema": schema}}}}
    for status in own:
        found[str(status)] = {"description": "the host's own", "content": {"application/json": {"schema": {}}}}
    return found


def _refusals(*statuses: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in statuses:
        answer: dict[str, Any] = {
            "description": ANSWERS[status],
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/EntitlementProblem"}}},
        }
        if status == 429:
            answer["headers"] = FIELDS
        found[str(status)] = answer
    return found


_LOGIN: Final = {
    "name": "X-Tenant",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "enum": list(TENANTS)},
}
_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 40}
_NAMED: Final = {"type": "object", "required": ["name"], "properties": {"name": _NAME}, "additionalProperties": False}

DOCUMENT: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "a small API", "version": "1"},
    "components": {"schemas": {"EntitlementProblem": PROBLEM_SCHEMA}},
    "paths": {
        "/health": {"get": {"responses": _answers("200", {"type": "string"})}},
        "/contacts": {
            "get": {
                "parameters": [_LOGIN],
                "responses": _answers("200", {"type": "array"}) | _refusals(401, 402, 403, 503),
            }
        },
        "/contacts/{number}": {
            "get": {
                "parameters": [
                    _LOGIN,
                    {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}},
                ],
                "responses": _answers("200", {"type": "string"}, 404) | _refusals(401, 402, 403, 503),
            }
        },
        "/export": {
            "get": {
                "parameters": [_LOGIN],
                "responses": _answers("200", {"type": "string"}) | _refusals(401, 402, 403, 429, 503),
            }
        },
        "/people": {
            "post": {
                "parameters": [_LOGIN],
                "requestBody": {"required": True, "content": {"application/json": {"schema": _NAMED}}},
                "responses": _answers("201", {"type": "string"}, 422) | _refusals(401, 402, 403, 503),
            }
        },
        "/pages": {
            "post": {
                "parameters": [
                    _LOGIN,
                    {"name": "Idempotency-Key", "in": "header", "required": True, "schema": _NAME},
                ],
                "responses": _answers("201", {"type": "string"}) | _refusals(400, 401, 402, 403, 409, 503),
            }
        },
    },
}
