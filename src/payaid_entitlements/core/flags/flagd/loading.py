"""A flagd file, read whole: what can be asked, what cannot, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.flagd.parsing import fail, parse
from payaid_entitlements.core.flags.flagd.reading import FlagReader
from payaid_entitlements.core.flags.flagd.targeting import Targeting
from payaid_entitlements.core.flags.model import Flag
from payaid_entitlements.core.flags.nodes import Broken
from payaid_entitlements.core.written.problems import Findings
from payaid_entitlements.errors import FlagsInvalid

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.flags.nodes import Scheme
    from payaid_entitlements.core.written.problems import Path, Problem

#: Where a file that we wrote says which generation of ``fractional`` it is meant for.
GENERATION: Final = "fractional"


@dataclass(frozen=True, slots=True)
class FlagDocument:
    """
    What a flagd file says.

    Attributes:
        flags: By key.
        broken: Flags that are there and cannot be asked, and why: a bad flag fails alone.
        metadata: Of the flag set.
        scheme: The generation of ``fractional``.
        problems: Everything that flagd's schema does not allow, and what can mean nothing.
        lints: What is probably a slip.
    """

    flags: Mapping[str, Flag]
    broken: Mapping[str, Broken]
    metadata: Mapping[str, FlagValue]
    scheme: Scheme
    problems: tuple[Problem, ...] = ()
    lints: tuple[Problem, ...] = ()


def load(
    source: str | bytes | Mapping[str, object],
    *,
    fractional: Scheme | None = None,
    flag_set: str | None = None,
    strict: bool = False,
    file: str = "<flagd>",
) -> FlagDocument:
    """
    Read a flagd file, with its flags as an object or as a list.

    Args:
        source: JSON text, or what was read from it.
        fractional: Which generation of ``fractional`` hashes the buckets. Use ``"v2"`` while any service that reads
            the same file does: the generations put people into different buckets. None is what the metadata say
            (as those of our own files do), else ``"v3"``.
        flag_set: Only flags of this ``flagSetId``, which a file in the list form may have several of.
        strict: Refuse the file as soon as one thing is wrong with it; else flags that are right can be asked.
        file: What to call the source in problems.

    Raises:
        FlagsInvalid: It is no flagd file at all, or *strict* and something is wrong. All problems are told.
    """
    findings = Findings(file)
    document = _document(parse(source, findings), findings, fractional, flag_set)
    if strict and document.problems:
        raise FlagsInvalid(document.problems)
    return document


def validate(source: str | bytes | Mapping[str, object], *, file: str = "<flagd>") -> tuple[Problem, ...]:
    """Tell all that is wrong with a flagd file; nothing where flagd's schema and we accept it."""
    try:
        return load(source, file=file).problems
    except FlagsInvalid as invalid:
        return tuple(invalid.problems)


def _document(
    raw: dict[str, FlagValue], findings: Findings, fractional: Scheme | None, flag_set: str | None
) -> FlagDocument:
    evaluators, useless = _evaluators(raw.get("$evaluators"), findings)
    reader = FlagReader(findings, evaluators, useless)
    metadata = reader.read_metadata(raw.get("metadata"), ("metadata",))
    for name in ("flagSetId", "version"):
        if not isinstance(metadata.get(name, ""), str):
            findings.add("metadata.value", f"'{name}' is a string", ("metadata", name))
    reader.scheme = fractional or _generation(metadata, findings)
    # What it says of the file is not of a flag.
    reader.metadata = {name: value for name, value in metadata.items() if name != GENERATION}
    flags: dict[str, Flag] = {}
    broken: dict[str, Broken] = {}
    for key, value, path in _written(raw, findings):
        flag = reader.read(key, value, path)
        own = flag.metadata if isinstance(flag, Flag) else _own_metadata(value, metadata)
        if flag_set is not None and own.get("flagSetId") != flag_set:
            continue
        if key in flags or key in broken:
            message = f"there are two flags {key[:80]!r}; rename one, or load one flagSetId of them"
            findings.add("duplicate.flag", message, path)
            flags.pop(key, None)
            broken[key] = Broken(message)
        elif isinstance(flag, Flag):
            flags[key] = flag
        else:
            broken[key] = flag
    return FlagDocument(flags, broken, metadata, reader.scheme, findings.fatal, findings.lints)


def _generation(metadata: Mapping[str, FlagValue], findings: Findings) -> Scheme:
    said = metadata.get(GENERATION)
    if said == "v2":
        return "v2"
    if said not in {None, "v3"}:
        findings.add("generation.unknown", "the generations of 'fractional' are v2 and v3", ("metadata", GENERATION))
    return "v3"


def _own_metadata(value: FlagValue, metadata: Mapping[str, FlagValue]) -> Mapping[str, FlagValue]:
    own = value.get("metadata") if isinstance(value, dict) else None
    return {**metadata, **own} if isinstance(own, dict) else metadata


def _evaluators(raw: FlagValue, findings: Findings) -> tuple[dict[str, FlagValue], dict[str, str]]:
    """Read what ``$ref`` may name, and why some of it cannot be evaluated."""
    path: Path = ("$evaluators",)
    if raw is None:
        return {}, {}
    if not isinstance(raw, dict):
        findings.add("evaluators.type", "'$evaluators' is an object of rules by their names", path)
        return {}, {}
    targeting = Targeting(findings)
    useless: dict[str, str] = {}
    for name, rule in raw.items():
        targeting.check(rule, (*path, name))
        if targeting.broken:
            useless[name] = targeting.broken
    return raw, useless


def _written(raw: Mapping[str, FlagValue], findings: Findings) -> list[tuple[str, FlagValue, Path]]:
    """List the flags as they are written: key, content, place."""
    flags = raw.get("flags")
    if isinstance(flags, dict):
        if "" in flags:
            findings.add("flag.unnamed", "a flag has a key of at least one character", ("flags",))
        return [(key, value, ("flags", key)) for key, value in flags.items() if key]
    if not isinstance(flags, list):
        fail(findings, "flags.missing", "'flags' is an object of flags by their keys, or a list of flags", ("flags",))
    schema = raw.get("$schema")
    if isinstance(schema, str) and schema.rpartition("/")[2] == "flags.json":
        findings.add("flags.list", "flags.json knows no list of flags; '$schema' is flagd.json for that", ("flags",))
    found: list[tuple[str, FlagValue, Path]] = []
    for index, value in enumerate(flags):
        key = value.get("key") if isinstance(value, dict) else None
        if isinstance(key, str) and key:
            found.append((key, value, ("flags", index)))
        else:
            findings.add("flag.unnamed", "a flag in a list is an object with its 'key', a string", ("flags", index))
    return found
