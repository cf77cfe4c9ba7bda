"""What goes wrong with a ledger's Redis: nothing is counted twice, and of what nobody knows it is found out."""

from __future__ import annotations

import threading

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from payaid_entitlements.core.metering.posting import Assign, Debit, Hold, Line, Refund, Settle
from payaid_entitlements.errors import OutcomeUnknown, StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.redis.ledger import RedisLedger
from tests.stores.redis.conftest import PATIENT

LINE = Line("api", "w1", 5)
ONE = [Debit("api", 1, (LINE,))]
DAY = 24 * 3600 * 1_000_000


def _used(ledger):
    return ledger.balances("acme", [LINE.account])[LINE.account].used


def _use(ledger, operation):
    return ledger.post("acme", ONE, operation=operation, digest="1")


def test_a_lost_answer_is_found_out_by_repeating_it(open_ledger, redis_url, proxies):
    proxy = proxies(redis_url)
    ledger = open_ledger(proxy.url + PATIENT)
    _use(ledger, "op-1")  # the server knows the script from now on
    ledger.post("acme", [Hold(ONE[0], DAY)], operation="op-2", digest="2")
    acts = {
        "op-3": lambda: _use(ledger, "op-3"),
        "op-2": lambda: ledger.post("acme", [Settle("op-2")]),
        "op-1": lambda: ledger.post("acme", [Refund("op-1")]),
    }
    for operation, act in acts.items():
        proxy.drop_reply(to=b"EVALSHA")
        with pytest.raises(OutcomeUnknown) as caught:
            act()
        assert caught.value.operation == operation
        assert caught.value.__cause__ is not None
        assert act().replayed
    assert proxy.dropped == 3
    assert _used(ledger) == 2


@pytest.mark.parametrize("how", ["paused", "stopped"])
def test_a_server_that_stands_still_leaves_what_it_does_unknown(open_ledger, redis_servers, how):
    """A server that was told to pause forgets who has hung up; one that was stopped does what it finds, unheard."""
    server = redis_servers()
    patient, hasty = open_ledger(server.url + PATIENT), open_ledger(server.url + "?socket_timeout=0.2")
    _use(hasty, "op-1")
    with server.client() as client:
        if how == "paused":
            client.client_pause(60_000, all=False)
        else:
            server.pause()
        with pytest.raises(OutcomeUnknown) as caught:
            _use(hasty, "op-2")
        if how == "paused":
            client.client_unpause()
        else:
            server.resume()
    assert caught.value.operation == "op-2"
    assert _use(patient, "op-2").replayed is (how == "stopped")
    assert _use(patient, "op-2").replayed
    assert _used(patient) == 2


def test_a_server_that_is_not_there_has_done_nothing(redis_servers):
    server = redis_servers()
    ledger = RedisLedger(server.url + PATIENT)
    _use(ledger, "op-1")
    server.kill()
    with pytest.raises(StoreUnavailable) as caught:
        _use(ledger, "op-2")
    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.__cause__ is not None
    for act in (lambda: _used(ledger), ledger.tenants, ledger.prepare):
        with pytest.raises(StoreUnavailable):
            act()
    server.start()
    ledger.prepare()
    ledger.prepare()
    assert _use(ledger, "op-2").filled[0].balances[0].used == 1
    ledger.close()


def test_connections_that_were_closed_meanwhile_cost_nothing(open_ledger, redis_url, emptied_redis):
    ledger = open_ledger(redis_url + PATIENT)
    with emptied_redis[0].client() as client:
        for number in range(3):
            _use(ledger, f"op-{number}")
            client.client_kill_filter(_type="normal", skipme=True)
            assert _used(ledger) == number + 1
            client.client_kill_filter(_type="normal", skipme=True)


def test_a_connection_that_breaks_while_it_is_asked_is_asked_once_more(open_ledger, redis_url, proxies):
    proxy = proxies(redis_url)
    ledger = open_ledger(proxy.url + PATIENT)
    _use(ledger, "op-1")
    _used(ledger)
    proxy.drop_reply(to=b"EVALSHA")
    assert _used(ledger) == 1
    proxy.refuse()
    with pytest.raises(StoreUnavailable):
        _used(ledger)
    proxy.heal()
    with open_slow(proxy), pytest.raises(StoreUnavailable):
        open_ledger(proxy.url + "?socket_timeout=0.1").book("acme")


