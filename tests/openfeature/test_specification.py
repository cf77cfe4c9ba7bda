"""
The OpenFeature specification's own evaluation cases (Appendix B, ``evaluation_v2.feature``), all 82.

Run through the official Python SDK with our provider and flags of the specification's file, whose two CEL expressions
are written here as rules of ours. The states are real ones: a store that stands still, is down, is empty, or goes down
later. ``CACHED`` is no reason of ours, since everything is answered from memory; those two cases run a provider that
says it of what it has answered before.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions, FlagResolutionDetails, Reason
from openfeature.hook import Hook, HookContext
from openfeature.provider import ProviderStatus

from payaid_entitlements.core.flags.model import All, Flag, Rule, Test
from payaid_entitlements.openfeature import FlagProvider
from payaid_entitlements.stores.memory import MemoryStore
from tests.core.flags.conformance import outside_json, outside_lines
from tests.openfeature.stage import Stage, a_flag

FLAGS = "openfeature-spec/specification/assets/gherkin/test-flags.json"
CASES = "derived/openfeature_spec_evaluation_v2.jsonl"

BALLMER = Test("email", "eq", "ballmer@macrosoft.com")
#: The expressions of the file, as conditions, with the variant that they give.
EXPRESSIONS = {
    "email == 'ballmer@macrosoft.com' ? 'zero' : ''": Rule("ballmer", "zero", BALLMER),
    "!customer && email == 'ballmer@macrosoft.com' && age > 10 ? 'internal' : ''": Rule(
        "internal", "internal", All((Test("customer", "eq", False), BALLMER, Test("age", "gt", 10)))
    ),
}


class Caching(FlagProvider):
    """Says of what it has answered before that it is so."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.known: dict[str, FlagResolutionDetails[Any]] = {}

    def resolve(self, key, default, context, kind):
        if key in self.known:
            found = self.known[key]
            return FlagResolutionDetails(found.value, reason=Reason.CACHED, variant=found.variant)
        self.known[key] = super().resolve(key, default, context, kind)
        return self.known[key]

    async def resolve_async(self, key, default, context, kind):
        return self.resolve(key, default, context, kind)


class Ordered(Hook):
    """Notes when it ran."""

    def __init__(self, name: str, ran: list[str]) -> None:
        self.name, self.ran = name, ran

    def before(self, hook_context: HookContext, hints: Mapping[str, Any]) -> None:
        self.ran.append(f"before {self.name}")

    def after(self, hook_context: HookContext, details: Any, hints: Mapping[str, Any]) -> None:
        self.ran.append(f"after {self.name}")

    def finally_after(self, hook_context: HookContext, details: Any, hints: Mapping[str, Any]) -> None:
        self.ran.append(f"finally {self.name}")


def flags_of_the_specification() -> dict[str, Flag]:
    flags = {}
    for key, each in outside_json(FLAGS).items():
        rules = [EXPRESSIONS[each["contextEvaluator"]]] if "contextEvaluator" in each else []
        is_off = each.get("disabled", False)
        flags[key] = a_flag(
            key,
            each["variants"],
            None if is_off else each.get("defaultVariant"),
            *rules,
            enabled=not is_off,
            metadata=each.get("flagMetadata") or {},
        )
    return flags


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage(flags_of_the_specification())
    yield made
    made.close()


def provider_in(state: str, stage: Stage, asking: Callable[..., Any]) -> tuple[Any, Callable[[], None]]:
    """A client whose provider is in *state*, and what ends that."""
    if state == "not ready":
        begun = threading.Event()
        stage.faults.before = lambda name: begun.wait(5)
        return asking(FlagProvider(stage.client()), wait=False), begun.set
    if state == "fatal":
        with pytest.raises(OpenFeatureError):
            asking(FlagProvider(stage.client(catalog=None, store=MemoryStore())))
    elif state == "error":
        stage.faults.is_down = True
        with pytest.raises(OpenFeatureError):
            asking(FlagProvider(stage.client()))
    client = asking(FlagProvider(stage.ent)) if state in ("stable", "stale") else asking.client()
    if state == "stale":
        client.get_boolean_value("boolean-flag", False, EvaluationContext("pro"))
        stage.faults.is_down = True
        stage.clock.advance(seconds=10)
        client.get_boolean_value("boolean-flag", False, EvaluationContext("pro"))
    return client, lambda: None


def questions(client: Any, kind: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    name = f"get_{kind.lower()}_details"
    return getattr(client, name), getattr(client, f"{name}_async")


def fits(details: FlagEvaluationDetails[Any], expected: Mapping[str, Any]) -> None:
    found = {
        "value": details.value,
        "reason": details.reason,
        "errorCode": details.error_code,
        "flagKey": details.flag_key,
        "variant": details.variant,
        "metadata": details.flag_metadata,
    }
    for name, value in expected.items():
        assert found[name] == value, (name, found)
        assert type(found[name]) is type(value) or name != "value"


def run(case: Mapping[str, Any], stage: Stage, asking: Callable[..., Any]) -> None:
    others = case.get("otherSteps", [])
    state = next((step[2:].removesuffix(" provider") for step in others if step.endswith(" provider")), "stable")
    if state != "stable" or "reason-codes-cached" not in case["tags"]:
        client, end = provider_in(state, stage, asking)
    else:
        client, end = asking(Caching(stage.ent)), lambda: None
    try:
        for step in others:
            if step.startswith("the provider status should be"):
                assert client.get_provider_status() is ProviderStatus[step.split('"')[1]]
        if case["flag"] is not None:
            evaluate(case, others, client)
    finally:
        end()
        stage.faults.before, stage.faults.is_down = None, False
        stage.clock.advance(seconds=60)


def evaluate(case: Mapping[str, Any], others: list[str], client: Any) -> None:
    plain, in_loop = questions(client, case["type"])
    context = EvaluationContext(case["targetingKey"], case["context"])
    asked = (case["flag"], case["default"], context)
    ran: list[str] = []
    options = FlagEvaluationOptions(hooks=[Ordered("first", ran), Ordered("second", ran)])
    before = deepcopy(context)
    for _ in range(case.get("evaluations") or 1):
        details = plain(*asked, options)
    awaited = asyncio.run(in_loop(*asked))

    fits(details, case["expect"])
    fits(awaited, case["expect"])
    assert context == before
    if "provider-status" not in case["tags"]:
        assert ran[:2] == ["before first", "before second"]
        assert ran[-2:] == ["finally second", "finally first"]
    if "immutability" in case["tags"]:
        with pytest.raises(TypeError):
            details.flag_metadata["new"] = 1
        details.value = None
        fits(plain(*asked), {"value": True})


def test_all_82_cases_pass(stage, asking, subtests):
    cases = outside_lines(CASES)

    for case in cases:
        with subtests.test(case["id"]):
            run(case, stage, asking)
    assert len(cases) == 82
