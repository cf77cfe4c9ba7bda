"""A stored flag set that cannot be read, in part or at all: what still works, and how it is repaired."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import structlog

from payaid_entitlements.admin.rollouts import conduct
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.flags.flag_set import from_json, to_json
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.errors import ConfigurationError, StoreDamaged, UnknownFeature, UnknownFlag
from tests.admin.conftest import edited, facts

SOLD = {
    **edited(),
    "flags": {"look": {"narrows": ["crm.export"], "rollout": "100%"}, "near": {}},
    "segments": {"staff": {"user": "ann"}},
}


@pytest.fixture
def sold(shop, admin):
    """Three flags and a segment that were changed, and a tenant who has all that is sold."""
    admin.publish(SOLD)
    admin.subscribe("acme", "big")
    flags = {
        "colour": {"variants": ["red", "blue"], "default": "red", "rollout": "10%", "serve": "blue"},
        "inside": {"rules": [{"when": {"segment": "staff"}}]},
    }
    admin.import_flags({"flags": flags, "segments": {"staff": {"user": ["ann", "ben"]}}})
    admin.set_flag("look", "on")
    return shop


def damage(shop, change):
    """Change what is stored as somebody would by hand, or a newer release."""
    held = shop.memory._content.flags
    data = json.loads(to_json(held))
    change(data)
    shop.memory._content.flags = from_json(json.dumps(data), held.revision)


def destroy(shop):
    shop.memory._content.flags = from_json("not JSON", shop.memory._content.flags.revision)


def unknown_field(data):
    data["flags"]["look"]["colour"] = "red"


def held(shop):
    return shop.memory.flags()


def test_a_fresh_process_refuses_what_a_broken_flag_narrows_and_answers_the_rest(sold):
    """Closed, since nobody knows for whom it was on."""
    damage(sold, unknown_field)
    with structlog.testing.capture_logs() as logs:
        fresh = sold.beside()
        view = fresh.view("acme")
        for _ in range(2):
            decision = fresh.check("acme", "crm.export")
    assert (decision.allowed, decision.reason, decision.source) == (False, Reason.FLAG_ROLLOUT_EXCLUDED, "flag look")
    assert view.check("crm").allowed
    assert view.flag("look", True) is True
    assert view.flag_details("look").message.endswith("colour: damaged, or of a newer release")
    assert view.flag_details("colour").variant in ("red", "blue")
    said = [log for log in logs if log["event"] == "flag.broken"]
    assert [(log["flag"], log["way_out"]) for log in said] == [("look", "define it anew")]
    health = fresh.run(fresh.ent.health())
    assert health.ok
    assert [each.promise for each in health.concerns if "flag" in each.promise] == ["flag 'look' has an answer"]


def test_kill_switches_turn_without_the_flag_set(sold, admin):
    """At three in the morning: also of flags that only the set knew."""
    other = sold.beside()
    assert other.check("acme", "crm").allowed
    destroy(sold)
    fresh = sold.beside()
    for shop in (other, fresh):
        for key in ("crm", "crm.export", "look", "colour", "anything"):
            assert facts(shop.admin().kill(key)) == (True, "change.applied")
            assert facts(shop.admin().restore(key)) == (True, "change.applied")
    fresh.admin().kill("crm")
    assert fresh.check("acme", "crm").reason is Reason.ENFORCEMENT_KILLED
    assert sold.beside().check("acme", "crm").reason is Reason.ENFORCEMENT_KILLED


def test_a_kill_switch_of_a_flag_that_is_known_reads_no_flag_set(sold, admin, monkeypatch):
    """What is known here is enough to tell a typo; for any other key the set is asked."""
    sold.view("acme")
    damage(sold, unknown_field)
    assert facts(admin.kill("colour")) == (True, "change.applied")
    assert facts(admin.kill("look")) == (True, "change.applied")
    with pytest.raises(UnknownFeature, match="did you mean 'colour'"):
        admin.kill("color")
    other = sold.beside()
    other.admin().define_flag("late", {})
    assert facts(admin.kill("late")) == (True, "change.applied")


def test_where_none_of_it_can_be_read_a_process_goes_on_with_what_it_knew(sold):
    """And one that has just begun has the catalog's word; kill switches count for both."""
    knew = sold.beside()
    knew.admin().set_flag("look", "off")
    assert not knew.check("acme", "crm.export").allowed
    destroy(sold)
    with structlog.testing.capture_logs() as logs:
        sold.rival().kill("near")
        sold.clock.advance(seconds=5)
        assert not knew.check("acme", "crm.export").allowed
        fresh = sold.beside()
        assert fresh.check("acme", "crm.export").allowed, "the catalog says 100 %"
        assert set(fresh.view("acme")._flags.flags) == {"look", "near"}
    said = {log["meaning"] for log in logs if log["event"] == "flags.damaged"}
    assert said == {"flags stay as they were here", "flags are as the catalog says"}
    for shop in (knew, fresh):
        assert shop.view("acme")._flags.killed == {"near"}
        health = shop.run(shop.ent.health())
        assert health.ok
        [concern] = [each for each in health.concerns if each.promise.startswith("flags are")]
        assert "it reads 'not JSON'" in concern.found
        assert "--replace" in concern.way_out


