"""
What a store must promise: the `Store` protocol, its async twin, and what passes through them.

A store remembers; it decides nothing. Every sentence below is a test in
`payaid_entitlements.testing.StoreContract`, which runs on every store in both colours and is
there for the stores of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, Union

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.publishing import Published
    from payaid_entitlements.core.controls import Controls
    from payaid_entitlements.core.facts import Recorded, TenantDocument
    from payaid_entitlements.core.flags.model import FlagSet
    from payaid_entitlements.core.instant import Instant

#: The host's open transaction, as its library gives it; a store accepts its own kind or refuses.
Transaction = object


class Scope(StrEnum):
    """What a change is about."""

    TENANT = "tenant"
    CATALOG = "catalog"
    CONTROLS = "controls"
    FLAGS = "flags"


@dataclass(frozen=True, slots=True)
class Write:
    """
    One change, worked out: what is to be stored if nobody was faster.

    Exactly one of `document`, `published`, `controls` and `flags` is given; it carries the new revision.

    Attributes:
        id: The change's id, of its own; sorts by time.
        verb: What was asked: ``subscribe``, ``override`` ...
        recorded: Now.
        facts: For a tenant: what was added, for the audit trail and for undoing.
        plan, modules: For a tenant: what `find` finds it by: the plan it holds, the modules that are licensed to it.
        erase: For a tenant: everything personal that was recorded before goes; a tombstone with the
            document's revision and generation stays.
        beside: For the catalog and the flags: another part, and the revision of it that this was worked out with. Where
            it is another one when this is written, the write conflicts as if its own were.
        detail: What an audit reader should see besides, as JSON data (for publishing: the lines of the difference).
            Its item ``asked``, where there is one, is what the caller asked: a repeated operation is known by it.
    """

    id: str
    verb: str
    recorded: Instant
    document: TenantDocument | None = None
    published: Published | None = None
    controls: Controls | None = None
    flags: FlagSet | None = None
    facts: tuple[Recorded, ...] = ()
    plan: str | None = None
    modules: tuple[str, ...] = ()
    erase: bool = False
    beside: tuple[Scope, int] | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Applied:
    """
    What applying a write came to.

    Attributes:
        id: Of this change, or of the first one when *operation* was seen before.
        applied: False when it was seen before: nothing was written now.
        revision: The revision that the change, or the first one, made.
        position: Its place in the change log.
    """

    id: str
    applied: bool
    revision: int
    position: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the change log. *tenant* is None for the catalog, the controls and the flags."""

    position: int
    scope: Scope
    tenant: str | None
    revision: int


