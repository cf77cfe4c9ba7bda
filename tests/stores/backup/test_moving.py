"""From any store to any other: the file is the same, and so are all answers. Who is killed leaves no half."""

from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from payaid_entitlements import Entitlements
from payaid_entitlements.errors import StoreIncomplete, StoreNotEmpty
from payaid_entitlements.stores.backup import export_to, import_from, verify
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.redis import RedisStore
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.tables import tables
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    everything,
    same_again,
    tenant_write,
)
from tests.stores.backup.conftest import change, forget, put, written
from tests.stores.conftest import driven

NUMBERS = itertools.count(1)
PATIENT = "?socket_timeout=20&socket_connect_timeout=20"

#: Few, so that things happen to one of them often; some as people and attackers write them.
TENANTS = st.sampled_from(["acme", "Acme", "acme}", "a:b", "ä\u0308", "शिव", "🙂", "x" * 255, "1", "nobody'; --"])
NAMES = st.sampled_from(["pro", "free", "p:ro", "größe", "{pro}"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text('aä\x00\n"\\🙂'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)
ACTS = st.tuples(
    st.sampled_from(["tenant", "tenant", "tenant", "forget", "catalog", "controls"]),
    TENANTS,
    st.none() | NAMES,
    st.lists(NAMES, max_size=3, unique=True),
    st.dictionaries(st.text("ab", max_size=2), JSON, max_size=2),
    st.none() | st.sampled_from(["op-1", "Op-1", "op-2", "ö"]),
    st.none() | st.integers(0, 2**50),
    st.none() | st.text("aä\n🙂", max_size=5),
)


def filled(acts):
    """A store to which *acts* were done; an operation of a tenant is used once."""
    store, used = MemoryStore(), set()
    for what, tenant, plan, modules, detail, wanted, as_of, because in acts:
        known = store.read([tenant]).get(tenant)
        scope = tenant if what in ("tenant", "forget") else None
        operation = None if (scope, wanted) in used else wanted
        used.add((scope, operation))
        named = {"operation": operation, "as_of": as_of, "because": because}
        if what == "tenant":
            put(store, tenant_write(tenant, known, plan=plan, modules=modules, detail=detail), **named)
        elif what == "forget" and known is not None and known.timelines:
            forget(store, tenant)
            used = {each for each in used if each[0] != tenant}
        elif what == "catalog":
            put(store, catalog_write(store.catalog()), **named)
        elif what == "controls":
            put(store, controls_write(store.controls()), **named)
    return store


@pytest.fixture
def places(tmp_path, postgres_url, mariadb_url, redis_url, redis_cluster_url):
    """A function that gives an empty store of each kind, and closes them when the next ones are asked for."""
    opened = []
    engines = {2: create_engine(driven(postgres_url)), 3: create_engine(driven(mariadb_url))}

    def empty():
        close()
        number = next(NUMBERS)
        opened.extend(
            (
                MemoryStore(),
                SQLStore(f"sqlite:///{tmp_path}/{number}.db"),
                SQLStore(postgres_url, prefix=f"moved{number}_"),
                SQLStore(mariadb_url, prefix=f"moved{number}_"),
                RedisStore(redis_url + PATIENT, prefix=f"moved{number}"),
                RedisStore(redis_cluster_url + PATIENT, prefix=f"moved{number}"),
            )
        )
        for place in engines:
            opened[place].upgrade()
        return list(opened)

    def close():
        for store in opened:
            store.close()
        if opened:
            for place, engine in engines.items():
                tables(opened[place]._statements.prefix).metadata.drop_all(engine)
        opened.clear()

    yield empty
    close()
    for engine in engines.values():
        engine.dispose()


def _moves(places, store):
    """Through one of each kind, and back to the first."""
    before, held = everything(store), written(store)
    file = held
    for place in (*places(), MemoryStore()):
        content = import_from(place, io.BytesIO(file))
        assert everything(place) == before
        file = written(place)
        # Apart from the line that says when and where from, and the checksum of that.
        assert file.splitlines()[1:-1] == held.splitlines()[1:-1]
        assert content.sha256 == verify(io.BytesIO(held)).sha256


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(acts=st.lists(ACTS, max_size=14))
def test_all_moves_to_every_store_and_back(places, acts):
    _moves(places, filled(acts))


@pytest.mark.soak
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(acts=st.lists(ACTS, max_size=40))
def test_all_moves_whatever_it_is(places, acts):
    _moves(places, filled(acts))


def _many(count):
    store = MemoryStore()
    put(store, catalog_write())
    for number in range(count):
        change(store, f"tenant-{number}", operation=f"op-{number}", detail={"asked": [number, "x" * 200]})
    return store


def test_several_pages_move(places):
    _moves(places, _many(1200))


@pytest.mark.soak
def test_ten_thousand_tenants_move(places):
    _moves(places, _many(10_000))


def test_what_is_repeated_is_known_everywhere(places):
    store = MemoryStore()
    write = tenant_write("acme", detail={"asked": {"plan": "pro"}})
    first = put(store, write, operation="webhook-1")
    for place in places():
        import_from(place, io.BytesIO(written(store)))
        again = place.apply(same_again(write), expect=0, actor="x", because=None, operation="webhook-1")
        assert (again.id, again.applied, again.position) == (first.id, False, 1)


def test_a_client_answers_as_before(places, tmp_path):
    """Through the front door: what was decided before is decided after, and a webhook that comes again is known."""
    with Entitlements.open(
        "memory://", catalog={"catalog": 1, "modules": {"crm": {}}, "plans": {"pro": {"modules": ["crm"]}}}
    ) as ent:
        ent.admin("asha", because="sold").subscribe("acme", "pro", operation="webhook-1")
        ent.admin("asha", because="a breach").suspend("beta")
        export_to(ent._store, tmp_path / "payaid.jsonl")
    for place in places():
        import_from(place, tmp_path / "payaid.jsonl")
        with Entitlements(place) as ent:
            assert ent.check("acme", "crm").allowed
            assert ent.check("beta", "crm").reason == "subscription.suspended"
            again = ent.admin("asha", because="sold").subscribe("acme", "pro", operation="webhook-1")
            assert not again.applied


# -- a process that is killed -----------------------------------------------------------------------------------------


def _killed_in_the_middle(url, content):
    """Feed a `payaid import` the first half of *content*, and kill it when it has taken that."""
    process = subprocess.Popen(
        [sys.executable, "-m", "payaid_entitlements.cli", "import", "-", "--url", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    half = len(content) // 2
    # More than fits into the pipe: when all of it is written, most of it was read.
    assert half > 1_000_000
    process.stdin.write(content[:half])
    process.stdin.flush()
    assert process.poll() is None, process.stderr.read()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize("kind", ["sqlite_url", "migrated_url", pytest.param("made_url", marks=pytest.mark.soak)])
def test_in_a_database_nothing_is_left(kind, request):
    url = request.getfixturevalue(kind)
    other = _many(3000)
    content = written(other)
    _killed_in_the_middle(url, content)
    store = open_store(url)
    store.prepare()
    assert everything(store) == everything(MemoryStore())
    import_from(store, io.BytesIO(content))
    assert written(store).splitlines()[1:-1] == content.splitlines()[1:-1]
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize("kind", ["redis_url", "redis_cluster_url"])
def test_in_redis_the_half_is_refused_until_it_is_whole(kind, request):
    url = request.getfixturevalue(kind) + PATIENT
    other = _many(3000)
    content = written(other)
    _killed_in_the_middle(url, content)
    store = RedisStore(url)
    assert store.current() == 0
    reads = [
        store.prepare,
        store.catalog,
        store.controls,
        lambda: store.read(["tenant-1"]),
        lambda: store.listed(["tenant-1"]),
        store.find,
        store.audit,
        store.outbox,
        lambda: store.changes_since(None),
        lambda: change(store, "acme"),
        lambda: store.apply(tenant_write("acme"), expect=0, actor="x", because=None),
    ]
    for read in reads:
        with pytest.raises(StoreIncomplete, match="run `payaid import` again"):
            read()
    with Entitlements(store) as ent:
        assert ent.check("tenant-1", "crm").reason == "store.unavailable"
    import_from(store, io.BytesIO(content))
    assert written(RedisStore(url)).splitlines()[1:-1] == content.splitlines()[1:-1]
    store.close()


def test_in_redis_two_that_fill_at_once_make_no_mixture(redis_url):
    first, second = RedisStore(redis_url + PATIENT), RedisStore(redis_url + PATIENT)
    first.prepare()
    other = _many(600)

    def told(done, total):
        if done == 1000:  # the first page is written
            second.restore([])

    with pytest.raises(StoreIncomplete, match="somebody else has begun"):
        import_from(first, io.BytesIO(written(other)), told=told)
    assert everything(RedisStore(redis_url)) == everything(MemoryStore())
    first.close()
    second.close()


def test_in_redis_a_filling_that_was_taken_over_empties_nothing(redis_url):
    """It ends by an error of its own, after another one has filled the store."""
    first, second = RedisStore(redis_url + PATIENT), RedisStore(redis_url + PATIENT)
    first.prepare()
    other = _many(10)

    def pages():
        yield []
        with pytest.raises(StoreIncomplete):
            second.prepare()
        import_from(second, io.BytesIO(written(other)))
        raise KeyError

    with pytest.raises(KeyError):
        first.restore(pages())
    assert everything(RedisStore(redis_url + PATIENT)) == everything(other)
    with pytest.raises(StoreNotEmpty):
        first.restore([])
    first.close()
    second.close()


def test_in_redis_a_row_that_was_lost_is_noticed(redis_url):
    store = RedisStore(redis_url + PATIENT)
    store.prepare()
    change(store, "acme")
    store._client.call("DEL", store._questions.keys.rows)
    with pytest.raises(Exception, match="is gone"):
        store.listed(["acme"])
    store.close()


def test_an_empty_redis_is_made_ready_first(redis_url):
    store = RedisStore(redis_url + PATIENT)
    with pytest.raises(Exception, match="has nothing of ours"):
        store.restore([])
    store.close()


# -- what running processes make of it --------------------------------------------------------------------------------


def test_a_process_that_knew_more_than_the_backup_forgets_it(sqlite_url, tmp_path):
    """The file is replaced under a running client, and the new store makes as many changes as the old one had."""
    store = MemoryStore()
    put(store, catalog_write())
    change(store, "acme")
    backup = written(store)
    with Entitlements.open(sqlite_url) as ent:
        import_from(ent._store, io.BytesIO(backup))
        admin = ent.admin("asha", because="sold")
        assert ent.check("acme", "crm").allowed
        admin.suspend("acme")
        assert not ent.check("acme", "crm").allowed
        position = ent._near.position
        ent._store.close()
        file = sqlite_url.removeprefix("sqlite:///")
        for end in ("", "-wal", "-shm"):
            if os.path.exists(file + end):
                os.unlink(file + end)
        import_from(ent._store, io.BytesIO(backup))
        assert ent._store.changes_since(position).gap
        deadline = time.monotonic() + 30
        while not ent.check("acme", "crm").allowed:
            assert time.monotonic() < deadline
            time.sleep(0.2)
