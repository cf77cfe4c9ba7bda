"""Files of flags: of flagd's sort or of ours, all of it or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.flags.documents import Flags, is_flagd, of_generation, read_file, read_flags
from payaid_entitlements.core.flags.ordering import LONGEST_CHAIN
from payaid_entitlements.errors import FlagsInvalid
from tests.core.conftest import SMALL

SOLD = Catalog.load(SMALL)
ON = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}


def read(source: Any, known: Flags | None = None) -> Flags:
    flags, segments = ({}, {}) if known is None else (known.flags, known.segments)
    return read_flags(read_file(source), catalog=SOLD, flags=flags, segments=segments)


def codes(source: Any, known: Flags | None = None) -> set[str]:
    with pytest.raises(FlagsInvalid) as caught:
        read(source, known)
    return {each.code for each in caught.value.problems}


@pytest.mark.parametrize(
    ("data", "is_it"),
    [
        ({"flags": {"a": ON}}, True),
        ({"flags": [{"key": "a", **ON}]}, True),
        ({"$schema": "x", "flags": {}}, True),
        ({"$evaluators": {}, "flags": {}}, True),
        ({"flags": {"a": {"rollout": "5%"}}}, False),
        ({"flags": {"a": 5}}, False),
        ({"segments": {}}, False),
    ],
)
def test_which_sort_it_is_shows(data: dict[str, Any], is_it: bool):
    assert is_flagd(data) is is_it


def test_a_file_of_ours_is_read_in_each_format(tmp_path: Path):
    data = {"flags": {"look": {"rollout": "5%", "metadata": {"weight": 0.5}}}, "segments": {"near": {"country": "IN"}}}
    files = {"a.json": json.dumps(data), "b.yaml": json.dumps(data), "c.toml": '[flags.look]\nrollout = "5%"'}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert read(tmp_path / "a.json") == read(str(tmp_path / "b.yaml")) == read(data)
    assert set(read(tmp_path / "c.toml").flags) == {"look"}
    (tmp_path / "d.JSON").write_text(json.dumps({"flags": {"a": ON}}))
    assert set(read(tmp_path / "d.JSON").flags) == {"a"}


def test_what_cannot_be_read_at_all_is_said(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("flags: {look: {")
    (tmp_path / "b.json").write_text('{"flags": {"a": {}, "a": {}}}')
    assert codes(tmp_path / "a.yaml") == {"syntax"}
    assert codes(tmp_path / "b.json") == {"duplicate.key"}
    assert codes(tmp_path / "c.txt") == {"file.format"}
    with pytest.raises(TypeError):
        read(5)


def test_what_is_no_section_is_told_those_of_a_file_of_flags():
    with pytest.raises(FlagsInvalid, match="has no 'modules'; it has flags, segments"):
        read({"modules": {}})


def test_problems_name_their_lines(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("flags:\n  look:\n    rollout: 500%\n")
    with pytest.raises(FlagsInvalid, match=r"a\.yaml:3: .*500%"):
        read(tmp_path / "a.yaml")


def test_flags_of_a_file_may_name_one_another_and_what_is_there():
    there = read({"flags": {"base": {}}, "segments": {"near": {"country": "IN"}}})
    found = read(
        {
            "flags": {
                "first": {"needs": {"second": "on", "base": "on"}},
                "second": {"rules": [{"when": {"segment": "near"}}, {"when": {"segment": "far"}}]},
            },
            "segments": {"far": {"not": {"segment": "near"}}},
        },
        there,
    )
    assert (set(found.flags), set(found.segments)) == ({"first", "second"}, {"far"})
    assert codes({"flags": {"a": {"needs": {"b": "on"}}, "b": {"needs": {"a": "on"}}}}) == {"flag.cycle"}
    assert codes({"flags": {"crm": {}, "a": {"unknown": 5}}}) >= {"key.taken"}
    assert codes({"segments": {"a": {"segment": "b"}, "b": {"segment": "a"}}}) == {"segment.cycle"}


def test_what_was_wrong_before_is_not_the_fault_of_the_file():
    """But what it makes wrong of what is there is."""
    half = {"exclusion": {"group": "g", "percent": "60%"}}
    one, other = read({"flags": {"one": half}}).flags, read({"flags": {"other": half}}).flags
    there = Flags({**one, **other})
    assert set(read({"flags": {"third": {}}}, there).flags) == {"third"}
    assert codes({"flags": {"third": half}}, there) == {"exclusion.overlap"}


def test_flags_of_flagd_are_strict():
    assert set(read({"flags": {"a": ON}}).flags) == {"a"}
    assert codes({"flags": {"crm": ON}}) == {"key.taken"}
    assert codes({"flags": {"a": {**ON, "state": "ON"}}})


def test_a_key_that_was_retired_is_no_flags():
    """Of a file of flagd neither."""
    sold = Catalog.load({**SMALL, "retired": {"old-look": "2026-05-01"}})
    with pytest.raises(FlagsInvalid, match="'old-look' was retired on 2026-05-01") as caught:
        read_flags(read_file({"flags": {"old-look": ON}}), catalog=sold, flags={}, segments={})
    assert [each.code for each in caught.value.problems] == ["key.retired"]


def test_what_could_never_be_answered_is_refused_and_not_found_out_later():
    """A chain that is too long, and one that asks two others in each of many steps."""
    chain: dict[str, Any] = {f"f{n}": {"needs": {f"f{n + 1}": "on"}, "rollout": "1%"} for n in range(LONGEST_CHAIN)}
    last = {f"f{LONGEST_CHAIN}": {"rollout": "1%"}}
    assert len(read({"flags": dict(list(chain.items())[1:]) | last}).flags) == LONGEST_CHAIN
    assert codes({"flags": chain | last}) == {"flag.needs"}
    wide = {
        f"{side}{n}": {"needs": {f"a{n + 1}": "on", f"b{n + 1}": "on"}, "rollout": "1%"}
        for n in range(14)
        for side in "ab"
    }
    assert codes({"flags": {**wide, "a14": {"rollout": "1%"}, "b14": {"rollout": "1%"}}}) == {"flag.needs"}
    segments = {f"s{n}": {"any": [{"segment": f"s{n + 1}"}, {"segment": f"s{n + 1}"}]} for n in range(14)}
    assert codes({"segments": {**segments, "s14": {"plan": "pro"}}}) == {"segment.needs"}


def test_a_generation_is_of_files_of_flagd():
    """What the file says of itself besides stays; and what is no metadata is told as ever."""
    split = {**ON, "targeting": {"fractional": [["on", 1], ["off", 1]]}}
    file = of_generation(read_file({"flags": {"a": split}, "metadata": {"version": "7"}}), "v2")
    flag = read_flags(file, catalog=SOLD, flags={}, segments={}).flags["a"]
    assert (flag.scheme, flag.metadata) == ("v2", {"version": "7"})
    assert of_generation(file, "v2") == file
    with pytest.raises(FlagsInvalid, match="says that it is of v2, and v3 deals everybody otherwise"):
        of_generation(file, "v3")
    unread = of_generation(read_file({"flags": {"a": split}, "metadata": 5}), "v3")
    with pytest.raises(FlagsInvalid, match="metadata is an object"):
        read_flags(unread, catalog=SOLD, flags={}, segments={})
    other = of_generation(read_file({"flags": {"a": split}, "metadata": {"fractional": "v4"}}), "v3")
    with pytest.raises(FlagsInvalid, match="the generations of 'fractional' are v2 and v3"):
        read_flags(other, catalog=SOLD, flags={}, segments={})
    with pytest.raises(FlagsInvalid, match="this is one of ours"):
        of_generation(read_file({"flags": {"a": {"rollout": "5%"}}}), "v2")


def test_of_very_many_problems_a_message_lists_the_first():
    """All of them are with it."""
    broken = {f"f{number}": {"state": "ON", "variants": {"on": True}} for number in range(1_200)}
    with pytest.raises(FlagsInvalid) as caught:
        read({"flags": broken})
    lines = str(caught.value).splitlines()
    assert (len(caught.value.problems), len(lines)) == (1_200, 102)
    assert (lines[0], lines[-1]) == ("1200 problems in the flags:", "  and 1,100 more")
