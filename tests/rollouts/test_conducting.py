"""Rollouts go on and go back by themselves, whoever measures; each step once, each in the audit trail."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.admin import rollouts
from payaid_entitlements.admin.rollouts import conduct
from payaid_entitlements.core.flags.model import Stage
from payaid_entitlements.core.flags.writing import written
from payaid_entitlements.core.instant import instant
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.testing.clock import FakeClock
from tests.rollouts.conftest import DAY, FLAG, START, WATCHED, Place, never, sold

HOUR = timedelta(hours=1)


def day(place: Place, fails: Any, ent: Any = None) -> None:
    """A day of requests, every four hours some."""
    for hour in range(6):
        for n in range(0, 200, 4 + hour):
            place.serve(f"t{n}", fails, ent)
        place.clock.advance(4 * HOUR)


def trail(place: Place) -> list[tuple[str, str, str | None]]:
    """Who changed flags, oldest first."""
    if place.is_async:

        async def read() -> list[Any]:
            return [entry async for entry in place.admin().audit()]

        entries = place.run(read())
    else:
        entries = list(place.admin().audit())
    return [(entry.verb, entry.actor, entry.because) for entry in entries if entry.scope.value == "flags"]


def test_a_launch_goes_on_by_itself_and_nobody_leaves(place: Place) -> None:
    inside: list[set[str]] = [place.insiders()]
    assert inside == [set()]
    place.clock.travel_to(START)
    for _ in range(7):
        day(place, never)
        inside.append(place.insiders())
    assert place.stands() == (Stage.COMPLETED, 3)
    assert all(before <= after for before, after in pairwise(inside))
    assert len(inside[-1]) == 200
    said = trail(place)
    assert {(verb, actor) for verb, actor, _ in said} == {("step_rollout", "payaid:rollout")}
    assert [because for _, _, because in said] == [
        *("running: 5% is in", "running: 25% is in", "running: 50% is in", "running: 100% is in"),
        "completed: 100% is in",
    ]


def test_what_fails_goes_back_by_itself_says_why_and_nobody_is_in(place: Place) -> None:
    other = place.client()
    place.clock.travel_to(START)
    day(place, never)
    assert place.insiders(other)
    before = place.progress()
    assert before is not None
    day(place, bool)
    progress = place.progress()
    assert progress is not None
    assert progress.stage is Stage.ROLLED_BACK
    assert progress.because.startswith("error_rate: at least ")
    assert "outside (0 of " in progress.because
    assert trail(place)[-1] == ("step_rollout", "payaid:rollout", progress.because)
    # Another process sees it at its next look at the change log.
    place.clock.advance(seconds=6)
    assert place.insiders(other) == place.insiders() == set()
    day(place, never)
    assert place.progress() == progress


def test_it_goes_on_where_another_process_left_it(place: Place) -> None:
    place.clock.travel_to(START)
    day(place, never)
    place.clock.advance(HOUR)
    place.run(place.ent.aclose() if place.is_async else place.ent.close())
    progress = place.progress()
    assert progress is not None
    assert (progress.stage, progress.step) == (Stage.RUNNING, 0)
    successor = place.ent = place.client()
    day(place, never, successor)
    assert place.stands() == (Stage.RUNNING, 1)


def test_closing_tells_what_was_measured(quiet: Place) -> None:
    quiet.serve("t0", never)  # long after the last time: tells at once
    for n in range(1, 50):
        quiet.serve(f"t{n}", never)
    progress = quiet.progress()
    assert progress is not None
    told = quiet.memory.tallies(f"rollout/{FLAG}/{progress.attempt}")
    assert told["out/samples"] == 1
    quiet.run(quiet.ent.aclose() if quiet.is_async else quiet.ent.close())
    told = quiet.memory.tallies(f"rollout/{FLAG}/{progress.attempt}")
    assert told["in/samples"] + told["out/samples"] == told["in/ids"] + told["out/ids"] == 50
    assert told["processes"] == 1


def test_tallies_of_the_step_before_stay_and_older_ones_go(quiet: Place) -> None:
    first = quiet.progress()
    assert first is not None
    for _ in range(3):
        day(quiet, never)
    last = quiet.progress()
    assert last is not None
    assert last.attempt >= first.attempt + 2
    assert quiet.memory.tallies(f"rollout/{FLAG}/{last.attempt - 1}")
    assert not quiet.memory.tallies(f"rollout/{FLAG}/{last.attempt - 2}")


def test_tallies_of_steps_that_were_undone_go_too(quiet: Place) -> None:
    for _ in range(3):
        day(quiet, never)
        day(quiet, never)
        quiet.run(quiet.admin(because="too fast").undo(last(quiet)))
    for _ in range(5):
        day(quiet, never)
    stood = quiet.progress()
    assert stood is not None
    kept = [n for n in range(stood.attempt + 1) if quiet.memory.tallies(f"rollout/{FLAG}/{n}")]
    assert kept == [stood.attempt - 1, stood.attempt]


def test_nothing_is_counted_of_a_rollout_that_has_not_begun(place: Place) -> None:
    for n in range(20):
        place.serve(f"t{n}", never)
        place.clock.advance(seconds=10)
    assert place.progress() is None
    assert place.memory.tallies(f"rollout/{FLAG}/0") == {}
    assert place.memory.tallies(f"rollout/{FLAG}/1") == {}


def test_a_step_is_taken_by_hand_where_nothing_measures(place: Place) -> None:
    assert place.step() == []
    place.clock.travel_to(START)
    assert place.step(dry_run=True)[0].change.applied is False
    assert place.progress() is None
    (begun,) = place.step()
    assert (begun.flag, begun.stage, begun.step, begun.share, begun.because) == (FLAG, Stage.RUNNING, 0, 5_000, "")
    assert begun.change.applied
    assert place.step() == []
    place.clock.advance(DAY)
    (held,) = place.step()
    assert (held.step, held.because) == (0, "nothing is measured: of error_rate")
    assert place.step() == []
    assert trail(place)[-1] == ("step_rollout", "asha", "nothing is measured: of error_rate")


def test_only_flags_that_are_named_go_on(place: Place) -> None:
    place.clock.travel_to(START)
    admin = place.admin()
    assert place.run(admin.step_rollouts(["another"])) == []
    assert [each.flag for each in place.run(admin.step_rollouts([FLAG, "another"]))] == [FLAG]
    with pytest.raises(TypeError, match=r"flags is several keys, such as \['new-checkout'\]"):
        place.run(admin.step_rollouts(FLAG))


def test_a_step_copies_the_flag_so_that_its_plan_stays(quiet: Place) -> None:
    flags = quiet.memory.flags().flags
    assert flags[FLAG] == WATCHED.flags[FLAG]


def test_who_is_slower_changes_nothing(quiet: Place) -> None:
    """Another process makes the same step, or pauses it, between the judging and the writing."""
    for n in range(200):
        quiet.serve(f"t{n}", never)
    quiet.clock.advance(DAY)
    quiet.serve("t0", never)  # tells, and finds that it is time
    assert quiet.stands() == (Stage.RUNNING, 1)
    rival = Entitlements(quiet.memory, clock=quiet.clock)
    quiet.opened.append(rival)
    turns: list[object] = []

    def before(name: str) -> None:
        if name == "apply" and not turns:
            turns.append(name)
            # Elsewhere, for no loop runs there.
            other = threading.Thread(target=lambda: rival.admin("ravi").pause_rollout(FLAG))
            other.start()
            other.join()

    quiet.clock.advance(DAY + HOUR)
    quiet.faults.before = before
    assert quiet.step() == []
    assert turns
    assert quiet.stands() == (Stage.PAUSED, 1)
    assert [(verb, actor) for verb, actor, _ in trail(quiet)][-1] == ("pause_rollout", "ravi")


def test_what_was_changed_since_it_was_judged_is_left_as_it_is(quiet: Place) -> None:
    """Between the reading that is judged and the reading that is changed."""
    rival = Entitlements(quiet.memory, clock=quiet.clock)
    quiet.opened.append(rival)
    reads: list[str] = []

    def before(name: str) -> None:
        if name == "flags":
            reads.append(name)
            if len(reads) == 2:
                other = threading.Thread(target=lambda: rival.admin("ravi").pause_rollout(FLAG))
                other.start()
                other.join()

    quiet.clock.advance(DAY)
    quiet.ent.peek("acme", "invoicing")
    quiet.step(dry_run=True)  # what is near is read anew before
    quiet.faults.before = before
    assert quiet.step() == []
    assert quiet.stands() == (Stage.PAUSED, 0)


def test_who_is_late_takes_nothing_away_that_was_measured_meanwhile(quiet: Place) -> None:
    """A process that stood still between its judging and its step, for so long that the step was made and measured."""
    for n in range(200):
        quiet.serve(f"t{n}", never)
    quiet.clock.advance(DAY)
    measuring = quiet.progress()
    assert measuring is not None
    turns: list[str] = []

    def before(name: str) -> None:
        if name == "drop_tallies" and not turns:
            turns.append(name)
            rival = Entitlements(quiet.memory, clock=quiet.clock)
            quiet.opened.append(rival)

            def elsewhere() -> None:
                rival.admin("ravi").step_rollouts()
                for n in range(50):
                    rival.measure(rival.tenant(f"t{n}"), FLAG)
                rival._driver.run(rival._measuring.flush())

            other = threading.Thread(target=elsewhere)
            other.start()
            other.join()

    quiet.faults.before = before
    quiet.run(quiet.ent._driver.run(quiet.ent._measuring.flush()))
    assert quiet.step() == []
    assert turns
    assert quiet.stands() == (Stage.RUNNING, 1)
    told = quiet.memory.tallies(f"rollout/{FLAG}/{measuring.attempt + 1}")
    assert told["in/samples"] + told["out/samples"] == 50
    assert told["processes"] == 1


def test_what_was_measured_of_a_removed_flag_is_not_taken_for_what_another_one_did(quiet: Place) -> None:
    day(quiet, never)
    before = quiet.progress()
    assert before is not None
    quiet.run(quiet.admin().remove_flag(FLAG))
    quiet.run(
        quiet.admin().define_flag(
            FLAG, {"rollout": {"steps": ["5%", "50%"], "roll_back_if": "error_rate > 1%", "hold": "1 day"}}
        )
    )
    quiet.step()
    progress = quiet.progress()
    assert progress is not None
    assert progress.attempt > before.attempt
    assert quiet.memory.tallies(f"rollout/{FLAG}/{progress.attempt}") == {}


def test_who_knows_nothing_yet_asks_the_store(place: Place) -> None:
    place.clock.travel_to(START)
    made = place.run(place.ent._driver.run(conduct(place.ent._setting, frozenset({FLAG}))))
    assert [each.stage for each in made] == [Stage.RUNNING]


def test_nothing_is_asked_where_nothing_goes_on(place: Place) -> None:
    place.view("acme")
    calls = len(place.faults.calls)
    for flags in ({FLAG}, {"another"}, set()):
        assert place.run(place.ent._driver.run(conduct(place.ent._setting, frozenset(flags)))) == []
    assert len(place.faults.calls) == calls


def test_flags_without_a_guard_are_passed_over(place: Place) -> None:
    place.run(place.admin().define_flag("plain", {"rollout": "5%"}))
    place.clock.travel_to(START)
    assert [each.flag for each in place.step()] == [FLAG]


def test_people_have_the_last_word(quiet: Place) -> None:
    admin = quiet.admin()
    paused = quiet.run(admin.pause_rollout(FLAG))
    assert paused.applied
    assert quiet.progress().because == "paused by asha"  # type: ignore[union-attr] # it has begun
    inside = quiet.insiders()
    assert inside
    quiet.clock.advance(5 * DAY)
    assert quiet.step() == []
    quiet.run(admin.resume_rollout(FLAG, because="goes on"))
    assert quiet.stands() == (Stage.RUNNING, 0)
    assert quiet.insiders() == inside
    back = quiet.run(admin.roll_back(FLAG, "somebody called"))
    assert quiet.progress().because == "somebody called"  # type: ignore[union-attr] # as above
    assert quiet.insiders() == set()
    with pytest.raises(ConfigurationError, match="is rolled_back, so it cannot be rolled back"):
        quiet.run(admin.roll_back(FLAG, "again"))
    quiet.run(admin.restart_rollout(FLAG))
    assert quiet.stands() == (Stage.PENDING, 0)
    assert [each.stage for each in quiet.step()] == [Stage.RUNNING]
    assert quiet.insiders() == inside
    assert back.id is not None


def test_a_rollback_is_undone_as_any_change_and_measured_anew(quiet: Place) -> None:
    inside = quiet.insiders()
    back = quiet.run(quiet.admin().roll_back(FLAG, "by mistake"))
    assert quiet.insiders() == set()
    quiet.run(quiet.admin(because="it was well").undo(back.id))
    assert quiet.stands() == (Stage.RUNNING, 0)
    assert quiet.insiders() == inside
    (begun,) = [entry for entry in trail(quiet) if entry[0] == "step_rollout"]
    assert begun[1] == "asha"


def last(place: Place) -> str:
    """The id of the change that was made last."""

    async def read() -> list[Any]:
        return [entry async for entry in place.admin().audit()]

    entries = place.run(read()) if place.is_async else list(place.admin().audit())
    found: str = entries[-1].id
    return found


def test_a_step_that_is_undone_lasts_for_its_time_again(quiet: Place) -> None:
    """Who takes it back has not to be faster than the next process that looks."""
    inside = quiet.insiders()
    day(quiet, never)
    day(quiet, never)
    assert quiet.stands() == (Stage.RUNNING, 1)
    quiet.run(quiet.admin(because="too fast").undo(last(quiet)))
    for _ in range(5):
        for n in range(200):
            quiet.serve(f"t{n}", never)
        quiet.clock.advance(HOUR)
        assert quiet.step() == []
    assert quiet.stands() == (Stage.RUNNING, 0)
    assert quiet.insiders() == inside
    day(quiet, never)
    assert quiet.stands() == (Stage.RUNNING, 1)


def test_a_rollback_that_is_undone_is_not_made_again_of_the_same_figures(quiet: Place) -> None:
    inside = quiet.insiders()
    day(quiet, bool)
    assert quiet.stands() == (Stage.ROLLED_BACK, 0)
    quiet.run(quiet.admin(because="that was the database").undo(last(quiet)))
    quiet.clock.advance(HOUR)
    quiet.serve("t0", never)
    assert quiet.step() == []
    assert quiet.insiders() == inside
    # It is measured all the same.
    day(quiet, bool)
    assert quiet.stands() == (Stage.ROLLED_BACK, 0)


def test_a_beginning_that_is_undone_is_begun_by_nobody_but_people(quiet: Place) -> None:
    quiet.run(quiet.admin(because="not today").undo(last(quiet)))
    day(quiet, never)
    assert quiet.step() == []
    assert quiet.insiders() == set()
    progress = quiet.progress()
    assert progress is not None
    assert progress.because == "its beginning was undone; `payaid flag restart` begins anew"
    quiet.run(quiet.admin().restart_rollout(FLAG))
    assert [each.stage for each in quiet.step()] == [Stage.RUNNING]


@pytest.mark.parametrize("how", ["killed", "not enabled", "set"])
def test_a_rollout_stands_still_while_its_rule_decides_for_nobody(quiet: Place, how: str) -> None:
    """Whoever takes that back gets what was, however long it took, and its step lasts for its time again."""
    inside = quiet.insiders()
    admin = quiet.admin(because="INC-7")
    definition = written(WATCHED.flags[FLAG])
    if how == "killed":
        quiet.run(admin.kill(FLAG))
    elif how == "set":
        quiet.run(admin.set_flag(FLAG, "off"))
    else:
        quiet.run(admin.define_flag(FLAG, {**definition, "enabled": False}))
    for _ in range(3):
        day(quiet, never)
        assert quiet.insiders() == set()
        assert (quiet.step(), quiet.stands()) == ([], (Stage.RUNNING, 0))
    if how == "killed":
        quiet.run(admin.restore(FLAG))
    elif how == "set":
        quiet.run(admin.set_flag(FLAG, None))
    else:
        quiet.run(admin.define_flag(FLAG, definition))
    day(quiet, never)
    assert (quiet.insiders(), quiet.stands()) == (inside, (Stage.RUNNING, 0))
    day(quiet, never)
    assert quiet.stands() == (Stage.RUNNING, 1)


def test_many_turned_switches_are_looked_through(quiet: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, for the last one of this flag; others say nothing of it."""
    monkeypatch.setattr(rollouts, "PAGE", 2)
    for n in range(200):
        quiet.serve(f"t{n}", never)
    admin = quiet.admin(because="INC-7")
    for key in (FLAG, "invoicing", FLAG):
        quiet.run(admin.kill(key))
        quiet.clock.advance(HOUR)
        quiet.run(admin.restore(key))
    quiet.clock.advance(DAY - HOUR)
    quiet.serve("t0", never)
    assert (quiet.step(), quiet.stands()) == ([], (Stage.RUNNING, 0))
    quiet.clock.advance(HOUR)
    quiet.serve("t0", never)
    assert quiet.stands() == (Stage.RUNNING, 1)


