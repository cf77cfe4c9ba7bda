"""A change of flags is taken back exactly, unless the same flag was changed since."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payaid_entitlements.admin.tenants import MOST_TRIES
from payaid_entitlements.core.flags.model import Flag, Progress, Stage
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.core.instant import instant
from payaid_entitlements.errors import ChangeConflict, ConfigurationError, EntitlementError
from tests.admin.conftest import Shop, edited, facts
from tests.admin.test_races import outrun

CATALOG = {
    **edited(),
    "flags": {"look": {"rollout": "5%"}, "colour": {"variants": ["red", "blue"], "default": "red"}},
    "segments": {"indian": {"country": "IN"}},
}


@pytest.fixture
def sold(shop: Shop) -> Shop:
    shop.admin().publish(CATALOG)
    return shop


def state(shop: Shop) -> tuple[dict[str, Flag], dict[str, object]]:
    """What counts: flags and segments, whoever says so."""
    catalog = shop.memory.catalog().catalog
    held = shop.memory.flags()
    return effective(catalog.flags, held), {**catalog.segments, **held.segments}


def test_a_rollout_is_taken_back(sold):
    """Back to what the catalog says, or to what was said before; and an undoing can be undone."""
    admin = sold.admin()
    grown = admin.rollout("look", 25)
    back = admin.undo(grown.id)
    assert [str(each) for each in back.altered] == ["look rollout: 25% -> 5%"]
    assert sold.memory.flags().flags == {}
    admin.undo(back.id)
    assert sold.memory.flags().flags["look"].rules[0].rollout.steps[0][1] == 25_000
    further = admin.rollout("look", 50)
    admin.undo(further.id)
    assert sold.memory.flags().flags["look"].rules[0].rollout.steps[0][1] == 25_000
    admin.undo(grown.id)
    assert sold.memory.flags().flags == {}


def test_what_was_changed_since_is_taken_back_first(sold):
    """Of the same flag; others do not matter."""
    admin = sold.admin()
    first = admin.rollout("look", 25)
    admin.set_flag("colour", "blue")
    other = sold.admin("ravi").set_flag("look", "on")
    with pytest.raises(ChangeConflict, match=rf"changed since, by set_flag of ravi at .*; undo {other.id!r} first"):
        admin.undo(first.id)
    admin.undo(other.id)
    assert facts(admin.undo(first.id)) == (True, "change.applied")


def test_a_step_of_its_rollout_is_a_change_of_the_flag(sold):
    """Where it stands comes back with it; its step lasts for its time again, and is measured anew."""
    admin = sold.admin()
    guarded = {"rollout": {"steps": ["5%", "50%"], "hold": "1 day", "roll_back_if": "error_rate > 2%"}}
    admin.define_flag("look", guarded)
    held = sold.memory.flags()
    stood = Progress("rollout", Stage.RUNNING, 1, 7, 4)
    sold.memory._content.flags = replace(held, progress={"look": stood})
    by_hand = admin.rollout("look", 10)
    assert sold.memory.flags().progress["look"].stage is Stage.PENDING
    assert "look guarded rollout: running at step 2" in str(by_hand.altered[1])
    admin.undo(by_hand.id)
    now = instant(sold.clock.now())
    assert sold.memory.flags().progress == {"look": replace(stood, since=now, attempt=5)}
    assert sold.memory.flags().flags == held.flags


def test_undoing_is_done_once(sold):
    admin = sold.admin()
    first = admin.rollout("look", 25)
    undone = admin.undo(first.id, operation="a")
    again = admin.undo(first.id, operation="a")
    assert (facts(again), again.id) == ((False, "change.repeated"), undone.id)


def test_a_salt_does_not_come_back_on_a_live_flag(sold):
    """The catalog may have it otherwise by now: whoever undoes would deal everybody anew."""
    admin = sold.admin()
    first = admin.rollout("look", 25)
    admin.publish({**CATALOG, "flags": {**CATALOG["flags"], "look": {"rollout": "5%", "salt": "other"}}})
    with pytest.raises(ConfigurationError, match="the salt of flag 'look' cannot change from 'look' to 'other'"):
        admin.undo(first.id)


ACTS = st.one_of(
    st.tuples(st.just("rollout"), st.tuples(st.just("look"), st.integers(0, 100))),
    st.tuples(st.just("set_flag"), st.tuples(st.just("colour"), st.sampled_from(["red", "blue", None]))),
    st.tuples(st.just("set_flag"), st.tuples(st.just("look"), st.sampled_from(["on", "off", None]))),
    st.tuples(
        st.just("define_flag"),
        st.tuples(
            st.sampled_from(["look", "new", "colour"]),
            st.sampled_from([{}, {"rollout": "7%"}, {"owner": "a", "rules": [{"when": {"segment": "indian"}}]}]),
        ),
    ),
    st.tuples(st.just("remove_flag"), st.tuples(st.sampled_from(["look", "new", "colour"]))),
    st.tuples(
        st.just("define_segment"),
        st.tuples(st.sampled_from(["indian", "near"]), st.sampled_from([{"country": "IN"}, {"country": ["IN", "NP"]}])),
    ),
    st.tuples(st.just("remove_segment"), st.tuples(st.sampled_from(["indian", "near"]))),
    st.tuples(
        st.just("import_flags"),
        st.tuples(st.just({"flags": {"new": {"rollout": "9%"}, "look": {}}, "segments": {"near": {"country": "NP"}}})),
    ),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(ACTS, max_size=4), acts=st.lists(ACTS, min_size=1, max_size=4), data=st.data())
def test_a_change_and_its_undoing_leave_everything_as_it_was(before, acts, data):
    """One after the other from the last, whatever was changed; and each state on the way comes back."""
    shop = Shop("sync")
    try:
        admin = shop.admin()
        admin.publish(CATALOG)
        made: list[tuple[str, object]] = []

        def act(verb, arguments):
            was = state(shop)
            try:
                change = getattr(admin, verb)(*arguments)
            except EntitlementError:
                assert state(shop) == was
                return
            if change.applied:
                made.append((change.id, was))

        for each in before:
            act(*each)
        made.clear()
        for each in acts:
            act(*each)
        while made:
            change_id, was = made.pop()
            undone = admin.undo(change_id)
            assert state(shop) == was
            if data.draw(st.booleans()):
                now = state(shop)
                admin.undo(admin.undo(undone.id).id)
                assert state(shop) == now
    finally:
        shop.close()


def test_a_lost_race_about_another_flag_is_run_again(sold):
    """Both count."""
    admin, rival = sold.admin(), sold.rival()
    outrun(sold, 1, lambda number: rival.set_flag("colour", "blue"))
    assert facts(admin.rollout("look", 25)) == (True, "change.applied")
    assert set(sold.memory.flags().flags) == {"look", "colour"}
    outrun(sold, MOST_TRIES, lambda number: rival.set_flag("colour", "red" if number % 2 else "blue"))
    with pytest.raises(ChangeConflict, match="set_flag by ravi"):
        admin.rollout("look", 30)
    assert sold.memory.flags().flags["look"].rules[0].rollout.steps[0][1] == 25_000


def test_a_lost_race_about_the_same_flag_says_what_was_changed(sold):
    """What was seen before the change is not what it would change: nobody leaves because two grew it at once."""
    admin, rival = sold.admin(), sold.rival()
    outrun(sold, 1, lambda number: rival.rollout("look", 50))
    with pytest.raises(
        ChangeConflict, match=r"flag look was changed by somebody else .*rollout: 5% -> 50%; look again"
    ):
        admin.rollout("look", 25)
    assert sold.memory.flags().flags["look"].rules[0].rollout.steps[0][1] == 50_000


def test_a_lost_race_with_the_same_act_is_that_act(sold):
    """A message that was delivered twice, to two processes."""
    admin, rival = sold.admin(), sold.rival()
    outrun(sold, 1, lambda number: rival.rollout("look", 25, operation="a"))
    assert facts(admin.rollout("look", 25, operation="a")) == (False, "change.repeated")


def test_a_change_that_loses_its_race_with_a_change_of_the_flag_is_not_undone(sold):
    admin, rival = sold.admin(), sold.rival()
    first = admin.rollout("look", 25)
    outrun(sold, 1, lambda number: rival.rollout("look", 50))
    with pytest.raises(ChangeConflict):
        admin.undo(first.id)
    assert sold.memory.flags().flags["look"].rules[0].rollout.steps[0][1] == 50_000
