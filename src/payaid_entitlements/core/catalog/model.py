"""
The catalog after reading: what is sold, as immutable values that the rules work on.

Nothing here checks anything: `payaid_entitlements.core.catalog.building` builds these from
what people wrote, and refuses what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.core.values import Amount, Value

if TYPE_CHECKING:
    from os import PathLike

    from payaid_entitlements.core.flags.model import Condition, Flag
    from payaid_entitlements.core.interval import Interval
    from payaid_entitlements.core.ratelimit.limits import OnOutage, Per
    from payaid_entitlements.core.written.problems import Problem

#: A length of time in microseconds, as `Instant` is a point in microseconds.
Microseconds = int


class Kind(StrEnum):
    """What sort of thing a feature is."""

    SWITCH = "switch"
    CONFIG = "config"
    QUOTA = "quota"
    ALLOCATION = "allocation"
    CREDIT = "credit"

    @property
    def is_metered(self) -> bool:
        """True where units are counted; a view then only knows whether any are sold."""
        return self in (Kind.QUOTA, Kind.ALLOCATION, Kind.CREDIT)


class ConfigType(StrEnum):
    """The type of a config feature's value."""

    BOOL = "bool"
    INT = "int"
    DECIMAL = "decimal"
    STRING = "string"
    CHOICE = "choice"  # ordered: later in `choices` is more
    DURATION = "duration"  # timedelta
    SIZE = "size"  # int, bytes
    LIST = "list"  # tuple of str


class Merge(StrEnum):
    """How values of a config feature from several sources become one."""

    MAX = "max"
    MIN = "min"
    PRIORITY = "priority"  # the source of the highest authority, then the highest rank


class Access(StrEnum):
    """What a lifecycle stage leaves open."""

    FULL = "full"
    READ_ONLY = "read_only"
    NONE = "none"


#: How wide a door each opens; more is wider.
WIDTHS: Final = {Access.NONE: 0, Access.READ_ONLY: 1, Access.FULL: 2}


@dataclass(frozen=True, slots=True)
class FailPolicy:
    """
    What to answer when the store cannot be reached and nothing fresh is known.

    Attributes:
        kind: ``closed`` refuses, ``open`` allows, ``last_known_good`` repeats the last answer.
        bound: For ``last_known_good``: how old that answer may be; 0 otherwise.
    """

    kind: Literal["closed", "open", "last_known_good"] = "closed"
    bound: Microseconds = 0


@dataclass(frozen=True, slots=True)
class OnExceed:
    """
    What happens when more of a quota is used than is sold.

    Attributes:
        kind: ``hard`` refuses; ``soft`` records; ``soft_until`` records up to *percent*;
            ``grace_then_block`` records for *grace* after the limit was passed; ``warn`` only warns.
        percent: For ``soft_until``: of the limit, at least 100.
        grace: For ``grace_then_block``.
    """

    kind: Literal["hard", "soft", "soft_until", "grace_then_block", "warn"] = "hard"
    percent: int | None = None
    grace: Microseconds | None = None


@dataclass(frozen=True, slots=True)
class Rollover:
    """What of an unused allowance moves to the next window: at least *min*, at most *max* units."""

    min: Amount = 0
    max: Amount | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """
    One capability that is sold.

    Attributes:
        key: ``module.feature``, or a bare key for the whole account. Never reused.
        module: The module it belongs to; None for the whole account.
        requires: Modules and features that must be held too.
        type, choices, merge: For config features.
        unit, window, on_exceed, rollover: For metered features; ``anchored`` windows begin on the
            billing date.
        count: Who counts an allocation: our ``ledger`` of named holders, or the ``host``'s own rows.
        pays_for: For credits: units of this credit that one unit of another feature costs.
        decimals: For quotas and credits: how many digits behind the point amounts may have, 0 to 6; they are counted
            in so small units.
        deprecated: Still works; answers carry an advisory. The date after which it may be retired.
    """

    key: str
    module: str | None
    kind: Kind
    title: str
    requires: tuple[str, ...] = ()
    unit: str | None = None
    type: ConfigType | None = None
    choices: tuple[str, ...] = ()
    merge: Merge | None = None
    window: Literal["anchored", "calendar"] = "anchored"
    on_exceed: OnExceed = OnExceed()
    rollover: Rollover | None = None
    count: Literal["ledger", "host"] = "ledger"
    pays_for: Mapping[str, Amount] = field(default_factory=dict)
    decimals: int = 0
    on_outage: FailPolicy = FailPolicy()
    deprecated: date | None = None


