"""What looks wrong with flags that can be evaluated."""

# ruff: noqa: E501 - a table of cases

from __future__ import annotations

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.flags.linting import lint_flags
from payaid_entitlements.core.flags.model import Condition, Flag, FlagSet, FlagType, Needs, Rule, Segment, Test
from tests.core.flags.native import percentage, switch

CATALOG = Catalog.load(
    {"features": {"seats": {"kind": "allocation"}}, "flags": {"base": {"rollout": "5%", "owner": "growth"}}}
)
ON = Rule("everybody", "on")
PRO = Rule("pro", "on", Test("plan", "eq", "pro"))


def test_flags_that_are_right_have_no_lint() -> None:
    """Owned, reached, and naming only what there is."""
    flag = switch(
        owner="growth",
        narrows=("seats",),
        needs=(Needs("base", frozenset({"on"})),),
        rules=(Rule("staff", "off", Segment("staff")), percentage(5)),
    )
    found = FlagSet(flags={"look": flag}, segments={"staff": Test("user", "exists", True)})
    assert lint_flags(CATALOG, found) == ()


# fmt: off
LINTS: list[tuple[str, Flag, str, bool, str]] = [
    ("nobody owns it", switch(rules=(ON,)), "flag.no_owner", False, "give it an `owner`"),
    ("no such segment", switch(owner="a", rules=(Rule("r", "on", Segment("x")),)), "flag.broken", True, "the segment 'x'"),
    ("no such prerequisite", switch(owner="a", needs=(Needs("x", frozenset({"on"})),), rules=(ON,)), "flag.needs", True, "it needs 'x', which there is not"),
    ("no such variant", switch(owner="a", needs=(Needs("base", frozenset({"red"})),), rules=(ON,)), "flag.needs", True, "to be red, which that never is"),
    ("nothing to narrow", switch(owner="a", narrows=("crm",), rules=(ON,)), "flag.narrows", True, "'crm', which is neither"),
    ("never reached", switch(owner="a", rules=(PRO, ON, percentage(5))), "flag.unreached", False, "'everybody' decides for everybody, so what comes after it never does: 'rollout'"),
    ("nobody", switch(owner="a", rules=(percentage(0),)), "flag.nobody", False, "'rollout' lets nobody in"),
    ("never given", switch(owner="a", rules=(percentage(5, (("off", 1), ("on", 0))),)), "flag.unserved", False, "'on'"),
    ("narrows users", switch(owner="a", bucket_by="user", narrows=("seats",), rules=(percentage(5),)), "flag.narrows_by_user", False, "bucket by tenant"),
    ("narrows users by arms", switch(owner="a", fallback="user", bucket_by="x", narrows=("seats",), rules=(Rule("r", (("on", 1),)),)), "flag.narrows_by_user", False, "bucket by tenant"),
]
# fmt: on


@pytest.mark.parametrize(("flag", "code", "fatal", "says"), [row[1:] for row in LINTS], ids=[row[0] for row in LINTS])
def test_what_looks_wrong_is_told(flag: Flag, code: str, fatal: bool, says: str) -> None:
    """With a code, and whether the flag answers otherwise than it says."""
    (found,) = lint_flags(CATALOG, FlagSet(flags={"look": flag}))
    assert (found.code, found.fatal, found.path) == (code, fatal, "flags.look")
    assert says in found.message


def test_a_segment_that_nobody_names_is_told() -> None:
    """One that another segment names is named."""
    segments: dict[str, Condition] = {"a": Segment("b"), "b": Test("plan", "eq", "pro")}
    (found,) = lint_flags(CATALOG, FlagSet(segments=segments))
    assert (found.code, found.path) == ("segment.unused", "segments.a")


def test_targeting_of_flagd_may_give_any_variant() -> None:
    """Which ones it gives is not known before it is asked; a removed flag is not looked at."""
    flag = Flag("look", FlagType.STRING, {"a": "1", "b": "2"}, "a", None, targeting={"var": "arm"}, owner="growth")
    assert lint_flags(CATALOG, FlagSet(flags={"look": flag, "base": None})) == ()
