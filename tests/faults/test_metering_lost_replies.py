"""
The answer to an act that was committed is lost: it is said to be unknown, and repeating it says that it is done, once.

In a file there is no way on which an answer could get lost; processes that are killed right behind a commit are in
`test_metering_crashes`.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

import pytest
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry

from payaid_entitlements import Entitlements
from payaid_entitlements.errors import OutcomeUnknown
from payaid_entitlements.stores.redis.ledger.script import POST
from tests.faults.metering import sell

FEATURE = "shop.many"


class Road:
    """
    A way to a store on which answers get lost.

    Args:
        place: What a client is opened with.
        commits: By what is asked last to make an act true; None where it is the act itself, in one statement.
    """

    def __init__(self, place, proxies, commits):
        self.place, self._proxies, self._commits = place, proxies, commits

    @property
    def dropped(self):
        """How many answers were lost."""
        return sum(proxy.dropped for proxy in self._proxies)

    def lose(self, name, is_consume):
        """Lose the next answer to an act of this name that was committed."""
        at = self._commits(name, is_consume)
        for proxy in self._proxies:
            proxy.drop_reply(at)

    def heal(self):
        """Lose no more; to be said where one of several proxies has lost it."""
        for proxy in self._proxies:
            proxy.heal()


@pytest.fixture(params=["postgresql", "mysql", "redis", "cluster"])
def road(request, proxies):
    """A way to each kind of server, where `tests.faults.metering` has something for sale."""
    named = {"postgresql": "postgres_url", "mysql": "mariadb_url", "redis": "redis_url"}
    if request.param != "cluster":
        url = request.getfixturevalue(named[request.param])
        sell(url, ["acme"])
        proxy = proxies(url)
        commits = {
            # A consume is one statement, which commits by itself.
            "postgresql": lambda name, is_consume: name.encode() if is_consume else b"COMMIT\x00",
            "mysql": lambda name, is_consume: b"\x03COMMIT",
            "redis": lambda name, is_consume: POST.sha.encode(),
        }
        yield Road(proxy.url, [proxy], commits[request.param])
        return
    cluster = request.getfixturevalue("redis_cluster")
    sell(cluster.url, ["acme"])
    before = {server.port: proxies(server.url) for server in cluster.masters}
    client = RedisCluster(
        startup_nodes=[ClusterNode("127.0.0.1", proxy.port) for proxy in before.values()],
        address_remap=lambda address: ("127.0.0.1", before[address[1]].port) if address[1] in before else address,
        retry=Retry(NoBackoff(), 0),
    )
    yield Road(client, list(before.values()), lambda name, is_consume: POST.sha.encode())
    client.close()


def lost(road, name, act, is_consume=False):
    """Do *act* so that its answer gets lost, and once more."""
    before = road.dropped
    road.lose(name, is_consume)
    with pytest.raises(OutcomeUnknown) as unknown:
        act()
    road.heal()
    assert road.dropped == before + 1
    assert unknown.value.operation in (name, None)
    again = act()
    assert again is None or again.replayed
    return again


def assert_done_once(road, times, record):
    """Lose the answers to so many acts, of each kind in turn; look after each at what is used and held."""
    began, expected, done = time.monotonic(), 0, Counter()
    with Entitlements.open(road.place) as ent:

        def counted():
            usage = ent.usage("acme", FEATURE)[FEATURE]
            return usage.used, usage.held

        ent.consume("acme", FEATURE, 1, operation="first")
        expected = 1
        for turn in range(times):
            name, amount = f"lost-{turn:05}", turn % 7 + 2
            consume = partial(ent.consume, "acme", FEATURE, amount, operation=name)
            reserve = partial(ent.reserve, "acme", FEATURE, amount, operation=name)
            match turn % 5:
                case 0:
                    kind, usages = "consume", lost(road, name, consume, is_consume=True)
                    assert usages.taken == amount
                    expected += amount
                case 1:
                    kind, hold = "reserve", lost(road, name, reserve)
                    assert (hold.amount, counted()) == (amount, (expected, amount))
                    hold.release()
                case 2:
                    kind, hold = "settle", reserve()
                    assert lost(road, name, partial(hold.settle, amount - 1)).taken == amount - 1
                    expected += amount - 1
                case 3:
                    kind, hold = "release", reserve()
                    lost(road, name, hold.release)
                case _:
                    kind = "refund"
                    consume()
                    usages = lost(road, name, lambda: ent.refund("acme", operation=name)[FEATURE])  # noqa: B023
                    assert usages.taken == -amount
            done[kind] += 1
            assert counted() == (expected, 0)
    assert road.dropped == times
    record("lost", dict(done))
    record("seconds", round(time.monotonic() - began, 1))


def test_an_act_whose_answer_was_lost_is_unknown_and_done_once(road, record):
    assert_done_once(road, 10, record)


@pytest.mark.soak
def test_200_acts_whose_answers_were_lost_are_done_once(road, record):
    assert_done_once(road, 200, record)
