"""What is sold beside a value: the same 100 a month can be worth less."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.comparison import compare
from payaid_entitlements.core.subscription import Subscription
from payaid_entitlements.errors import UnknownPlan

SOLD: dict[str, Any] = {
    "default_plan": "free",
    "modules": {"crm": {"features": {"calls": {"kind": "quota"}, "mails": {"kind": "quota"}}}},
    "features": {"coins": {"kind": "credit", "pays_for": {"crm.calls": 2}}},
    "plans": {
        "free": {"modules": ["crm"]},
        "pro": {
            "extends": "free",
            "features": {"crm.calls": "100/month", "crm.mails": "9/month", "coins": "5/month"},
            "rate_limits": {"api": ["20/second", "600/minute"]},
        },
    },
    "add_ons": {"pack": {"grant": {"coins": 500, "expires": "90 days"}}},
    "rate_limits": {"api": {"default": "1/second"}, "export": {"default": "9/hour"}},
}
TODAY = datetime(2026, 9, 21, tzinfo=UTC)
HELD = {"acme": Subscription("pro", add_ons={"pack": 2})}


def sold(*path_and_value: Any) -> Catalog:
    """The catalog with one value replaced; ``...`` removes it."""
    *path, last, value = path_and_value
    written = inner = deepcopy(SOLD)
    for key in path:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return Catalog.load(written)


def calls(name: str, value: Any) -> Catalog:
    return sold("modules", "crm", "features", "calls", {"kind": "quota", name: value})


def pays_for(costs: Any) -> Catalog:
    return sold("features", "coins", "pays_for", costs)


def api(*rates: str) -> Catalog:
    return sold("plans", "pro", "rate_limits", {"api": list(rates)})


def pack(grant: Any) -> Catalog:
    return sold("add_ons", "pack", {"modules": ["crm"], "grant": grant})


MORE, LESS, EITHER = (True, False), (False, True), (True, True)


@pytest.mark.parametrize(
    ("old", "new", "line", "sides"),
    [
        (calls("on_exceed", "hard"), calls("on_exceed", "soft"), "crm.calls on_exceed: hard -> soft", MORE),
        (calls("on_exceed", "warn"), calls("on_exceed", "hard"), "crm.calls on_exceed: warn -> hard", LESS),
        (calls("on_exceed", "warn"), calls("on_exceed", "soft"), "crm.calls on_exceed: warn -> soft", EITHER),
        (
            calls("on_exceed", "soft_until 120%"),
            calls("on_exceed", "soft_until 110%"),
            "crm.calls on_exceed: soft_until 120% -> soft_until 110%",
            LESS,
        ),
        (
            calls("on_exceed", "grace_then_block 2 days"),
            calls("on_exceed", "grace_then_block 3 days"),
            "crm.calls on_exceed: grace_then_block 2 days -> grace_then_block 3 days",
            MORE,
        ),
        (
            calls("on_exceed", "grace_then_block 2 days"),
            calls("on_exceed", "soft_until 110%"),
            "crm.calls on_exceed: grace_then_block 2 days -> soft_until 110%",
            EITHER,
        ),
        (calls("window", "anchored"), calls("window", "calendar"), "crm.calls window: anchored -> calendar", EITHER),
        (calls("unit", "call"), calls("rollover", {"max": 5}), "crm.calls rollover: none -> 0 to 5", MORE),
        (
            calls("rollover", {"max": 5}),
            calls("rollover", {"max": 4}),
            "crm.calls rollover: 0 to 5 -> 0 to 4",
            LESS,
        ),
        (
            calls("rollover", {"min": 1}),
            calls("rollover", {"min": 2, "max": 9}),
            "crm.calls rollover: 1 or more -> 2 to 9",
            EITHER,
        ),
        (pays_for({"crm.calls": 2}), pays_for({"crm.calls": 50}), "coins pays_for crm.calls: 2 -> 50", LESS),
        (
            pays_for({"crm.calls": 2}),
            pays_for({"crm.calls": 2, "crm.mails": 1}),
            "coins pays_for crm.mails: nothing -> 1",
            MORE,
        ),
        (api("20/second"), api("1/second"), "rate limit api: 20 in 1 second -> 1 in 1 second", LESS),
        (
            api("20/second"),
            api("20/second", "600/minute"),
            "rate limit api: any number in 1 minute -> 600 in 1 minute",
            LESS,
        ),
        (
            sold("rate_limits", "export", "default", "9/hour"),
            sold("rate_limits", "export", ...),
            "rate limit export: 9 in 1 hour -> any number in 1 hour",
            MORE,
        ),
        (api("20/second"), api("unlimited"), "rate limit api: 20 in 1 second -> any number in 1 second", MORE),
        (
            sold("rate_limits", "export", {"default": "9 at once"}),
            sold("rate_limits", "export", {"default": "4 at once"}),
            "rate limit export: 9 at once -> 4 at once",
            LESS,
        ),
        (
            sold("rate_limits", "export", {"default": "9 at once"}),
            sold("rate_limits", "export", {"default": "unlimited"}),
            "rate limit export: 9 at once -> any number at once",
            MORE,
        ),
        (
            sold("rate_limits", "export", {"default": "9/hour", "burst": 5}),
            sold("rate_limits", "export", {"default": "9/hour", "burst": 2}),
            "rate limit export burst: 5 -> 2",
            LESS,
        ),
        (
            sold("rate_limits", "export", {"default": "9/hour"}),
            sold("rate_limits", "export", {"default": "9/hour", "observe": True}),
            "rate limit export: enforced -> observed",
            MORE,
        ),
        (
            pack({"coins": 500, "expires": "90 days"}),
            pack({"coins": 5, "expires": "90 days"}),
            "add-on pack grants coins: 1000 for 90 days -> 10 for 90 days",
            LESS,
        ),
        (
            pack({"coins": 1}),
            pack({"coins": 1, "expires": "1 day"}),
            "add-on pack grants coins: 2 -> 2 for 1 day",
            LESS,
        ),
        (
            pack({"coins": 1, "expires": "1 day"}),
            pack({"coins": 2, "expires": "2 days"}),
            "add-on pack grants coins: 2 for 1 day -> 4 for 2 days",
            MORE,
        ),
        (pack({"coins": 1}), pack({}), "add-on pack grants coins: 2 -> nothing", LESS),
    ],
)
def test_conditions_are_compared_too(old, new, line, sides):
    """Who may say which is more is told; where nobody can, it may be missed and it may be welcome."""
    (effect,) = compare(old, new, HELD).effects
    assert (effect.gains, effect.losses) == tuple((line,) if is_told else () for is_told in sides)
    # The way back is the same the other way round.
    what, _, values = line.partition(": ")
    back = f"{what}: {' -> '.join(reversed(values.split(' -> ')))}"
    (effect,) = compare(new, old, HELD).effects
    assert (effect.gains, effect.losses) == tuple((back,) if is_told else () for is_told in reversed(sides))


def test_conditions_of_what_is_not_held_are_nobodys():
    """Neither those of a feature that the plan lacks, nor the grant of an add-on that one has not."""
    free = {"acme": Subscription("free")}
    assert compare(calls("on_exceed", "soft"), calls("on_exceed", "hard"), free).effects == ()
    assert compare(pack({"coins": 2}), pack({"coins": 1}), {"acme": Subscription("pro")}).effects == ()
    assert compare(api("20/second"), api("1/second"), free).effects == ()


def test_what_is_not_in_a_plan_has_the_default_rate():
    """Of the plan in force, else of the default plan, else what the rate limit says itself."""
    faster = sold("rate_limits", "api", "default", "2/second")
    line = "rate limit api: 1 in 1 second -> 2 in 1 second"
    free = {"acme": Subscription("free")}
    (effect,) = compare(sold("default_plan", "free"), faster, free).effects
    assert effect.gains == (line,)
    nobody = {**SOLD, "default_plan": "none"}
    later = deepcopy(nobody)
    later["rate_limits"]["api"]["default"] = "2/second"
    over = {"acme": Subscription("pro", ends=TODAY)}
    (effect,) = compare(Catalog.load(nobody), Catalog.load(later), over, at=TODAY).effects
    assert effect.gains == (line,)
    (effect,) = compare(sold("default_plan", "free"), faster, over, at=TODAY).effects
    assert effect.gains == (line,)


@pytest.mark.parametrize(
    ("subscription", "says"),
    [
        (Subscription("por"), "no plan 'por' was ever published; did you mean 'pro'"),
        (Subscription("pro", add_ons={"pakc": 1}), "no add-on 'pakc' was ever published; did you mean 'pack'"),
    ],
)
def test_a_misspelt_plan_is_not_unchanged(subscription, says):
    """Nobody's losses are passed over because of a letter."""
    with pytest.raises(UnknownPlan, match=says):
        compare(Catalog.load(SOLD), calls("on_exceed", "soft"), {"acme": subscription})
