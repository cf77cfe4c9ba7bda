"""
A flag of ours beside the same flag of others, in the same process and in turns: ours over theirs, so 1 is as fast.

Each peer has its definitions in memory, as its documentation says for servers, and asks nobody: no network, no events.
The one that is bound to somebody (GrowthBook) is compared as bound, as our view is. Peers that are not installed are
left out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.measuring import Timed, looped, measure
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.entitlements import Entitlements

TENANT: Final = "tenant-42"
#: Ours may take so much of what theirs takes: the fastest of them takes 80 units for a rollout, ours is promised 4.5.
ROLLOUT_BUDGET, RULE_BUDGET = 0.1, 0.4

#: The same two flags in everybody's words: half of all tenants; those on one plan.
OURS: Final[dict[str, Any]] = {
    "catalog": 1,
    "default_plan": "pro",
    "modules": {"crm": {}},
    "plans": {"pro": {"modules": ["crm"]}},
    "flags": {
        "rollout": {"rollout": "50%"},
        "rule": {
            "variants": {"on": True, "off": False},
            "default": "off",
            "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]},
        },
    },
}


@contextmanager
def growthbook(_: Path) -> Iterator[Mapping[str, Timed]]:
    """GrowthBook's instance of one user, used again."""
    try:
        from growthbook import GrowthBook
    except ImportError:
        raise Absent("growthbook is not installed") from None
    features = {
        "rollout": {"defaultValue": False, "rules": [{"force": True, "coverage": 0.5, "hashAttribute": "id"}]},
        "rule": {"defaultValue": False, "rules": [{"condition": {"plan": "pro"}, "force": True}]},
    }
    bound = GrowthBook(attributes={"id": TENANT, "plan": "pro"}, features=features)
    assert bound.is_on("rule")
    yield {key: looped("is_on(key)", is_on=bound.is_on, key=key) for key in features}


@contextmanager
def launchdarkly(place: Path) -> Iterator[Mapping[str, Timed]]:
    """LaunchDarkly's client on a file of flags."""
    try:
        from ldclient import Context, LDClient
        from ldclient.config import Config
        from ldclient.integrations import Files
    except ImportError:
        raise Absent("launchdarkly-server-sdk is not installed") from None
    shared = {"on": True, "version": 1, "variations": [True, False], "salt": "s", "offVariation": 1, "targets": []}
    halves = [{"variation": 0, "weight": 50_000}, {"variation": 1, "weight": 50_000}]
    clause = {"attribute": "plan", "op": "in", "values": ["pro"], "negate": False}
    flags = {
        "rollout": {**shared, "key": "rollout", "rules": [], "fallthrough": {"rollout": {"variations": halves}}},
        "rule": {
            **shared,
            "key": "rule",
            "rules": [{"id": "r", "variation": 0, "clauses": [clause]}],
            "fallthrough": {"variation": 1},
        },
    }
    file = place / "launchdarkly.json"
    file.write_text(json.dumps({"flags": flags}), encoding="utf-8")
    source = Files.new_data_source(paths=[str(file)])
    client = LDClient(Config("none", update_processor_class=source, send_events=False), start_wait=5)
    try:
        context = Context.builder(TENANT).set("plan", "pro").build()
        assert client.variation("rule", context, False) is True
        yield {key: looped("ask(key, context, False)", ask=client.variation, key=key, context=context) for key in flags}
    finally:
        client.close()


@contextmanager
def unleash(place: Path) -> Iterator[Mapping[str, Timed]]:
    """Unleash's client, its features put into its cache, its metrics off."""
    try:
        from UnleashClient import UnleashClient
        from UnleashClient.cache import FileCache
    except ImportError:
        raise Absent("UnleashClient is not installed") from None
    half = {"rollout": "50", "stickiness": "userId", "groupId": "rollout"}
    on_pro = {"contextName": "plan", "operator": "IN", "values": ["pro"]}
    strategies: Mapping[str, Mapping[str, object]] = {
        "rollout": {"name": "flexibleRollout", "parameters": half},
        "rule": {"name": "default", "parameters": {}, "constraints": [on_pro]},
    }
    features = [
        {"name": key, "enabled": True, "type": "release", "strategies": [strategy]}
        for key, strategy in strategies.items()
    ]
    cache = FileCache("peers", directory=str(place))
    cache.bootstrap_from_dict({"version": 1, "features": features})
    # Never initialized, so that it starts no thread and asks nobody.
    client = UnleashClient(
        url="http://127.0.0.1:1/api",
        app_name="peers",
        cache=cache,
        cache_directory=str(place),
        disable_metrics=True,
        disable_registration=True,
    )
    context = {"userId": TENANT, "properties": {"plan": "pro"}}
    assert client.is_enabled("rule", context)
    yield {key: looped("ask(key, context)", ask=client.is_enabled, key=key, context=context) for key in strategies}


@contextmanager
def flagd(_: Path) -> Iterator[Mapping[str, Timed]]:
    """The evaluator of flagd, without the client of OpenFeature around it, which costs 10 microseconds more."""
    try:
        from openfeature.contrib.tools.flagd.core import FlagdCore
        from openfeature.evaluation_context import EvaluationContext
    except ImportError:
        raise Absent("openfeature-flagd-core is not installed") from None
    shared = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    flags = {
        "rollout": {**shared, "targeting": {"fractional": [["on", 50], ["off", 50]]}},
        "rule": {**shared, "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}},
    }
    core = FlagdCore()
    core.set_flags(json.dumps({"flags": flags}))
    context = EvaluationContext(TENANT, {"plan": "pro"})
    assert core.resolve_boolean_value("rule", False, context).value is True
    ask = core.resolve_boolean_value
    yield {key: looped("ask(key, False, context)", ask=ask, key=key, context=context) for key in flags}


def _beside(name: str, peer: Callable[[Path], Any]) -> Benchmark:
    def rows(stage: Stage) -> list[Row]:
        logging.getLogger("ldclient").setLevel(logging.ERROR)
        with TemporaryDirectory(prefix="payaid-peers-") as place, peer(Path(place)) as theirs, _ours() as ours:
            return [
                row_of(
                    f"flag, {what}: ours over {name}", measure(ours[key], theirs[key], stage.effort, stage.tick), most
                )
                for key, what, most in (
                    ("rollout", "50 %", ROLLOUT_BUDGET),
                    ("rule", "one targeting rule", RULE_BUDGET),
                )
            ]

    return Benchmark(f"peers.{name.lower()}", rows)


@contextmanager
def _ours() -> Iterator[Mapping[str, Timed]]:
    with Entitlements.open("memory://", catalog=Catalog.load(OURS)) as ent:
        flag = ent.tenant(TENANT).flag
        assert flag("rule")
        yield {key: looped("flag(key)", flag=flag, key=key) for key in OURS["flags"]}


BENCHMARKS = (
    _beside("GrowthBook", growthbook),
    _beside("LaunchDarkly", launchdarkly),
    _beside("Unleash", unleash),
    _beside("flagd", flagd),
)
