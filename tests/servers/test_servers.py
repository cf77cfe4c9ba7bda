"""The servers of the tests are what they say."""

from __future__ import annotations

import pymysql
import pytest
import redis
from redis.cluster import RedisCluster as Client

from tests.servers.cluster import RedisCluster
from tests.servers.mariadb import PASSWORD, USER


def test_redis_is_empty_and_as_it_was_for_each_test(emptied_redis, redis_url):
    server, empty = emptied_redis
    with server.client() as client:
        client.set("left", "over")
        client.config_set("maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
    empty()
    with server.client() as client:
        assert client.dbsize() == 0
        assert client.config_get("maxmemory*")["maxmemory"] == "0"
        assert client.config_get("maxmemory*")["maxmemory-policy"] == "noeviction"


def test_a_server_of_a_tests_own_stops_hangs_and_starts_again(redis_servers):
    server = redis_servers(appendonly="yes", appendfsync="always")
    with server.client() as client:
        client.set("kept", "1")
    server.pause()
    with server.client(socket_timeout=0.2) as client:
        try:
            client.ping()
        except redis.TimeoutError:
            pass
        else:
            raise AssertionError("a paused server answers")
    server.resume()
    server.kill()
    assert not server.answers()
    server.start()
    with server.client() as client:
        assert client.get("kept") == "1"
    server.stop()


def test_a_cluster_shares_the_slots_among_three_masters(redis_cluster: RedisCluster):
    with Client.from_url(redis_cluster.url.replace("redis+cluster:", "redis:")) as client:
        for number in range(30):
            client.set(f"key-{number}", number)
        assert [client.get(f"key-{number}") for number in range(30)] == [b"%d" % number for number in range(30)]
    counts = []
    for server in redis_cluster.masters:
        with server.client() as client:
            counts.append(client.dbsize())
    assert sum(counts) == 30
    assert min(counts) > 0


def test_mariadb_is_empty_for_each_test(mariadb_server):
    server = mariadb_server
    assert server.run("SHOW TABLES FROM payaid") == ()
    server.run("CREATE TABLE payaid.t (i INT)", "CREATE DATABASE payaid_other")
    with pymysql.connect(host="127.0.0.1", port=server.port, user=USER, password=PASSWORD) as connection:
        server.empty()
        with pytest.raises(pymysql.OperationalError):
            connection.ping(reconnect=False)
    assert server.run("SHOW DATABASES LIKE 'payaid%'") == (("payaid",),)
    assert server.run("SHOW TABLES FROM payaid") == ()


def test_a_mariadb_of_a_tests_own_keeps_what_it_has(mariadb_servers):
    server = mariadb_servers(innodb_flush_log_at_trx_commit="1")
    server.run("CREATE TABLE payaid.t (i INT)", "INSERT INTO payaid.t VALUES (1)")
    server.kill()
    assert not server.answers()
    server.start()
    assert server.run("SELECT i FROM payaid.t") == ((1,),)
    server.stop()
