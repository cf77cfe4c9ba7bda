"""For whom a mode holds that holds for a part of the tenants only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.controls import ENFORCE, EVERYWHERE, OBSERVE, OFF, Controls, Stage
from payaid_entitlements.core.evaluation import Evaluation, Situation
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.hashed import stage_bytes
from payaid_entitlements.core.flags.hashing import murmur3
from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.staging import Move, in_force, is_reached, moves, stored_mode
from payaid_entitlements.core.world import MOST_VARIANTS, Modes
from tests.core.conftest import NOW, world_of

TENANTS = [f"tenant-{number}" for number in range(2_000)]
FIVE = PARTS // 20


def halved(scope="crm", mode=ENFORCE, otherwise=OBSERVE, parts=PARTS // 2, at=1):
    """Controls with one stage."""
    return Controls(at).with_mode(scope, otherwise, Stage(mode, parts))


# Never change these: whoever was enforced would be no more, and others would be.
@pytest.mark.parametrize(
    ("scope", "tenant", "hashed"),
    [
        ("crm", "acme", 2667279567),
        ("crm", "tenant-7", 2746761071),
        ("books", "acme", 2901859443),
        (EVERYWHERE, "acme", 3343525032),
        ("crm", "Größe/7", 3450382720),
    ],
)
def test_where_a_tenant_stands_never_changes(scope, tenant, hashed):
    """Golden: the same in each release, on each machine."""
    assert murmur3(stage_bytes(scope, tenant)) == hashed
    first = (hashed * PARTS >> 32) + 1
    assert is_reached(scope, tenant, first)
    assert not is_reached(scope, tenant, first - 1)


@given(st.sampled_from(["crm", "§", EVERYWHERE]), st.integers(), st.integers(0, PARTS), st.integers(0, PARTS))
def test_who_is_in_stays_in(scope, number, one, other):
    """A growing share loses nobody; all are all, and none is none."""
    tenant = f"tenant {number}"
    fewer, more = sorted((one, other))
    assert is_reached(scope, tenant, fewer) <= is_reached(scope, tenant, more)
    assert is_reached(scope, tenant, PARTS)
    assert not is_reached(scope, tenant, 0)


def test_a_share_is_about_as_large_as_it_says_and_each_scope_begins_with_others():
    """Of 2,000 tenants 5 % are 100, within five standard deviations; those of another module are not the same."""
    first = {tenant for tenant in TENANTS if is_reached("crm", tenant, FIVE)}
    others = {tenant for tenant in TENANTS if is_reached("books", tenant, FIVE)}
    assert 51 <= len(first) <= 149
    assert len(first & others) < 25


def test_who_comes_under_another_mode_is_named():
    """In their order; lowering a share names exactly those who leave."""
    none, some, more = Controls(), halved(parts=FIVE), halved(parts=FIVE * 5)
    inside = [tenant for tenant in TENANTS if is_reached("crm", tenant, FIVE)]
    assert list(moves(TENANTS, "crm", some, some)) == []
    grown = [each.tenant for each in moves(TENANTS, "crm", some, more)]
    assert not set(grown) & set(inside)
    assert list(moves(TENANTS, "crm", more, some)) == [Move(tenant, ENFORCE, OBSERVE) for tenant in grown]
    assert next(moves(inside, "crm", none, some)) == Move(inside[0], None, ENFORCE)
    assert {each.now for each in moves(TENANTS, "crm", none, some)} == {ENFORCE, OBSERVE}


def test_a_module_with_a_mode_of_its_own_follows_no_stage_of_everywhere():
    """As with modes: the narrower scope wins."""
    controls = halved(EVERYWHERE, parts=PARTS).with_mode("crm", OFF)
    assert stored_mode(controls, EVERYWHERE, "acme") is ENFORCE
    assert in_force(controls, "crm", "acme") is OFF
    assert in_force(controls, "books", "acme") is ENFORCE


def test_a_tenants_world_has_its_modes_and_is_shared_by_all_whom_the_same_has_reached():
    """Where nothing is staged it is the world itself: no tenant costs anything."""
    plain = world_of(controls=Controls(1, {"crm": OBSERVE}))
    assert plain.for_tenant("acme") is plain
    world = world_of(controls=halved())
    inside, outside = (
        [tenant for tenant in TENANTS[:50] if is_reached("crm", tenant, PARTS // 2) is is_in] for is_in in (True, False)
    )
    worlds = {id(found): found for found in map(world.for_tenant, TENANTS[:50])}
    assert len(worlds) == 2
    assert world.for_tenant(inside[0]).mode_of("crm.export") is ENFORCE
    assert world.for_tenant(outside[0]).mode_of("crm.export") is OBSERVE
    assert world.for_tenant(inside[0]).mode_of("seats") is ENFORCE
    # From one that is another tenant's too.
    assert world.for_tenant(inside[0]).for_tenant(outside[0]) is world.for_tenant(outside[0])
    assert world.for_tenant(outside[0]).tables is not world.for_tenant(inside[0]).tables


def test_a_stage_everywhere_reaches_what_has_no_mode_of_its_own():
    """Features of the whole account too."""
    world = world_of(controls=halved(EVERYWHERE, parts=PARTS).with_mode("crm", OFF)).for_tenant("acme")
    assert (world.mode_of("crm"), world.mode_of("seats"), world.mode_of("nonsense")) == (OFF, ENFORCE, ENFORCE)
    assert world.staged_at("crm") is None


@pytest.mark.parametrize("modes", [Modes(environment={"crm": OFF}), Modes({"crm": OFF}, {EVERYWHERE: ENFORCE})])
def test_the_environment_goes_before_a_stage(modes):
    """As before any mode that is stored; the program does not."""
    world = world_of(controls=halved(), modes=modes)
    assert bool(world.staged) is ("crm" not in modes.environment)


def test_no_more_worlds_are_kept_than_there_may_be(monkeypatch):
    """Two of each stage, in all combinations, could be very many; whoever is near keeps the tables that it has."""
    monkeypatch.setattr("payaid_entitlements.core.world.MOST_VARIANTS", 1)
    world = world_of(controls=halved())
    found = {id(each): each for each in map(world.for_tenant, TENANTS[:20])}
    assert len(found) > 2
    assert len(world.variants) == 1
    assert MOST_VARIANTS == 256


def test_a_turned_stage_drops_what_was_worked_out_under_the_old_one():
    """While another switch of a flag keeps it."""
    before = world_of(controls=halved())
    same = world_of(controls=halved(at=7).with_killed("some-flag"))
    assert same.after(before).variants is before.variants
    grown = world_of(controls=halved(parts=FIVE))
    assert grown.after(before) is grown
    before.for_tenant("acme")
    assert before.narrowed_by(["crm"]).variants == {}


def test_what_a_tenant_holds_is_worked_out_under_its_mode():
    """Also in each step of the explanation, which names the stage."""
    world = world_of(controls=halved())
    inside = next(tenant for tenant in TENANTS if is_reached("crm", tenant, PARTS // 2))
    outside = next(tenant for tenant in TENANTS if not is_reached("crm", tenant, PARTS // 2))
    for tenant, is_allowed, has in ((inside, False, "has reached"), (outside, True, "has not reached")):
        (segment,) = resolve(TenantDocument(tenant), world, NOW, NOW)
        assert segment.standpoint.write["crm.export"].allowed is is_allowed
        steps = []
        Evaluation(world.for_tenant(tenant), Situation(()), "write", steps).decide("crm.export")
        said = f"mode enforce for 50% of tenants {has} this tenant"
        assert next(step.text for step in steps if step.rule == "enforcement") == said
