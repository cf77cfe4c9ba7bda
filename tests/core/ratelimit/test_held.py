"""Which rate limits hold for a tenant, by its plans and by hand, and why."""

from __future__ import annotations

from typing import Any

import pytest

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.explanation import Explanation, explain
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY, HOUR, MINUTE
from payaid_entitlements.core.overriding import clear_override, override_value
from payaid_entitlements.core.ratelimit import holding
from payaid_entitlements.core.ratelimit.holding import limits_held
from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import ConfigurationError, UnknownFeature
from tests.core.conftest import NOW, override, status, sub, tenant, world_of

SOLD: dict[str, Any] = {
    "default_plan": "free",
    "modules": {"crm": {"features": {}}, "hr": {"features": {}}},
    "plans": {
        "free": {"modules": ["crm"], "rate_limits": {"export": "2/hour"}},
        "pro": {"modules": ["crm"], "rate_limits": {"api": ["10/second", "300/minute"], "export": "60/hour"}},
        "people": {"modules": ["hr"], "rate_limits": {"hr.report": "unlimited"}},
    },
    "rate_limits": {
        "api": {"default": "30/minute", "burst": 20},
        "export": {"default": "1/hour"},
        "hr.report": {"per": "user", "default": "5/day"},
        "jobs": {"default": "3 at once"},
    },
}
WORLD = world_of(SOLD)


def held(document: TenantDocument, user: str | None = None, world: World = WORLD) -> dict[str, Limit]:
    return dict(resolve(document, world, NOW, NOW + 1, user=user)[0].standpoint.limits)


def rates(document: TenantDocument, user: str | None = None) -> dict[str, list[tuple[int, int]]]:
    """Quota and window of each policy, by limit."""
    limits = held(document, user)
    return {key: [(policy.quota, policy.window) for policy in limit.policies] for key, limit in limits.items()}


