"""Reads of more than one statement, as flows: they yield statements, are sent rows, and are written once."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from sqlalchemy import Executable

from payaid_entitlements.stores.ports import LogPage
from payaid_entitlements.stores.sql.statements import AnyRow, Statements, log_page

#: A statement and its values.
Asked = tuple[Executable, Mapping[str, object]]


def reading_log(
    statements: Statements, position: int | None, limit: int
) -> Generator[Asked, Sequence[AnyRow], LogPage]:
    """Read the change log behind *position*, or where it ends."""
    # One more than is wanted says whether there is more.
    asked: Asked = (statements.log, {"position": position, "limit": limit + 1})
    if position is not None:
        rows = yield asked
        if rows:
            return log_page(rows, position, limit)
    end = int((yield statements.head, {})[0][0])
    if position is None or end <= position:
        return LogPage((), end, gap=position is not None and end < position)
    # Something was committed between the two statements. To go on from `end` would skip it.
    rows = yield asked
    return log_page(rows, position, limit) if rows else LogPage((), end, gap=True)
