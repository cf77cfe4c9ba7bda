"""
A whole store from another one, as a flow: which statements, with which rows. Written once; the stores execute.

All of it is one transaction, so what is killed in the middle leaves nothing. The sequencer's row is taken first:
whoever writes meanwhile waits for it, and goes on behind what was restored.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Executable, Table, bindparam, delete, insert, update

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import recorded_to_json
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.stores.ports import KeptChange, KeptTenant, Part
from payaid_entitlements.stores.sql.applying import Answer
from payaid_entitlements.stores.sql.licensed import InTable
from payaid_entitlements.stores.sql.statements import Statements
from payaid_entitlements.stores.sql.tables import NO_TENANT, Tables
from payaid_entitlements.stores.writing import continued, not_empty, part_kept, scope_kept

#: A statement, and its values for each of many rows.
Filling = tuple[Executable, Sequence[Mapping[str, object]]]
_Rows = list[Mapping[str, object]]


def restoring(statements: Statements, name: str, pages: Iterable[Sequence[Part]]) -> Generator[Filling, Answer, None]:
    """
    Store all *pages* in the store *name*.

    Raises:
        StoreNotEmpty: Something was written there before.
    """
    t = statements.tables
    empty = update(t.sequencer).where(t.sequencer.c.position == 0)
    if (yield empty.values(position=1), [{}]).count != 1:
        raise not_empty(name)
    put_changes, put_events, put_tenants = insert(t.changes), insert(t.outbox), insert(t.tenants)
    drop_tenants = delete(t.tenants).where(t.tenants.c.tenant == bindparam("key"))
    last = 0
    for page in pages:
        changes = [part for part in page if isinstance(part, KeptChange)]
        yield from _filled(put_changes, [_change(each) for each in changes])
        yield from _filled(put_events, list(_events(changes)))
        last = changes[-1].entry.position if changes else last
        # One that came before, and again, holds as it came last.
        tenants = {part.document.tenant: part for part in page if isinstance(part, KeptTenant)}
        keys: _Rows = [{"key": tenant} for tenant in tenants]
        in_table = statements.licensed if isinstance(statements.licensed, InTable) else None
        if in_table is not None:
            yield from _filled(in_table.drop, keys)
        yield from _filled(drop_tenants, keys)
        yield from _filled(put_tenants, [_tenant(statements, each) for each in tenants.values()])
        if in_table is not None:
            yield from _filled(in_table.put, list(_modules(tenants.values())))
        for part in page:
            if not isinstance(part, KeptChange | KeptTenant):
                table = _table(part, t)
                yield delete(table), [{}]
                yield insert(table), [{"one": 1, "revision": part.revision, "content": part_kept(part)}]
    yield update(t.sequencer).values(position=continued(last)), [{}]


def _filled(statement: Executable, rows: _Rows) -> Generator[Filling, Answer, None]:
    if rows:
        yield statement, rows


def _table(part: Published | Controls | FlagSet, tables: Tables) -> Table:
    match part:
        case Published():
            return tables.catalog
        case Controls():
            return tables.controls
        case FlagSet():  # pragma: no branch - the types leave nothing else
            return tables.flags


def _change(kept: KeptChange) -> Mapping[str, object]:
    entry = kept.entry
    word, mark = scope_kept(entry.scope)
    return {
        "position": entry.position,
        "id": entry.id,
        "scope": word,
        "tenant": entry.tenant or NO_TENANT,
        "generation": mark or entry.generation,
        "revision": entry.revision,
        "recorded": entry.recorded,
        "verb": entry.verb,
        "actor": entry.actor,
        "because": entry.because,
        "operation": entry.operation,
        "digest": entry.digest or "",
        "as_of": entry.as_of,
        "facts": recorded_to_json(entry.facts),
        "detail": json.dumps(entry.detail, separators=(",", ":")),
    }


def _events(changes: Iterable[KeptChange]) -> Iterator[Mapping[str, object]]:
    for kept in changes:
        if kept.event is not None:
            yield {
                "position": kept.event.position,
                "name": kept.event.name,
                "tenant": kept.entry.tenant or NO_TENANT,
                "payload": json.dumps(kept.event.payload, separators=(",", ":")),
            }


def _tenant(statements: Statements, kept: KeptTenant) -> Mapping[str, object]:
    document, row = kept.document, kept.row
    return {
        "tenant": document.tenant,
        "revision": document.revision,
        "generation": document.generation,
        "document": document.to_json(),
        "plan": None if row is None else row.plan,
        "is_listed": 0 if row is None else 1,
        **statements.licensed.values(() if row is None else row.modules),
    }


def _modules(tenants: Iterable[KeptTenant]) -> Iterator[Mapping[str, object]]:
    for kept in tenants:
        for module in () if kept.row is None else kept.row.modules:
            yield {"module": module, "tenant": kept.document.tenant}
