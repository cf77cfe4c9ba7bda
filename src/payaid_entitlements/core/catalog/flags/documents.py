"""
A file of flags: flagd's JSON, or ``flags:`` and ``segments:`` as they stand in a catalog.

Everything that is wrong is told at once, and nothing is taken of a file that is wrong somewhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.core.catalog.flags.reading import check_key
from payaid_entitlements.core.flags import flagd
from payaid_entitlements.core.flags.checking import check_segments, newly_wrong
from payaid_entitlements.core.flags.conditions import exact
from payaid_entitlements.core.flags.flagd.loading import GENERATION
from payaid_entitlements.core.flags.flagd.parsing import parse
from payaid_entitlements.core.flags.model import Condition, Flag
from payaid_entitlements.core.flags.reading import Known, read_segments, read_written
from payaid_entitlements.core.flags.written import WrittenFlags
from payaid_entitlements.core.written.keyspace import check_retired, folded
from payaid_entitlements.core.written.problems import Findings
from payaid_entitlements.core.written.reading import Reading
from payaid_entitlements.core.written.shape import fit
from payaid_entitlements.core.written.source import read_source
from payaid_entitlements.errors import FlagsInvalid

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.flags.nodes import Scheme
    from payaid_entitlements.core.written.plain import Plain
    from payaid_entitlements.core.written.problems import Path

#: What a flag of flagd has and none of ours.
_FLAGD: Final = frozenset({"state", "defaultVariant"})


@dataclass(frozen=True, slots=True)
class Flags:
    """What a file defines."""

    flags: Mapping[str, Flag]
    segments: Mapping[str, Condition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlagFile:
    """
    What a file says, as JSON data.

    Attributes:
        file: What problems call it.
        marks: Line of each path that has one.
    """

    data: Mapping[str, FlagValue]
    file: str
    marks: Mapping[Path, int]


def read_file(source: str | os.PathLike[str] | Mapping[str, object]) -> FlagFile:
    """
    Read a file, or take in what was read from one.

    Args:
        source: A path ends in ``.json``, ``.yaml`` or ``.toml``.

    Raises:
        FlagsInvalid: It cannot be read.
        TypeError: *source* is something else.
    """
    if not isinstance(source, Mapping) and str(source).lower().endswith(".json"):
        findings = Findings(os.fspath(source))
        with open(source, "rb") as file:
            data = parse(file.read(), findings)
    elif isinstance(source, Mapping):
        findings = Findings("<flags>")
        data = parse(source, findings)
    else:
        plain, findings = read_source(source)
        data = {key: exact(value) for key, value in plain.items()}
    if findings.fatal:
        raise FlagsInvalid(findings.fatal)
    return FlagFile(data, findings.file, findings.marks)


def of_generation(file: FlagFile, scheme: Scheme) -> FlagFile:
    """
    The same file of flagd, as one that says which generation of ``fractional`` it is of.

    Raises:
        FlagsInvalid: It is none of flagd, or says another one.
    """
    if not is_flagd(file.data):
        findings = Findings(file.file)
        findings.add("generation.unknown", "files of flagd have a generation of 'fractional'; this is one of ours", ())
        raise FlagsInvalid(findings.fatal)
    metadata = file.data.get("metadata", {})
    said = metadata.get(GENERATION) if isinstance(metadata, Mapping) else None
    if not isinstance(metadata, Mapping) or said not in (None, "v2", "v3"):
        return file  # which is told when it is read
    if said not in (None, scheme):
        findings = Findings(file.file, file.marks)
        message = f"this file says that it is of {said}, and {scheme} deals everybody otherwise; leave that out here"
        findings.add("generation.other", message, ("metadata", GENERATION))
        raise FlagsInvalid(findings.fatal)
    return replace(file, data={**file.data, "metadata": {**metadata, GENERATION: scheme}})


def read_flags(
    file: FlagFile, *, catalog: Catalog, flags: Mapping[str, Flag], segments: Mapping[str, Condition]
) -> Flags:
    """
    Read what a file of either sort defines.

    Args:
        catalog: Whose modules and features the flags may narrow.
        flags, segments: What counts already; the file may name these, and replaces those that it defines.

    Raises:
        FlagsInvalid: Something is wrong; all problems are named.
    """
    findings = Findings(file.file, file.marks)
    read = (_of_flagd if is_flagd(file.data) else _of_ours)(file, findings, catalog, flags, segments)
    if not findings.fatal:
        for problem in newly_wrong(flags, {**flags, **read.flags}, findings.file):
            findings.add(problem.code, problem.message, tuple(problem.path.split(".")))
    if findings.fatal:
        raise FlagsInvalid(findings.fatal)
    return read


def is_flagd(data: Mapping[str, object]) -> bool:
    """Tell whether *data* is a file of flagd: its flags have a ``state``, or are a list."""
    flags = data.get("flags")
    if "$schema" in data or "$evaluators" in data or isinstance(flags, list):
        return True
    each = flags.values() if isinstance(flags, Mapping) else ()
    return any(isinstance(flag, Mapping) and not _FLAGD.isdisjoint(flag) for flag in each)


def _of_flagd(
    file: FlagFile, findings: Findings, catalog: Catalog, flags: Mapping[str, Flag], segments: Mapping[str, Condition]
) -> Flags:
    read = flagd.load(file.data, strict=True, file=file.file)
    reading = Reading(findings, retired=catalog.retired)
    taken = {folded(key): key for key in (*catalog.modules, *catalog.features)}
    for key in read.flags:
        other = taken.get(folded(key))
        if other is not None:
            message = f"the flag {key!r} cannot have the key of the module or feature {other!r}; take another key"
            findings.add("key.taken", message, ("flags", key))
        else:
            check_retired(key, ("flags", key), reading)
    return Flags(read.flags)


def _of_ours(
    file: FlagFile, findings: Findings, catalog: Catalog, flags: Mapping[str, Flag], segments: Mapping[str, Condition]
) -> Flags:
    reading = Reading(findings, retired=catalog.retired)
    written, reading.left_out = fit(WrittenFlags, cast("dict[str, Plain]", dict(file.data)), findings)
    own_segments = read_segments(written.segments, reading, segments)
    check_segments({**segments, **own_segments}, reading)
    known = Known({*flags, *written.flags}, {*segments, *written.segments}, catalog.modules, catalog.features)
    own: dict[str, Flag] = {}
    for key, each in written.flags.items():
        check_key(key, catalog, {other: flag for other, flag in {**flags, **own}.items() if other != key}, reading)
        own[key] = read_written(key, each, known, reading)
    return Flags(own, own_segments)
