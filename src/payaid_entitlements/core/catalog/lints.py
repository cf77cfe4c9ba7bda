"""
What is readable but wrong, or only suspicious: the catalog is looked at as a whole.

Fatal is what would deny silently or do something else than it says. What is merely useless or
unusual is a lint, kept in ``Catalog.lints``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.model import AddOn, Catalog, Kind, Plan
from payaid_entitlements.core.values import Allowance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payaid_entitlements.core.catalog.problems import Path
    from payaid_entitlements.core.catalog.reading import Reading
    from payaid_entitlements.core.values import Value


def look_closer(catalog: Catalog, reading: Reading) -> None:
    """Check how the parts of *catalog* fit together."""
    for plan in catalog.plans.values():
        _plan(plan, catalog, reading)
    for add_on in catalog.add_ons.values():
        _add_on(add_on, catalog, reading)
    _unsold(catalog, reading)
    _flags(catalog, reading)
    if not catalog.plans and not reading.left_out:
        reading.findings.add("catalog.no_plans", "the catalog has no plans; nobody holds anything", (), fatal=False)


def _plan(plan: Plan, catalog: Catalog, reading: Reading) -> None:
    path: Path = ("plans", plan.key)
    for key in plan.features:
        module = catalog.features[key].module
        if module is not None and module not in plan.modules:
            message = (
                f"plan {plan.key!r} lists {key!r} without its module {module!r}, so it would always be refused; "
                f"add {module!r} to its modules or remove {key!r}"
            )
            reading.findings.add("plan.module_missing", message, (*path, "features", key))
    held = _held(plan)
    sold_on_top = {key for add_on in _for_plan(plan, catalog) for key in _opened(add_on)}
    for key in held:
        item = catalog.modules.get(key) or catalog.features[key]
        for required in item.requires:
            if required in held | sold_on_top or not _is_known(required, catalog):
                continue
            message = (
                f"plan {plan.key!r} lists {key!r}, which requires {required!r}; neither the plan nor an add-on "
                f"for it has that, so {key!r} would always be refused"
            )
            section = "modules" if key in catalog.modules else "features"
            reading.findings.add("plan.requires", message, (*path, section))


def _is_known(key: str, catalog: Catalog) -> bool:
    return key in catalog.modules or key in catalog.features


def _held(plan: Plan) -> set[str]:
    return {*plan.modules, *(key for key, value in plan.features.items() if _is_something(value))}


def _is_something(value: Value) -> bool:
    return value is not False and not (isinstance(value, Allowance) and value.limit == 0)


def _opened(add_on: AddOn) -> set[str]:
    return {*add_on.modules, *add_on.increment, *add_on.override, *add_on.max, *add_on.grant}


def _for_plan(plan: Plan, catalog: Catalog) -> Iterable[AddOn]:
    return (item for item in catalog.add_ons.values() if not item.for_plans or plan.key in item.for_plans)


def _add_on(add_on: AddOn, catalog: Catalog, reading: Reading) -> None:
    who, path = f"add-on {add_on.key!r}", ("add_ons", add_on.key)
    touched = [*add_on.increment, *add_on.override, *add_on.max]
    for key in sorted({key for key in touched if touched.count(key) > 1}):
        message = f"{who} changes {key!r} in two ways; keep one of `increment`, `override` and `max`"
        reading.findings.add("add_on.twice", message, path)
    if not _opened(add_on) and not reading.findings.fatal:
        message = f"{who} does nothing; give it modules, `increment`, `override`, `max` or `grant`"
        reading.findings.add("add_on.empty", message, path, fatal=False)
    plans = [plan for plan in catalog.plans.values() if not add_on.for_plans or plan.key in add_on.for_plans]
    for key in dict.fromkeys((*touched, *add_on.grant)):
        module = catalog.features[key].module
        if module is None or module in add_on.modules or any(module in plan.modules for plan in plans):
            continue
        opens = any(module in other.modules for other in catalog.add_ons.values())
        if not opens and module in catalog.modules:
            message = f"{who} changes {key!r}, but no plan that may hold it has the module {module!r}"
            reading.findings.add("add_on.module_missing", message, path)
    for section in ("increment", "override", "max"):
        for key, value in getattr(add_on, section).items():
            for plan in plans:
                _window(who, (*path, section, key), key, value, plan, reading)


def _window(who: str, path: Path, key: str, value: Value, plan: Plan, reading: Reading) -> None:
    """An allowance a month and one a day cannot be added up."""
    sold = plan.features.get(key)
    if not isinstance(value, Allowance) or not isinstance(sold, Allowance):
        return
    if value.per != sold.per and all(_is_bounded(item) for item in (value, sold)):
        theirs, ours = (f"per {item.per}" if item.per else "for a lifetime" for item in (sold, value))
        message = f"{who} gives {key!r} {ours}, but plan {plan.key!r} sells it {theirs}; use the same window"
        reading.findings.add("add_on.window", message, path)


def _is_bounded(allowance: Allowance) -> bool:
    return isinstance(allowance.limit, int) and allowance.limit != 0 or not isinstance(allowance.limit, int)


def _unsold(catalog: Catalog, reading: Reading) -> None:
    offers = (*catalog.plans.values(), *catalog.add_ons.values())
    if not offers:
        return
    modules = {key for offer in offers for key in offer.modules}
    features = {key for plan in catalog.plans.values() for key in plan.features}
    features |= {key for add_on in catalog.add_ons.values() for key in _opened(add_on)}
    # What a credit pays for needs no allowance of its own.
    features |= {paid for key in features if key in catalog.features for paid in catalog.features[key].pays_for}
    for key, module in catalog.modules.items():
        if key not in modules and module.deprecated is None:
            message = f"no plan and no add-on has the module {key!r}; nobody can hold it"
            reading.findings.add("module.unsold", message, ("modules", key), fatal=False)
    for key, feature in catalog.features.items():
        if key not in features and feature.deprecated is None and feature.module in modules | {None}:
            message = f"no plan and no add-on lists the feature {key!r}; nobody can hold it"
            path: Path = ("modules", feature.module, "features", key.partition(".")[2]) if feature.module else ("features", key)
            reading.findings.add("feature.unsold", message, path, fatal=False)


def _flags(catalog: Catalog, reading: Reading) -> None:
    for key, flag in catalog.flags.items():
        if not any(flag.rules.values()):
            message = f"flag {key!r} has no rollout, variants or targeting, so it never changes anything"
            reading.findings.add("flag.empty", message, ("flags", key), fatal=False)
