"""How much flags may say is bounded where they are defined, and named where it is too much."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from payaid_entitlements.core.flags import sizes
from payaid_entitlements.core.flags.model import FlagSet, Test
from payaid_entitlements.core.flags.sizes import MOST_FLAG, MOST_SET, require_bounded
from payaid_entitlements.core.flags.storing import encode_flag
from payaid_entitlements.errors import FlagsInvalid
from tests.core.flags.test_turning import BOOLEAN

LARGE = replace(BOOLEAN, metadata={"note": "x" * MOST_FLAG})


def test_one_flag_is_bounded():
    """To the byte, and named with its size and the bound."""
    room = MOST_FLAG - len(json.dumps(encode_flag(replace(BOOLEAN, metadata={"note": ""})), separators=(",", ":")))
    require_bounded(FlagSet(), FlagSet(flags={"look": replace(BOOLEAN, metadata={"note": "x" * room})}))
    with pytest.raises(FlagsInvalid) as caught:
        require_bounded(FlagSet(), FlagSet(flags={"look": replace(BOOLEAN, metadata={"note": "x" * (room + 1)})}))
    [problem] = caught.value.problems
    assert (problem.code, problem.path) == ("flag.too_large", "flags.look")
    assert f"flag 'look' has {MOST_FLAG + 1:,} bytes of JSON; one may have 262,144" in problem.message


def test_a_segment_is_bounded():
    large = Test("country", "in", ["x" * MOST_FLAG])
    with pytest.raises(FlagsInvalid, match=r"segment 'near' has .* bytes of JSON"):
        require_bounded(FlagSet(), FlagSet(segments={"near": large}))
    require_bounded(FlagSet(segments={"near": large}), FlagSet(segments={"near": large}))


def test_what_is_there_already_may_stay():
    held = FlagSet(flags={"look": LARGE, "gone": None})
    require_bounded(held, replace(held, flags={**held.flags, "gone": BOOLEAN}))


def test_all_together_are_bounded(monkeypatch):
    """But for a change that makes them smaller."""
    assert MOST_SET == 4 * 1024 * 1024
    monkeypatch.setattr(sizes, "MOST_SET", 2_000)
    flags = {f"look-{number}": replace(BOOLEAN, key=f"look-{number}") for number in range(10)}
    with pytest.raises(FlagsInvalid, match=r"bytes of JSON together; at most 2,000 .* 'look-4' and 5 more"):
        require_bounded(FlagSet(), FlagSet(flags=flags))
    fewer = {key: flag for key, flag in flags.items() if key != "look-3"}
    require_bounded(FlagSet(flags=flags), FlagSet(flags=fewer))
    more = {"near": Test("country", "in", ["x"])}
    with pytest.raises(FlagsInvalid, match="remove some"):
        require_bounded(FlagSet(flags=flags), FlagSet(flags=flags, segments=more))
