"""
What is readable but wrong, or only suspicious: the catalog is looked at as a whole.

Fatal is what would deny silently, or do something else than it says. What is merely useless or
unusual is a lint, kept in ``Catalog.lints``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.model import Feature, Kind
from payaid_entitlements.core.merging import window_of
from payaid_entitlements.core.values import UNLIMITED, Allowance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payaid_entitlements.core.catalog.model import AddOn, Catalog, Plan
    from payaid_entitlements.core.values import Value
    from payaid_entitlements.core.written.problems import Path
    from payaid_entitlements.core.written.reading import Reading


def look_closer(catalog: Catalog, reading: Reading) -> None:
    """Check how the parts of *catalog* fit together."""
    for plan in catalog.plans.values():
        _check_modules_of_features(plan, catalog, reading)
        _check_requirements(plan, catalog, reading)
    for add_on in catalog.add_ons.values():
        _check_add_on(add_on, catalog, reading)
    _check_windows(catalog, reading)
    for key, flag in catalog.flags.items():
        if not flag.rules and not flag.targeting:
            message = f"flag {key!r} has no rollout, rules or targeting, so it never changes anything"
            reading.findings.add("flag.empty", message, ("flags", key), fatal=False)
    if not catalog.plans:
        message = "the catalog has no plans, so nobody holds anything"
        reading.findings.add("catalog.no_plans", message, (), fatal=False)
    _find_unsold(catalog, reading)


def _check_modules_of_features(plan: Plan, catalog: Catalog, reading: Reading) -> None:
    for key in plan.features:
        module = catalog.features[key].module
        if module is not None and module not in plan.modules:
            message = (
                f"plan {plan.key!r} lists {key!r} without its module {module!r}, so it would always be "
                f"refused; add {module!r} to its modules or remove {key!r}"
            )
            reading.findings.add("plan.module_missing", message, ("plans", plan.key, "features", key))


def _check_requirements(plan: Plan, catalog: Catalog, reading: Reading) -> None:
    held = (*plan.modules, *(key for key, value in plan.features.items() if _is_something(value)))
    # What an add-on can bring is not missing: then the plan sells one half and the add-on the other.
    reachable = {*held, *(key for add_on in _for_plan(plan, catalog) for key in _opened(add_on))}
    paid = {each for key in reachable if key in catalog.features for each in catalog.features[key].pays_for}
    for key in held:
        item = catalog.modules.get(key) or catalog.features[key]
        is_credit = isinstance(item, Feature) and item.kind is Kind.CREDIT
        for required in item.requires:
            # What credits pay for is held with them; but none of them opens another one.
            if required not in reachable and (is_credit or required not in paid):
                message = (
                    f"plan {plan.key!r} lists {key!r}, which requires {required!r}; neither the plan nor an "
                    f"add-on for it has that, so {key!r} would always be refused"
                )
                section = "modules" if key in catalog.modules else "features"
                reading.findings.add("plan.requires", message, ("plans", plan.key, section))


def _is_something(value: Value) -> bool:
    return value is not False and not (isinstance(value, Allowance) and value.limit == 0)


def _opened(add_on: AddOn) -> tuple[str, ...]:
    return (*add_on.modules, *add_on.increment, *add_on.override, *add_on.max, *add_on.grant)


def _for_plan(plan: Plan, catalog: Catalog) -> list[AddOn]:
    return [add_on for add_on in catalog.add_ons.values() if _fits(add_on, plan)]


def _fits(add_on: AddOn, plan: Plan) -> bool:
    return not add_on.for_plans or plan.key in add_on.for_plans


def _check_add_on(add_on: AddOn, catalog: Catalog, reading: Reading) -> None:
    who, path = f"add-on {add_on.key!r}", ("add_ons", add_on.key)
    changed = (*add_on.increment, *add_on.override, *add_on.max)
    for key in dict.fromkeys(key for key in changed if changed.count(key) > 1):
        message = f"{who} changes {key!r} in two ways; keep one of `increment`, `override` and `max`"
        reading.findings.add("add_on.twice", message, path)
    if not _opened(add_on):
        message = f"{who} does nothing; give it modules, `increment`, `override`, `max` or `grant`"
        reading.findings.add("add_on.empty", message, path, fatal=False)
    plans = [plan for plan in catalog.plans.values() if _fits(add_on, plan)]
    opened = {key for plan in plans for key in plan.modules}
    opened.update(key for plan in plans for item in _for_plan(plan, catalog) for key in item.modules)
    for key in dict.fromkeys((*changed, *add_on.grant)):
        module = catalog.features[key].module
        if plans and module is not None and module not in opened:
            message = f"{who} changes {key!r}, but nobody who may hold it can have the module {module!r}"
            reading.findings.add("add_on.module_missing", message, path)


def _check_windows(catalog: Catalog, reading: Reading) -> None:
    """Refuse an allowance a day on top of one a month: there is no sum, so one of them would be paid for nothing."""
    given: dict[str, list[tuple[AddOn, Path, Allowance]]] = {}
    for add_on in catalog.add_ons.values():
        for section, values in _changing(add_on):
            for key, value in values.items():
                if isinstance(value, Allowance) and _has_window(value):
                    given.setdefault(key, []).append((add_on, ("add_ons", add_on.key, section, key), value))
    for key, together in given.items():
        sold = [(plan, has) for plan in catalog.plans.values() if isinstance(has := plan.features.get(key), Allowance)]
        for index, (add_on, path, value) in enumerate(together):
            for plan, has in sold:
                if _fits(add_on, plan) and _has_window(has):
                    _check_window(add_on, path, value, f"plan {plan.key!r} sells", has, reading)
            for other, _, gives in together[:index]:
                if window_of(value.per) != window_of(gives.per) and _meet(add_on, other, key, catalog):
                    _check_window(add_on, path, value, f"add-on {other.key!r} gives", gives, reading)


def _changing(add_on: AddOn) -> tuple[tuple[str, Mapping[str, Value]], ...]:
    return ("increment", add_on.increment), ("override", add_on.override), ("max", add_on.max)


def _meet(one: AddOn, other: AddOn, key: str, catalog: Catalog) -> bool:
    """Is there a plan that may hold both, and has a limit of its own that they change?"""
    return any(
        _fits(one, plan) and _fits(other, plan) and not _is_without_limit(plan.features.get(key))
        for plan in catalog.plans.values()
    )


def _check_window(add_on: AddOn, path: Path, value: Allowance, other: str, has: Allowance, reading: Reading) -> None:
    if window_of(value.per) != window_of(has.per):
        theirs, ours = (f"per {item.per}" if item.per else "for a lifetime" for item in (has, value))
        message = f"add-on {add_on.key!r} gives {str(path[-1])!r} {ours}, but {other} it {theirs}; use the same window"
        reading.findings.add("add_on.window", message, path)


def _is_without_limit(value: Value | None) -> bool:
    return value == Allowance(UNLIMITED)


def _has_window(allowance: Allowance) -> bool:
    """Zero and unlimited are the same in every window."""
    return allowance.limit != 0 and not _is_without_limit(allowance)


def _find_unsold(catalog: Catalog, reading: Reading) -> None:
    modules = {key for plan in catalog.plans.values() for key in plan.modules}
    features = {key for plan in catalog.plans.values() for key in plan.features}
    for add_on in catalog.add_ons.values():
        modules.update(add_on.modules)
        features.update(_opened(add_on))
    # What a credit pays for needs no allowance of its own.
    features.update(*(item.pays_for for key, item in catalog.features.items() if key in features))
    for key, module in catalog.modules.items():
        if key not in modules and module.deprecated is None:
            message = f"no plan and no add-on has the module {key!r}, so nobody can hold it"
            reading.findings.add("module.unsold", message, ("modules", key), fatal=False)
    for key, feature in catalog.features.items():
        # A module that nobody sells is said once, not once more for each of its features.
        is_reachable = feature.module is None or feature.module in modules
        if key not in features and is_reachable and feature.deprecated is None:
            message = f"no plan and no add-on lists the feature {key!r}, so nobody can hold it"
            reading.findings.add("feature.unsold", message, _place(feature), fatal=False)


def _place(feature: Feature) -> Path:
    if feature.module is None:
        return ("features", feature.key)
    return ("modules", feature.module, "features", feature.key.removeprefix(f"{feature.module}."))
