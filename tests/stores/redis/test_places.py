"""URLs of Redis as people write them."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.instant import DAY
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.keeping import KEPT
from payaid_entitlements.stores.redis.places import place_of

OURS = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2, "max_connections": 500, "protocol": 2}


@pytest.mark.parametrize(
    ("url", "name", "nodes"),
    [
        ("redis://localhost", "redis://localhost:6379", (("localhost", 6379),)),
        ("redis://", "redis://localhost:6379", (("localhost", 6379),)),
        ("redis://asha:secret@cache.example:6380/2", "redis://cache.example:6380/2", (("cache.example", 6380),)),
        ("rediss://:secret@cache.example/", "rediss://cache.example:6379", (("cache.example", 6379),)),
        ("redis://[::1]:7000", "redis://::1:7000", (("::1", 7000),)),
        ("redis+cluster://one:7000", "redis+cluster://one:7000", (("one", 7000),)),
        (
            "rediss+cluster://:secret@one:7000,two",
            "rediss+cluster://one:7000,two:6379",
            (("one", 7000), ("two", 6379)),
        ),
        ("unix:///run/redis.sock?password=secret", "unix:///run/redis.sock", ()),
    ],
)
def test_a_place_is_shown_without_what_is_secret(url, name, nodes):
    place = place_of(url)
    assert (place.name, place.nodes, place.prefix) == (name, nodes, "payaid")
    assert "secret" not in repr(place)
    assert place.is_cluster == ("+cluster" in url)


def test_a_place_has_what_the_driver_needs():
    login = {"username": "asha", "password": "a/b", "db": 2}
    assert place_of("redis://asha:a%2Fb@one:1/2").options == {**OURS, **login}
    secure = place_of("rediss+cluster://:p@one?ssl_cert_reqs=none").options
    assert (secure["ssl"], secure["password"], secure["ssl_cert_reqs"]) == (True, "p", "none")
    assert place_of("unix:///run/redis.sock?db=3").options["unix_socket_path"] == "/run/redis.sock"


def test_what_a_url_says_wins():
    place = place_of("redis://one?socket_timeout=1.5&payaid_prefix=app:eu&client_name=billing")
    assert place.prefix == "app:eu"
    assert place.options == {**OURS, "socket_timeout": 1.5, "client_name": "billing"}
    assert place.keeps_for == KEPT
    for url in ("redis://one", "unix:///run/redis.sock", "redis+cluster://one,two"):
        place = place_of(f"{url}?payaid_keep_operations=90d")
        assert place.keeps_for == 90 * DAY
        assert place.options.keys().isdisjoint({"payaid_keep_operations"})


@pytest.mark.parametrize(
    "url",
    [
        "redis://one/two",
        "redis://:12/secret@one",
        "redis://:sec#ret@one",
        "redis://:secret@one:port",
        "redis://one,two",
        "redis+cluster://one/3",
        "redis://one?socket_timeout=secret",
        "redis://one?payaid_schema=secret",
        "redis://one?payaid_prefix=a{secret}",
        "redis://one?payaid_prefix=",
        "redis://one?colour=secret",
        "redis://[secret",
        "redis+sentinel://:secret@one",
        "secret",
        "redis://:7000?secret@host:6379/0",
        "redis://?secret@host/0",
    ],
)
def test_what_is_no_place_is_refused_without_being_shown(url):
    with pytest.raises(ConfigurationError) as caught:
        place_of(url)
    assert "secret" not in str(caught.value).replace("a{secret}", "")
    assert caught.value.__cause__ is None
