"""Modules and features: what exists, under which keys, and what requires what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.catalog import written
from payaid_entitlements.core.catalog.model import (
    ConfigType,
    FailPolicy,
    Feature,
    Kind,
    Merge,
    Module,
    OnExceed,
    Rollover,
)
from payaid_entitlements.core.catalog.quantities import misfit, on_exceed, on_outage
from payaid_entitlements.core.metering.amounts import cost_in_units, to_amount
from payaid_entitlements.core.metering.posting import MOST
from payaid_entitlements.core.written.circles import cycles
from payaid_entitlements.core.written.days import day
from payaid_entitlements.core.written.keyspace import RATE_LIMITS, check_part, check_retired, check_spellings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from payaid_entitlements.core.catalog.reading import CatalogReading
    from payaid_entitlements.core.values import Amount
    from payaid_entitlements.core.written.problems import Path
    from payaid_entitlements.core.written.reading import Reading

# Types whose values are neither more nor less than one another: only authority can choose among them.
_WITHOUT_ORDER: Final = (ConfigType.STRING, ConfigType.LIST)


def read_definitions(document: written.WrittenCatalog, reading: CatalogReading) -> None:
    """Fill *reading* with the modules and features of *document*, and check their keys."""
    places: dict[str, Path] = {}
    for key, module in document.modules.items():
        path: Path = ("modules", key)
        check_part(key, "module", path, reading)
        if f"{key}." == RATE_LIMITS:
            message = f"a module cannot be called {key!r}: overrides name rate limits so; rename it"
            reading.findings.add("key.reserved", message, path)
        places[key] = path
        reading.modules[key] = _module(key, module, path, reading)
        for name, feature in module.features.items():
            inside: Path = (*path, "features", name)
            check_part(name, "feature", inside, reading)
            places[f"{key}.{name}"] = inside
            reading.features[f"{key}.{name}"] = _feature(f"{key}.{name}", key, feature, inside, reading)
    for key, feature in document.features.items():
        path = ("features", key)
        check_part(key, "feature", path, reading)
        if _is_free(key, "feature", path, places, reading):
            reading.features[key] = _feature(key, None, feature, path, reading)
    for key in document.flags:
        check_part(key, "flag", ("flags", key), reading)
        _is_free(key, "flag", ("flags", key), places, reading)
    check_spellings(places, reading)
    for key, path in places.items():
        check_retired(key, path, reading)
    _check_references(places, reading)
    _check_cycles(places, reading)


def _is_free(key: str, what: str, path: Path, places: dict[str, Path], reading: Reading) -> bool:
    taken = places.setdefault(key, path)
    if taken is path:
        return True
    other = "module" if taken[0] == "modules" else "feature"
    line = reading.findings.line(taken)
    message = (
        f"{key!r} is a {other}{f' in line {line}' if line else ''} and cannot be a {what} too: "
        "they share one space of keys; rename one"
    )
    reading.findings.add("key.taken", message, path)
    return False


def _module(key: str, read: written.WrittenModule, path: Path, reading: Reading) -> Module:
    who = f"module {key!r}"
    return Module(
        key=key,
        title=read.title or key,
        requires=tuple(read.requires),
        features=tuple(f"{key}.{name}" for name in read.features),
        on_outage=_on_outage(read.on_outage, who, path, reading),
        deprecated=_deprecated(read.deprecated, who, path, reading),
    )


def _feature(key: str, module: str | None, read: written.WrittenFeature, path: Path, reading: Reading) -> Feature:
    who = f"feature {key!r}"
    unit = read.unit if isinstance(read, written.Consumed | written.Allocation) else None
    return Feature(
        key=key,
        module=module,
        kind=Kind(read.kind),
        title=read.title or key,
        requires=tuple(read.requires),
        unit=unit,
        type=ConfigType(read.type) if isinstance(read, written.Config) else None,
        choices=_choices(read, who, path, reading) if isinstance(read, written.Config) else (),
        merge=_merge(read, who, path, reading) if isinstance(read, written.Config) else None,
        window=read.window if isinstance(read, written.Consumed) else "anchored",
        on_exceed=_on_exceed(read, who, path, reading) if isinstance(read, written.Quota) else OnExceed(),
        rollover=_rollover(read, who, path, reading) if isinstance(read, written.Consumed) else None,
        count=read.count if isinstance(read, written.Allocation) else "ledger",
        pays_for=_pays_for(read, who, path, reading) if isinstance(read, written.Credit) else {},
        decimals=read.decimals if isinstance(read, written.Consumed) else 0,
        on_outage=_on_outage(read.on_outage, who, path, reading),
        deprecated=_deprecated(read.deprecated, who, path, reading),
    )


def _on_outage(text: str, who: str, path: Path, reading: Reading) -> FailPolicy:
    return reading.take((*path, "on_outage"), who, on_outage, text) or FailPolicy()


def _on_exceed(read: written.Quota, who: str, path: Path, reading: Reading) -> OnExceed:
    return reading.take((*path, "on_exceed"), who, on_exceed, read.on_exceed) or OnExceed()


def _deprecated(text: str | None, who: str, path: Path, reading: Reading) -> date | None:
    return None if text is None else reading.take((*path, "deprecated"), who, day, text)


def _choices(read: written.Config, who: str, path: Path, reading: Reading) -> tuple[str, ...]:
    if read.type != "choice":
        if read.choices:
            message = f"{who} has choices, but its type is {read.type!r}; write `type: choice`"
            reading.findings.add("feature.choices", message, (*path, "choices"))
        return ()
    if not read.choices:
        message = f"{who} is a choice of nothing; write `choices: [least, most]`"
        reading.findings.add("feature.choices", message, path)
    if len(set(read.choices)) < len(read.choices):
        message = f"{who} has a choice twice; their order says which is more"
        reading.findings.add("feature.choices", message, (*path, "choices"))
    return tuple(read.choices)


def _merge(read: written.Config, who: str, path: Path, reading: Reading) -> Merge:
    if read.type in _WITHOUT_ORDER:
        if read.merge not in (None, "priority"):
            message = f"{who}: a {read.type} is neither more nor less than another; write `merge: priority`"
            reading.findings.add("feature.merge", message, (*path, "merge"))
        return Merge.PRIORITY
    if read.merge is None:
        message = (
            f"{who} does not say how values of a plan and an add-on become one; write `merge: max`, `min` or `priority`"
        )
        reading.findings.add("feature.merge", message, path)
        return Merge.PRIORITY
    return Merge(read.merge)


def _rollover(read: written.Consumed, who: str, path: Path, reading: Reading) -> Rollover | None:
    if read.rollover is None:
        return None
    least, most = read.rollover.min, read.rollover.max
    if least < 0 or (most is not None and most < least):
        message = f"{who}: a rollover keeps at least `min` and at most `max` units, 0 <= min <= max"
        reading.findings.add("feature.rollover", message, (*path, "rollover"))
        return None
    for name, units in (("min", least), ("max", most)):
        if units is not None and (reason := misfit(units, read.decimals)) is not None:
            reading.findings.add("feature.rollover", f"{who}: {units} {reason}", (*path, "rollover", name))
    return Rollover(least, most)


def _pays_for(read: written.Credit, who: str, path: Path, reading: Reading) -> Mapping[str, Amount]:
    for key, cost in read.pays_for.items():
        if cost <= 0:
            message = f"{who}: one unit of {key!r} costs more than 0 of it, not {cost}"
            reading.findings.add("feature.pays_for", message, (*path, "pays_for", key))
    if not read.pays_for:
        message = f"{who} pays for nothing; write `pays_for: {{a quota: its cost}}`"
        reading.findings.add("credit.unused", message, path, fatal=False)
    return dict(read.pays_for)


def _check_references(places: Mapping[str, Path], reading: CatalogReading) -> None:
    items: dict[str, Module | Feature] = {**reading.modules, **reading.features}
    for key, item in items.items():
        who = f"{'module' if isinstance(item, Module) else 'feature'} {key!r}"
        for index, required in enumerate(item.requires):
            at: Path = (*places[key], "requires", index)
            reading.names(required, items, "module or feature", who, at)
        if isinstance(item, Feature):
            for paid, cost in item.pays_for.items():
                at = (*places[key], "pays_for", paid)
                known = reading.names(paid, reading.features, "feature", who, at)
                kind = reading.features[paid].kind if known else Kind.QUOTA
                if kind is not Kind.QUOTA:
                    message = f"{who} pays for {paid!r}, which is of kind {kind}; only a quota is paid"
                    reading.findings.add("feature.pays_for", message, at)
                elif known:
                    _check_cost(item, reading.features[paid], cost, at, reading)


def _check_cost(credit: Feature, paid: Feature, cost: Amount, at: Path, reading: Reading) -> None:
    """Refuse a cost of which the smallest unit of what is paid for would cost no whole number of smallest units."""
    units = cost_in_units(cost, credit, paid)
    if units.denominator != 1 or units > MOST:
        message = (
            f"{cost} of credit {credit.key!r} for one of {paid.key!r}: the smallest amount of it, "
            f"{to_amount(1, paid)}, would cost what cannot be counted; write another cost, or other `decimals`"
        )
        reading.findings.add("feature.pays_for", message, at)


def _check_cycles(places: Mapping[str, Path], reading: CatalogReading) -> None:
    """Refuse what requires itself; a feature also requires the module that it is in."""
    edges: dict[str, tuple[str, ...]] = {key: module.requires for key, module in reading.modules.items()}
    for key, feature in reading.features.items():
        edges[key] = feature.requires + ((feature.module,) if feature.module else ())
    for cycle in cycles(edges):
        message = f"{' requires '.join((*cycle, cycle[0]))}: nobody could ever hold them; remove one of these"
        reading.findings.add("requires.cycle", message, places[cycle[0]])
