"""Nobody is dealt anew: not by a part of a group, not by removing and defining anew, and not in a lost race."""

from __future__ import annotations

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.core.flags import sizes
from payaid_entitlements.errors import CatalogInvalid, ChangeConflict, ConfigurationError, FlagsInvalid
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.testing.faults import FaultyStore
from tests.admin.conftest import Shop, edited, facts
from tests.admin.test_races import outrun

LOOK = {"rollout": "50%"}
PART = {"group": "checkout", "from": "0%", "to": "50%"}
OTHER = {"group": "other", "from": "0%", "to": "50%"}
NARROWER = {"group": "checkout", "from": "0%", "to": "40%"}


def sold(**flags):
    return {**edited(), "flags": flags}


@pytest.mark.parametrize("name", ["exclusion", "holdout"])
@pytest.mark.parametrize(("was", "is_"), [(None, PART), (PART, None), (PART, OTHER), (PART, NARROWER)])
def test_the_part_of_a_group_of_a_live_flag_stays(shop, admin, name, was, is_):
    """Whoever defines, imports or publishes; the message says the way out, which is one."""
    before, after = ({**LOOK, **({} if part is None else {name: part})} for part in (was, is_))
    admin.publish(sold(look=before))
    with pytest.raises(CatalogInvalid, match=f"the {name} of flag 'look' cannot change") as caught:
        admin.publish(sold(look=after))
    assert [each.code for each in caught.value.problems] == ["flag.dealt_anew"]
    for act in (
        lambda: admin.define_flag("look", after),
        lambda: shop.admin(dry_run=True).define_flag("look", after),
        lambda: admin.import_flags({"flags": {"look": after}}),
    ):
        with pytest.raises(ConfigurationError, match=f"the {name} of flag 'look' cannot .* remove it and define"):
            act()
    assert shop.memory.flags().revision == 0
    admin.rollout("look", 0)
    admin.remove_flag("look")
    assert facts(admin.define_flag("look", after)) == (True, "change.applied")


def test_where_nobody_is_in_the_part_of_a_group_may_change(admin):
    admin.publish(sold(look={"rollout": "0%"}))
    admin.publish(sold(look={"rollout": "0%", "exclusion": PART}))
    admin.set_flag("look", "off")
    assert facts(admin.define_flag("look", {**LOOK, "holdout": PART})) == (True, "change.applied")


@pytest.mark.parametrize("edit", [{"salt": "new"}, {"bucket_by": "user"}, {"exclusion": PART}])
def test_a_live_flag_that_was_removed_comes_back_as_it_was_dealt(shop, admin, edit):
    """By a definition, a file, an undoing of its definition, and by a catalog that has it anew."""
    admin.define_flag("look", LOOK)
    removed = admin.remove_flag("look")
    for act in (
        lambda: admin.define_flag("look", {**LOOK, **edit}),
        lambda: admin.import_flags({"flags": {"look": {**LOOK, **edit}}}),
    ):
        with pytest.raises(ConfigurationError, match="for it was live when it was removed"):
            act()
    admin.undo(removed.id)
    assert shop.memory.flags().removed == {}
    admin.remove_flag("look")
    assert shop.beside().memory.flags().removed.keys() == {"look"}
    again = admin.define_flag("look", {"rollout": "10%"})
    admin.undo(again.id)
    assert shop.memory.flags().removed.keys() == {"look"}
    with pytest.raises(ConfigurationError, match="for it was live when it was removed"):
        admin.define_flag("look", {**LOOK, **edit})


@pytest.mark.parametrize("edit", [{"salt": "new"}, {"bucket_by": "user"}, {"exclusion": PART}])
def test_a_live_flag_that_a_catalog_dropped_comes_back_as_it_was_dealt(shop, admin, edit):
    """By another catalog, a definition or a file, however many catalogs were published since; in a new process too."""
    admin.publish(sold(look=LOOK))
    admin.publish(sold())
    admin.publish(sold(other={}))
    with pytest.raises(CatalogInvalid, match="for it was live when it was removed"):
        admin.publish(sold(look={**LOOK, **edit}))
    for act in (
        lambda: admin.define_flag("look", {**LOOK, **edit}),
        lambda: shop.beside().admin().import_flags({"flags": {"look": {**LOOK, **edit}}}),
    ):
        with pytest.raises(ConfigurationError, match="for it was live when it was removed"):
            act()
    admin.publish(sold(look={"rollout": "10%"}))
    assert shop.memory.catalog().dropped == {}
    admin.publish(sold(look={"rollout": "0%"}))
    admin.publish(sold())
    admin.publish(sold(look={**LOOK, **edit}))