def test_a_set_that_cannot_be_read_is_not_changed(sold):
    """It would be taken for an empty one, and all that is in it lost."""
    destroy(sold)
    desk = sold.beside().admin()
    for change in (
        lambda: desk.rollout("look", 10),
        lambda: desk.set_flag("look", None),
        lambda: desk.define_flag("look", {}),
        lambda: desk.remove_flag("look"),
        lambda: desk.define_segment("staff", {"user": "ann"}),
        lambda: desk.import_flags({"flags": {"look": {}}}),
        desk.step_rollouts,
        lambda: desk.forecast("look", 10),
    ):
        with pytest.raises(StoreDamaged, match=r"it reads 'not JSON'.*payaid flag import FILE --replace"):
            change()
    assert held(sold).damage.text == "not JSON"


def test_rollouts_stand_still_meanwhile(sold):
    """By itself nothing goes on, and no request fails for that."""
    destroy(sold)
    fresh = sold.beside().ent
    assert sold.run(fresh._driver.run(conduct(fresh._setting, frozenset({"look"})))) == []


def test_it_is_replaced_by_a_file(sold, admin):
    """Then what the file says counts, and the catalog for the rest."""
    destroy(sold)
    was = held(sold).revision
    dry = sold.admin(dry_run=True).import_flags({"flags": {}}, replace=True)
    assert [str(line) for line in dry.altered] == ["the flag set: unreadable -> readable"]
    file = {"flags": {"look": {"narrows": ["crm.export"]}}, "segments": {"own": {"user": "ann"}}}
    change = admin.import_flags(file, replace=True, operation="repair")
    assert [line.what for line in change.altered] == ["look rule rollout", "the flag set", "segment own"]
    assert held(sold).revision == was + 1
    assert (set(held(sold).flags), set(held(sold).segments)) == ({"look"}, {"own"})
    assert held(sold).damage is None
    assert facts(admin.import_flags(file, replace=True, operation="repair")) == (False, "change.repeated")
    assert not sold.beside().check("acme", "crm.export").allowed
    admin.rollout("look", 100)
    assert sold.check("acme", "crm.export").allowed


def test_replacing_a_set_that_can_be_read_gives_up_what_the_file_does_not_name(sold, admin):
    """Where the rollout of a flag stands stays, where the file has that rollout too."""
    guarded = {"rollout": {"steps": ["5%", "50%"], "hold": "1 hour", "samples": 10}}
    admin.define_flag("grown", guarded)
    admin.define_flag("gone", guarded)
    sold.clock.advance(seconds=1)
    admin.step_rollouts()
    assert set(held(sold).progress) == {"grown", "gone"}
    stood = held(sold).progress["grown"]
    # What is in the file as the catalog has it stays the catalog's.
    same = {"flags": {"grown": guarded, "near": {}}, "segments": {"staff": {"user": "ann"}}}
    admin.import_flags(same, replace=True)
    assert (set(held(sold).flags), held(sold).segments) == ({"grown"}, {})
    assert held(sold).progress == {"grown": stood}


@pytest.mark.parametrize(
    "repair",
    [
        lambda admin: admin.define_flag("look", {"narrows": ["crm.export"], "rollout": "100%"}),
        lambda admin: admin.set_flag("look", "on"),
        lambda admin: admin.import_flags({"flags": {"look": {"narrows": ["crm.export"], "rollout": "100%"}}}),
        lambda admin: admin.remove_flag("look", force=True),
    ],
)
def test_a_broken_flag_is_repaired_by_saying_what_it_is(sold, repair):
    """Nothing else of the set is touched."""
    damage(sold, unknown_field)
    before = held(sold)
    fresh = sold.beside()
    change = repair(fresh.admin())
    assert facts(change) == (True, "change.applied")
    assert held(sold).unread == {}
    assert {**held(sold).flags, "look": None} == {**before.flags, "look": None}
    assert sold.beside().check("acme", "crm.export").allowed
    with pytest.raises(ConfigurationError, match="flag 'look' could not be read before that change, so there is nothi"):
        fresh.admin().undo(change.id)


def test_what_could_be_read_of_it_is_kept_when_everybody_gets_one_variant(sold, admin):
    """Its rules too."""
    damage(sold, lambda data: data["flags"]["colour"].update(animal="cat", bucket_by=7))
    with pytest.raises(ConfigurationError, match=r"cannot be read as it is stored: .*payaid flag set colour VARIANT"):
        admin.rollout("colour", 20)
    with pytest.raises(ConfigurationError, match="cannot be read as it is stored"):
        admin.set_flag("colour", None)
    admin.set_flag("colour", "blue")
    flag = held(sold).flags["colour"]
    assert [rule.id for rule in flag.rules] == ["set", "rollout"]
    assert (flag.bucket_by, set(flag.variants), flag.broken) == ("tenant", {"red", "blue"}, "")


