"""Rules that nobody means: whatever is written, and whoever is asked about, only typed errors come out."""

from __future__ import annotations

import random
from typing import Any

import pytest

from payaid_entitlements.core.flags.failing import EvaluationFailed, RuleInvalid
from tests.core.flags.asking import ask

NAMES = [
    "var", "missing", "missing_some", "if", "?:", "==", "===", "!=", "!==", "!", "!!", "or", "and", ">", ">=", "<",
    "<=", "+", "-", "*", "/", "%", "min", "max", "merge", "in", "cat", "substr", "map", "filter", "reduce", "all",
    "none", "some", "fractional", "sem_ver", "starts_with", "ends_with",
]  # fmt: skip
SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "a",
    "1.2.3", "^", "=", "plan", "company.size", "list", "list.0", "$flagd.timestamp", "$flagd", ".", "..", "\ud800",
    "é" * 9, "1" * 400, "0x", "9" * 5_000,
]  # fmt: skip


def _rule(dice: random.Random, depth: int) -> Any:
    kind = dice.random()
    if depth == 0 or kind < 0.25:
        return dice.choice(SCALARS)
    if kind < 0.4:
        return [_rule(dice, depth - 1) for _ in range(dice.randrange(4))]
    if kind < 0.45:
        return {str(number): _rule(dice, depth - 1) for number in range(dice.randrange(3))}
    # Nearly all operators exist, so that nearly all rules are evaluated.
    name = dice.choice(NAMES) if dice.random() < 0.98 else dice.choice(["$ref", "eval", "", "eq", "\ud800"])
    if dice.random() < 0.1:
        return {name: _rule(dice, depth - 1)}
    return {name: [_rule(dice, depth - 1) for _ in range(dice.randrange(5))]}


def _attributes(dice: random.Random) -> dict[str, Any]:
    names = ["plan", "company", "list", "targetingKey", "$flagd", "", "a"]
    return {name: _rule(dice, 2) for name in names if dice.random() < 0.7}


def _try(seed: int) -> str:
    dice = random.Random(seed)
    rule, attributes = _rule(dice, dice.randrange(1, 6)), _attributes(dice)
    try:
        ask(rule, attributes, scheme=dice.choice(["v2", "v3"]))  # type: ignore[arg-type]
    except (RuleInvalid, EvaluationFailed) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("amount", [1_500, pytest.param(100_000, marks=pytest.mark.soak)])
def test_typed_errors_only(amount: int) -> None:
    said = [_try(seed) for seed in range(amount)]

    # What the operators are not made for is an error of ours, and not one that happened to be caught.
    assert [message for message in said if "cannot be read" in message] == []
    # Nearly all were evaluated.
    assert sum(message == "" for message in said) > amount * 0.6
    assert any("operator" in message for message in said)
