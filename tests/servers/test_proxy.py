"""The network that fails on demand fails as it was told, and only then."""

from __future__ import annotations

import socket
import threading
import time

import psycopg
import pymysql
import pytest
import redis

from tests.servers.proxy import Proxy
from tests.waiting import until


def asked(proxy: Proxy, **options) -> redis.Redis:
    """A client of Redis by way of *proxy* that waits for 0.3 seconds and repeats nothing."""
    return redis.Redis.from_url(
        proxy.url, **{"socket_timeout": 0.3, "retry": None, "protocol": 2, "decode_responses": True} | options
    )


@pytest.fixture
def direct(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def proxy(redis_url, proxies):
    return proxies(redis_url)


def test_what_is_said_is_passed_on_and_counted(proxy, direct):
    with asked(proxy) as client:
        client.ping()
        asked_before, answered_before = proxy.asked, proxy.answered
        assert client.set("key", "x" * 200_000)
        assert client.get("key") == "x" * 200_000
        assert proxy.asked - asked_before > 200_000
        assert proxy.answered - answered_before > 200_000
        assert (proxy.accepted, proxy.open) == (1, 1)
    assert direct.strlen("key") == 200_000


def test_each_server_is_reached_by_its_own_url(postgres_url, mariadb_server, proxies):
    with psycopg.connect(proxies(postgres_url).url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    proxy = proxies(mariadb_server.url)
    with pymysql.connect(host="127.0.0.1", port=proxy.port, user="app", password="pw") as other:
        assert other.ping(reconnect=False) is None
    assert proxy.answered


def test_replies_are_late(proxy):
    with asked(proxy, socket_timeout=5) as client:
        client.ping()
        proxy.delay(0.2)
        begun = time.monotonic()
        client.ping()
        assert time.monotonic() - begun >= 0.2
        proxy.heal()


def test_nothing_is_passed_on_and_nothing_is_lost(proxy, direct):
    """While it is frozen nobody is told anything; afterwards what was said arrives."""
    with asked(proxy) as client:
        client.ping()
        proxy.freeze()
        with pytest.raises(redis.TimeoutError):
            client.incr("count")
        with pytest.raises(redis.TimeoutError):
            client.ping()  # a new connection is taken, and gets no answer
        assert direct.get("count") is None
        proxy.heal()
        until(lambda: direct.get("count") == "1")
        assert client.ping()


def test_a_reply_is_lost_after_the_server_has_done_what_it_was_told(proxy, direct):
    with asked(proxy) as client:
        client.ping()
        proxy.drop_reply(to=b"INCR")
        assert client.set("other", "1")  # is not the one
        with pytest.raises(redis.ConnectionError):
            client.incr("count")
        assert direct.get("count") == "1"
        assert client.incr("count") == 2  # only one is lost
    assert proxy.dropped == 1


def test_the_reply_to_a_commit_is_lost(postgres_url, proxies):
    proxy = proxies(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as direct:
        direct.execute("CREATE TABLE t (i int)")
        connection = psycopg.connect(proxy.url)
        connection.execute("INSERT INTO t VALUES (1)")
        proxy.drop_reply(to=b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        connection.close()
        assert direct.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_connections_end_without_a_goodbye(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(100) == b"+PONG\r\n"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    until(lambda: proxy.open == 0)
    with asked(proxy) as client:
        assert client.ping()


def test_new_connections_are_refused(proxy):
    with asked(proxy) as client:
        client.ping()
        proxy.refuse()
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                client.ping()
        until(lambda: proxy.open == 0)
        proxy.heal()
        assert client.ping()


def test_half_of_a_connection_is_closed(proxy, direct):
    """Who only listens hears the end of it; who speaks is still heard."""
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(100) == b"+PONG\r\n"
        proxy.half_close()
        assert client.recv(100) == b""
        client.sendall(b"SET key value\r\n")
        until(lambda: direct.get("key") == "value")


def test_nobody_is_behind_it(redis_servers, proxies):
    server = redis_servers()
    proxy = proxies(server.url)
    server.kill()
    with asked(proxy) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    server.start()
    with asked(proxy) as client:
        assert client.ping()


def test_it_leaves_no_thread_and_no_socket(redis_url):
    before = threading.active_count()
    proxy = Proxy(redis_url)
    with asked(proxy) as client, asked(proxy) as other:
        client.ping()
        other.ping()
        proxy.freeze()
        proxy.close()
        assert (proxy.open, threading.active_count()) == (0, before)
        with pytest.raises(redis.ConnectionError):
            client.ping()