@dataclass(frozen=True, slots=True)
class LogPage:
    """
    A part of the change log.

    Attributes:
        position: Continue from here; the newest position there is when *entries* is everything.
        gap: The log does not reach back to where the reader was, or ends before it, as a backup that was restored
            does: the reader must forget all it knows, and may go on from *position*.
        more: There are more entries after this page.
        history: Which log this is; None where the store cannot tell. Whoever has read another one before has a gap.
    """

    entries: tuple[LogEntry, ...]
    position: int
    gap: bool = False
    more: bool = False
    history: bytes | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant as `find` lists it. *modules* are sorted, each once."""

    tenant: str
    revision: int
    plan: str | None
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """
    Who changed what, when and why. Append-only; of a tenant that was forgotten, *because*, *operation*, *facts* and
    *detail* of what was recorded before are gone.

    Attributes:
        facts: What was added and what it replaced.
        operation: The caller's id of the act, when there was one.
        as_of: When the source said it, when that is known.
        digest: Where there is an operation: what the same act, repeated, is known by (`stores.digest`).
    """

    id: str
    position: int
    scope: Scope
    tenant: str | None
    generation: int
    revision: int
    recorded: Instant
    verb: str
    actor: str
    because: str | None
    operation: str | None
    as_of: Instant | None
    facts: tuple[Recorded, ...]
    detail: Mapping[str, object]
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """
    Something that happened, to be told to others after the transaction that made it true.

    There is one for each change, at its position, and none for what was not applied.

    Attributes:
        name: The scope and the verb: ``tenant.subscribe``.
        payload: ``change`` (its id) and ``revision``; for a tenant also ``tenant`` and ``plan``. Empty once the
            tenant was forgotten.
    """

    position: int
    name: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class KeptChange:
    """One change as a store keeps it, and what is told to others of it, if that is still kept."""

    entry: AuditEntry
    event: OutboxEvent | None


@dataclass(frozen=True, slots=True)
class KeptTenant:
    """A tenant as a store keeps it. *row* is how `Store.find` lists it, None for one that was forgotten."""

    document: TenantDocument
    row: TenantRow | None


#: What a store is made of: all that is moved when it is moved.
Part: TypeAlias = Union[KeptChange, KeptTenant, "Published", "Controls", "FlagSet"]


@dataclass(frozen=True, slots=True)
class Concern:
    """
    Something about a store, as it is configured, that breaks a promise.

    Attributes:
        promise: What cannot be kept: "what was acknowledged survives losing power".
        found: What was seen: "appendfsync is everysec".
        way_out: What would change it.
    """

    promise: str
    found: str
    way_out: str


#: Fields that one addition to tallies has at most: one statement, and half a millisecond of a server's time.
MOST_TALLIES: Final = 200

#: What holds for whatever is kept in the memory of a process. Who opens that has chosen it: `doctor` says it, and
#: nobody is warned.
LOST_WITH_THE_PROCESS = Concern(
    promise="what was recorded is kept",
    found="it is in the memory of this process, and ends with it",
    way_out="open a file or a server: sqlite:///payaid.db, postgresql://..., redis://...",
)


class Store(Protocol):
    """
    What is sold and who holds it. Durable as far as its backend is; what it gives may be cached.

    Every method may raise `StoreUnavailable`, with the driver's error as its cause. Identifiers are
    compared by their bytes: ``Acme``, ``acme`` and ``acme `` are three tenants.
    """

    @property
    def name(self) -> str:
        """Where this is, for people: without a password."""
        ...

    @property
    def is_durable(self) -> bool:
        """False where what is written is lost with the process that keeps it, or where that is not known yet."""
        ...

    @property
    def concerns(self) -> Sequence[Concern]:
        """What about this store, as it is configured, breaks a promise. Complete after `prepare`."""
        ...

    def prepare(self) -> None:
        """
        Make ready for use: create the schema where that is safe (memory, SQLite), else check it.

        Repeating it is cheap and harmless, also from several processes at once.

        Raises:
            SchemaOutOfDate: A migration is missing; the message has the command.
        """
        ...

    def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """
        Read the documents of *tenants* in one round trip.

        A tenant of whom nothing was recorded is absent from the answer. A forgotten one is there,
        with its revision and generation and no facts. With *tx* the answer includes what that
        transaction has written.
        """
        ...

    def catalog(self) -> Published | None:
        """Read what is published; None in a store into which nothing ever was."""
        ...

    def controls(self) -> Controls:
        """Read the operators' switches; revision 0 where nothing was ever set."""
        ...

    def flags(self) -> FlagSet:
        """Read the flags that were ever changed; revision 0 where none was."""
        ...

    def apply(
        self,
        write: Write,
        *,
        expect: int,
        actor: str,
        because: str | None,
        operation: str | None = None,
        as_of: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Applied:
        """
        Store *write*: document, index, audit, change log and outbox together, or nothing.

        Must be atomic among all processes: of two racing writes with the same *expect*, exactly one
        succeeds. The change is in the log at a position that is greater than every position that
        any reader has seen before it could see this one: positions appear in their order.

        Args:
            write: What to store. Its revision is *expect* + 1.
            expect: The revision that it was worked out from; 0 for what is not there yet.
            actor: Who asks.
            because: Why.
            operation: The caller's id for this act, unique per tenant (per store for catalog,
                controls and flags together). Seen before for the same act, the first outcome is returned and nothing
                is written, whatever *expect* says, also when two do it at once. The same act has the same verb, and
                the same ``detail["asked"]`` or, where that is not given, the same content (`stores.digest`).
            as_of: When the source said it; kept for the audit trail.
            tx: The host's open transaction to join; it commits, or nothing happened.

        Raises:
            ChangeConflict: The stored revision is another, or that of what is `Write.beside` it; nothing was written.
            OperationConflict: *operation* was used before for another act; nothing was written.
            OutcomeUnknown: No answer. Repeat with the same *operation* to find out.
            ConfigurationError: *tx* is not an open transaction of this store's database.
            ValueError: *write* carries not exactly one of document, published, controls and flags.
        """
        ...

    def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """
        Read the change log after *position*, oldest first.

        None asks where the log ends: no entries, the newest position. Each committed change is seen by a
        reader that continues from page to page: none is ever skipped.
        """
        ...

    def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """
        List tenants by their key, byte by byte, starting behind *after*.

        Forgotten tenants are left out. With *module* those to whom it is licensed, with *plan* those who hold it.
        """
        ...

    def audit(
        self,
        *,
        tenant: str | None = None,
        scope: Scope | None = None,
        id: str | None = None,
        operation: str | None = None,
        since: Instant | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """
        Read the audit trail behind position *after*, oldest first; filters join by "and".

        With *operation* what was done by it: at most one change of each tenant, and one of catalog, controls and flags.
        """
        ...

    def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Read what is to be told to others, behind position *after*, oldest first."""
        ...

    def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Read how `find` lists *tenants*, in one round trip; who is forgotten or unknown is absent."""
        ...

    def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """
        Fill this store, in which nothing is, with all that another one had: afterwards each read answers as there.

        Must be all or nothing, also where *pages* raises an error in the middle, which passes through, and where the
        process is killed: what is filled in part is not there, or each call is refused by `StoreIncomplete` until it is
        filled anew, from the beginning.

        Afterwards the log has the positions that came, and goes on behind `stores.writing.continued` of the last:
        whoever has read the other store's log further than it came is told of a gap, and forgets what it knows.

        Args:
            pages: Changes by their position, each once; a tenant, the catalog, the controls or the flags may come
                again, and then the last holds. Each is read once and kept no longer than it is needed.

        Raises:
            StoreNotEmpty: Something was written here before; nothing was changed.
            OutcomeUnknown: No answer. Repeat it: where it has happened, the store is not empty.
        """
        ...

    def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """
        Add *amounts*, by field, to the tallies called *name*: all of them or none, in one statement.

        Additions of any number of processes at once all count. Tallies are what is measured, not what is decided: they
        are in no change log and no backup, and an addition of which nobody knows whether it arrived is never repeated.

        Args:
            name: As a tenant is named; at most 255 characters.
            amounts: At most `MOST_TALLIES`, each from -2**53 to 2**53; their fields at most 255 characters.

        Raises:
            ValueError: There are too many of them, or they are out of bounds. Nothing was added.
        """
        ...

    def tallies(self, name: str) -> Mapping[str, int]:
        """Read the tallies called *name*, by field, in one round trip; what was never added to is absent."""
        ...

    def drop_tallies(self, name: str) -> None:
        """Forget the tallies called *name*; harmless where there are none."""
        ...

    def close(self) -> None:
        """Let go of connections and files. The store can be used again; it then opens them anew."""
        ...


class AsyncStore(Protocol):
    """Same as `Store`, awaited; ``close`` is ``aclose``."""

    @property
    def name(self) -> str:
        """Same as `Store.name`."""
        ...

    @property
    def is_durable(self) -> bool:
        """Same as `Store.is_durable`."""
        ...

    @property
    def concerns(self) -> Sequence[Concern]:
        """Same as `Store.concerns`."""
        ...

    async def prepare(self) -> None:
        """Same as `Store.prepare`."""
        ...

    async def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        ...

    async def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        ...

    async def controls(self) -> Controls:
        """Same as `Store.controls`."""
        ...

    async def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        ...

    async def apply(
        self,
        write: Write,
        *,
        expect: int,
        actor: str,
        because: str | None,
        operation: str | None = None,
        as_of: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Applied:
        """Same as `Store.apply`."""
        ...

    async def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        ...

    async def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        ...

    async def audit(
        self,
        *,
        tenant: str | None = None,
        scope: Scope | None = None,
        id: str | None = None,
        operation: str | None = None,
        since: Instant | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Same as `Store.audit`."""
        ...

    async def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        ...

    async def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        ...

    async def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        ...

    async def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        ...

    async def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        ...

    async def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `Store.restore`; *pages* are read where this runs, and nothing else runs meanwhile."""
        ...

    async def aclose(self) -> None:
        """Same as `Store.close`."""
        ...
