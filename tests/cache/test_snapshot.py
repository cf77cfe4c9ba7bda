"""The file that remembers what was last known: whatever is wrong with it, nobody is given what he has not."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from payaid_entitlements.cache.local import NEVER, LocalCache
from payaid_entitlements.cache.snapshot import LIFE, PAUSE, Snapshot
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.flags.model import Flag, FlagSet, FlagType, Unread
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.core.world import Modes, World
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ports import LogEntry, Scope
from tests.cache.conftest import document, published_of


class Process:
    """What one process has: what is near, and the file."""

    def __init__(self, path, hand, *, store="memory", bound=1000):
        self.near = LocalCache(bound=bound, clock=hand, fresh_for=60.0)
        self.near.reach(0)
        self.observer = Tally()
        self.snapshot = Snapshot(path, store=store, near=self.near, wall=hand, modes=Modes(), observer=self.observer)
        self.hand = hand

    def keep(self, *documents, seconds_ago=0.0):
        self.snapshot.keep(documents, self.hand() - seconds_ago, self.near.life)

    def age(self, tenant):
        found = self.snapshot.find(tenant)
        return None if found is None else self.hand() - found[1]

    def revision(self, tenant):
        found = self.snapshot.find(tenant)
        return None if found is None else found[0].revision

    @property
    def counts(self):
        return {name: count for (name,), count in self.observer.counts().items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "known.db"


@pytest.fixture
def start(path, hand):
    return lambda at=path, **named: Process(at, hand, **named)


@pytest.fixture
def one(start):
    return start()


def world_of(killed=(), revision=0):
    return World.of(published_of(), Controls(revision, {}, frozenset(killed)))


def rows(path, question, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(question, values).fetchall()


# -- what is written is read ------------------------------------------------------------------------------------------


def test_what_was_written_is_read_by_another_process_with_its_age(one, start, hand):
    one.keep(document("acme"), seconds_ago=2)
    hand.advance(10)
    found, known_at = start().snapshot.find("acme")
    assert (found, hand() - known_at) == (document("acme"), 12)
    assert start().snapshot.find("globex") is None


def test_ages_are_told_by_the_wall_clock(path, hand):
    """The cache's clock begins anew with each process."""
    Process(path, hand).keep(document("acme"))
    hand.advance(7)
    near = LocalCache(bound=9, clock=lambda: 3.0, fresh_for=60.0)
    other = Snapshot(path, store="memory", near=near, wall=hand, modes=Modes(), observer=Tally())
    assert other.find("acme")[1] == 3.0 - 7.0


def test_the_file_is_its_owners_alone(one, path):
    """Also what SQLite puts beside it."""
    one.keep(document("acme"))
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_world_is_read_as_it_was_written(one, start):
    assert start().snapshot.world() is None
    one.snapshot.keep_world(world_of(killed=["crm.export"], revision=3), FlagSet(), one.hand())
    other = start().snapshot
    world, _ = other.world()
    assert world.is_killed("crm.export")
    assert world.catalog.hash == published_of().catalog.hash
    assert other.world()[0] is world
    one.snapshot.keep_world(world_of(revision=4), FlagSet(), one.hand())
    assert not other.world()[0].is_killed("crm.export")


def test_another_stores_tenants_are_never_given(one, start):
    """Two stores on one file know nothing of each other."""
    one.keep(document("acme"))
    one.snapshot.keep_world(world_of(), FlagSet(), one.hand())
    other = start(store="postgresql://elsewhere")
    assert (other.snapshot.find("acme"), other.snapshot.world()) == (None, None)
    other.keep(document("acme", revision=9))
    assert one.revision("acme") == 1
    other.snapshot.forget()
    assert (one.revision("acme"), other.revision("acme")) == (1, None)


def test_closing_lets_go_and_another_use_opens_it_again(one, path):
    one.keep(document("acme"))
    one.snapshot.close()
    assert list(path.parent.iterdir()) == [path]
    assert one.revision("acme") == 1


def test_an_empty_path_is_a_mistake_of_the_program(start):
    with pytest.raises(ConfigurationError, match="snapshot is empty"):
        start("")