def test_a_switch_that_a_wrong_clock_turned_is_not_waited_for(quiet: Place) -> None:
    """It would put off the step with each look until that year is over."""
    ahead = Entitlements(quiet.memory, clock=FakeClock(START + 365 * DAY))
    quiet.opened.append(ahead)
    wrong = ahead.admin("ravi", because="INC-7")
    wrong.kill(FLAG)
    wrong.restore(FLAG)
    quiet.clock.advance(seconds=6)
    day(quiet, never)
    day(quiet, never)
    assert quiet.stands() == (Stage.RUNNING, 1)


def test_what_only_says_why_it_holds_is_in_nobodys_way(quiet: Place) -> None:
    """It is said by the next look again; who takes back what he did need not take that back first."""
    owned = quiet.run(quiet.admin(because="mine").define_flag(FLAG, {**written(WATCHED.flags[FLAG]), "owner": "asha"}))
    quiet.clock.advance(DAY)
    (held,) = quiet.step()
    assert held.because == "nothing is measured: of error_rate"
    quiet.run(quiet.admin(because="not mine").undo(owned.id))
    assert quiet.memory.flags().flags[FLAG] == WATCHED.flags[FLAG]
    assert quiet.stands() == (Stage.RUNNING, 0)


def test_what_only_puts_a_step_off_is_in_nobodys_way(quiet: Place) -> None:
    """After a kill its time begins anew with the look that finds it due, which says besides why it holds."""
    owned = quiet.run(quiet.admin(because="mine").define_flag(FLAG, {**written(WATCHED.flags[FLAG]), "owner": "asha"}))
    quiet.clock.advance(HOUR)
    quiet.run(quiet.admin(because="INC-7").kill(FLAG))
    quiet.clock.advance(HOUR)
    quiet.run(quiet.admin(because="mended").restore(FLAG))
    quiet.clock.advance(2 * DAY)
    (held,) = quiet.step()
    assert held.because == "nothing is measured: of error_rate"
    stood = quiet.progress()
    quiet.run(quiet.admin(because="not mine").undo(owned.id))
    assert quiet.memory.flags().flags[FLAG] == WATCHED.flags[FLAG]
    then = quiet.progress()
    assert stood is not None
    assert then is not None
    assert then.since == stood.since > instant(START)


