"""Plans and add-ons: what is sold, flattened, with every value read by its feature's kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from payaid_entitlements.core.catalog import written
from payaid_entitlements.core.catalog.model import (
    AddOn,
    ConfigType,
    CreditGrant,
    Feature,
    Kind,
    Plan,
    Price,
)
from payaid_entitlements.core.catalog.quantities import countable, feature_value
from payaid_entitlements.core.period import parse_duration, parse_interval
from payaid_entitlements.core.ratelimit.rates import rates_of
from payaid_entitlements.core.values import UNLIMITED, Allowance, Amount, Value
from payaid_entitlements.core.written.plain import described

if TYPE_CHECKING:
    from collections.abc import Callable

    from payaid_entitlements.core.catalog.model import Rate, RateLimit
    from payaid_entitlements.core.catalog.reading import CatalogReading
    from payaid_entitlements.core.written.problems import Path
    from payaid_entitlements.core.written.reading import Reading

_T = TypeVar("_T")

_INTERVALS: Final[dict[str, Literal["month", "year", "once"]]] = {
    "monthly": "month",
    "yearly": "year",
    "once": "once",
}
_ADDABLE: Final = (ConfigType.INT, ConfigType.DECIMAL, ConfigType.DURATION, ConfigType.SIZE)


@dataclass(frozen=True, slots=True)
class Flat:
    """
    A plan with what it extends merged in, as it was written.

    Attributes:
        plan: Extends nothing; names the currency of its price.
        origins: Where each module, feature and rate limit was written, by its place in *plan*.
    """

    plan: written.WrittenPlan
    origins: Mapping[Path, Path]


def flatten(plans: Mapping[str, written.WrittenPlan], currency: str | None) -> dict[str, Flat]:
    """
    Merge into each plan what it extends.

    Modules add up. A feature or rate limit named again is replaced. Title, price, trial, buy and
    url are a plan's own. Only earlier plans count, so nothing extends itself.
    """
    flat: dict[str, Flat] = {}
    for key, plan in plans.items():
        parent = flat.get(plan.extends or "", Flat(written.WrittenPlan(), {}))
        origins: dict[Path, Path] = dict(parent.origins)
        for index, module in enumerate(plan.modules):
            origins.setdefault(("modules", module), ("plans", key, "modules", index))
        origins |= {("features", name): ("plans", key, "features", name) for name in plan.features}
        origins |= {("rate_limits", name): ("plans", key, "rate_limits", name) for name in plan.rate_limits}
        merged: dict[str, object] = {
            "extends": None,
            "price": _with_currency(plan.price, currency),
            "modules": list(dict.fromkeys((*parent.plan.modules, *plan.modules))),
            "features": parent.plan.features | plan.features,
            "rate_limits": parent.plan.rate_limits | plan.rate_limits,
        }
        flat[key] = Flat(plan.model_copy(update=merged), origins)
    return flat


def _with_currency(price: written.WrittenPrice | None, currency: str | None) -> written.WrittenPrice | None:
    if price is None or price.currency is not None:
        return price
    return price.model_copy(update={"currency": currency})


def common_currency(document: written.WrittenCatalog) -> str | None:
    """Find the currency of prices that name none: the catalog's, or the only one that is written."""
    offers: list[written.WrittenPlan | written.WrittenAddOn] = [
        *document.plans.values(),
        *document.add_ons.values(),
    ]
    prices = (offer.price for offer in offers)
    named = {price.currency for price in prices if price is not None and price.currency is not None}
    return document.currency or (named.pop() if len(named) == 1 else None)


def with_currency(document: written.WrittenCatalog) -> dict[str, written.WrittenAddOn]:
    """Name the currency in the price of each add-on."""
    currency = common_currency(document)
    return {
        key: add_on.model_copy(update={"price": _with_currency(add_on.price, currency)})
        for key, add_on in document.add_ons.items()
    }


def read_plan(key: str, rank: int, flat: Flat, limits: Mapping[str, RateLimit], reading: CatalogReading) -> Plan:
    """Read a flattened plan; *limits* are the rate limits that the catalog defines."""
    who, own = f"plan {key!r}", ("plans", key)
    plan, at = flat.plan, flat.origins
    features: dict[str, Value] = {}
    for name, value in plan.features.items():
        place = at[("features", name)]
        # Inherited, a value is wrong where it was written, once, and not in each plan that has it.
        writer = f"plan {place[1]!r}"
        if reading.names(name, reading.features, "feature", writer, place):
            read = reading.take(place, f"{writer}, {name}", feature_value, reading.features[name], value)
            if read is not None:
                features[name] = read
    rate_limits: dict[str, tuple[Rate, ...]] = {}
    for name, texts in plan.rate_limits.items():
        place = at[("rate_limits", name)]
        writer = f"plan {place[1]!r}"
        if reading.names(name, limits, "rate limit", writer, place):
            read_rates = reading.take(place, f"{writer}, rate limit {name!r}", rates_of, limits[name], texts)
            rate_limits[name] = read_rates or ()
    modules = tuple(
        name
        for name in plan.modules
        if reading.names(name, reading.modules, "module", f"plan {at['modules', name][1]!r}", at["modules", name])
    )
    trial = None
    if plan.trial is not None:
        trial = reading.take((*own, "trial"), f"{who}, trial", parse_interval, plan.trial)
    return Plan(
        key=key,
        title=plan.title or key,
        rank=rank,
        modules=modules,
        features=features,
        rate_limits=rate_limits,
        prices=read_prices(plan.price, who, own, reading),
        trial=trial,
        buy=plan.buy,
        url=plan.url,
    )