def test_a_path_is_of_the_folder_in_which_it_was_given(tmp_path, monkeypatch, hand):
    """And a name that means memory to SQLite is a file's like any other."""
    monkeypatch.chdir(tmp_path)
    one = Process(":memory:", hand)
    monkeypatch.chdir("/")
    one.keep(document("acme"))
    assert (tmp_path / ":memory:").exists()


# -- what was contradicted is not -------------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [True, False])
def test_a_line_of_the_log_crosses_out_what_is_older(one, start, heard):
    """Whether a channel told of it or the log was read; and not what is as new as the line."""
    one.keep(document("acme"), document("globex", revision=2))
    for position, tenant in enumerate(("acme", "globex"), 1):
        if heard:
            one.near.hear(LogEntry(position, Scope.TENANT, tenant, 2))
        else:
            one.near.invalidate(tenant, 2, position)
    if not heard:
        one.snapshot.flush()
    assert (start().revision("acme"), start().revision("globex")) == (None, 2)
    one.keep(document("acme", revision=2))
    assert start().revision("acme") == 2


def test_a_reading_that_is_overtaken_does_not_come_back(one, start):
    """A slow process has read before the change, and writes after another one has heard of it."""
    slow = start()
    one.near.invalidate("acme", 2, 1)
    one.snapshot.flush()
    slow.keep(document("acme", revision=1))
    assert start().revision("acme") is None


def test_a_restored_database_begins_again_with_lower_revisions(one, start, hand):
    """What was read a minute later is true, whatever its revision."""
    one.keep(document("acme", revision=9))
    hand.advance(61)
    one.keep(document("acme", revision=3))
    assert start().revision("acme") == 3


def test_an_old_line_takes_nothing_back(one, start, hand):
    """Those who look far back in the log at their start tell of it late."""
    one.keep(document("acme", revision=9))
    hand.advance(100)
    one.near.invalidate("acme", 3, 1)
    one.snapshot.flush()
    assert start().revision("acme") == 9


def test_the_log_vouches_for_what_this_life_has_written(one, start, hand):
    one.keep(document("acme"))
    one.near.extend(hand())
    hand.advance(50)
    one.near.extend(hand() - 3)
    one.snapshot.flush()
    assert start().age("acme") == 3
    one.near.clear()
    hand.advance(50)
    one.near.extend(hand())
    one.snapshot.flush()
    assert start().age("acme") == 53


def test_what_was_never_known_to_be_true_is_not_written(one):
    """A copy of others', before the log was read."""
    one.snapshot.keep((document("acme"),), NEVER, one.near.life)
    assert one.revision("acme") is None


def test_what_is_from_the_future_is_not_used_and_goes(one, start, hand):
    """A clock that was ahead for a while must not be in the way until then."""
    hand.advance(1000)
    one.keep(document("acme"))
    hand.advance(-1000)
    assert start().revision("acme") is None
    other = start()
    other.keep(document("globex"))
    assert (other.revision("acme"), other.revision("globex")) == (None, 1)


# -- the file is bounded ----------------------------------------------------------------------------------------------


def test_no_more_are_kept_than_near(start, path):
    """But for those since it was looked at last; the oldest go."""
    one = start(bound=100)
    for number in range(300):
        one.hand.advance(1)
        one.keep(document(f"t{number}"))
    ((count,),) = rows(path, "SELECT count(*) FROM kept")
    assert 95 <= count <= 103
    assert one.revision("t299") == 1
    assert one.revision("t0") is None


def test_after_a_month_a_tenant_is_forgotten(one, start, hand):
    one.keep(document("acme"))
    hand.advance(LIFE + 1)
    start().keep(document("globex"))
    assert (one.revision("acme"), one.revision("globex")) == (None, 1)


# -- the file is of no use --------------------------------------------------------------------------------------------


def unusable(one):
    """Nothing is found, nothing raises; it is counted once for a minute and said once."""
    one.keep(document("acme"))
    assert (one.snapshot.find("acme"), one.snapshot.world()) == (None, None)
    one.snapshot.flush()
    assert one.counts == {"snapshot.unusable": 1}
    assert not one.snapshot.is_usable
    one.hand.advance(PAUSE)
    one.snapshot.flush()
    assert one.counts == {"snapshot.unusable": 2}
    one.snapshot.close()