def test_undoing_what_was_set_lets_the_rules_decide_again(quiet: Place) -> None:
    """No process has changed anything meanwhile that would have to be undone first."""
    inside = quiet.insiders()
    fixed = quiet.run(quiet.admin(because="INC-7").set_flag(FLAG, "off"))
    for _ in range(2):
        day(quiet, never)
    quiet.run(quiet.admin(because="mended").undo(fixed.id))
    assert (quiet.insiders(), quiet.stands()) == (inside, (Stage.RUNNING, 0))
    day(quiet, never)
    assert quiet.stands() == (Stage.RUNNING, 0)


def test_what_was_rolled_back_stays_so_where_all_that_was_changed_is_replaced(quiet: Place) -> None:
    """The catalog counts again, with the same plan or another one: it is begun by whoever starts it anew."""
    quiet.run(quiet.admin().roll_back(FLAG, "INC-7"))
    quiet.run(quiet.admin().set_flag(FLAG, "off"))
    quiet.run(quiet.admin().import_flags({"flags": {}}, replace=True))
    assert FLAG not in quiet.memory.flags().flags
    assert quiet.step() == []
    assert (quiet.stands(), quiet.insiders()) == ((Stage.ROLLED_BACK, 0), set())
    quiet.run(quiet.admin().define_flag(FLAG, {"rollout": {"steps": ["7%"], "hold": "1 day", "samples": 5}}))
    quiet.run(quiet.admin().import_flags({"flags": {}}, replace=True))
    quiet.run(quiet.admin().publish(sold({"steps": ["1%", "2%"], "samples": 5})))
    assert quiet.step() == []
    assert (quiet.stands(), quiet.insiders()) == ((Stage.ROLLED_BACK, 0), set())
    quiet.run(quiet.admin().restart_rollout(FLAG))
    assert [each.share for each in quiet.step()] == [1_000]


