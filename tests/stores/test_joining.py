"""The host's transaction in all the forms in which SQLAlchemy has one, and what cannot be joined."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from time import monotonic

import pytest
from sqlalchemy import Integer, create_engine, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from payaid_entitlements.errors import ChangeConflict, ConfigurationError, StoreUnavailable
from payaid_entitlements.stores.ports import Applied
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore, begin_immediate
from payaid_entitlements.testing.contracts.writes import tenant_write, whole_log
from tests.stores.conftest import driven


class Base(DeclarativeBase):
    pass


class Order(Base):
    """A row of the host's."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)


@pytest.fixture
def orders(host_engine):
    Base.metadata.create_all(host_engine)
    return host_engine


@pytest.fixture
def store(database_url):
    store = SQLStore(database_url)
    yield store
    store.close()


def _put(store, tx, tenant="acme", **named):
    return store.apply(tenant_write(tenant), expect=0, actor="asha", because=None, tx=tx, **named)


def _orders(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT id FROM orders")).scalars().all()


# -- forms ----------------------------------------------------------------------------------------------------------


def test_a_session_commits_its_rows_and_ours_together(store, orders):
    with Session(orders) as session:
        session.add(Order(id=1))
        _put(store, session)
        assert list(store.read(["acme"], tx=session)) == ["acme"]
        assert store.read(["acme"]) == {}
        session.commit()
    assert (_orders(orders), list(store.read(["acme"]))) == ([1], ["acme"])


def test_a_session_rolls_its_rows_and_ours_back_together(store, orders):
    with Session(orders) as session:
        session.add(Order(id=1))
        session.flush()
        _put(store, session)
        session.rollback()
    assert (_orders(orders), store.read(["acme"]), whole_log(store)) == ([], {}, [])


def test_a_savepoint_of_the_host_takes_ours_back_with_it(store, orders):
    with Session(orders) as session, session.begin():
        _put(store, session, "acme")
        nested = session.begin_nested()
        _put(store, session, "beta")
        nested.rollback()
        _put(store, session, "gamma")
    assert sorted(store.read(["acme", "beta", "gamma"])) == ["acme", "gamma"]
    assert [entry.tenant for entry in whole_log(store)] == ["acme", "gamma"]


def test_a_view_of_an_engine_is_the_same_engine(store, host_engine):
    with host_engine.execution_options(logging_token="web").begin() as tx:
        assert _put(store, tx).applied
    assert list(store.read(["acme"])) == ["acme"]


def test_the_engine_may_be_the_one_on_which_the_store_was_opened(host_engine):
    store = SQLStore(host_engine)
    with host_engine.begin() as tx:
        _put(store, tx)
    assert list(store.read(["acme"])) == ["acme"]


@pytest.mark.parametrize("form", ["connection", "session"])
@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("colour", ["async"], indirect=True)
def test_asynchronous_forms(opened, database_url, form, commits):
    own: AsyncSQLStore = opened.own

    async def work():
        engine = create_async_engine(driven(database_url, is_async=True))
        if engine.dialect.name == "sqlite":
            begin_immediate(engine.sync_engine)
        async with AsyncSession(engine) if form == "session" else engine.connect() as tx:
            begun = await tx.begin()
            applied = await own.apply(tenant_write("acme"), expect=0, actor="asha", because=None, tx=tx)
            assert applied == Applied(applied.id, True, 1, 1)
            assert list(await own.read(["acme"], tx=tx)) == ["acme"]
            assert await own.read(["acme"]) == {}
            await (begun.commit() if commits else begun.rollback())
        await engine.dispose()

    opened.run(work())
    assert list(opened.store.read(["acme"])) == (["acme"] if commits else [])


# -- what cannot be joined ------------------------------------------------------------------------------------------


def _refused(store, tx, says):
    for call in (lambda: _put(store, tx), lambda: store.read(["acme"], tx=tx)):
        with pytest.raises(ConfigurationError, match=says):
            call()


def test_what_is_no_transaction_is_refused(store, host_engine):
    _refused(store, host_engine, "tx=Engine: pass a SQLAlchemy Session or Connection")
    with host_engine.connect() as connection:
        _refused(store, connection, "tx is not in a transaction")
    _refused(store, connection, "tx is no")


def test_a_transaction_of_the_other_colour_is_refused(open_sql, colour, database_url, host_engine):
    opened = open_sql(database_url)
    engine = create_async_engine(driven(database_url, is_async=True))
    other = AsyncSession(engine) if colour == "sync" else Session(host_engine)
    _refused(opened.store, other, "this one is for AsyncEntitlements" if colour == "sync" else "is for Entitlements")
    _refused(opened.store, object(), "tx=object: pass a SQLAlchemy")


def test_a_session_that_is_bound_to_nothing_is_refused(store):
    with Session() as session:
        _refused(store, session, "tx is no open transaction: .*could not be determined|tx is no open transaction")


def test_a_session_that_failed_before_is_refused_until_it_is_rolled_back(store, orders):
    with Session(orders) as session:
        session.add(Order(id=1))
        session.flush()
        session.execute(text("INSERT INTO orders VALUES (2)"))
        session.expunge_all()
        session.add(Order(id=2))
        with pytest.raises(IntegrityError):
            session.flush()
        _refused(store, session, "tx is no open transaction: .*rolled back")
        session.rollback()
        assert _put(store, session).applied
        session.commit()


def test_a_session_whose_database_is_gone_is_an_outage(store):
    session = Session(create_engine("postgresql+psycopg://127.0.0.1:1/payaid"))
    with session, pytest.raises(StoreUnavailable):
        _put(store, session)


@pytest.mark.parametrize("how", ["connection", "engine"])
def test_a_transaction_that_commits_each_statement_is_refused(engine_on, postgres_url, how):
    store = SQLStore(postgres_url)
    store.upgrade()
    options = {"isolation_level": "AUTOCOMMIT"}
    engine = engine_on(postgres_url, **(options if how == "engine" else {}))
    named = options if how == "connection" else {}
    with engine.connect().execution_options(**named) as connection, connection.begin():
        _refused(store, connection, "commits each statement by itself")
    assert store.changes_since(None).position == 0
    store.close()


def test_an_sqlite_connection_that_commits_each_statement_is_refused(engine_on, sqlite_url):
    store = SQLStore(sqlite_url)
    store.prepare()
    engine = engine_on(sqlite_url)
    begin_immediate(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection, connection.begin():
        _refused(store, connection, "commits each statement by itself")
    store.close()


def test_an_sqlite_engine_whose_transactions_begin_late_is_refused_with_the_way_out(engine_on, sqlite_url):
    store = SQLStore(sqlite_url)
    store.prepare()
    with engine_on(sqlite_url).begin() as tx:
        _refused(store, tx, r"payaid_entitlements\.stores\.sql\.begin_immediate\(engine\)")
    store.close()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sqlite:///{tmp}/one.db", "sqlite:///{tmp}/other.db"),
        ("postgresql+psycopg://asha:hunter2@db/one", "postgresql://asha:hunter2@db/other"),
        ("postgresql+psycopg://db:5433/one", "postgresql://db/one"),
        ("postgresql+psycopg:///one?host=/run/a", "postgresql:///one?host=/run/b"),
        ("postgresql+psycopg://a/one", "sqlite:///{tmp}/one"),
        ("mysql+pymysql://asha:hunter2@db/one", "mariadb://asha:hunter2@db/other"),
        ("mysql+pymysql://db:3307/one", "mysql://db/one"),
        ("mysql+pymysql://db/one", "postgresql://db/one"),
        ("mysql+pymysql:///one?unix_socket=/run/a", "mysql:///one?unix_socket=/run/b"),
    ],
)
def test_a_transaction_of_another_database_is_refused(tmp_path, theirs, ours):
    from payaid_entitlements.stores.sql.engines import sync_engine
    from payaid_entitlements.stores.sql.joining import _require

    class Connection:
        engine = create_engine(theirs.format(tmp=tmp_path))

    with pytest.raises(ConfigurationError, match="two databases do not commit together") as caught:
        _require(Connection(), sync_engine(make_url(ours.format(tmp=tmp_path))))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("theirs", ["mysql+pymysql://app@db:3306/one", "mariadb+pymysql://db/one?charset=utf8mb4"])
