"""The contract of what remembers which tenant did what on which day, wherever we keep it."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.activity import Seen
from payaid_entitlements.stores.memory_activity import AsyncMemoryActivity, MemoryActivity
from payaid_entitlements.stores.redis import AsyncRedisStore, RedisStore
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore, begin_immediate
from payaid_entitlements.stores.sql.activity.statements import Statements
from payaid_entitlements.stores.sql.tables import tables
from payaid_entitlements.testing import ActivityContract, AsyncActivityContract
from payaid_entitlements.testing.contracts.activity import AFTER, BEFORE, DAY, used
from tests.servers.process import free_port
from tests.stores.conftest import driven
from tests.stores.redis.conftest import PATIENT

#: What nobody listens to.
NOWHERE = "postgresql://postgres@127.0.0.1:1/payaid"


@contextmanager
def opening(make, close):
    """A function that gives the activity of another store; all stores are closed afterwards."""
    stores = []

    def new_activity():
        stores.append(make())
        return stores[-1].activity

    yield new_activity
    for store in stores:
        close(store)


class TestMemory(ActivityContract):
    @pytest.fixture
    def new_activity(self):
        activity = MemoryActivity()
        return lambda: activity


class TestAsyncMemory(AsyncActivityContract):
    @pytest.fixture
    def new_activity(self):
        activity = MemoryActivity()
        return lambda: AsyncMemoryActivity(activity)


class TestSQL(ActivityContract):
    @pytest.fixture
    def new_activity(self, url):
        with opening(lambda: SQLStore(url), SQLStore.close) as new_activity:
            yield new_activity

    @pytest.fixture
    def unreachable_activity(self):
        return SQLStore(NOWHERE).activity

    def test_forgetting_joins_a_transaction(self, activity, url):
        """Of a host that takes it back, nobody was forgotten."""
        activity.record([used("acme")])
        engine = create_engine(driven(url))
        if engine.dialect.name == "sqlite":
            begin_immediate(engine)
        with engine.connect() as tx:
            begun = tx.begin()
            activity.forget("acme", tx=tx)
            begun.rollback()
        assert list(activity.of("acme", DAY, AFTER)) == [used("acme")]
        engine.dispose()


class TestAsyncSQLite(AsyncActivityContract):
    @pytest.fixture
    def new_activity(self, sqlite_url, loop):
        with opening(lambda: AsyncSQLStore(sqlite_url), lambda store: loop.run(store.aclose())) as new_activity:
            yield new_activity

    @pytest.fixture
    def unreachable_activity(self):
        return AsyncSQLStore(NOWHERE).activity


@pytest.mark.soak
class TestAsyncSQL(AsyncActivityContract):
    """Both colours send the same statements."""

    @pytest.fixture
    def new_activity(self, url, loop):
        with opening(lambda: AsyncSQLStore(url), lambda store: loop.run(store.aclose())) as new_activity:
            yield new_activity


class TestRedis(ActivityContract):
    @pytest.fixture
    def new_activity(self, redis_url):
        with opening(lambda: RedisStore(redis_url + PATIENT), RedisStore.close) as new_activity:
            yield new_activity

    @pytest.fixture
    def unreachable_activity(self):
        return RedisStore(f"redis://127.0.0.1:{free_port()}").activity

    def test_a_page_that_is_not_looked_through_at_once_goes_on(self, activity, monkeypatch):
        """Also where nobody in the first part was seen lately."""
        monkeypatch.setattr("payaid_entitlements.stores.redis.activity.script.LOOKED_AT", 3)
        activity.record([used(f"a-{number}", BEFORE) for number in range(7)])
        activity.record([used(f"b-{number}") for number in range(5)])
        for limit in (1, 2, 3, 5, 9):
            assert list(activity.tenants(Seen.MODULE, "crm", DAY, limit=limit)) == [f"b-{n}" for n in range(5)][:limit]


class TestAsyncRedis(AsyncActivityContract):
    @pytest.fixture
    def new_activity(self, redis_url, loop):
        with opening(
            lambda: AsyncRedisStore(redis_url + PATIENT), lambda store: loop.run(store.aclose())
        ) as new_activity:
            yield new_activity

    @pytest.fixture
    def unreachable_activity(self):
        return AsyncRedisStore(f"redis://127.0.0.1:{free_port()}").activity


@pytest.mark.soak
class TestRedisCluster(ActivityContract):
    """A cluster runs the same scripts, on one server."""

    @pytest.fixture
    def new_activity(self, redis_cluster_url):
        with opening(lambda: RedisStore(redis_cluster_url + PATIENT), RedisStore.close) as new_activity:
            yield new_activity


@pytest.mark.soak
class TestAsyncRedisCluster(AsyncActivityContract):
    @pytest.fixture
    def new_activity(self, redis_cluster_url, loop):
        with opening(
            lambda: AsyncRedisStore(redis_cluster_url + PATIENT), lambda store: loop.run(store.aclose())
        ) as new_activity:
            yield new_activity


@pytest.mark.parametrize("activity", [MemoryActivity(), RedisStore("redis://127.0.0.1:1").activity])
def test_what_has_no_transactions_joins_none(activity):
    with pytest.raises(ConfigurationError, match="join a transaction"):
        activity.forget("acme", tx=object())


def test_a_page_of_tenants_is_read_from_the_index():
    """However many sightings there are: nothing is sorted."""
    engine = create_engine("sqlite://")
    made = tables("sqlite")
    made.metadata.create_all(engine)
    asked = Statements(made.activity, "sqlite").tenants(Seen.MODULE, "crm", DAY, "acme", 10)
    text = str(asked.compile(engine, compile_kwargs={"literal_binds": True}))
    with engine.connect() as connection:
        plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "USING COVERING INDEX payaid_activity_key (kind=? AND key=? AND tenant>?)" in plan
    assert "TEMP B-TREE" not in plan
    engine.dispose()