def test_of_a_flag_that_was_defined_since_the_flag_set_remembers(shop, admin):
    """Once it is off for everybody it is removed and defined anew, whatever a catalog had long ago."""
    admin.publish(sold(look=LOOK))
    admin.publish(sold())
    admin.define_flag("look", LOOK)
    admin.rollout("look", 0)
    admin.remove_flag("look")
    admin.define_flag("look", {**LOOK, "salt": "new"})
    admin.publish(sold(look=LOOK))
    admin.publish(sold(other={}))
    assert shop.memory.catalog().dropped == {}


def test_undoing_a_definition_removes_too(admin, shop):
    """Then the catalog could have the key, and another salt."""
    admin.undo(admin.define_flag("look", LOOK).id)
    assert shop.memory.flags().flags == {}
    with pytest.raises(CatalogInvalid, match="for it was live when it was removed"):
        admin.publish(sold(look={**LOOK, "salt": "new"}))
    admin.publish(sold(look=LOOK))


def test_what_keeps_a_feature_from_somebody_is_not_removed_by_mistake(shop, admin):
    """Nothing would keep it any more. It is said what opens, by whatever change."""
    change = admin.define_flag("look", {"rollout": "5%", "narrows": ["crm"]})
    assert (change.gains, change.losses) == ((), ("crm",))
    with pytest.raises(ConfigurationError, match=r"flag 'look' keeps 'crm' from those .* force=True"):
        admin.remove_flag("look")
    assert admin.rollout("look", 50).gains == ()
    assert admin.set_flag("look", "on").gains == ("crm",)
    admin.kill("look")
    with pytest.raises(ConfigurationError, match="keeps 'crm'"):
        admin.remove_flag("look")
    admin.restore("look")
    assert facts(admin.remove_flag("look")) == (True, "change.applied")
    admin.define_flag("more", {"rollout": "5%", "narrows": ["crm"]})
    admin.define_flag("most", {"rollout": "5%", "narrows": ["crm"]})
    assert admin.remove_flag("more").gains == ()
    told = shop.admin(dry_run=True).remove_flag("most", force=True)
    assert (told.gains, told.applied) == (("crm",), False)
    change = admin.remove_flag("most", force=True, operation="a")
    assert (change.gains, facts(change)) == (("crm",), (True, "change.applied"))
    assert facts(admin.remove_flag("most", force=True, operation="a")) == (False, "change.repeated")


@pytest.mark.parametrize("flag", [{"enabled": False, "serve": "on"}, {"serve": "on", "needs": {"base": "on"}}])
def test_what_is_not_on_for_everybody_is_not_on(admin, flag):
    admin.define_flag("base", {"rollout": "5%"})
    assert admin.define_flag("look", {**flag, "narrows": ["crm"]}).losses == ("crm",)


@pytest.fixture(params=["sync", "async", "sqlite"])
def rivals(request, tmp_path):
    """Two who change things at once: a shop, whose writes can be waited for, and somebody in another process."""
    if request.param != "sqlite":
        first = Shop(request.param)
        yield first, first.rival()
        first.close()
        return
    url = f"sqlite:///{tmp_path}/payaid.db"
    store = FaultyStore(open_store(url))
    first = Shop("sync", store=store)
    first.faults = store.faults
    with Entitlements.open(url, catalog=sold(), clock=first.clock) as other:
        yield first, other.admin("ravi", because="a race")
        first.close()


def test_a_catalog_with_another_salt_does_not_meet_a_flag_that_is_left_to_it(rivals):
    """It was changed, so that the catalog's word did not count; somebody takes that back while it is published."""
    shop, rival = rivals
    admin = shop.admin()
    admin.publish(sold(look=LOOK))
    grown = admin.rollout("look", 60)
    outrun(shop, 1, lambda _: rival.undo(grown.id))
    with pytest.raises(ChangeConflict, match=r"by somebody else in the same moment.*the salt of flag 'look'"):
        admin.publish(sold(look={**LOOK, "salt": "new"}))
    shop.faults.before = None
    assert [entry.verb for entry in shop.trail()][-1] == "undo"
    assert [str(each) for each in admin.rollout("look", 55).altered] == ["look rollout: 50% -> 55%"]


