"""Flags on views: near, cold, in an outage, in both colours; a change of them is seen and drops nobody."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest
from structlog.testing import capture_logs

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.flags.details import FlagError, FlagReason
from payaid_entitlements.core.flags.model import Flag, FlagType
from payaid_entitlements.errors import ConfigurationError, UnknownFlag, ViewExpired
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.ports import Write
from payaid_entitlements.stores.sql import SQLStore
from tests.entitlements.conftest import CATALOG, Stage
from tests.entitlements.flagging import flag, kill, percent, put, where

USERS = [f"user-{number}" for number in range(200)]


def text_flag():
    return Flag("colour", FlagType.STRING, {"r": "red", "g": "green"}, "g", "r")


# -- asking ----------------------------------------------------------------------------------------------------------


def test_a_view_answers_a_flag_from_what_is_near(stage, ent):
    """The first question reads it with the world; the next one asks nobody."""
    put(stage, flag("new", default="on"))
    assert ent.tenant("acme").flag("new") is True
    stage.faults.calls.clear()
    assert ent.tenant("acme").flag("new") is True
    assert stage.faults.calls == []


def test_a_percentage_is_of_users_where_the_flag_says_so(stage, ent):
    """By the user of the view, by one that is named, and by one that a view was made for: the same."""
    put(stage, flag("new", percent(50_000), bucket_by="user"))
    view = ent.tenant("acme")
    named = [view.flag("new", user=user) for user in USERS]
    assert 60 < sum(named) < 140
    assert [view.for_user(user).flag("new") for user in USERS] == named
    assert [ent.tenant("acme", user=user).flag("new") for user in USERS[:5]] == named[:5]
    bound = view.for_user(USERS[0])
    assert [bound.flag("new", user=user) for user in USERS] == named


def test_to_name_a_user_says_the_same_however_it_is_asked(stage, ent):
    """A plain percentage needs no context; killed, or with more to it than the percentage, it is asked with one."""
    new = flag("new", percent(50_000), bucket_by="user")
    more = flag("more", percent(50_000), bucket_by="user", salt="new", fallback="tenant")
    put(stage, new, more)
    view = ent.tenant("acme", user="somebody")
    assert view._flags.of_user.keys() == {"new"}
    for key in ("new", "more"):
        named = [view.flag(key, user=user) for user in USERS]
        assert set(named) == {True, False}
        assert [view.flag_details(key, user=user).value for user in USERS] == named
        assert [view.flag(key, user=user, attributes={}) for user in USERS] == named
        # Who is named again finds the context of the last time.
        assert [view.flag(key, user=user) for user in USERS for _ in range(2)] == [
            said for said in named for _ in range(2)
        ]
        for nobody in ("", " ", "None", "null", "x" * 256, 7, b"ann"):
            with pytest.raises(TypeError):
                view.flag(key, user=nobody)
    kill(stage, "new")
    killed = ent.tenant("acme", fresh=True)
    assert not killed._flags.of_user
    assert not any(killed.flag("new", user=user) for user in USERS)


def test_who_is_nobody_is_not_in_a_percentage_of_users(stage, ent):
    """Where no user was named there is nobody to hash."""
    put(stage, flag("new", percent(100_000), bucket_by="user"))
    view = ent.tenant("acme")
    assert view.flag("new") is False
    assert view.flag("new", user="mia") is True
    with pytest.raises(TypeError, match="identifies nobody"):
        view.flag("new", user="undefined")
    with pytest.raises(TypeError, match="identifies nobody"):
        view.flag("new", user="")


def test_rules_look_at_what_the_library_knows(stage, ent):
    """Plan, state, modules, tenant and user need not be handed over."""
    put(
        stage,
        flag("plan", where("plan", "eq", "pro")),
        flag("state", where("state", "eq", "active")),
        flag("modules", where("modules", "contains", "crm")),
        flag("tenant", where("tenant", "eq", "acme")),
        flag("user", where("user", "eq", "mia")),
    )
    view = ent.tenant("acme")
    assert [view.flag(key) for key in ("plan", "state", "modules", "tenant")] == [True] * 4
    assert not view.flag("user")
    assert view.flag("user", user="mia")
    assert view.for_user("mia").flag("user")
    assert not ent.tenant("zenith").flag("plan")


def test_attributes_are_of_the_question_over_those_of_the_view(stage, ent):
    """Told once for a request, or at each question."""
    put(stage, flag("there", where("country", "eq", "IN")), flag("big", where("size", "gt", 5)))
    view = ent.tenant("acme", attributes={"country": "IN", "size": 1})
    assert view.flag("there")
    assert not view.flag("big")
    assert view.flag("big", attributes={"size": 9})
    assert view.flag("there", attributes={"size": 9})
    assert not view.flag("there", attributes={"country": "DE"})
    assert view.for_user("mia").flag("there")
    assert not view.for_user("mia", {}).flag("there")
    assert view.flag("there", user="mia")
    # Also where the store was not asked, and where it was for a user.
    assert ent.tenant("acme", attributes={"country": "IN"}).flag("there")
    assert ent.tenant("acme", user="mia", attributes={"country": "IN"}).flag("there")
    assert ent.within(lambda bound: bound.flag("there"), "acme", attributes={"country": "IN"})


@pytest.mark.parametrize("attributes", ["country", 7, ["a"], {7: 1}, {None: 1}])
def test_attributes_are_a_mapping_of_names(stage, ent, attributes):
    """A mistake of the code that asks is loud wherever they are given."""
    put(stage, flag("new"))
    view = ent.tenant("acme")
    for wrong in (
        lambda: view.flag("new", attributes=attributes),
        lambda: view.flag_details("new", attributes=attributes),
        lambda: view.for_user("mia", attributes),
        lambda: ent.tenant("acme", attributes=attributes),
        lambda: ent.tenant("acme", user="mia", attributes=attributes),
    ):
        with pytest.raises(TypeError, match="mapping of names"):
            wrong()


HOSTILE = (
    {"plan": "all", "modules": ["hr"], "state": "x", "tenant": "other", "user": "root"},
    {"country": None},
    {"country": float("nan")},
    {"country": "\ud800"},
    {"country": {"eq": "IN"}, "": "", "a.b": 1},
    {"country": ["IN"] * 1000},
    {"country": 10**400},
    {"country": object()},
    {"targetingKey": "\ud800"},
    {"targetingKey": {"a": [1]}},
    {"company": "IN"},
    {"company": {"size": {"x": 1}}},
)


@pytest.mark.parametrize("attributes", HOSTILE)
def test_what_hostile_callers_say_changes_nothing_and_breaks_nothing(stage, ent, attributes):
    """A browser's attributes never make another tenant or plan, and whatever they are, there is an answer."""
    put(
        stage,
        flag("all", where("plan", "eq", "all")),
        flag("other", where("tenant", "eq", "other")),
        flag("root", where("user", "eq", "root")),
        flag("hr", where("modules", "contains", "hr")),
        flag("x", where("state", "eq", "x")),
        flag("there", where("country", "eq", "IN")),
        flag("size", where("company.size", "gt", 5)),
        flag("by", percent(100_000), bucket_by="country"),
        flag("key", percent(100_000), bucket_by="targetingKey"),
    )
    view = ent.tenant("acme", attributes=attributes)
    for key in ("all", "other", "root", "hr", "x", "there", "size"):
        assert view.flag(key) is False
    assert type(view.flag("by")) is type(view.flag("key")) is bool


