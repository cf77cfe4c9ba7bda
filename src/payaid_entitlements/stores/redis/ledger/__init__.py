"""A ledger in Redis, alone or in a cluster."""

from payaid_entitlements.stores.redis.ledger.ledger import AsyncRedisLedger, RedisLedger

__all__ = ["AsyncRedisLedger", "RedisLedger"]
