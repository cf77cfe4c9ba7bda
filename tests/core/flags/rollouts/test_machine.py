"""How a guarded rollout goes on, holds, and goes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.model import (
    Flag,
    FlagSet,
    FlagType,
    Guard,
    Metric,
    Progress,
    Rollout,
    Rule,
    Stage,
)
from payaid_entitlements.core.flags.rollouts import machine
from payaid_entitlements.core.flags.rollouts.machine import advance, plan_of, settled, standing
from payaid_entitlements.core.flags.rollouts.measured import Measured, Rate, Side
from payaid_entitlements.core.flags.rollouts.schedule import share
from payaid_entitlements.core.flags.turning import fixed
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.errors import ConfigurationError

ERRORS = Metric("error_rate", None, 500, against_control=True)
STEPS = ((10 * DAY, 5_000), (11 * DAY, 25_000), (13 * DAY, 50_000), (14 * DAY, 100_000))
START = 10 * DAY


def flag(guard: Guard | None, steps: tuple[tuple[int, int], ...] = STEPS) -> Flag:
    early = Rule("staff", "on", rollout=Rollout(((0, 1_000),)))
    rules = (early, Rule("all", "on", rollout=Rollout(steps, guard)))
    return Flag("new-checkout", FlagType.BOOLEAN, {"on": True, "off": False}, "off", "off", rules=rules)


def rates(inside: tuple[int, int], control: tuple[int, int] = (10, 1_000)) -> Measured:
    return Measured(
        Side(inside[1], rates={"error_rate": Rate(*inside)}), Side(control[1], rates={"error_rate": Rate(*control)})
    )


WELL, NOTHING = rates((10, 1_000)), Measured()
MONITORED = flag(Guard((ERRORS,)))
TIMED = flag(Guard())


def begun(of: Flag, at: int = START) -> Progress:
    progress = advance(of, None, NOTHING, at)
    assert progress is not None
    return progress


def test_a_flag_without_a_guard_has_no_progress() -> None:
    for without in (flag(None), flag(Guard(), ())):
        assert plan_of(without) is None
        assert advance(without, None, NOTHING, 20 * DAY) is None


def test_it_begins_when_the_plan_says() -> None:
    assert advance(MONITORED, None, NOTHING, START - 1) is None
    assert begun(MONITORED) == Progress("all", Stage.RUNNING, 0, START, 1)


def test_a_step_lasts_for_its_time_and_the_next_one_is_another_attempt() -> None:
    first = begun(MONITORED)
    assert advance(MONITORED, first, WELL, START + DAY - 1) is None
    second = advance(MONITORED, first, WELL, START + DAY)
    assert second == Progress("all", Stage.RUNNING, 1, START + DAY, 2)
    # The second one lasts two days, from when it really began.
    late = advance(MONITORED, first, WELL, START + 5 * DAY)
    assert late == Progress("all", Stage.RUNNING, 1, START + 5 * DAY, 2)
    assert advance(MONITORED, late, WELL, START + 7 * DAY - 1) is None


def test_a_step_that_a_wrong_clock_began_is_not_waited_for() -> None:
    """A year ahead, say. A few seconds are no reason for a change; and what is broken goes back whatever time it is."""
    first = begun(MONITORED)
    ahead = replace(first, since=START + 365 * DAY)
    again = advance(MONITORED, ahead, WELL, START + DAY)
    assert again is not None
    assert again == replace(first, since=START + DAY, because=again.because)
    assert again.because == "the clock was ahead when its step began; the time begins anew"
    assert advance(MONITORED, again, WELL, START + 2 * DAY - 1) is None
    assert advance(MONITORED, again, WELL, START + 2 * DAY) is not None
    assert advance(MONITORED, replace(first, since=START + machine.SKEW), WELL, START) is None
    back = advance(MONITORED, ahead, rates((500, 1_000)), START)
    assert back is not None
    assert back.stage is Stage.ROLLED_BACK


def test_a_step_of_time_alone_that_a_wrong_clock_began_is_not_waited_for_either() -> None:
    """Whoever resumes it on such a host begins it anew."""
    ahead = Progress("all", Stage.RUNNING, 0, START + 365 * DAY, 3)
    again = advance(TIMED, ahead, NOTHING, START + DAY)
    assert again == replace(
        ahead, since=START + DAY, because="the clock was ahead when its step began; the time begins anew"
    )
    assert advance(TIMED, again, NOTHING, START + DAY + 1) is None


def walked(of: Flag, measured: Measured, at: int, *, times: int = 10) -> list[Progress]:
    found, progress = [], None
    for _ in range(times):
        progress = advance(of, progress, measured, at) or progress
        if progress is not None and progress not in found:
            found.append(progress)
    return found


def test_the_only_step_is_watched_for_its_time() -> None:
    guard = Guard((Metric("error_rate", None, 500, against_control=False),))
    of = Flag("new-checkout", FlagType.BOOLEAN, {"on": True, "off": False}, "off", "off")
    of = replace(of, rules=(Rule("all", "on", rollout=Rollout(((START, 5_000),), guard, DAY)),))
    running = begun(of)
    assert advance(of, running, WELL, START + DAY - 1) is None
    assert advance(of, running, rates((900, 1_000)), START + DAY - 1) is not None
    assert advance(of, running, rates((1, 1_000)), START + DAY) == replace(running, stage=Stage.COMPLETED)


def test_what_is_measured_is_never_skipped_however_late_anybody_looks() -> None:
    assert [each.step for each in walked(MONITORED, WELL, 1_000 * DAY)] == [0]
    progress, seen = None, []
    for day in range(1_000, 1_010):
        progress = advance(MONITORED, progress, WELL, day * DAY) or progress
        assert progress is not None
        seen.append((progress.step, progress.stage))
    running = Stage.RUNNING
    assert seen[:6] == [(0, running), (1, running), (1, running), (2, running), (3, running), (3, Stage.COMPLETED)]
    assert progress is not None
    assert progress.attempt == 4


def test_where_time_alone_is_waited_for_all_steps_that_are_due_are_taken_at_once() -> None:
    assert begun(TIMED) == Progress("all", Stage.RUNNING, 0, START, 1)
    assert begun(TIMED, 13 * DAY + 5) == Progress("all", Stage.RUNNING, 2, 13 * DAY, 2)
    first = begun(TIMED)
    assert advance(TIMED, first, NOTHING, 11 * DAY - 1) is None
    assert advance(TIMED, first, NOTHING, 13 * DAY) == Progress("all", Stage.RUNNING, 2, 13 * DAY, 2)
    done = advance(TIMED, first, NOTHING, 100 * DAY)
    assert done is not None
    assert (done.stage, done.step) == (Stage.COMPLETED, 3)
    assert advance(TIMED, done, NOTHING, 200 * DAY) is None


def test_one_step_is_completed_as_soon_as_it_was_measured() -> None:
    one = flag(Guard((ERRORS,), samples=10), ((START, 50_000),))
    first = begun(one)
    assert advance(one, first, rates((0, 9)), START + 1) is not None  # says what it waits for
    done = advance(one, first, rates((0, 10)), START + 1)
    assert done == replace(first, stage=Stage.COMPLETED)


def test_a_breach_rolls_back_at_once_and_says_what_was_measured() -> None:
    back = advance(MONITORED, begun(MONITORED), rates((90, 1_000)), START + 1)
    assert back is not None
    assert (back.stage, back.step, back.attempt) == (Stage.ROLLED_BACK, 0, 1)
    assert back.because.startswith("error_rate: at least 5.690%")
    assert "inside (90 of 1000), at most" in back.because
    plan = plan_of(MONITORED)
    assert plan is not None
    assert share(plan.rollout, back, START + 1) == 0
    assert advance(MONITORED, back, WELL, 100 * DAY) is None


def test_all_that_is_broken_is_said() -> None:
    both = flag(Guard((ERRORS, Metric("error_rate", None, 100, against_control=False))))
    back = advance(both, begun(both), rates((90, 1_000)), START + 1)
    assert back is not None
    assert back.because.count("error_rate: ") == 2


def test_it_holds_until_enough_was_measured_and_says_so_once() -> None:
    waits = flag(Guard((ERRORS,), samples=500))
    first = begun(waits)
    assert advance(waits, first, rates((0, 10)), START + DAY - 1) is None
    holds = advance(waits, first, rates((0, 10)), START + DAY)
    assert holds == replace(first, because="waits for samples: 10 of 500 when it was due")
    assert advance(waits, holds, rates((0, 20)), START + 2 * DAY) is None
    second = advance(waits, holds, rates((0, 500)), START + 2 * DAY)
    assert second == Progress("all", Stage.RUNNING, 1, START + 2 * DAY, 2)


def test_it_holds_where_nothing_is_measured() -> None:
    holds = advance(MONITORED, begun(MONITORED), NOTHING, START + DAY)
    assert holds is not None
    assert (holds.step, holds.because) == (0, "nothing is measured: of error_rate")
    inside_only = rates((0, 100), (0, 0))
    assert advance(MONITORED, begun(MONITORED), inside_only, START + DAY) == holds


def test_it_holds_where_ids_are_on_the_wrong_side() -> None:
    ids = Measured(replace(WELL.inside, ids=400), replace(WELL.control, ids=600), 1)
    holds = advance(MONITORED, begun(MONITORED), ids, START + DAY)
    assert holds is not None
    assert holds.because == ("sample ratio mismatch: 40.00% of those who were measured are inside, and 5% should be")
    # What is only counted is not compared.
    counted = flag(Guard(samples=5))
    second = advance(counted, begun(counted), ids, START + DAY)
    assert second is not None
    assert second.step == 1


def test_it_holds_until_somebody_approves_and_each_step_anew() -> None:
    asks = flag(Guard((ERRORS,), approval=True))
    first = begun(asks)
    holds = advance(asks, first, WELL, START + DAY)
    assert holds == replace(first, because="waits for approval")
    assert advance(asks, holds, WELL, START + 9 * DAY) is None
    approved = machine.approved(asks, holds)
    second = advance(asks, approved, WELL, START + 9 * DAY)
    assert second == Progress("all", Stage.RUNNING, 1, START + 9 * DAY, 2)
    assert advance(asks, machine.approved(asks, second), WELL, START + 9 * DAY + 1) is None
    # Behind the last step nobody else comes in, so nobody is asked.
    last = replace(first, step=3, since=0)
    done = advance(asks, last, WELL, START)
    assert done is not None
    assert done.stage is Stage.COMPLETED


def test_what_is_paused_stands_still_and_nobody_leaves() -> None:
    paused = machine.paused(MONITORED, begun(MONITORED), "INC-1")
    assert (paused.stage, paused.because) == (Stage.PAUSED, "INC-1")
    assert advance(MONITORED, paused, rates((90, 1_000)), 100 * DAY) is None
    plan = plan_of(MONITORED)
    assert plan is not None
    assert share(plan.rollout, paused, 0) == 5_000
    resumed = machine.resumed(MONITORED, paused, 20 * DAY)
    assert resumed == Progress("all", Stage.RUNNING, 0, 20 * DAY, 1)
    assert advance(MONITORED, resumed, WELL, 21 * DAY - 1) is None


def test_a_new_start_is_another_attempt() -> None:
    back = machine.rolled_back(MONITORED, begun(MONITORED), "somebody called")
    assert (back.stage, back.because) == (Stage.ROLLED_BACK, "somebody called")
    anew = machine.restarted(MONITORED, back, 30 * DAY)
    assert anew == Progress("all", Stage.PENDING, 0, 30 * DAY, 1)
    assert advance(MONITORED, anew, WELL, 30 * DAY - 1) is None
    assert advance(MONITORED, anew, rates((90, 1_000)), 30 * DAY) == Progress("all", Stage.RUNNING, 0, 30 * DAY, 2)
    timed = machine.restarted(TIMED, replace(back, stage=Stage.COMPLETED), 30 * DAY)
    assert advance(TIMED, timed, NOTHING, 31 * DAY) == Progress("all", Stage.RUNNING, 1, 31 * DAY, 3)


def test_a_new_start_by_a_wrong_clock_is_not_waited_for() -> None:
    """As soon as the plan says, and no step is taken for one that had its time since then."""
    ahead = machine.restarted(MONITORED, replace(RUNNING, stage=Stage.ROLLED_BACK), START + 365 * DAY)
    assert advance(MONITORED, ahead, NOTHING, START - 1) is None
    for of in (MONITORED, TIMED):
        assert advance(of, ahead, NOTHING, 30 * DAY) == Progress("all", Stage.RUNNING, 0, 30 * DAY, 2)
    assert advance(MONITORED, replace(ahead, since=30 * DAY + machine.SKEW), NOTHING, 30 * DAY) is None


def test_what_has_not_begun_can_be_called_off() -> None:
    assert machine.rolled_back(MONITORED, None, "not now").stage is Stage.ROLLED_BACK


def test_progress_of_another_rule_is_none_of_this_one() -> None:
    plan = plan_of(MONITORED)
    assert plan is not None
    other = Progress("former", Stage.COMPLETED, 3, 0, 8, because="x")
    assert standing(plan, other) == Progress("all", Stage.PENDING, 0, START, 8)
    assert standing(plan, Progress("all", Stage.RUNNING, 9, 0, 1)).step == 3
    started = advance(MONITORED, other, NOTHING, START)
    assert started is not None
    assert started.attempt == 9


RUNNING = Progress("all", Stage.RUNNING, 0, START, 1)


@pytest.mark.parametrize(
    ("verb", "stages"),
    [
        (machine.approved, {Stage.RUNNING}),
        (lambda of, at: machine.paused(of, at, "x"), {Stage.RUNNING}),
        (lambda of, at: machine.resumed(of, at, 0), {Stage.PAUSED}),
        (lambda of, at: machine.restarted(of, at, 0), {Stage.ROLLED_BACK, Stage.COMPLETED}),
        (lambda of, at: machine.rolled_back(of, at, "x"), set(Stage) - {Stage.ROLLED_BACK}),
    ],
)
def test_verbs_fit_where_they_fit(verb: Callable[[Flag, Progress | None], Progress], stages: set[Stage]) -> None:
    asks = flag(Guard((ERRORS,), approval=True))
    for stage in Stage:
        if stage in stages:
            assert verb(asks, replace(RUNNING, stage=stage)).rule == "all"
        else:
            with pytest.raises(ConfigurationError, match=f"'new-checkout' is {stage.value}, so it cannot be"):
                verb(asks, replace(RUNNING, stage=stage))
    with pytest.raises(ConfigurationError, match="has no guarded rollout"):
        verb(flag(None), RUNNING)


def test_what_waits_for_nobody_is_not_approved() -> None:
    with pytest.raises(ConfigurationError, match="waits for no approval"):
        machine.approved(MONITORED, RUNNING)


STOOD = Progress("all", Stage.RUNNING, 0, START, 1, approved=True)
WAITS = replace(STOOD, stage=Stage.PENDING)
NOW = 20 * DAY
ANEW = replace(STOOD, since=NOW, attempt=3, approved=False)


@pytest.mark.parametrize(
    ("was", "stands", "then"),
    [
        (None, None, None),
        (STOOD, STOOD, STOOD),
        # A step, and a rollback, that are undone: else the next look would make them again, of the old figures.
        (STOOD, replace(STOOD, step=1, attempt=2), ANEW),
        (replace(STOOD, because="waits for approval"), replace(STOOD, step=1, attempt=2), ANEW),
        (replace(STOOD, attempt=2), replace(STOOD, stage=Stage.ROLLED_BACK, attempt=2), ANEW),
        (replace(STOOD, attempt=2), replace(STOOD, stage=Stage.COMPLETED, attempt=2), ANEW),
        (STOOD, replace(STOOD, stage=Stage.PAUSED, step=1, attempt=2), ANEW),
        # A pause that is undone is as one that ends.
        (STOOD, replace(STOOD, stage=Stage.PAUSED, because="lunch"), replace(STOOD, since=NOW)),
        (STOOD, None, replace(STOOD, since=NOW)),
        # What somebody said of the step that runs.
        (replace(STOOD, approved=False), STOOD, replace(STOOD, approved=False)),
        # What does nothing by itself is as it was.
        (replace(STOOD, stage=Stage.PAUSED), STOOD, replace(STOOD, stage=Stage.PAUSED)),
        (replace(STOOD, stage=Stage.ROLLED_BACK), WAITS, replace(STOOD, stage=Stage.ROLLED_BACK)),
        (
            replace(STOOD, stage=Stage.COMPLETED),
            replace(STOOD, attempt=2),
            replace(STOOD, stage=Stage.COMPLETED, attempt=3),
        ),
        (WAITS, None, WAITS),
        (WAITS, replace(WAITS, stage=Stage.ROLLED_BACK), WAITS),
        (None, WAITS, None),
        # It would begin again at once.
        (None, STOOD, replace(STOOD, stage=Stage.ROLLED_BACK, because=machine.NOT_BEGUN)),
        (WAITS, replace(STOOD, step=1), replace(STOOD, step=1, stage=Stage.ROLLED_BACK, because=machine.NOT_BEGUN)),
    ],
)
def test_what_is_undone_is_not_done_again_by_the_next_look(
    was: Progress | None, stands: Progress | None, then: Progress | None
) -> None:
    assert machine.taken_back(was, stands, NOW) == then


def after(was: Progress, before: Flag | None, becomes: Flag, said: Progress | None = None) -> Progress:
    """Where a rollout stands once its flag is changed so, by something that says *said* of it, or nothing."""
    held = FlagSet(progress={"new-checkout": was})
    wanted = FlagSet(progress={"new-checkout": was if said is None else said})
    flags = {} if before is None else {"new-checkout": before}
    return settled(flags, {"new-checkout": becomes}, held, wanted, NOW).progress["new-checkout"]


def test_another_plan_has_not_begun_and_has_no_tries_of_its_own() -> None:
    """What was measured of the old one says nothing; the tries are counted on, so that no name is used twice."""
    stood = replace(STOOD, step=1, attempt=4, because="so")
    reset = Progress("all", Stage.PENDING, 0, START, 4)
    assert after(stood, MONITORED, replace(MONITORED, owner="asha")) == stood
    assert after(stood, MONITORED, flag(Guard((ERRORS,)), STEPS[:2])) == reset
    assert after(stood, MONITORED, flag(Guard((ERRORS,), samples=9))) == reset
    assert after(stood, None, MONITORED) == reset
    assert after(stood, MONITORED, flag(None)) == reset
    for stage in (Stage.PAUSED, Stage.COMPLETED):
        assert after(replace(stood, stage=stage), MONITORED, TIMED) == reset


def renamed(of: Flag) -> Flag:
    """The same plan, in a rule that has another id."""
    return replace(of, rules=(of.rules[0], replace(of.rules[1], id="rest")))


def test_what_went_back_begins_by_nobody_who_does_not_start_it_anew() -> None:
    """Whatever becomes of its plan, and of the name of its rule: it would let people in again within seconds."""
    back = replace(STOOD, stage=Stage.ROLLED_BACK, step=1, because="it failed")
    stays = replace(back, step=0, approved=False)
    assert after(back, MONITORED, TIMED) == stays
    assert after(back, MONITORED, renamed(MONITORED)) == replace(stays, rule="rest")
    assert after(back, MONITORED, flag(None)) == stays
    assert after(stays, flag(None), MONITORED) == stays
    # Nor where the catalog has it otherwise by now: nothing that is changed says so.
    assert standing(plan_of(renamed(MONITORED)), back) == replace(back, rule="rest")  # type: ignore[arg-type] # it has one
    assert advance(renamed(MONITORED), back, NOTHING, 100 * DAY) is None
    assert machine.restarted(renamed(MONITORED), back, NOW) == Progress("rest", Stage.PENDING, 0, NOW, 1)


def test_what_has_begun_keeps_its_plan() -> None:
    """Else the catalog would go on saying what it is; and of what is broken there is none to keep."""
    for stage in Stage:
        held = FlagSet(progress={"new-checkout": replace(STOOD, stage=stage)})
        has_begun = stage in {Stage.RUNNING, Stage.PAUSED, Stage.COMPLETED}
        for counts, kept in ((MONITORED, {"new-checkout": MONITORED}), (replace(MONITORED, broken="so"), {})):
            both = {"new-checkout": counts}
            assert settled(both, both, held, held, NOW).flags == (kept if has_begun else {})
        gone: dict[str, Flag] = {}
        assert settled(gone, gone, held, held, NOW) == held


def test_a_step_never_lasts_shorter_than_it_was_to() -> None:
    """An older change that is undone says when the step began, before it was put off."""
    off = replace(STOOD, since=START + DAY)
    assert after(off, MONITORED, MONITORED, STOOD) == off
    assert after(STOOD, MONITORED, MONITORED, off) == off
    # Another try has its own time, and what a wrong clock said is no measure.
    assert after(off, MONITORED, MONITORED, replace(STOOD, attempt=2)) == replace(STOOD, attempt=2)
    assert after(replace(off, since=NOW + DAY), MONITORED, MONITORED, STOOD) == replace(STOOD, since=NOW)


def test_where_its_rules_decide_again_a_step_lasts_for_its_time_again() -> None:
    set_off = fixed(MONITORED, "off")
    assert after(STOOD, MONITORED, set_off) == STOOD
    assert after(STOOD, set_off, MONITORED) == replace(STOOD, since=NOW)
    assert after(STOOD, set_off, set_off) == STOOD


LOOKS = st.lists(
    st.tuples(st.integers(0, 3 * DAY), st.integers(0, 60), st.integers(0, 1_000), st.booleans()), max_size=30
)


@given(LOOKS, st.booleans(), st.integers(0, 800))
def test_it_grows_step_by_step_and_only_a_rollback_takes_anybody_out(
    looks: list[tuple[int, int, int, bool]], asks: bool, samples: int
) -> None:
    of = flag(Guard((ERRORS,), samples, asks))
    plan = plan_of(of)
    assert plan is not None
    progress, at, attempts = None, 0, set()
    for later, bad, count, approves in looks:
        at += later
        before = 0 if progress is None else share(plan.rollout, progress, at)
        if approves and asks and progress is not None and progress.stage is Stage.RUNNING:
            progress = machine.approved(of, progress)
        following = advance(of, progress, rates((min(bad, count), count)), at)
        if following is None:
            continue
        now = share(plan.rollout, following, at)
        if following.stage is Stage.ROLLED_BACK:
            assert now == 0
            assert following.because
        else:
            assert now >= before
            assert following.step <= (0 if progress is None else progress.step + 1)
        if progress is not None and following.step != progress.step:
            assert following.attempt == progress.attempt + 1
            assert at >= progress.since + (STEPS[progress.step + 1][0] - STEPS[progress.step][0])
            assert count >= samples
            assert progress.approved or not asks
            attempts.add(following.attempt)
        progress = following
