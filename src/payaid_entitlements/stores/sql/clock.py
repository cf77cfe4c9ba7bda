"""What time it is for a database: microseconds since the epoch, in UTC, when a statement came to the server."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, BindParameter, ColumnElement, bindparam, func, literal_column

from payaid_entitlements.stores.sql.columns import MYSQL

_MYSQL_CLOCK: Final = "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
_POSTGRESQL_CLOCK: Final = "CAST(floor(extract(epoch FROM statement_timestamp()) * 1000000) AS BIGINT)"


def clock(dialect: str) -> ColumnElement[int]:
    """The server's time, or ``now`` where that is given; SQLite, which has no such clock, is told the time always."""
    given: BindParameter[int] = bindparam("now", type_=BigInteger)
    if dialect == "sqlite":
        return given
    return func.coalesce(given, literal_column(_MYSQL_CLOCK if dialect in MYSQL else _POSTGRESQL_CLOCK, BigInteger))
