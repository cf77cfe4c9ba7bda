"""One flag as it stands in a catalog, beside what else counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from payaid_entitlements.core.flags.checking import newly_wrong
from payaid_entitlements.core.flags.flagd.parsing import parse
from payaid_entitlements.core.flags.model import Condition, Flag
from payaid_entitlements.core.flags.reading import Known, read_written
from payaid_entitlements.core.flags.written import WrittenFlag
from payaid_entitlements.core.written.keyspace import check_part, check_retired, folded
from payaid_entitlements.core.written.plain import described
from payaid_entitlements.core.written.problems import Findings
from payaid_entitlements.core.written.reading import Reading
from payaid_entitlements.core.written.shape import fit
from payaid_entitlements.errors import FlagsInvalid

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.written.plain import Plain
    from payaid_entitlements.core.written.problems import Path


def read_flag(
    key: str,
    data: Mapping[str, object],
    *,
    catalog: Catalog,
    flags: Mapping[str, Flag] | None = None,
    segments: Mapping[str, Condition] | None = None,
) -> Flag:
    """
    Read one flag as it stands in a catalog, under its *key*.

    Args:
        data: JSON data; `payaid_entitlements.core.flags.writing.written` writes it.
        catalog: Whose modules and features it may narrow, and with whose keys its own must not be confused.
        flags: What counts besides: what it may need and must not overlap with. One of the same key is replaced.
        segments: Those that it may name.

    Raises:
        FlagsInvalid: Something is wrong; carries every problem.
    """
    findings = Findings("<flag>")
    reading = Reading(findings, retired=catalog.retired)
    others = {other: flag for other, flag in (flags or {}).items() if other != key}
    if not isinstance(data, Mapping):
        findings.add("wrong.type", f"flag {key!r} is {described(data)}, but should be a mapping", ("flags", key))
        raise FlagsInvalid(findings.fatal)
    parsed = parse(data, findings)
    if findings.fatal:
        raise FlagsInvalid(findings.fatal)
    read, reading.left_out = fit(WrittenFlag, cast("dict[str, Plain]", parsed), findings, ("flags", key))
    check_key(key, catalog, others, reading)
    known = Known({*others, key}, segments or {}, catalog.modules, catalog.features)
    flag = read_written(key, read, known, reading)
    if not findings.fatal:
        for problem in newly_wrong(others, {**others, key: flag}, findings.file):
            findings.add(problem.code, problem.message, ("flags", key))
    if findings.fatal:
        raise FlagsInvalid(findings.fatal)
    return flag


def check_key(key: str, catalog: Catalog, others: Mapping[str, Flag], reading: Reading) -> None:
    """Refuse a key that is none, or is taken, or was retired."""
    path: Path = ("flags", key)
    check_part(key, "flag", path, reading)
    for what, keys in (("module", catalog.modules), ("feature", catalog.features), ("flag", others)):
        for other in keys:
            if other == key:
                message = f"{key!r} is a {what} and cannot be a flag too: they share one space of keys; take another"
                reading.findings.add("key.taken", message, path)
            elif folded(other) == folded(key):
                message = f"{key!r} is too like the {what} {other!r}; take another key"
                reading.findings.add("key.confusable", message, path)
    check_retired(key, path, reading)
