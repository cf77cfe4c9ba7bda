"""Many tenants, entries, holds, slots and events: what is read in parts is whole, and no script takes long."""

from __future__ import annotations

import pytest
import redis

from payaid_entitlements.core.metering.posting import MOST, SLOTS, Assign, Debit, Hold, Line, Mark
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.memory_ledger import MemoryLedger
from payaid_entitlements.stores.redis.ledger import RedisLedger
from payaid_entitlements.stores.redis.ledger.keys import SHARDS, Keys, joined, parted, shard_of
from tests.stores.redis.conftest import PATIENT

DAY = 24 * 3600 * 1_000_000
NOW = 1_790_000_000_000_000
LINE = Line("api", "w1", MOST)


def _fill(tenants, operations):
    """Books and entries of tenants, as another ledger kept them."""
    ledger = MemoryLedger()
    for tenant in tenants:
        for number in range(operations):
            debit = Debit("api", 1, (LINE,))
            ledger.post(tenant, [debit], operation=f"op-{number:05d}", digest="1", now=NOW + number)
    return ledger


def _restored(url, tenants, operations):
    memory, ledger = _fill(tenants, operations), RedisLedger(url + PATIENT)
    for tenant in tenants:
        ledger.restore(tenant, memory.book(tenant), memory.entries(tenant, limit=10**6))
    return ledger, memory


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
def test_all_tenants_are_listed_in_order_page_by_page(request, fixture):
    names = [*sorted((f"tenant-{number}" for number in range(700)), key=str.encode), "\u00e9", "\U0001d552"]
    ledger, _ = _restored(request.getfixturevalue(fixture), names, 0)
    assert ledger.tenants() == []
    for name in names:
        ledger.post(name, [Assign("seats", "asha", 1)])
    for limit in (1, 90, 500, 10_000) if fixture == "redis_url" else (500, 10_000):
        found, after = [], None
        while page := ledger.tenants(after=after, limit=limit):
            assert len(page) <= limit
            found += page
            after = page[-1]
            if limit == 1 and len(found) == 40:
                break
        assert found == names[: len(found)]
        assert limit == 1 or found == names
    if fixture == "redis_url":
        assert ledger.prune(NOW + DAY) == 0
    ledger.close()


def test_many_entries_are_read_whole_and_page_by_page(redis_url):
    ledger, memory = _restored(redis_url, ["acme"], 1300)
    expected = memory.entries("acme", limit=10**6)
    assert ledger.entries("acme", limit=10**6) == expected
    assert ledger.book("acme") == memory.book("acme")
    found, after = [], None
    while page := ledger.entries("acme", after=after, limit=400):
        found += page
        after = page[-1].operation, page[-1].part
    assert found == expected
    # From anywhere, and by two who read at once.
    assert ledger.entries("acme", after=("op-00700", 0), limit=3) == expected[701:704]
    assert ledger.entries("acme", after=("op-00100", 0), limit=3) == expected[101:104]
    assert ledger.entries("acme", after=("op-00103", 0), limit=2) == expected[104:106]
    ledger.close()


def test_what_is_forgotten_between_two_pages_is_not_there(redis_url):
    ledger, _ = _restored(redis_url, ["acme"], 6)
    first = ledger.entries("acme", limit=2)
    with redis.Redis.from_url(redis_url) as client:
        client.hdel(Keys("payaid").of("acme")[1], "0op-00003")
    second = ledger.entries("acme", after=(first[-1].operation, 0), limit=3)
    assert [each.operation for each in second] == ["op-00002", "op-00004", "op-00005"]
    ledger.close()


def test_all_old_operations_are_forgotten_in_parts(redis_url):
    tenants = [f"tenant-{number}" for number in range(3)]
    ledger, _ = _restored(redis_url, tenants, 1300)
    now = ledger.post("tenant-0", [Debit("api", 1, (LINE,))], operation="late", digest="1").at
    assert now - NOW > ledger.keeps_for, "the first of all these entries is old"
    assert ledger.prune(NOW + 5) == 15
    assert ledger.prune(now + DAY, limit=700) >= 700
    while ledger.prune(now + DAY):
        pass
    assert [len(ledger.entries(tenant)) for tenant in tenants] == [1, 0, 0]
    for tenant, used in zip(tenants, (1301, 1300, 1300), strict=True):
        (account,) = ledger.book(tenant).accounts
        assert (account.balance.used, account.folded) == (used, 1300)
    ledger.close()


def test_each_eighth_entry_is_a_reason_to_forget_some(redis_url):
    ledger = RedisLedger(redis_url + PATIENT)
    for kind in ("hot", "other"):
        lines = (LINE,) if kind == "hot" else (LINE, Line("api", "w2", 5))
        for number in range(8):
            ledger.post(kind, [Debit("api", 1, lines)], operation=f"op-{number}", digest="1", now=NOW)
        assert len(ledger.entries(kind)) == 8
        for number in range(8):
            late = NOW + ledger.keeps_for + 1
            ledger.post(kind, [Debit("api", 1, lines)], operation=f"late-{number}", digest="1", now=late)
        assert [each.operation for each in ledger.entries(kind)] == [f"late-{number}" for number in range(8)]
        account = ledger.book(kind).accounts[0]
        assert (account.balance.used, account.folded) == (16, 8)
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(Keys("payaid").of("hot")[2]) == 8
    ledger.close()


