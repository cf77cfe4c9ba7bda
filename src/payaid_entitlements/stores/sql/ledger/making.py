"""What statements of the ledger are made with, on each database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, cast

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    Dialect,
    Insert,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite

from payaid_entitlements.stores.sql.clock import clock as clock_of
from payaid_entitlements.stores.sql.columns import MYSQL
from payaid_entitlements.stores.sql.ledger.prepared import Prepared
from payaid_entitlements.stores.sql.ledger.tables import LedgerTables

#: How many rows one statement names at most, each by its whole key; older SQLite takes no more than 999 values.
MOST_KEYS: Final = 300


class Making:
    """
    Makes statements for *tables*, by *dialect*.

    Their values are named after columns: ``key_...`` finds a row, ``new_...`` is written to one that is there, and the
    bare name to a new one. ``now`` is microseconds, or None for the server's clock; SQLite is told the time always.
    """

    def __init__(self, tables: LedgerTables, dialect: Dialect) -> None:
        self.tables = tables
        self.dialect = dialect
        self._known: dict[tuple[str, object], Prepared] = {}

    @property
    def is_sqlite(self) -> bool:
        """Is there one writer at a time, who has the whole database?"""
        return self.dialect.name == "sqlite"

    @property
    def is_mysql(self) -> bool:
        """May a transaction go on seeing what is old, though it locks what is new?"""
        return self.dialect.name in MYSQL

    def prepared(self, name: str, kind: object, make: Callable[[], ClauseElement]) -> Prepared:
        """The statement that *make* makes, made once for each *name* and *kind*."""
        known = self._known.get((name, kind))
        if known is None:
            known = self._known[name, kind] = Prepared(make(), self.dialect)
        return known

    @cached_property
    def now(self) -> ColumnElement[int]:
        """The time, in UTC: when a statement came to the server. It is the same for all rows, so that indices serve."""
        return clock_of(self.dialect.name)

    @cached_property
    def clock(self) -> Prepared:
        """What `now` is."""
        return Prepared(select(self.now), self.dialect)

    def locked(self, found: Select[Any]) -> Select[Any]:
        """*found*, its rows locked until the commit, as they are now. On SQLite who writes has all."""
        return found if self.is_sqlite else found.with_for_update()

    def free(self, found: Select[Any]) -> Select[Any]:
        """Same as `locked`, without rows that somebody else has locked, who may be a host that takes its time."""
        return found if self.is_sqlite else found.with_for_update(skip_locked=True)

    def is_latest(self, found: Select[Any], wanted: bool) -> Select[Any]:
        """*found* as it is now, if *wanted*, whatever the transaction sees: MySQL's may be old."""
        return found.with_for_update(read=True) if wanted and self.is_mysql else found

    def if_absent(self, table: Table, key: Sequence[str], **blank: object) -> Insert:
        """A row that is not there yet. Who inserts the same one waits till the commit, whether it was there or not."""
        values = {name: bindparam(f"key_{name}") for name in key} | blank
        if self.is_mysql:
            # IGNORE would lock a row that is there for reading, and two who then want to write would wait for ever.
            first = table.c[key[0]]
            return mysql.insert(table).values(values).on_duplicate_key_update({first.name: first})
        maker: Any = sqlite.insert if self.is_sqlite else postgresql.insert
        return cast("Insert", maker(table).values(values).on_conflict_do_nothing())

    def whole(self, table: Table) -> Insert:
        """A row of *table*, all of it."""
        return insert(table)

    def whole_if_absent(self, table: Table) -> Insert:
        """Same as `whole`, unless there is one with the same key: that is kept."""
        if self.is_mysql:
            first = next(iter(table.primary_key))
            return mysql.insert(table).on_duplicate_key_update({first.name: first})
        maker: Any = sqlite.insert if self.is_sqlite else postgresql.insert
        return cast("Insert", maker(table).on_conflict_do_nothing())


def is_row(table: Table, *key: str) -> ColumnElement[bool]:
    """Is a row the one with the ``key_...`` that are given?"""
    return and_(*(table.c[name] == bindparam(f"key_{name}", type_=table.c[name].type) for name in key))


def is_among(table: Table, names: Sequence[str], count: int) -> ColumnElement[bool]:
    """Is a row of ``key_tenant`` one of *count* with the ``name0``, ``name1`` ... that are given for all *names*?"""
    c = table.c
    # The tenant is said for each of them, so that every database sees that each is one place in the index.
    return or_(
        *(
            and_(is_row(table, "tenant"), *(c[name] == bindparam(f"{name}{i}", type_=c[name].type) for name in names))
            for i in range(count)
        )
    )


def limit() -> BindParameter[int]:
    """How many rows at most."""
    return bindparam("limit", type_=Integer)
