"""
What a flow asks of the outside: the steps it yields. A driver performs each and sends the answer back.

A flow is a generator that holds all policy of a miss or a change; it is written once and driven in either
colour. Tests drive it by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from payaid_entitlements.cache.counting import LedgerStep
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.ports import Scope, Transaction, Write

if TYPE_CHECKING:
    from payaid_entitlements.stores.redis.clients import Part, Script

T = TypeVar("T")

#: A flow yields steps, is sent their answers or thrown their errors, and returns a T.
Flow = Generator["Step", object, T]


@dataclass(frozen=True, slots=True)
class Prepare:
    """Make the store ready. Answer: its concerns."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Read the change log behind *position*. Answer: `LogPage`."""

    position: int | None


@dataclass(frozen=True, slots=True)
class ReadTenants:
    """Read documents. Answer: documents by tenant."""

    tenants: tuple[str, ...]
    tx: Transaction | None = None


class HostUnavailable(StoreUnavailable):
    """The host's own table gave no answer. The store is another thing, and may be well."""


@dataclass(frozen=True, slots=True)
class ReadHost:
    """Ask the host for the subscription that it keeps. Answer: `Subscription` or None. `HostUnavailable` without."""

    tenant: str


@dataclass(frozen=True, slots=True)
class ForgetActivity:
    """Forget what a tenant was seen to do; where nobody records it, nothing was. Answer: nothing."""

    tenant: str
    tx: Transaction | None = None


@dataclass(frozen=True, slots=True)
class ReadCatalog:
    """Answer: `Published` or None."""


@dataclass(frozen=True, slots=True)
class ReadControls:
    """Answer: `Controls`."""


@dataclass(frozen=True, slots=True)
class ReadFlags:
    """Answer: `FlagSet`."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Write. Answer: `Applied`."""

    write: Write
    expect: int
    actor: str
    because: str | None
    operation: str | None = None
    as_of: Instant | None = None
    tx: Transaction | None = None


@dataclass(frozen=True, slots=True)
class ReadAudit:
    """Read the audit trail. Answer: a sequence of `AuditEntry`."""

    tenant: str | None = None
    scope: Scope | None = None
    id: str | None = None
    operation: str | None = None
    since: Instant | None = None
    after: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Find:
    """List tenants. Answer: a sequence of `TenantRow`."""

    module: str | None = None
    plan: str | None = None
    after: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class AddTallies:
    """Add to counters that processes share. Answer: nothing."""

    name: str
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ReadTallies:
    """Read such counters. Answer: amounts by field."""

    name: str


@dataclass(frozen=True, slots=True)
class DropTallies:
    """Forget such counters. Answer: nothing."""

    name: str


@dataclass(frozen=True, slots=True)
class Join:
    """
    Run the flow that *begin* makes, unless one of the same *key* is running: then share its outcome.

    Answer: what the flow returns; None when another one is running and *wait* is False.

    Attributes:
        begins: It is what the first question needs, and has time of its own.
    """

    key: str
    begin: Callable[[], Flow[object]]
    wait: bool = True
    begins: bool = False


@dataclass(frozen=True, slots=True)
class AskShared:
    """Have the shared Redis run a script. Answer: its reply, where text is bytes. `StoreUnavailable` without one."""

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class CallHost:
    """Call a function of the host's; an asynchronous driver awaits what can be awaited. Answer: what it returns."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class AfterCommit:
    """
    Run the flow that *begin* makes once the host's transaction was committed; whatever it raises is lost.

    Answer: will it run? False where nobody tells of the commit.
    """

    tx: Transaction
    begin: Callable[[], Flow[object]]


@dataclass(frozen=True, slots=True)
class Pause:
    """Let some time pass. Answer: nothing."""

    seconds: float


Step = (
    Prepare
    | Poll
    | ReadTenants
    | ReadHost
    | ReadCatalog
    | ReadControls
    | ReadFlags
    | Apply
    | ReadAudit
    | Find
    | AddTallies
    | ReadTallies
    | DropTallies
    | ForgetActivity
    | Join
    | AskShared
    | CallHost
    | AfterCommit
    | Pause
    | LedgerStep
)
