"""What is sold: publishing, versions, and who stays on an old one."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from types import SimpleNamespace

import pytest

from payaid_entitlements.admin.tenants import first_of
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.values import Allowance
from payaid_entitlements.errors import CatalogInvalid, ConfigurationError, UnknownPlan
from tests.admin.conftest import SOLD, at, edited, facts
from tests.core.conftest import SMALL


def test_starting_publishes_into_an_empty_store_only(shop):
    """Another process with another catalog changes nothing that is sold; only `publish` does."""
    assert not shop.check("acme", "books").allowed
    other = shop.beside(catalog=Catalog.load(edited(free={"seats": 9})))
    assert other.worth("acme", "seats") == Allowance(1)
    assert [entry.verb for entry in shop.trail()] == ["publish"]


def test_publishing_into_an_empty_store_sells_every_plan(shop):
    """The first publication of a client that was opened without a catalog."""
    bare = shop.beside(catalog=None)
    change = bare.admin().publish(SMALL)
    assert (facts(change), change.revision, change.tenants) == ((True, "change.applied"), None, 0)
    assert [str(each) for each in change.altered] == [
        *(f"plan {key}: not sold -> version 1" for key in SMALL["plans"]),
        *(f"add-on {key}: not sold -> version 1" for key in SMALL["add_ons"]),
    ]
    assert bare.worth("acme", "seats") == Allowance(1)


def test_publishing_makes_a_version_of_what_changed_and_moves_nobody(shop, admin):
    """Holders keep theirs; whoever comes next gets the new one; other processes follow."""
    admin.subscribe("old", "pro")
    other = shop.beside()
    assert other.worth("old", "seats") == Allowance(5)
    change = admin.publish(Catalog.load(edited(pro={"seats": 3})))
    assert [str(each) for each in change.altered] == ["plan pro: version 1 -> version 2"]
    admin.subscribe("new", "pro")
    shop.clock.advance(seconds=5)
    for each in (shop, other):
        assert (each.worth("old", "seats"), each.worth("new", "seats")) == (Allowance(5), Allowance(3))
    assert shop.check("old", "seats").source == "plan pro@1"


def test_what_is_published_already_is_not_published_again(shop, admin):
    """Neither a version nor a line in the audit trail comes of it."""
    admin.subscribe("acme", "pro")
    assert facts(admin.publish(SOLD)) == (False, "change.unchanged")
    assert [entry.verb for entry in shop.trail()] == ["publish", "subscribe"]


def test_a_plan_that_is_not_sold_any_more_is_kept_by_its_holders(shop, admin):
    """Nobody can get it anew."""
    admin.subscribe("acme", "big")
    without = edited()
    del without["plans"]["big"]
    assert [str(each) for each in admin.publish(without).altered] == ["plan big: version 1 -> not sold"]
    assert shop.check("acme", "seats").plan == "big"
    with pytest.raises(UnknownPlan, match="no plan 'big'"):
        admin.subscribe("globex", "big")


def test_an_add_on_that_is_not_sold_any_more_is_kept_by_its_holders(shop, admin):
    """The change says so; nobody can get it anew, and whoever has it loses nothing."""
    admin.subscribe("acme", "pro", add_ons={"more_seats": 2})
    without = {**edited(), "add_ons": {"contacts": SMALL["add_ons"]["contacts"]}}
    assert [str(each) for each in admin.publish(without).altered] == ["add-on more_seats: version 1 -> not sold"]
    assert shop.worth("acme", "seats") == Allowance(15)
    admin.subscribe("globex", "pro")
    with pytest.raises(UnknownPlan, match="no add-on 'more_seats'"):
        admin.set_add_on("globex", "more_seats", 1)


def test_holders_of_an_add_on_keep_theirs_until_they_are_moved(shop, admin):
    """As those of a plan: the audit trail says which version, undoing gives it back, a rehearsal only counts."""
    more = SMALL["add_ons"]["more_seats"]
    admin.subscribe("acme", "pro", add_ons={"more_seats": 2})
    admin.publish({**edited(), "add_ons": {**SMALL["add_ons"], "more_seats": {**more, "increment": {"seats": 1}}}})
    admin.subscribe("globex", "pro", add_ons={"more_seats": 2})
    assert (shop.worth("acme", "seats"), shop.worth("globex", "seats")) == (Allowance(15), Allowance(7))
    assert shop.admin(dry_run=True).migrate_add_on("more_seats").tenants == 1
    assert shop.worth("acme", "seats") == Allowance(15)

    change = admin.migrate_add_on("more_seats")
    assert (facts(change), change.tenants) == ((True, "change.applied"), 1)
    assert [str(each) for each in change.altered] == [
        "holders of older versions of add-on more_seats: their own -> add-on more_seats@2"
    ]
    assert shop.worth("acme", "seats") == Allowance(7)
    entry = shop.trail()[-1]
    assert (entry.tenant, entry.verb) == ("acme", "migrate_add_on")
    assert [str(each) for each in entry.altered] == ["add on more seats: 2 (version 1) -> 2 (version 2)"]
    admin.undo(entry.id)
    assert shop.worth("acme", "seats") == Allowance(15)
    with pytest.raises(UnknownPlan, match="no add-on 'more_seat'"):
        admin.migrate_add_on("more_seat")
    with pytest.raises(UnknownPlan, match="no version 3"):
        admin.migrate_add_on("more_seats", to=3)


@pytest.mark.parametrize(("quantity", "seats"), [(2, 15), (0, 5)], ids=["more", "given back"])
def test_a_quantity_that_arrives_after_its_add_on_was_moved_counts(shop, admin, quantity, seats):
    """Moving holders says nothing of how many they hold; the version is that of when the quantity was said."""
    more = SMALL["add_ons"]["more_seats"]
    admin.subscribe("acme", "pro", add_ons={"more_seats": 1})
    shop.clock.advance(hours=2)
    admin.publish({**edited(), "add_ons": {**SMALL["add_ons"], "more_seats": {**more, "increment": {"seats": 1}}}})
    admin.migrate_add_on("more_seats")
    assert shop.worth("acme", "seats") == Allowance(6)
    late = admin.set_add_on("acme", "more_seats", quantity, operation="evt_1", as_of=at(1 / 24))
    assert facts(late) == (True, "change.applied")
    assert shop.worth("acme", "seats") == Allowance(seats)


def test_a_catalog_with_mistakes_is_not_published(shop, admin, tmp_path):
    """All problems are in the error, and what is sold stays; a file is taken as well."""
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(edited(pro={"seets": 3})))
    with pytest.raises(CatalogInvalid, match="did you mean 'seats'"):
        admin.publish(file)
    file.write_text(json.dumps(edited(free={"seats": 2})))
    admin.publish(file)
    assert shop.worth("acme", "seats") == Allowance(2)


def test_a_catalog_may_not_take_the_meaning_from_what_is_held(shop, admin):
    """A key that a version of a plan lists must stay, or be retired by name."""
    admin.subscribe("acme", "pro")
    without = edited()
    without["features"] = {}
    for plan in without["plans"].values():
        plan["features"].pop("seats", None)
    without["add_ons"] = {"contacts": without["add_ons"]["contacts"]}
    with pytest.raises(CatalogInvalid, match="'seats' is gone"):
        admin.publish(without)
    assert shop.worth("acme", "seats") == Allowance(5)


def test_holders_are_moved_together_with_publishing_where_that_is_said(shop, admin):
    """The named plans only, and scheduled changes too; each tenant has a line of its own in the audit trail."""
    admin.subscribe("held", "pro")
    admin.subscribe("later", "big")
    admin.change_plan("later", "pro", when=at(3))
    admin.subscribe("big", "big")
    change = admin.publish(edited(pro={"seats": 3}, big={"books.ledgers": 8}), migrate=["pro"])
    assert (facts(change), change.tenants) == ((True, "change.applied"), 2)
    assert shop.worth("held", "seats") == Allowance(3)
    assert shop.worth("big", "books.ledgers") == 9
    assert [(entry.tenant, entry.verb) for entry in shop.trail()[-2:]] == [("held", "migrate"), ("later", "migrate")]
    shop.clock.travel_to(at(3))
    assert shop.worth("later", "seats") == Allowance(3)


def test_publishing_again_goes_on_with_moving(shop, admin):
    """Interrupted after publishing, the same call moves those who are left."""
    admin.subscribe("acme", "pro")
    new = edited(pro={"seats": 3})
    admin.publish(new)
    change = admin.publish(new, migrate=["pro"])
    assert (change.reason.value, change.tenants) == ("change.unchanged", 1)
    assert shop.worth("acme", "seats") == Allowance(3)


def test_a_rehearsal_tells_who_would_move(shop, admin):
    """By the versions that would be there then; nothing is published and nobody moves."""
    for number in range(3):
        admin.subscribe(f"t{number}", "pro")
    new = edited(pro={"seats": 3})
    change = shop.admin(dry_run=True).publish(new, migrate=["pro"])
    assert (facts(change), change.tenants) == ((False, "change.dry_run"), 3)
    assert [str(each) for each in change.altered] == ["plan pro: version 1 -> version 2"]
    assert [entry.verb for entry in shop.trail()] == ["publish", *["subscribe"] * 3]
    admin.publish(new)
    again = shop.admin(dry_run=True).publish(new, migrate=["pro"])
    assert (facts(again), again.tenants) == ((False, "change.unchanged"), 3)
    assert shop.worth("t0", "seats") == Allowance(5)


def test_a_host_that_keeps_subscriptions_moves_nobody_and_publishes_nothing(shop):
    """That there is nobody to move is said before anything is written."""
    hosted = shop.beside(subscriptions=lambda tenant: None)
    with pytest.raises(ConfigurationError, match="your own table"):
        hosted.admin().publish(edited(pro={"seats": 3}), migrate=["pro"])
    with pytest.raises(ConfigurationError, match="your own table"):
        hosted.admin().migrate("pro")
    assert [entry.verb for entry in shop.trail()] == ["publish"]


def test_a_key_is_not_retired_before_its_day(shop, admin):
    """The day is that of the catalog's zone: where it is tomorrow already, tomorrow's is today's."""
    admin.subscribe("acme", "pro")
    gone = deepcopy(edited())
    del gone["modules"]["old"], gone["plans"]["pro"]["features"]["old.fax"]
    gone["plans"]["pro"]["modules"].remove("old")
    tomorrow = (shop.clock.now() + timedelta(days=1)).date()
    with pytest.raises(CatalogInvalid, match=r"publish\.retired_early"):
        admin.publish({**gone, "retired": {**gone["retired"], "old": str(tomorrow)}})
    shop.clock.advance(hours=20)
    east = {**gone, "timezone": "Pacific/Kiritimati", "retired": {**gone["retired"], "old": str(tomorrow)}}
    assert admin.publish(east).applied