def test_it_is_said_once_what_is_wrong_and_what_to_do(tmp_path, hand):
    with capture_logs() as said:
        unusable(Process(tmp_path / "missing" / "known.db", hand))
    ((event),) = said
    assert event["event"] == "snapshot.unusable"
    assert event["path"].endswith("missing/known.db")
    assert "folder" in event["way_out"]


def test_no_sqlite(path, start):
    path.write_bytes(b"what is this" * 1000)
    path.chmod(0o600)
    unusable(start())
    assert path.read_bytes() == b"what is this" * 1000


def test_another_programs_database(path, start):
    """Which is not touched."""
    rows(path, "CREATE TABLE theirs (one)")
    path.chmod(0o600)
    before = path.read_bytes()
    unusable(start())
    assert path.read_bytes() == before


def test_another_releases_file(one, path, start):
    one.keep(document("acme"))
    rows(path, "PRAGMA user_version = 7")
    unusable(start())


def test_a_folder_in_its_place(tmp_path, hand):
    unusable(Process(tmp_path, hand))


def test_a_link_to_elsewhere(tmp_path, one, hand):
    """Somebody else may have put it there."""
    one.keep(document("acme"))
    (tmp_path / "link").symlink_to(one.snapshot.path)
    unusable(Process(tmp_path / "link", hand))


def test_a_file_that_others_may_write(one, path, start):
    """By it they could grant themselves what they want."""
    one.keep(document("acme"))
    path.chmod(0o666)
    unusable(start())


def test_a_file_of_somebody_else(one, start, monkeypatch):
    one.keep(document("acme"))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    unusable(start())


def test_a_system_without_owners(one, start, monkeypatch):
    """There the file is used nevertheless."""
    monkeypatch.delattr(os, "geteuid")
    one.keep(document("acme"))
    assert start().revision("acme") == 1


@pytest.mark.parametrize("left", [100, 4096, 5000])
def test_a_truncated_file(one, path, start, left):
    for number in range(100):
        one.keep(document(f"t{number}"))
    one.snapshot.close()
    content = path.read_bytes()
    path.write_bytes(content[:left])
    other = start()
    assert other.snapshot.find("t50") is None
    assert other.counts == {"snapshot.unusable": 1}


def test_a_file_that_is_damaged_while_it_is_used_is_not_trusted_until_it_was_emptied(one, path, start, hand):
    """What was contradicted meanwhile could not be crossed out."""
    one.keep(document("acme"), document("globex"))
    one.snapshot._connection.close()
    one.near.invalidate("acme", 2, 1)
    one.snapshot.flush()
    assert one.counts == {"snapshot.unusable": 1}
    assert start().revision("acme") == 1
    hand.advance(PAUSE)
    assert (one.snapshot.find("globex"), one.snapshot.is_usable) == (None, True)
    one.snapshot.keep_world(world_of(), FlagSet(), hand())
    assert (start().revision("acme"), start().revision("globex")) == (None, None)
    assert start().snapshot.world() is not None
    one.keep(document("acme", revision=2))
    assert (one.revision("acme"), start().revision("acme")) == (2, 2)


POISON = [
    "{}",
    "no json",
    "",
    document("globex").to_json(),
    document("acme").to_json().replace('"schema":1', '"schema":2'),
]


@pytest.mark.parametrize("text", [*POISON, b"\xff\xfe", 7, None])
def test_a_poisoned_document_is_nothing(one, path, text):
    """Also one of another tenant."""
    one.keep(document("acme"), document("other"))
    rows(path, "UPDATE kept SET text = ? WHERE name = 'acme'", text)
    assert one.snapshot.find("acme") is None
    assert one.revision("other") == 1


@pytest.mark.parametrize("known", ["soon", None, float("inf")])
def test_a_poisoned_instant_is_nothing(one, path, known):
    one.keep(document("acme"))
    if known is None:
        rows(path, "UPDATE kept SET life = 7, known = 'x' WHERE name = 'acme'")
    else:
        rows(path, "UPDATE kept SET known = ? WHERE name = 'acme'", known)
    assert one.snapshot.find("acme") is None


