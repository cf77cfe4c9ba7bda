"""Which flags answer otherwise: by their definition, a kill, a step, a segment, or a prerequisite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements import Catalog
from payaid_entitlements.core.flags.differing import differing
from payaid_entitlements.core.flags.model import (
    All,
    AnyOf,
    Flag,
    FlagSet,
    FlagType,
    Needs,
    Not,
    Progress,
    Rule,
    Segment,
    Stage,
    Test,
)
from payaid_entitlements.core.flags.snapshot import FlagSnapshot

INDIA = Test("country", "eq", "IN")


def flag(key: str, when=None, *needs: str) -> Flag:
    return Flag(
        key,
        FlagType.BOOLEAN,
        {"on": True, "off": False},
        "off",
        "off",
        salt=key,
        rules=(Rule("some", "on", when),),
        needs=tuple(Needs(each, frozenset({"on"})) for each in needs),
    )


FLAGS = {
    each.key: each
    for each in [
        flag("plain"),
        flag("leaf", INDIA, "plain"),
        flag("last", INDIA, "leaf"),
        flag("near", Segment("near")),
        flag("nearest", AnyOf((INDIA, Not(Segment("nearest"))))),
        flag("other", All((INDIA, Segment("other")))),
    ]
}
SET = FlagSet(segments={"near": INDIA, "nearest": All((Segment("near"),)), "other": INDIA})


def snapshot(flags=FLAGS, flag_set=SET, **how) -> FlagSnapshot:
    return FlagSnapshot.of(flags, flag_set, **how)


@pytest.mark.parametrize(
    ("now", "keys"),
    [
        (snapshot(), []),
        (snapshot({**FLAGS, "new": flag("new")}), ["new"]),
        (snapshot({key: each for key, each in FLAGS.items() if key != "near"}), ["near"]),
        (snapshot({**FLAGS, "near": replace(FLAGS["near"], metadata={"team": "a"})}), ["near"]),
        (snapshot(killed={"plain"}), ["last", "leaf", "plain"]),
        (snapshot(flag_set=replace(SET, progress={"last": Progress("some", Stage.RUNNING, 0, 0, 1)})), ["last"]),
        (snapshot(flag_set=replace(SET, segments={**SET.segments, "near": Not(INDIA)})), ["near", "nearest"]),
        (snapshot(flag_set=replace(SET, segments={**SET.segments, "more": INDIA})), []),
        (snapshot(flag_set=replace(SET, segments={key: SET.segments[key] for key in ("near", "other")})), ["nearest"]),
    ],
    ids=["nothing", "came", "went", "metadata", "killed", "step", "segment", "unused", "segment_gone"],
)
def test_it_names_what_answers_otherwise(now, keys):
    assert differing(snapshot(), now) == keys


def test_a_segment_that_an_edited_catalog_says_otherwise():
    """What is in the flag set goes before the catalog: an edit of the same segment in the catalog changes nothing."""

    def published(countries: list[str], flag_set: FlagSet) -> FlagSnapshot:
        catalog = Catalog.load(
            {
                "catalog": 1,
                "default_plan": "free",
                "plans": {"free": {}},
                "segments": {"near": {"country": countries}, "nearest": {"all": [{"segment": "near"}, {"vip": True}]}},
                "flags": {
                    "inside": {"rules": [{"when": {"segment": "nearest"}}]},
                    "others": {"rules": [{"when": {"vip": True}}]},
                },
            }
        )
        return FlagSnapshot.of(catalog.flags, flag_set, segments=catalog.segments)

    assert differing(published(["IN"], FlagSet()), published(["IN"], FlagSet())) == []
    assert differing(published(["IN"], FlagSet()), published(["IN", "LK"], FlagSet())) == ["inside"]
    near = FlagSet(segments={"near": INDIA})
    assert differing(published(["IN"], near), published(["IN", "LK"], near)) == []
