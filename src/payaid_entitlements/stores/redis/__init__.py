"""Redis as a store, alone or in a cluster, and the clients by which whatever else is kept there is reached."""

from payaid_entitlements.stores.redis.store import AsyncRedisStore, RedisStore

__all__ = ["AsyncRedisStore", "RedisStore"]
