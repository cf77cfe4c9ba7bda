"""The audit trail as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from payaid_entitlements.admin.flagging import said_of
from payaid_entitlements.admin.tenants import PAGE
from payaid_entitlements.cache.steps import Flow, Prepare, ReadAudit
from payaid_entitlements.core.alterations import altered, features_of
from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.flags.touching import things_of
from payaid_entitlements.core.instant import Instant, moment
from payaid_entitlements.stores import ports
from payaid_entitlements.stores.ports import Scope


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """
    Who changed what, when and why.

    Attributes:
        id: What `undo` takes.
        tenant: None for what is about everybody.
        as_of: When the source said it, where that is known.
        altered: What became otherwise, in words.
        detail: What the caller asked, and more, as JSON data.
    """

    id: str
    at: datetime
    scope: Scope
    tenant: str | None
    revision: int
    verb: str
    actor: str
    because: str | None
    operation: str | None
    as_of: datetime | None
    altered: tuple[Altered, ...]
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Trail:
    """
    What is asked of the audit trail; filters join by "and".

    Attributes:
        keys: Modules, features and flags, all of which an entry must name.
    """

    tenant: str | None = None
    keys: frozenset[str] = frozenset()
    since: Instant | None = None

    def page(self, after: int) -> Flow[tuple[list[AuditEntry], int | None]]:
        """Read the entries behind position *after*; with where to go on, None at the end."""
        if not after:
            yield Prepare()  # nothing may have been asked of the store before
        step = ReadAudit(tenant=self.tenant, since=self.since, after=after, limit=PAGE)
        found = cast("Sequence[ports.AuditEntry]", (yield step))
        entries = [_public(entry) for entry in found if not self.keys or self.keys <= keys_of(entry)]
        return entries, found[-1].position if len(found) == PAGE else None


def keys_of(entry: ports.AuditEntry) -> set[str]:
    """Name the modules, features and flags that an entry names."""
    if entry.scope is Scope.FLAGS:
        was = cast("Mapping[str, Mapping[str, object]]", entry.detail["was"])
        return {key for kind, key in things_of(was) if kind == "flag"}
    about = entry.detail.get("about")
    return features_of(entry.facts) | ({str(about[1])} if isinstance(about, list) else set())


def _public(entry: ports.AuditEntry) -> AuditEntry:
    return AuditEntry(
        entry.id,
        moment(entry.recorded),
        entry.scope,
        entry.tenant,
        entry.revision,
        entry.verb,
        entry.actor,
        entry.because,
        entry.operation,
        None if entry.as_of is None else moment(entry.as_of),
        said_of(entry.detail) if entry.scope is Scope.FLAGS else altered(entry.facts),
        entry.detail,
    )