def test_holds_and_slots_that_expired_together_are_free_before_anybody_is_refused(redis_url):
    ledger = RedisLedger(redis_url + PATIENT)
    line = Line("api", "w1", 1200)
    for number in range(1200):
        hold = Hold(Debit("api", 1, (line,)), 10)
        assert ledger.post("acme", [hold], operation=f"op-{number}", digest="1", now=NOW).filled
    full = ledger.post("acme", [Debit("api", 1, (line,))], operation="now", digest="1", now=NOW)
    assert full.short is not None
    assert ledger.balances("acme", [line.account], now=NOW + 10)[line.account].held == 0
    late = ledger.post("acme", [Debit("api", 1200, (line,))], operation="late", digest="1", now=NOW + 10)
    assert late.filled[0].balances[0].used == 1200
    assert len(ledger.book("acme").holds) == 0
    for number in range(150):
        ledger.post("acme", [Assign("seats", f"h{number}", 150, 0, 10)], now=NOW + 20)
    assert ledger.post("acme", [Assign("seats", "asha", 150)], now=NOW + 20).short is not None
    # Of more than are freed at once, the one that is asked for is free too.
    again = ledger.post("acme", [Assign("seats", "h149", None)], now=NOW + 30).filled[0]
    assert (again.was_there, again.amount) == (False, 1)
    ledger.post("acme", [Assign("seats", "asha", 2)], now=NOW + 30)
    assert ledger.balances("acme", [("seats", SLOTS)], now=NOW + 30)["seats", SLOTS].used == 2
    ledger.close()


def test_the_slot_that_is_free_next_is_found_behind_many_others(redis_url):
    ledger = RedisLedger(redis_url + PATIENT)
    for number in range(120):
        ledger.post("acme", [Assign("rooms", f"h{number}", None, None, 10 + number)], now=NOW)
    ledger.post("acme", [Assign("seats", "asha", 1, 0, 1000)], now=NOW)
    assert ledger.post("acme", [Assign("seats", "bina", 1)], now=NOW).short.frees_at == NOW + 1000
    ledger.close()


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
def test_events_of_all_tenants_are_claimed_the_oldest_first(request, fixture):
    ledger = RedisLedger(request.getfixturevalue(fixture) + PATIENT)
    for number in range(40):
        debit = Debit("api", 1, (LINE,), marks=(Mark("api", 1),))
        ledger.post(f"tenant-{number}", [debit], operation="op-1", digest="1", now=NOW + number)
    first = ledger.claim_events(5, DAY, now=NOW + 100)
    assert [each.tenant for each in first] == [f"tenant-{number}" for number in range(5)]
    ledger.drop_events([*(each.id for each in first[:3]), "nothing of ours", "../etc"])
    assert len(ledger.claim_events(100, DAY, now=NOW + 100)) == 35
    assert ledger.claim_events(100, DAY, now=NOW + 100) == []
    later = ledger.claim_events(100, DAY, now=NOW + 100 + DAY)
    assert sorted(each.id for each in later) == [each.id for each in later]
    assert len(later) == 37
    ledger.forget("tenant-5")
    assert len(ledger.claim_events(100, DAY, now=NOW + 100 + 2 * DAY)) == 36
    ledger.close()


def test_events_of_which_nobody_hears_do_not_stay_for_ever(redis_url):
    ledger = RedisLedger(redis_url + PATIENT)
    marks = tuple(Mark("api", at) for at in range(1, 9))
    for number, now in enumerate([NOW, NOW, NOW + 36 * DAY, NOW + 36 * DAY]):
        line = Line("api", f"w{number}", 100)
        ledger.post("acme", [Debit("api", 2, (line,), marks=marks)], operation=f"op-{number}", digest="1", now=now)
    told = ledger.claim_events(100, 1, now=NOW + 37 * DAY)
    assert {each.at for each in told} == {NOW + 36 * DAY}
    ledger.close()


def test_names_that_are_joined_are_told_apart():
    pairs = [("a", "bc"), ("ab", "c"), ("1:a", "b"), ("", "1:ab"), ("\u00e9", "x"), ("a:", ":b")]
    assert len({joined(*pair) for pair in pairs}) == len(pairs)
    assert [parted(joined(*pair)) for pair in pairs] == pairs


def test_a_tenant_s_keys_have_the_tag_of_its_shard_whatever_its_name():
    keys = Keys("payaid")
    for tenant in ("acme", "{x}", "}{", "a}b", "é\n"):
        tag = f"{{payaid:u:{shard_of(tenant):02x}}}".encode()
        assert all(key.startswith(tag) for key in keys.of(tenant))
        assert len(set(keys.of(tenant))) == 7
    # Changed, nothing that is stored would be found.
    assert (SHARDS, shard_of("acme"), shard_of("tenant-1"), shard_of("\u00e9")) == (32, 13, 10, 13)


def test_an_asynchronous_reading_that_takes_too_long_has_no_answer(colour, open_ledger, redis_servers):
    server = redis_servers()
    ledger = open_ledger(server.url + "?socket_timeout=0.2")
    assert ledger.tenants() == []
    server.pause()
    with pytest.raises(StoreUnavailable):
        ledger.book("acme")
    server.resume()
