"""The statements of activity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Executable, Table, bindparam, delete, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from payaid_entitlements.stores.activity import Seen, Sighting
from payaid_entitlements.stores.sql.columns import MYSQL


class Statements:
    """Statements on *table*, in the words of *dialect*."""

    def __init__(self, table: Table, dialect: str) -> None:
        self.table = table
        self._dialect = dialect

    def record(self, sightings: Iterable[Sighting]) -> Executable:
        """Add what is not known. All add in one order, so that nobody waits in a ring."""
        t = self.table
        rows = [row_of(each) for each in sorted(set(sightings))]
        if self._dialect in MYSQL:
            adding = mysql.insert(t).values(rows)
            # No IGNORE, which would cut off what is too long.
            return cast("Executable", adding.on_duplicate_key_update(day=adding.inserted.day))
        upsert: Any = (postgresql.insert if self._dialect == "postgresql" else sqlite.insert)(t).values(rows)
        return cast("Executable", upsert.on_conflict_do_nothing())

    @cached_property
    def of(self) -> Executable:
        """What ``tenant`` did from ``since`` on and before ``until``."""
        c = self.table.c
        return (
            select(c.tenant, c.day, c.kind, c.key)
            .where(c.tenant == bindparam("tenant"), c.day >= bindparam("since"), c.day < bindparam("until"))
            .order_by(c.day, c.kind, c.key)
        )

    def tenants(self, kind: Seen, key: str, since: date, after: str | None, limit: int) -> Executable:
        """Who was seen."""
        c = self.table.c
        found = select(c.tenant).distinct().where(c.kind == kind.value, c.key == key, c.day >= since.toordinal())
        if after is not None:
            found = found.where(c.tenant > after)
        return found.order_by(c.tenant).limit(limit)

    def keys(self, kind: Seen, since: date) -> Executable:
        """What anybody was seen with."""
        c = self.table.c
        found = select(c.key).distinct().where(c.kind == kind.value, c.day >= since.toordinal())
        return found.order_by(c.key)

    def old(self, before: date, limit: int) -> Executable:
        """Some that are older."""
        c = self.table.c
        found = select(c.tenant, c.day, c.kind, c.key).where(c.day < before.toordinal())
        return found.order_by(c.day).limit(limit)

    @cached_property
    def drop(self) -> Executable:
        """Forget one sighting, ``of_tenant`` and so on."""
        c = self.table.c
        same = [each == bindparam(f"of_{each.name}") for each in (c.tenant, c.day, c.kind, c.key)]
        return delete(self.table).where(*same)

    @cached_property
    def forget(self) -> Executable:
        """Forget ``of_tenant``."""
        return delete(self.table).where(self.table.c.tenant == bindparam("of_tenant"))


def row_of(sighting: Sighting) -> Mapping[str, object]:
    """A sighting as a row."""
    return {
        "tenant": sighting.tenant,
        "day": sighting.day.toordinal(),
        "kind": sighting.kind.value,
        "key": sighting.key,
    }


def sightings(rows: Iterable[Sequence[Any]]) -> list[Sighting]:
    """Rows of (tenant, day, kind, key) as sightings."""
    return [Sighting(tenant, date.fromordinal(day), Seen(kind), key) for tenant, day, kind, key in rows]


def dropped(rows: Iterable[Sequence[Any]]) -> list[dict[str, object]]:
    """The values of `Statements.drop` for the same rows, in one order."""
    found = sorted(tuple(row) for row in rows)
    return [{"of_tenant": tenant, "of_day": day, "of_kind": kind, "of_key": key} for tenant, day, kind, key in found]