@pytest.mark.parametrize("kind", ["catalog", "controls"])
@pytest.mark.parametrize("text", ["{}", "no json", None])
def test_a_poisoned_world_is_nothing(one, path, kind, text):
    one.snapshot.keep_world(world_of(), FlagSet(), one.hand())
    rows(path, "UPDATE kept SET text = ? WHERE kind = ?", text, kind)
    assert one.snapshot.world() is None
    assert one.snapshot.world() is None
    assert one.counts == ({} if text is None else {"snapshot.unusable": 1})


def test_half_a_world_is_nothing(one, path):
    one.snapshot.keep_world(world_of(), FlagSet(), one.hand())
    rows(path, "DELETE FROM kept WHERE kind = 'controls'")
    assert one.snapshot.world() is None


def test_a_revision_that_no_file_can_hold_harms_no_question(one, hand):
    """As somebody may have published it who may publish."""
    one.keep(document("acme"))
    one.near.hear(LogEntry(1, Scope.TENANT, "acme", 2**70))
    one.snapshot.flush()
    assert one.counts == {"snapshot.unusable": 1}
    hand.advance(PAUSE)
    assert one.revision("acme") is None
    one.keep(document("globex"))
    assert (one.revision("acme"), one.revision("globex")) == (None, 1)


# -- several who use it -----------------------------------------------------------------------------------------------


