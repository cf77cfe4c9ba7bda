"""From plain data to a catalog: every problem is collected, and only a catalog without any is built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog import written
from payaid_entitlements.core.catalog.definitions import cycles, read_definitions
from payaid_entitlements.core.catalog.keyspace import PART, check_section
from payaid_entitlements.core.catalog.lints import look_closer
from payaid_entitlements.core.catalog.model import (
    Access,
    Catalog,
    Flag,
    Lifecycle,
    Plan,
    RateLimit,
)
from payaid_entitlements.core.catalog.offers import (
    common_currency,
    flatten,
    read_add_on,
    read_plan,
    with_currency,
)
from payaid_entitlements.core.catalog.plain import Plain, as_json, content_hash
from payaid_entitlements.core.catalog.quantities import day, rates, stages
from payaid_entitlements.core.catalog.reading import Reading
from payaid_entitlements.core.catalog.shape import fit
from payaid_entitlements.core.period import zone
from payaid_entitlements.errors import CatalogInvalid

if TYPE_CHECKING:
    from datetime import date

    from payaid_entitlements.core.catalog.problems import Findings, Path


def build(data: dict[str, Plain], findings: Findings) -> Catalog:
    """
    Build the catalog that *data* describes.

    Args:
        data: As `payaid_entitlements.core.catalog.source` read it.
        findings: What reading found already, and where lines are known.

    Raises:
        CatalogInvalid: Something is wrong; carries every problem, in the order of the file.
    """
    document, left_out = fit(written.WrittenCatalog, data, findings)
    reading = Reading(findings, left_out, is_whole=not left_out)
    reading.retired = _retired(document, reading)
    read_definitions(document, reading)
    for section, what, keys in (
        ("plans", "plan", document.plans),
        ("add_ons", "add-on", document.add_ons),
        ("rate_limits", "rate limit", document.rate_limits),
    ):
        check_section(section, what, keys, reading)
    reading.take(("timezone",), "timezone", zone, document.timezone)
    limits = {key: _rate_limit(key, limit, reading) for key, limit in document.rate_limits.items()}
    as_written = as_json(data)
    assert isinstance(as_written, dict)  # of a mapping; narrows the type
    catalog = Catalog(
        modules=reading.modules,
        features=reading.features,
        plans=_plans(document, limits, reading),
        add_ons={
            key: read_add_on(key, rank, add_on, document.plans, reading)
            for rank, (key, add_on) in enumerate(with_currency(document).items())
        },
        document=as_written,
        hash=content_hash(as_written),
        lifecycle=_lifecycle(document, reading),
        rate_limits=limits,
        flags={key: _flag(key, flag, reading) for key, flag in document.flags.items()},
        retired=reading.retired,
        timezone=document.timezone,
        default_plan=_default_plan(document, reading),
    )
    # Where a name means nothing or a part was left out, the rest would look wrong without being it.
    if reading.is_whole:
        look_closer(catalog, reading)
    if findings.fatal:
        raise CatalogInvalid(findings.fatal)
    return replace(catalog, lints=findings.lints)


def _retired(document: written.WrittenCatalog, reading: Reading) -> dict[str, date]:
    retired: dict[str, date] = {}
    for key, text in document.retired.items():
        path: Path = ("retired", key)
        if not all(PART.fullmatch(part) for part in key.split(".", 1)):
            message = f"the retired key {key[:80]!r} was never a key: write `module.feature`, a module or a feature"
            reading.findings.add("key.malformed", message, path)
        since = reading.take(path, f"retired key {key!r}", day, text)
        if since is not None:
            retired[key] = since
    return retired


def _plans(document: written.WrittenCatalog, limits: dict[str, RateLimit], reading: Reading) -> dict[str, Plan]:
    _check_extends(document, reading)
    for key, plan in document.plans.items():
        for index, module in enumerate(plan.modules):
            if module in plan.modules[:index]:
                message = f"plan {key!r} names the module {module!r} twice; once is enough"
                reading.findings.add("entry.twice", message, ("plans", key, "modules", index), fatal=False)
    flat = flatten(document.plans, common_currency(document))
    return {key: read_plan(key, rank, flat[key], limits, reading) for rank, key in enumerate(document.plans)}


def _check_extends(document: written.WrittenCatalog, reading: Reading) -> None:
    order = list(document.plans)
    edges = {key: (plan.extends,) if plan.extends else () for key, plan in document.plans.items()}
    circles = cycles(edges)
    for circle in circles:
        message = f"plan {' extends '.join(map(repr, (*circle, circle[0])))}: one of them must stand alone"
        reading.findings.add("extends.cycle", message, ("plans", circle[0], "extends"))
        reading.is_whole = False
    around = {key for circle in circles for key in circle}
    for key, parents in edges.items():
        path: Path = ("plans", key, "extends")
        for parent in parents:
            if not reading.names(parent, order, "plan", f"plan {key!r}", path) or key in around:
                continue
            if order.index(parent) > order.index(key):
                message = f"plan {key!r} extends {parent!r}, which stands below it; plans grow from cheap to dear"
                reading.findings.add("extends.later", message, path)
                reading.is_whole = False


def _default_plan(document: written.WrittenCatalog, reading: Reading) -> str | None:
    if "none" in document.plans:
        message = "a plan cannot be called 'none', which means no plan at all; rename it"
        reading.findings.add("key.reserved", message, ("plans", "none"))
    if document.default_plan == "none":
        return None
    reading.names(document.default_plan, document.plans, "plan", "`default_plan`", ("default_plan",))
    return document.default_plan


def _lifecycle(document: written.WrittenCatalog, reading: Reading) -> Lifecycle:
    read = document.lifecycle
    past_due = reading.take(("lifecycle", "past_due"), "lifecycle, past_due", stages, read.past_due)
    return Lifecycle(past_due or Lifecycle().past_due, Access(read.paused))


def _rate_limit(key: str, read: written.WrittenRateLimit, reading: Reading) -> RateLimit:
    default = reading.take(("rate_limits", key, "default"), f"rate limit {key!r}", rates, read.default)
    return RateLimit(key, read.per, default or (), read.burst, read.on_outage)


def _flag(key: str, read: written.WrittenFlag, reading: Reading) -> Flag:
    who, path = f"flag {key!r}", ("flags", key)
    for index, name in enumerate(read.narrows):
        known = reading.modules.keys() | reading.features.keys()
        reading.names(name, known, "module or feature", who, (*path, "narrows", index))
    remove_by = None
    if read.remove_by is not None:
        remove_by = reading.take((*path, "remove_by"), f"{who}, remove_by", day, read.remove_by)
    rules: dict[str, object] = {
        name: getattr(read, name) for name in written.FLAG_RULES if name in read.model_fields_set
    }
    return Flag(key, read.owner, remove_by, read.bucket_by, tuple(read.narrows), rules)
