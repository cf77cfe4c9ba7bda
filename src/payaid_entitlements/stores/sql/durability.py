"""Does a database keep what it has acknowledged? It is asked how it is configured; by its own word a file does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Executable, text

from payaid_entitlements.stores.ports import Concern
from payaid_entitlements.stores.sql.statements import AnyRow

_KEPT = "what was acknowledged survives losing power"


def _postgresql(row: AnyRow) -> tuple[Concern, ...]:
    return tuple(
        Concern(_KEPT, f"{name} is off", f"ALTER SYSTEM SET {name} = on")
        for name, value in zip(("fsync", "synchronous_commit"), row, strict=True)
        if value == "off"
    )


def _mysql(row: AnyRow) -> tuple[Concern, ...]:
    (value,) = row
    if value == 1:
        return ()
    name = "innodb_flush_log_at_trx_commit"
    return (Concern(_KEPT, f"{name} is {value}", f"SET GLOBAL {name} = 1, and in the server's configuration"),)


_FLUSHED = text("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit"), _mysql

#: By dialect: what to ask, in one row, and what the answer means. Of others there is nothing to ask.
QUESTIONS: Final[Mapping[str, tuple[Executable, Callable[[AnyRow], tuple[Concern, ...]]]]] = {
    "postgresql": (text("SELECT current_setting('fsync'), current_setting('synchronous_commit')"), _postgresql),
    "mysql": _FLUSHED,
    "mariadb": _FLUSHED,
}
