"""
From what people write to a flag: every problem is collected, with its line and a way out.

The catalog's `flags:` and what Admin and the command line take are read by the same function. What only shows where
several flags are looked at together is for `payaid_entitlements.core.flags.checking`; whether a key is taken by what is
sold, for the catalog.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payaid_entitlements.core.flags.conditions import exact, read_condition
from payaid_entitlements.core.flags.flagd.targeting import Targeting
from payaid_entitlements.core.flags.model import (
    PARTS,
    Condition,
    Flag,
    FlagType,
    Needs,
    Rollout,
    Rule,
    Share,
)
from payaid_entitlements.core.flags.schedules import read_rollout
from payaid_entitlements.core.flags.shares import parts, percent
from payaid_entitlements.core.flags.variants import names_variant, read_variants, true_variant, weights
from payaid_entitlements.core.flags.writing import ROLLOUT
from payaid_entitlements.core.written.days import day
from payaid_entitlements.core.written.keyspace import check_part
from payaid_entitlements.core.written.plain import described
from payaid_entitlements.core.written.reading import Reading

if TYPE_CHECKING:
    from payaid_entitlements.core.flags import written
    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.written.problems import Path


@dataclass(frozen=True, slots=True)
class Known:
    """What a flag may name."""

    flags: Collection[str]
    segments: Collection[str]
    modules: Collection[str]
    features: Collection[str]


def read_written(key: str, data: written.WrittenFlag, known: Known, reading: Reading) -> Flag:
    """Read what was written for *key*; what is wrong becomes problems of *reading*."""
    return _Flag(key, data, known, reading).read()


class _Flag:
    """One flag while it is read."""

    def __init__(self, key: str, data: written.WrittenFlag, known: Known, reading: Reading) -> None:
        self.key = key
        self.data = data
        self.known = known
        self.reading = reading
        self.who = f"flag {key!r}"
        self.path: Path = ("flags", key)
        self.type, self.variants = read_variants(data, self.who, self.path, reading)
        # Where the variants could not be read, whoever names one is not wrong.
        self.has_variants = (*self.path, "variants") not in reading.left_out

    def read(self) -> Flag:
        data = self.data
        default = self._variant("default", None if data.variants is not None else "off")
        off = self._variant("off", default)
        remove_by = None
        if data.remove_by is not None:
            remove_by = self.reading.take((*self.path, "remove_by"), f"{self.who}, remove_by", day, data.remove_by)
        self._narrows(default, off)
        return Flag(
            key=self.key,
            type=self.type,
            variants=self.variants,
            default=default,
            off=off,
            enabled=data.enabled,
            salt=data.salt or self.key,
            bucket_by=self._attribute("bucket_by", data.bucket_by) or "tenant",
            fallback=self._attribute("fallback", data.fallback),
            rules=self._rules(),
            needs=self._needs(),
            exclusion=self._share("exclusion", data.exclusion),
            holdout=self._share("holdout", data.holdout),
            narrows=tuple(data.narrows),
            owner=data.owner,
            remove_by=remove_by,
            title=data.title,
            metadata=self._metadata(),
            targeting=self._targeting(),
            scheme=data.fractional,
        )

    def _problem(self, code: str, message: str, *path: str | int) -> None:
        self.reading.findings.add(code, f"{self.who}{message}", (*self.path, *path))

    def _variant(self, field: str, unset: str | None) -> str | None:
        if field not in self.data.model_fields_set:
            return unset
        name: str | None = getattr(self.data, field)
        if name is not None and self.has_variants:
            names_variant(name, self.variants, self.who, (*self.path, field), self.reading)
        return name

    def _attribute(self, field: str, name: str | None) -> str | None:
        if name is not None and not all(name.split(".")):
            message = f", {field}: {name!r} is no path of an attribute; write `user` or `company.id`"
            self._problem("condition.attribute", message, field)
        return name

    def _narrows(self, default: str | None, off: str | None) -> None:
        data, reading = self.data, self.reading
        known = {*self.known.modules, *self.known.features}
        for index, name in enumerate(data.narrows):
            if reading.names(name, known, "module or feature", self.who, (*self.path, "narrows", index)):
                if name in data.narrows[:index]:
                    self._problem("entry.twice", f" narrows {name!r} twice; once is enough", "narrows", index)
        if data.narrows and (self.type is not FlagType.BOOLEAN or default is None or off is None):
            message = " narrows, so it must say true or false: a boolean flag whose `default` and `off` are variants"
            self._problem("flag.narrows", message, "narrows")
        elif data.narrows and off is not None and self.variants.get(off) is True:
            message = " narrows, so its `off` is false: else who kills it opens to everybody what it keeps back"
            self._problem("flag.narrows", message, "narrows")

    def _rules(self) -> tuple[Rule, ...]:
        rules: list[Rule] = []
        names = {ROLLOUT} if self._has_own() else set()
        for index, rule in enumerate(self.data.rules):
            path: Path = (*self.path, "rules", index)
            name = rule.id or f"rule-{index + 1}"
            if name in names:
                self._problem(
                    "rule.twice", f" has two rules {name!r}; explanations name them, so rename one", *path[2:]
                )
            names.add(name)
            who = f"{self.who}, rule {name!r}"
            when = None
            if rule.when is not None:
                when = read_condition(rule.when, (*path, "when"), self.reading, self.known.segments)
            rules.append(Rule(name, self._serve(rule, who, path), when, self._rollout(rule, who, path)))
        if self._has_own():
            who = f"{self.who}, rollout"
            rules.append(
                Rule(ROLLOUT, self._serve(self.data, who, self.path), None, self._rollout(self.data, who, self.path))
            )
        if sum(rule.rollout is not None and rule.rollout.guard is not None for rule in rules) > 1:
            self._problem("rollout.guards", " has two guarded rollouts; one at a time can be measured")
        return tuple(rules)

    def _has_own(self) -> bool:
        data = self.data
        return data.rollout is not None or data.split is not None or data.serve is not None

    def _serve(
        self, data: written.WrittenRule | written.WrittenFlag, who: str, path: Path
    ) -> str | tuple[tuple[str, int], ...]:
        reading = self.reading
        if data.split is not None:
            if data.serve is not None:
                reading.findings.add("rule.unclear", f"{who} has both `serve` and `split`; keep one", path)
            for name, _ in data.split if self.has_variants else ():
                names_variant(name, self.variants, who, (*path, "split"), reading)
            return weights(data.split, who, (*path, "split"), reading)
        if data.serve is not None:
            if self.has_variants:
                names_variant(data.serve, self.variants, who, (*path, "serve"), reading)
            return data.serve
        true = true_variant(self.variants)
        if true is None and self.has_variants:
            message = f"{who} does not say which variant it gives; write `serve` or `split`"
            reading.findings.add("rule.unclear", message, path)
        return true or ""

    def _rollout(self, data: written.WrittenRule | written.WrittenFlag, who: str, path: Path) -> Rollout | None:
        if data.rollout is None:
            return None
        return read_rollout(data.rollout, who, (*path, "rollout"), self.reading)

    def _needs(self) -> tuple[Needs, ...]:
        needs: list[Needs] = []
        for key in sorted(self.data.needs):
            path: Path = (*self.path, "needs", key)
            if self.reading.names(key, self.known.flags, "flag", self.who, path):
                needs.append(Needs(key, frozenset(self.data.needs[key])))
        return tuple(needs)

    def _share(self, field: str, data: written.WrittenShare | None) -> Share | None:
        if data is None:
            return None
        path: Path = (*self.path, field)
        who = f"{self.who}, {field}"
        is_short = data.percent is not None
        if is_short == (data.to is not None) or (is_short and data.from_ is not None):
            message = f", {field}: write `{{group: {data.group}, percent: 5%}}` or `{{group: ..., from: 0%, to: 50%}}`"
            self._problem("share.unclear", message, field)
            return None
        start = self.reading.take((*path, "from"), who, parts, data.from_ or "0%")
        end = self.reading.take((*path, "to"), who, parts, data.to or data.percent or "")
        if start is None or end is None:
            return None
        if end <= start:
            self._problem("share.empty", f", {field}: from {percent(start)} to {percent(end)} is nobody", field)
        return Share(data.group, start, min(end, PARTS))

    def _metadata(self) -> dict[str, FlagValue]:
        kept: dict[str, FlagValue] = {}
        for name, value in self.data.metadata.items():
            if value is None or isinstance(value, dict | list):
                message = f": metadata is text, a number, true or false, not {described(value)}"
                self._problem("flag.metadata", message, "metadata", name)
            kept[name] = exact(value)
        return kept

    def _targeting(self) -> FlagValue:
        data = self.data
        if data.targeting is None:
            return None
        if data.rules or self._has_own():
            message = " has `targeting`, which is flagd's, beside rules of ours; keep one of them"
            self._problem("flag.targeting", message, "targeting")
        rule = exact(data.targeting)
        Targeting(self.reading.findings).check(rule, (*self.path, "targeting"))
        return rule


def read_segments(data: Mapping[str, object], reading: Reading, known: Collection[str] = ()) -> dict[str, Condition]:
    """Read the segments of a catalog, which may name one another, and those of *known*."""
    segments: dict[str, Condition] = {}
    names = {*data, *known}
    for name, condition in data.items():
        check_part(name, "segment", ("segments", name), reading)
        read = read_condition(condition, ("segments", name), reading, names)
        if read is not None:
            segments[name] = read
    return segments
