"""Flags asked of views, in units; a thousand of them at once, in milliseconds; and a check that a flag narrows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from benchmarks.measuring import UNIT, looped, measure, percentile, sampled
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements.core.flags.flagd.loading import load
from payaid_entitlements.core.flags.model import Flag, FlagType, Rollout, Rule, Test
from payaid_entitlements.core.instant import EARLIEST
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.ports import Write
from payaid_entitlements.view import TenantView

TENANT, USER, NARROWED = "acme", "user-0000042", "crm.export"
#: Flags that are asked in bulk, and the milliseconds that this may take.
MANY, IN_BULK_MS = 1_000, 30.0

RULED: Final = {
    "flags": {
        "ruled": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": {
                "if": [
                    {"and": [{"==": [{"var": "plan"}, "starter"]}, {"in": [{"var": "country"}, ["IN", "US"]]}]},
                    {"fractional": [["on", 50], ["off", 50]]},
                    "off",
                ]
            },
        }
    }
}


def percentage(key: str, share: int = 50_000, **named: Any) -> Flag:
    """A boolean flag that is on for *share* hundred-thousandths of the users."""
    rule = Rule("r1", "on", rollout=Rollout(((EARLIEST, share),)))
    return Flag(
        key, FlagType.BOOLEAN, {"on": True, "off": False}, "off", "off", bucket_by="user", rules=(rule,), **named
    )


def written(ent: Entitlements, flags: Mapping[str, Flag]) -> None:
    """Put *flags* into the store of *ent*, in as little as it takes."""
    store: Any = ent._store
    was = store.flags()
    flag_set = replace(was, revision=was.revision + 1, flags={**was.flags, **flags})
    setting = ent._setting
    now = setting.now()
    write = Write(setting.new_id(now), "set_flag", now, flags=flag_set)
    store.apply(write, expect=was.revision, actor="benchmarks", because=None)


@contextmanager
def _viewed(*flags: Flag, **named: Any) -> Iterator[TenantView]:
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        ent.admin("benchmarks", because="figures").subscribe(TENANT, "starter")
        written(ent, {flag.key: flag for flag in flags})
        yield ent.tenant(TENANT, fresh=True, **named)


def bound(stage: Stage) -> list[Row]:
    """A percentage of users, of a view that was made for one."""
    with _viewed(percentage("new-checkout"), user=USER) as view:
        assert view.flag_details("new-checkout").variant is not None
        timed = looped("flag(key)", flag=view.flag, key="new-checkout")
        measured = measure(timed, UNIT, stage.effort, stage.tick)
        samples = sampled(lambda: view.flag("new-checkout"), stage.effort.samples)
    return [row_of("view.flag(key), a percentage", measured, 4.5, samples)]


def given(stage: Stage) -> list[Row]:
    """The same, of a user who is named in the question: one after the other, and mostly the same."""
    rows = []
    with _viewed(percentage("new-checkout")) as view:
        users = [f"user-{number:07d}" for number in range(1_000)]
        assert {view.flag("new-checkout", user=user) for user in users} == {True, False}
        for who, asked in (("the same", [USER]), ("others", users)):
            turns = itertools.cycle(asked)
            timed = looped("flag(key, user=next(turns))", flag=view.flag, key="new-checkout", turns=turns)
            measured = measure(timed, UNIT, stage.effort, stage.tick)
            samples = sampled(lambda turns=turns: view.flag("new-checkout", user=next(turns)), stage.effort.samples)  # type: ignore[misc] # bound at once
            rows.append(row_of(f"view.flag(key, user=), a percentage, {who}", measured, 8.0, samples))
    return rows


def ruled(stage: Stage) -> list[Row]:
    """A flag that was read from flagd JSON: by plan and country, then half of them."""
    document = load(RULED)
    with _viewed(*document.flags.values(), user=USER, attributes={"country": "IN"}) as view:
        assert view.flag_details("ruled").variant in ("on", "off")
        timed = looped("flag(key)", flag=view.flag, key="ruled")
        measured = measure(timed, UNIT, stage.effort, stage.tick)
        samples = sampled(lambda: view.flag("ruled"), stage.effort.samples)
    return [row_of("view.flag(key), a targeting rule of flagd", measured, 50, samples)]


def bulk(stage: Stage) -> list[Row]:
    """A thousand flags for one context, as a browser is told of them: the view is made anew each time."""
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        ent.admin("benchmarks", because="figures").subscribe(TENANT, "starter")
        flags = [*_various(MANY)]
        written(ent, {flag.key: flag for flag in flags})
        keys = [flag.key for flag in flags]
        ent.tenant(TENANT, fresh=True)

        def all_of() -> Sequence[object]:
            view = ent.tenant(TENANT, attributes={"country": "IN", "seats": 12})
            return [view.flag_details(key).value for key in keys]

        assert set(map(type, all_of())) == {bool}
        samples = sampled(all_of, max(100, stage.effort.samples // 100))
    return [
        Row(
            f"{MANY:,} flags for one context, milliseconds (p99)",
            percentile(samples, 99),
            IN_BULK_MS,
            percentile(samples, 50),
            percentile(samples, 99),
        )
    ]


def _various(count: int) -> Iterator[Flag]:
    """Percentages, comparisons, and both."""
    for number in range(count):
        whole = percentage(f"flag-{number:04d}")
        if number % 3:
            tests = (Test("country", "eq", "IN"), Test("seats", "gt", 10), Test("plan", "in", ["starter", "free"]))
            when = tests[number % len(tests)]
            whole = replace(whole, rules=(Rule("w1", "on", when=when), *whole.rules)[: number % 3])
        yield replace(whole, bucket_by="tenant")


def narrowed(stage: Stage) -> list[Row]:
    """Checks of a feature that a flag narrows, from what is near: each asks the flag."""
    flag = replace(percentage("narrow", 100_000, narrows=(NARROWED,)), bucket_by="tenant")
    rows = []
    with _viewed(flag) as view:
        assert view.check(NARROWED).allowed
        timed = looped("check(key)", check=view.check, key=NARROWED)
        measured = measure(timed, UNIT, stage.effort, stage.tick)
        rows.append(
            row_of("view.check(feature), narrowed", measured, None, sampled(lambda: view.check(NARROWED), 5_000))
        )
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        ent.admin("benchmarks", because="figures").subscribe(TENANT, "starter")
        written(ent, {flag.key: flag})
        assert ent.tenant(TENANT, fresh=True).check(NARROWED).allowed
        timed = looped("check(tenant, key)", check=ent.check, tenant=TENANT, key=NARROWED)
        measured = measure(timed, UNIT, stage.effort, stage.tick)
        samples = sampled(lambda: ent.check(TENANT, NARROWED), stage.effort.samples)
        rows.append(row_of("ent.check(tenant, feature), narrowed", measured, None, samples))
    return rows


BENCHMARKS: Final = (
    Benchmark("flag.bound", bound),
    Benchmark("flag.given", given),
    Benchmark("flag.ruled", ruled),
    Benchmark("flag.bulk", bulk),
    Benchmark("flag.narrowed", narrowed),
)