@dataclass(frozen=True, slots=True)
class Module:
    """An independently sold part of the product: a group of features."""

    key: str
    title: str
    requires: tuple[str, ...] = ()
    features: tuple[str, ...] = ()  # full keys, in the order of the file
    on_outage: FailPolicy = FailPolicy()
    deprecated: date | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """
    What one billing interval costs.

    Attributes:
        amount: In the currency's major unit, exact: ``999`` or ``Decimal("9.99")``.
        currency: ISO 4217.
        interval: ``month``, ``year`` or ``once``.
        provider_ids: The payment providers' ids for this price, by provider.
    """

    amount: Amount
    currency: str
    interval: Literal["month", "year", "once"]
    provider_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """
    So many calls in so long; several together all hold.

    Attributes:
        window: None for so many at once.
    """

    limit: int
    window: Microseconds | None


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a customer holds, flattened: `extends` is already merged in.

    Attributes:
        rank: Position in the catalog, from 0; a higher rank is a bigger plan.
        version: From 1; grows when publishing changes what the plan contains.
        modules, features: All that is sold. A metered feature's value is an `Allowance`.
        rate_limits: In place of the limits' defaults; no rates for no limit.
        trial: How long a trial lasts; None where there is none.
        buy: ``checkout``; ``contact_us`` has no price to show; ``hidden`` is never offered.
        url: Where to buy it.
    """

    key: str
    title: str
    rank: int
    modules: tuple[str, ...]
    features: Mapping[str, Value]
    version: int = 0
    rate_limits: Mapping[str, tuple[Rate, ...]] = field(default_factory=dict)
    prices: tuple[Price, ...] = ()
    trial: Interval | None = None
    buy: Literal["checkout", "contact_us", "hidden"] = "checkout"
    url: str | None = None


@dataclass(frozen=True, slots=True)
class CreditGrant:
    """A lot of units that an add-on gives once, when it is set; ``expires`` after its start."""

    amount: Amount
    expires: Microseconds | None = None


@dataclass(frozen=True, slots=True)
class AddOn:
    """
    What is sold on top of a plan, in a quantity.

    Attributes:
        rank: Position in the catalog, from 0.
        version: From 1; grows when publishing changes what the add-on contains.
        modules: Modules that it opens.
        increment: Added to the plan's value, times the quantity.
        override: Replaces the plan's value; of several the largest.
        max: Lifts the plan's value to at least this.
        grant: Lots of credit, given once.
        max_quantity: None for no bound.
        for_plans: Plans that may hold it; empty for all.
    """

    key: str
    title: str
    rank: int
    version: int = 0
    modules: tuple[str, ...] = ()
    increment: Mapping[str, Value] = field(default_factory=dict)
    override: Mapping[str, Value] = field(default_factory=dict)
    max: Mapping[str, Value] = field(default_factory=dict)
    grant: Mapping[str, CreditGrant] = field(default_factory=dict)
    max_quantity: int | None = None
    for_plans: tuple[str, ...] = ()
    prices: tuple[Price, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of being past due: *access* for *length*; the last one may have no end (None)."""

    access: Access
    length: Microseconds | None = None


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """
    What a subscription in trouble still opens.

    Attributes:
        past_due: Consecutive stages, counted from the instant since which payment is due.
        paused: What is left while paused.
    """

    past_due: tuple[Stage, ...] = (Stage(Access.FULL, 7 * 86_400_000_000), Stage(Access.NONE))
    paused: Access = Access.READ_ONLY