def open_slow(proxy):
    class Slow:
        def __enter__(self):
            proxy.delay(1)

        def __exit__(self, *failure):
            proxy.heal()

    return Slow()


def test_scripts_that_are_forgotten_cost_nothing(open_ledger, redis_url, emptied_redis):
    ledger = open_ledger(redis_url + PATIENT)
    with emptied_redis[0].client() as client:
        for number in range(3):
            client.script_flush()
            assert _use(ledger, f"op-{number}").filled[0].balances[0].used == number + 1


@pytest.mark.parametrize("act", ["hot", "other"])
def test_a_client_of_the_host_that_sends_again_has_done_it_itself(redis_url, proxies, act):
    """Whose retries we do not make. So it is not said to be replayed, and is counted once."""
    proxy = proxies(redis_url)
    with redis.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 1)) as hosts:
        ledger = RedisLedger(hosts)
        _use(ledger, "op-1")
        lines = (LINE,) if act == "hot" else (LINE, Line("api", "w2", 5))
        proxy.drop_reply(to=b"EVALSHA")
        posted = ledger.post("acme", [Debit("api", 1, lines)], operation="op-2", digest="2")
        assert (posted.replayed, posted.filled[0].amount) == (False, 1)
        assert ledger.post("acme", [Debit("api", 1, lines)], operation="op-2", digest="2").replayed
        hold = Debit("api", 1, (LINE,))
        proxy.drop_reply(to=b"EVALSHA")
        assert not ledger.post("acme", [Hold(hold, DAY)], operation="op-3", digest="3").replayed
        for closing in ([Settle("op-3")], [Refund("op-3")]):
            proxy.drop_reply(to=b"EVALSHA")
            assert not ledger.post("acme", closing).replayed
            assert ledger.post("acme", closing).replayed
        assert proxy.dropped == 4
        assert _used(ledger) == 2


def test_a_server_without_memory_counts_nothing(open_ledger, redis_url, emptied_redis):
    ledger = open_ledger(redis_url + PATIENT)
    _use(ledger, "op-1")
    with emptied_redis[0].client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="no memory left") as caught:
            _use(ledger, "op-2")
        client.config_set("maxmemory", "0")
    assert not isinstance(caught.value, OutcomeUnknown)
    assert _use(ledger, "op-2").filled[0].balances[0].used == 2


def test_a_key_of_somebody_else_is_named(open_ledger, redis_url, emptied_redis):
    ledger = open_ledger(redis_url + PATIENT)
    _use(ledger, "op-1")
    with emptied_redis[0].client() as client:
        (key,) = client.scan_iter("*}b:acme")
        client.delete(key)
        client.set(key, "1")
    with pytest.raises(StoreDamaged, match="another type"):
        _use(ledger, "op-2")


def test_threads_that_use_one_ledger_get_their_own_answers(redis_url):
    ledger, wrong = RedisLedger(redis_url + PATIENT), []

    def use(number):
        for count in range(1, 51):
            line = Line("api", f"w{number}", 1000)
            posted = ledger.post(
                f"tenant-{number % 3}", [Debit("api", 1, (line,))], operation=f"{number}/{count}", digest="1"
            )
            if posted.filled[0].balances[0].used != count or posted.filled[0].takes[0].lot != line.lot:
                wrong.append((number, count))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []
    ledger.close()


def test_the_permissions_that_the_guide_names_are_enough(open_ledger, redis_servers):
    server = redis_servers(appendonly="yes")
    granted = "~{payaid:u:* +@read +@write +@connection +eval +evalsha +time +info +config|get"
    with server.client() as client:
        client.execute_command(f"ACL SETUSER app on >secret {granted}")
    ledger = open_ledger(server.url.replace("//", "//app:secret@") + PATIENT)
    ledger.prepare()
    ledger.prepare()
    _use(ledger, "op-1")
    ledger.post("acme", [Assign("seats", "asha", 1)])
    ledger.claim_events(10, 1)
    ledger.prune(0)
    assert (ledger.tenants(), _used(ledger)) == (["acme"], 1)
    assert len(ledger.entries("acme")) == 1
    ledger.forget("acme")
    wrong = open_ledger(server.url.replace("//", "//app:wrong@") + PATIENT)
    for act in (wrong.tenants, lambda: _use(wrong, "op-1"), lambda: wrong.book("acme")):
        with pytest.raises(StoreUnavailable, match="does not accept our login") as caught:
            act()
        assert not isinstance(caught.value, OutcomeUnknown)
