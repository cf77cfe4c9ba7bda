"""
The last known good for a process that starts while the store gives no answer: a file on this machine.

What is read from the store is written here too, and what the change log contradicts is crossed out. When nothing is
near and the store is silent, answers come from here: as old as they are, by the same rules as an old copy that is near.

The file is an extra. Where it cannot be used (damaged, somebody else's, a folder that is missing), it is left alone for
a minute; that is counted, said once, and never an error. Nobody waits for it either: where another process writes at
this very instant, it is skipped.

Processes may share a file, and then what is newer wins: by revision, or by time where one is a minute newer, since a
database that was restored begins again with lower revisions.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from payaid_entitlements.cache.local import MOST_FLOORS, NEVER, LocalCache
from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags import flag_set as flag_sets
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.core.world import Modes, World
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.forking import after_fork, before_fork

T = TypeVar("T")

#: Stand in the file's header and say that it is one of ours, and of this format: "paid".
APPLICATION: Final = 0x70616964
FORMAT: Final = 1
#: Seconds for which a file that cannot be used is left alone.
PAUSE: Final = 60.0
#: Seconds after which nothing of it is kept. Long, for refusals by the vendor hold at any age.
LIFE: Final = 30 * 86_400.0
#: Seconds that opening waits for others, who may be repairing the file after a crash. Nothing else waits.
PATIENCE: Final = 0.1
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_LAYOUT: Final = (
    "CREATE TABLE stores (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # A kind is a tenant, the catalog, the controls, the flags, or the life of a process, whose change log vouches for
    # what it wrote. A text that is missing is a tenant's who was changed and not read since.
    """CREATE TABLE kept (store INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
    known REAL NOT NULL, life TEXT NOT NULL, text TEXT, UNIQUE (store, kind, name))""",
    "CREATE INDEX kept_known ON kept (known)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
)
_INSERT: Final = (
    "INSERT INTO kept (store, kind, name, revision, known, life, text) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (store, kind, name) DO UPDATE SET "
    "revision = excluded.revision, known = excluded.known, life = excluded.life, text = excluded.text WHERE "
)
_PUT: Final = _INSERT + "excluded.revision >= revision OR abs(excluded.known - known) > 60"
_CROSS_OUT: Final = _INSERT + "excluded.revision > revision"
_FIND: Final = (
    "SELECT text, max(known, coalesce((SELECT known FROM kept AS vouching "
    "WHERE vouching.store = kept.store AND vouching.kind = 'life' AND vouching.name = kept.life), known)), "
    "(SELECT max(known) FROM kept) FROM kept WHERE store = ? AND kind = 'tenant' AND name = ?"
)
#: In the order of the kinds: the catalog, the controls, and the flags, which a file of an older release has not.
_OF_ALL: Final = "FROM kept WHERE store = ? AND kind IN ('catalog', 'controls', 'flags') ORDER BY kind"
_WORLD: Final = f"SELECT kind, revision, known {_OF_ALL}"
_TEXTS: Final = f"SELECT text {_OF_ALL}"
_EMPTY: Final = "DELETE FROM kept WHERE store = ? AND kind IN ('tenant', 'life')"
#: Also what a clock that was ahead has written: it would be in the way until then.
_FORGET_OLD: Final = "DELETE FROM kept WHERE kind IN ('tenant', 'life') AND (known < ? OR known > ?)"
_FORGET_MOST: Final = (
    "DELETE FROM kept WHERE rowid IN (SELECT rowid FROM kept WHERE kind IN ('tenant', 'life') ORDER BY known LIMIT ?)"
)

#: Kind, name, revision, known, life, text.
_Row: TypeAlias = tuple[str, str, int, float, str, str | None]


class _Foreign(Exception):
    """The file is not one of ours."""


class Snapshot:
    """
    What was last known, in a file. Safe to share between threads; after a fork each process opens it anew.

    Args:
        path: The file, on a disk of this machine. Made when first something is known, for its owner alone.
        store: The name of the store that it is about. Files may be shared, also by those of several stores.
        near: What is near in this process, and what its change log contradicts.
        wall: Seconds since the epoch: ages are told by it, since the cache's clock ends with the process.
        modes: As in `World.of`.
        killed: As in `FlagSnapshot.of`.
        observer: Is told when the file cannot be used.

    Attributes:
        is_usable: Nothing has spoken against it when it was used last.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        store: str,
        near: LocalCache,
        wall: Callable[[], float],
        modes: Modes,
        observer: Observer,
        killed: frozenset[str] = frozenset(),
    ) -> None:
        if not os.fspath(path):
            raise ConfigurationError("snapshot is empty; give the path of a file, or leave it out")
        # Absolute: a process may change its folder, and ":memory:" is no file.
        self.path = str(Path(path).absolute())
        self.is_usable = True
        self._store = store
        self._near = near
        self._wall = wall
        self._modes = modes
        self._killed = killed
        self._observer = observer
        self._pause_until = NEVER
        self._connection: sqlite3.Connection | None = None
        self._id = 0
        self._owes_everything = False
        #: What is sold, the switches and the flags, by kind: written with what is written next.
        self._owed: dict[str, _Row] = {}
        self._until_pruned = 0
        self._world: tuple[object, tuple[World, FlagSnapshot] | None] = (None, None)
        self._forget()
        near.heed(self.flush)
        # SQLite forbids to carry a connection into another process.
        before_fork(self._let_go)
        after_fork(self._forget)

    def _forget(self) -> None:
        # A thread may have opened it between letting go and the fork: it is kept, since to close it might end locks of
        # the parent's.
        self._inherited, self._connection = self._connection, None
        self._lock = threading.Lock()

    def _let_go(self) -> None:
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def close(self) -> None:
        """Write down what is owed and let go of the file. It is opened again when it is needed again."""
        self.flush()
        self._let_go()

    # -- writing ------------------------------------------------------------------------------------------------------

    def keep(self, documents: Iterable[TenantDocument], known_at: float, life: str) -> None:
        """
        Write down what was read about tenants.

        Args:
            known_at: It was true then, by the cache's clock.
            life: What `LocalCache.life` was when the reading began.
        """
        known = self._instant(known_at)
        self._write([("tenant", each.tenant, each.revision, known, life, each.to_json()) for each in documents])

    def keep_world(self, world: World, flag_set: FlagSet, known_at: float) -> None:
        """Write down what is sold, how the switches and the flags stand; when that fails, with what is next."""
        known = self._instant(known_at)
        parts = (("catalog", world.published), ("controls", world.controls))
        self._owe({kind: (kind, "", part.revision, known, "", part.to_json()) for kind, part in parts})
        self.keep_flags(flag_set, known_at)

    def keep_flags(self, flag_set: FlagSet, known_at: float) -> None:
        """
        Write down how the flags stand; when that fails, with what is written next.

        Of flags that cannot be read what was written before stays: it is the last that is known.
        """
        if flag_set.damage is None:
            text = flag_sets.to_json(flag_set)
            self._owe({"flags": ("flags", "", flag_set.revision, self._instant(known_at), "", text)})
        self.flush()

    def _owe(self, rows: dict[str, _Row]) -> None:
        with self._lock:
            self._owed = {**self._owed, **rows}

    def forget(self) -> None:
        """Forget everything about this store: its change log has a hole."""
        self._owes_everything = True
        self.flush()

    def flush(self) -> None:
        """Write down what the change log has contradicted."""
        self._write([])

    def _write(self, rows: list[_Row]) -> None:
        if self._use(lambda connection: self._written(connection, rows)) is None:
            with self._lock:
                if not self.is_usable or len(self._near.contradicted) > MOST_FLOORS:
                    # It is not known what in the file is wrong by now, so none of it may be used before it is empty.
                    self._near.take_contradicted()
                    self._owes_everything = True

    def _written(self, connection: sqlite3.Connection, rows: list[_Row]) -> bool:
        # Within the lock: what another thread was told a moment ago is written before it is vouched for.
        life, contradicted, confirmed = self._near.take_contradicted()
        now, owed = self._wall(), self._owed
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                if self._owes_everything:
                    connection.execute(_EMPTY, (self._id,))
                crossed = [(self._id, "tenant", each, told, now, "", None) for each, told in contradicted.items()]
                connection.executemany(_CROSS_OUT, crossed)
                vouching: _Row = ("life", life, 0, self._instant(confirmed), "", None)
                # Not what was never known to be true.
                put = [(self._id, *row) for row in (*owed.values(), vouching, *rows) if row[3] > NEVER]
                connection.executemany(_PUT, put)
                self._until_pruned -= len(crossed) + len(rows)
                if self._until_pruned < 0:
                    self._prune(connection, now)
        except BaseException:
            self._near.give_back(contradicted)
            raise
        self._owes_everything = False
        if self._owed is owed:
            self._owed = {}
        return True

    def _prune(self, connection: sqlite3.Connection, now: float) -> None:
        connection.execute(_FORGET_OLD, (now - LIFE, now + 60))
        (count,) = connection.execute("SELECT count(*) FROM kept").fetchone()
        bound = self._near.bound
        connection.execute(_FORGET_MOST, (max(count - bound, 0),))
        self._until_pruned = max((bound - count) // 4, bound // 100)

    def _instant(self, known_at: float) -> float:
        """What time it was at a reading of the cache's clock; minus infinity for never."""
        return self._wall() - (self._near.clock() - known_at)

    # -- reading ------------------------------------------------------------------------------------------------------

    def find(self, tenant: str) -> tuple[TenantDocument, float] | None:
        """
        Find what was last known of *tenant*.

        Returns:
            The document, and when it was known to be true, by the cache's clock: perhaps before that began. None when
            nothing is known, when it was changed since, or when it is from the future: a clock was set back, and
            nobody knows how old it is.
        """
        row = self._use(lambda connection: connection.execute(_FIND, (self._id, tenant)).fetchone())
        now = self._wall()
        match row:
            case (str(text), float(known), float(latest)) if latest <= now and not self._owes_everything:
                try:
                    document = TenantDocument.from_json(text, tenant=tenant)
                except ValueError as error:
                    self._complain(error)
                    return None
                return document, self._near.clock() - (now - known)
        return None

    def world(self) -> tuple[World, FlagSnapshot] | None:
        """What was sold, how the switches and the flags stood, when last known; None when that is not known."""
        marks = self._use(lambda connection: connection.execute(_WORLD, (self._id,)).fetchall())
        known, world = self._world
        if marks is None or len(marks) < 2 or self._owes_everything:
            return None
        if marks != known:
            world = self._read_world()
            self._world = marks, world
        return world

    def _read_world(self) -> tuple[World, FlagSnapshot] | None:
        rows = self._use(lambda connection: connection.execute(_TEXTS, (self._id,)).fetchall())
        match rows:
            case [(str(published),), (str(controls),), *rest]:
                try:
                    return self._made(published, controls, rest)
                except ValueError as error:
                    self._complain(error)
        return None

    def _made(self, published: str, controls: str, flags: list[tuple[str]]) -> tuple[World, FlagSnapshot]:
        sold, switches = Published.from_json(published), Controls.from_json(controls)
        flag_set = flag_sets.from_json(flags[0][0]) if flags else FlagSet()
        if flag_set.damage is not None:  # of the file: what cannot be read is not written into it
            raise ValueError(f"the flags of the snapshot file: {flag_set.damage.why}")
        compiled = FlagSnapshot.of(
            sold.catalog.flags, flag_set, switches.killed, self._killed, segments=sold.catalog.segments
        )
        return World.of(sold, switches, self._modes, compiled.narrowing), compiled

    # -- the file -----------------------------------------------------------------------------------------------------

    def _use(self, act: Callable[[sqlite3.Connection], T]) -> T | None:
        """What *act* gives; None when the file cannot be used now."""
        try:
            with self._lock:
                return self._used(act)
        except Exception as error:  # whatever it is, no question fails for a file that is an extra
            # Without the lock: whoever is told may ask the client something.
            if _is_busy(error):
                self._observer.count("snapshot.skipped")
            else:
                self._complain(error)
            return None

    def _used(self, act: Callable[[sqlite3.Connection], T]) -> T | None:
        if self._near.clock() < self._pause_until:
            return None
        try:
            if self._connection is None:
                self._connection = self._opened()
            answer = act(self._connection)
        except Exception as error:
            if not _is_busy(error):
                self._disconnect()
                self.is_usable = False
                self._pause_until = self._near.clock() + PAUSE
            raise
        self.is_usable = True
        return answer

    def _complain(self, error: Exception) -> None:
        self._observer.count("snapshot.unusable")
        self._observer.once(
            "snapshot.unusable",
            path=self.path,
            kind=type(error).__name__,
            store_error=str(error),
            way_out="give it a folder of its own that exists and can be written; delete a file that is damaged",
        )

    def _opened(self) -> sqlite3.Connection:
        # Never opened and closed by ourselves where it exists: that would end the locks of all connections to it that
        # this process has, as POSIX wants it.
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _refuse_if_others_write(self.path)
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            _lay_out(connection)
            for pragma in ("journal_mode = WAL", "synchronous = OFF", "trusted_schema = OFF"):
                connection.execute(f"PRAGMA {pragma}")
            self._id = self._number(connection)
            connection.execute("PRAGMA busy_timeout = 0")
        except BaseException:
            connection.close()
            raise
        return connection

    def _number(self, connection: sqlite3.Connection) -> int:
        """The number of the store in the file."""
        known = connection.execute("SELECT id FROM stores WHERE name = ?", (self._store,)).fetchone()
        if known is None:
            # Another process may have done so meanwhile.
            connection.execute("INSERT OR IGNORE INTO stores (name) VALUES (?)", (self._store,))
            return self._number(connection)
        return int(known[0])


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY


def _refuse_if_others_write(path: str) -> None:
    """Refuse a file by which somebody else could grant himself something."""
    found = os.stat(path, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise _Foreign("it is no file")
    if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
        raise _Foreign("somebody else may write it; it must belong to who runs the process, mode 0600")


def _lay_out(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file, and refuse one that is not ours before it is touched."""
    if _is_empty(connection):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have done so meanwhile.
            if _is_empty(connection):
                for statement in _LAYOUT:
                    connection.execute(statement)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) != (APPLICATION, FORMAT):
        raise _Foreign("it is another program's, or of another release")


def _is_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(tables == 0)