def test_one_database_by_two_urls_is_one(theirs):
    from payaid_entitlements.stores.sql.places import is_same_place

    assert is_same_place(make_url(theirs), make_url("mariadb+asyncmy://db/one"))


def test_another_database_is_refused_before_anything_is_sent(store, engine_on, tmp_path):
    engine = engine_on(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    begin_immediate(engine)
    with engine.begin() as tx:
        _refused(store, tx, "two databases do not commit together")
        assert tx.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one() == 0


def test_one_file_by_two_paths_is_one_database(engine_on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    store = SQLStore("sqlite:///payaid.db")
    store.prepare()
    for tenant, path in (("acme", tmp_path / "payaid.db"), ("beta", tmp_path / "link" / "payaid.db")):
        engine = engine_on(f"sqlite:///{path}")
        begin_immediate(engine)
        with engine.begin() as tx:
            assert _put(store, tx, tenant).applied
    assert sorted(store.read(["acme", "beta"])) == ["acme", "beta"]
    store.close()


def test_two_databases_in_memory_are_two(engine_on):
    ours, theirs = (
        create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}) for _ in range(2)
    )
    for engine in (ours, theirs):
        begin_immediate(engine)
    store = SQLStore(ours)
    store.prepare()
    with theirs.begin() as tx:
        _refused(store, tx, "two databases do not commit together")
    with ours.begin() as tx:
        assert _put(store, tx).applied
    for engine in (ours, theirs):
        engine.dispose()


