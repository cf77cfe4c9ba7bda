"""Every statement, built once, and the mappers of their rows. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Executable,
    Row,
    Select,
    String,
    Table,
    Text,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import mysql, postgresql, sqlite

from payaid_entitlements.core.facts import TenantDocument, recorded_from_json, recorded_to_json
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.messages import written
from payaid_entitlements.stores.ports import AuditEntry, LogEntry, LogPage, OutboxEvent, Scope, Write
from payaid_entitlements.stores.sql.columns import MYSQL
from payaid_entitlements.stores.sql.licensed import InColumn, InTable
from payaid_entitlements.stores.sql.tables import NO_TENANT, SCHEMA_VERSION, WORKS_FROM, Tables, tables
from payaid_entitlements.stores.writing import event_of, kept, scope_kept, scope_read, target

#: A row as the driver gives it; its columns are those of the statement beside the mapper.
AnyRow = Row[*tuple[Any, ...]]


#: How many values one statement carries where each is a parameter; older SQLite takes no more than 999.
MOST_VALUES: Final = 900


@dataclass(frozen=True)
class Statements:
    """
    The statements for the tables under *prefix* in *schema*.

    Attributes:
        dialect: As SQLAlchemy names it: ``sqlite``, ``postgresql``, ``mysql`` or ``mariadb``.
    """

    prefix: str
    dialect: str
    schema: str | None = None

    @cached_property
    def tables(self) -> Tables:
        """What they are about."""
        return tables(self.dialect, self.prefix, self.schema)

    @cached_property
    def licensed(self) -> InColumn | InTable:
        """Who has which modules."""
        t = self.tables
        return InColumn(t.tenants) if t.modules is None else InTable(t.tenants, t.modules)

    @property
    def _is_mysql(self) -> bool:
        return self.dialect in MYSQL

    def read(self, tenants: Sequence[str]) -> list[tuple[Executable, Mapping[str, object]]]:
        """The documents of *tenants*: one statement, or one for each `MOST_VALUES` of them."""
        match tenants:
            case [tenant]:
                return [(self.read_one, {"tenant": tenant})]
            case _ if self.dialect == "postgresql":
                return [(self.read_many, {"tenants": list(tenants)})]
        wanted = list(tenants)
        return [
            (self.read_many, {"tenants": wanted[begin : begin + MOST_VALUES]})
            for begin in range(0, len(wanted), MOST_VALUES)
        ]

    @cached_property
    def read_one(self) -> Select[Any]:
        """The document of ``tenant``: a cold check is this one read by primary key."""
        t = self.tables.tenants
        return select(t.c.tenant, t.c.document).where(t.c.tenant == bindparam("tenant"))

    @cached_property
    def read_many(self) -> Executable:
        """The documents of ``tenants``. On PostgreSQL they are one value, and any number of them one statement."""
        t = self.tables.tenants
        return select(t.c.tenant, t.c.document).where(self._is_wanted)

    @property
    def _is_wanted(self) -> ColumnElement[bool]:
        tenant = self.tables.tenants.c.tenant
        if self.dialect == "postgresql":
            return tenant == any_(bindparam("tenants", type_=ARRAY(Text)))
        return tenant.in_(bindparam("tenants", expanding=True))

    @cached_property
    def catalog(self) -> Executable:
        """What is published."""
        c = self.tables.catalog.c
        return select(c.content).where(c.one == 1)

    @cached_property
    def controls(self) -> Executable:
        """How the switches stand."""
        c = self.tables.controls.c
        return select(c.content).where(c.one == 1)

    @cached_property
    def flags(self) -> Executable:
        """Which flags were ever changed, and how they are; and the revision of that, which may be all one can read."""
        c = self.tables.flags.c
        return select(c.content, c.revision).where(c.one == 1)

    @cached_property
    def head(self) -> Select[Any]:
        """The newest position."""
        c = self.tables.sequencer.c
        return select(c.position).where(c.one == 1)

    @cached_property
    def log(self) -> Executable:
        """The change log behind ``position``, at most ``limit`` lines."""
        c = self.tables.changes.c
        return (
            select(c.position, c.scope, c.tenant, c.revision, c.generation)
            .where(c.position > bindparam("position"))
            .order_by(c.position)
            .limit(bindparam("limit"))
        )

    @cached_property
    def version(self) -> Executable:
        """Which version the tables have."""
        return select(self.tables.schema.c.version_num)

    def find(self, module: str | None, plan: str | None, after: str | None, limit: int) -> Executable:
        """Tenants by module and plan, with their modules; for `licensed.rows`."""
        t = self.tables.tenants
        found: Select[Any] = select(t.c.tenant, t.c.revision, t.c.plan).where(t.c.is_listed == 1)
        if module is not None:
            found = self.licensed.having(found, module)
        if plan is not None:
            found = found.where(t.c.plan == plan)
        if after is not None:
            found = found.where(t.c.tenant > after)
        return self.licensed.page(found.order_by(t.c.tenant).limit(limit))

    @cached_property
    def listed(self) -> Executable:
        """How `find` lists ``tenants``."""
        t = self.tables.tenants
        found = select(t.c.tenant, t.c.revision, t.c.plan).where(t.c.is_listed == 1)
        return self.licensed.page(found.where(self._is_wanted).order_by(t.c.tenant))

    def audit(
        self,
        tenant: str | None,
        scope: Scope | None,
        id: str | None,
        operation: str | None,
        since: Instant | None,
        after: int,
        limit: int,
    ) -> Executable:
        """The audit trail, filtered."""
        c = self.tables.changes.c
        found = select(
            c.id,
            c.position,
            c.scope,
            c.tenant,
            c.generation,
            c.revision,
            c.recorded,
            c.verb,
            c.actor,
            c.because,
            c.operation,
            c.as_of,
            c.facts,
            c.detail,
            c.digest,
        ).where(c.position > after)
        if tenant is not None:
            found = found.where(c.tenant == tenant)
        if scope is not None:
            word, generation = scope_kept(scope)
            found = found.where(c.scope == word)
            if scope is not Scope.TENANT:
                # The first says nothing more, but there is an index for it.
                found = found.where(c.tenant == NO_TENANT, c.generation == generation)
        if id is not None:
            found = found.where(c.id == id)
        if operation is not None:
            found = found.where(c.operation == operation)
        if since is not None:
            found = found.where(c.recorded >= since)
        return found.order_by(c.position).limit(limit)

    def outbox(self, after: int, limit: int) -> Executable:
        """What is to be told to others."""
        c = self.tables.outbox.c
        return select(c.position, c.name, c.payload).where(c.position > after).order_by(c.position).limit(limit)

    # -- writing ------------------------------------------------------------------------------------------------

    def known_operation(self, tenant: str | None, operation: str, *, is_latest: bool = False) -> Executable:
        """The change that *operation* made; with *is_latest* also one that was committed a moment ago."""
        c = self.tables.changes.c
        found = select(c.id, c.revision, c.position, c.digest).where(
            c.tenant == (tenant or NO_TENANT), c.operation == operation
        )
        return self._latest(found) if is_latest else found

    def _latest(self, found: Select[Any]) -> Select[Any]:
        # A host's transaction on MySQL is REPEATABLE READ by default: it would see what was there when it began.
        return found.with_for_update(read=True) if self._is_mysql else found

    def compare_and_set(self, write: Write, expect: int) -> Executable:
        """Store what *write* carries where the stored revision is *expect*; the row count says whether it was."""
        if write.document is not None:
            document = write.document
            values: dict[str, object] = {
                "revision": document.revision,
                "generation": document.generation,
                "document": document.to_json(),
                "plan": write.plan,
                "is_listed": 0 if write.erase else 1,
                **self.licensed.values(() if write.erase else write.modules),
            }
            t = self.tables.tenants
            if expect == 0:
                return self._insert_if_absent(t, {"tenant": document.tenant, **values})
            return update(t).where(t.c.tenant == document.tenant, t.c.revision == expect).values(values)
        table = self._one(target(write)[0])
        row = {"one": 1, "revision": target(write)[3], "content": kept(write)}
        if expect == 0:
            return self._insert_if_absent(table, row)
        return update(table).where(table.c.one == 1, table.c.revision == expect).values(row)

    def _insert_if_absent(self, table: Any, values: Mapping[str, object]) -> Executable:
        if self._is_mysql:
            # IGNORE would also cut off what is too long; `columns.Utf8` refuses that before.
            absent: Any = insert(table).prefix_with("IGNORE").values(values)
        else:
            maker = postgresql.insert if self.dialect == "postgresql" else sqlite.insert
            absent = maker(table).values(values).on_conflict_do_nothing()
        # SQLAlchemy keeps the row count of an insert only if asked to. Else it asks the cursor, which is closed by
        # then, and a closed cursor of psycopg says -1: nothing could be written to an empty PostgreSQL.
        return cast("Executable", absent.execution_options(preserve_rowcount=True))

    def found_revision(self, scope: Scope, tenant: str | None) -> Executable:
        """The revision that is stored of a tenant, or of what is no tenant's."""
        if tenant is not None:
            t = self.tables.tenants
            return self._latest(select(t.c.revision).where(t.c.tenant == tenant))
        return self._latest(self.revision_beside(scope))

    def revision_beside(self, scope: Scope) -> Select[Any]:
        """
        The revision that is committed of what is no tenant's, for a transaction of our own.

        It is not waited for whoever writes it at the moment: that one waits for the sequencer, which is ours.
        """
        one = self._one(scope)
        return select(one.c.revision).where(one.c.one == 1)

    def _one(self, scope: Scope) -> Table:
        """The table whose one row has what is no tenant's."""
        t = self.tables
        return {Scope.CATALOG: t.catalog, Scope.CONTROLS: t.controls, Scope.FLAGS: t.flags}[scope]

    def faster(self, scope: Scope, tenant: str | None, expect: int) -> Executable:
        """Who changed the same thing since *expect*."""
        c = self.tables.changes.c
        word, generation = scope_kept(scope)
        found = select(c.verb, c.actor).where(c.tenant == (tenant or NO_TENANT), c.scope == word, c.revision > expect)
        if tenant is None:
            found = found.where(c.generation == generation)
        return self._latest(found.order_by(c.position).limit(5))

    def erase(self, write: Write) -> Iterable[Executable]:
        """What removes the personal part of everything that was recorded of a tenant."""
        if not write.erase or write.document is None:
            return
        c, o, tenant = self.tables.changes, self.tables.outbox, write.document.tenant
        yield (
            update(c)
            .where(c.c.tenant == tenant)
            .values(because=None, operation=None, digest="", facts="[]", detail="{}")
        )
        yield update(o).where(o.c.tenant == tenant).values(payload="{}")

    @cached_property
    def next_position(self) -> Sequence[Executable]:
        """
        Take the next position, and with it the lock under which positions appear in their order.

        Returns:
            Statements, of which the last one gives the position.
        """
        s = self.tables.sequencer
        taking = update(s).where(s.c.one == 1)
        if self._is_mysql:
            # It has no RETURNING here; the session keeps the value for the next statement.
            return taking.values(position=func.last_insert_id(s.c.position + literal(1))), select(func.last_insert_id())
        return (taking.values(position=s.c.position + 1).returning(s.c.position),)

    def append(
        self,
        write: Write,
        position: int,
        *,
        actor: str,
        because: str | None,
        operation: str | None,
        as_of: Instant | None,
        notifies: bool = True,
    ) -> Iterable[Executable]:
        """
        The line of the change log, and the row of the outbox.

        Args:
            notifies: On PostgreSQL those who listen are told when it is committed.
        """
        scope, tenant, generation, revision = target(write)
        word, mark = scope_kept(scope)
        yield insert(self.tables.changes).values(
            position=position,
            id=write.id,
            scope=word,
            tenant=tenant or NO_TENANT,
            generation=mark or generation,
            revision=revision,
            recorded=write.recorded,
            verb=write.verb,
            actor=actor,
            because=because,
            operation=operation,
            digest=digest(write),
            as_of=as_of,
            facts=recorded_to_json(write.facts),
            detail=json.dumps(write.detail, separators=(",", ":")),
        )
        event = event_of(write, position)
        told = insert(self.tables.outbox).values(
            position=position,
            name=event.name,
            tenant=tenant or NO_TENANT,
            payload=json.dumps(event.payload, separators=(",", ":")),
        )
        if self.dialect == "postgresql" and notifies:
            # No statement of its own, since that would be a round trip.
            message = written(LogEntry(position, scope, tenant, revision))
            yield told.returning(func.pg_notify(self.channel, message))
        else:
            yield told

    @cached_property
    def channel(self) -> ColumnElement[str]:
        """
        For PostgreSQL: the name under which changes are told of.

        It is of the table itself, of which there may be several in one database, that the search path tells apart.
        """
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy says no types
        name = dialect.identifier_preparer.format_table(self.tables.changes)
        table = sql_cast(sql_cast(literal(name, String, literal_execute=True), postgresql.REGCLASS), postgresql.OID)
        return literal("payaid_", String, literal_execute=True) + sql_cast(table, Text)

    # -- tallies ------------------------------------------------------------------------------------------------------

    def add_tallies(self, name: str, amounts: Mapping[str, int]) -> Executable:
        """Add *amounts* to the tallies *name*. All add in one order of fields, so that nobody waits in a ring."""
        t = self.tables.tallies
        rows = [{"name": name, "field": field, "amount": amounts[field]} for field in sorted(amounts)]
        if self._is_mysql:
            adding = mysql.insert(t).values(rows)
            return adding.on_duplicate_key_update(amount=t.c.amount + adding.inserted.amount)
        upsert: Any = (postgresql.insert if self.dialect == "postgresql" else sqlite.insert)(t).values(rows)
        summed = t.c.amount + upsert.excluded.amount
        return cast(
            "Executable", upsert.on_conflict_do_update(index_elements=["name", "field"], set_={"amount": summed})
        )

    @cached_property
    def tallies(self) -> Executable:
        """The tallies ``name``."""
        c = self.tables.tallies.c
        return select(c.field, c.amount).where(c.name == bindparam("name"))

    def drop_tallies(self, name: str) -> Executable:
        """Forget the tallies *name*."""
        return delete(self.tables.tallies).where(self.tables.tallies.c.name == name)

    def first_rows(self) -> Iterable[Executable]:
        """The rows that tables begin with."""
        yield self._insert_if_absent(self.tables.sequencer, {"one": 1, "position": 0})
        yield self._insert_if_absent(self.tables.schema, {"version_num": f"{SCHEMA_VERSION}.{WORKS_FROM}"})


