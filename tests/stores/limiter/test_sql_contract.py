"""The contract of limiters on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from collections import defaultdict

import pytest

from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.testing import AsyncLimiterContract, LimiterContract

#: What nobody listens to.
NOWHERE = "postgresql://postgres@127.0.0.1:1/payaid"


@pytest.fixture(scope="session")
def stores():
    """Stores by their URL, which all tests use: a limiter has no connections of its own that it could close."""
    opened = defaultdict(list)
    yield opened
    for each in opened.values():
        for store in each:
            store.close()


class TestSQL(LimiterContract):
    @pytest.fixture
    def new_limiter(self, url, stores):
        free = list(stores[url])

        def new_limiter():
            if not free:
                free.append(SQLStore(url))
                stores[url].append(free[0])
            return free.pop().limiter

        return new_limiter

    @pytest.fixture
    def unreachable_limiter(self):
        return SQLStore(NOWHERE).limiter


@pytest.mark.soak
class TestAsyncSQL(AsyncLimiterContract):
    """Both colours run the same code, whose every part `test_sql` calls in both; so this is for the long run."""

    @pytest.fixture
    def new_limiter(self, url, loop):
        stores = []

        def new_limiter():
            stores.append(AsyncSQLStore(url))
            return stores[-1].limiter

        yield new_limiter
        for store in stores:
            loop.run(store.aclose())

    @pytest.fixture
    def unreachable_limiter(self):
        return AsyncSQLStore(NOWHERE).limiter
