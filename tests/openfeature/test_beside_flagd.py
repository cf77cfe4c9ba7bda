"""Exported files, evaluated by OpenFeature's own package for Python: everybody gets the variant that we give."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from time_machine import travel

from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.flagd import dump
from payaid_entitlements.core.flags.model import Condition, Flag, FlagSet
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import MICROSECONDS
from tests.core.flags.flagd.generated import SEGMENT_SETS, contexts, flags


@settings(max_examples=40, deadline=None)
@given(flags(), SEGMENT_SETS, st.lists(contexts(), min_size=1, max_size=4))
def test_the_official_evaluator_gives_the_same_variants(
    flag: Flag, segments: dict[str, Condition], asked: list[FlagContext]
) -> None:
    ours = FlagSnapshot.of({flag.key: flag}, FlagSet(segments=segments)).flags[flag.key]
    theirs = FlagdCore()
    theirs.set_flags(dump({flag.key: flag}, segments=segments))
    for each in asked:
        if is_confusing(each.attributes):
            continue
        attributes = {name: value for name, value in each.attributes.items() if name != "targetingKey"}
        with travel(each.at / MICROSECONDS, tick=False):
            said = theirs.resolve_string_value(flag.key, "", EvaluationContext(each.tenant, attributes))  # type: ignore[arg-type] # null is JSON
        assert said.variant == ours.evaluate(each).variant


def is_confusing(value: object) -> bool:
    """Whether it has a truth value, 0 or 1: openfeature-flagd-core 2.0.0 takes one for the other."""
    if isinstance(value, dict):
        return any(map(is_confusing, value.values()))
    if isinstance(value, list):
        return any(map(is_confusing, value))
    return value in (0, 1) and not isinstance(value, str)
