"""Columns whose text is compared by its bytes on every database, and those that hold any amount of it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Dialect, LargeBinary, String, Text, TypeDecorator
from sqlalchemy.dialects.mysql import LONGTEXT, VARBINARY
from sqlalchemy.types import TypeEngine

#: As SQLAlchemy names what speaks MySQL's language.
MYSQL: Final = ("mysql", "mariadb")


class Utf8(TypeDecorator[str]):
    """
    Text as its bytes in UTF-8, for MySQL and MariaDB.

    No collation compares by bytes on both: what is named after ``bin`` ignores blanks at the end (``utf8mb4_bin``),
    or is known to one of them only (``utf8mb4_nopad_bin``, ``utf8mb4_0900_bin``). Bytes have no collation.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """A character has at most four bytes."""
        return dialect.type_descriptor(VARBINARY(4 * self.length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """
        Write *value*.

        Raises:
            ValueError: It is longer than the column, where another one might be.
        """
        if value is not None and len(value) > self.length:
            raise ValueError(f"{value[:40]!r}... has {len(value)} characters; the column takes {self.length}")
        return None if value is None else value.encode()

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Read what was written."""
        return None if value is None else bytes(value).decode()


def key(length: int = 255) -> TypeEngine[str]:
    """Text that is compared by its bytes, at most *length* characters."""
    # SQLite compares bytes by itself; PostgreSQL does under collation "C", where a server's own locale
    # might sort, or even equate, differently.
    return String(length).with_variant(String(length, collation="C"), "postgresql").with_variant(Utf8(length), *MYSQL)


def long() -> TypeEngine[str]:
    """Text of any length."""
    # MySQL's own TEXT ends at 64 KiB.
    return Text().with_variant(LONGTEXT(), *MYSQL)