class Raising(Mapping):
    """A mapping of the host's own making: of an ORM whose session has gone, say."""

    def __getitem__(self, name):
        raise RuntimeError("secret: ann@example.org")

    def __iter__(self):
        return iter(["country"])

    def __len__(self):
        return 1


def test_attributes_that_cannot_be_read_cost_an_answer_and_no_exception(stage, ent):
    """Counted, and logged without what the mapping said; a flag that looks at none of them answers."""
    put(stage, flag("there", where("country", "eq", "IN"), default="on"), flag("half", percent(50_000)))
    view, plain = ent.tenant("acme", attributes={"country": "IN"}), ent.tenant("acme")
    with capture_logs() as logs:
        for default in (True, False):
            assert view.flag("there", default, attributes=Raising()) is default
            assert view.flag("there", default, user="mia", attributes=Raising()) is default
        details = view.flag_details("there", "mine", attributes=Raising())
    assert (details.value, details.error) == ("mine", "INVALID_CONTEXT")
    assert details.message == "attributes cannot be read: RuntimeError"
    assert view.flag("half", attributes=Raising()) is plain.flag("half")
    assert view.explain_flag("there", attributes=Raising()).details.error == "INVALID_CONTEXT"
    assert view.flag("there")
    assert [each["event"] for each in logs] == ["flag.error"]
    assert "secret" not in str(logs)
    assert ent.counts["flag.error", "there", "INVALID_CONTEXT"] == 5


