"""One flag of a flagd file: from JSON to `Flag`, or to why it cannot be one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.failing import RuleInvalid
from payaid_entitlements.core.flags.flagd.references import references, resolved, size
from payaid_entitlements.core.flags.flagd.targeting import Targeting
from payaid_entitlements.core.flags.jsonlogic.reading import MOST_VALUES, read
from payaid_entitlements.core.flags.model import Flag, FlagType
from payaid_entitlements.core.flags.nodes import Broken
from payaid_entitlements.core.flags.walking import walk
from payaid_entitlements.core.written.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.flags.nodes import Scheme
    from payaid_entitlements.core.written.problems import Findings, Path

_STATES: Final = ("ENABLED", "DISABLED")
_FIELDS: Final = ("key", "state", "variants", "defaultVariant", "targeting", "metadata")

#: How many JSON values all rules of a file may have by what they refer to: a small file could name a large rule often.
MOST_REFERRED: Final = 1_000_000


class FlagReader:
    """
    Reads the flags of one file.

    Attributes:
        evaluators: What ``$ref`` may name.
        useless: Of them, those that cannot be evaluated, and why.
        metadata: Of the flag set, which each flag inherits.
        scheme: How their buckets are hashed.
    """

    def __init__(self, findings: Findings, evaluators: Mapping[str, FlagValue], useless: Mapping[str, str]) -> None:
        self.findings = findings
        self.evaluators = evaluators
        self.useless = useless
        self.metadata: Mapping[str, FlagValue] = {}
        self.scheme: Scheme = "v3"
        self._sizes = {name: size(rule) for name, rule in evaluators.items()}
        self._referred = 0
        self._targeting = Targeting(findings, evaluators)

    def read(self, key: str, raw: FlagValue, path: Path) -> Flag | Broken:
        """Read one flag; all that is wrong with it is noted, and what keeps it from being asked comes out."""
        if not isinstance(raw, dict):
            message = "a flag is an object with 'state' and 'variants'"
            self.findings.add("flag.type", message, path)
            return Broken(message)
        for name in raw:
            hint = did_you_mean(name, _FIELDS) if name not in _FIELDS else ""
            if hint:
                self.findings.add(
                    "unknown.field", f"flagd does not read {name[:80]!r}{hint}", (*path, name), fatal=False
                )
        why: list[str] = []
        state = self._state(raw, path, why)
        kind, variants = self._variants(raw, path, why)
        default = self._default(raw, variants, path, why)
        metadata = self.read_metadata(raw.get("metadata"), (*path, "metadata"))
        targeting = self._rule(raw.get("targeting"), (*path, "targeting"), why)
        if why:
            return Broken(why[0])
        return Flag(
            key=key,
            type=kind,
            variants=variants,
            default=default,
            off=None,
            enabled=state == "ENABLED",
            salt=key,
            bucket_by="targetingKey",
            metadata={**self.metadata, **metadata},
            targeting=targeting,
            scheme=self.scheme,
        )

    def read_metadata(self, raw: FlagValue, path: Path) -> dict[str, FlagValue]:
        """Read metadata: plain values by name. What is none is noted and left out."""
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            self.findings.add("metadata.type", "metadata is an object of strings, numbers and booleans", path)
            return {}
        found: dict[str, FlagValue] = {}
        for name, value in raw.items():
            if isinstance(value, bool | int | float | str):
                found[name] = value
            else:
                message = "metadata is a string, a number or a boolean; write it as one, or leave it out"
                self.findings.add("metadata.value", message, (*path, name))
        return found

    def _state(self, raw: Mapping[str, FlagValue], path: Path, why: list[str]) -> str:
        state = raw.get("state")
        if isinstance(state, str) and state in _STATES:
            return state
        hint = did_you_mean(state, _STATES) if isinstance(state, str) else ""
        self._breaks(why, "state.invalid", f"'state' is ENABLED or DISABLED{hint}", (*path, "state"))
        return ""

    def _variants(
        self, raw: Mapping[str, FlagValue], path: Path, why: list[str]
    ) -> tuple[FlagType, dict[str, FlagValue]]:
        inside = (*path, "variants")
        variants = raw.get("variants")
        if not isinstance(variants, dict) or not variants:
            self._breaks(why, "variants.missing", "'variants' is an object with at least one value by its name", inside)
            return FlagType.BOOLEAN, {}
        if "" in variants:
            self._breaks(why, "variant.unnamed", "a variant has a name of at least one character", inside)
        kinds = {_kind(value) for value in variants.values()}
        if kinds == {FlagType.INTEGER, FlagType.FLOAT}:
            return FlagType.FLOAT, variants
        if len(kinds) == 1:
            (kind,) = kinds
            if kind is not None:
                return kind, variants
        message = "all variants are booleans, or strings, or numbers, or objects; make them of one kind, or two flags"
        self._breaks(why, "variants.mixed", message, inside)
        return FlagType.BOOLEAN, {}

    def _default(
        self, raw: Mapping[str, FlagValue], variants: Mapping[str, FlagValue], path: Path, why: list[str]
    ) -> str | None:
        inside = (*path, "defaultVariant")
        default = raw.get("defaultVariant")
        if default is not None and not isinstance(default, str):
            self._breaks(why, "default.type", "'defaultVariant' is the name of a variant, or null", inside)
            return None
        if default is not None and variants and default not in variants:
            hint = did_you_mean(default, variants) or f"; name one of {', '.join(list(variants)[:8])}, or null"
            # It is told to who asks: flagd does so too.
            self.findings.add("default.unknown", f"there is no variant {default[:80]!r}{hint}", inside)
        return default

    def _rule(self, raw: FlagValue, path: Path, why: list[str]) -> FlagValue:
        if raw is None or raw == {}:
            return None
        self._targeting.check(raw, path)
        if self._targeting.broken:
            why.append(self._targeting.broken)
            return None
        for name in references(raw):
            if name in self.useless:
                why.append(f"it uses {name!r} of $evaluators: {self.useless[name]}")
                return None
        referred = sum(self._sizes[name] for name in references(raw))
        if size(raw) + referred > MOST_VALUES:
            self._breaks(why, "rule.size", f"a rule has at most {MOST_VALUES:,} values with what it refers to", path)
            return None
        self._referred += referred
        if self._referred > MOST_REFERRED:
            message = f"all rules of a file have at most {MOST_REFERRED:,} values by what they refer to; make two files"
            self._breaks(why, "file.size", message, path)
            return None
        rule = resolved(raw, self.evaluators)
        try:
            for _ in walk(read(rule)):
                pass
        except RuleInvalid as invalid:
            self._breaks(why, "rule.bounds", str(invalid), path)
        return rule

    def _breaks(self, why: list[str], code: str, message: str, path: Path) -> None:
        self.findings.add(code, message, path)
        why.append(message)


def _kind(value: FlagValue) -> FlagType | None:
    if isinstance(value, bool):
        return FlagType.BOOLEAN
    if isinstance(value, str):
        return FlagType.STRING
    if isinstance(value, int):
        return FlagType.INTEGER
    if isinstance(value, float):
        return FlagType.FLOAT
    return FlagType.OBJECT if isinstance(value, dict) else None
