"""
Flags of ours as a flagd file: whoever evaluates it puts everybody where we put them.

What is evaluated there gives the same variant for the same ids, attributes and time. Reasons are flagd's: who is in by
a share is a ``TARGETING_MATCH``, and a flag that is off by a variant of ours is a static one. Kill switches and the
environment are of a process, and not in the file. What flagd cannot say is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.flagd.conditions import ConditionWriter
from payaid_entitlements.core.flags.flagd.identities import Identity, identity
from payaid_entitlements.core.flags.flagd.loading import GENERATION
from payaid_entitlements.core.flags.flagd.references import resolved, size
from payaid_entitlements.core.flags.flagd.targeting import MAX_WEIGHTS
from payaid_entitlements.core.flags.jsonlogic.reading import MOST_VALUES
from payaid_entitlements.core.flags.model import PARTS, FlagType
from payaid_entitlements.core.instant import EARLIEST, MICROSECONDS
from payaid_entitlements.core.written.problems import Findings
from payaid_entitlements.errors import FlagsInvalid

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.flags.model import Condition, Flag, Rollout, Rule, Share
    from payaid_entitlements.core.flags.nodes import Scheme

_NONE: Final[Mapping[str, FlagValue]] = MappingProxyType({})

_SCHEMA: Final = "https://flagd.dev/schema/v0/flags.json"
_NOW: Final[FlagValue] = {"var": "$flagd.timestamp"}


def dump(
    flags: Mapping[str, Flag],
    *,
    segments: Mapping[str, Condition] | None = None,
    metadata: Mapping[str, FlagValue] = _NONE,
    targeting_key: str = "tenant",
) -> str:
    """
    Write *flags* as a flagd file.

    Args:
        segments: That conditions may name; those that are used become ``$evaluators``.
        metadata: Of the flag set, such as ``flagSetId``; plain values.
        targeting_key: Whose id those who evaluate the file pass as ``targetingKey``: ``tenant``, ``user`` or the path
            of an attribute. Everything else, such as ``user`` and ``plan``, they pass as attributes of these names.

    Raises:
        FlagsInvalid: flagd would answer otherwise than we do. Each flag of which that is so is named, with the reason.
    """
    findings = Findings("<flags>")
    scheme = _generation(flags)
    named = {} if segments is None else segments
    used: dict[str, None] = {}
    written: dict[str, FlagValue] = {}
    for key, flag in sorted(flags.items()):
        writer = _FlagWriter(flag, named, targeting_key, scheme)
        written[key] = writer.write()
        used.update(writer.conditions.used)
        for problem in writer.problems:
            findings.add("flagd.unsayable", f"flagd cannot say it: {problem}", ("flags", key))
    evaluators: dict[str, FlagValue] = {}
    for name in sorted(used):
        inside = ConditionWriter(named, inline=(name,))
        evaluators[name] = inside.write(named[name])
        for problem in inside.problems:
            findings.add("flagd.unsayable", f"flagd cannot say it: {problem}", ("segments", name))
    if findings.fatal:
        raise FlagsInvalid(findings.fatal)
    # flagd for Python (openfeature-flagd-core 2.0.0) puts evaluators in by a regular expression, and fails on all of a
    # file where one has what JSON escapes: quotes, backslashes, what is not ASCII. These are written in where they are
    # used.
    escaped = {name: rule for name, rule in evaluators.items() if "\\" in json.dumps(rule)}
    kept = {name: rule for name, rule in evaluators.items() if name not in escaped}
    document: dict[str, FlagValue] = {"$schema": _SCHEMA, "flags": resolved(written, escaped)}
    if kept:
        document["$evaluators"] = kept
    document["metadata"] = {**metadata, GENERATION: scheme}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _generation(flags: Mapping[str, Flag]) -> Scheme:
    """Say which generation a file of *flags* needs: v2 where one that was read from flagd does."""
    return "v2" if any(flag.scheme == "v2" and _is_split(flag.targeting) for flag in flags.values()) else "v3"


def _is_split(rule: FlagValue) -> bool:
    if isinstance(rule, Mapping):
        return "fractional" in rule or any(map(_is_split, rule.values()))
    return isinstance(rule, list) and any(map(_is_split, rule))


class _FlagWriter:
    """Writes one flag; `problems` says what of it flagd cannot say."""

    def __init__(self, flag: Flag, segments: Mapping[str, Condition], targeting_key: str, scheme: Scheme) -> None:
        self.flag = flag
        self.salt = flag.salt or flag.key
        self.identity: Identity = identity(flag, targeting_key)
        self.targeting_key = targeting_key
        self.scheme = scheme
        self.conditions = ConditionWriter(segments)
        self.problems = self.conditions.problems

    def write(self) -> FlagValue:
        flag = self.flag
        default = flag.default
        targeting: FlagValue = None
        state = "ENABLED"
        if not flag.enabled and flag.off is not None:
            # flagd's DISABLED would leave the value to the caller.
            default = flag.off
        elif flag.targeting is not None:
            targeting = self._imported()
        elif flag.rules or flag.holdout or flag.exclusion or flag.needs:
            default, targeting = self._rules()
        if not flag.enabled and flag.off is None:
            state = "DISABLED"
        written: dict[str, FlagValue] = {"state": state, "variants": self._variants(), "defaultVariant": default}
        if targeting is not None:
            if size(targeting) > MOST_VALUES:
                self.problems.append(f"its rules have more than {MOST_VALUES:,} values")
            written["targeting"] = targeting
        metadata = self._metadata()
        if metadata:
            written["metadata"] = metadata
        return written

    def _imported(self) -> FlagValue:
        flag = self.flag
        if flag.holdout or flag.exclusion or flag.needs:
            self.problems.append("it has targeting of flagd's, and gates of ours before it; leave these out")
        if flag.scheme != self.scheme and _is_split(flag.targeting):
            self.problems.append(
                f"it is bucketed by {flag.scheme} of 'fractional', and another flag of the file by {self.scheme};"
                " write two files"
            )
        return flag.targeting

    def _rules(self) -> tuple[str | None, FlagValue]:
        """Write gates and rules: the default variant, and the targeting."""
        flag = self.flag
        branches: list[FlagValue] = []
        if flag.holdout is not None:
            branches += [self._placed(flag.holdout), flag.off]
        if flag.exclusion is not None:
            branches += [{"!": [self._placed(flag.exclusion)]}, flag.off]
        for needs in flag.needs:
            self.problems.append(f"it needs {needs.flag!r}, and flagd has no prerequisites; export it without")
        # Null is the default variant there; where ours is to be off without a value, it has to be null itself.
        is_spoken = bool(branches) and flag.off is None and flag.default is not None
        last: FlagValue = flag.default if is_spoken else None
        for rule in flag.rules:
            condition = self._condition(rule)
            if condition is None:
                last = self._serve(rule)
                break
            branches += [condition, self._serve(rule)]
        targeting: FlagValue = {"if": [*branches, last]} if branches else {"if": [True, last]}
        return None if is_spoken else flag.default, targeting

    def _condition(self, rule: Rule) -> FlagValue:
        """Write whom *rule* decides for; null for everybody."""
        wanted: list[FlagValue] = []
        if rule.when is not None:
            wanted.append(self.conditions.write(rule.when))
        if rule.rollout is not None:
            wanted += self._share(rule, rule.rollout)
        elif not isinstance(rule.serve, str):
            wanted.append(self.identity.there)
        if not wanted:
            return None
        return wanted[0] if len(wanted) == 1 else {"and": wanted}

    def _share(self, rule: Rule, rollout: Rollout) -> list[FlagValue]:
        if rollout.guard is not None:
            self.problems.append(
                f"rule {rule.id!r} is a guarded rollout: how far it is depends on what is measured;"
                " export it when it is complete, as a rule without a rollout"
            )
            return [None]
        now = self._parts(rule, rollout)
        rest: FlagValue = PARTS - now if isinstance(now, int) else {"-": [PARTS, now]}
        arms: list[FlagValue] = [[True, now], [False, rest]]
        self._hashes()
        if self.salt != self.flag.key:
            return [self.identity.there, {"fractional": [self.identity.written(f"{self.salt}/"), *arms]}]
        if not self.identity.is_targeting_key:
            self.problems.append(
                f"it buckets by {self.flag.bucket_by}{f', else {self.flag.fallback}' if self.flag.fallback else ''}"
                " with its own key for salt, which flagd hashes with the targeting key only, and that is"
                f" {self.targeting_key}; write it into a file whose targeting key it is"
            )
        return [{"fractional": arms}]

    def _parts(self, rule: Rule, rollout: Rollout) -> FlagValue:
        """Write the share that is in: a number, or what makes one of the time."""
        branches: list[FlagValue] = []
        for begins, parts in reversed(rollout.steps):
            if begins <= EARLIEST:
                return {"if": [*branches, parts]} if branches else parts
            if begins % MICROSECONDS:
                self.problems.append(f"rule {rule.id!r} has a step within a second; flagd counts whole seconds")
            branches += [{">=": [_NOW, begins // MICROSECONDS]}, parts]
        return {"if": [*branches, 0]} if branches else 0

    def _serve(self, rule: Rule) -> FlagValue:
        if isinstance(rule.serve, str):
            return rule.serve
        self._hashes()
        if sum(weight for _, weight in rule.serve) > MAX_WEIGHTS:
            self.problems.append(f"the weights of rule {rule.id!r} are together more than {MAX_WEIGHTS:,}; divide them")
        arms: list[FlagValue] = [[variant, weight] for variant, weight in rule.serve]
        return {"fractional": [self.identity.written(f"{self.salt}/split/"), *arms]}

    def _placed(self, share: Share) -> FlagValue:
        """Write that one stands within *share* of its group."""
        self._hashes()
        arms: list[FlagValue] = [[False, share.start], [True, share.end - share.start], [False, PARTS - share.end]]
        place: FlagValue = {"fractional": [self.identity.written(f"$group/{share.group}/"), *arms]}
        return {"and": [self.identity.there, place]}

    def _hashes(self) -> None:
        flag = self.flag
        message = "the file is of v2 of 'fractional', which puts people elsewhere; write two files"
        if self.scheme == "v2" and message not in self.problems:
            self.problems.append(message)
        for by in (flag.bucket_by, flag.fallback or ""):
            message = f"it buckets by {by!r}, of which flagd would take a part for a place in a list"
            if any(piece.isdigit() for piece in by.split(".")) and message not in self.problems:
                self.problems.append(message)

    def _variants(self) -> FlagValue:
        variants: dict[str, FlagValue] = {}
        for name, value in self.flag.variants.items():
            if self.flag.type is FlagType.OBJECT and not isinstance(value, Mapping):
                self.problems.append(f"variant {name!r} is a list or null; flagd's are objects")
            # 1 would make an integer flag of a file in which no other number has a fraction.
            variants[name] = float(value) if self.flag.type is FlagType.FLOAT and isinstance(value, int) else value
        return variants

    def _metadata(self) -> dict[str, FlagValue]:
        """Metadata of the flag, and what of it flagd has no field for and nothing is evaluated of."""
        flag = self.flag
        told: dict[str, FlagValue] = {
            "title": flag.title or None,
            "owner": flag.owner,
            "remove_by": flag.remove_by.isoformat() if flag.remove_by else None,
            "narrows": ", ".join(flag.narrows) or None,
        }
        metadata = {**{name: value for name, value in told.items() if value is not None}, **flag.metadata}
        for name, value in metadata.items():
            if not isinstance(value, bool | int | float | str):
                self.problems.append(f"metadata {name!r} is a list, an object or null; flagd's are plain values")
        return metadata
