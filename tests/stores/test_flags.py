"""Flags and tallies in a store: what processes of the release before see of them, and what is left by going back."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from sqlalchemy import text

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.flags.flag_set import from_json, to_json
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.errors import BackupInvalid, ChangeConflict, StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.backup import export_to, import_from
from payaid_entitlements.stores.backup.lines import read
from payaid_entitlements.stores.backup.walking import walked
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.messages import heard, written
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.ports import LogEntry, Scope
from payaid_entitlements.stores.redis import RedisStore
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION
from payaid_entitlements.stores.sql.tallying import ATTEMPTS, trying
from payaid_entitlements.stores.writing import scope_kept, scope_read
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    everything,
    flags_write,
    next_write,
    tenant_write,
)

#: The scopes that the release before flags knows; any other word in its log is an error in each of its questions.
KNOWN_BEFORE = {"tenant", "catalog", "controls"}


def _write_some_of_each(store):
    flags = flags_write()
    for write in (tenant_write("acme"), catalog_write(), controls_write(), flags):
        store.apply(write, expect=0, actor="asha", because=None)
    store.apply(next_write(flags), expect=1, actor="asha", because=None)


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_is_read_as_it_is_kept_and_known_to_the_release_before(scope):
    word, generation = scope_kept(scope)
    assert scope_read(word, generation) is scope
    assert word in KNOWN_BEFORE


def test_the_release_before_reads_the_log_of_a_database(database_url):
    store = SQLStore(database_url)
    store.upgrade()
    _write_some_of_each(store)
    # As it asks: by these columns. It reads the switches again, which are as they were, and goes on behind.
    with store._engine.connect() as connection:
        rows = connection.execute(
            text("SELECT position, scope, tenant, revision FROM payaid_changes WHERE position > 3 ORDER BY position")
        ).fetchall()
    assert [(position, scope, len(tenant), revision) for position, scope, tenant, revision in rows] == [
        (4, "controls", 0, 1),
        (5, "controls", 0, 2),
    ]
    assert store.controls().revision == 1
    store.close()


def test_the_release_before_reads_the_log_of_redis(redis_url):
    store = RedisStore(redis_url)
    store.prepare()
    _write_some_of_each(store)
    keys = store._questions.keys
    lines = store._client.call("XRANGE", keys.log, "4", "+")
    # As its script takes them, and in this order: the second, the fourth and the sixth word of a line.
    assert [list(has.items())[:3] for _, has in lines] == [
        [(b"s", b"controls"), (b"t", b""), (b"r", revision)] for revision in (b"1", b"2")
    ]
    for position in (4, 5):
        stays = json.loads(store._client.call("HGET", keys.trail, str(position)).split(b"\n")[0])
        assert len(stays) == 9
        assert stays[1] in KNOWN_BEFORE
    assert store.current() == 1, "the layout is the one that the release before knows"
    store.close()


def test_a_message_that_the_release_before_cannot_read_is_one_that_it_missed():
    entry = LogEntry(7, Scope.FLAGS, None, 3)
    assert heard(written(entry)) == entry
    # A word that nobody knows yet: whoever hears it reads the log.
    assert heard(written(entry).replace("flags", "lights")) is None
    assert heard('[7,"flags","acme",3]') is None


def test_a_store_without_flags_that_are_changed_goes_on_from_the_release_before(redis_url):
    store = RedisStore(redis_url)
    store.prepare()
    assert store.flags() == FlagSet()
    # A line as the release before writes it has no fourth word.
    store._client.call("XADD", store._questions.keys.log, "1-0", "s", "controls", "t", "", "r", "1")
    store._client.call("HSET", store._questions.keys.documents, "position", "1")
    for key in ("index", "trail", "known"):
        name = getattr(store._questions.keys, key)
        store._client.call(*(("ZADD", name, "0", "x") if key == "index" else ("HSET", name, "x", "x")))
    assert store.changes_since(0).entries == (LogEntry(1, Scope.CONTROLS, None, 1),)
    store.close()


def test_who_lost_a_race_for_the_flags_is_told_who_won(database_url):
    store = SQLStore(database_url)
    store.upgrade()
    for write in (controls_write(verb="kill"), flags_write(verb="rollout")):
        store.apply(write, expect=0, actor="vikram", because=None)
    with pytest.raises(ChangeConflict, match=r"^the flags is at revision 1, .*: rollout by vikram;"):
        store.apply(flags_write(), expect=0, actor="asha", because=None)
    with pytest.raises(ChangeConflict, match=r"from 0: kill by vikram;"):
        store.apply(controls_write(), expect=0, actor="asha", because=None)
    store.close()


def test_after_going_back_and_forth_a_backup_is_still_made(database_url):
    """`payaid db downgrade` takes the flags away, and never a line of the audit trail."""
    store = SQLStore(database_url)
    store.upgrade()
    _write_some_of_each(store)
    assert (store.downgrade(2), store.upgrade()) == (2, SCHEMA_VERSION)
    assert store.flags() == FlagSet()
    copy = MemoryStore()
    copy.restore(walked(store))
    assert everything(copy) == everything(store)
    store.apply(flags_write(), expect=0, actor="asha", because=None)
    copy = MemoryStore()
    copy.restore(walked(store))
    assert everything(copy) == everything(store)
    assert copy.flags().revision == 1
    store.close()


def test_a_file_has_them_exactly():
    store, file, copy = MemoryStore(), io.BytesIO(), MemoryStore()
    _write_some_of_each(store)
    export_to(store, file)
    file.seek(0)
    import_from(copy, file)
    assert everything(copy) == everything(store)
    assert b'\n{"flags":{' in file.getvalue()


def test_switches_that_are_behind_their_log_are_still_damage():
    store = MemoryStore()
    store.apply(controls_write(), expect=0, actor="asha", because=None)
    store._content.controls = Controls()
    with pytest.raises(StoreDamaged, match="restore an earlier backup"):
        list(walked(store))


def _put(store, content):
    with store._writing.begin() as connection:
        connection.execute(text("UPDATE payaid_flags SET content = :content"), {"content": content})


@pytest.mark.parametrize("content", ["{}", "not JSON", ""])
def test_flags_that_cannot_be_read_are_damage_and_not_no_flags(database_url, content):
    """The revision is known all the same, so that they can be replaced."""
    store = SQLStore(database_url)
    store.upgrade()
    store.apply(flags_write(), expect=0, actor="asha", because=None)
    _put(store, content)
    found = store.flags()
    assert (found.revision, found.flags, found.damage.text) == (1, {}, content)
    copy, file = MemoryStore(), io.BytesIO()
    export_to(store, file)
    file.seek(0)
    import_from(copy, file)
    assert copy.flags() == found
    store.apply(flags_write(FlagSet(1)), expect=1, actor="asha", because=None)
    assert (store.flags().revision, store.flags().damage) == (2, None)
    store.close()


def test_a_flag_that_cannot_be_read_goes_on_as_it_is(database_url, redis_url):
    """Through a write, and through a backup into another store."""
    store, other = SQLStore(database_url), RedisStore(redis_url)
    store.upgrade()
    write = flags_write()
    store.apply(write, expect=0, actor="asha", because=None)
    odd = '{ "colour":1e999,  "\\ud800": "\\u00e9" }'
    _put(store, f'{{"flags":{{"odd":{odd}}},"progress":{{}},"revision":7,"schema":1,"segments":{{}}}}')
    found = store.flags()
    assert (found.revision, found.unread["flag", "odd"].text) == (1, odd)
    changed = replace(found, revision=2, flags={"more": None})
    store.apply(replace(flags_write(found), flags=changed), expect=1, actor="asha", because=None)
    assert store.flags() == changed
    file = io.BytesIO()
    export_to(store, file)
    file.seek(0)
    import_from(other, file)
    assert other.flags() == changed
    for each in (store, other):
        each.close()


def test_a_damaged_line_of_a_backup_is_no_damaged_flag_set():
    """It was whole when it was written."""
    for line in (b'{"flags":{"schema":1}}\n', b'{"flags":[]}\n'):
        with pytest.raises(BackupInvalid, match="line 3 of the backup is damaged"):
            read(line, 3)


@pytest.mark.parametrize(("held", "revision"), [(b"4\nnot JSON", 4), (b'4\n{"flags":\xff', 4), (b"garbage", 0)])
def test_flags_in_redis_that_cannot_be_read_are_damage(redis_url, held, revision):
    store = RedisStore(redis_url)
    store.prepare()
    store.apply(flags_write(), expect=0, actor="asha", because=None)
    store._client.call("HSET", store._questions.keys.documents, "flags", held)
    found = store.flags()
    assert found.revision == revision
    assert found.damage is not None
    store.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("content", ["flag", "whole"])
def test_a_fresh_process_starts_on_a_damaged_set(kind, content, tmp_path):
    """What it refuses, what it answers, that it can kill, and that it is repaired."""
    store = MemoryStore() if kind == "memory" else SQLStore(f"sqlite:///{tmp_path / 'payaid.db'}")
    catalog = {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"crm": {}, "hr": {}, "books": {}},
        "plans": {"free": {"modules": ["crm", "hr", "books"]}},
        "flags": {"look": {"narrows": ["crm"]}},
    }
    with Entitlements(store, catalog=Catalog.load(catalog)) as ent:
        admin = ent.admin("asha", because="a test")
        admin.set_flag("look", "on")
        admin.define_flag("near", {"narrows": ["hr"], "serve": "on"})
        admin.kill("books")
        assert ent.check("acme", "crm").allowed
        _damage(store, content)
        with Entitlements(store, catalog=Catalog.load(catalog)) as fresh:
            allowed = {key: fresh.check("acme", key).allowed for key in ("crm", "hr", "books")}
            # A set that cannot be read narrows nothing that the catalog's flags do not.
            assert allowed == {"crm": False, "hr": True, "books": False}
            assert fresh.tenant("acme").flag("near", False) is (content == "flag")
            desk = fresh.admin("asha", because="3 a.m.")
            desk.kill("hr")
            desk.kill("near")
            assert not fresh.check("acme", "hr").allowed
            for key in ("hr", "near"):
                desk.restore(key)
            file = {"flags": {"look": {"narrows": ["crm"], "serve": "on"}, "near": {"narrows": ["hr"], "serve": "on"}}}
            desk.import_flags(file, replace=content == "whole")
            assert (store.flags().unread, store.flags().damage) == ({}, None)
            allowed = {key: fresh.check("acme", key).allowed for key in ("crm", "hr", "books")}
            assert allowed == {"crm": True, "hr": True, "books": False}


def _damage(store, content):
    held = store.flags()
    kept = "{" if content == "whole" else to_json(held).replace('"narrows":["crm"]', '"narrows":["crm"],"colour":1')
    if isinstance(store, SQLStore):
        _put(store, kept)
    else:
        store._content.flags = from_json(kept, held.revision)


def test_tallies_are_added_again_where_a_race_was_lost():
    tries = 0
    for attempt in trying():
        with attempt:
            tries += 1
            if tries < ATTEMPTS:
                raise ChangeConflict("a deadlock", expected=0, found=0)
    assert tries == ATTEMPTS


def test_who_loses_each_race_is_told_so():
    tries = 0
    with pytest.raises(StoreUnavailable, match="not added to, in 5 tries: a deadlock"):
        for attempt in trying():
            with attempt:
                tries += 1
                raise ChangeConflict("a deadlock", expected=0, found=0)
    assert tries == ATTEMPTS


def test_another_error_is_not_tried_again():
    tries = 0
    with pytest.raises(StoreUnavailable, match="gone"):
        for attempt in trying():
            with attempt:
                tries += 1
                raise StoreUnavailable("gone")
    assert tries == 1


def test_a_memory_store_forgets_nothing_it_was_told_of_when_it_is_filled():
    store = MemoryStore()
    store.add_tallies("flag:1", {"n": 1})
    other = MemoryStore()
    other.apply(flags_write(), expect=0, actor="asha", because=None)
    store.restore(walked(other))
    assert store.flags() == other.flags()
    assert store.tallies("flag:1") == {"n": 1}
    assert open_store("memory://").tallies("flag:1") == {}
    again = replace(flags_write(other.flags()), verb="again")
    assert store.apply(again, expect=1, actor="asha", because=None).revision == 2
