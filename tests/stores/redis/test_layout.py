"""What people name is told apart whatever characters it has: against the store in memory, and by itself."""

from __future__ import annotations

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.errors import StoreDamaged
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.ports import Scope, Store
from payaid_entitlements.stores.redis.layout import (
    Keys,
    audit_entry,
    channel_of,
    operation_field,
    outbox_event,
    sized,
    tenant_field,
    trail_path,
)
from payaid_entitlements.stores.redis.store import RedisStore
from payaid_entitlements.testing.contracts.writes import controls_write, everything, forgetting, tenant_write
from tests.stores.redis.conftest import PATIENT

#: Characters with a meaning in keys, patterns, messages and Lua, and some that look alike.
SIGNS = st.text(":/{}*?[]=0123456789 \n\0%'\"\\aA\u00e9e\u0301\U0001d552", max_size=6)
LONG = st.sampled_from(["x" * 255, "é" * 255, "{" * 255, "acme", "acme ", "Acme", "1:a", "a5:=acme"])
NAMES = st.one_of(SIGNS.filter(bool), LONG)


@given(SIGNS, SIGNS, SIGNS, SIGNS)
def test_a_name_and_what_follows_are_never_another_name_and_what_follows_it(name, rest, other, another_rest):
    one, two = (name, rest), (other, another_rest)
    assert (sized("m", name) + rest.encode() == sized("m", other) + another_rest.encode()) == (one == two)
    assert (operation_field(name, rest) == operation_field(other, another_rest)) == (one == two)


@given(SIGNS)
def test_kinds_never_meet(name):
    paths = [trail_path(Scope.TENANT, name), trail_path(Scope.CATALOG, None), trail_path(Scope.CONTROLS, None)]
    assert len(set(paths)) == 3
    assert not any(a.startswith(b) for a in paths for b in paths if a is not b)
    assert operation_field(name, "op") != operation_field(None, f"={name}op")
    assert tenant_field(name) not in {"layout", "catalog", "controls", "position", "origin"}
    assert operation_field(name, None) == b""


def test_all_keys_have_one_hash_tag():
    from redis.crc import key_slot

    keys = [*Keys.of("app").all, channel_of("app")]
    assert len(set(keys)) == len(keys) == 7
    assert {key_slot(key.encode()) for key in keys} == {key_slot(b"app")}


@pytest.fixture(scope="module")
def client(emptied_redis):
    server, empty = emptied_redis
    empty()
    with redis.Redis.from_url(server.url) as client:
        yield client


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(NAMES, NAMES, st.lists(NAMES, max_size=3), NAMES, st.sampled_from(["write", "write", "forget"])),
        max_size=6,
    )
)
def test_whatever_is_named_it_is_found_as_in_memory(client, acts):
    client.flushall()
    kept = RedisStore(client)
    kept.prepare()
    plain = MemoryStore()
    for tenant, plan, modules, operation, verb in acts:
        known = plain.read([tenant]).get(tenant)
        write = tenant_write(tenant, known, plan=plan, modules=modules, detail={"asked": operation})
        if verb == "forget" and known is not None and plain.find(after=None, limit=1000):
            write = forgetting(known)
        outcomes = []
        for store in (plain, kept):
            expect = 0 if known is None else known.revision
            try:
                outcomes.append(store.apply(write, expect=expect, actor="a", because="b", operation=operation))
            except Exception as error:
                outcomes.append(type(error))
        assert outcomes[0] == outcomes[1]
    assert everything(kept) == everything(plain)
    for tenant, plan, modules, operation, _ in acts:
        for asked in ({"tenant": tenant}, {"operation": operation}, {"operation": operation, "tenant": tenant}):
            assert list(kept.audit(**asked)) == list(plain.audit(**asked))
        for module in (None, *modules):
            for after in (None, tenant):
                both = {"module": module, "plan": plan, "after": after}
                assert list(kept.find(**both)) == list(plain.find(**both))
                assert list(kept.find(module=module, after=after)) == list(plain.find(module=module, after=after))


@pytest.mark.parametrize("held", [b"", b"{\n[]\n", b"[]\n[]\n", b"[1,2]\n\n", b"\xff\n\n"])
@pytest.mark.parametrize("read", [audit_entry, outbox_event])
def test_an_entry_that_cannot_be_read_is_damaged(held, read):
    with pytest.raises(StoreDamaged):
        read(1, held)


@pytest.fixture
def many(open_redis, redis_url, monkeypatch):
    """A store with more than one part of everything."""
    monkeypatch.setattr("payaid_entitlements.stores.redis.asking.PART", 3)
    store = open_redis(redis_url + PATIENT)
    known = None
    for number in range(10):
        known = tenant_write("acme", known, plan="free", modules=[])
        store.apply(known, expect=number, actor="asha", because=None)
        known = known.document
    for number in range(10):
        plan = "pro" if number % 5 == 0 else "free"
        store.apply(tenant_write(f"t{number}", plan=plan, modules=["crm"]), expect=0, actor="asha", because=None)
    store.apply(controls_write(), expect=0, actor="asha", because=None)
    return store


def test_what_is_long_is_read_in_parts(many: Store):
    everybody = ["acme", *(f"t{number}" for number in range(10))]
    assert [row.tenant for row in many.find()] == everybody
    assert [row.tenant for row in many.find(limit=5)] == everybody[:5]
    assert [row.tenant for row in many.find(module="crm", after="t3", limit=4)] == ["t4", "t5", "t6", "t7"]
    assert [row.tenant for row in many.find(module="crm", plan="pro")] == ["t0", "t5"]
    assert [row.tenant for row in many.find(module="crm", plan="pro", limit=1)] == ["t0"]
    assert [row.tenant for row in many.find(module="crm", plan="pro", after="t1")] == ["t5"]
    assert [row.tenant for row in many.find(plan="free", limit=3)] == ["acme", "t1", "t2"]
    assert [entry.position for entry in many.audit()] == list(range(1, 22))
    assert [entry.position for entry in many.audit(limit=5, after=4)] == [5, 6, 7, 8, 9]
    assert [entry.revision for entry in many.audit(tenant="acme")] == list(range(1, 11))
    assert [entry.revision for entry in many.audit(tenant="acme", after=4, limit=5)] == list(range(5, 10))
    assert [entry.position for entry in many.audit(scope=Scope.TENANT)] == list(range(1, 21))
    assert [entry.position for entry in many.audit(scope=Scope.CONTROLS)] == [21]
    assert [event.position for event in many.outbox(after=2, limit=7)] == list(range(3, 10))
    page = many.changes_since(0, limit=1000)
    assert ([entry.position for entry in page.entries], page.position, page.more) == ([1, 2, 3], 3, True)


def test_what_was_recorded_since_is_found_wherever_it_is(many: Store):
    entries = many.audit()
    since = entries[17].recorded
    assert [entry.position for entry in many.audit(since=since)] == [18, 19, 20, 21]
    assert [entry.position for entry in many.audit(since=since, limit=2)] == [18, 19]
    assert list(many.audit(tenant="acme", since=since)) == []


def test_forgetting_reaches_all_that_was_recorded(many: Store):
    document = many.read(["acme"])["acme"]
    many.apply(forgetting(document), expect=10, actor="asha", because=None)
    entries = many.audit(tenant="acme")
    assert [entry.facts for entry in entries[:10]] == [()] * 10
    assert len(entries) == 11
