"""Redis as a store, as a ledger and as a limiter, alone or in a cluster."""

from payaid_entitlements.stores.redis.ledger import AsyncRedisLedger, RedisLedger
from payaid_entitlements.stores.redis.limiter import AsyncRedisLimiter, RedisLimiter
from payaid_entitlements.stores.redis.store import AsyncRedisStore, RedisStore

__all__ = ["AsyncRedisLedger", "AsyncRedisLimiter", "AsyncRedisStore", "RedisLedger", "RedisLimiter", "RedisStore"]
