"""What goes wrong with Redis has a name of ours, and of a write it is said whether it may have happened."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
import redis
import redis.exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from payaid_entitlements.errors import OutcomeUnknown, SchemaOutOfDate, StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.redis import RedisStore
from payaid_entitlements.stores.redis.failing import answered, sent
from payaid_entitlements.testing.contracts.writes import same_again, tenant_write
from tests.stores.redis.conftest import PATIENT

READS = {
    "read": lambda store: store.read(["acme"]),
    "catalog": lambda store: store.catalog(),
    "controls": lambda store: store.controls(),
    "flags": lambda store: store.flags(),
    "changes_since": lambda store: store.changes_since(None),
    "find": lambda store: store.find(),
    "audit": lambda store: store.audit(),
    "outbox": lambda store: store.outbox(),
}


def _write(store, write=None, *, operation="op-1"):
    return store.apply(write or tenant_write("acme"), expect=0, actor="asha", because=None, operation=operation)


def _fails(store, kind=StoreUnavailable, match=None):
    """Nothing is answered, and that a change was not done is certain."""
    for act in (*READS.values(), _write):
        with pytest.raises(kind, match=match) as caught:
            act(store)
        assert not isinstance(caught.value, OutcomeUnknown)


def _refuses_changes(store, match):
    with pytest.raises(StoreUnavailable, match=match) as caught:
        _write(store)
    assert not isinstance(caught.value, OutcomeUnknown)
    for act in READS.values():
        act(store)


def test_a_server_that_is_not_there(open_redis, redis_servers):
    server = redis_servers()
    store = open_redis(server.url + PATIENT)
    server.kill()
    _fails(store)
    server.start()
    store.prepare()
    assert _write(store).applied


def test_a_server_that_hangs(open_redis, redis_servers):
    server = redis_servers()
    patient, store = open_redis(server.url + PATIENT), open_redis(server.url, ready=False)
    server.pause()
    _fails(store)
    server.resume()
    assert _write(patient).applied


def test_a_lost_answer_to_a_change_is_found_out_by_repeating_it(open_redis, redis_url, proxies):
    proxy = proxies(redis_url)
    store = open_redis(proxy.url + PATIENT)
    _write(store)  # the server knows the script from now on
    for revision in (0, 1):
        write = tenant_write(f"acme-{revision}")
        proxy.drop_reply(to=b"EVALSHA")
        with pytest.raises(OutcomeUnknown) as caught:
            _write(store, write, operation="op-1")
        assert caught.value.operation == "op-1"
        assert caught.value.__cause__ is not None
        again = _write(store, same_again(write), operation="op-1")
        assert (again.id, again.applied) == (write.id, False)
        assert len(store.audit(tenant=f"acme-{revision}")) == 1
    assert proxy.dropped == 2


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
def test_a_connection_that_was_closed_while_nobody_used_it_costs_no_answer(request, fixture, open_redis):
    """As servers and proxies do after some minutes. A change begins with a question, which notices."""
    url = request.getfixturevalue(fixture)
    store = open_redis(url + PATIENT)
    for number in range(3):
        _write(store, tenant_write(f"acme-{number}"), operation=None)
        request.getfixturevalue("hang_up")()
        assert len(store.read([f"acme-{number}", "nobody"])) == 1
        request.getfixturevalue("hang_up")()


@pytest.fixture
def hang_up(request):
    """A function that ends all connections of clients to the servers of the session."""
    servers = [request.getfixturevalue("emptied_redis")[0], *request.getfixturevalue("emptied_cluster")[0].masters]

    def hang_up():
        for server in servers:
            with server.client() as client:
                client.client_kill_filter(_type="normal", skipme=True)

    return hang_up


def test_a_connection_that_breaks_again_and_again_is_an_outage(open_redis, redis_url, proxies):
    proxy = proxies(redis_url)
    store = open_redis(proxy.url + PATIENT)
    proxy.refuse()
    accepted = proxy.accepted
    with pytest.raises(StoreUnavailable):
        store.read(["acme"])
    assert proxy.accepted - accepted <= 3
    with pytest.raises(StoreUnavailable) as caught:
        _write(store)
    assert not isinstance(caught.value, OutcomeUnknown)
    proxy.heal()
    assert _write(store).applied


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
def test_a_client_of_the_host_that_sends_again_does_it_once(request, fixture, proxies):
    """Whose retries we do not make. The script knows the change by its id, with and without an operation."""
    url = request.getfixturevalue(fixture).replace("+cluster", "")
    if fixture == "redis_url":
        proxy = proxies(url)
        hosts = redis.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 1))
    else:
        with redis.RedisCluster.from_url(url) as cluster:
            proxy = proxies(f"redis://127.0.0.1:{cluster.get_node_from_key('{payaid}').port}")
        theirs = int(proxy.url.rpartition(":")[2])
        behind = int(proxy._server[1])
        hosts = redis.RedisCluster.from_url(
            url, address_remap=lambda place: (place[0], theirs if place[1] == behind else place[1])
        )
    with hosts:
        store = RedisStore(hosts)
        store.prepare()
        _write(store, tenant_write("first"), operation=None)
        for number, operation in enumerate(("op-1", None)):
            write = tenant_write(f"acme-{number}")
            proxy.drop_reply(to=b"EVALSHA")
            applied = _write(store, write, operation=operation)
            assert (applied.id, applied.applied, applied.position) == (write.id, True, number + 2)
        assert proxy.dropped == 2
        assert [entry.tenant for entry in store.audit()] == ["first", "acme-0", "acme-1"]


def test_of_a_client_that_sends_again_the_last_answer_says_nothing_of_the_first():
    error = redis.exceptions.ReadOnlyError("You can't write against a read only replica.")
    with pytest.raises(OutcomeUnknown), sent("op-1", repeats=True):
        raise error
    with pytest.raises(StoreUnavailable) as caught, sent("op-1", repeats=False):
        raise error
    assert not isinstance(caught.value, OutcomeUnknown)


def test_a_replica(open_redis, redis_servers):
    master, replica = redis_servers(), redis_servers()
    open_redis(master.url + PATIENT)
    with replica.client() as client:
        client.replicaof("127.0.0.1", master.port)
        end = time.monotonic() + 30
        while client.info("replication")["master_link_status"] != "up" and time.monotonic() < end:
            time.sleep(0.05)
    store = open_redis(replica.url + PATIENT, ready=False)
    _refuses_changes(store, "open the master")


def test_a_server_without_memory(open_redis, redis_url, redis_client):
    store = open_redis(redis_url + PATIENT)
    redis_client.config_set("maxmemory", "1")
    _refuses_changes(store, "no memory left")
    redis_client.config_set("maxmemory", "0")
    assert _write(store).applied


def test_a_user_without_permissions(open_redis, redis_servers):
    server = redis_servers()
    open_redis(server.url + PATIENT)
    with server.client() as client:
        client.execute_command("ACL SETUSER reader on >secret ~* +hmget")
    store = open_redis(server.url.replace("//", "//reader:secret@") + PATIENT, ready=False)
    assert store.read(["acme"]) == {}
    with pytest.raises(StoreUnavailable, match="may not do that"):
        store.find()
    wrong = open_redis(server.url.replace("//", "//reader:wrong@") + PATIENT, ready=False)
    with pytest.raises(StoreUnavailable, match="does not accept our login") as caught:
        wrong.read(["acme"])
    assert "wrong" not in str(caught.value).replace("WRONGPASS", "")


def test_the_permissions_that_the_guide_names_are_enough_and_no_key_of_others_is_touched(open_redis, redis_servers):
    server = redis_servers(appendonly="yes")
    granted = "~{payaid}:* &{payaid}:* +@read +@write +@connection +@pubsub +eval +evalsha +info +config|get"
    with server.client() as client:
        client.execute_command(f"ACL SETUSER app on >secret {granted}".replace("config|get", _config_get(client)))
    store = open_redis(server.url.replace("//", "//app:secret@") + PATIENT)
    assert [concern.found for concern in store.concerns] == ["appendfsync is everysec"]
    write = tenant_write("acme")
    _write(store, write)
    store.add_tallies("flag:1", {"n": 2})
    assert store.tallies("flag:1") == {"n": 2}
    store.drop_tallies("flag:1")
    for act in READS.values():
        act(store)
    assert _write(store, same_again(write)).applied is False


def _config_get(client):
    """Permission for one subcommand is as old as Redis 7."""
    return "config|get" if int(client.info("server")["redis_version"].split(".")[0]) >= 7 else "config"


def test_a_server_that_is_busy_with_a_script(open_redis, redis_servers):
    server = redis_servers(lua_time_limit="20")
    store = open_redis(server.url + PATIENT)
    loop = server.client()
    thread = threading.Thread(target=lambda: _swallow(lambda: loop.eval("while true do end", 0)))
    thread.start()
    time.sleep(0.3)
    try:
        _fails(store, match="BUSY|busy")
    finally:
        with server.client() as client:
            client.script_kill()
        thread.join()
        loop.close()
    assert _write(store).applied


def _swallow(act):
    with suppress(redis.RedisError):
        act()


def test_a_cluster_without_its_slot(open_redis, redis_clusters):
    cluster = redis_clusters()
    store = open_redis(cluster.url + PATIENT)
    with redis.RedisCluster.from_url(cluster.url.replace("+cluster", "")) as client:
        client.get_redis_connection(client.get_node_from_key("{payaid}")).execute_command(
            "CLUSTER DELSLOTS", client.keyslot("{payaid}")
        )
    for act in (READS["read"], _write):
        with pytest.raises(StoreUnavailable) as caught:
            act(store)
        assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "still loading"),
        (redis.exceptions.MaxConnectionsError("Too many connections"), "all connections"),
        (redis.exceptions.ClusterDownError("CLUSTERDOWN The cluster is down"), "cluster is down"),
        (redis.exceptions.MasterDownError("MASTERDOWN Link with MASTER is down"), "cluster is down"),
        (redis.exceptions.TryAgainError("TRYAGAIN"), "TRYAGAIN"),
        (
            redis.exceptions.ResponseError("Error running script: @user_script: 32: -READONLY You can't"),
            "open the master",
        ),
        (redis.exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "MISCONF"),
    ],
)
def test_what_a_server_says_instead_was_not_done(error, says):
    for door in (answered(), sent("op-1", repeats=False)):
        with pytest.raises(StoreUnavailable, match=says) as caught, door:
            raise error
        assert not isinstance(caught.value, OutcomeUnknown)
        assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.TimeoutError(),
        redis.exceptions.ConnectionError("Connection closed by server."),
        redis.exceptions.RedisClusterException("no node"),
        OSError(),
    ],
)
def test_a_connection_that_breaks_says_nothing(error):
    with pytest.raises(OutcomeUnknown) as caught, sent("op-1", repeats=False):
        raise error
    assert caught.value.operation == "op-1"


@pytest.fixture
def redis_client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def test_a_store_that_was_emptied_answers_nothing_until_it_is_made_ready(open_redis, redis_url, redis_client):
    """Nobody is taken for a tenant of whom nothing is known: that would be the default plan, also of the suspended."""
    store = open_redis(redis_url + PATIENT)
    _write(store)
    redis_client.flushall()
    _fails(store, StoreDamaged, "nothing of ours")
    store.prepare()
    assert store.read(["acme"]) == {}


def test_a_store_of_which_a_part_is_gone_says_so(open_redis, redis_url, redis_client):
    store = open_redis(redis_url + PATIENT)
    _write(store)
    for key in ("documents", "index", "log", "trail", "known"):
        redis_client.rename(f"{{payaid}}:{key}", "kept")
        with pytest.raises(StoreDamaged):
            store.changes_since(None)
        with pytest.raises(StoreDamaged):
            _write(store, operation="op-2")
        if key == "documents":
            with pytest.raises(StoreDamaged, match="is gone"):
                store.prepare()
            with pytest.raises(StoreDamaged):
                store.read(["acme"])
        redis_client.rename("kept", f"{{payaid}}:{key}")
    redis_client.rename("{payaid}:rows", "kept")
    with pytest.raises(StoreDamaged):
        store.find()
    redis_client.rename("kept", "{payaid}:rows")
    _write(store, tenant_write("beta"), operation="op-3")
    redis_client.hdel("{payaid}:trail", "1")
    with pytest.raises(StoreDamaged):
        store.audit()


@pytest.mark.parametrize("field", ["=acme", "controls", "catalog"])
def test_what_is_no_text_is_damaged(open_redis, redis_url, redis_client, field):
    store = open_redis(redis_url + PATIENT)
    redis_client.hset("{payaid}:documents", field, b"1\n\xff")
    with pytest.raises(StoreDamaged):
        READS["read" if field == "=acme" else field](store)


def test_flags_that_are_no_text_say_so_and_stop_nobody(open_redis, redis_url, redis_client):
    store = open_redis(redis_url + PATIENT)
    redis_client.hset("{payaid}:documents", "flags", b"1\n\xff")
    found = READS["flags"](store)
    assert (found.revision, bool(found.damage), dict(found.flags)) == (1, True, {})


def test_documents_that_are_older_than_the_log_are_not_written_to(open_redis, redis_url, redis_client):
    store = open_redis(redis_url + PATIENT)
    _write(store)
    redis_client.hset("{payaid}:documents", "position", "0")
    with pytest.raises(StoreDamaged):
        _write(store, tenant_write("beta"), operation="op-2")
    assert redis_client.hget("{payaid}:documents", "=beta") is None


@pytest.mark.parametrize("key", ["documents", "rows", "index", "log", "trail", "known"])
def test_a_key_that_somebody_else_uses_is_said_and_nothing_is_written(open_redis, redis_url, redis_client, key):
    store = open_redis(redis_url + PATIENT)
    _write(store)
    redis_client.delete(f"{{payaid}}:{key}")
    redis_client.set(f"{{payaid}}:{key}", "mine")
    with pytest.raises(StoreDamaged, match="another type"):
        _write(store, tenant_write("beta"), operation="op-2")
    if key != "documents":
        assert redis_client.hget("{payaid}:documents", "=beta") is None


def test_a_layout_of_a_later_release_is_refused(open_redis, redis_url, redis_client):
    store = open_redis(redis_url + PATIENT)
    _write(store)
    assert store.current() == 1
    redis_client.hset("{payaid}:documents", "layout", "2")
    # A process that is running is not to blame: for those who ask it this is an outage, with all that helps in one.
    _fails(store, StoreDamaged, "version 2, and this release needs version 1")
    with pytest.raises(SchemaOutOfDate, match="version 2, and this release needs version 1"):
        store.prepare()
    assert store.current() == 2
    redis_client.flushall()
    assert store.current() is None
