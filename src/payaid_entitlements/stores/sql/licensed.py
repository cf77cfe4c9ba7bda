"""
Who has which modules: a column of the tenant's own row where a database can index what is in it, else a table.

PostgreSQL has GIN: a write stores the modules with the document, in one statement. SQLite and MariaDB have a row for
each module of each tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from sqlalchemy import Executable, Select, Table, bindparam, delete, insert, select
from sqlalchemy.sql.dml import Insert

from payaid_entitlements.stores.ports import TenantRow, Write


@dataclass(frozen=True)
class InColumn:
    """The modules are in the column ``modules`` of *tenants*, sorted by their bytes."""

    tenants: Table

    def values(self, modules: Sequence[str]) -> Mapping[str, object]:
        """What is stored with the document of a tenant that has *modules*."""
        return {"modules": sorted(set(modules))}

    def statements(self, write: Write, expect: int) -> Iterable[Executable]:
        """What is stored besides: nothing."""
        return ()

    def having(self, found: Select[Any], module: str) -> Select[Any]:
        """Those of *found* to whom *module* is licensed."""
        return found.where(self.tenants.c.modules.contains([module]))

    def page(self, found: Select[Any]) -> Executable:
        """*found*, with the modules of each."""
        return found.add_columns(self.tenants.c.modules)

    def rows(self, rows: Iterable[Any]) -> list[TenantRow]:
        """Tenants from (tenant, revision, plan, modules)."""
        return [TenantRow(tenant, revision, plan, tuple(modules)) for tenant, revision, plan, modules in rows]


@dataclass(frozen=True)
class InTable:
    """The modules are in a table of their own."""

    tenants: Table
    modules: Table

    def values(self, modules: Sequence[str]) -> Mapping[str, object]:
        """What is stored with the document: nothing."""
        return {}

    def statements(self, write: Write, expect: int) -> Iterable[Executable]:
        """What is stored besides; a tenant of whom nothing was known has no modules that must go."""
        if write.document is None:
            return
        m, tenant = self.modules, write.document.tenant
        if expect:
            yield delete(m).where(m.c.tenant == tenant)
        if write.modules and not write.erase:
            yield _rows(m, tenant, write.modules)

    @cached_property
    def put(self) -> Executable:
        """Rows of many tenants."""
        return insert(self.modules)

    @cached_property
    def drop(self) -> Executable:
        """Take the rows of the tenant ``key`` away."""
        return delete(self.modules).where(self.modules.c.tenant == bindparam("key"))

    def having(self, found: Select[Any], module: str) -> Select[Any]:
        """Those of *found* to whom *module* is licensed."""
        m = self.modules
        return found.join(m, m.c.tenant == self.tenants.c.tenant).where(m.c.module == module)

    def page(self, found: Select[Any]) -> Executable:
        """*found*, each as many times as it has modules. One statement: no change comes between."""
        page, m = found.subquery("page"), self.modules
        return (
            select(page.c.tenant, page.c.revision, page.c.plan, m.c.module)
            .join_from(page, m, m.c.tenant == page.c.tenant, isouter=True)
            .order_by(page.c.tenant, m.c.module)
        )

    def rows(self, rows: Iterable[Any]) -> list[TenantRow]:
        """Tenants from (tenant, revision, plan, module), those of one tenant in a row; no module where it has none."""
        return [
            TenantRow(tenant, revision, plan, tuple(line[3] for line in lines if line[3] is not None))
            for (tenant, revision, plan), lines in groupby(rows, key=lambda row: tuple(row[:3]))
        ]


def _rows(modules: Table, tenant: str, keys: Iterable[str]) -> Insert:
    return insert(modules).values([{"tenant": tenant, "module": key} for key in sorted(set(keys))])
