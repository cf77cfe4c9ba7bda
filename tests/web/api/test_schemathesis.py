"""
H-1: schemathesis asks the same small API of each framework, by its description and against it.

Nothing it thinks of is a 5xx, no status comes that is not described, and each refusal of ours is a problem document.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from payaid_entitlements import DENY, Catalog, Entitlements
from payaid_entitlements.testing import FakeClock, Sandbox, sandbox
from payaid_entitlements.web.refusing import PROBLEM
from tests.web.api.asking import CHECKS, drawn
from tests.web.api.document import DOCUMENT, OURS
from tests.web.api.serving import APPS, of_django
from tests.web.conftest import NOW

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {"features": {"export": {"kind": "switch"}, "pages": {"kind": "quota"}}},
            "hr": {},
        },
        "rate_limits": {"export": {"default": "2/hour"}},
        "plans": {
            "free": {"modules": ["crm"]},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "modules": ["hr"],
                "features": {"crm.export": True, "crm.pages": "30/month"},
            },
        },
        "lifecycle": {"paused": "read_only"},
    }
)
NORMAL, SOAK = 10, 2_000


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.fixture(scope="module")
def inside() -> Iterator[Sandbox]:
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as found:
        for tenant in ("pro", "paused", "suspended", "denied", "busy"):
            found.subscribe(tenant, "pro")
        found.admin().pause("paused")
        found.admin().suspend("suspended")
        found.override("denied", "hr", DENY)
        found.exhaust("busy", "crm.pages")
        yield found


@pytest.mark.parametrize("cases", [NORMAL, pytest.param(SOAK, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", APPS)
def test_whatever_is_asked_is_answered_as_described(inside: Sandbox, name: str, cases: int) -> None:
    seen: dict[int, int] = {}
    with of_django(inside.client) if name == "django" else nullcontext():
        ask(APPS[name](inside.client), cases, seen)

    assert sum(seen.values()) >= cases
    print(f"{name}: {sum(seen.values())} cases, {dict(sorted(seen.items()))}")  # for the figures of a soak
    if cases == SOAK:
        assert set(seen) >= {200, 201, 400, 401, 402, 403, 404, 422, 429}


def ask(app: Any, cases: int, seen: dict[int, int]) -> None:
    """Ask *app* so many cases, and count the statuses."""
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.app = app
    operations = [found.ok() for found in schema.get_all_operations()]
    some = st.one_of(
        [operation.as_strategy(generation_mode=mode) for operation in operations for mode in GenerationMode]
    )

    def asked(case: Any) -> None:
        response = case.call()
        status = response.status_code
        seen[status] = seen.get(status, 0) + 1
        assert status < 500, response.text
        case.validate_response(response, checks=CHECKS)
        if status in OURS - {404}:
            assert response.headers["content-type"] == [PROBLEM]

    drawn(some, cases, asked)
