"""Which flags have done their work."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from payaid_entitlements.core.flags.model import (
    PARTS,
    Flag,
    Guard,
    Needs,
    Progress,
    Rollout,
    Rule,
    Share,
    Stage,
    Test,
)
from payaid_entitlements.core.flags.stale import SETTLED, same_for_all, stale
from payaid_entitlements.core.instant import DAY, EARLIEST
from tests.core.flags.test_turning import BOOLEAN

NOW = 400 * DAY
TODAY = date(2026, 11, 22)
ALL = Rollout(((EARLIEST, PARTS),))


def why(flag: Flag, *, killed: bool = False, changed: int | None = NOW - SETTLED) -> tuple[str, ...]:
    keys = {flag.key} if killed else set()
    found = stale(flag, progress=None, killed=keys, changed=changed, now=NOW, today=TODAY)
    return () if found is None else found.why


def rules(*each: Rule) -> Flag:
    return replace(BOOLEAN, rules=each)


def test_a_flag_may_stay_for_the_whole_of_its_last_day():
    assert why(replace(rules(Rule("r", "on", when=Test("a", "exists", True))), remove_by=TODAY)) == ()
    late = replace(BOOLEAN, remove_by=date(2026, 11, 21))
    assert why(late, changed=None) == ("it was to be removed by 2026-11-21, 1 day ago",)
    assert why(replace(late, remove_by=date(2026, 11, 20)), changed=None)[0].endswith("2 days ago")


def test_a_flag_that_answers_everybody_alike_for_a_month_is_stale():
    """If anybody can say since when."""
    assert why(rules(Rule("r", "on"))) == ("everybody has got on for 30 days",)
    assert why(rules(Rule("r", "on")), changed=NOW - SETTLED + 1) == ()
    assert why(rules(Rule("r", "on")), changed=None) == ()
    assert why(rules(), killed=True) == ("everybody has got its off variant for 30 days",)
    assert why(replace(rules(Rule("r", "on")), enabled=False)) == ("everybody has got its off variant for 30 days",)


@pytest.mark.parametrize(
    ("flag", "same"),
    [
        (rules(), "off"),
        (replace(rules(), default=None), "its default"),
        (rules(Rule("r", "on", rollout=ALL)), "on"),
        (rules(Rule("r", "on", rollout=Rollout(((EARLIEST, 0),)))), "off"),
        (rules(Rule("r", "on", rollout=Rollout(((EARLIEST, 5_000),)))), None),
        (rules(Rule("r", "on", rollout=Rollout(((EARLIEST, 0), (NOW + 1, 5_000))))), None),
        (rules(Rule("r", "on", rollout=Rollout(((EARLIEST, 5_000), (NOW, PARTS))))), "on"),
        (rules(Rule("r", (("on", 1), ("off", 1)))), None),
        (rules(Rule("r", "on", when=Test("a", "exists", True))), None),
        (replace(rules(Rule("r", "on")), needs=(Needs("other", frozenset({"on"})),)), None),
        (replace(rules(Rule("r", "on")), exclusion=Share("g", 0, 5)), None),
        (replace(rules(Rule("r", "on")), holdout=Share("g", 0, 5)), None),
        (replace(rules(), targeting={"if": [{"var": "a"}, "on"]}), None),
        (replace(rules(), targeting={"if": [True, "on", {"var": "a"}]}), "on"),
    ],
)
def test_what_everybody_gets(flag: Flag, same: str | None):
    assert same_for_all(flag, None, NOW) == same


def test_a_guarded_rollout_stands_where_it_stands():
    """At its end everybody is in; that of another rule says nothing."""
    guarded = rules(Rule("r", "on", rollout=Rollout(((1, 5_000), (2, PARTS)), Guard(approval=True))))
    stood = Progress("r", Stage.COMPLETED, 1, 2, 2)
    assert same_for_all(guarded, stood, NOW) == "on"
    assert same_for_all(guarded, replace(stood, rule="other"), NOW) is None
    assert same_for_all(guarded, replace(stood, step=0), NOW) is None
    # One that went back and was forgotten has done its work too.
    assert same_for_all(guarded, replace(stood, stage=Stage.ROLLED_BACK), NOW) == "off"
    plain = rules(Rule("r", "on", rollout=Rollout(((EARLIEST, 5_000),))))
    assert same_for_all(plain, replace(stood, stage=Stage.ROLLED_BACK), NOW) is None
