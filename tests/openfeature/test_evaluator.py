"""Our engine behind the protocol of flagd's evaluators."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
import time_machine
from openfeature.contrib.tools.flagd.api import Evaluator, FlagStoreError
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    OpenFeatureError,
    ParseError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, Reason

from payaid_entitlements.openfeature.evaluator import FlagdEvaluator
from tests.core.flags.flagd.malformed import damaged

ON: dict[str, Any] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}


def loaded(flags: dict[str, Any], **options: Any) -> FlagdEvaluator:
    made = FlagdEvaluator(**options)
    made.set_flags({"flags": flags})
    return made


def test_it_is_an_evaluator_by_the_protocol() -> None:
    evaluator: Evaluator = FlagdEvaluator()
    assert evaluator.set_flags_and_get_changed_keys('{"flags": {}}') == []
    assert evaluator.get_flag_set_metadata() == {}


def test_an_answer_has_variant_reason_and_metadata() -> None:
    evaluator = loaded({"look": {**ON, "metadata": {"team": "growth"}}})
    assert evaluator.resolve_boolean_value("look", False) == FlagResolutionDetails(
        True, reason=Reason.STATIC, variant="on", flag_metadata={"team": "growth"}
    )


def test_a_context_in_itself_is_an_error_of_openfeature() -> None:
    """Before the SDK sees it: whoever asks an evaluator by itself catches these."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidContextError, match="nested too deep"):
        loaded({"look": {**ON, "targeting": {"if": [{"var": "a"}, "on", "off"]}}}).resolve_boolean_value(
            "look", False, EvaluationContext("ann", {"a": endless})
        )


def test_each_type_is_asked_by_its_own_method() -> None:
    flags = {
        kind: {"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"}
        for kind, value in {"boolean": True, "string": "x", "integer": 7, "float": 0.5, "object": {"a": [1]}}.items()
    }
    evaluator = loaded(flags)
    assert evaluator.resolve_boolean_value("boolean", False).value is True
    assert evaluator.resolve_string_value("string", "").value == "x"
    assert evaluator.resolve_integer_value("integer", 0).value == 7
    assert evaluator.resolve_float_value("float", 0.0).value == 0.5
    assert evaluator.resolve_object_value("object", {}).value == {"a": [1]}
    whole = evaluator.resolve_float_value("integer", 0.0).value
    assert (whole, type(whole)) == (7.0, float)
    for kind, asked in (("boolean", "integer"), ("integer", "boolean"), ("float", "integer"), ("object", "string")):
        with pytest.raises(TypeMismatchError):
            getattr(evaluator, f"resolve_{asked}_value")(kind, None)


def test_what_has_no_answer_is_an_error_with_its_code() -> None:
    evaluator = loaded(
        {
            "broken": {**ON, "targeting": {"nope": []}},
            "lost": {**ON, "targeting": {"if": [True, "nowhere"]}},
        }
    )
    with pytest.raises(FlagNotFoundError, match="there is no flag 'missing'"):
        evaluator.resolve_boolean_value("missing", False)
    with pytest.raises(ParseError, match="no operator 'nope'"):
        evaluator.resolve_boolean_value("broken", False)
    with pytest.raises(GeneralError, match="no variant 'nowhere'"):
        evaluator.resolve_boolean_value("lost", False)


def test_disabled_and_without_a_default_are_the_callers_own() -> None:
    evaluator = loaded({"off": {**ON, "state": "DISABLED"}, "open": {**ON, "defaultVariant": None}})
    assert evaluator.resolve_string_value("off", "mine") == FlagResolutionDetails("mine", reason=Reason.DISABLED)
    assert evaluator.resolve_string_value("open", "mine") == FlagResolutionDetails("mine", reason=Reason.DEFAULT)


def test_a_file_that_is_none_leaves_the_one_before() -> None:
    evaluator = loaded({"look": ON})
    with pytest.raises(FlagStoreError, match="no JSON"):
        evaluator.set_flags("{")
    assert evaluator.resolve_boolean_value("look", False).value is True


