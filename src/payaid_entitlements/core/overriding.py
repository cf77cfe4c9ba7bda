"""
Overrides: what somebody of the vendor says about one key of one tenant, or of one user in it.

What is said is checked against the kind of the feature here, so that resolving can believe it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.model import ConfigType, Feature, Kind
from payaid_entitlements.core.catalog.quantities import feature_value, misfit
from payaid_entitlements.core.encoding import decode_value, encode_value
from payaid_entitlements.core.facts import NewFact, Subject, TenantDocument
from payaid_entitlements.core.instant import Instant, moment
from payaid_entitlements.core.ratelimit.overriding import override_of_limit, require_limit
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance, Deny, Value
from payaid_entitlements.core.written.keyspace import RATE_LIMITS
from payaid_entitlements.core.written.plain import DIGITS, is_short
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, UnknownFeature

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.ground import Ground


@dataclass(frozen=True, slots=True)
class StandingOverride:
    """
    An override as the facts of a tenant have it, in force or to come.

    Attributes:
        user: None where it is the tenant's.
        until: Exclusive; None for no end.
    """

    feature: str
    user: str | None
    to: Value | Deny | None
    since: Instant
    until: Instant | None
    actor: str
    because: str


def standing_overrides(document: TenantDocument, at: Instant) -> list[StandingOverride]:
    """List the overrides that are in force at *at* or to come, of the tenant and of its users."""
    found = []
    for path, line in document.timelines.items():
        if path[0] != "override":
            continue
        for fact, following in zip(line.facts, (*line.facts[1:], None), strict=True):
            match fact.value:
                case {"to": to, "until": until, **said} if until is None or until > at:
                    is_over = following is not None and following.since <= at
                    if not is_over:
                        user = path[2] if len(path) > 2 else None
                        by = str(said.get("actor", "")), str(said.get("because", ""))
                        found.append(StandingOverride(path[1], user, decode_value(to), fact.since, until, *by))
    return sorted(found, key=lambda each: (each.feature, each.user or "", each.since))


def override_subject(feature: str, user: str | None = None) -> Subject:
    """What an override is about; without *user* it is the tenant's."""
    return ("override", feature) if user is None else ("override", feature, user)


def override(
    on: Ground,
    feature: str,
    to: Value | Deny,
    *,
    from_: Instant | None = None,
    until: Instant | None,
    user: str | None,
    because: str | None,
    actor: str,
) -> tuple[NewFact, ...]:
    """
    Let a module, a feature or a rate limit be *to*, whatever was bought, from *from_* (None: at once) until *until*.

    What was said before of the same key counts again after *until*: an exception for a day does not lift a ban.

    Raises:
        UnknownFeature: The catalog has no such key.
        TypeError: *to* is of another kind than the feature, or nobody said why.
        ConfigurationError: *to* is no value that the feature can have; *from_* is over already, or *until* is, or is
            not after *from_*.
    """
    value = override_value(on.world.catalog, feature, to, user)
    if not because:
        raise TypeError(
            f"an override of {feature!r} without a reason cannot be told from a mistake later; pass because='...', "
            "here or to ent.admin(...)"
        )
    if until is not None and until <= on.now:
        raise ConfigurationError(
            f"until={moment(until)} is over already; an override ends in the future, or never (None)"
        )
    if from_ is not None and from_ < on.now:
        raise ConfigurationError(f"from_={moment(from_)} is over already; an override begins now (None) or later")
    since = on.at if from_ is None else from_
    if until is not None and until <= since:
        raise ConfigurationError(f"until={moment(until)} is not after from_={moment(since)}")
    about = override_subject(feature, user)
    said = {"to": encode_value(value), "until": until, "because": because, "actor": actor}
    return (NewFact(about, since, said), *_afterwards(on, about, until))


def _afterwards(on: Ground, about: Subject, until: Instant | None) -> Iterator[NewFact]:
    """What is already said of *about* for the time from *until* on, said again behind a new override that ends then."""
    line = on.document.timelines.get(about)
    if until is None or line is None:
        return
    match line.at(until):
        case {"until": end} as standing if end is None or end > until:
            yield NewFact(about, until, standing)
    for fact in line.facts:
        if fact.since > until:
            yield NewFact(about, fact.since, fact.value)


def clear_override(on: Ground, feature: str, *, user: str | None) -> tuple[NewFact, ...]:
    """
    Let what was bought count again.

    Raises:
        UnknownFeature: The catalog has no such key, and nothing was ever said about it.
    """
    about = override_subject(feature, user)
    if about not in on.document.timelines:
        if feature.startswith(RATE_LIMITS):
            require_limit(on.world.catalog, feature)
        else:
            require_key(on.world.catalog, feature)
    return (NewFact(about, on.at, None),)


def require_key(catalog: Catalog, key: str, *, flags: Collection[str] = ()) -> None:
    """
    Pass for a module or feature, or for one of *flags*, where those will do too.

    Raises:
        UnknownFeature: There is no such key.
    """
    if key not in catalog.modules and key not in catalog.features and key not in flags:
        near = did_you_mean(str(key), [*catalog.modules, *catalog.features, *flags])
        what = "module, feature or flag" if flags else "module or feature"
        raise UnknownFeature(f"the catalog has no {what} {key!r}{near}")


