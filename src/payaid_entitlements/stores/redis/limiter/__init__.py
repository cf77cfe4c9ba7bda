"""A limiter in Redis, alone or in a cluster."""

from payaid_entitlements.stores.redis.limiter.limiter import AsyncRedisLimiter, RedisLimiter

__all__ = ["AsyncRedisLimiter", "RedisLimiter"]
