"""Rules of flags, compiled: what the closure alone costs, in units. A view adds a call or two of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.measuring import UNIT, looped, measure, sampled
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements.core.flags import cbor, compiling
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.jsonlogic.reading import read

TENANT, USER = "tenant-000042", "user-0000042"

ATTRIBUTES: Final[Mapping[str, object]] = {
    "targetingKey": USER,
    "plan": "pro",
    "country": "IN",
    "email": "asha@payaid.example",
    "version": "2.3.1",
    "seats": 31,
    "modules": ["crm", "hr", "invoicing"],
}

CONTEXT: Final = FlagContext(
    tenant=TENANT,
    user=USER,
    at=1_800_000_000_000_000,
    attributes=ATTRIBUTES,
    tenant_text=cbor.text(TENANT),
    user_text=cbor.text(USER),
)

HALF: Final = {"fractional": [["on", 50], ["off", 50]]}

#: As flagd writes it: by plan and country.
SIMPLE: Final = {
    "if": [
        {"and": [{"==": [{"var": "plan"}, "pro"]}, {"in": [{"var": "country"}, ["IN", "US", "DE"]]}]},
        "on",
        "off",
    ]
}

#: Four comparisons, of which all are needed, and then a bucket.
LONG: Final = {
    "if": [
        {
            "and": [
                {"ends_with": [{"var": "email"}, "@payaid.example"]},
                {"sem_ver": [{"var": "version"}, ">=", "2.0.0"]},
                {">": [{"var": "seats"}, 18]},
                {"some": [{"var": "modules"}, {"==": [{"var": ""}, "crm"]}]},
            ]
        },
        {"fractional": [["on", 10], ["off", 90]]},
        "off",
    ]
}


def fractional(stage: Stage) -> list[Row]:
    """Half of all, by flagd's default: one hash and one comparison."""
    return _row(stage, "flagd's fractional, compiled", HALF, 20)


def simple(stage: Stage) -> list[Row]:
    """A rule as most are."""
    return _row(stage, "a targeting rule of two comparisons, compiled", SIMPLE, 15)


def long(stage: Stage) -> list[Row]:
    """A rule with a loop, a version and a bucket."""
    return _row(stage, "a targeting rule of four comparisons and a bucket, compiled", LONG, 75)


def _row(stage: Stage, operation: str, rule: object, budget: float) -> list[Row]:
    evaluate = compiling.compile(read(rule, flag="f"), segments={}, key="f")
    measured = measure(looped("ask(who)", ask=evaluate, who=CONTEXT), UNIT, stage.effort, stage.tick)
    return [row_of(operation, measured, budget, sampled(lambda: evaluate(CONTEXT), stage.effort.samples))]


BENCHMARKS = (
    Benchmark("rules.fractional", fractional),
    Benchmark("rules.simple", simple),
    Benchmark("rules.long", long),
)
