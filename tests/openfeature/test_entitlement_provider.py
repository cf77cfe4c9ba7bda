"""What is sold, by OpenFeature: kinds of features, kinds of values, refusals and outages."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from payaid_entitlements.openfeature import NO_LIMIT, EntitlementProvider
from tests.openfeature.stage import Stage

FREE, PRO, ALL = (EvaluationContext(plan) for plan in ("free", "pro", "all"))


@pytest.fixture(scope="module")
def calm() -> Iterator[Stage]:
    """A stage on which nothing is changed."""
    made = Stage()
    yield made
    made.close()


@pytest.fixture
def client(calm, asking):
    return asking(EntitlementProvider(calm.ent))


@pytest.fixture
def moved(stage, asking):
    """A client of a stage on which something is changed."""
    return asking(EntitlementProvider(stage.ent))


@pytest.mark.parametrize(
    ("key", "who", "allowed", "reason"),
    [
        ("crm", FREE, True, "plan.default_granted"),
        ("crm.export", PRO, True, "plan.granted"),
        ("crm.export", FREE, False, "plan.feature_absent"),
        ("hr", PRO, False, "plan.module_absent"),
        ("crm.beta", PRO, True, "plan.granted"),
        # Held, and worth False.
        ("crm.beta", FREE, False, "plan.default_granted"),
        ("crm.calls", PRO, True, "plan.granted"),
        ("crm.calls", FREE, False, "plan.feature_absent"),
    ],
)
def test_a_boolean_is_whether_they_may(client, key, who, allowed, reason):
    for default in (True, False):
        details = client.get_boolean_details(key, default, who)
        assert (details.value, details.variant, details.error_code) == (allowed, "on" if allowed else "off", None)
        assert details.reason is Reason.TARGETING_MATCH
        assert details.flag_metadata["reason"] == reason
        assert details.flag_metadata["degraded"] is False


def test_metadata_names_the_plan_and_cannot_be_changed(client):
    metadata = client.get_boolean_details("crm.export", False, PRO).flag_metadata

    assert metadata["plan"] == "pro"
    with pytest.raises(TypeError):
        metadata["plan"] = "all"


@pytest.mark.parametrize(
    ("ask", "key", "who", "value"),
    [
        ("integer", "crm.page_size", PRO, 50),
        ("float", "crm.page_size", PRO, 50.0),
        ("float", "crm.rate", PRO, 1.5),
        ("float", "crm.patience", PRO, 90.0),
        ("string", "crm.theme", PRO, "dark"),
        ("object", "crm.colours", PRO, ["red", "green"]),
        ("integer", "crm.calls", PRO, 100),
        ("integer", "crm.calls", ALL, NO_LIMIT),
        ("float", "crm.calls", ALL, math.inf),
        # What is not held has the limit 0, and never the caller's own.
        ("integer", "crm.calls", FREE, 0),
    ],
)
def test_values_and_limits(client, ask, key, who, value):
    default: Any = {"integer": 7, "float": 7.5, "string": "x", "object": {}}[ask]

    assert getattr(client, f"get_{ask}_details")(key, default, who).value == value
    assert asyncio.run(getattr(client, f"get_{ask}_value_async")(key, default, who)) == value


def test_what_is_not_held_has_no_value_and_says_why(client):
    details = client.get_string_details("crm.theme", "plain", FREE)

    assert (details.value, details.reason, details.variant) == ("plain", Reason.DEFAULT, None)
    assert details.flag_metadata["reason"] == "plan.feature_absent"


def test_an_object_is_the_decision_as_a_browser_may_see_it(client):
    assert client.get_object_value("crm.calls", {}, PRO) == {
        "feature": "crm.calls",
        "allowed": True,
        "reason": "plan.granted",
        "plan": "pro",
        "value": {"limit": 100, "per": "month"},
        "advisories": [],
        "degraded": False,
    }
    assert client.get_object_value("crm.export", {}, FREE)["allowed"] is False


@pytest.mark.parametrize(
    ("ask", "key"), [("string", "crm.page_size"), ("integer", "crm.theme"), ("integer", "crm"), ("integer", "crm.rate")]
)
def test_a_value_of_another_kind_is_an_error(client, ask, key):
    details = getattr(client, f"get_{ask}_details")(key, {"string": "x", "integer": 7}[ask], PRO)

    assert details.error_code is ErrorCode.TYPE_MISMATCH


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_key_in_no_catalog_is_not_found(stage, asking, is_strict):
    details = asking(EntitlementProvider(stage.client(strict=is_strict))).get_boolean_details("crm.exprot", True, PRO)

    assert (details.value, details.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)


def test_an_entitlement_is_somebodys(client):
    assert client.get_boolean_details("crm", True).error_code is ErrorCode.TARGETING_KEY_MISSING
    assert asyncio.run(client.get_boolean_details_async("crm", True)).error_code is ErrorCode.TARGETING_KEY_MISSING


def test_an_override_of_a_user_counts(stage, moved):
    stage.ent.admin("tests").override("free", "crm.export", True, user="ann", because="a trial")

    assert moved.get_boolean_value("crm.export", False, EvaluationContext("free", {"user": "ann"})) is True
    assert moved.get_boolean_value("crm.export", True, EvaluationContext("free", {"user": "bob"})) is False


def test_what_was_killed_is_disabled(stage, moved):
    stage.ent.admin("tests").kill("crm")

    details = moved.get_boolean_details("crm.export", True, PRO)
    assert (details.value, details.reason) == (False, Reason.DISABLED)


def test_who_has_just_paid_is_not_refused_by_an_old_copy(stage, moved):
    assert moved.get_boolean_value("crm.export", True, FREE) is False
    stage.client().admin("tests").subscribe("free", plan="pro")
    stage.clock.advance(seconds=1.5)

    assert moved.get_boolean_value("crm.export", False, FREE) is True


def test_a_view_that_is_bound_is_made_sure_of_before_it_refuses(stage, moved):
    with stage.ent.bind("free"):
        assert moved.get_boolean_value("crm.export", True) is False
        stage.client().admin("tests").subscribe("free", plan="pro")
        stage.clock.advance(seconds=1.5)
        assert moved.get_boolean_value("crm.export", False) is True


def test_an_outage_never_gives_the_callers_default(stage, asking):
    """
    That would open what nobody has bought.
    """
    stage.faults.is_down = True
    client = asking(EntitlementProvider(stage.client()))

    details = client.get_boolean_details("crm.export", True, PRO)
    assert (details.value, details.reason) == (False, Reason.STALE)
    assert details.flag_metadata["reason"] == "store.unavailable"
    assert client.get_string_details("crm.theme", "x", PRO).error_code is ErrorCode.PROVIDER_NOT_READY


async def all_of_it(stage: Stage, asking: Any) -> None:
    async with stage.async_client() as ent:
        client = asking(EntitlementProvider(ent))
        early = client.get_boolean_details("crm.export", True, PRO)
        assert (early.value, early.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)
        assert await client.get_boolean_value_async("crm.export", False, PRO) is True
        assert client.get_boolean_value("crm.export", False, PRO) is True
        assert await client.get_boolean_value_async("crm.export", True, FREE) is False
        # Not awaited, it is refused by what is near: waiting would make the loop stand still.
        assert client.get_boolean_value("crm.export", True, FREE) is False
        await stage.async_client().admin("tests").subscribe("free", plan="pro")
        stage.clock.advance(seconds=1.5)
        assert await client.get_boolean_value_async("crm.export", False, FREE) is True
        async with ent.bind("all"):
            assert await client.get_boolean_value_async("hr", True) is False
            assert client.get_boolean_value("hr", True) is False


def test_a_client_that_is_awaited(stage, asking):
    asyncio.run(all_of_it(stage, asking))


def test_a_client_that_waits_is_no_burden_to_an_event_loop(stage, asking):
    async def run() -> None:
        client = asking(EntitlementProvider(stage.client()))
        assert await client.get_boolean_value_async("crm.export", True, FREE) is False
        stage.clock.advance(seconds=1.5)
        assert await client.get_boolean_value_async("crm.export", True, FREE) is False

    asyncio.run(run())