def test_attributes_of_a_view_that_cannot_be_read_are_an_error_of_ours(stage, ent):
    """A view keeps a copy, so it is known when the view is made, and nothing is half said."""
    put(stage, flag("there", where("country", "eq", "IN")))
    view = ent.tenant("acme")
    for wrong in (
        lambda: view.for_user("mia", Raising()),
        lambda: ent.tenant("acme", attributes=Raising()),
        lambda: ent.within(lambda bound: bound.flag("there"), "acme", attributes=Raising()),
    ):
        with pytest.raises(ConfigurationError, match=r"^attributes cannot be read: RuntimeError$"):
            wrong()


def test_what_raises_deep_inside_is_met_by_whoever_only_tells_of_it_too(stage, ent):
    """Exposures, explanations and what is measured ask whose bucket it is, after the flag has answered."""
    deep = {"company": Raising()}
    by = replace(percent(100_000), rollout=None)
    put(stage, flag("by", by, bucket_by="company.country"), flag("in", percent(50_000), bucket_by="company.country"))
    told = []

    class Sink:
        def expose(self, exposure):
            told.append(exposure)

    ent.on_exposure(Sink())
    view = ent.tenant("acme", attributes=deep)
    assert view.flag("by")
    assert not view.flag("in")
    assert view.flag_details("in").error is not None
    assert view.explain_flag("by").details.value is True
    assert view.explain_flag("in").details.error is not None
    assert told == []


def test_the_attributes_of_a_view_are_to_look_at(stage, ent):
    """A flag that is asked twice says the same: nothing that a view was made with changes."""
    put(stage, flag("there", where("country", "eq", "IN")))
    given = {"country": "IN"}
    view = ent.tenant("acme", attributes=given)
    given["country"] = "DE"
    for each in (view, view.for_user("mia"), view.for_user("mia", {"country": "IN"})):
        assert each.attributes == {"country": "IN"}
        with pytest.raises(TypeError):
            each.attributes["country"] = "DE"
        assert each.flag("there")
    assert ent.tenant("acme").attributes is None


def test_details_say_why(stage, ent):
    """In the words of OpenFeature."""
    put(stage, flag("new", percent(100_000)), text_flag(), flag("none", default=None))
    view = ent.tenant("acme")
    details = view.flag_details("new")
    assert (details.value, details.variant, details.reason, details.rule) == (True, "on", FlagReason.SPLIT, "r1")
    assert view.flag_details("colour").value == "green"
    assert view.flag_details("none", "mine").value == "mine"
    assert view.flag_details("none").value is None
    assert view.flag("none", True) is True
    assert view.flag("none") is False


def test_a_flag_of_another_type_is_no_truth_value(stage, ent):
    """A text would read as yes."""
    put(stage, text_flag())
    with pytest.raises(TypeError, match=r"is a string; use flag_details"):
        ent.tenant("acme").flag("colour")


def test_a_flag_that_cannot_be_evaluated_gives_the_default_and_is_counted(stage, ent):
    """A bad flag fails alone, and is said once."""
    put(stage, flag("bad", where("country", "matches", "(")), flag("good", default="on"))
    view = ent.tenant("acme", attributes={"country": "IN"})
    with capture_logs() as logs:
        assert view.flag("bad", True) is True
        assert view.flag("bad") is False
        details = view.flag_details("bad", "mine")
    assert (details.value, details.reason) == ("mine", FlagReason.ERROR)
    assert view.flag("good") is True
    assert [each["event"] for each in logs] == ["flag.error"]
    assert ent.counts["flag.error", "bad", str(details.error)] == 3


# -- keys that nobody knows ------------------------------------------------------------------------------------------


def test_an_unknown_key_gives_the_default_is_counted_and_said_once(stage, ent):
    """Whoever misspells a flag runs on its default for ever, unless somebody says so."""
    put(stage, flag("new-editor", default="on"))
    view = ent.tenant("acme")
    with capture_logs() as logs:
        assert view.flag("new-editr") is False
        assert view.flag("new-editr", True) is True
        details = view.flag_details("new-editr", 7)
    assert (details.value, details.variant, details.error) == (7, None, FlagError.FLAG_NOT_FOUND)
    assert ent.counts["flag.unknown", "new-editr"] == 3
    (said,) = logs
    assert said["event"] == "flag.unknown"
    assert "new-editor" in said["way_out"]


