"""The contract of limiters, on the one in memory in both colours."""

from __future__ import annotations

import pytest

from payaid_entitlements.stores.memory_limiter import AsyncMemoryLimiter, MemoryLimiter
from payaid_entitlements.testing import AsyncLimiterContract, LimiterContract


class TestMemory(LimiterContract):
    @pytest.fixture
    def new_limiter(self):
        limiter = MemoryLimiter()
        return lambda: limiter


class TestAsyncMemory(AsyncLimiterContract):
    @pytest.fixture
    def new_limiter(self):
        limiter = MemoryLimiter()
        return lambda: AsyncMemoryLimiter(limiter)