# -- others at the same time ----------------------------------------------------------------------------------------


def _when_one_waits(engine, act: Callable[[], None]) -> None:
    """Do *act* once some session of the database waits for a lock."""
    until = monotonic() + 10
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with engine.connect() as connection:
        while connection.execute(waiting).scalar_one() == 0:
            connection.rollback()
            assert monotonic() < until, "nobody waits"
    act()


def test_a_later_position_never_appears_before_an_earlier_one(engine_on, migrated_url):
    """Who has taken a position holds up all who come after, until its transaction has ended."""
    engine, store = engine_on(migrated_url), SQLStore(migrated_url)
    first = engine.connect()
    begun = first.begin()
    earlier = _put(store, first, "acme")
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(_put, store, None, "beta")
        _when_one_waits(engine, lambda: None)
        assert whole_log(store) == []
        begun.commit()
        assert later.result().position == earlier.position + 1
    first.close()
    assert [entry.tenant for entry in whole_log(store)] == ["acme", "beta"]
    store.close()


def test_a_position_of_a_transaction_that_failed_is_used_again(engine_on, migrated_url):
    engine, store = engine_on(migrated_url), SQLStore(migrated_url)
    first = engine.connect()
    begun = first.begin()
    failed = _put(store, first, "acme")
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(_put, store, None, "beta")
        _when_one_waits(engine, begun.rollback)
        assert later.result().position == failed.position
    first.close()
    store.close()


def test_the_slower_of_two_hosts_who_change_one_tenant_is_told(engine_on, migrated_url):
    engine, store = engine_on(migrated_url), SQLStore(migrated_url)
    first = engine.connect()
    begun = first.begin()
    _put(store, first)
    with ThreadPoolExecutor(1) as pool:

        def slower():
            with engine.begin() as tx:
                return _put(store, tx)

        later = pool.submit(slower)
        _when_one_waits(engine, begun.commit)
        assert isinstance(later.exception(), ChangeConflict)
    first.close()
    assert len(whole_log(store)) == 1
    store.close()


def test_of_two_hosts_who_change_two_tenants_crosswise_one_is_told_soon(engine_on, migrated_url):
    """A deadlock that only hosts can make, who change several tenants in one transaction: PostgreSQL ends it."""
    engine = engine_on(migrated_url, connect_args={"options": "-cdeadlock_timeout=50"})
    store = SQLStore(migrated_url)
    one, other = engine.connect(), engine.connect()
    begun, begun_too = one.begin(), other.begin()
    other.execute(text("INSERT INTO payaid_tenants VALUES ('beta', 1, 1, '{}', NULL, 0)"))
    _put(store, one, "acme")
    with ThreadPoolExecutor(2) as pool:
        acts = {pool.submit(_put, store, one, "beta"): begun, pool.submit(_put, store, other, "gamma"): begun_too}
        (failed,) = wait(acts, timeout=10, return_when=FIRST_COMPLETED).done
        error = failed.exception()
        acts.pop(failed).rollback()
        ((succeeded, transaction),) = acts.items()
        assert succeeded.result().applied
        transaction.commit()
    assert isinstance(error, ChangeConflict)
    assert "deadlock detected" in str(error)
    one.close()
    other.close()
    assert [entry.position for entry in whole_log(store)] == list(range(1, store.changes_since(None).position + 1))
    store.close()