def test_the_plan_in_force_says_how_much_else_the_default_plan_else_the_limit_itself() -> None:
    jobs = [(3, 5 * MINUTE)]
    assert rates(tenant()) == {"api": [(30, MINUTE)], "export": [(2, HOUR)], "hr.report": [(5, DAY)], "jobs": jobs}
    assert rates(tenant(sub("pro"))) == {
        "api": [(10, MINUTE // 60), (300, MINUTE)],
        "export": [(60, HOUR)],
        "hr.report": [(5, DAY)],
        "jobs": jobs,
    }
    # Over, so the default plan holds.
    assert rates(tenant(sub("pro", ends=NOW - 1))) == rates(tenant())
    nobody = world_of({**SOLD, "default_plan": "none"})
    assert held(tenant(), world=nobody)["export"].policies[0].quota == 1


def test_of_several_subscriptions_the_highest_plan_that_names_a_limit_counts() -> None:
    both = rates(tenant(sub("pro"), sub("people", "staff")))
    assert both["hr.report"] == []
    assert both["export"] == [(60, HOUR)]


def test_a_suspended_tenant_keeps_its_limits() -> None:
    """What it may use is asked elsewhere."""
    assert rates(tenant(sub("pro"), status("suspended"))) == rates(tenant(sub("pro")))


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("500/hour", [(500, HOUR)]),
        (("10/second", "500/hour"), [(10, MINUTE // 60), (500, HOUR)]),
        (UNLIMITED, []),
    ],
)
def test_what_is_said_by_hand_holds_instead(to: Any, expected: list[tuple[int, int]]) -> None:
    document = tenant(sub("pro"), override("rate_limits.export", to))
    assert rates(document) == {**rates(tenant(sub("pro"))), "export": expected}
    over = tenant(sub("pro"), override("rate_limits.export", to, until=NOW))
    assert rates(over) == rates(tenant(sub("pro")))


def test_an_override_keeps_what_the_catalog_says_of_the_limit() -> None:
    limit = held(tenant(override("rate_limits.api", "5/second")))["api"]
    assert (limit.policies[0].burst, limit.policies[0].algorithm, limit.is_denied) == (20, Algorithm.GCRA, False)


def test_who_is_denied_has_no_policies() -> None:
    limit = held(tenant(sub("pro"), override("rate_limits.export", DENY)))["export"]
    assert (limit.is_denied, limit.policies) == (True, ())


def test_an_override_beside_another_one_is_heard() -> None:
    """Also where decisions differ for it, and where units were granted."""
    document = tenant(sub("pro"), override("hr", True), override("rate_limits.export", "7/hour"))
    assert rates(document)["export"] == [(7, HOUR)]
    assert resolve(document, WORLD, NOW, NOW + 1)[0].standpoint.write["hr"].allowed


def test_a_users_override_is_theirs() -> None:
    document = tenant(override("rate_limits.hr.report", "9/day", user="ravi"))
    assert rates(document, "ravi")["hr.report"] == [(9, DAY)]
    assert rates(document, "asha")["hr.report"] == rates(document)["hr.report"] == [(5, DAY)]


@pytest.mark.parametrize("to", ["5 at once", "a nonsense", True, Allowance(5)])
def test_what_a_limit_cannot_have_any_more_is_passed_over(to: Any) -> None:
    """It was said when the catalog was another one."""
    document = tenant(sub("pro"), override("rate_limits.export", to))
    assert rates(document) == rates(tenant(sub("pro")))
    assert rates(tenant(override("rate_limits.gone", "5/hour"))) == rates(tenant())


def test_equal_plans_and_overrides_share_their_limits() -> None:
    """One object for all tenants, so that who counts may remember by it what it made of a limit."""
    one, other = (tenant(sub("pro"), name=name) for name in ("acme", "bolt"))
    first, second = (resolve(each, WORLD, NOW, NOW + 1)[0].standpoint for each in (one, other))
    assert first.limits is second.limits
    by_hand = [tenant(sub("pro"), override("rate_limits.export", "5/hour", because=str(number))) for number in range(2)]
    first, second = (resolve(each, WORLD, NOW, NOW + 1)[0].standpoint for each in by_hand)
    assert first.limits is second.limits


def test_limits_are_kept_for_so_many_plans_and_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOST", 3)
    world = world_of(SOLD)
    for number in range(1, 9):
        assert rates(tenant(override("rate_limits.export", f"{number}/hour")))["export"] == [(number, HOUR)]
        held(tenant(override("rate_limits.export", f"{number}/hour")), world=world)
        assert len(world.limits) <= 3


def test_where_nothing_is_known_the_defaults_hold() -> None:
    assert limits_held(WORLD, None)["export"].policies[0].quota == 1


# -- what may be said -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "kept"),
    [
        ("500/hour", "500/hour"),
        (["500/hour"], "500/hour"),
        (["10/second", "500/hour"], ("10/second", "500/hour")),
        ("unlimited", UNLIMITED),
        (["unlimited"], UNLIMITED),
        (UNLIMITED, UNLIMITED),
        (DENY, DENY),
    ],
)
def test_an_override_is_kept_as_it_is_written(to: object, kept: object) -> None:
    assert override_value(WORLD.catalog, "rate_limits.export", to) == kept


@pytest.mark.parametrize(
    ("key", "to", "error", "says"),
    [
        ("rate_limits.exprot", "5/hour", UnknownFeature, "no rate limit 'exprot'; did you mean 'export'"),
        ("rate_limits.", "5/hour", UnknownFeature, "no rate limit ''"),
        ("rate_limits.export", 500, TypeError, "'500/hour', several such texts, UNLIMITED or DENY, not with int"),
        ("rate_limits.export", True, TypeError, "not with bool"),
        ("rate_limits.export", [], TypeError, "not with list"),
        ("rate_limits.export", ["5/hour", 5], TypeError, "not with list"),
        (
            "rate_limits.export",
            "5/fortnight",
            ConfigurationError,
            "'rate_limits.export': '1 fortnight' has the unknown",
        ),
        ("rate_limits.export", "5 at once", ConfigurationError, "it limits calls in a window"),
        ("rate_limits.jobs", "5/hour", ConfigurationError, "it limits what runs at once; write `5 at once`"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_way_out(
    key: str, to: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says.replace("(", r"\(")):
        override_value(WORLD.catalog, key, to)


def test_one_user_has_a_limit_only_where_users_are_told_apart() -> None:
    assert override_value(WORLD.catalog, "rate_limits.hr.report", "9/day", "ravi") == "9/day"
    with pytest.raises(ConfigurationError, match="is per tenant, so one user has none of its own"):
        override_value(WORLD.catalog, "rate_limits.export", "9/day", "ravi")


def test_what_is_cleared_must_exist() -> None:
    ground = Ground(tenant(), WORLD, NOW)
    assert clear_override(ground, "rate_limits.export", user=None)
    with pytest.raises(UnknownFeature, match="no rate limit 'exprot'"):
        clear_override(ground, "rate_limits.exprot", user=None)
    # What was said of a limit that is gone can be taken back.
    gone = Ground(tenant(override("rate_limits.gone", "5/hour")), WORLD, NOW)
    assert clear_override(gone, "rate_limits.gone", user=None)


# -- why ------------------------------------------------------------------------------------------------------------


def explained(document: TenantDocument, key: str = "rate_limits.export", user: str | None = None) -> Explanation:
    return explain(document, WORLD, key, NOW, user=user)


def steps(of: Explanation) -> list[tuple[str, str, str]]:
    return [(step.rule, step.outcome, step.text) for step in of.steps]


BY_NOBODY = ("override", "pass", "nobody says anything by hand")


def test_the_plan_is_named_that_says_it() -> None:
    found = explained(tenant(sub("pro"), sub("people", "staff")))
    assert found.decision == Decision(
        True, Reason.PLAN_GRANTED, "rate_limits.export", "plan pro@1", "pro", value="60/hour"
    )
    assert found.read is None
    assert steps(found) == [
        BY_NOBODY,
        ("plan", "pass", "plan people@1 does not name it"),
        ("plan", "allow", "plan pro@1 says 60/hour"),
    ]


def test_without_a_subscription_it_is_the_default_plan() -> None:
    decision = explained(tenant()).decision
    assert (decision.reason, decision.source, decision.value) == (Reason.PLAN_DEFAULT, "plan free@1", "2/hour")


def test_what_no_plan_names_has_its_default() -> None:
    found = explained(tenant(), "rate_limits.api")
    assert (found.decision.reason, found.decision.value) == (Reason.RATE_DEFAULT, "30/minute")
    assert steps(found)[-1] == ("default", "allow", "its default is 30/minute")


def test_several_rates_and_none_are_told_so() -> None:
    found = explained(tenant(sub("pro")), "rate_limits.api")
    assert found.decision.value == ("10/second", "300/minute")
    assert steps(found)[-1] == ("plan", "allow", "plan pro@1 says 10/second and 300/minute")
    found = explained(tenant(sub("people")), "rate_limits.hr.report")
    assert (found.decision.value, steps(found)[-1][2]) == (UNLIMITED, "plan people@1 says unlimited")


def test_an_override_is_told_with_what_holds_without_it() -> None:
    found = explained(tenant(sub("pro"), override("rate_limits.export", "500/hour")))
    assert found.decision == Decision(True, Reason.OVERRIDE_GRANTED, "rate_limits.export", "override", value="500/hour")
    assert steps(found) == [
        ("override", "allow", "500/hour, by hand"),
        ("plan", "pass", "plan pro@1 says 60/hour"),
    ]
    assert [(each.feature, each.to, each.actor) for each in found.overrides] == [
        ("rate_limits.export", "500/hour", "asha")
    ]
    assert "override rate_limits.export = 500/hour, by asha: a promise" in found.to_text()


def test_a_denial_is_told_as_one() -> None:
    found = explained(tenant(override("rate_limits.export", DENY)))
    assert (found.decision.allowed, found.decision.reason) == (False, Reason.OVERRIDE_DENIED)
    assert steps(found)[0] == ("override", "deny", "no call passes, by hand")


def test_an_override_that_is_passed_over_is_told() -> None:
    found = explained(tenant(override("rate_limits.export", "5 at once")))
    assert found.decision.value == "2/hour"
    assert steps(found)[0][:2] == ("override", "note")


def test_a_misspelt_limit_is_told_the_near_one() -> None:
    found = explained(tenant(), "rate_limits.exprot")
    assert (found.decision.allowed, found.decision.reason) == (False, Reason.CATALOG_UNKNOWN)
    assert steps(found) == [("catalog", "deny", "the catalog has no rate limit 'exprot'; did you mean 'export'?")]