def override_value(catalog: Catalog, key: str, to: object, user: str | None = None) -> Value | Deny:
    """
    Check what an override says, and write it as plans have it.

    A number, a text as in the catalog (``"500/month"``, ``"10 GB"``) or `UNLIMITED` becomes an allowance for a metered
    feature; without a window it keeps that of what was bought. Of a rate limit see `override_of_limit`.

    Raises:
        UnknownFeature, TypeError, ConfigurationError: As for `override`.
    """
    if key.startswith(RATE_LIMITS):
        return override_of_limit(require_limit(catalog, key), to, user)
    require_key(catalog, key)
    feature = catalog.features.get(key)
    number = to.limit if isinstance(to, Allowance) else to
    if isinstance(number, int | Decimal) and Decimal(number).is_finite() and not is_short(number):
        raise ConfigurationError(f"{key!r} cannot be that: a number has at most {DIGITS} digits")
    if to is DENY:
        return DENY
    if feature is None or feature.kind is Kind.SWITCH or feature.type is ConfigType.BOOL:
        if isinstance(to, bool):
            return to
        raise _wrong(key, "module" if feature is None else "switch", to, "True, False or DENY")
    return _metered(feature, to) if feature.kind.is_metered else _config(feature, to)


def _metered(feature: Feature, to: object) -> Value:
    if to is UNLIMITED:
        return Allowance(UNLIMITED)
    if isinstance(to, str):
        return _written(feature, to)
    allowance = Allowance(to) if isinstance(to, int | Decimal) and not isinstance(to, bool) else to
    if not isinstance(allowance, Allowance) or not _is_amount(allowance.limit):
        raise _wrong(feature.key, feature.kind.value, to, "an amount (int or Decimal), '500/month', UNLIMITED or DENY")
    limit = allowance.limit
    if isinstance(limit, Decimal) and not limit.is_finite():
        raise ConfigurationError(f"{feature.key!r} cannot be {limit}; without a limit is UNLIMITED")
    if limit is not UNLIMITED and (limit < 0 or (feature.kind is Kind.ALLOCATION and limit != int(limit))):
        raise ConfigurationError(f"{feature.key!r} cannot be {limit}; write a whole number of at least 0")
    if limit is not UNLIMITED and (reason := misfit(limit, feature.decimals)) is not None:
        raise ConfigurationError(f"{feature.key!r} cannot be {limit}: it {reason}")
    if feature.kind is Kind.ALLOCATION and allowance.per is not None:
        raise ConfigurationError(
            f"{feature.key!r} is held, it does not come anew each {allowance.per}; write only {limit}"
        )
    return allowance


def _is_amount(limit: object) -> bool:
    return limit is UNLIMITED or (isinstance(limit, int | Decimal) and not isinstance(limit, bool))


def _config(feature: Feature, to: object) -> Value:
    match feature.type, to:
        case ConfigType.SIZE, int() if to < 0:
            raise ConfigurationError(f"{feature.key!r} cannot be {to} bytes; write at least 0")
        case ConfigType.DURATION, timedelta() if to < timedelta():
            raise ConfigurationError(f"{feature.key!r} cannot be {to}; a duration is at least 0")
        case ConfigType.INT | ConfigType.SIZE, int() if not isinstance(to, bool):
            return to
        case ConfigType.DECIMAL, int() | Decimal() if not isinstance(to, bool) and Decimal(to).is_finite():
            return Decimal(to)
        case ConfigType.DURATION, timedelta():
            return to
        case ConfigType.LIST, tuple() | list() if all(isinstance(item, str) for item in to):
            return tuple(to)
        case ConfigType.STRING, str():
            return to
        case ConfigType.INT | ConfigType.SIZE | ConfigType.DECIMAL | ConfigType.DURATION, _ if to is UNLIMITED:
            return UNLIMITED
        case ConfigType.CHOICE | ConfigType.SIZE | ConfigType.DURATION, str():
            return _written(feature, to)
    raise _wrong(feature.key, f"{feature.type} config", to, f"{_TAKES[feature.type]} or DENY")


_TAKES: dict[ConfigType | None, str] = {
    ConfigType.INT: "an int, UNLIMITED",
    ConfigType.DECIMAL: "an int or a Decimal, UNLIMITED",
    ConfigType.STRING: "a str",
    ConfigType.CHOICE: "one of its choices",
    ConfigType.DURATION: "a timedelta, '24 hours', UNLIMITED",
    ConfigType.SIZE: "bytes as an int, '10 GB', UNLIMITED",
    ConfigType.LIST: "a list of str",
}


def _written(feature: Feature, text: str) -> Value:
    try:
        return feature_value(feature, text)
    except ValueError as error:
        raise ConfigurationError(f"{feature.key!r}: {error}") from error


def _wrong(key: str, what: str, to: object, takes: str) -> TypeError:
    return TypeError(f"{key!r} is a {what}; override it with {takes}, not with {type(to).__name__} ({to!r})")
