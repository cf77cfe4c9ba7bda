"""Redis as a store and as a ledger, alone or in a cluster."""

from payaid_entitlements.stores.redis.ledger import AsyncRedisLedger, RedisLedger
from payaid_entitlements.stores.redis.store import AsyncRedisStore, RedisStore

__all__ = ["AsyncRedisLedger", "AsyncRedisStore", "RedisLedger", "RedisStore"]
