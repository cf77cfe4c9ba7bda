"""What the tests of stores share: databases of both kinds, stores of both colours, a host's engines, processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, create_mock_engine, make_url

from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore, begin_immediate
from payaid_entitlements.stores.sql.statements import Statements
from payaid_entitlements.stores.sql.tables import tables
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread
from tests.servers.mariadb import MariaDBServer
from tests.stores import racing

#: As many processes as race; more than the cores of a small machine.
RACERS = 4


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'payaid.db'}"


def making(driver: str) -> list[str]:
    """All statements that make our tables by *driver*."""
    statements: list[str] = []
    engine = create_mock_engine(f"{driver}://", lambda each, *rest: statements.append(_script(each, engine)))
    tables(engine.dialect.name).metadata.create_all(engine, checkfirst=False)
    for each in Statements("payaid_", engine.dialect.name).first_rows():
        statements.append(_script(each, engine))
    return statements


@pytest.fixture(scope="session")
def schema() -> str:
    """What makes our tables on PostgreSQL, as one script: one round trip for each test."""
    return ";".join(making("postgresql+psycopg"))


def _script(statement: Any, engine: Any) -> str:
    return str(statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))


@pytest.fixture
def migrated_url(postgres_url: str, schema: str) -> str:
    """The URL of a PostgreSQL database that has our tables, and nothing in them."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(schema)
    return postgres_url


class MadeDatabase:
    """
    A database of MariaDB with our tables, for one test after the other.

    It takes a server ten times as long to make tables as to empty them; a test that changes them gets its wish.
    """

    NAME = "payaid_made"

    def __init__(self, server: MariaDBServer) -> None:
        self._server = server
        self.url = server.url.replace("/payaid", f"/{self.NAME}")
        self._first = making("mysql+pymysql")
        self._made: object = None

    def empty(self) -> None:
        """End all sessions; leave our tables as they were just made, whatever was done to them."""
        server = self._server
        server.end_sessions()
        if self._made is None or self._made != self._found():
            server.run(
                f"DROP DATABASE IF EXISTS {self.NAME}", f"CREATE DATABASE {self.NAME}", f"USE {self.NAME}", *self._first
            )
            self._made = self._found()
            return
        names = [table.name for table in tables("mysql").metadata.sorted_tables]
        rows = [statement for statement in self._first if statement.startswith("INSERT")]
        server.run(f"USE {self.NAME}", *(f"DELETE FROM {name}" for name in names), *rows)

    def _found(self) -> object:
        of = f"FROM information_schema.{{}} WHERE table_schema = '{self.NAME}' ORDER BY 1, 2, 3"
        return [
            self._server.run(f"SELECT table_name, column_name, column_type {of.format('columns')}"),
            self._server.run(f"SELECT table_name, index_name, column_name {of.format('statistics')}"),
        ]


@pytest.fixture(scope="session")
def made_database(mariadb_of_the_session: MariaDBServer) -> MadeDatabase:
    """The database of the session."""
    return MadeDatabase(mariadb_of_the_session)


@pytest.fixture
def made_url(made_database: MadeDatabase) -> str:
    """The URL of a MariaDB database that has our tables, and nothing in them."""
    made_database.empty()
    return made_database.url


def made_on(request: pytest.FixtureRequest, kind: str, name: str, folder: Path) -> Iterator[tuple[str, Engine]]:
    """
    The URL of a database *name* of *kind* with our tables, and an engine of a host on it.

    What is made for a session is made again when tests of another kind ran between: the database is there by then.
    """
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'payaid.db'}"
    elif kind == "postgresql":
        server = str(request.getfixturevalue("postgres_server"))
        with psycopg.connect(server, autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {name}".encode())
        url = make_url(server).set(database=name).render_as_string(hide_password=False)
    else:
        mariadb = request.getfixturevalue("mariadb_of_the_session")
        mariadb.run(f"CREATE DATABASE IF NOT EXISTS {name}")
        url = mariadb.url.replace("/payaid", f"/{name}")
    store = SQLStore(url)
    store.upgrade()
    store.close()
    engine = create_engine(driven(url))
    yield url, engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with our tables, of each kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("migrated_url"))
    if request.param == "mysql":
        return str(request.getfixturevalue("made_url"))
    url = str(request.getfixturevalue("sqlite_url"))
    store = SQLStore(url)
    store.prepare()
    store.close()
    return url