def read_prices(price: written.WrittenPrice | None, who: str, path: Path, reading: Reading) -> tuple[Price, ...]:
    """Read a price for each interval that it names."""
    if price is None:
        return ()
    at: Path = (*path, "price")
    if price.currency is None:
        message = f"{who}: the price has no currency; write `currency: INR` here or once at the top"
        reading.findings.add("price.currency", message, at)
    elif not _is_currency(price.currency):
        message = f"{who}: {price.currency!r} is no currency; write three capital letters as in ISO 4217"
        reading.findings.add("price.currency", message, (*at, "currency"))
    prices: list[Price] = []
    for name, interval in _INTERVALS.items():
        amount = getattr(price, name)
        ids = {provider: known[name] for provider, known in price.ids.items() if name in known}
        if amount is None:
            for provider in ids:
                message = f"{who}: {provider} has an id for {name!r}, which has no price"
                reading.findings.add("price.id", message, (*at, "ids", provider, name))
        elif amount < 0:
            reading.findings.add("price.amount", f"{who}: a price is at least 0, not {amount}", (*at, name))
        else:
            prices.append(Price(amount, price.currency or "", interval, ids))
    if not any(getattr(price, name) is not None for name in _INTERVALS):
        message = f"{who}: the price names no interval; write `monthly`, `yearly` or `once`"
        reading.findings.add("price.empty", message, at)
    return tuple(prices)


def _is_currency(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def read_add_on(
    key: str, rank: int, read: written.WrittenAddOn, plans: Mapping[str, object], reading: CatalogReading
) -> AddOn:
    """Read an add-on; *plans* are those that the catalog defines."""
    who, path = f"add-on {key!r}", ("add_ons", key)

    def values(section: str, given: Mapping[str, object], fits: Callable[[Feature, object], _T]) -> dict[str, _T]:
        found: dict[str, _T] = {}
        for name, value in given.items():
            place = (*path, section, name)
            if reading.names(name, reading.features, "feature", who, place):
                result = reading.take(place, f"{who}, {section} {name}", fits, reading.features[name], value)
                if result is not None:
                    found[name] = result
        return found

    def known(section: str, keys: list[str], among: Mapping[str, object], what: str) -> tuple[str, ...]:
        return tuple(
            name for index, name in enumerate(keys) if reading.names(name, among, what, who, (*path, section, index))
        )

    expires = None
    if "expires" in read.grant:
        expires = reading.take((*path, "grant", "expires"), f"{who}, grant", _expiry, read.grant["expires"])
    lots = {name: value for name, value in read.grant.items() if name != "expires"}
    return AddOn(
        key=key,
        title=read.title or key,
        rank=rank,
        modules=known("modules", read.modules, reading.modules, "module"),
        increment=values("increment", read.increment, _increment),
        override=values("override", read.override, feature_value),
        max=values("max", read.max, _maximum),
        grant={name: CreditGrant(lot, expires) for name, lot in values("grant", lots, _lot).items()},
        max_quantity=read.max_quantity,
        for_plans=known("for_plans", read.for_plans, plans, "plan"),
        prices=read_prices(read.price, who, path, reading),
        url=read.url,
    )


def _increment(feature: Feature, value: object) -> Value:
    read = feature_value(feature, value)
    if not feature.kind.is_metered and feature.type not in _ADDABLE:
        raise ValueError(f"a {feature.type or feature.kind} cannot be added to; use `override`")
    if read is UNLIMITED or (isinstance(read, Allowance) and read.limit is UNLIMITED):
        raise ValueError("nothing is unlimited more; use `override`")
    if not (read.limit if isinstance(read, Allowance) else read):
        raise ValueError("adding 0 changes nothing")
    if isinstance(read, int | Decimal) and read < 0:
        raise ValueError("an increment takes nothing away: who buys more holds more; use `override` for what replaces")
    return read


def _maximum(feature: Feature, value: object) -> Value:
    ordered = feature.kind.is_metered or feature.type in (*_ADDABLE, ConfigType.CHOICE)
    if not ordered:
        raise ValueError(f"a {feature.type or feature.kind} is neither more nor less; use `override`")
    return feature_value(feature, value)


def _lot(feature: Feature, value: object) -> Amount:
    if feature.kind is not Kind.CREDIT:
        raise ValueError(f"this is a {feature.kind}; only a credit is granted, use `increment`")
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"write the units that are given once, such as 500, not {described(value)}")
    return countable(value, feature)


def _expiry(value: object) -> int:
    length = parse_duration(value) if isinstance(value, str) else 0
    if not length:
        raise ValueError(f"`expires` is a duration such as `90 days`, not {described(value)}")
    return length
