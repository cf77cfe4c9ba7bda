"""Rate limits as the catalog says them: what is read, and what is wrong, with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from payaid_entitlements.core.catalog import Catalog, Published, Rate, publish
from payaid_entitlements.core.catalog.building import rebuild
from payaid_entitlements.core.catalog.written import schema
from payaid_entitlements.core.ratelimit.limits import Limit, limits_of
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.core.ratelimit.rates import told
from payaid_entitlements.errors import CatalogInvalid

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def catalog(limits: object, **plans: object) -> Catalog:
    return Catalog.load({"rate_limits": limits, "plans": {key: {"rate_limits": each} for key, each in plans.items()}})


def problems(limits: object, **plans: object) -> list[tuple[str, str, str]]:
    """Code, place and message of all that is wrong."""
    with pytest.raises(CatalogInvalid) as caught:
        catalog(limits, **plans)
    return [(problem.code, problem.path, problem.message) for problem in caught.value.problems]


def limit(said: object, *plans: object) -> Limit:
    """What the limit `x` comes to for who has the first of *plans*."""
    read = catalog({"x": said}, **{f"p{number}": {"x": each} for number, each in enumerate(plans)})
    return limits_of(read, *read.plans.values())["x"]


def test_a_limit_has_all_that_it_says() -> None:
    said = {
        "per": "user",
        "default": ["10/second", "600/minute"],
        "burst": 25,
        "on_outage": "closed",
        "counts_toward": ["api"],
        "observe": True,
        "lease": 5,
    }
    read = catalog({"api": {"default": "1000/hour"}, "crm.export": said})
    assert limits_of(read) == {
        "api": Limit("api", "tenant", (Policy("api", Algorithm.GCRA, 1_000, HOUR, 1_000),)),
        "crm.export": Limit(
            "crm.export",
            "user",
            (
                # A burst is for the shortest window; the longer ones hold in the long run.
                Policy("crm.export.1s", Algorithm.GCRA, 10, SECOND, 25, is_enforced=False),
                Policy("crm.export.60s", Algorithm.GCRA, 600, MINUTE, 600, is_enforced=False),
            ),
            "closed",
            counts_toward=("api",),
            lease=5,
        ),
    }


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log", "sliding_counter", "fixed_window"])
def test_each_algorithm_can_be_had(algorithm: str) -> None:
    (policy,) = limit({"default": "9/minute", "algorithm": algorithm}).policies
    assert policy == Policy("x", Algorithm(algorithm), 9, MINUTE, 9)


def test_what_runs_at_once_is_limited_by_permits() -> None:
    assert limit({"default": "5 at once"}).policies == (Policy("x", Algorithm.CONCURRENCY, 5, 5 * MINUTE, 5),)
    (policy,) = limit({"default": "5  at once", "held": "2 hours"}, "7 at once").policies
    assert (policy.quota, policy.window) == (7, 2 * HOUR)


def test_without_a_limit_there_are_no_policies() -> None:
    assert limit({"default": "unlimited"}).policies == ()
    assert limit({"default": "unlimited", "lease": 5}).lease == 5
    assert limit({"default": "1/hour"}, "unlimited").policies == ()
    assert limit({"default": "unlimited"}, "3/hour").policies[0].quota == 3
    assert limit({"default": "unlimited", "held": "1 minute"}, "3 at once").policies[0].quota == 3


def test_of_several_plans_the_first_that_names_a_limit_counts() -> None:
    limits = {"a": {"default": "1/hour"}, "b": {"default": "1/hour"}, "c": {"default": "1/hour"}}
    read = catalog(limits, low={"a": "2/hour", "b": "2/hour"}, high={"a": "3/hour"})
    held = limits_of(read, read.plans["high"], read.plans["low"])
    assert {key: each.policies[0].quota for key, each in held.items()} == {"a": 3, "b": 2, "c": 1}


def test_a_lease_is_never_more_than_there_is_at_once() -> None:
    assert limit({"default": "100/minute", "lease": 20}).lease == 20
    assert limit({"default": "100/minute", "burst": 7, "lease": 20}).lease == 7
    assert limit({"default": "100/minute", "lease": 20}, "2/hour").lease == 2


def test_names_tell_windows_apart() -> None:
    named = [each.name for each in limit({"default": ["9/0.25 seconds", "99/day"]}).policies]
    assert named == ["x.250000us", "x.86400s"]


@pytest.mark.parametrize("text", ["30/minute", "100/15 minutes", "2/0.25 seconds", "5 at once", "9/90 days"])
def test_rates_are_told_as_they_are_written(text: str) -> None:
    (rate,) = catalog({"x": {"default": text}}).rate_limits["x"].default
    assert told(rate) == text


def test_what_is_held_by_a_plan_is_written_and_read_again() -> None:
    limits = {"x": {"default": "1/hour"}, "jobs": {"default": "1 at once"}}
    sold, _ = publish(None, catalog(limits, pro={"x": "unlimited", "jobs": "4 at once"}))
    assert sold.plan("pro").rate_limits == {"x": (), "jobs": (Rate(4, None),)}
    assert Published.from_json(sold.to_json()) == sold


def test_an_older_version_must_still_fit() -> None:
    """As with features: somebody may hold it."""
    sold, _ = publish(None, catalog({"x": {"default": "1/hour"}}, pro={"x": "5/hour"}))
    with pytest.raises(CatalogInvalid, match="write `5 at once`"):
        publish(sold, catalog({"x": {"default": "2 at once"}}, pro={"x": "3 at once"}))


def test_what_another_release_has_published_keeps_nobody_from_the_rest() -> None:
    """A limit that means nothing here is left out, and of another one what is not known."""
    limits = {"x": {"default": "5 at twice"}, "y": {"default": "5/hour", "algorithm": "of_tomorrow", "more": True}}
    plans = {"pro": {"rate_limits": {"y": "6/hour"}}, "big": {"extends": "pro", "rate_limits": {"x": "7/hour"}}}
    read = rebuild({"rate_limits": limits, "plans": plans})
    assert {key: each.policies for key, each in limits_of(read, read.plans["big"]).items()} == {
        "y": (Policy("y", Algorithm.GCRA, 6, HOUR, 6),)
    }
    with pytest.raises(CatalogInvalid):
        Catalog.load({"rate_limits": limits, "plans": plans})


WINDOW = "limits calls in a window"
AT_ONCE = "limits what runs at once"


@pytest.mark.parametrize(
    ("limits", "code", "path", "says"),
    [
        ({"x": {"default": "0 at once"}}, "wrong.quantity", "x.default", "lets no call pass"),
        ({"x": {"default": "5 at onc"}}, "wrong.quantity", "x.default", "or `5 at once`"),
        ({"x": {"default": "unlimitd"}}, "wrong.quantity", "x.default", "did you mean 'unlimited'"),
        ({"x": {"default": ["unlimited", "5/hour"]}}, "wrong.quantity", "x.default", "`unlimited` stands alone"),
        ({"x": {"default": ["5 at once", "5/hour"]}}, "wrong.quantity", "x.default", "`at once` stands alone"),
        ({"x": {"default": "5/hour", "held": "1 minute"}}, "rate_limit.misfit", "x.held", WINDOW),
        ({"x": {"default": "5 at once", "held": "0 minutes"}}, "wrong.quantity", "x.held", "no time at all"),
        ({"x": {"default": "5 at once", "burst": 5}}, "rate_limit.misfit", "x.burst", AT_ONCE),
        ({"x": {"default": "5 at once", "lease": 5}}, "rate_limit.misfit", "x.lease", AT_ONCE),
        ({"x": {"default": "5 at once", "algorithm": "gcra"}}, "rate_limit.misfit", "x.algorithm", AT_ONCE),
        ({"x": {"default": "5/hour", "algorithm": "fixed_window", "burst": 5}}, "rate_limit.misfit", "x.burst", "fix"),
        ({"x": {"default": "5/hour", "algorithm": "grca"}}, "wrong.value", "x.algorithm", "did you mean 'gcra'"),
        ({"x": {"default": "5/hour", "lease": 0}}, "wrong.value", "x.lease", "greater than or equal to 1"),
        ({"x": {"default": "5/hour", "obsrve": True}}, "unknown.field", "x.obsrve", "did you mean 'observe'"),
        # What could not be counted exactly.
        ({"x": {"default": "67108865/hour"}}, "wrong.quantity", "x.default", "at most 67,108,864, over a shorter"),
        ({"x": {"default": "1/100000 days"}}, "wrong.quantity", "x.default", "the longest window is 13031 days"),
        ({"x": {"default": "1/10000 days", "burst": 9000}}, "wrong.quantity", "x.default", "a smaller `burst`"),
        ({"x": {"default": "5/hour", "burst": 2**26 + 1}}, "rate_limit.misfit", "x.burst", "67,108,864"),
        ({"x": {"default": "5/hour", "lease": 2**26 + 1}}, "rate_limit.misfit", "x.lease", "67,108,864"),
        ({"x": {"default": "1001 at once"}}, "wrong.quantity", "x.default", "write at most 1,000"),
        ({"x": {"default": "1001/day", "algorithm": "sliding_log"}}, "wrong.quantity", "x.default", "`algorithm"),
        # Keys.
        ({"x.y.z": {"default": "5/hour"}}, "key.malformed", "x.y.z", "small letters"),
        ({"Crm.export": {"default": "5/hour"}}, "key.malformed", "Crm.export", "write 'crm'"),
        ({"a.b": {"default": "1/hour"}, "a_b": {"default": "1/hour"}}, "key.confusable", "a_b", "too like 'a.b'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_way_out(limits: object, code: str, path: str, says: str) -> None:
    ((found, place, message),) = problems(limits)
    assert (found, place) == (code, f"rate_limits.{path}")
    assert says in message


def toward(**limits: tuple[str, list[str]]) -> dict[str, Any]:
    return {key: {"per": per, "default": "5/hour", "counts_toward": names} for key, (per, names) in limits.items()}


@pytest.mark.parametrize(
    ("limits", "code", "says"),
    [
        (toward(a=("tenant", ["b"])), "unknown.rate_limit", "names the rate limit 'b'"),
        (toward(a=("tenant", ["apj"]), api=("tenant", [])), "unknown.rate_limit", "did you mean 'api'"),
        (toward(a=("tenant", ["a"])), "rate_limit.cycle", "'a' counts toward 'a'"),
        (toward(a=("tenant", ["b"]), b=("tenant", ["a"])), "rate_limit.cycle", "'a' counts toward 'b'"),
        (toward(a=("tenant", ["b"]), b=("user", [])), "rate_limit.misfit", "make both per tenant"),
        (toward(a=("address", ["b"]), b=("tenant", [])), "rate_limit.misfit", "make both per address"),
        (toward(a=("user", ["b"]), b=("address", [])), "rate_limit.misfit", "make both per user"),
    ],
)
def test_counting_toward_another_limit_must_be_possible(limits: object, code: str, says: str) -> None:
    ((found, _, message),) = problems(limits)
    assert found == code
    assert says in message


def test_what_runs_at_once_counts_toward_nothing_and_nothing_toward_it() -> None:
    limits = {"a": {"default": "5/hour", "counts_toward": ["b"]}, "b": {"default": "5 at once"}}
    ((code, _, message),) = problems(limits)
    assert (code, AT_ONCE in message) == ("rate_limit.misfit", True)
    limits = {"b": {"default": "5 at once", "counts_toward": ["a"]}, "a": {"default": "5/hour"}}
    ((code, _, message),) = problems(limits)
    assert (code, AT_ONCE in message) == ("rate_limit.misfit", True)


def test_calls_of_users_and_addresses_count_toward_what_they_are_part_of() -> None:
    limits = toward(a=("user", ["b", "c"]), b=("user", []), c=("tenant", ["d"]), d=("tenant", []))
    assert limits_of(catalog(limits))["a"].counts_toward == ("b", "c")
    assert catalog(toward(a=("address", ["b"]), b=("address", [])))


def test_counting_twice_toward_one_is_only_suspicious() -> None:
    (lint,) = (
        each for each in catalog(toward(a=("tenant", ["b", "b"]), b=("tenant", []))).lints if "twice" in each.code
    )
    assert lint.path == "rate_limits.a.counts_toward[1]"


@pytest.mark.parametrize(
    ("said", "rates", "says"),
    [
        ({"default": "5/hour"}, "5 at once", "write `5/minute`, not 5 at once"),
        ({"default": "5 at once"}, ["9/hour"], "write `9 at once`, not 9/hour"),
        ({"default": "unlimited"}, "5 at once", "calls in a window"),
        ({"default": "5/hour", "burst": 9000}, "1/10000 days", "a smaller `burst`"),
    ],
)
def test_a_plan_says_what_its_limit_can_have(said: object, rates: object, says: str) -> None:
    ((code, path, message),) = problems({"x": said}, pro={"x": rates})
    assert (code, path) == ("wrong.quantity", "plans.pro.rate_limits.x")
    assert says in message
    assert "plan 'pro', rate limit 'x'" in message


def test_a_plan_that_names_what_could_not_be_read_is_not_wrong_itself() -> None:
    for key in ("x", "crm.x"):
        assert [code for code, _, _ in problems({key: {"default": "5/moth"}}, pro={key: "5 at once"})] == [
            "wrong.quantity"
        ]
        assert [code for code, _, _ in problems({key: {"per": "me", "default": "5/day"}}, pro={key: "9/day"})] == [
            "wrong.value"
        ]


def test_a_module_is_not_called_as_overrides_call_rate_limits() -> None:
    with pytest.raises(CatalogInvalid) as caught:
        Catalog.load({"modules": {"rate_limits": {"features": {}}}})
    assert [problem.code for problem in caught.value.problems if problem.fatal] == ["key.reserved"]


def test_editors_know_all_of_it() -> None:
    properties = schema()["properties"]
    assert isinstance(properties, dict)
    assert properties["rate_limits"]["propertyNames"]["maxLength"] == 129
