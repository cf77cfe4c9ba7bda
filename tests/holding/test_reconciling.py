"""Slots and rows that have drifted apart: reported, then repaired."""

from __future__ import annotations

import pytest

from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from tests.entitlements.conftest import Told

SEATS = ("acme", "seats")


@pytest.fixture
def drifted(stage, ent):
    """Two of three who hold a seat are there, and one who is there holds none."""
    for number in (1, 2, 3):
        ent.assign(*SEATS, f"member:{number}")
    return ["member:1", "member:2", "member:4"]


def admin(ent, **named) -> Told:
    return Told(ent.inner.admin("asha", because="rows were deleted by SQL", **named), ent.run)


def holders(ent) -> list[str]:
    return sorted(each.holder for each in ent.assignments(*SEATS))


def test_a_dry_run_reports_and_changes_nothing(stage, ent, drifted):
    """Who would get one, and whose would be freed."""
    found = admin(ent, dry_run=True).reconcile(*SEATS, drifted)
    assert (found.feature, found.assigned, found.freed, found.applied) == ("seats", ("member:4",), ("member:3",), False)
    assert holders(ent) == ["member:1", "member:2", "member:3"]


def test_it_is_repaired_and_in_the_audit_trail(stage, ent, drifted):
    """Once; where nothing has drifted nothing is written."""
    found = admin(ent).reconcile(*SEATS, drifted)
    assert (found.assigned, found.freed, found.applied) == (("member:4",), ("member:3",), True)
    assert holders(ent) == ["member:1", "member:2", "member:4"]
    assert admin(ent).reconcile(*SEATS, drifted).applied is False
    trail = [each for each in stage.elsewhere.audit("acme") if each.verb == "reconcile"]
    assert [(each.actor, each.because, each.detail["freed"]) for each in trail] == [
        ("asha", "rows were deleted by SQL", ["member:3"])
    ]


def test_who_is_there_gets_a_slot_also_beyond_what_is_sold(stage, ent, drifted):
    """They are there: it is said, and no new one is given."""
    admin(ent).reconcile(*SEATS, [f"member:{number}" for number in range(5)])
    usage = ent.usage(*SEATS)["seats"]
    assert (usage.used, usage.overage) == (5, 2)


def test_slots_that_were_given_after_the_rows_were_read_stay(stage, ent, drifted):
    """Their rows are not in what was read."""
    read_at = stage.clock_now()
    stage.clock.advance(seconds=1)
    ent.unassign(*SEATS, "member:1")
    ent.assign(*SEATS, "member:9")
    found = admin(ent).reconcile(*SEATS, ["member:2"], as_of=read_at)
    assert (found.freed, holders(ent)) == (("member:3",), ["member:2", "member:9"])


def test_mistakes_are_found_before_anything_is_freed(stage, ent, drifted):
    """One name instead of many would free all."""
    for wrong in ("member:1", ["member:1", None], ["None"]):
        with pytest.raises(TypeError):
            admin(ent).reconcile(*SEATS, wrong)
    with pytest.raises(TypeError):
        admin(ent).reconcile("acme", "crm.pages", [])
    with pytest.raises(TypeError):
        admin(ent).reconcile("None", "seats", [])
    with pytest.raises(ConfigurationError):
        admin(ent).reconcile("acme", "crm.contacts", [])
    stage.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        admin(ent).reconcile(*SEATS, drifted)
    stage.faults.is_down = False
    assert holders(ent) == ["member:1", "member:2", "member:3"]
