"""Each request of the table, read as servers of each kind hand it over."""

from __future__ import annotations

import pytest

from payaid_entitlements.web.request import EnvironRequest, ScopeRequest
from tests.web.tenancy.spoofing import ATTEMPTS, Attempt, answer
from tests.web.tenancy.wire import environ_of, scope_of


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_only_who_is_verified_and_uncontradicted_is_found(attempt: Attempt) -> None:
    found = {
        "asgi": answer(ScopeRequest(scope_of(attempt))),
        "dropping": answer(EnvironRequest(environ_of(attempt, drops=True))),
        "joining": answer(EnvironRequest(environ_of(attempt, drops=False))),
    }
    for kind, outcome in found.items():
        assert outcome == attempt.outcome(kind), kind


def test_the_table_has_forty_attempts_and_no_one_is_ever_evil() -> None:
    assert len(ATTEMPTS) >= 40
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS)
    assert all(each.outcome(kind) != "evil" for each in ATTEMPTS for kind in ("asgi", "dropping", "joining"))