def test_a_flag_is_not_left_to_a_catalog_that_deals_it_anew(rivals):
    shop, rival = rivals
    admin = shop.admin()
    admin.publish(sold(look=LOOK))
    grown = admin.rollout("look", 60)
    outrun(shop, 1, lambda _: rival.publish(sold(look={**LOOK, "salt": "new"})))
    with pytest.raises(ChangeConflict, match="flag look was changed by somebody else in the same moment"):
        admin.undo(grown.id)
    shop.faults.before = None
    with pytest.raises(ConfigurationError, match="the salt of flag 'look' cannot change"):
        admin.undo(grown.id)


def test_a_definition_does_not_meet_a_catalog_that_has_the_flag_since(rivals):
    shop, rival = rivals
    admin = shop.admin()
    admin.publish(sold(other={}))
    outrun(shop, 1, lambda _: rival.publish(sold(look=LOOK, other={})))
    with pytest.raises(ChangeConflict, match="flag look was changed by somebody else in the same moment"):
        admin.define_flag("look", {**LOOK, "salt": "mine"})
    outrun(shop, 1, lambda _: rival.publish({**sold(look=LOOK, other={}), "segments": {"near": {"country": "IN"}}}))
    with pytest.raises(ChangeConflict, match="segment near was changed by somebody else in the same moment"):
        admin.define_segment("near", {"country": "NP"})


def test_who_changes_other_flags_is_not_in_the_way(rivals):
    """Both are written, and neither is lost."""
    shop, rival = rivals
    admin = shop.admin()
    admin.publish(sold(look=LOOK))
    outrun(shop, 1, lambda _: rival.define_flag("other", LOOK))
    assert facts(admin.publish(sold(look={"rollout": "60%"}))) == (True, "change.applied")
    outrun(shop, 1, lambda _: rival.publish(sold(look={"rollout": "70%"})))
    assert facts(admin.define_flag("third", LOOK)) == (True, "change.applied")
    assert facts(admin.rollout("look", 80)) == (True, "change.applied")


def test_a_catalog_says_what_it_opens_and_closes_by_flags(shop, admin):
    look = {"rollout": "5%", "narrows": ["crm"]}
    assert (admin.publish(sold(look=look)).gains, admin.publish(sold(look={"serve": "on", **look})).losses) == ((), ())
    change = admin.publish(sold())
    assert (change.gains, change.losses) == (("crm",), ())
    assert admin.publish(sold(look=look)).losses == ("crm",)


def test_a_catalog_that_drops_a_killed_flag_says_what_that_opens(shop, admin):
    """The kill kept it from everybody, though the flag was on for all; without a flag there is nothing to kill."""
    admin.publish(sold(look={"serve": "on", "narrows": ["crm"]}))
    admin.kill("look")
    assert shop.admin(dry_run=True).publish(sold()).gains == ("crm",)
    assert admin.publish(sold()).gains == ("crm",)


def test_a_flag_is_defined_within_a_bound_and_turned_beyond_it(shop, admin, monkeypatch):
    """Wherever it is defined: also in a catalog that an empty store is opened with."""
    large = {"rollout": "5%", "metadata": {"note": "x" * 300_000}}
    for act in (
        lambda: admin.define_flag("look", large),
        lambda: admin.import_flags({"flags": {"look": large}}),
        lambda: admin.define_segment("near", {"country": ["x" * 300_000]}),
    ):
        with pytest.raises(FlagsInvalid, match="bytes of JSON; one may have 262,144"):
            act()
    with pytest.raises(CatalogInvalid, match=r"<catalog>: flag 'look' has 300,\d+ bytes of JSON"):
        admin.publish(sold(look=large))
    with (
        Entitlements.open("memory://", catalog=sold(look=large)) as ent,
        pytest.raises(CatalogInvalid, match="flag 'look' has"),
    ):
        ent.tenant("acme")
    admin.define_flag("look", {"rollout": "5%"})
    monkeypatch.setattr(sizes, "MOST_SET", 10)
    assert facts(admin.rollout("look", 50)) == (True, "change.applied")
    with pytest.raises(FlagsInvalid, match="together; at most 10 are stored"):
        admin.define_flag("other", {})
