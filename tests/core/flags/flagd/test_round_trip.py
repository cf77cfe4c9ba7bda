"""Flags of ours, written for flagd and read back: everybody gets the same variant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.flagd import dump, load, validate
from payaid_entitlements.core.flags.flagd.evaluating import evaluator
from payaid_entitlements.core.flags.model import PARTS, Condition, Flag, FlagSet, FlagType, Rollout, Rule
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import EARLIEST
from tests.core.flags.conformance import outside_json
from tests.core.flags.flagd.generated import SEGMENT_SETS, context, contexts, flags


@settings(max_examples=50, deadline=None)
@given(flags(), SEGMENT_SETS, st.lists(contexts(), min_size=1, max_size=5))
def test_everybody_gets_the_same_variant_from_the_exported_file(
    flag: Flag, segments: dict[str, Condition], asked: list[FlagContext]
) -> None:
    same_variants(flag, segments, asked)


@pytest.mark.soak
@settings(max_examples=3000, deadline=None)
@given(flags(), SEGMENT_SETS, st.lists(contexts(), min_size=1, max_size=5))
def test_everybody_gets_the_same_variant_at_length(
    flag: Flag, segments: dict[str, Condition], asked: list[FlagContext]
) -> None:
    same_variants(flag, segments, asked)


def same_variants(flag: Flag, segments: dict[str, Condition], asked: list[FlagContext]) -> None:
    ours = FlagSnapshot.of({flag.key: flag}, FlagSet(segments=segments)).flags[flag.key]
    written = dump({flag.key: flag}, segments=segments)
    assert validate(written) == ()
    theirs = evaluator(load(written, strict=True).flags[flag.key])
    for each in asked:
        ours_says, theirs_says = ours.evaluate(each), theirs(each)
        assert theirs_says.variant == ours_says.variant
        assert theirs_says.value == ours_says.value
        assert (ours_says.error, theirs_says.error) == (None, None)


def test_shares_end_where_the_golden_buckets_say() -> None:
    for pair in outside_json("golden/bucketing.json")["pairs"]:
        key, bucket = pair["flagKey"], pair["v3_bucket_of_100000"]
        for parts, variant in ((bucket, "off"), (bucket + 1, "on")):
            written = dump({key: percentage(key, parts)})
            assert evaluator(load(written).flags[key])(context(pair["targetingKey"])).variant == variant


@pytest.mark.parametrize(("salt", "bucket_by"), [("ramp", "tenant"), ("2026", "tenant"), ("2026", "user")])
def test_a_growing_share_lets_the_same_in_on_both_sides(salt: str, bucket_by: str) -> None:
    people = [context(f"t{each}", f"u{each % 7}") for each in range(300)]
    for parts in (0, 1, 33_333, 50_000, 99_999, PARTS):
        flag = replace(percentage("ramp", parts), salt=salt, bucket_by=bucket_by)
        ours = FlagSnapshot.of({"ramp": flag}, FlagSet()).flags["ramp"].evaluate
        theirs = evaluator(load(dump({"ramp": flag})).flags["ramp"])
        assert [theirs(each).value for each in people] == [ours(each).value for each in people]


def percentage(key: str, parts: int) -> Flag:
    return Flag(
        key=key,
        type=FlagType.BOOLEAN,
        variants={"on": True, "off": False},
        default="off",
        off="off",
        salt=key,
        rules=(Rule("ramp", "on", rollout=Rollout(((EARLIEST, min(parts, PARTS)),))),),
    )