@pytest.fixture
def engine_on() -> Iterator[Callable[..., Engine]]:
    """A function that makes an engine on a URL, as a host does; all are disposed of after the test."""
    made: list[Engine] = []

    def engine_on(url: str, **options: Any) -> Engine:
        if url.startswith("sqlite:"):
            # Longer than the five seconds of the driver: SQLite lets one writer in at a time and keeps no queue, so on
            # a slow disk one of four may be passed over for as long.
            options.setdefault("connect_args", {"timeout": 30})
        made.append(create_engine(driven(url), **options))
        return made[-1]

    yield engine_on
    for engine in made:
        engine.dispose()


@pytest.fixture
def host_engine(engine_on: Callable[..., Engine], database_url: str) -> Engine:
    """An engine of the host, on the same database; its transactions can be joined."""
    engine = engine_on(database_url)
    if engine.dialect.name == "sqlite":
        begin_immediate(engine)
    return engine


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    """The colour of a store: ``sync`` or ``async``."""
    return str(request.param)


@dataclass
class Opened:
    """
    A store, in its own colour and as plain calls.

    Attributes:
        store: As plain calls.
        own: As it is.
        engine: Its SQLAlchemy engine, of which other parts of the store are views.
        run: Runs a coroutine where the store lives; None for a store that is not asynchronous.
    """

    store: Store
    own: Any
    engine: Engine
    run: Callable[..., Any] | None


@pytest.fixture
def open_sql(colour: str) -> Iterator[Callable[..., Opened]]:
    """A function that opens a SQL store of the colour, by URL or on an engine; all are closed after the test."""
    opened: list[Opened] = []

    def open_(place: object) -> Opened:
        if colour == "sync":
            plain = SQLStore(cast("Any", place))
            opened.append(Opened(plain, plain, plain._engine, None))
        else:
            own = AsyncSQLStore(cast("Any", place))
            store = cast("Store", Awaited(cast("AsyncStore", own), loop))
            opened.append(Opened(store, own, own._engine, loop.run))
        return opened[-1]

    with LoopThread() as loop:
        yield open_
        for each in opened:
            each.store.close()


@pytest.fixture
def opened(open_sql: Callable[..., Opened], database_url: str) -> Opened:
    """A SQL store on each database in each colour."""
    return open_sql(database_url)


def driven(url: str, *, is_async: bool = False) -> str:
    """*url* with the driver's name, as SQLAlchemy wants it of a host."""
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+asyncmy" if is_async else "mysql+pymysql"}
    if is_async:
        drivers["sqlite"] = "sqlite+aiosqlite"
    drivers["mariadb"] = drivers["mysql"].replace("mysql", "mariadb")
    backend, rest = url.split(":", 1)
    return f"{drivers.get(backend, backend)}:{rest}"


class Racers:
    """Real processes that do something at one moment."""

    def __init__(self, count: int = RACERS) -> None:
        context = multiprocessing.get_context("spawn")
        self._count = count
        self._pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=racing.meet, initargs=(context.Barrier(count),)
        )

    def race(self, act: Callable[..., Any], *args: object, within: float = 120) -> list[Any]:
        """What ``act(number, *args)`` returned in each of the processes, which are numbered from 0."""
        return [future.result(within) for future in self.start(act, *args)]

    def start(self, act: Callable[..., Any], *args: object) -> list[Future[Any]]:
        """Same as `race`, not awaited."""
        return [self._pool.submit(racing.together, act, number, args) for number in range(self._count)]

    def alone(self, act: Callable[..., Any], *args: object) -> Any:
        """What ``act(0, *args)`` returned in one of the processes."""
        return self._pool.submit(act, 0, *args).result(120)

    def close(self) -> None:
        """Let the processes end."""
        self._pool.shutdown()


@pytest.fixture(scope="session")
def racers() -> Iterator[Racers]:
    """Processes that wait for each other before they begin; they start with the first test that needs them."""
    racers = Racers()
    yield racers
    racers.close()