def test_what_changed_is_told_by_key() -> None:
    evaluator = loaded({"same": ON, "gone": ON, "other": ON, "one": {**ON, "variants": {"on": 1}}, "bad": {}})
    metadata = {"flagSetId": "web"}
    after = {"same": dict(reversed(ON.items())), "new": ON, "other": {**ON, "state": "DISABLED"}, "bad": {}}
    after["one"] = {**ON, "variants": {"on": 1.0}}
    assert evaluator.set_flags_and_get_changed_keys({"flags": after}) == ["gone", "new", "one", "other"]
    changed = evaluator.set_flags_and_get_changed_keys(json.dumps({"flags": after, "metadata": metadata}))
    assert changed == ["new", "one", "other", "same"]
    assert evaluator.get_flag_set_metadata() == metadata
    assert evaluator.set_flags_and_get_changed_keys({"flags": {**after, "bad": 1}, "metadata": metadata}) == ["bad"]


RULE = {
    "if": [{"==": [{"var": "targetingKey"}, "jo"]}, "on", {"==": [{"var": "when"}, "2026-01-01T00:00:00+00:00"]}, "on"]
}


def test_the_targeting_key_is_the_one_of_the_context() -> None:
    evaluator = loaded({"look": {**ON, "targeting": RULE, "defaultVariant": "off"}})
    assert evaluator.resolve_boolean_value("look", False, EvaluationContext("jo", {"targetingKey": "x"})).value is True
    assert evaluator.resolve_boolean_value("look", False, EvaluationContext("", {})).value is False
    assert evaluator.resolve_boolean_value("look", False).value is False
    dated = EvaluationContext(attributes={"when": datetime(2026, 1, 1, tzinfo=UTC)})
    assert evaluator.resolve_boolean_value("look", False, dated).value is True


def test_rules_see_the_time_of_the_clock() -> None:
    rule = {"if": [{">=": [{"var": "$flagd.timestamp"}, 1000]}, "on", "off"]}
    flags = {"look": {**ON, "targeting": rule}}
    assert loaded(flags, clock=lambda: 999.9).resolve_boolean_value("look", True).value is False
    assert loaded(flags, clock=lambda: 1000.0).resolve_boolean_value("look", False).value is True
    evaluator = loaded(flags)
    with time_machine.travel(999, tick=False):
        assert evaluator.resolve_boolean_value("look", True).value is False
    assert time.time() > 1000
    assert evaluator.resolve_boolean_value("look", False).value is True


def test_the_generation_is_the_one_of_the_file_unless_one_is_given() -> None:
    rule = {"fractional": [{"var": "targetingKey"}, ["on", 50], ["off", 50]]}
    source = {"flags": {"look": {**ON, "targeting": rule}}, "metadata": {"fractional": "v2"}}
    ids = [f"user-{each}" for each in range(50)]

    def values(evaluator: FlagdEvaluator) -> list[bool]:
        evaluator.set_flags(source)
        return [evaluator.resolve_boolean_value("look", False, EvaluationContext(each)).value for each in ids]

    assert (
        values(FlagdEvaluator()) == values(FlagdEvaluator(fractional="v2")) != values(FlagdEvaluator(fractional="v3"))
    )


def test_damaged_files_and_odd_contexts_give_errors_of_openfeature_only() -> None:
    odd: dict[str, Any] = {"email": [[]], "version": {}, "items": {"a": 1}, "user": object(), "n": float("nan")}
    errors = answers = 0
    for seed in range(150):
        evaluator = FlagdEvaluator()
        source: Any = damaged(Random(seed))
        try:
            evaluator.set_flags(source)
        except FlagStoreError:
            continue
        for key in ("look", "price", "text", "page", "none"):
            try:
                evaluator.resolve_string_value(key, "x", EvaluationContext("acme", odd))
                answers += 1
            except OpenFeatureError:
                errors += 1
    assert errors > 50
    assert answers > 50
