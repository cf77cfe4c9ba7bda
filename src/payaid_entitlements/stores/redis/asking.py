"""
What is asked of the server, in which order, and what its answers mean: flows, written once for both colours.

A flow yields what to ask, is sent the answer and returns what was wanted. No question takes the server long: whoever
wants a long list asks for it in parts.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.flag_set import from_json as flags_from_json
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import SchemaOutOfDate, StoreDamaged, StoreIncomplete
from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.messages import written
from payaid_entitlements.stores.ports import (
    Applied,
    AuditEntry,
    LogEntry,
    LogPage,
    OutboxEvent,
    Scope,
    TenantRow,
    Write,
)
from payaid_entitlements.stores.redis import scripts
from payaid_entitlements.stores.redis.clients import Part, Script
from payaid_entitlements.stores.redis.histories import Histories
from payaid_entitlements.stores.redis.layout import (
    CATALOG,
    CONTROLS,
    FILLING,
    FLAGS,
    LAYOUT,
    VERSION,
    Keys,
    audit_entry,
    content_of,
    entry_of,
    operation_field,
    outbox_event,
    plan_begin,
    row_of,
    sized,
    tallies_key,
    tenant_field,
    tenant_row,
    trail_path,
    who_was_faster,
)
from payaid_entitlements.stores.writing import (
    change_conflict,
    kept,
    operation_conflict,
    require_tallies,
    scope_kept,
    scope_read,
    target,
)

T = TypeVar("T")

#: Entries and rows that a script gives, or looks at, at most. About 5 ms of the server's time.
PART: Final = 1000


@dataclass(frozen=True, slots=True)
class Ask:
    """
    A command, or a script with its arguments on all keys.

    Attributes:
        changes: It is a change, so a lost answer leaves its outcome unknown.
        key: The script takes this one, and none of the others.
    """

    what: str | Script
    parts: tuple[Part, ...]
    changes: bool = False
    key: str | None = None


class _OfAnotherRelease(StoreDamaged):
    """A layout that this release does not know."""


Asking = Generator[Ask, Any, T]


@dataclass(frozen=True, slots=True)
class Questions:
    """
    All that is asked of one store.

    Attributes:
        name: Of the store, for errors.
        prefix: What its keys begin with.
        channel: Where its changes are published.
        repeats: The client may send a change again that was not answered.
    """

    name: str
    prefix: str
    channel: str
    repeats: bool = False

    @property
    def keys(self) -> Keys:
        """Where it is kept."""
        return Keys.of(self.prefix)

    def prepare(self, origin: str) -> Asking[None]:
        """Make an empty store ready, under a name that no other has, or check the one that is there."""
        try:
            self.checked((yield Ask(scripts.PREPARE, (VERSION, origin))))
        except _OfAnotherRelease as error:
            raise SchemaOutOfDate(str(error)) from None

    def version(self) -> Asking[int | None]:
        """Which layout is there; None where nothing is."""
        found = yield Ask("HGET", (self.keys.documents, LAYOUT))
        return None if found is None else int(found)

    def read(self, tenants: Sequence[str]) -> Asking[Mapping[str, TenantDocument]]:
        """Read documents."""
        if not tenants:
            return {}
        held = yield from self._held(*map(tenant_field, tenants))
        return {
            tenant: TenantDocument.from_json(content_of(text), tenant=tenant)
            for tenant, text in zip(tenants, held, strict=True)
            if text is not None
        }

    def catalog(self) -> Asking[Published | None]:
        """Read what is published."""
        (held,) = yield from self._held(CATALOG)
        return None if held is None else Published.from_json(content_of(held))

    def controls(self) -> Asking[Controls]:
        """Read the switches."""
        (held,) = yield from self._held(CONTROLS)
        return Controls() if held is None else Controls.from_json(content_of(held))

    def flags(self) -> Asking[FlagSet]:
        """Read the flags."""
        (held,) = yield from self._held(FLAGS)
        if held is None:
            return FlagSet()
        revision, _, content = held.partition(b"\n")
        return flags_from_json(content, int(revision) if revision.isdigit() else None)

    def add_tallies(self, name: str, amounts: Mapping[str, int]) -> Asking[None]:
        """Add to tallies."""
        require_tallies(name, amounts)
        if amounts:
            said = tuple(part for pair in amounts.items() for part in pair)
            yield Ask(scripts.ADD_TALLIES, said, changes=True, key=tallies_key(self.prefix, name))

    def tallies(self, name: str) -> Asking[Mapping[str, int]]:
        """Read tallies."""
        found = iter((yield Ask(scripts.TALLIES, (), key=tallies_key(self.prefix, name))))
        return {field.decode(): int(amount) for field, amount in zip(found, found, strict=True)}

    def drop_tallies(self, name: str) -> Asking[None]:
        """Forget tallies."""
        yield Ask("DEL", (tallies_key(self.prefix, name),), changes=True)

    def apply(
        self,
        write: Write,
        *,
        expect: int,
        actor: str,
        because: str | None,
        operation: str | None,
        as_of: Instant | None,
    ) -> Asking[Applied]:
        """Store *write*, or find that it is known already, or that somebody was faster."""
        scope, tenant, _, revision = target(write)
        word, mark = scope_kept(scope)
        # Nothing is sent to a server that does not answer: what fails here has certainly not been done.
        yield from self._held()
        stays, personal = entry_of(write, actor=actor, because=because, operation=operation, as_of=as_of)
        answer = self.checked(
            (
                yield Ask(
                    scripts.APPLY,
                    (
                        VERSION,
                        scope.value if tenant is None else tenant_field(tenant),
                        expect,
                        revision,
                        kept(write),
                        write.id,
                        operation_field(tenant, operation),
                        f" {revision} {digest(write)} {write.id}",
                        trail_path(scope, tenant),
                        word,
                        tenant or "",
                        row_of(write) if write.document is not None and not write.erase else "",
                        "1" if write.erase else "",
                        stays,
                        personal,
                        self.channel,
                        # The script knows the position, which is what a message begins with.
                        written(LogEntry(0, scope, tenant, revision)).removeprefix("[0"),
                        mark,
                        *(("", "") if write.beside is None else (write.beside[0].value, write.beside[1])),
                    ),
                    changes=True,
                )
            )
        )
        match answer:
            case [b"applied", position]:
                return Applied(write.id, True, revision, int(position))
            case [b"known", first]:
                position, its_revision, its_digest, its_id = first.decode().split(" ", 3)
                if its_digest != digest(write):
                    raise operation_conflict(operation or "")
                # Of a client that repeats, the first time may have been a moment ago.
                is_this = self.repeats and its_id == write.id
                return Applied(its_id, is_this, int(its_revision), int(position))
            case [b"beside", found] if write.beside is not None:
                raise change_conflict(write.beside[0], None, write.beside[1], int(found), ())
            case _:
                _, found, *newest = answer
                faster = who_was_faster([each for each in newest if each is not None], expect)
                raise change_conflict(scope, tenant, expect, int(found), faster)

    def changes_since(self, position: int | None, limit: int, histories: Histories) -> Asking[LogPage]:
        """Read the change log, or where it ends."""
        count = min(limit, PART)
        _, head, history, *found = self.checked(
            (yield Ask(scripts.LOG, (VERSION, "" if position is None else position, count + 1)))
        )
        end = int(head)
        if position is None:
            return histories.given(history, LogPage((), end))
        entries = tuple(
            LogEntry(int(place), scope_read(word.decode(), int(mark)), tenant.decode() or None, int(revision))
            for place, word, tenant, revision, mark in found[:count]
        )
        begins = entries[0].position if entries else end + 1
        if histories.is_another(history, position) or begins > position + 1 or position > end:
            return histories.given(history, LogPage((), end, gap=True))
        last = entries[-1].position if entries else end
        return histories.given(history, LogPage(entries, last, more=len(found) > count))

    def find(self, module: str | None, plan: str | None, after: str | None, limit: int) -> Asking[Sequence[TenantRow]]:
        """List tenants."""
        path = b"t" if plan is None else sized("p", plan)
        begin = ""
        if module is not None:
            path, begin = sized("m", module), "" if plan is None else plan_begin(plan)
        rows: list[TenantRow] = []
        last: Part = "" if after is None else f"+{after}"
        while len(rows) < limit:
            # Where rows are left out, more are looked at than may be wanted: most calls find enough at once.
            count = PART if begin else min(limit - len(rows), PART)
            _, more, *found = self.checked((yield Ask(scripts.FIND, (VERSION, path, last, count, begin))))
            rows += [tenant_row(tenant, row) for tenant, row in found]
            if more is None:
                break
            last = b"+" + more
        return rows[:limit]

    def audit(
        self,
        *,
        tenant: str | None,
        scope: Scope | None,
        id: str | None,
        operation: str | None,
        since: Instant | None,
        after: int,
        limit: int,
    ) -> Asking[Sequence[AuditEntry]]:
        """Read the trail by its shortest way, and leave out what was not asked for."""
        path, field = b"", b""
        if id is not None:
            field = b"i" + id.encode()
        elif operation is not None and tenant is not None:
            field = operation_field(tenant, operation)
        elif operation is not None:
            path = sized("q", operation)
        elif tenant is not None:
            path = trail_path(Scope.TENANT, tenant)
        elif scope is not None and scope is not Scope.TENANT:
            path = trail_path(scope, None)
        entries: list[AuditEntry] = []
        more = True
        while more and len(entries) < limit:
            more, found = yield from self._trail(path, field, after, PART if since else limit - len(entries))
            entries += [
                entry
                for entry in (audit_entry(place, held) for place, held in found)
                if (tenant is None or entry.tenant == tenant)
                and (scope is None or entry.scope is scope)
                and (operation is None or entry.operation == operation)
                and (since is None or entry.recorded >= since)
            ]
            after = found[-1][0] if found else after
        return entries[:limit]

    def outbox(self, after: int, limit: int) -> Asking[Sequence[OutboxEvent]]:
        """Read what is to be told to others."""
        events: list[OutboxEvent] = []
        more = True
        while more and len(events) < limit:
            more, found = yield from self._trail(b"", b"", after, limit - len(events))
            told = (outbox_event(place, held) for place, held in found)
            events += [event for event in told if event is not None]
            after = found[-1][0] if found else after
        return events

    def listed(self, tenants: Sequence[str]) -> Asking[Mapping[str, TenantRow]]:
        """Read how tenants are listed."""
        rows: dict[str, TenantRow] = {}
        for first in range(0, len(tenants), PART):
            _, *found = self.checked((yield Ask(scripts.LISTED, (VERSION, *tenants[first : first + PART]))))
            rows |= {row.tenant: row for row in (tenant_row(tenant, held) for tenant, held in found)}
        return rows

    def _trail(self, path: bytes, field: bytes, after: int, count: int) -> Asking[tuple[bool, list[tuple[int, bytes]]]]:
        _, more, *found = self.checked((yield Ask(scripts.TRAIL, (VERSION, path, field, after, min(count, PART)))))
        if any(held is None for _, held in found):
            raise self._damaged()
        return bool(more), [(int(place), held) for place, held in found]

    def _held(self, *fields: str) -> Asking[list[bytes | None]]:
        """What is kept in *fields* of the documents, if these are there and as this release needs them."""
        layout, *held = yield Ask("HMGET", (self.keys.documents, LAYOUT, *fields))
        if layout != VERSION.encode():
            self.checked([b"layout", layout or b""])
        found: list[bytes | None] = held
        return found

    def checked(self, answer: Any) -> Any:
        """
        Give *answer* on, unless it says what is wrong with what is there.

        Raises:
            StoreDamaged: A part of it is gone, or all.
            StoreIncomplete: A backup is being read into it, or was.
            StoreDamaged: It is of a later release: for whoever asks an outage, and no fault of his.
        """
        match answer:
            case [b"damaged"]:
                raise self._damaged()
            case [b"layout", b""]:
                raise StoreDamaged(
                    f"{self.name} has nothing of ours, or nothing any more. An empty store is made ready when a "
                    "process starts; one that was emptied or evicted is restored from a backup"
                )
            case [b"layout", version] if version == FILLING.encode():
                raise StoreIncomplete(
                    f"a backup is being read into {self.name}, or that was broken off: then run `payaid import` again, "
                    "which begins anew"
                )
            case [b"layout", version] if version != VERSION.encode():
                raise _OfAnotherRelease(
                    f"{self.name} is laid out in version {version.decode()}, and this release needs version {VERSION}; "
                    "install the release of payaid_entitlements that made it, or a later one"
                )
        return answer

    def _damaged(self) -> StoreDamaged:
        return StoreDamaged(
            f"a part of what {self.name} had is gone, as when a server evicts keys or somebody deletes them; "
            "restore it from a backup"
        )
