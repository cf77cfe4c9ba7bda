"""What was published stays readable: a flag that this release cannot read fails alone, and closed."""

# ruff: noqa: E501 - a table of cases

from __future__ import annotations

import json
from typing import Any

import pytest

from payaid_entitlements.core.catalog import Catalog, Published, publish
from payaid_entitlements.core.catalog.building import rebuild
from payaid_entitlements.core.catalog.flags.linting import lint_flags
from payaid_entitlements.core.catalog.flags.publishing import dropped_of, require_kept_buckets
from payaid_entitlements.core.flags.details import FlagError, FlagReason
from payaid_entitlements.core.flags.model import Flag, FlagSet
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.flags.storing import decode_flag, encode_flag
from payaid_entitlements.errors import CatalogInvalid
from tests.core.flags.native import context

GOOD = {"rollout": "100%", "narrows": ["crm"], "owner": "growth"}
ONLY_IF = {"needs": {"old": ["on"]}, "rollout": "100%"}


def document(flags: Any, **sections: Any) -> dict[str, object]:
    """A catalog with *flags* and one module."""
    return {"catalog": 1, "modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}, "flags": flags, **sections}


def evaluated(catalog: Catalog, key: str, flag_set: FlagSet | None = None) -> Any:
    """What a flag says to somebody."""
    compiled = FlagSnapshot.of(catalog.flags, flag_set or FlagSet(), segments=catalog.segments)
    return compiled.flags[key].evaluate(context())


# fmt: off
OLD: list[tuple[str, Any, dict[str, Any], str]] = [
    ("a number for a share", {"rollout": 25, "narrows": ["crm"]}, {}, "flags.old.rollout"),
    ("a field of another release", {"prerequisites": ["good"], "narrows": ["crm"]}, {}, "has no 'prerequisites'"),
    ("a reference to nothing", {"serve": "on", "narrows": ["crm", "gone"]}, {}, "'gone'"),
    ("a circle", {"needs": {"old": ["on"]}, "narrows": ["crm"]}, {}, "must stand alone"),
    ("an operator of another release", {"rules": [{"when": {"plan": {"sounds_like": "pro"}}}], "narrows": ["crm"]}, {}, "sounds_like"),
    ("targeting that is none", {"targeting": {"if": []}, "rules": [{}], "narrows": ["crm"]}, {}, "beside rules"),
    ("a segment of another release", {"rules": [{"when": {"segment": "staff"}}], "narrows": ["crm"]}, {"segments": {"staff": {"all": [{"plan": "pro"}, {"plan": {"sounds_like": 1}}]}}}, "staff"),
]
# fmt: on


@pytest.mark.parametrize(("flag", "sections", "says"), [row[1:] for row in OLD], ids=[row[0] for row in OLD])
def test_a_flag_that_cannot_be_read_fails_alone(flag: Any, sections: dict[str, Any], says: str) -> None:
    """It is there, answers by its error, narrows still; others answer; publishing it is refused as ever."""
    written = document({"good": GOOD, "old": flag}, **sections)
    with pytest.raises(CatalogInvalid):
        Catalog.load(written)
    catalog = rebuild(written)
    details = evaluated(catalog, "old")
    assert (details.value, details.variant, details.reason) == (None, None, FlagReason.ERROR)
    assert details.error in (FlagError.GENERAL, FlagError.PARSE_ERROR)
    assert says in details.message
    assert catalog.flags["old"].narrows[:1] == ("crm",)
    assert evaluated(catalog, "good").value is True
    (problem,) = (each for each in lint_flags(catalog, FlagSet()) if each.code == "flag.broken")
    assert (problem.path, problem.fatal) == ("flags.old", True)
    assert says in problem.message


def test_whoever_needs_it_is_off_and_not_broken() -> None:
    """What another flag needs is not there, which is what it is for."""
    catalog = rebuild(document({"old": {"rollout": 25}, "new": ONLY_IF}))
    assert not catalog.flags["new"].broken
    assert (evaluated(catalog, "new").value, evaluated(catalog, "new").reason) == (False, FlagReason.DEFAULT)


@pytest.mark.parametrize("flags", [{"old": "25%", "good": GOOD}, {"old": ["x"], "good": GOOD}, {"old": None}, [GOOD]])
def test_what_is_no_flag_at_all_keeps_its_key(flags: Any) -> None:
    """So that nobody takes it for a misspelt one; of what is no mapping there are no keys."""
    catalog = rebuild(document(flags))
    if isinstance(flags, dict):
        assert catalog.flags["old"].broken
        assert evaluated(catalog, "old").error is FlagError.GENERAL
        assert set(catalog.flags) == set(flags)
    else:
        assert catalog.flags == {}


def test_other_sections_are_as_strict_as_ever() -> None:
    """What is sold is not guessed at."""
    with pytest.raises(CatalogInvalid, match="nothing"):
        rebuild(document({}, plans={"free": {"modules": ["nothing"]}}))


def test_what_is_right_is_read_alike() -> None:
    """Both ways give one catalog."""
    written = document({"good": GOOD, "new": {**GOOD, "narrows": []}}, segments={"pros": {"plan": "pro"}})
    assert rebuild(written) == Catalog.load(written)


def test_a_published_catalog_comes_back_from_its_text_with_what_it_had() -> None:
    """Written again it is the same text: a release that can read the flag has lost nothing."""
    first, _ = publish(None, Catalog.load(document({"good": GOOD})))
    data = json.loads(first.to_json())
    data["catalog"]["flags"]["old"] = {"rollout": 25}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    read = Published.from_json(text)
    assert read.catalog.flags["old"].broken
    assert read.to_json() == text
    assert Published.from_json(read.to_json()) == read


def test_flags_that_a_catalog_dropped_come_back_too() -> None:
    """What another release wrote of them stays as it is, and is passed over."""
    first, _ = publish(None, Catalog.load(document({"good": GOOD})))
    data = json.loads(first.to_json())
    data["dropped"] = {"live": encode_flag(first.catalog.flags["good"]), "later": {"key": "later", "type": "new"}}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    read = Published.from_json(text)
    assert read.to_json() == text
    assert dropped_of(read, FlagSet()) == {"live": first.catalog.flags["good"]}
    assert dropped_of(read, FlagSet(flags={"live": None})) == {}
    data["dropped"] = ["live"]
    assert Published.from_json(json.dumps(data)).dropped == {}


def test_it_is_mended_by_publishing_or_defining_it_anew() -> None:
    """It has dealt nobody anything, so any salt may come; what the flag set has counts in its place."""
    before = rebuild(document({"old": {"rollout": 25}, "whole": {"salt": "one", "rollout": "5%"}}))
    after = Catalog.load(document({"old": {"rollout": "100%", "salt": "other", "bucket_by": "user"}}))
    require_kept_buckets(before, after, FlagSet(), {})
    dealt_anew = Catalog.load(document({"whole": {"salt": "two", "rollout": "5%"}}))
    with pytest.raises(CatalogInvalid, match="salt"):
        require_kept_buckets(before, dealt_anew, FlagSet(), {})
    assert evaluated(before, "old", FlagSet(flags={"old": after.flags["old"]})).value is True


def test_the_flag_set_has_none() -> None:
    """A flag is stored as it was before there were broken ones."""
    flag: Flag = Catalog.load(document({"good": GOOD})).flags["good"]
    assert "broken" not in encode_flag(flag)
    assert decode_flag(encode_flag(flag)) == flag
