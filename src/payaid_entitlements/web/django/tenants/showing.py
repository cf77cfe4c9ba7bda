"""What the pages show of a tenant, as plain texts: templates get neither decisions nor anything that asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from payaid_entitlements.admin.trail import AuditEntry
from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import MICROSECONDS, Instant, instant, moment
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.overriding import StandingOverride, standing_overrides
from payaid_entitlements.core.reference import read_reference
from payaid_entitlements.core.values import UNLIMITED, Deny
from payaid_entitlements.core.worth import told
from payaid_entitlements.core.written.keyspace import RATE_LIMITS
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.view import TenantView

#: Entries of the audit trail that a page shows, the newest.
NEWEST = 50
#: Tenants that are named where an id is only the beginning of one, at most.
SIMILAR = 10


@dataclass(frozen=True, slots=True)
class Line:
    """
    One key, and what it comes to.

    Attributes:
        depth: 0 for modules and what is in none, 1 for what is in one.
        now: ``allowed``, ``read only`` or ``refused``.
        why: The reason's code; *meaning* says it in a sentence.
        worth: What it is worth; empty for what is only on or off.
        usage: ``12 of 100 used``, or ``12 used`` of what has no limit; empty where nothing is counted.
        resets_at: When that starts anew; None where it never does.
    """

    key: str
    title: str
    depth: int
    now: str
    why: str
    meaning: str
    source: str
    worth: str
    usage: str
    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class Override:
    """
    An override, in force or to come.

    Attributes:
        since: Where it is to come; None where it is in force.
    """

    key: str
    user: str
    to: str
    since: datetime | None
    until: datetime | None
    actor: str
    because: str


@dataclass(frozen=True, slots=True)
class Page:
    """
    All that one page shows.

    Attributes:
        revision: 0 where nothing was ever recorded.
        trail: The newest first.
        is_cut: There are older changes than *trail* has.
        similar: Of one of whom nothing was recorded: tenants whose ids begin as this one does.
        failed: What could not be read, in words; empty where all was.
    """

    tenant: str
    plan: str
    state: str
    revision: int
    valid_until: datetime | None
    lines: tuple[Line, ...]
    overrides: tuple[Override, ...]
    trail: tuple[AuditEntry, ...]
    is_cut: bool
    similar: tuple[str, ...]
    failed: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """
    What the reference of a refusal says, which a customer has read out.

    Attributes:
        key: What was asked for.
        reason: The code of why it was refused; *meaning* says it in a sentence.
        copy: How old the copy was that was asked: ``just read``, ``about 3.0 s old``.
        then: What is known today of that second: ``allowed``, ``read only`` or ``refused``, for *then_reason*.
    """

    key: str
    said_at: datetime
    reason: str
    meaning: str
    revision: int
    copy: str
    then: str
    then_reason: str


def quoted(client: Entitlements, tenant: str, text: str) -> Quoted:
    """
    Read the reference *text*, which somebody of *tenant* quotes.

    Raises:
        ValueError: It is none, is not about *tenant*, or is about nothing that the catalog has.
        StoreUnavailable: The store gave no answer.
    """
    said = read_reference(text)
    if not said.is_tenant(tenant):
        raise ValueError(f"the reference {text} is not about {tenant}")
    at = instant(client.tenant(tenant, fresh=True).at)
    catalog = catalog_of(client)
    key = said.feature_among([*catalog.modules, *catalog.features, *catalog.retired])
    if key is None:
        raise ValueError(f"the catalog has no module or feature that the reference {text} is about")
    # It says the second, and not the instant.
    then = client.explain(tenant, key, at=moment(min(said.said_at + MICROSECONDS - 1, at)))
    return Quoted(
        key,
        moment(said.said_at),
        "a reason that this version does not know" if said.reason is None else said.reason.value,
        "" if said.reason is None else said.reason.meaning,
        said.revision,
        "just read" if said.age < 0.5 else f"about {said.age:.1f} s old",
        now_of(then.decision.allowed, then.read is not None and then.read.allowed),
        then.decision.reason.value,
    )


def page_of(client: Entitlements, tenant: str) -> Page:
    """
    Read all of *tenant*, as it is now: past the caches.

    Raises:
        StoreUnavailable: The store gave no answer.
        ConfigurationError: Nothing was ever published, or the tables are not there.
    """
    view = client.tenant(tenant, fresh=True)
    catalog = catalog_of(client)
    failed = ""
    usages: dict[str, Usage] = {}
    try:
        usages = client.usage(tenant)
    except StoreUnavailable as error:
        failed = f"usage is not known now: {error}"
    trail = deque(client.admin("django").audit(tenant), NEWEST + 1)
    is_cut = len(trail) > NEWEST
    if is_cut:
        trail.popleft()
    document = client._store.read([tenant]).get(tenant) or TenantDocument(tenant)
    at = instant(view.at)
    return Page(
        tenant,
        view.plan or "none",
        "no subscription" if view.state is None else view.state.value,
        view.revision,
        view.valid_until,
        tuple(_lines(view, catalog, usages)),
        tuple(_override(each, at) for each in standing_overrides(document, at)),
        tuple(reversed(trail)),
        is_cut,
        () if view.revision else tuple(_similar(client, tenant)),
        failed,
    )


def _similar(client: Entitlements, tenant: str) -> Iterator[str]:
    for row in client._store.find(after=tenant, limit=SIMILAR):
        if row.tenant.startswith(tenant):
            yield row.tenant


def catalog_of(client: Entitlements) -> Catalog:
    """
    Give what is sold now.

    Raises:
        StoreUnavailable: The store gave no answer, and nothing was known before.
    """
    world = client._near.world
    if world is None:
        raise StoreUnavailable("the store gave no answer")
    return world.catalog


def worth_of(value: object) -> str:
    """A value in words; empty for what is only on or off."""
    if value is None or value is True:
        return ""
    return "denied" if isinstance(value, Deny) else told(value)  # type: ignore[arg-type] # all others are values


def _lines(view: TenantView, catalog: Catalog, usages: dict[str, Usage]) -> Iterator[Line]:
    for key, module in catalog.modules.items():
        yield _asked(view, key, module.title, 0)
        for feature in module.features:
            yield _asked(view, feature, catalog.features[feature].title, 1, usages.get(feature))
    for key, defined in catalog.features.items():
        if defined.module is None:
            yield _asked(view, key, defined.title, 0, usages.get(key))
    for key in catalog.rate_limits:
        decision = view.explain(RATE_LIMITS + key).decision
        yield _line(RATE_LIMITS + key, "", 0, now_of(decision.allowed, False), decision)


def _asked(view: TenantView, key: str, title: str, depth: int, usage: Usage | None = None) -> Line:
    decision = view.decide(key, "write")
    return _line(key, title, depth, now_of(decision.allowed, view.decide(key, "read").allowed), decision, usage)


def now_of(may_write: bool, may_read: bool) -> str:
    """What can be done now, in a word or two."""
    return "allowed" if may_write else "read only" if may_read else "refused"


def _line(key: str, title: str, depth: int, now: str, decision: Decision, usage: Usage | None = None) -> Line:
    reason = decision.reason
    used = ""
    if usage is not None:
        limit = "" if usage.limit is UNLIMITED else f" of {told(usage.limit)}"
        used = f"{usage.used}{limit} used" + (f", {usage.held} held" if usage.held else "")
    return Line(
        key,
        title if title != key else "",
        depth,
        now,
        reason.value,
        reason.meaning,
        decision.source,
        worth_of(decision.value),
        used,
        None if usage is None else usage.resets_at,
    )


def _override(each: StandingOverride, at: Instant) -> Override:
    return Override(
        each.feature,
        each.user or "",
        worth_of(each.to) or "yes",
        moment(each.since) if each.since > at else None,
        None if each.until is None else moment(each.until),
        each.actor,
        each.because,
    )