@pytest.mark.parametrize("stage", [Stage.RUNNING, Stage.PAUSED, Stage.COMPLETED])
def test_what_has_begun_keeps_its_plan_where_all_that_was_changed_is_replaced(quiet: Place, stage: Stage) -> None:
    """By the next catalog each step would be of another plan, and a measured one skipped."""
    for _ in range(7 if stage is Stage.COMPLETED else 3):
        day(quiet, never)
    if stage is Stage.PAUSED:
        quiet.run(quiet.admin().pause_rollout(FLAG))
    inside, stood = quiet.insiders(), quiet.progress()
    assert stood is not None
    assert stood.stage is stage
    quiet.run(quiet.admin().import_flags({"flags": {}}, replace=True))
    quiet.run(quiet.admin().publish(sold({"steps": ["1%", "2%", "100%"], "roll_back_if": "error_rate > 1%"})))
    assert (quiet.insiders(), quiet.progress()) == (inside, stood)


def test_what_was_rolled_back_stays_so_whatever_its_rule_is_called(quiet: Place) -> None:
    """A rule in front of it moves the id of one that has none; a share in between ends the plan for a while."""
    plan = {"steps": ["5%", "25%"], "hold": "1 day", "roll_back_if": "error_rate > control + 0.5%"}
    admin = quiet.admin()
    quiet.run(admin.roll_back(FLAG, "INC-7"))
    for rules in (
        [{"rollout": plan}],
        [{"when": {"attribute": "plan", "in": ["x"]}, "serve": "on"}, {"rollout": plan}],
        [{"id": "beta", "rollout": "0%"}],
        [{"id": "beta", "rollout": plan}],
    ):
        quiet.run(admin.define_flag(FLAG, {"bucket_by": "tenant", "rules": rules}))
        assert (quiet.step(), quiet.insiders()) == ([], set())
    quiet.run(admin.restart_rollout(FLAG))
    assert [each.share for each in quiet.step()] == [5_000]


