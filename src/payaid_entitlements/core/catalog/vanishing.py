"""
What publishing may not take: the meaning of a key that somebody may hold.

A key that was published once stays what it is, or is `retired` by name, which takes it from everybody at once. Plans
and add-ons list keys; so do overrides and the host's code, which nobody looks through here. So it is asked of every
key, also of one that was never sold.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.catalog.publishing import Published
    from payaid_entitlements.core.written.problems import Findings, Path


def check_keys(held: Published, catalog: Catalog, today: date | None, findings: Findings) -> None:
    """
    Refuse what takes the meaning from a key of *held*, as problems of *catalog*.

    What is retired once stays so, so all keys that were ever published are in `held.catalog`, under their own name or
    as retired ones.

    Args:
        today: A key that is taken now may not have a later day. None: any day.
    """
    for key, since in held.catalog.retired.items():
        if key not in catalog.retired:
            message = f"{key!r} was retired on {since} and cannot come back; put it into `retired` again"
            findings.add("publish.unretired", message, ("retired", key))
    holders = _holders(held)
    for key in (*held.catalog.modules, *held.catalog.features):
        holder = holders.get(key)
        if key in catalog.modules or key in catalog.features:
            _check_kind(key, holder, held.catalog, catalog, findings)
        elif (day := catalog.retired.get(key, catalog.retired.get(key.partition(".")[0]))) is None:
            still = "overrides and code may still name it" if holder is None else f"{holder} still lists it"
            message = (
                f"{key!r} is gone, but {still}; "
                f"keep it, or write `retired: {{{key}: <the day>}}` to take it from everybody"
            )
            findings.add("publish.removed", message, ("retired",))
        elif today is not None and day > today:
            message = (
                f"{key!r} would be taken from everybody now, though it is retired on {day}; until then keep it, "
                f"with `deprecated: {day}`, and publish this on that day"
            )
            findings.add("publish.retired_early", message, ("retired", key))


def _holders(held: Published) -> dict[str, str]:
    """What lists each key first, in words: a version of a plan, else of an add-on."""
    found: dict[str, str] = {}
    for plans in held.versions.values():
        for plan in plans:
            for key in (*plan.modules, *plan.features):
                found.setdefault(key, f"plan {plan.key!r} version {plan.version}")
    for add_ons in held.add_on_versions.values():
        for add_on in add_ons:
            for key in (*add_on.modules, *add_on.increment, *add_on.override, *add_on.max, *add_on.grant):
                found.setdefault(key, f"add-on {add_on.key!r} version {add_on.version}")
    return found


def _check_kind(key: str, holder: str | None, before: Catalog, catalog: Catalog, findings: Findings) -> None:
    was, now = (_described(key, each) for each in (before, catalog))
    if was != now:
        lists = "overrides and code may name it" if holder is None else f"{holder} lists it"
        message = f"{key!r} was {was} and would become {now}, but {lists}; give the new feature a new key"
        path: Path = ("modules", *key.split(".")) if "." in key else ("features", key)
        findings.add("publish.kind_changed", message, path)


def _described(key: str, catalog: Catalog) -> str:
    feature = catalog.features.get(key)
    if feature is None:
        return "a module"
    article = "an" if feature.kind[0] in "aeiou" else "a"
    # What was counted in hundredths would mean something else in tenths.
    decimals = f" with {feature.decimals} decimals" if feature.decimals else ""
    return f"{article} {feature.kind}{f' of type {feature.type}' if feature.type else ''}{decimals}"
