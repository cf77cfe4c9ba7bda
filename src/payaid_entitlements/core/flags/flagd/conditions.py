"""
Conditions of ours as JsonLogic that is true for exactly the same.

A condition of ours is false where the attribute is missing or of another kind; JsonLogic turns kinds into each other
first. So what compares is preceded by what tells the kind, in the operators that every implementation has: a value is
a string when joining it to nothing leaves it as it is, and a number when adding it to nothing does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.model import All, AnyOf, Condition, Not, Segment, Test

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.details import FlagValue

#: How many conditions a flag may have with the segments that its segments name.
MOST: Final = 5_000

_ORDER: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_AFFIX: Final = ("starts_with", "ends_with")
#: What flagd has to say for each. Ours of the last two leave out versions before the one that is written.
_VERSION: Final[Mapping[str, tuple[str, ...]]] = {
    "semver_eq": ("=",),
    "semver_lt": ("<",),
    "semver_lte": ("<=",),
    "semver_gt": (">",),
    "semver_gte": (">=",),
    "semver_tilde": ("~", ">="),
    "semver_caret": ("^", ">="),
}
#: Why flagd cannot say it, and what to do.
_UNSAYABLE: Final = {
    "matches": "flagd has no regular expressions; list the values with 'in', or use starts_with and ends_with",
    "cidr": "flagd knows no networks; let the host set an attribute for those within it",
    "before": "flagd reads no dates out of attributes; let the host set a number of seconds and compare that",
    "after": "flagd reads no dates out of attributes; let the host set a number of seconds and compare that",
}


class ConditionWriter:
    """
    Writes the conditions of one flag.

    Attributes:
        problems: What flagd cannot say, each in a sentence.
        used: Names of the segments that were referred to.
    """

    def __init__(self, segments: Mapping[str, Condition], *, inline: tuple[str, ...] = ()) -> None:
        self._segments = segments
        # The segments that are being written out, from the outside in; empty where they are referred to.
        self._inline = inline
        self._left = MOST
        self.problems: list[str] = []
        self.used: dict[str, None] = {}

    def write(self, condition: Condition) -> FlagValue:
        """Write *condition*; null in the place of what cannot be said, which is then among the problems."""
        self._left -= 1
        if self._left < 0:
            return self._unsayable(f"more than {MOST:,} conditions with all segments; say it in fewer")
        match condition:
            case All(conditions):
                return {"and": [self.write(each) for each in conditions]}
            case AnyOf(conditions):
                return {"or": [self.write(each) for each in conditions]}
            case Not(inner):
                return {"!": [self.write(inner)]}
            case Segment(name):
                return self._segment(name)
        return self._test(condition)

    def _segment(self, name: str) -> FlagValue:
        if name not in self._segments:
            return self._unsayable(f"there is no segment {name!r}; pass the segments of the flag set")
        if not self._inline:
            self.used[name] = None
            return {"$ref": name}
        if name in self._inline:
            return self._unsayable(f"segment {name!r} refers to itself")
        outside = self._inline
        self._inline = (*outside, name)
        written = self.write(self._segments[name])
        self._inline = outside
        return written

    def _test(self, test: Test) -> FlagValue:
        if test.attribute.startswith("$flagd"):
            return self._unsayable(f"{test.attribute!r} is flagd's own name; name the attribute otherwise")
        var: FlagValue = {"var": test.attribute}
        operator, value = test.operator, test.value
        if operator == "exists":
            return {"===" if value is False else "!==": [var, None]}
        if operator in ("eq", "neq"):
            return self._equal(test, var)
        if operator in ("in", "not_in"):
            return self._among(test, var)
        if operator == "contains" and _is_plain(value):
            inside: FlagValue = {"in": [value, var]}
            # A number is not looked for among the characters of a string.
            return inside if isinstance(value, str) else {"and": [{"!": [text(var)]}, inside]}
        if operator in _ORDER and _is_number(value):
            return {"and": [number(var), {_ORDER[operator]: [var, value]}]}
        if operator in _AFFIX:
            affixes = value if isinstance(value, list) else [value]
            return {"or": [{operator: [var, affix]} for affix in affixes]}
        if operator in _VERSION:
            return {"and": [{"sem_ver": [var, sign, str(value)]} for sign in _VERSION[operator]]}
        why = _UNSAYABLE.get(operator, "flagd compares only plain values")
        return self._unsayable(f"{test.attribute} {operator}: {why}")

    def _equal(self, test: Test, var: FlagValue) -> FlagValue:
        if not _is_plain(test.value):
            return self._unsayable(f"{test.attribute} {test.operator}: flagd compares only plain values; name a part")
        if test.operator == "eq":
            return {"===": [var, test.value]}
        return {"and": [_kind(var, test.value), {"!==": [var, test.value]}]}

    def _among(self, test: Test, var: FlagValue) -> FlagValue:
        values = test.value
        if not isinstance(values, list) or not values or not all(map(_is_plain, values)):
            return self._unsayable(f"{test.attribute} {test.operator}: write a list of plain values, at least one")
        # Each by itself: `in` of some implementations takes 1 for true.
        equal: list[FlagValue] = [{"===": [var, value]} for value in values]
        among: FlagValue = {"in": [var, values]} if all(isinstance(value, str) for value in values) else {"or": equal}
        if test.operator == "in":
            return among
        kinds = {str(_kind(var, value)): _kind(var, value) for value in values}
        return {"and": [{"or": list(kinds.values())}, {"!": [among]}]}

    def _unsayable(self, problem: str) -> FlagValue:
        self.problems.append(problem)
        return None


def text(var: FlagValue) -> FlagValue:
    """Write that *var* is a string."""
    return {"===": [{"cat": [var]}, var]}


def number(var: FlagValue) -> FlagValue:
    """Write that *var* is a number."""
    return {"===": [{"+": [var]}, var]}


def _kind(var: FlagValue, value: FlagValue) -> FlagValue:
    if isinstance(value, bool):
        return {"or": [{"===": [var, True]}, {"===": [var, False]}]}
    return text(var) if isinstance(value, str) else number(var)


def _is_plain(value: FlagValue) -> bool:
    return isinstance(value, bool | int | float | str)


def _is_number(value: FlagValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
