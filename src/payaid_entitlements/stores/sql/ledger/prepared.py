"""
Statements that are compiled once.

SQLAlchemy looks a statement up among those that it has compiled each time, and that takes longer than SQLite takes to
carry out one of ours. A ledger has few statements and knows the types of all their values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.engine.default import DefaultDialect

Values: TypeAlias = Mapping[str, object]


class Prepared:
    """
    A statement as the driver takes it.

    Attributes:
        sql: Its text, for `Connection.exec_driver_sql`.
    """

    __slots__ = ("_defaults", "_encoders", "_order", "sql")

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.sql: str = compiled.string
        self._defaults: dict[str, object] = {
            name: bind.value for bind, name in compiled.bind_names.items() if not bind.required
        }
        self._encoders: list[tuple[str, Callable[[Any], object]]] = [
            (name, encode)
            for bind, name in compiled.bind_names.items()
            if (encode := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        ]
        is_positional = isinstance(dialect, DefaultDialect) and dialect.positional
        self._order: list[str] | None = list(compiled.positiontup or ()) if is_positional else None

    def of(self, values: Values) -> Any:
        """What to hand to the driver for one row of *values*."""
        if self._defaults:
            values = {**self._defaults, **values}
        if self._encoders:
            values = {**values, **{name: encode(values[name]) for name, encode in self._encoders}}
        return values if self._order is None else tuple([values[name] for name in self._order])


class Written(Prepared):
    """A statement that is written as its driver takes it, with its values by their names."""

    __slots__ = ()

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._defaults = {}
        self._encoders = []
        self._order = None


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A statement, and its values for one row, or for each of many.

    Attributes:
        prepared: The statement.
        values: Of one row, or a sequence of at least one row.
    """

    prepared: Prepared
    values: Values | Sequence[Values]

    @property
    def parameters(self) -> Any:
        """What to hand to the driver."""
        if isinstance(self.values, Mapping):
            return self.prepared.of(self.values)
        return [self.prepared.of(each) for each in self.values]