def test_an_unknown_key_raises_where_the_client_is_strict(stage):
    """In tests, above all."""
    put(stage, flag("new-editor"))
    view = stage.open(strict=True).tenant("acme")
    with pytest.raises(UnknownFlag, match="did you mean 'new-editor'"):
        view.flag("new-editr")
    with pytest.raises(UnknownFlag):
        view.flag_details("new-editr")
    with pytest.raises(TypeError, match="a flag's key is a str"):
        view.flag(7)


# -- changes ---------------------------------------------------------------------------------------------------------


def test_a_change_of_a_flag_is_seen_at_the_next_look_and_drops_nobody(stage, ent):
    """Counted by what is read: the flags, once, and no tenant."""
    put(stage, flag("new"))
    tenants = [f"tenant-{number}" for number in range(5)]
    for tenant in tenants:
        assert not ent.tenant(tenant).flag("new")
    stage.faults.calls.clear()
    put(stage, flag("new", default="on"))
    stage.clock.advance(seconds=3)
    assert [ent.tenant(tenant).flag("new") for tenant in tenants] == [True] * 5
    assert [ent.check(tenant, "crm").allowed for tenant in tenants] == [True] * 5
    assert stage.faults.calls == ["changes_since", "flags"]


def test_a_view_stays_as_it_is(stage, ent):
    """One truth for one request."""
    put(stage, flag("new"))
    view = ent.tenant("acme")
    put(stage, flag("new", default="on"))
    stage.clock.advance(seconds=3)
    assert ent.tenant("acme").flag("new") is True
    assert view.flag("new") is False
    assert view.for_user("mia").flag("new") is False


def test_a_kill_switch_turns_a_flag_off_within_one_poll(stage, ent):
    """Of the flag's own key, by the same switches as modules and features."""
    put(stage, flag("new", default="on"))
    assert ent.tenant("acme").flag("new")
    kill(stage, "new")
    stage.clock.advance(seconds=2)
    view = ent.tenant("acme")
    assert view.flag("new") is False
    assert view.flag_details("new").reason is FlagReason.DISABLED


def test_a_flag_that_was_removed_is_unknown(stage, ent):
    """And is not there for the next process either."""
    put(stage, flag("new", default="on"))
    assert ent.tenant("acme").flag("new")
    put(stage, removed=["new"])
    stage.clock.advance(seconds=3)
    assert ent.tenant("acme").flag_details("new").error is FlagError.FLAG_NOT_FOUND


def test_the_environment_kills_a_flag_in_this_process(stage, monkeypatch):
    """Whatever the store says; a word that nobody knows fails start-up."""
    put(stage, flag("new-editor", default="on"))
    monkeypatch.setenv("PAYAID_FLAG_NEW_EDITOR", "off")
    killed = stage.open()
    monkeypatch.setenv("PAYAID_FLAG_NEW_EDITOR", "on")
    left = stage.open()
    assert killed.tenant("acme").flag("new-editor") is False
    assert left.tenant("acme").flag("new-editor") is True
    put(stage, flag("new-editor", percent(100_000)))
    stage.clock.advance(seconds=3)
    assert killed.tenant("acme").flag("new-editor") is False
    monkeypatch.setenv("PAYAID_FLAG_NEW_EDITOR", "of")
    with pytest.raises(ConfigurationError, match="PAYAID_FLAG_NEW_EDITOR"):
        Entitlements(MemoryStore())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is nothing to fork")
