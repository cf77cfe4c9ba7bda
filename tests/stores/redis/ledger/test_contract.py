"""The contract of ledgers, on Redis and on a cluster, in both colours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from payaid_entitlements.stores.redis.ledger import AsyncRedisLedger, RedisLedger
from payaid_entitlements.testing import AsyncLedgerContract, LedgerContract
from tests.stores.redis.conftest import PATIENT


class TestRedis(LedgerContract):
    @pytest.fixture
    def new_ledger(self, redis_url: str) -> Callable[[], RedisLedger]:
        return lambda: RedisLedger(redis_url + PATIENT)


class TestAsyncRedis(AsyncLedgerContract):
    @pytest.fixture
    def new_ledger(self, redis_url: str) -> Callable[[], AsyncRedisLedger]:
        return lambda: AsyncRedisLedger(redis_url + PATIENT)


class TestRedisCluster(LedgerContract):
    @pytest.fixture
    def new_ledger(self, redis_cluster_url: str) -> Callable[[], RedisLedger]:
        return lambda: RedisLedger(redis_cluster_url + PATIENT)


@pytest.mark.soak
class TestAsyncRedisCluster(AsyncLedgerContract):
    """Both colours run the same flows, and a cluster the same scripts: so this is for the long run."""

    @pytest.fixture
    def new_ledger(self, redis_cluster_url: str) -> Callable[[], AsyncRedisLedger]:
        return lambda: AsyncRedisLedger(redis_cluster_url + PATIENT)
