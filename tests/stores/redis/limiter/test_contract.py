"""The contract of limiters, on Redis and on a cluster, in both colours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from payaid_entitlements.stores.redis import AsyncRedisLimiter, RedisLimiter
from payaid_entitlements.testing import AsyncLimiterContract, LimiterContract
from tests.servers.process import free_port
from tests.stores.redis.conftest import PATIENT


class TestRedis(LimiterContract):
    @pytest.fixture
    def new_limiter(self, redis_url: str) -> Callable[[], RedisLimiter]:
        return lambda: RedisLimiter(redis_url + PATIENT)

    @pytest.fixture
    def unreachable_limiter(self) -> RedisLimiter:
        return RedisLimiter(f"redis://127.0.0.1:{free_port()}")


class TestAsyncRedis(AsyncLimiterContract):
    @pytest.fixture
    def new_limiter(self, redis_url: str) -> Callable[[], AsyncRedisLimiter]:
        return lambda: AsyncRedisLimiter(redis_url + PATIENT)

    @pytest.fixture
    def unreachable_limiter(self) -> AsyncRedisLimiter:
        return AsyncRedisLimiter(f"redis://127.0.0.1:{free_port()}")


@pytest.mark.soak
class TestRedisCluster(LimiterContract):
    """A cluster runs the same script; what only a cluster has is in the other tests here. So is the next."""

    @pytest.fixture
    def new_limiter(self, redis_cluster_url: str) -> Callable[[], RedisLimiter]:
        return lambda: RedisLimiter(redis_cluster_url + PATIENT)

    @pytest.fixture
    def unreachable_limiter(self) -> RedisLimiter:
        return RedisLimiter(f"redis+cluster://127.0.0.1:{free_port()}")


@pytest.mark.soak
class TestAsyncRedisCluster(AsyncLimiterContract):
    @pytest.fixture
    def new_limiter(self, redis_cluster_url: str) -> Callable[[], AsyncRedisLimiter]:
        return lambda: AsyncRedisLimiter(redis_cluster_url + PATIENT)

    @pytest.fixture
    def unreachable_limiter(self) -> AsyncRedisLimiter:
        return AsyncRedisLimiter(f"redis+cluster://127.0.0.1:{free_port()}")