@dataclass(frozen=True, slots=True)
class RateLimit:
    """
    A rate limit as data; the engine that counts reads it.

    Attributes:
        per: Whose calls are counted together.
        default: What holds where no plan says otherwise; nothing for no limit.
        burst: Of GCRA: most units at once, by the rate with the shortest window. None for the rate's own units.
        on_outage: What holds while the limiter gives no answer.
        algorithm: How calls are counted. Concurrency where the limit is on what runs at once.
        held: Of what runs at once: after which a permit that was not given back is free again.
        counts_toward: Keys of limits on which its calls are counted too.
        is_observed: It is only counted, and refuses nobody.
        lease: Units that a process takes at once.
    """

    key: str
    per: Per
    default: tuple[Rate, ...]
    burst: int | None = None
    on_outage: OnOutage = "local_share"
    algorithm: Algorithm = Algorithm.GCRA
    held: Microseconds = 300_000_000
    counts_toward: tuple[str, ...] = ()
    is_observed: bool = False
    lease: int = 1

    @property
    def is_at_once(self) -> bool:
        """Does it limit what runs at once, rather than calls in a window?"""
        return self.algorithm is Algorithm.CONCURRENCY


@dataclass(frozen=True, slots=True)
class Catalog:
    """
    All that is sold. Immutable; equal content has an equal hash.

    Attributes:
        document: What was written, as plain JSON data; reading it again gives an equal catalog. A number
            with a point is ``{"$decimal": "9.99"}``.
        hash: SHA-256 of the canonical document, hexadecimal; the order of plans counts, comments do not.
        timezone: IANA name of the zone in which calendar windows begin.
        default_plan: Key of the plan of tenants without a subscription; None refuses them.
        flags, segments: First values; what was changed since is in the flag set.
        retired: Keys that were sold once and are never used again, with their day.
        lints: What looks wrong but does not keep the catalog from being used; not part of what is equal.
    """

    modules: Mapping[str, Module]
    features: Mapping[str, Feature]
    plans: Mapping[str, Plan]
    add_ons: Mapping[str, AddOn]
    document: Mapping[str, object]
    hash: str
    lifecycle: Lifecycle = Lifecycle()
    rate_limits: Mapping[str, RateLimit] = field(default_factory=dict)
    flags: Mapping[str, Flag] = field(default_factory=dict)
    segments: Mapping[str, Condition] = field(default_factory=dict)
    retired: Mapping[str, date] = field(default_factory=dict)
    timezone: str = "UTC"
    default_plan: str | None = None
    lints: tuple[Problem, ...] = field(default=(), compare=False)

    @classmethod
    def load(cls, source: str | PathLike[str] | Mapping[str, object]) -> Catalog:
        """
        Load a catalog from a file or from Python data.

        Args:
            source: A path, whose suffix says what it is written in (``.yaml``, ``.yml``, ``.toml``,
                ``.json``), or a mapping of the same sections. A string is always a path.

        Raises:
            CatalogInvalid: The file cannot be read or what it says cannot be sold; carries every problem.
            TypeError: *source* is something else.
        """
        from payaid_entitlements.core.catalog.building import (
            build,  # makes the models of what people write
        )
        from payaid_entitlements.core.written.source import read_source

        return build(*read_source(source))

    @classmethod
    def loads(cls, text: str, format: Literal["yaml", "toml", "json"] = "yaml", *, file: str = "<text>") -> Catalog:
        """
        Load a catalog from *text*; problems call it *file*. Otherwise as `load`.

        Raises:
            ConfigurationError: There is no such *format*.
        """
        from payaid_entitlements.core.catalog.building import build
        from payaid_entitlements.core.written.source import read_text

        return build(*read_text(text, format, file))
