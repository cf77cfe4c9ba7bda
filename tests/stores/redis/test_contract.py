"""The contract, on Redis and on a cluster, in both colours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from payaid_entitlements.stores.redis import AsyncRedisStore, RedisStore
from payaid_entitlements.testing import AsyncStoreContract, StoreContract
from tests.stores.redis.conftest import PATIENT


class TestRedis(StoreContract):
    @pytest.fixture
    def new_store(self, redis_url: str) -> Callable[[], RedisStore]:
        return lambda: RedisStore(redis_url + PATIENT)


class TestAsyncRedis(AsyncStoreContract):
    @pytest.fixture
    def new_store(self, redis_url: str) -> Callable[[], AsyncRedisStore]:
        return lambda: AsyncRedisStore(redis_url + PATIENT)


class TestRedisCluster(StoreContract):
    @pytest.fixture
    def new_store(self, redis_cluster_url: str) -> Callable[[], RedisStore]:
        return lambda: RedisStore(redis_cluster_url + PATIENT)


class TestAsyncRedisCluster(AsyncStoreContract):
    @pytest.fixture
    def new_store(self, redis_cluster_url: str) -> Callable[[], AsyncRedisStore]:
        return lambda: AsyncRedisStore(redis_cluster_url + PATIENT)
