"""Writes for tests: small, valid, and each with an id of its own."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.publishing import Published, publish
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import NewFact, TenantDocument, record
from payaid_entitlements.core.flags.model import Flag, FlagSet, FlagType
from payaid_entitlements.core.identity import change_id
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.stores.ports import AuditEntry, LogEntry, OutboxEvent, Scope, Store, TenantRow, Write

T = TypeVar("T")

#: 2026-09-21T14:13:20Z. Each write is recorded a second after the one that was made before it in this process.
NOW: Instant = 1_790_000_000_000_000
SECOND = 1_000_000

_NUMBERS = itertools.count(1)


def _stamp() -> tuple[str, Instant]:
    recorded = NOW + next(_NUMBERS) * SECOND
    return change_id(recorded, secrets.randbits(74)), recorded


def tenant_write(
    tenant: str,
    known: TenantDocument | None = None,
    *,
    verb: str = "subscribe",
    plan: str | None = "pro",
    modules: Sequence[str] = ("crm",),
    detail: Mapping[str, object] | None = None,
) -> Write:
    """What puts *tenant* on *plan*, worked out from what is *known* of it; None: nothing is."""
    change, recorded = _stamp()
    fact = NewFact(("subscription", "main", "plan"), recorded, {"plan": plan, "version": 1})
    outcome = record(known or TenantDocument(tenant), [fact], recorded=recorded)
    return Write(
        change,
        verb,
        recorded,
        document=outcome.document,
        facts=outcome.recorded,
        plan=plan,
        modules=tuple(modules),
        detail=detail or {},
    )


def same_again(write: Write) -> Write:
    """The same act, as a caller repeats it: with an id of its own, and all else as it was."""
    again = tenant_write("somebody") if write.document is not None else controls_write()
    return Write(
        again.id,
        write.verb,
        write.recorded,
        document=write.document,
        published=write.published,
        controls=write.controls,
        flags=write.flags,
        facts=write.facts,
        plan=write.plan,
        modules=write.modules,
        erase=write.erase,
        detail=write.detail,
    )


def forgetting(known: TenantDocument) -> Write:
    """What forgets a tenant: nothing but a tombstone remains."""
    change, recorded = _stamp()
    tombstone = TenantDocument(known.tenant, known.revision + 1, known.generation + 1)
    return Write(change, "forget", recorded, document=tombstone, erase=True)


def catalog_write(held: Published | None = None, *, verb: str = "publish") -> Write:
    """What publishes a catalog that differs from the one that is *held*."""
    change, recorded = _stamp()
    title = f"Revision {1 if held is None else held.revision + 1}"
    catalog = {"catalog": 1, "modules": {"crm": {"title": title}}, "plans": {"pro": {"modules": ["crm"]}}}
    return Write(change, verb, recorded, published=publish(held, Catalog.load(catalog))[0])


def controls_write(held: Controls | None = None, *, verb: str = "kill") -> Write:
    """What kills one more module."""
    change, recorded = _stamp()
    held = held or Controls()
    return Write(change, verb, recorded, controls=held.with_killed(f"module_{held.revision}"))


def flags_write(held: FlagSet | None = None, *, verb: str = "define_flag") -> Write:
    """What defines one more flag."""
    change, recorded = _stamp()
    held = held or FlagSet()
    key = f"flag-{held.revision}"
    flag = Flag(key, FlagType.BOOLEAN, {"on": True, "off": False}, "on", "off", salt=key, title="\u00e4, \U0001f642")
    return Write(
        change, verb, recorded, flags=replace(held, revision=held.revision + 1, flags={**held.flags, key: flag})
    )


def first_write(scope: Scope) -> Write:
    """A write of *scope* into a store in which nothing is."""
    match scope:
        case Scope.TENANT:
            return tenant_write("acme")
        case Scope.CATALOG:
            return catalog_write()
        case Scope.CONTROLS:
            return controls_write()
        case Scope.FLAGS:
            return flags_write()


def next_write(write: Write) -> Write:
    """A write that is worked out from what *write* stores."""
    if write.document is not None:
        return tenant_write(write.document.tenant, write.document)
    if write.published is not None:
        return catalog_write(write.published)
    return flags_write(write.flags) if write.flags is not None else controls_write(write.controls)


def stored(store: Store, scope: Scope) -> object:
    """What the store has of *scope*, of the tenant ``acme``."""
    match scope:
        case Scope.TENANT:
            return store.read(["acme"]).get("acme")
        case Scope.CATALOG:
            return store.catalog()
        case Scope.CONTROLS:
            return store.controls()
        case Scope.FLAGS:
            return store.flags()


def carried(write: Write) -> object:
    """What *write* stores."""
    return write.document or write.published or write.controls or write.flags


def whole_log(store: Store, position: int = 0, *, limit: int = 1000) -> list[LogEntry]:
    """All of the change log behind *position*, page by page."""
    entries: list[LogEntry] = []
    more = True
    while more:
        page = store.changes_since(position, limit=limit)
        assert page.position > position or not page.more, "the log promises more, and does not go on: a reader hangs"
        entries += page.entries
        position, more = page.position, page.more
    return entries


Everything = tuple[
    list[TenantRow],
    Mapping[str, TenantDocument],
    Published | None,
    Controls,
    FlagSet,
    list[LogEntry],
    list[AuditEntry],
    list[OutboxEvent],
]


def everything(store: Store) -> Everything:
    """All that a store can tell: two of these are equal when nothing was written between them."""
    audit = list(store.audit(limit=10_000))
    known = sorted({entry.tenant for entry in audit if entry.tenant is not None})
    return (
        list(store.find(limit=10_000)),
        store.read(known),
        store.catalog(),
        store.controls(),
        store.flags(),
        whole_log(store),
        audit,
        list(store.outbox(limit=10_000)),
    )


def at_once(acts: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Begin all *acts* at one moment, each in a thread; what they returned or raised, in their order."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T | Exception:
        barrier.wait()
        try:
            return act()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))
