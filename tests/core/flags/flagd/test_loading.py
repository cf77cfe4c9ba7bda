"""flagd files, read: what each form says, and what is told about what is wrong."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from typing import Any

import pytest

from payaid_entitlements.core.flags.details import FlagError, FlagReason, FlagValue
from payaid_entitlements.core.flags.flagd import FlagDocument, load, parsing, reading, validate
from payaid_entitlements.core.flags.flagd.evaluating import evaluator
from payaid_entitlements.core.flags.flagd.parsing import MAX_LENGTH
from payaid_entitlements.core.flags.model import Flag, FlagType
from payaid_entitlements.errors import ConfigurationError, FlagsInvalid
from tests.core.flags.flagd.generated import context

ON: dict[str, Any] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}


def file(flags: Any = None, **rest: Any) -> dict[str, Any]:
    return {"flags": {"look": ON} if flags is None else flags, **rest}


def one(**changed: Any) -> dict[str, Any]:
    """A file of one flag, of which some fields are other than usual."""
    return file({"look": {**ON, **changed}})


def codes(source: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in validate(source)]


def test_a_flag_is_read_whole() -> None:
    targeting: FlagValue = {"if": [{"var": "beta"}, "on"]}
    document = load(json.dumps(one(targeting=targeting, metadata={"team": "growth"})), file="flags.json")
    assert document.flags["look"] == Flag(
        key="look",
        type=FlagType.BOOLEAN,
        variants={"on": True, "off": False},
        default="on",
        off=None,
        salt="look",
        bucket_by="targetingKey",
        metadata={"team": "growth"},
        targeting=targeting,
    )
    assert (document.broken, document.problems, document.lints, document.scheme) == ({}, (), (), "v3")


@pytest.mark.parametrize(
    ("variants", "kind"),
    [
        ({"a": True}, FlagType.BOOLEAN),
        ({"a": ""}, FlagType.STRING),
        ({"a": 1}, FlagType.INTEGER),
        ({"a": 0.5}, FlagType.FLOAT),
        ({"a": 1, "b": 0.5}, FlagType.FLOAT),
        ({"a": {}}, FlagType.OBJECT),
    ],
)
def test_the_type_is_that_of_the_variants(variants: dict[str, Any], kind: FlagType) -> None:
    assert load(one(variants=variants, defaultVariant=None), strict=True).flags["look"].type is kind


def test_bytes_and_what_was_read_already_are_the_same_file() -> None:
    text = json.dumps(file())
    assert load(text.encode()) == load(text) == load(file())


def test_exact_numbers_of_other_readers_are_floats_here() -> None:
    exact = load(one(variants={"a": Decimal("0.5"), "b": Decimal(1)}, defaultVariant=None), strict=True)
    assert exact.flags["look"].variants == {"a": 0.5, "b": 1.0}
    for endless in ("1e999", "NaN", "sNaN", "-Infinity"):
        assert ("no.json", "flags.look.variants.a") in codes(one(variants={"a": Decimal(endless)}))


def test_flags_may_be_a_list_of_which_a_flag_set_is_chosen() -> None:
    flags = [{"key": "look", **ON, "metadata": {"flagSetId": name}} for name in ("web", "app")]
    flags[1]["defaultVariant"] = "off"
    both = file([*flags, {"key": "other", **ON}, {"key": "bad", "metadata": {"flagSetId": "app"}}, "no flag"])
    chosen = load(both, flag_set="app")
    assert {key: flag.default for key, flag in chosen.flags.items()} == {"look": "off"}
    assert list(chosen.broken) == ["bad"]
    assert set(load({**both, "metadata": {"flagSetId": "ios"}}, flag_set="ios").flags) == {"other"}
    everything = load(both)
    assert list(everything.flags) == ["other"]
    assert "load one flagSetId" in everything.broken["look"].message
    assert codes(both) == [
        ("flag.unnamed", "flags[4]"),
        ("duplicate.flag", "flags[1]"),
        ("state.invalid", "flags[3].state"),
        ("variants.missing", "flags[3].variants"),
    ]


def test_what_is_written_three_times_is_one_broken_flag() -> None:
    document = load(file([{"key": "look", **ON}] * 3))
    assert (document.flags, list(document.broken), len(document.problems)) == ({}, ["look"], 2)


def test_metadata_of_the_set_lies_under_that_of_the_flag() -> None:
    document = load(file({"look": {**ON, "metadata": {"team": "growth"}}}, metadata={"team": "x", "version": "7"}))
    assert document.flags["look"].metadata == {"team": "growth", "version": "7"}
    assert document.metadata == {"team": "x", "version": "7"}


def test_the_generation_is_what_is_asked_for_else_what_the_file_says() -> None:
    said = file(metadata={"fractional": "v2"})
    assert (load(said).scheme, load(said, fractional="v3").scheme, load(file(), fractional="v2").scheme) == (
        "v2",
        "v3",
        "v2",
    )
    assert load(said).flags["look"].scheme == "v2"
    assert load(said).flags["look"].metadata == {}
    assert codes(file(metadata={"fractional": "v4"})) == [("generation.unknown", "metadata.fractional")]


def test_references_are_put_in_by_structure_and_not_within_each_other() -> None:
    beta = {"==": [{"var": "beta"}, True]}
    rule = {"if": [{"$ref": "beta"}, "on", {"$ref": "beta"}]}
    document = load(
        file({"look": {**ON, "targeting": rule}}, **{"$evaluators": {"beta": beta, "empty": {}}}), strict=True
    )
    assert document.flags["look"].targeting == {"if": [beta, "on", beta]}
    nested = file(
        {"look": {**ON, "targeting": {"$ref": "b"}}}, **{"$evaluators": {"a": beta, "b": {"!": [{"$ref": "a"}]}}}
    )
    assert codes(nested) == [("unknown.evaluator", "$evaluators.b.!")] or codes(nested)[0][0] == "unknown.evaluator"
    assert "uses 'b' of $evaluators: $ref names 'a'" in load(nested).broken["look"].message


def test_a_bad_flag_fails_alone() -> None:
    bad = {"look": ON, "bad": {"state": "ON", "variants": {}}, "ref": {**ON, "targeting": {"$ref": "no"}}}
    document = load(file(bad))
    assert list(document.flags) == ["look"]
    assert set(document.broken) == {"bad", "ref"}
    assert "ENABLED or DISABLED" in document.broken["bad"].message
    told = r"(?s)3 problems.*flags\.bad\.state.*flags\.bad\.variants.*flags\.ref"
    with pytest.raises(FlagsInvalid, match=told) as caught:
        load(file(bad), strict=True)
    assert len(caught.value.problems) == 3
    assert isinstance(caught.value, ConfigurationError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("source", "code", "path"),
    [
        ("{", "no.json", ""),
        ('{"flags": NaN}', "no.json", ""),
        (b"\xff\xfe\xff", "no.json", ""),
        ('{"flags": ' + "1" * 5000 + "}", "no.json", ""),
        ("[" * 100_000, "too.deep", ""),
        ("[]", "no.object", ""),
        ("null", "no.object", ""),
        ({"flags": 1}, "flags.missing", "flags"),
        ({}, "flags.missing", "flags"),
    ],
)
def test_what_is_no_flagd_file_is_refused_whole(source: Any, code: str, path: str) -> None:
    with pytest.raises(FlagsInvalid) as caught:
        load(source)
    assert [(problem.code, problem.path) for problem in caught.value.problems] == [(code, path)]
    assert codes(source) == [(code, path)]


def test_a_file_has_a_greatest_length() -> None:
    with pytest.raises(FlagsInvalid, match=r"too\.long"):
        load(" " * (MAX_LENGTH + 1))


def test_nesting_without_end_is_refused() -> None:
    circle: dict[str, Any] = file()
    circle["flags"] = {"look": circle, "more": {}}
    assert [code for code, _ in codes(circle)] == ["too.deep"]


def test_what_means_more_than_it_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    many: list[Any] = []
    for _ in range(30):  # a list of the same list twice, and so on: a billion values in 30 lines
        many = [many, many]
    with monkeypatch.context() as bounded:
        bounded.setattr(parsing, "MAX_VALUES", 1000)
        assert [code for code, _ in codes({"flags": {}, "more": many})] == ["too.large"]
    flagged = one(targeting={"or": [{"$ref": "long"}] * 100})
    assert codes({**flagged, "$evaluators": {"long": {"in": [{"var": "a"}, ["x"] * 1000]}}}) == [
        ("rule.size", "flags.look.targeting")
    ]
    deep: Any = {"var": "a"}
    for _ in range(65):
        deep = {"!": deep}
    assert [code for code, _ in codes(one(targeting=deep))] == ["rule.bounds"]


def test_a_small_file_cannot_name_a_large_rule_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_REFERRED", 10_000)
    large = {"in": [{"var": "user"}, ["x"] * 400]}
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    flags = {f"f{number:02d}": {**flag, "targeting": {"if": [{"$ref": "large"}, "on"]}} for number in range(30)}
    document = load({"flags": flags, "$evaluators": {"large": large}})
    assert len(document.flags) == 10_000 // 404
    assert {problem.code for problem in document.problems} == {"file.size"}
    assert set(document.flags) | set(document.broken) == set(flags)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"flags": {}, "flags": {}}', ("duplicate.key", "")),
        (file(metadata=[]), ("metadata.type", "metadata")),
        (file(metadata={"flagSetId": 7}), ("metadata.value", "metadata.flagSetId")),
        (file(**{"$evaluators": []}), ("evaluators.type", "$evaluators")),
        (file(**{"$evaluators": {"a": 1}}), ("targeting.type", "$evaluators.a")),
        (file({"": ON}), ("flag.unnamed", "flags")),
        (
            file([{"key": "look", **ON}], **{"$schema": "https://flagd.dev/schema/v0/flags.json"}),
            ("flags.list", "flags"),
        ),
        (file({"look": 1}), ("flag.type", "flags.look")),
        (one(state="enabled"), ("state.invalid", "flags.look.state")),
        (one(state=True), ("state.invalid", "flags.look.state")),
        (one(variants=[]), ("variants.missing", "flags.look.variants")),
        (one(variants={"": True}, defaultVariant=None), ("variant.unnamed", "flags.look.variants")),
        (one(variants={"on": [1]}), ("variants.mixed", "flags.look.variants")),
        (one(variants={"on": True, "off": 0}), ("variants.mixed", "flags.look.variants")),
        (one(defaultVariant=1), ("default.type", "flags.look.defaultVariant")),
        (one(defaultVariant="no"), ("default.unknown", "flags.look.defaultVariant")),
        (one(targeting="on"), ("targeting.type", "flags.look.targeting")),
        (one(metadata={"a": [1]}), ("metadata.value", "flags.look.metadata.a")),
        (one(metadata={"a": float("inf")}), ("no.json", "flags.look.metadata.a")),
        (one(metadata={"a": {1}}), ("no.json", "flags.look.metadata.a")),
        (one(metadata={7: 1}), ("no.json", "flags.look.metadata")),
        (one(metadata={"a": "\ud800"}), ("no.unicode", "flags.look.metadata.a")),
    ],
)
def test_each_problem_has_a_code_and_a_place(source: Any, expected: tuple[str, str]) -> None:
    assert expected in codes(source)


def test_a_slip_of_a_name_is_a_lint() -> None:
    document = load(one(defaultVarient="on", comment="x"))
    assert [(lint.code, lint.path) for lint in document.lints] == [("unknown.field", "flags.look.defaultVarient")]
    assert "defaultVariant" in document.lints[0].message
    assert document.problems == ()


@pytest.mark.parametrize(
    ("rule", "code", "where"),
    [
        ({"catt": [1]}, "unknown.operator", ""),
        ({"if": [{"in": [1, 2], "==": [{"foo": 1}, 1]}, "on"]}, "operator.count", "if[0]"),
        ({"==": [1]}, "operand.count", "=="),
        ({"<": [1, 2, 3, 4]}, "operand.count", "<"),
        ({"cat": "a"}, "operand.count", "cat"),
        ({"!": [1, 2]}, "operand.count", "!"),
        ({"var": [1]}, "operand.type", "var"),
        ({"var": []}, "operand.type", "var"),
        ({"var": ["a", [1]]}, "operand.type", "var"),
        ({"var": "$flagd.flagkey"}, "unknown.variable", "var"),
        ({"missing": "a"}, "operand.type", "missing"),
        ({"missing_some": [1]}, "operand.count", "missing_some"),
        ({"missing_some": ["a", 1]}, "operand.type", "missing_some"),
        ({"missing_some": [True, ["a"]]}, "operand.type", "missing_some"),
        ({"starts_with": ["abc"]}, "operand.count", "starts_with"),
        ({"ends_with": ["abc", 1]}, "operand.type", "ends_with[1]"),
        ({"sem_ver": ["1.0.0", "="]}, "operand.count", "sem_ver"),
        ({"sem_ver": ["1.0.0.0", "=", "1"]}, "version.invalid", "sem_ver[0]"),
        ({"sem_ver": ["1.0.0", "=", 1]}, "version.invalid", "sem_ver[2]"),
        ({"sem_ver": ["1.0.0", "==", {"var": "v"}]}, "version.operator", "sem_ver[1]"),
        ({"sem_ver": ["1.0.0", [], "1.0.0"]}, "version.operator", "sem_ver[1]"),
        ({"fractional": []}, "operand.count", "fractional"),
        ({"fractional": ["id", ["on"]]}, "arm.shape", "fractional[0]"),
        ({"fractional": [["on", 1, 2]]}, "arm.shape", "fractional[0]"),
        ({"fractional": [["on", -1]]}, "weight.type", "fractional[0][1]"),
        ({"fractional": [["on", True]]}, "weight.type", "fractional[0][1]"),
        ({"fractional": [["on", 2_000_000_000], ["off", 2_000_000_000]]}, "weight.sum", "fractional"),
    ],
)
def test_rules_are_held_to_the_schema(rule: Any, code: str, where: str) -> None:
    path = f"flags.look.targeting.{where}" if where else "flags.look.targeting"
    assert (code, path) in codes(one(targeting=rule))


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"fractional": [{"var": "email"}, ["on", {"var": "w"}], ["off", 1]]},
        {"missing_some": [1, ["a", "b"]]},
        {"missing": ["a", "b"]},
        {"sem_ver": [{"var": "v"}, "^", "v1.2"]},
        {"?:": [True, "on", "off"]},
        {"!": {"var": ["a", None]}},
    ],
)
def test_rules_that_are_right_pass(rule: Any) -> None:
    assert codes(one(targeting=rule)) == []


def says(document: FlagDocument, **attributes: Any) -> tuple[Any, str | None, FlagReason, FlagError | None]:
    details = evaluator(document.flags["look"])(context("acme", attributes=attributes))
    return details.value, details.variant, details.reason, details.error


def test_answers_are_those_of_flagd() -> None:
    rule = {"var": "says"}
    assert says(load(one())) == (True, "on", FlagReason.STATIC, None)
    assert says(load(one(targeting={}))) == (True, "on", FlagReason.STATIC, None)
    assert says(load(one(defaultVariant=None))) == (None, None, FlagReason.DEFAULT, None)
    assert says(load(one(state="DISABLED"))) == (None, None, FlagReason.DISABLED, None)
    assert says(load(one(targeting=rule)), says="off") == (False, "off", FlagReason.TARGETING_MATCH, None)
    assert says(load(one(targeting=rule))) == (True, "on", FlagReason.DEFAULT, None)
    named = load(one(targeting=rule, variants={"true": "t", "1": "one"}, defaultVariant=None))
    assert says(named, says=True) == ("t", "true", FlagReason.TARGETING_MATCH, None)
    assert says(named, says=1) == ("one", "1", FlagReason.TARGETING_MATCH, None)
    assert says(named) == (None, None, FlagReason.DEFAULT, None)
    assert says(named, says="no") == (None, None, FlagReason.ERROR, FlagError.GENERAL)
    assert says(named, says=["1"]) == (None, None, FlagReason.ERROR, FlagError.GENERAL)
    assert says(load(one(defaultVariant="no"))) == (None, None, FlagReason.ERROR, FlagError.GENERAL)


def test_what_cannot_be_evaluated_says_so_when_it_is_asked() -> None:
    flag = load(one()).flags["look"]
    unread = Flag(**{**{name: getattr(flag, name) for name in Flag.__slots__}, "targeting": {"nope": []}})
    assert evaluator(unread)(context("acme")).error is FlagError.PARSE_ERROR
    endless: Any = {"var": "a"}
    for _ in range(100):
        endless = {"!": [endless]}
    unread = Flag(**{**{name: getattr(flag, name) for name in Flag.__slots__}, "targeting": endless})
    assert evaluator(unread)(context("acme")).error is FlagError.PARSE_ERROR