def test_a_forked_process_reads_flags_of_its_own(stage):
    """It believes nothing of its parent."""
    put(stage, flag("new"))
    ent = Entitlements(stage.memory, catalog=stage.catalog, clock=stage.clock)
    assert not ent.tenant("acme").flag("new")
    near = ent._near
    child = os.fork()
    if not child:
        is_right = near.flags is None and ent.tenant("acme").flag("new") is False and near.flags is not None
        os._exit(0 if is_right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert near.flags is not None


@pytest.mark.parametrize("where", ["postgres_url", "redis_url"])
def test_a_change_of_a_flag_reaches_another_client_of_a_real_store(where, request):
    """Each store tells of it, and no tenant is read again."""
    url = request.getfixturevalue(where)
    if where == "postgres_url":
        SQLStore(url).upgrade()
    with Entitlements.open(url, catalog=CATALOG) as writer, Entitlements.open(url, catalog=CATALOG) as reader:
        writer.admin("test", because="a test").subscribe("acme", "pro")
        assert reader.tenant("acme").flag("new", True) is True
        entry = reader._near.held["acme"]
        store = writer._store
        was = store.flags()
        flags = replace(was, revision=was.revision + 1, flags={"new": flag("new")})
        write = Write(f"{1:026d}", "test", 0, flags=flags)
        store.apply(write, expect=was.revision, actor="test", because=None)
        _until(lambda: not reader.tenant("acme").flag("new", True))
        assert reader._near.held["acme"] is entry


def test_a_redis_in_front_tells_of_flags_too(redis_url, tmp_path):
    """Where the database tells nobody; by the verbs of an admin, who tells once it is committed."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    opened = partial(Entitlements.open, url, catalog=CATALOG, shared=redis_url)
    with opened() as writer, opened() as reader:
        admin = writer.admin("test", because="a test")
        admin.define_flag("new", {"narrows": ["crm"]})
        assert reader.tenant("acme").flag("new") is False
        assert not reader.check("acme", "crm").allowed
        _until(lambda: reader._setting.listener.status.connected)
        began = reader._near.held["acme"]
        admin.rollout("new", 100)
        _until(lambda: reader.tenant("acme").flag("new"))
        assert reader.check("acme", "crm").allowed
        admin.kill("new")
        _until(lambda: not reader.tenant("acme").flag("new"))
        assert reader.check("acme", "crm").reason is Reason.FLAG_OFF
        # A kill switch is one of the switches, and makes a new world; a rollout does not.
        assert began.revision == reader._near.held["acme"].revision


def _until(is_so):
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


# -- outages ---------------------------------------------------------------------------------------------------------


def test_in_an_outage_the_last_known_flags_answer(stage, ent):
    """The reason is as usual; the view says that it is stale."""
    put(stage, flag("new", default="on"))
    ent.tenant("acme")
    stage.faults.is_down = True
    stage.clock.advance(minutes=10)
    view = ent.tenant("acme")
    assert view.stale
    assert view.flag("new") is True
    assert view.flag_details("new").reason is FlagReason.STATIC
    # Of whom nothing was known, flags are known all the same.
    assert ent.tenant("zenith").flag("new") is True


def test_a_kill_that_was_read_holds_in_an_outage(stage, ent):
    """Nobody gets what was switched off."""
    put(stage, flag("new", default="on"))
    kill(stage, "new")
    ent.tenant("acme")
    stage.faults.is_down = True
    stage.clock.advance(minutes=10)
    assert ent.tenant("acme").flag("new") is False


def test_a_cold_process_in_an_outage_gives_the_defaults(stage, ent):
    """Nothing is known: that is no mistake of the key, and is not counted as one."""
    put(stage, flag("new", default="on"))
    stage.faults.is_down = True
    view = stage.open(strict=True).tenant("acme")
    assert view.flag("new") is False
    assert view.flag("new", True) is True
    assert view.flag_details("new", 3).value == 3
    assert view.flag_details("new", 3).error is FlagError.PROVIDER_NOT_READY
    assert not [name for name in ent.counts if name[0] == "flag.unknown"]


def test_a_cold_process_in_an_outage_knows_the_flags_of_its_own_catalog(stage):
    """Their first values, which are better than none."""
    written = {
        "catalog": 1,
        "modules": {"crm": {}},
        "plans": {"p": {"modules": ["crm"]}},
        "flags": {"all": {"rollout": "100%"}, "some": {"rollout": "0%", "narrows": ["crm"]}},
    }
    stage.faults.is_down = True
    view = stage.open(catalog=Catalog.load(written)).tenant("acme")
    assert view.flag("all") is True
    assert view.flag("some", True) is False
    assert view.flag("none", True) is True
    assert not view.check("crm").allowed


def test_the_catalogs_flags_are_first_values(stage):
    """Until the set has the flag; a flag that was removed there does not come back."""
    written = {
        "catalog": 1,
        "modules": {"crm": {}},
        "plans": {"p": {"modules": ["crm"]}},
        "flags": {"new": {"rollout": "100%", "narrows": ["crm"]}},
    }
    stage = Stage(stage.colour, stage._runner, Catalog.load(written))
    ent = stage.open()
    assert ent.tenant("acme").flag("new") is True
    put(stage, flag("new"))
    stage.clock.advance(seconds=3)
    assert ent.tenant("acme").flag("new") is False
    put(stage, removed=["new"])
    stage.clock.advance(seconds=3)
    assert ent.tenant("acme").flag_details("new").error is FlagError.FLAG_NOT_FOUND


def test_a_cold_process_with_a_snapshot_file_knows_the_flags(stage, tmp_path):
    """A file that another process has left."""
    put(stage, flag("new", default="on"), flag("narrow", narrows=("crm",)))
    stage.elsewhere.subscribe("acme", "pro")
    first = stage.open(snapshot=tmp_path / "known.db")
    first.tenant("acme")
    put(stage, flag("new", percent(100_000)))
    stage.clock.advance(seconds=3)
    assert first.tenant("acme").flag("new")
    first.close()
    stage.faults.is_down = True
    cold = stage.open(snapshot=tmp_path / "known.db")
    view = cold.tenant("acme")
    assert view.stale
    assert view.flag_details("new").reason is FlagReason.SPLIT
    assert not view.check("crm").allowed
    assert cold.tenant("zenith").flag("new") is True


def test_a_view_that_grew_old_still_answers_flags(stage, ent):
    """As `check`, which reads no clock; `require` does."""
    put(stage, flag("new", default="on"))
    view = ent.tenant("acme")
    stage.clock.advance(minutes=2)
    assert view.flag("new") is True
    with pytest.raises(ViewExpired):
        view.require("crm")


def test_a_browser_is_told_of_flags_that_were_asked_for(stage, ent):
    """And of no other: a flag may be a secret until it is released."""
    put(stage, flag("new", default="on"), text_flag())
    view = ent.tenant("acme")
    assert "flags" not in view.to_public()
    assert view.to_public(flags=["new", "colour"])["flags"] == {"new": True, "colour": "green"}


SEGMENTED = """
catalog: 1
default_plan: free
plans: {free: {}}
segments:
  staff: {user: {ends_with: "@payaid.example"}}
flags:
  beta:
    rules: [{when: {segment: staff}}]
"""


def test_a_flag_names_a_segment_of_the_catalog(tmp_path):
    """The catalog's segments are known wherever its flags are, from the first question on."""
    path = tmp_path / "catalog.yaml"
    path.write_text(SEGMENTED, encoding="utf-8")
    with Entitlements(MemoryStore(), catalog=Catalog.load(path)) as ent:
        view = ent.tenant("acme")
        assert view.flag("beta", user="ann@payaid.example") is True
        assert view.flag("beta", user="ann@example.com") is False


# -- catalogs of another release -------------------------------------------------------------------------------------


def test_a_catalog_that_another_release_has_published_is_read(tmp_path):
    """Its flag fails alone and closed, is said once, can be turned off, and is mended by defining it anew."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    good = {"rollout": "100%", "narrows": ["hr"]}
    with Entitlements.open(url, catalog=Catalog.load({**CATALOG.document, "flags": {"good": good}})) as ent:
        ent.admin("test", because="a test").subscribe("acme", "all")
    with sqlite3.connect(tmp_path / "a.db") as base:
        flag_of_old = json.dumps({"rollout": 25, "narrows": ["crm"]})
        base.execute(
            "UPDATE payaid_catalog SET content = json_set(content, '$.catalog.flags.old', json(?))", [flag_of_old]
        )
    base.close()
    with capture_logs() as logs, Entitlements.open(url) as ent:
        view = ent.tenant("acme")
        assert (view.flag("old"), view.flag("old", True), view.flag("good")) == (False, True, True)
        assert view.flag_details("old").reason is FlagReason.ERROR
        assert ent.check("acme", "hr.payroll").allowed
        assert ent.check("acme", "crm.export").reason is Reason.FLAG_ROLLOUT_EXCLUDED
        admin = ent.admin("test", because="a test")
        with pytest.raises(ConfigurationError, match="cannot be read as it was published"):
            admin.rollout("old", 50)
        admin.kill("old")
        assert ent.tenant("acme", fresh=True).flag("old", True) is False
        admin.restore("old")
        change = admin.define_flag("old", {"rollout": "100%", "narrows": ["crm"], "salt": "other"})
        assert "flags.old.rollout" in str(change)
        assert ent.tenant("acme", fresh=True).flag("old") is True
        assert ent.check("acme", "crm.export").allowed
        admin.remove_flag("old")
    assert [each["flag"] for each in logs if each["event"] == "flag.broken"] == ["old"]
