"""What is compiled when: each after what it names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.model import AnyOf, Condition, FlagSet, Needs, Rule, Segment, Test
from payaid_entitlements.core.flags.ordering import LONGEST_CHAIN, MOST_ASKED, in_order
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from tests.core.flags.native import context, snapshot, switch

NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.sets(NAMES | st.just("elsewhere"))))
def test_each_comes_once_and_after_what_it_names(edges: dict[str, set[str]]) -> None:
    """Those in a circle are told, and all others come after what they name."""
    seen: dict[str, str] = {}
    for key, why in in_order(edges):
        assert key not in seen
        if not why:
            assert edges[key] & edges.keys() <= seen.keys()
        seen[key] = why
    assert seen.keys() == edges.keys()
    reach = {key: {each for each in named if each in edges} for key, named in edges.items()}
    for _ in edges:
        reach = {key: named | {each for other in named for each in reach[other]} for key, named in reach.items()}
    around = {key for key, named in reach.items() if key in named}
    told = {key for key, why in seen.items() if why}
    # What stands between two circles is told too; what only names one is not.
    assert around <= told
    assert all(reach[key] & around and any(key in reach[each] for each in around) for key in told)


def test_a_chain_has_a_longest_length() -> None:
    """The one beyond it is told, and a new chain begins there."""
    edges = {f"{number:03}": [f"{number + 1:03}"] for number in range(2 * LONGEST_CHAIN)}
    told = [key for key, why in in_order(edges) if why]
    assert told == [f"{LONGEST_CHAIN - 1:03}"]


def test_a_chain_of_prerequisites_that_is_too_long_raises_nothing() -> None:
    """Whoever needs the one that has no answer is off."""
    flags = [switch(f"f{n}", needs=(Needs(f"f{n + 1}", frozenset({"off"})),)) for n in range(3_000)]
    found = snapshot(*flags)
    answers = [found.flags[flag.key].evaluate(context()) for flag in flags]
    assert sum(answer.error is not None for answer in answers) == 3_000 // (LONGEST_CHAIN + 1)


def test_each_answer_asks_a_bounded_number_of_others() -> None:
    """Two each, and no chain too long: the one that would ask too many is told, and a new count begins there."""
    edges = {f"{number:02}": [f"{number + 1:02}"] * 2 for number in range(LONGEST_CHAIN - 1)}
    told = {key: why for key, why in in_order(edges) if why}
    # Thirteen of them ask 2 to the thirteenth, less one.
    assert sorted(told) == ["09", "22", "35"]
    assert all(f"asked more than {MOST_ASKED:,} times; name less" in why for why in told.values())


def test_segments_that_name_one_another_twice_cost_nobody_a_minute() -> None:
    """Nor does a flag that names one of them again and again: both fail, and nobody waits."""
    segments: dict[str, Condition] = {
        f"s{number}": AnyOf((Segment(f"s{number + 1}"), Segment(f"s{number + 1}"))) for number in range(40)
    }
    segments["s40"] = Test("country", "eq", "IN")
    often = AnyOf((Segment("s30"),) * 20)
    flags = [
        switch(key, rules=(Rule("a", "on", condition),))
        for key, condition in (("deep", Segment("s0")), ("often", often), ("fair", Segment("s30")))
    ]
    found = FlagSnapshot.of({}, FlagSet(flags={flag.key: flag for flag in flags}, segments=segments))
    answers = {key: flag.evaluate(context(country="IN")) for key, flag in found.flags.items()}
    assert answers["fair"].value is True
    for key in ("deep", "often"):
        assert "asked more than 10,000 times; name less" in answers[key].message


def test_prerequisites_that_need_the_same_ones_cost_nobody_a_minute() -> None:
    names = [(f"a{step}", f"b{step}") for step in range(40)]
    flags = [switch("a40"), switch("b40")]
    for step, (one, other) in enumerate(names):
        needs = tuple(Needs(f"{letter}{step + 1}", frozenset({"on", "off"})) for letter in "ab")
        flags += [switch(one, needs=needs), switch(other, needs=needs)]
    answers = {key: flag.evaluate(context()) for key, flag in snapshot(*flags).flags.items()}
    assert {bool(answer.error) for answer in answers.values()} == {True, False}
