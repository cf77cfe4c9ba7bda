"""A call of a tenant that is near asks nobody but the limiter, as long as what is near holds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.limiting import finding
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.memory_limiter import MemoryLimiter
from tests.limiting.conftest import CATALOG


def courses(ent):
    return ent.inner._limiting._courses


def test_who_is_near_asks_nobody_but_the_limiter(stage, ent):
    for _ in range(2):
        ent.rate_limit("acme", "api")
        ent.rate_limit("acme", "api", user="asha")
        ent.rate_limit("acme", "crm.export", user="asha")
        ent.rate_limit("acme", "login", address="192.0.2.1")
    asked = len(stage.faults.calls)
    ent.rate_limit("acme", "api")
    ent.rate_limit("acme", "api", user="asha")
    ent.rate_limit("acme", "api", user="dora", address="192.0.2.9")
    ent.rate_limit("acme", "crm.export", user="asha")
    ent.rate_limit("acme", "login", address="192.0.2.1")
    assert stage.faults.calls[asked:] == ["hit"] * 5
    assert set(courses(ent)) == {
        ("acme", "api"),
        ("acme", "crm.export", "asha", None),
        ("acme", "login", None, "192.0.2.1"),
    }


def test_a_change_elsewhere_is_heard_of(stage, ent):
    assert ent.rate_limit_status("acme", "api").limit == 20
    stage.elsewhere.override("acme", "rate_limits.api", "7/second")
    stage.clock.advance(timedelta(seconds=6))
    assert ent.rate_limit_status("acme", "api").limit == 7


def test_users_with_overrides_are_looked_up_each_time(stage, ent):
    """Theirs may end at another moment than what is near of the tenant."""
    admin = ent.admin()
    assert ent.rate_limit_status("acme", "crm.export", user="asha").limit == 8
    admin.override(
        "acme", "rate_limits.crm.export", "3/hour", user="asha", until=stage.clock_now() + timedelta(hours=1)
    )
    assert ent.rate_limit_status("acme", "crm.export", user="asha").limit == 3
    assert ent.rate_limit_status("acme", "crm.export", user="bela").limit == 8
    assert ent.rate_limit_status("acme", "api", user="asha").limit == 20
    assert ent.rate_limit_status("acme", "api").limit == 20
    stage.clock.advance(timedelta(hours=1))
    assert ent.rate_limit_status("acme", "crm.export", user="asha").limit == 8


def test_a_limit_that_comes_to_count_by_user(stage, ent):
    assert ent.rate_limit("acme", "api").allowed
    document = dict(stage.catalog.document)
    document["rate_limits"] = {**document["rate_limits"], "api": {"per": "user", "default": "9/minute"}}
    document["rate_limits"]["crm.export"] = {"per": "user", "default": "2/hour"}
    ent.admin().publish(document)
    with pytest.raises(TypeError):
        ent.rate_limit("acme", "api")
    for _ in range(2):
        assert ent.rate_limit("acme", "api", user="asha").allowed


def test_no_more_is_remembered_than_was_said(stage, ent, monkeypatch):
    monkeypatch.setattr(finding, "_MOST", 3)
    for number in range(10):
        assert ent.rate_limit("acme", "crm.export", user=f"user-{number}").allowed
    assert list(courses(ent)) == [("acme", "crm.export", f"user-{number}", None) for number in (7, 8, 9)]
    stage.clock.advance(timedelta(seconds=61))
    ent.rate_limit("acme", "crm.export", user="user-7")
    assert [named[2] for named in courses(ent)] == ["user-8", "user-9", "user-7"]


def test_a_clock_of_the_limiters_own_is_used_where_none_is_handed_in():
    """As in production: the time of Redis and of databases is the server's."""
    limiter = MemoryLimiter(clock=lambda: 1_000_000)
    with Entitlements(MemoryStore(), limiter=limiter, catalog=CATALOG) as ent:
        assert ent.rate_limit("acme", "api").resets_at.timestamp() == 1 + 20