def test_an_unknown_plan_to_migrate_stops_publishing(shop, admin):
    """Before anything is written."""
    admin.subscribe("acme", "pro")
    with pytest.raises(UnknownPlan, match="prr"):
        admin.publish(edited(pro={"seats": 3}), migrate=["prr"])
    assert [entry.verb for entry in shop.trail()] == ["publish", "subscribe"]


def test_holders_of_older_versions_move_when_they_are_told_to(shop, admin):
    """To the newest version or a named one; whoever holds it already is not touched; progress is told."""
    for number in range(3):
        admin.subscribe(f"t{number}", "pro")
    admin.publish(edited(pro={"seats": 4}))
    admin.subscribe("t3", "pro")
    admin.publish(edited(pro={"seats": 3}))
    told = []
    change = admin.migrate("pro", to=2, progress=lambda seen, moved: told.append((seen, moved)))
    assert (facts(change), change.tenants, told) == ((True, "change.applied"), 3, [(4, 3)])
    assert [str(each) for each in change.altered] == ["holders of older versions of pro: their own -> pro@2"]
    assert [shop.worth(f"t{number}", "seats") for number in range(4)] == [Allowance(4)] * 4
    assert admin.migrate("pro").tenants == 4
    assert [shop.worth(f"t{number}", "seats") for number in range(4)] == [Allowance(3)] * 4
    assert (facts(admin.migrate("pro")), admin.migrate("pro").altered) == ((False, "change.unchanged"), ())
    with pytest.raises(UnknownPlan):
        admin.migrate("pro", to=9)
    for version in ("2", 2.0, True):
        with pytest.raises(TypeError, match="whole number"):
            admin.migrate("pro", to=version)


