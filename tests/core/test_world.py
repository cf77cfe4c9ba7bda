"""What is the same for every tenant."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.controls import ENFORCE, EVERYWHERE, OBSERVE, OFF, Controls
from payaid_entitlements.core.world import Modes
from tests.core.conftest import SMALL, world_of


@pytest.mark.parametrize(
    ("program", "stored", "environment", "mode"),
    [
        ({}, {}, {}, ENFORCE),
        ({EVERYWHERE: ENFORCE}, {}, {}, ENFORCE),
        ({EVERYWHERE: ENFORCE, "crm": OFF}, {}, {EVERYWHERE: ENFORCE}, OFF),
        ({"crm": OFF}, {"crm": OBSERVE}, {}, OBSERVE),
        ({"books": OFF}, {}, {}, ENFORCE),
        ({EVERYWHERE: OFF}, {}, {}, OFF),
        ({EVERYWHERE: OFF}, {EVERYWHERE: OBSERVE}, {}, OBSERVE),
        ({EVERYWHERE: OFF}, {EVERYWHERE: OBSERVE}, {EVERYWHERE: ENFORCE}, ENFORCE),
        ({EVERYWHERE: OFF}, {"crm": OBSERVE}, {EVERYWHERE: ENFORCE}, OBSERVE),
        ({EVERYWHERE: OFF}, {"crm": OBSERVE}, {"crm": ENFORCE}, ENFORCE),
        ({EVERYWHERE: ENFORCE}, {"books": OFF}, {"books": OFF}, ENFORCE),
    ],
)
def test_the_narrower_scope_wins_then_the_environment_then_what_is_stored(program, stored, environment, mode):
    """A module beats everywhere; for one scope the environment beats the store, and that the program."""
    world = world_of(controls=Controls(1, stored), modes=Modes(program, environment))
    assert world.mode_of("crm") is mode
    assert world.mode_of("crm.export") is mode


def test_a_dash_of_a_module_is_an_underscore_in_the_environment():
    """``PAYAID_ENFORCEMENT_TIME_SHEETS`` is for the module ``time-sheets``; what is stored has its key."""
    modes = Modes(environment={"time_sheets": OFF})
    assert modes.of("time-sheets", {}) is OFF
    assert Modes().of("time-sheets", {"time-sheets": OFF}) is OFF
    assert Modes().of("time-sheets", {"time_sheets": OFF}) is ENFORCE


def test_a_scope_that_is_no_module_is_named():
    """The program writes keys, the environment has no dashes."""
    modes = Modes({EVERYWHERE: OFF, "crm": OFF, "crn": OFF}, {EVERYWHERE: OFF, "books": OFF, "boks": OFF})
    assert modes.unknown(Catalog.load(SMALL)) == ("crn", "boks")


def test_what_belongs_to_no_module_has_the_mode_of_everywhere():
    """Features of the whole account, and keys that nobody knows, follow no module's mode."""
    world = world_of(controls=Controls(1, {"crm": OFF}))
    assert world.mode_of("seats") is ENFORCE
    assert world.mode_of("nonsense") is ENFORCE
    assert world.mode_of("crm.nonsense") is ENFORCE


@pytest.mark.parametrize(
    ("key", "module"),
    [("crm", "crm"), ("crm.export", "crm"), ("seats", None), ("nonsense", None), ("crm.nonsense", None)],
)
def test_a_key_belongs_to_its_module(key, module):
    """A module belongs to itself, a feature of the whole account to none."""
    assert world_of().module_of(key) == module


def test_a_kill_switch_holds_for_its_key_and_for_the_features_of_a_module():
    """Killing a module kills what is in it; killing a feature leaves its module."""
    world = world_of(controls=Controls().with_killed("crm").with_killed("books.close"))
    killed = [world.is_killed(key) for key in ("crm", "crm.export", "books.close", "books", "seats", "nonsense")]
    assert killed == [True, True, True, False, False, False]
    assert not world_of().is_killed("crm")


def test_the_default_plan_is_the_newest_of_its_key():
    """Tenants without a subscription hold it; `none` leaves them nothing."""
    assert world_of().default_plan.key == "free"
    assert world_of({**SMALL, "default_plan": "none"}).default_plan is None


def test_a_plan_that_nobody_knows_gives_nothing_and_keeps_its_name():
    """Reading always works: an unknown version is an empty plan below all others."""
    lost = world_of().plan("pro", 9)
    assert (lost.key, lost.version, lost.rank, lost.modules, lost.features) == ("pro", 9, -1, (), {})
    assert world_of().plan("gone", None).version == 0
    assert world_of().plan("pro", None) is not None
    assert world_of().plan("pro", 1).modules == ("crm", "books", "old")


def test_worlds_do_not_compare_by_what_they_have_met():
    """Tables are a memo: two worlds of the same content are equal, whoever was asked about in them."""
    published = world_of().published
    one, other = (type(world_of()).of(published, Controls()) for _ in range(2))
    one.tables["met"] = "somebody"
    assert one == other
    assert one.catalog is published.catalog


def test_worlds_that_decide_alike_share_their_tables():
    """A kill switch of a flag decides for no tenant; whatever else is turned does."""
    before = world_of(controls=Controls(1))
    flag = world_of(controls=Controls(2, killed=frozenset({"new-look"})))
    after = flag.after(before)
    assert after.tables is before.tables
    assert after.controls == flag.controls
    assert before.after(after).tables is before.tables
    assert flag.after(None) is flag
    for other in (
        world_of(controls=Controls(2, killed=frozenset({"crm", "new-look"}))),
        world_of(controls=Controls(2, killed=frozenset({"crm.export"}))),
        world_of(controls=Controls(2, {"crm": OFF})),
        world_of({**SMALL, "timezone": "Asia/Kolkata"}),
        world_of().narrowed_by(["crm"]),
    ):
        assert other.after(before) is other
        assert before.after(other) is before
