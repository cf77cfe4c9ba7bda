"""The two colours offer the same, and each store offers what the port names."""

from __future__ import annotations

import inspect

import pytest

from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.stores.redis import AsyncRedisStore, RedisStore
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore


def _offered(kind: type) -> dict[str, str]:
    """Names and parameters, of an asynchronous class under the names of its twin."""
    offered = {}
    for name, member in inspect.getmembers(kind):
        if name.startswith("_"):
            continue
        # What a constructor gives is no part of the port; neither is whether a property is written as one.
        signature = str(inspect.signature(member)) if inspect.isfunction(member) else "a value"
        offered["close" if name == "aclose" else name] = signature
    return offered


def test_the_ports_differ_by_awaiting_only():
    assert _offered(AsyncStore) == _offered(Store)


@pytest.mark.parametrize(
    ("plain", "awaited"), [(MemoryStore, AsyncMemoryStore), (SQLStore, AsyncSQLStore), (RedisStore, AsyncRedisStore)]
)
def test_twins_offer_the_same(plain, awaited):
    assert _offered(awaited) == _offered(plain)


@pytest.mark.parametrize("kind", [MemoryStore, AsyncMemoryStore, SQLStore, AsyncSQLStore, RedisStore, AsyncRedisStore])
def test_a_store_offers_all_that_the_port_names(kind):
    port = _offered(Store)
    assert {name: signature for name, signature in _offered(kind).items() if name in port} == port


@pytest.mark.parametrize("kind", [AsyncStore, AsyncMemoryStore, AsyncSQLStore, AsyncRedisStore])
def test_all_methods_of_an_asynchronous_store_are_awaited(kind):
    methods = [member for name, member in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]
    assert [method.__name__ for method in methods if not inspect.iscoroutinefunction(method)] == []