def test_plans_to_migrate_are_several(admin):
    """The letters of one are not."""
    with pytest.raises(TypeError, match="as a list"):
        admin.publish(edited(pro={"seats": 3}), migrate="pro")


def test_many_holders_are_moved_page_by_page(shop, admin):
    """Nobody is left out at the seam of two pages."""
    for number in range(101):
        admin.subscribe(f"t{number:03}", "pro")
    admin.publish(edited(pro={"seats": 3}))
    told = []
    assert admin.migrate("pro", progress=lambda seen, moved: told.append((seen, moved))).tenants == 101
    assert told == [(100, 100), (101, 101)]
    assert shop.worth("t100", "seats") == Allowance(3)


def test_a_plan_is_previewed_before_it_is_moved_to(shop, admin):
    """A dry run counts those who would move and moves nobody."""
    admin.subscribe("acme", "pro")
    admin.publish(edited(pro={"seats": 3}))
    change = shop.admin(dry_run=True).migrate("pro")
    assert (facts(change), change.tenants) == ((False, "change.dry_run"), 1)
    assert shop.worth("acme", "seats") == Allowance(5)
    assert shop.check("acme", "seats").reason is Reason.PLAN_GRANTED


def test_another_act_of_the_same_operation_is_not_taken_for_it():
    """A store that is asked for one operation may know of it from something else."""
    other = SimpleNamespace(verb="cancel", detail={})
    flow = first_of("evt_1", "subscribe", {}, tenant="acme")
    next(flow)
    with pytest.raises(StopIteration) as done:
        flow.send([other])
    assert done.value.value is None
