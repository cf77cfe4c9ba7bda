"""
All statements of the counters. Each is built and compiled once; no I/O.

Values are named after columns, with the place of a counter in its group behind them: ``key0``, ``old0``, ``new0``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ClauseElement,
    ColumnElement,
    Dialect,
    Insert,
    Numeric,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import mysql, postgresql, sqlite

from payaid_entitlements.core.ratelimit.policy import MOST_UNITS
from payaid_entitlements.stores.sql.clock import clock
from payaid_entitlements.stores.sql.columns import MYSQL
from payaid_entitlements.stores.sql.ledger.prepared import Prepared

#: How many rows are looked at, at most, by who throws away what is over.
PAGE: Final = 1_500


class Statements:
    """The statements for *table*, by *dialect*, for groups of each size."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self._table = table
        self._dialect = dialect
        self._is_mysql = dialect.name in MYSQL
        self._is_postgresql = dialect.name == "postgresql"
        self._known: dict[tuple[str, int], Prepared] = {}

    def read(self, size: int) -> Prepared:
        """Rows (now, key, state) of the counters that are there."""
        return self._of("read", size, self._read)

    @cached_property
    def clock(self) -> Prepared:
        """What time it is."""
        return Prepared(select(clock(self._dialect.name)), self._dialect)

    def swap(self, size: int) -> Prepared:
        """Write all counters of a group that are still as they were read; of more than one, all or none."""
        return self._of("swap", size, self._swap if size == 1 else self._swap_all)

    def can_swap(self, size: int) -> bool:
        """Is there one statement that does it?"""
        return size == 1 or not self._is_mysql

    @cached_property
    def take(self) -> Prepared | None:
        """
        Take units of one GCRA counter that is there, as it is by then; the new state and the time, no row without room.

        Whoever has the row is waited for by the server: many who want one counter pass one after the other. All is
        counted as in `core.ratelimit.gcra`, in quota-ths of a microsecond: ``taken`` is what the units take, and
        ``room`` what a full burst does. None where a statement does not say what it has written.
        """
        if not self._is_postgresql:
            return None
        c = self._table.c
        quota, taken, room = (sql_cast(bindparam(name), Numeric()) for name in ("quota", "taken", "room"))
        at = clock(self._dialect.name)
        now = sql_cast(at, Numeric())
        tat, rest, counted = (sql_cast(func.split_part(c.state, " ", place), Numeric()) for place in (1, 2, 3))
        # What nobody of us has written is not read as numbers.
        is_known = and_(rest < counted, counted <= MOST_UNITS)
        owed = case(
            (
                c.state.regexp_match("^[0-9]{1,16} [0-9]{1,16} [0-9]{1,16}$"),
                case((is_known, (tat - now) * counted + rest)),
            )
        )
        total = func.greatest(owed, 0) + taken
        ahead = func.div(total, quota), func.mod(total, quota), quota
        state = func.concat_ws(" ", now + ahead[0], *ahead[1:])
        found = self._is_owner, c.key == self._bound("key", 0, c.key), owed.is_not(None), total <= room
        return Prepared(
            update(self._table)
            .where(*found)
            .values({c.state: state, c.expires: sql_cast(now + func.div(total + quota - 1, quota), BigInteger)})
            .returning(at, c.state),
            self._dialect,
        )

    def lock(self, size: int) -> Prepared:
        """Same as `read`, of counters that are there; nobody else writes them until the commit."""
        return self._of("lock", size, self._lock)

    def drop(self, size: int) -> Prepared:
        """Forget the counters of a group."""
        return self._of("drop", size, lambda size: delete(self._table).where(self._is_one_of(size)))

    @cached_property
    def add(self) -> Prepared:
        """Write a counter, unless it is there."""
        if self._is_mysql:
            return Prepared(mysql.insert(self._table).prefix_with("IGNORE"), self._dialect)
        return Prepared(self._insert().on_conflict_do_nothing(), self._dialect)

    @cached_property
    def put(self) -> Prepared:
        """Write a counter, whether it is there or not."""
        new: Any = self._insert()
        if self._is_mysql:
            return Prepared(
                new.on_duplicate_key_update(state=new.inserted.state, expires=new.inserted.expires), self._dialect
            )
        written = {"state": new.excluded.state, "expires": new.excluded.expires}
        return Prepared(new.on_conflict_do_update(index_elements=["owner", "key"], set_=written), self._dialect)

    @cached_property
    def seat(self) -> Prepared:
        """An empty counter, unless it is there: to be waited for. Whoever writes the same one waits for the commit."""
        new: Any = self._insert()
        if self._is_mysql:
            # IGNORE would lock a row that is there for reading, and two who then want to write would wait for ever.
            return Prepared(new.on_duplicate_key_update(owner=self._table.c.owner), self._dialect)
        return Prepared(new.on_conflict_do_nothing(), self._dialect)

    @cached_property
    def edge(self) -> Prepared:
        """The owner who comes a page behind ``begin``; no row where the table ends before."""
        c = self._table.c
        found = select(c.owner).where(c.owner >= bindparam("begin", type_=c.owner.type)).order_by(c.owner)
        return Prepared(found.limit(1).offset(PAGE), self._dialect)

    @cached_property
    def sweep(self) -> Prepared:
        """Throw away what was over at ``before``, of owners from ``begin`` on to ``end``."""
        t, c = self._table, self._table.c
        is_over = and_(
            c.owner >= bindparam("begin", type_=c.owner.type),
            c.owner <= bindparam("end", type_=c.owner.type),
            c.expires < bindparam("before", type_=BigInteger),
        )
        if not self._is_postgresql:
            # Rows are locked in the order of their keys, as everybody does; SQLite has one writer.
            return Prepared(delete(t).where(is_over), self._dialect)
        # Here they would be locked in any order, and two might wait for each other.
        free = select(c.owner, c.key).where(is_over).with_for_update(skip_locked=True)
        return Prepared(delete(t).where(tuple_(c.owner, c.key).in_(free)), self._dialect)

    def _of(self, name: str, size: int, make: Callable[[int], ClauseElement]) -> Prepared:
        known = self._known.get((name, size))
        if known is None:
            known = self._known[name, size] = Prepared(make(size), self._dialect)
        return known

    def _insert(self) -> Any:
        if self._is_mysql:
            return mysql.insert(self._table)
        maker: Callable[[Table], Insert] = postgresql.insert if self._is_postgresql else sqlite.insert
        return maker(self._table)

    def _read(self, size: int) -> Select[Any]:
        c = self._table.c
        return select(clock(self._dialect.name), c.key, c.state).where(self._is_one_of(size))

    def _lock(self, size: int) -> Select[Any]:
        found = self._read(size).order_by(self._table.c.key)
        # On SQLite who writes has all.
        return found if self._dialect.name == "sqlite" else found.with_for_update()

    def _swap(self, size: int) -> ClauseElement:
        c = self._table.c
        return (
            update(self._table)
            .where(self._is_owner, self._as_read(0))
            .values({c.state: self._bound("new", 0, c.state), c.expires: self._bound("expires", 0, c.expires)})
        )

    def _swap_all(self, size: int) -> ClauseElement:
        """Who locks rows sees them as they are then: where one was changed there are fewer, and none is written."""
        c = self._table.c
        held = (
            select(c.key).where(self._is_owner, or_(*map(self._as_read, range(size)))).order_by(c.key).with_for_update()
        )
        # SQLite has one writer, who locks nothing; its driver counts no rows of what does not begin with UPDATE.
        counted = held.cte("held") if self._is_postgresql else held.subquery("held")
        written = {
            column: case(
                {self._bound("key", place, c.key): self._bound(name, place, column) for place in range(size)},
                value=c.key,
            )
            for name, column in (("new", c.state), ("expires", c.expires))
        }
        is_all = select(func.count()).select_from(counted).scalar_subquery() == size
        return update(self._table).where(self._is_one_of(size), is_all).values(written)

    def _as_read(self, place: int) -> ColumnElement[bool]:
        c = self._table.c
        return and_(c.key == self._bound("key", place, c.key), c.state == self._bound("old", place, c.state))

    @property
    def _is_owner(self) -> ColumnElement[bool]:
        c = self._table.c
        return c.owner == bindparam("owner", type_=c.owner.type)

    def _is_one_of(self, size: int) -> ColumnElement[bool]:
        c = self._table.c
        keys = [self._bound("key", place, c.key) for place in range(size)]
        return and_(self._is_owner, c.key.in_(keys) if keys else false())

    @staticmethod
    def _bound(name: str, place: int, column: ColumnElement[Any]) -> BindParameter[Any]:
        return bindparam(f"{name}{place}", type_=column.type)
