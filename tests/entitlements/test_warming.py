"""Bringing many tenants near before anybody asks, in both colours."""

from __future__ import annotations

import pytest

from payaid_entitlements import Subscription
from payaid_entitlements.cache.warming import TOGETHER
from payaid_entitlements.errors import StoreUnavailable
from tests.entitlements.conftest import CATALOG

MANY = [f"t{number:04}" for number in range(2 * TOGETHER + 1)]


def reads(stage):
    return [call for call in stage.faults.calls if call == "read"]


def test_who_was_brought_near_is_answered_without_the_store(stage):
    stage.elsewhere.subscribe(MANY[-1], "pro")
    ent = stage.open()
    told = []

    assert ent.warm_up(MANY, progress=told.append) == len(MANY)

    assert told == [TOGETHER, TOGETHER, 1]
    assert len(reads(stage)) == 3
    assert [ent.peek(tenant, "crm.export").allowed for tenant in MANY] == [False] * (len(MANY) - 1) + [True]


def test_without_names_those_of_the_store_are_brought_near(stage):
    for tenant in ("acme", "beta", "gamma"):
        stage.elsewhere.subscribe(tenant, "pro")
    ent = stage.open()

    assert ent.warm_up() == 3
    assert all(ent.peek(tenant, "crm.export").allowed for tenant in ("acme", "beta", "gamma"))
    assert ent.peek("delta", "crm.export") is None


@pytest.mark.parametrize("names", [None, ["acme", "beta", "gamma"]])
def test_no_more_are_read_than_there_is_room_for(stage, names):
    for tenant in ("acme", "beta", "gamma"):
        stage.elsewhere.subscribe(tenant, "pro")
    ent = stage.open(cache_size=2)

    assert ent.warm_up(names) == 2
    assert [ent.peek(tenant, "crm") is not None for tenant in ("acme", "beta", "gamma")] == [True, True, False]


def test_a_change_while_it_goes_on_is_not_lost(stage):
    """Who was read before the change is read again by whoever asks."""
    ent = stage.open()

    def progress(_):
        if not stage.memory.read(["t0000"]):
            stage.elsewhere.subscribe("t0000", "pro")

    ent.warm_up(MANY, progress=progress)
    assert ent.peek("t0000", "crm.export") is None
    assert ent.check("t0000", "crm.export").allowed


def test_the_hosts_own_table_is_asked_about_each(stage):
    asked = []

    def subscriptions(tenant):
        asked.append(tenant)
        return Subscription("pro")

    ent = stage.open(subscriptions=stage.host(subscriptions))
    ent.warm_up(["acme", "beta"])
    assert asked == ["acme", "beta"]
    assert ent.peek("beta", "crm.export").allowed


def test_a_store_that_gives_no_answer_says_so(stage):
    ent = stage.open()
    ent.check("acme", "crm")
    stage.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        ent.warm_up(["beta"])


@pytest.mark.parametrize("name", ["", "None", 7])
def test_an_id_that_identifies_nobody_is_refused(stage, name):
    with pytest.raises(TypeError):
        stage.open().warm_up([name])


def test_nobody_is_near_where_nobody_is_known(stage):
    assert stage.open(catalog=CATALOG).warm_up() == 0
    assert stage.open().warm_up([]) == 0
