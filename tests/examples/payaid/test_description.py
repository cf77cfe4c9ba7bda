"""H-1: the example answers whatever schemathesis makes of its own description as it says there, and never by a 5xx."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from payaid_entitlements.web.refusing import PROBLEM
from tests.examples.payaid.loading import Loaded, loaded
from tests.web.api.asking import CHECKS, drawn

#: Statuses that are the gate's alone in this app; 400 is also what FastAPI says of a body that it cannot read.
OURS = {402, 403, 409, 429, 503}
TENANTS = ("free", "starter", "professional", "enterprise", "paused")


@pytest.fixture(scope="module")
def app() -> Iterator[Loaded]:
    with loaded() as found:
        for tenant in TENANTS[1:4]:
            found.inside.subscribe(tenant, tenant)
        found.inside.subscribe("paused", "enterprise")
        found.inside.admin().pause("paused")
        yield found


@pytest.mark.parametrize("cases", [20, pytest.param(2_000, marks=pytest.mark.soak)])
def test_the_example_answers_as_it_describes(app: Loaded, caplog: pytest.LogCaptureFixture, cases: int) -> None:
    caplog.set_level(logging.CRITICAL)
    schema = schemathesis.openapi.from_dict(app.app.app.openapi())
    schema.app = app.app.app
    operations = [found.ok() for found in schema.get_all_operations()]
    some = st.tuples(
        st.one_of([each.as_strategy(generation_mode=mode) for each in operations for mode in GenerationMode]),
        st.sampled_from([*TENANTS, None]),
    )
    seen: dict[int, int] = {}

    def ask(given: Any) -> None:
        case, tenant = given
        headers = {} if tenant is None else app.headers(tenant)
        response = case.call(headers=headers)
        status = response.status_code
        seen[status] = seen.get(status, 0) + 1
        assert status < 500, response.text
        # A login that was left out is the host's own to answer, in its own form.
        case.validate_response(response, checks=CHECKS, headers=headers)
        if status in OURS:
            assert response.headers["content-type"] == [PROBLEM]

    drawn(some, cases, ask)
    print(f"{sum(seen.values())} cases, {dict(sorted(seen.items()))}")  # for the figures of a soak
    assert sum(seen.values()) >= cases