def test_other_changes_write_it_back_as_it_was(sold, admin):
    """Somebody with the newer release will read it."""
    damage(sold, unknown_field)
    unread = held(sold).unread
    admin.rollout("colour", 20)
    admin.define_flag("more", {})
    assert held(sold).unread == unread
    data = json.loads(to_json(held(sold)))
    assert data["flags"]["look"]["colour"] == "red"


def test_the_last_change_of_a_broken_flag_can_be_undone(sold, admin):
    """The audit trail has what it was before."""
    last = admin.set_flag("look", None)
    damage(sold, unknown_field)
    admin.undo(last.id)
    assert held(sold).unread == {}
    assert [rule.id for rule in held(sold).flags["look"].rules] == ["set", "rollout"]


def test_a_newer_release_can_undo_what_this_one_could_not_read(sold, admin):
    """What stood there is in the trail as it was."""
    damage(sold, unknown_field)
    change = admin.set_flag("look", "off")
    entry = next(each for each in sold.trail() if each.id == change.id)
    text = entry.detail["was"]["flag"]["look"]["unread"]
    entry.detail["was"]["flag"]["look"]["unread"] = text.replace('"colour": "red", ', "").replace(
        ', "colour": "red"', ""
    )
    admin.undo(change.id)
    assert [rule.id for rule in held(sold).flags["look"].rules] == ["set", "rollout"]


def test_a_segment_is_repaired_by_defining_it_or_removed(sold, admin):
    """Meanwhile flags that name it have no answer; the catalog's does not come back by itself."""
    damage(sold, lambda data: data["segments"].update(staff={"xor": []}))
    with structlog.testing.capture_logs() as logs:
        fresh = sold.beside()
        details = fresh.view("acme").flag_details("inside")
    assert details.error is not None
    assert [log["segment"] for log in logs if log["event"] == "segment.broken"] == ["staff"]
    spoilt = held(sold)
    change = fresh.admin().define_segment("staff", {"user": "ann"})
    assert [line.before for line in change.altered] == ["unreadable"]
    assert held(sold).unread == {}
    with pytest.raises(ConfigurationError, match="segment 'staff' could not be read before"):
        fresh.admin().undo(change.id)
    sold.memory._content.flags = replace(spoilt, revision=held(sold).revision)
    change = sold.beside().admin().remove_segment("staff")
    assert [str(line) for line in change.altered] == ["segment staff: unreadable -> none"]
    assert (held(sold).unread, held(sold).segments) == ({}, {})


def test_a_rollout_of_which_it_is_not_known_where_it_stands_is_begun_anew(sold, admin):
    """Once somebody has said so."""
    guarded = {"rollout": {"steps": ["5%", "50%"], "hold": "1 hour", "samples": 10}}
    admin.define_flag("grown", guarded)
    sold.clock.advance(seconds=1)
    admin.step_rollouts()
    damage(sold, lambda data: data["progress"]["grown"].update(stage="walking"))
    fresh = sold.beside()
    assert fresh.view("acme").flag("grown") is False
    assert fresh.admin().step_rollouts() == []
    with pytest.raises(ConfigurationError, match="where its rollout stands cannot be read"):
        fresh.admin().rollout("grown", 10)
    change = fresh.admin().define_flag("grown", guarded)
    assert facts(change) == (True, "change.applied")
    assert (held(sold).unread, held(sold).progress) == ({}, {})
    with pytest.raises(ConfigurationError, match="where the rollout of flag 'grown' stood could not be read before"):
        fresh.admin().undo(change.id)


def test_a_flag_that_is_broken_does_not_count_as_the_catalogs(sold, admin):
    """Publishing says that its word of it does not count."""
    damage(sold, unknown_field)
    damage(sold, lambda data: data["segments"].update(staff={"xor": []}))
    look = {"narrows": ["crm.export"], "rollout": "5%", "salt": "other"}
    change = admin.publish({**SOLD, "flags": {"look": look, "near": {}}, "segments": {"staff": {"user": "zoe"}}})
    said = " ".join(str(line) for line in change.altered)
    assert "flag look" in said
    assert "segment staff" in said
    assert effective({}, held(sold))["look"].broken
    with pytest.raises(UnknownFlag):
        admin.remove_flag("lok")


def test_what_is_remembered_of_a_flag_that_was_removed_may_be_unreadable_too(sold, admin):
    """Who defines it anew is not held to it; whoever would go back to it is told."""
    admin.remove_flag("colour", force=True)
    damage(sold, lambda data: data["removed"]["colour"].update(animal="cat"))
    assert list(held(sold).unread) == [("removed", "colour")]
    change = sold.beside().admin().define_flag("colour", {"salt": "other"})
    assert facts(change) == (True, "change.applied")
    assert (held(sold).unread, held(sold).removed) == ({}, {})
    with pytest.raises(ConfigurationError, match="how flag 'colour' was when it was removed could not be read before"):
        admin.undo(change.id)