def test_where_another_writes_at_this_very_instant_it_is_skipped(one, path, start):
    """And what was contradicted is crossed out by the next writing. Reading waits for no writer."""
    one.keep(document("acme"), document("globex"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        one.keep(document("initech"))
        one.near.invalidate("acme", 2, 1)
        one.snapshot.keep_world(world_of(), FlagSet(), one.hand())
        assert one.revision("globex") == 1
        assert one.counts == {"snapshot.skipped": 2}
        assert one.snapshot.is_usable
    one.snapshot.flush()
    later = start()
    assert (later.revision("acme"), later.revision("globex"), later.revision("initech")) == (None, 1, None)
    assert later.snapshot.world() is not None


def test_where_it_is_never_free_the_file_is_emptied_when_it_is(one, path, start, monkeypatch):
    """Rather than to remember without bound what must be crossed out."""
    monkeypatch.setattr("payaid_entitlements.cache.snapshot.MOST_FLOORS", 3)
    one.keep(document("acme"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(4):
            one.near.invalidate(f"t{number}", 2, number + 1)
        one.snapshot.flush()
    assert one.near.contradicted == {}
    assert one.revision("acme") is None
    assert start().revision("acme") == 1
    one.snapshot.flush()
    assert start().revision("acme") is None


def test_flags_are_read_as_they_were_written(one, start):
    """Alone, since a step of a rollout is no reason to write the catalog again."""
    flag = Flag("new", FlagType.BOOLEAN, {"on": True, "off": False}, "on", "off", narrows=("crm",))
    one.snapshot.keep_world(world_of(), FlagSet(), one.hand())
    assert start().snapshot.world()[1].flags == {}
    one.snapshot.keep_flags(FlagSet(2, {"new": flag}), one.hand())
    world, flags = start().snapshot.world()
    assert (flags.revision, flags.flags["new"].flag) == (2, flag)
    assert "crm.export" in world.narrowed


def test_flags_that_cannot_be_read_do_not_take_the_place_of_those_that_could(one, start):
    """They are the last that is known; and a file that is damaged itself is of no use."""
    one.snapshot.keep_world(world_of(), FlagSet(2, {"new": None}), one.hand())
    one.snapshot.keep_flags(FlagSet(3, damage=Unread("{", "it is cut off")), one.hand())
    assert start().snapshot.world()[1].flag_set == FlagSet(2, {"new": None})
    with closing(sqlite3.connect(one.snapshot.path)) as connection, connection:
        connection.execute("UPDATE kept SET text = '{' WHERE kind = 'flags'")
    assert start().snapshot.world() is None


def test_a_file_of_an_older_release_has_no_flags(one, start):
    """It is used all the same."""
    one.snapshot.keep_world(world_of(), FlagSet(3), one.hand())
    with closing(sqlite3.connect(one.snapshot.path)) as connection:
        connection.execute("DELETE FROM kept WHERE kind = 'flags'")
        connection.commit()
    assert start().snapshot.world()[1].revision == 0


def test_what_comes_while_the_world_is_written_is_owed_still(one, hand, monkeypatch):
    """Another thread was faster: its world is not taken to be written."""
    newer = world_of(killed=["crm.export"], revision=2)
    prune = one.snapshot._prune

    def meanwhile(connection, now):
        one.snapshot._owed = {"controls": ("controls", "", 2, now, "", newer.controls.to_json())}
        prune(connection, now)

    monkeypatch.setattr(one.snapshot, "_prune", meanwhile)
    one.snapshot._until_pruned = -1
    one.snapshot.keep_world(world_of(revision=1), FlagSet(), hand())
    one.snapshot.flush()
    assert one.snapshot.world()[0].is_killed("crm.export")


def test_two_who_open_a_new_file_at_once(path, start, monkeypatch):
    """The second finds what the first has made."""
    other = start()
    original = sqlite3.connect

    class Late(sqlite3.Connection):
        def execute(self, statement, *values):
            if statement == "BEGIN IMMEDIATE" and other.revision("acme") is None:
                other.keep(document("acme"))
            return super().execute(statement, *values)

    one = start()
    first = [True]

    def connect(*arguments, **named):
        factory, first[0] = (Late if first[0] else sqlite3.Connection), False
        return original(*arguments, **named, factory=factory)

    monkeypatch.setattr(sqlite3, "connect", connect)
    assert one.revision("acme") == 1
    assert {**one.counts, **other.counts} == {}


WORKER = """
import sys
from tests.cache.test_snapshot import Process
from tests.cache.conftest import Hand, document
one = Process(sys.argv[1], Hand())
for number in range(300):
    one.keep(document(f"{sys.argv[2]}{number}"), document("both", revision=number + 1))
    one.near.invalidate("changed", 2, number + 1)
    one.snapshot.flush()
assert set(one.counts) <= {"snapshot.skipped"}, one.counts
one.snapshot.close()
"""


def test_two_processes_on_one_file(one, path):
    """What is lost is skipped and counted; nothing is damaged, and nobody goes back."""
    one.keep(document("changed"))
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(path), name]) for name in "ab"]
    highest = 0
    while any(worker.poll() is None for worker in workers):
        revision = one.revision("both") or 0
        assert revision >= highest
        highest = revision
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert one.revision("both") is not None
    assert one.revision("changed") is None
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert set(one.counts) <= {"snapshot.skipped"}


def test_threads_share_one_connection(one):
    def work(number):
        for each in range(50):
            one.keep(document(f"t{number}.{each}"))
            assert one.revision(f"t{number}.{each}") == 1

    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert one.counts == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_opens_the_file_itself(one, start):
    """On a connection of its own, in a life of its own, although a lock was held; the parent goes on."""
    one.keep(document("acme"))
    life = one.near.life
    pid = os.fork()
    if pid == 0:  # pragma: no cover # the child is another process
        fresh = one.snapshot._connection is None and one.near.life != life
        one.keep(document("globex"))
        os._exit(0 if fresh and one.revision("acme") == 1 and one.counts == {} else 1)
    assert os.waitpid(pid, 0)[1] == 0
    one.keep(document("initech"))
    other = start()
    assert [other.revision(each) for each in ("acme", "globex", "initech")] == [1, 1, 1]
    assert one.counts == {}


def test_a_connection_that_a_thread_opened_before_a_fork_is_not_closed_in_the_child(one):
    """To close it there might end what the parent has locked."""
    one.keep(document("acme"))
    connection = one.snapshot._connection
    with one.snapshot._lock:
        one.snapshot._forget()
    assert one.snapshot._inherited is connection
    assert one.revision("acme") == 1
    assert one.snapshot._connection is not connection
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_whoever_is_told_may_use_the_client(path, hand):
    """Nothing is locked while the observer hears of it."""
    one = Process(path.parent, hand)
    one.observer.count = lambda name: one.snapshot.flush()
    one.snapshot.flush()
    assert not one.snapshot.is_usable
