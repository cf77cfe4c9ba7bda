"""The compliance kit for evaluators of flagd files: every case, for each generation of ``fractional``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openfeature.contrib.tools.flagd.api import Evaluator
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails

from payaid_entitlements.core.flags.nodes import Scheme
from payaid_entitlements.openfeature.evaluator import FlagdEvaluator
from tests.core.flags.conformance import outside, outside_lines


def loaded(fractional: Scheme) -> FlagdEvaluator:
    made = FlagdEvaluator(fractional=fractional)
    made.set_flags(outside("flagd-evaluator/flags/testkit-flags.json").read_text(encoding="utf-8"))
    return made


def answer(evaluator: Evaluator, case: dict[str, Any]) -> dict[str, Any]:
    """What comes out, as the kit writes it."""
    ask = getattr(evaluator, f"resolve_{case['type'].lower()}_value")
    context = EvaluationContext(case["targetingKey"], case["context"])
    try:
        details: FlagResolutionDetails[Any] = ask(case["flag"], case["default"], context)
    except OpenFeatureError as error:
        return {"value": case["default"], "errorCode": error.error_code.value, "reason": "ERROR"}
    return {"value": details.value, "reason": details.reason, "metadata": details.flag_metadata}


@pytest.mark.parametrize(
    ("fractional", "others", "count"),
    [("v2", {"fractional-v1"}, 125), ("v3", {"fractional-v1", "fractional-v2"}, 104)],
)
def test_every_case_of_the_kit(fractional: Scheme, others: set[str], count: int) -> None:
    evaluator = loaded(fractional)
    cases = [case for case in outside_lines("derived/flagd_evaluator_kit.jsonl") if not others & set(case["tags"])]
    assert len(cases) == count
    wrong = [
        (case["id"], case["expect"], got) for case in cases if not fits(case["expect"], got := answer(evaluator, case))
    ]
    assert wrong == []


def fits(expected: dict[str, Any], got: dict[str, Any]) -> bool:
    """Whether all that is expected came out; 1, 1.0 and True are three values."""
    return all(_text(got.get(what)) == _text(wanted) for what, wanted in expected.items())


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
