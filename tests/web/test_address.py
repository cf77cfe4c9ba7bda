"""By which address a caller is counted: never by what the caller has written."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.address import UNKNOWN, client_address

LIES = (
    "10.0.0.1",
    "127.0.0.1",
    "::1",
    "",
    " ",
    "unknown",
    "_hidden",
    "1.2.3.4, 5.6.7.8",
    '"1.2.3.4"',
    "999.1.1.1",
    "\x00",
)


@pytest.mark.parametrize(
    ("written", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7:61234", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
        ("", UNKNOWN),
        ("unknown", UNKNOWN),
        ("_secret", UNKNOWN),
        ("[", UNKNOWN),
        ("1.2.3", UNKNOWN),
        ("01.2.3.4", UNKNOWN),
        ("1.2.3.4.5", UNKNOWN),
        ("testclient", UNKNOWN),
    ],
)
def test_an_address_is_read_as_it_is_written(written: str, counted: str) -> None:
    assert client_address(written, [], proxies=0) == counted
    assert client_address("192.0.2.1", [written], proxies=1) == counted


def test_neighbours_in_one_network_are_one_caller() -> None:
    one, same, other = "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::1"
    assert client_address(one, [], proxies=0) == client_address(same, [], proxies=0)
    assert client_address(one, [], proxies=0) != client_address(other, [], proxies=0)


@pytest.mark.parametrize("proxies", range(4))
def test_what_a_client_writes_changes_nothing(proxies: int) -> None:
    """RL-11: 200 chains; the client's own entries come before those of the proxies."""
    chance = random.Random(proxies)
    client, own = "198.51.100.23", [f"10.1.0.{number}" for number in range(1, 4)]
    for _ in range(50):
        invented = chance.choices(LIES, k=chance.randrange(5))
        # Each proxy writes whom it was called from: the client, and then one proxy after the other.
        hops = [client, *own[: proxies - 1]] if proxies else []
        chain = [*invented, *hops]
        fields = [", ".join(chain)] if chance.random() < 0.5 else chain
        peer = own[proxies - 1] if proxies else client
        assert client_address(peer, fields, proxies=proxies) == client


def test_who_comes_past_the_proxies_counts_by_the_connection() -> None:
    assert client_address("203.0.113.7", [], proxies=2) == "203.0.113.7"
    assert client_address("203.0.113.7", ["198.51.100.1"], proxies=2) == "203.0.113.7"
    assert client_address(None, [], proxies=2) == UNKNOWN
    assert client_address(None, ["198.51.100.1"], proxies=0) == UNKNOWN


@given(st.one_of(st.none(), st.text()), st.lists(st.text()), st.integers(0, 5))
def test_whatever_comes_is_answered(peer: str | None, fields: list[str], proxies: int) -> None:
    assert client_address(peer, fields, proxies=proxies)


@pytest.mark.parametrize("proxies", [-1, True, 1.0, "1", None])
def test_the_number_of_proxies_is_a_number(proxies: object) -> None:
    with pytest.raises(ConfigurationError, match="how many proxies"):
        client_address("203.0.113.7", [], proxies=proxies)  # type: ignore[arg-type] # what a mistake would pass