def documents(rows: Iterable[AnyRow]) -> dict[str, TenantDocument]:
    """Documents by tenant, from (tenant, document)."""
    return {tenant: TenantDocument.from_json(text, tenant=tenant) for tenant, text in rows}


def log_page(rows: Sequence[AnyRow], position: int, limit: int) -> LogPage:
    """
    A page of the log, from (position, scope, tenant, revision, generation); rows beyond *limit* only say that there
    are more.
    """
    entries = tuple(
        LogEntry(place, scope_read(word, generation), tenant or None, revision)
        for place, word, tenant, revision, generation in rows[:limit]
    )
    # Positions have no holes: the sequencer's row goes back with a transaction that fails.
    is_cut = entries[0].position > position + 1
    return LogPage(entries, entries[-1].position, gap=is_cut, more=len(rows) > limit)


def audit_entries(rows: Iterable[AnyRow]) -> list[AuditEntry]:
    """Entries of the audit trail, from the columns of `Statements.audit`."""
    return [
        AuditEntry(
            change,
            position,
            scope_read(scope, generation),
            tenant or None,
            max(generation, 0),
            revision,
            recorded,
            verb,
            actor,
            because,
            operation,
            as_of,
            recorded_from_json(facts),
            json.loads(detail),
            None if operation is None else digest,
        )
        for (
            change,
            position,
            scope,
            tenant,
            generation,
            revision,
            recorded,
            verb,
            actor,
            because,
            operation,
            as_of,
            facts,
            detail,
            digest,
        ) in rows
    ]


def outbox_events(rows: Iterable[AnyRow]) -> list[OutboxEvent]:
    """Events from (position, name, payload)."""
    return [OutboxEvent(position, name, json.loads(payload)) for position, name, payload in rows]
