"""From plain data to a catalog: every problem is collected, and only a catalog without any is built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.catalog import written
from payaid_entitlements.core.catalog.canonical import content_hash
from payaid_entitlements.core.catalog.definitions import read_definitions
from payaid_entitlements.core.catalog.lints import look_closer
from payaid_entitlements.core.catalog.model import (
    Access,
    Catalog,
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
from payaid_entitlements.core.catalog.quantities import stages
from payaid_entitlements.core.catalog.rate_limits import read_rate_limits
from payaid_entitlements.core.catalog.reading import CatalogReading
from payaid_entitlements.core.flags.checking import check_flags, check_segments
from payaid_entitlements.core.flags.model import Flag, FlagType
from payaid_entitlements.core.flags.reading import Known, read_segments, read_written
from payaid_entitlements.core.period import zone
from payaid_entitlements.core.written.circles import cycles
from payaid_entitlements.core.written.days import day
from payaid_entitlements.core.written.keyspace import PART, check_section
from payaid_entitlements.core.written.plain import Plain, as_json
from payaid_entitlements.core.written.shape import fit
from payaid_entitlements.core.written.source import read_source
from payaid_entitlements.errors import CatalogInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from payaid_entitlements.core.flags.model import Condition
    from payaid_entitlements.core.written.problems import Findings, Path
    from payaid_entitlements.core.written.reading import Reading

#: What another release may have published, and is no reason to refuse everything that the catalog sells.
_FORGIVEN: Final = frozenset({"flags", "rate_limits", "segments"})


def rebuild(document: Mapping[str, object]) -> Catalog:
    """
    Build the catalog that was published as *document*, by this release or another one.

    What is strict is publishing; what was published must be readable. So a flag that cannot be read is `Flag.broken`
    and fails alone, and a segment that cannot be is left out, so that the flags that name it fail. A rate limit that
    cannot be read is left out too: whoever asks for it is told that there is none, and all else is answered.

    Raises:
        CatalogInvalid: Something else is wrong.
    """
    data, findings = read_source(document)
    findings.forgives = _FORGIVEN
    return build(data, findings)


def build(data: dict[str, Plain], findings: Findings) -> Catalog:
    """
    Build the catalog that *data* describes.

    Args:
        data: As `payaid_entitlements.core.written.source` read it.
        findings: What reading found already, and where lines are known.

    Raises:
        CatalogInvalid: Something is wrong; carries every problem, in the order of the file.
    """
    document, left_out = fit(written.WrittenCatalog, data, findings)
    reading = CatalogReading(findings, left_out, is_whole=not left_out)
    reading.retired = _retired(document, reading)
    read_definitions(document, reading)
    check_section("plans", "plan", document.plans, reading)
    check_section("add_ons", "add-on", document.add_ons, reading)
    check_section("rate_limits", "rate limit", document.rate_limits, reading, parts=2)
    reading.take(("timezone",), "timezone", zone, document.timezone)
    limits = read_rate_limits(document, reading)
    segments = read_segments(document.segments, reading)
    check_segments(segments, reading)
    segments = {name: each for name, each in segments.items() if ("segments", name) not in findings.forgiven}
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
        flags=_flags(document, segments, reading),
        segments=segments,
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


def _plans(document: written.WrittenCatalog, limits: dict[str, RateLimit], reading: CatalogReading) -> dict[str, Plan]:
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


def _flags(
    document: written.WrittenCatalog, segments: Mapping[str, Condition], reading: CatalogReading
) -> dict[str, Flag]:
    # Segments that could not be read are not unknown.
    known = Known(document.flags, {*document.segments, *segments}, reading.modules, reading.features)
    flags = {key: read_written(key, flag, known, reading) for key, flag in document.flags.items()}
    check_flags(flags, reading)
    for (section, *named), why in reading.findings.forgiven.items():
        for key in map(str, named if section == "flags" else ()):
            # One of which nothing could be read is there all the same, so that nobody takes it for a misspelt key.
            flags[key] = replace(flags.get(key) or _unread(key), broken=why)
    return flags


def _unread(key: str) -> Flag:
    return Flag(key, FlagType.BOOLEAN, {"on": True, "off": False}, "off", "off", salt=key)
