"""Laws of rollouts, for any flag and anybody: who is in stays in, with the same variant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.flags.details import FlagReason
from payaid_entitlements.core.flags.model import PARTS, Flag, FlagType, Rollout, Rule, Share, Test
from payaid_entitlements.core.instant import EARLIEST
from tests.core.flags.native import ask, context, percentage, snapshot, switch

IDS = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())
SHARES = st.integers(0, PARTS)
ARMS = st.lists(st.integers(0, 50), min_size=2, max_size=2).filter(any).map(lambda w: (("on", w[0]), ("off", w[1])))
KEYS = st.sampled_from(["look", "new-checkout", "a"])


@st.composite
def grown(draw: st.DrawFn) -> tuple[Flag, Flag]:
    """A flag, and the same with more who are in."""
    key, salt = draw(KEYS), draw(st.sampled_from(["", "s"]))
    serve = draw(st.just("on") | ARMS)
    when = draw(st.none() | st.just(Test("plan", "eq", "pro")))
    less, more = sorted((draw(SHARES), draw(SHARES)))
    flag = switch(key, salt=salt or key, bucket_by=draw(st.sampled_from(["tenant", "user"])))
    rules = [replace(flag, rules=(percentage(parts, serve, when=when),)) for parts in (less, more)]
    return rules[0], rules[1]


@settings(max_examples=50, deadline=None)
@given(grown(), IDS, IDS)
def test_whoever_is_in_stays_in_and_keeps_the_arm(flags: tuple[Flag, Flag], tenant: str, user: str) -> None:
    """Growing a share loses nobody, and moves nobody to another arm."""
    asker = context(tenant, user, plan="pro")
    before, after = (ask(flag, asker) for flag in flags)
    if before.reason is FlagReason.SPLIT:
        assert (after.variant, after.reason) == (before.variant, FlagReason.SPLIT)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, PARTS), min_size=2, max_size=5, unique=True), IDS)
def test_flags_that_exclude_each_other_are_never_on_together(ends: list[int], tenant: str) -> None:
    """Whoever is asked about: at most one flag of the group is on, and one where their shares are all."""
    edges = sorted({0, PARTS, *ends})
    flags = [
        switch(f"f{number}", exclusion=Share("g", start, end), rules=(Rule("everybody", "on"),))
        for number, (start, end) in enumerate(pairwise(edges))
    ]
    found = snapshot(*flags)
    on = [key for key, flag in found.flags.items() if flag.evaluate(context(tenant)).value is True]
    assert len(on) == 1


@settings(max_examples=50, deadline=None)
@given(SHARES, SHARES, IDS)
def test_who_is_held_out_is_held_out_of_all_flags_at_any_share(held: int, share: int, tenant: str) -> None:
    """A holdout is one set of people, whatever each flag lets in."""
    rules = (percentage(share),)
    flags = [switch(key, holdout=Share("h", 0, held), rules=rules) for key in ("a", "b", "c")]
    bare = {flag.key: replace(flag, holdout=None) for flag in flags}
    found = snapshot(*flags)
    answers = {key: flag.evaluate(context(tenant)) for key, flag in found.flags.items()}
    out = {key for key, answer in answers.items() if "held out" in answer.message}
    assert out in (set(), set(bare))
    assert all(answers[key].value is False for key in out)
    assert all(answers[key] == ask(bare[key], context(tenant)) for key in bare.keys() - out)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1000), SHARES), min_size=1, max_size=5, unique_by=lambda step: step[0]),
    st.lists(st.integers(-10, 1010), min_size=2, max_size=8),
    IDS,
)
def test_a_schedule_depends_on_the_instant_alone(
    steps: list[tuple[int, int]], instants: list[int], tenant: str
) -> None:
    """Asked in any order, and time only lets more in."""
    ascending = tuple(zip(sorted(at for at, _ in steps), sorted(share for _, share in steps), strict=True))
    flag = switch(rules=(Rule("rollout", "on", rollout=Rollout(ascending)),))
    evaluate = snapshot(flag).flags["look"].evaluate
    answers = {at: evaluate(context(tenant, at=at)) for at in instants}
    assert answers == {at: ask(flag, context(tenant, at=at)) for at in reversed(instants)}
    values = [answers[at].value for at in sorted(answers)]
    assert values == sorted(values, key=bool)


def test_flags_are_independent_of_each_other() -> None:
    """Being in one flag says nothing of another, nor of an arm: chi-square of four cells, 3 degrees of freedom."""
    many = [f"tenant-{number}" for number in range(4_000)]
    half = (percentage(PARTS // 2),)
    found = snapshot(
        switch("a", rules=half), switch("b", rules=half), switch("c", rules=(Rule("r", (("on", 1), ("off", 1))),))
    )
    for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
        cells: dict[tuple[object, object], int] = {}
        for each in many:
            asker = context(each)
            cell = found.flags[one].evaluate(asker).value, found.flags[other].evaluate(asker).value
            cells[cell] = cells.get(cell, 0) + 1
        wanted = len(many) / 4
        # The 99.99 % quantile of chi-square with 3 degrees of freedom; the ids are fixed, so it never flickers.
        assert sum((count - wanted) ** 2 / wanted for count in cells.values()) < 21.1


def test_arms_do_not_depend_on_who_is_in() -> None:
    """Of those who are in at a tenth, half get each arm."""
    flag = switch(rules=(Rule("r", (("on", 1), ("off", 1)), rollout=Rollout(((EARLIEST, PARTS // 10),))),))
    evaluate = snapshot(flag).flags["look"].evaluate
    answers = [evaluate(context(f"tenant-{number}")) for number in range(10_000)]
    inside = [answer.variant for answer in answers if answer.rule == "r"]
    assert 900 < len(inside) < 1_100
    assert 0.45 < inside.count("on") / len(inside) < 0.55


SCRIPT = """
import json
from tests.core.flags.native import context, percentage, snapshot, switch
from payaid_entitlements.core.flags.model import AnyOf, Needs, Rule, Share, Test

found = snapshot(
    switch("base", rules=(percentage(70_000),)),
    switch("look", needs=(Needs("base", frozenset({"on", "other", "third"})),), exclusion=Share("g", 0, 80_000), rules=(
        Rule("some", "on", AnyOf((Test("plan", "in", ["pro", "team", "max"]), Test("user", "eq", "u")))),
        Rule("arms", (("on", 3), ("off", 1))),
    )),
)
plans = ["pro", "free"]
said = [found.flags["look"].evaluate(context(f"t-{n}", plan=plans[n % 2])) for n in range(300)]
print(json.dumps([[each.variant, each.rule, each.message] for each in said]))
"""


def test_processes_agree_whatever_their_hash_seeds_are() -> None:
    """Nothing that comes out hangs on the order of a set."""
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert len(json.loads(said.pop())) == 300


@pytest.mark.soak
def test_a_hundred_thousand_are_spread_evenly() -> None:
    """Chi-square of a hundred arms of equal weight, 99 degrees of freedom; its 99.99 % quantile is 161.3."""
    arms = {f"v{number}": number for number in range(100)}
    split = tuple((name, 1) for name in sorted(arms))
    flag = Flag("even", FlagType.INTEGER, arms, "v0", "v0", rules=(Rule("arms", split),))
    evaluate = snapshot(flag).flags["even"].evaluate
    counts = Counter(evaluate(context(f"tenant-{number}")).variant for number in range(100_000))
    assert sum((counts[name] - 1_000) ** 2 / 1_000 for name in arms) < 161.3
