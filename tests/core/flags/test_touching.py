"""What a change touched is taken back exactly, and what else was changed since stays."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings

from payaid_entitlements.core.flags.model import FlagSet, Not, Progress, Segment, Stage
from payaid_entitlements.core.flags.rollouts.machine import taken_back
from payaid_entitlements.core.flags.touching import back, kept, things_of, touched
from tests.core.flags.generated import flag_sets
from tests.core.flags.test_turning import BOOLEAN, COLOUR

NOW = 1_800_000_000_000_000


@settings(max_examples=15, deadline=None)
@given(flag_sets(), flag_sets())
def test_what_is_taken_back_is_as_it_was(before: FlagSet, after: FlagSet):
    """But for what goes on by itself: see `taken_back`."""
    things = touched(before, after)
    said = json.loads(json.dumps(kept(before, things)))
    again = back(after, said, NOW)
    assert things_of(said) == things
    assert again.flags == before.flags
    assert again.segments == before.segments
    for key in {*before.progress, *after.progress}:
        assert again.progress.get(key) == taken_back(before.progress.get(key), after.progress.get(key), NOW)


@settings(max_examples=15, deadline=None)
@given(flag_sets())
def test_nothing_is_touched_by_a_set_that_says_the_same(flag_set: FlagSet):
    assert touched(flag_set, replace(flag_set, revision=flag_set.revision + 1)) == set()
    assert back(flag_set, kept(flag_set, ()), NOW) == flag_set


def test_a_flag_that_only_the_catalog_spoke_of_is_left_to_it_again():
    """And one that was removed is removed again."""
    bare, defined, removed = FlagSet(), FlagSet(1, {"look": BOOLEAN}), FlagSet(2, {"look": None})
    assert kept(bare, [("flag", "look")])["flag"] == {"look": "catalog"}
    assert back(defined, kept(bare, [("flag", "look")]), NOW).flags == {}
    assert back(defined, kept(removed, [("flag", "look")]), NOW).flags == {"look": None}


def test_what_is_not_touched_stays():
    first = FlagSet(1, {"look": BOOLEAN}, {"staff": Segment("all")})
    second = replace(first, flags={}, segments={})
    third = FlagSet(3, {"colour": COLOUR}, {"other": Not(Segment("staff"))})
    assert back(third, kept(first, touched(first, second)), NOW) == FlagSet(
        3, {"look": BOOLEAN, "colour": COLOUR}, {"staff": Segment("all"), "other": Not(Segment("staff"))}
    )


def test_a_step_of_a_rollout_touches_its_flag():
    stood = Progress("r", Stage.RUNNING, 0, 7, 4)
    before = FlagSet(1, {"look": BOOLEAN}, progress={"look": stood})
    after = replace(before, progress={"look": replace(stood, step=1, attempt=5)})
    assert touched(before, after) == {("flag", "look")}
    again = back(after, kept(before, touched(before, after)), NOW)
    assert again.progress == {"look": replace(stood, since=NOW, attempt=6)}


def test_what_is_remembered_of_a_removed_flag_goes_and_comes_back_with_it():
    """What the release before kept says nothing of it."""
    live, gone = FlagSet(1, {"look": BOOLEAN}), FlagSet(2, {"look": None}, removed={"look": BOOLEAN})
    things = touched(live, gone)
    assert back(gone, kept(live, things), NOW) == replace(live, revision=2)
    assert back(live, kept(gone, things), NOW) == replace(gone, revision=1)
    said = kept(live, things)
    del said["removed"]
    assert back(gone, said, NOW).removed == {}
