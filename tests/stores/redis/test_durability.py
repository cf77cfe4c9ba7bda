"""A Redis is asked whether it keeps what it has acknowledged."""

from __future__ import annotations

import pytest

from payaid_entitlements.stores.redis.durability import durability_of
from tests.stores.redis.conftest import PATIENT


@pytest.mark.parametrize(
    ("options", "is_durable", "found"),
    [
        ({}, False, ["appendonly is no"]),
        ({"appendonly": "yes", "appendfsync": "always"}, True, []),
        ({"appendonly": "yes"}, True, ["appendfsync is everysec"]),
        ({"appendonly": "yes", "appendfsync": "always", "maxmemory_policy": "allkeys-lru"}, True, []),
        (
            {"appendonly": "yes", "appendfsync": "always", "maxmemory": "1gb", "maxmemory_policy": "volatile-lru"},
            True,
            [],
        ),
        (
            {"maxmemory": "1gb", "maxmemory_policy": "allkeys-lru"},
            False,
            ["appendonly is no", "maxmemory-policy is allkeys-lru"],
        ),
    ],
)
def test_what_breaks_a_promise_is_found(open_redis, redis_servers, options, is_durable, found):
    store = open_redis(redis_servers(**options).url + PATIENT)
    assert store.is_durable is is_durable
    assert [concern.found.partition(":")[0] for concern in store.concerns] == found


def test_a_server_is_asked_once(open_redis, redis_servers):
    server = redis_servers()
    store = open_redis(server.url + PATIENT)
    before = store.concerns
    with server.client() as client:
        client.config_set("appendonly", "yes")
    store.prepare()
    assert store.concerns is before


def test_what_may_not_be_asked_is_not_known(open_redis, redis_servers):
    server = redis_servers(appendonly="yes")
    with server.client() as client:
        client.execute_command("ACL SETUSER app on >secret ~* &* +@all -config")
    store = open_redis(server.url.replace("//", "//app:secret@") + PATIENT)
    assert store.concerns == ()
    assert store.is_durable


def test_a_cluster_is_asked_where_the_store_is(open_redis, redis_cluster):
    store = open_redis(redis_cluster.url + PATIENT)
    assert [concern.found.partition(":")[0] for concern in store.concerns] == ["appendonly is no"]


def test_a_server_that_says_little_is_taken_at_its_word():
    assert not durability_of({}, {}).is_durable
    assert durability_of({"aof_enabled": 1}, {}).concerns == ()


@pytest.mark.parametrize("config", [{b"appendfsync": b"no"}, {"appendfsync": "no"}, [b"appendfsync", b"no"]])
def test_an_answer_is_read_in_whichever_form_a_driver_gives_it(config):
    (concern,) = durability_of({"aof_enabled": 1}, config).concerns
    assert concern.found == "appendfsync is no"
