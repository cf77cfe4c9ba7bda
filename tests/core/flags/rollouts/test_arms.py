"""Who is inside, who is the control, and who is not concerned."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from payaid_entitlements.core.flags.cbor import text as text_bytes
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.model import (
    Flag,
    FlagSet,
    FlagType,
    Guard,
    Metric,
    Needs,
    Progress,
    Rollout,
    Rule,
    Share,
    Stage,
)
from payaid_entitlements.core.flags.rollouts.measured import Arm
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import DAY

GUARD = Guard((Metric("error_rate", None, 500, against_control=True),))
FLAG = Flag(
    "new-checkout",
    FlagType.BOOLEAN,
    {"on": True, "off": False},
    "off",
    "off",
    rules=(Rule("all", "on", rollout=Rollout(((0, 25_000), (DAY, 100_000)), GUARD)),),
)
RUNNING = Progress("all", Stage.RUNNING, 0, 0, 7)


def context(tenant: str) -> FlagContext:
    return FlagContext(
        tenant=tenant,
        user=None,
        at=0,
        attributes={},
        tenant_text=text_bytes(tenant) if tenant else None,
        user_text=None,
    )


def snapshot(flag: Flag, progress: Progress | None = RUNNING, **more: Flag) -> FlagSnapshot:
    stands = {} if progress is None else {flag.key: progress}
    return FlagSnapshot.of({flag.key: flag, **more}, FlagSet(progress=stands))


def arms(taken: FlagSnapshot) -> Counter[Arm | None]:
    found: Counter[Arm | None] = Counter()
    for n in range(1000):
        said = taken.measured["new-checkout"].side(context(f"t{n}"))
        found[None if said is None else said[0]] += 1
        assert said is None or said[1] == f"t{n}"
    return found


def test_who_is_in_is_inside_and_all_others_are_the_control() -> None:
    taken = snapshot(FLAG)
    measured = taken.measured["new-checkout"]
    assert (measured.flag, measured.attempt, measured.guard) == ("new-checkout", 7, GUARD)
    for n in range(200):
        said = measured.side(context(f"t{n}"))
        assert said is not None
        assert (said[0] is Arm.INSIDE) is taken.flags["new-checkout"].evaluate(context(f"t{n}")).value
    found = arms(taken)
    assert found[None] == 0
    assert found[Arm.INSIDE] == pytest.approx(250, abs=60)


def test_who_has_no_id_or_meets_another_rule_first_is_not_concerned() -> None:
    assert snapshot(FLAG).measured["new-checkout"].side(context("")) is None
    earlier = Rule("first", "off", rollout=Rollout(((0, 50_000),)))
    both = arms(snapshot(replace(FLAG, rules=(earlier, *FLAG.rules))))
    assert both[None] > 400


def test_who_is_excluded_or_held_out_is_not_concerned() -> None:
    found = arms(snapshot(replace(FLAG, exclusion=Share("layer", 0, 50_000), holdout=Share("none", 0, 20_000))))
    assert found[None] == pytest.approx(600, abs=60)
    assert found[Arm.INSIDE] == pytest.approx(100, abs=40)
    needed = Flag("needed", FlagType.BOOLEAN, {"on": True, "off": False}, "off", "off")
    waiting = replace(FLAG, needs=(Needs("needed", frozenset({"on"})),))
    assert arms(snapshot(waiting, needed=needed)) == {None: 1000}


@pytest.mark.parametrize(
    ("flag", "progress"),
    [
        (FLAG, None),
        (FLAG, replace(RUNNING, rule="another")),
        *((FLAG, replace(RUNNING, stage=stage)) for stage in Stage if stage is not Stage.RUNNING),
        (replace(FLAG, rules=(Rule("all", "on", rollout=Rollout(((0, 5_000),))),)), RUNNING),
        (replace(FLAG, rules=(Rule("all", "on", rollout=Rollout(((0, 5_000),), Guard(approval=True))),)), RUNNING),
        (replace(FLAG, needs=(Needs("new-checkout", frozenset({"on"})),)), RUNNING),
    ],
)
def test_nothing_is_measured_where_nothing_would_be_done_with_it(flag: Flag, progress: Progress | None) -> None:
    assert snapshot(flag, progress).measured == {}


def test_nothing_is_measured_of_what_is_killed() -> None:
    taken = FlagSnapshot.of({FLAG.key: FLAG}, FlagSet(progress={FLAG.key: RUNNING}), {FLAG.key})
    assert taken.measured == {}
    off = replace(FLAG, enabled=False)
    taken = FlagSnapshot.of({off.key: off}, FlagSet(progress={off.key: RUNNING}))
    assert arms(taken) == {None: 1000}
