"""The contract, on every store in both colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.opening import open_async_store, open_store
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore, begin_immediate
from payaid_entitlements.testing import AsyncStoreContract, JoiningContract, StoreContract
from tests.stores.conftest import driven

Begin = Callable[[], AbstractContextManager[Connection]]
AsyncBegin = Callable[[], AbstractContextManager[AsyncConnection]]


class TestMemory(StoreContract):
    @pytest.fixture
    def new_store(self):
        store = MemoryStore()
        return lambda: store


class TestAsyncMemory(AsyncStoreContract):
    @pytest.fixture
    def new_store(self):
        store = MemoryStore()
        return lambda: AsyncMemoryStore(store)


class Joining(JoiningContract):
    """Transactions of a host that has an engine of its own."""

    @pytest.fixture
    def begin(self, url: str) -> Iterator[Begin]:
        engine = create_engine(driven(url))
        if engine.dialect.name == "sqlite":
            begin_immediate(engine)
        yield engine.begin
        engine.dispose()


class AsyncJoining(JoiningContract):
    @pytest.fixture
    def begin(self, url: str, loop) -> Iterator[AsyncBegin]:
        engine = create_async_engine(driven(url, is_async=True))
        if engine.dialect.name == "sqlite":
            begin_immediate(engine.sync_engine)

        @contextmanager
        def begin() -> Iterator[AsyncConnection]:
            block = engine.begin()
            connection = loop.run(block.__aenter__())
            try:
                yield connection
            except BaseException as error:
                loop.run(block.__aexit__(type(error), error, error.__traceback__))
                raise
            loop.run(block.__aexit__(None, None, None))

        yield begin
        loop.run(engine.dispose())


class TestSQLiteFile(Joining, StoreContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    @pytest.fixture
    def new_store(self, url: str):
        return lambda: open_store(url)


class TestAsyncSQLiteFile(AsyncJoining, AsyncStoreContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    @pytest.fixture
    def new_store(self, url: str):
        return lambda: open_async_store(url)


class TestSQLiteOfTheHost(Joining, StoreContract):
    """The store is opened on the host's engine, as SQLAlchemy makes it."""

    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    @pytest.fixture
    def new_store(self, url: str):
        # A host on a slow disk says how long it waits: SQLite keeps no queue of those who want to write.
        engine = create_engine(url, connect_args={"timeout": 30})
        yield lambda: open_store(engine)
        engine.dispose()


class TestAsyncSQLiteOfTheHost(AsyncJoining, AsyncStoreContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    @pytest.fixture
    def new_store(self, url: str, loop):
        engine = create_async_engine(driven(url, is_async=True), connect_args={"timeout": 30})
        yield lambda: open_async_store(engine)
        loop.run(engine.dispose())


class TestPostgreSQL(Joining, StoreContract):
    @pytest.fixture
    def url(self, migrated_url: str) -> str:
        return migrated_url

    @pytest.fixture
    def new_store(self, url: str):
        return lambda: SQLStore(url)


class TestAsyncPostgreSQL(AsyncJoining, AsyncStoreContract):
    @pytest.fixture
    def url(self, migrated_url: str) -> str:
        return migrated_url

    @pytest.fixture
    def new_store(self, url: str):
        return lambda: AsyncSQLStore(url)


class TestMariaDB(Joining, StoreContract):
    @pytest.fixture
    def url(self, made_url: str) -> str:
        return made_url

    @pytest.fixture
    def new_store(self, url: str):
        return lambda: open_store(url)


class TestAsyncMariaDB(AsyncJoining, AsyncStoreContract):
    @pytest.fixture
    def url(self, made_url: str) -> str:
        return made_url

    @pytest.fixture
    def new_store(self, url: str):
        return lambda: open_async_store(url)


class TestMariaDBOfTheHost(Joining, StoreContract):
    """The store is opened on the host's engine, as SQLAlchemy makes it: REPEATABLE READ, as the server says."""

    @pytest.fixture
    def url(self, made_url: str) -> str:
        return made_url

    @pytest.fixture
    def new_store(self, url: str):
        engine = create_engine(driven(url))
        yield lambda: open_store(engine)
        engine.dispose()


class TestAsyncMariaDBOfTheHost(AsyncJoining, AsyncStoreContract):
    @pytest.fixture
    def url(self, made_url: str) -> str:
        return made_url

    @pytest.fixture
    def new_store(self, url: str, loop):
        engine = create_async_engine(driven(url.replace("mysql:", "mariadb:"), is_async=True))
        yield lambda: open_async_store(engine)
        loop.run(engine.dispose())