def test_undoing_an_older_change_cuts_no_step_short(quiet: Place) -> None:
    """Its time began anew when the flag was let decide again."""
    definition = {**written(WATCHED.flags[FLAG]), "owner": "asha"}
    owned = quiet.run(quiet.admin(because="mine").define_flag(FLAG, definition))
    off = quiet.run(quiet.admin(because="INC-7").set_flag(FLAG, "off"))
    quiet.clock.advance(2 * DAY)
    quiet.run(quiet.admin(because="mended").undo(off.id))
    quiet.clock.advance(HOUR)
    for n in range(200):
        quiet.serve(f"t{n}", never)
    quiet.run(quiet.admin(because="not mine").undo(owned.id))
    assert (quiet.step(), quiet.stands()) == ([], (Stage.RUNNING, 0))
    day(quiet, never)
    day(quiet, never)
    assert quiet.stands() == (Stage.RUNNING, 1)


def test_what_is_killed_does_not_begin(place: Place) -> None:
    place.run(place.admin(because="not yet").kill(FLAG))
    place.clock.travel_to(START)
    assert place.step() == []
    assert place.progress() is None
    place.run(place.admin(because="now").restore(FLAG))
    assert [each.stage for each in place.step()] == [Stage.RUNNING]


def test_what_was_done_twice_by_one_operation_was_done_once(quiet: Place) -> None:
    admin = quiet.admin()
    first = quiet.run(admin.pause_rollout(FLAG, operation="p-1"))
    again = quiet.run(admin.pause_rollout(FLAG, operation="p-1"))
    assert (first.applied, again.applied, again.reason.value) == (True, False, "change.repeated")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_step_waits_for_approval(is_async: bool) -> None:
    place = Place(is_async, sold({"approval": True}))
    try:
        place.clock.travel_to(START)
        place.step()
        place.clock.advance(DAY)
        (held,) = place.step()
        assert held.because == "waits for approval"
        approved = place.run(place.admin().approve_rollout(FLAG))
        assert approved.applied
        (gone_on,) = place.step()
        assert (gone_on.step, gone_on.share) == (1, 25_000)
    finally:
        place.close()


def test_an_outage_reaches_nobody_and_is_counted(quiet: Place) -> None:
    quiet.faults.is_down = True
    quiet.clock.advance(seconds=10)
    for n in range(3):
        view = quiet.view("t0")
        quiet.serve("t0", never)
        assert view is not None
        quiet.clock.advance(seconds=10 + n)
    assert any(name[0] == "rollout.unflushed" for name in quiet.ent.counts)
    quiet.faults.is_down = False
    with pytest.raises(ConfigurationError):
        quiet.run(quiet.admin().approve_rollout(FLAG))


def test_an_outage_is_not_in_the_way_of_closing(quiet: Place) -> None:
    for n in range(3):
        quiet.serve(f"t{n}", never)
    quiet.faults.is_down = True
    quiet.run(quiet.ent.aclose() if quiet.is_async else quiet.ent.close())
    assert quiet.ent.counts["rollout.unflushed", "StoreUnavailable"] == 1


def test_errors_of_verbs_are_raised(quiet: Place) -> None:
    quiet.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        quiet.step()
