"""
Conditions as people write them, and back.

``{plan: pro}`` is equal to; ``{plan: [pro, enterprise]}`` is one of; ``{company.size: {gte: 50, lt: 500}}`` names
operators; several entries hold all together. ``{all: [...]}``, ``{any: [...]}``, ``{not: ...}`` and ``{segment: beta}``
put conditions together; an attribute that is called like one of these is written out: ``{attribute: any, eq: 1}``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Final

from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.model import All, AnyOf, Condition, Not, Segment, Test
from payaid_entitlements.core.flags.operators import OPERATORS, predicate
from payaid_entitlements.core.written.plain import described
from payaid_entitlements.core.written.problems import Path, did_you_mean
from payaid_entitlements.core.written.reading import Reading

_WORDS: Final = ("all", "any", "not", "segment", "attribute")
_LONGEST: Final = 200


def read_condition(data: object, path: Path, reading: Reading, segments: Collection[str]) -> Condition | None:
    """
    Read a condition; what is wrong with it becomes problems of *reading*.

    Args:
        segments: Names that it may name.

    Returns:
        None where nothing of it can be used; then there is a problem.
    """
    if not isinstance(data, Mapping) or not data:
        message = f"write a condition such as `{{plan: [pro, enterprise]}}`, not {described(data or None)}"
        reading.findings.add("condition.empty", message, path)
        return None
    if "attribute" in data:
        parts: list[Condition] = [*_written_out(data, path, reading)]
    else:
        # By name: the order of a mapping says nothing.
        parts = [each for key in sorted(data) for each in _entry(key, data[key], (*path, key), reading, segments)]
    return All(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def _entry(key: str, value: object, path: Path, reading: Reading, segments: Collection[str]) -> Iterator[Condition]:
    match key:
        case "all" | "any":
            yield from _several(key, value, path, reading, segments)
        case "not":
            inner = read_condition(value, path, reading, segments)
            if inner is not None:
                yield Not(inner)
        case "segment":
            if not isinstance(value, str):
                reading.findings.add("wrong.type", f"`segment` names a segment, not {described(value)}", path)
            elif reading.names(value, segments, "segment", "the condition", path):
                yield Segment(value)
        case _:
            yield from _attribute(key, value, path, reading)


def _several(word: str, value: object, path: Path, reading: Reading, segments: Collection[str]) -> Iterator[Condition]:
    if not isinstance(value, list) or not value:
        message = f"`{word}` takes a list of conditions, at least one, not {described(value or None)}"
        reading.findings.add("condition.empty", message, path)
        return
    read = [read_condition(each, (*path, index), reading, segments) for index, each in enumerate(value)]
    conditions = tuple(each for each in read if each is not None)
    if conditions:
        yield All(conditions) if word == "all" else AnyOf(conditions)


def _attribute(name: str, value: object, path: Path, reading: Reading) -> Iterator[Test]:
    match value:
        case Mapping():
            if not value:
                message = f"{name!r} is compared with nothing; write `{{{name}: {{gte: 50}}}}`"
                reading.findings.add("condition.empty", message, path)
            for operator in sorted(value):
                yield from _test(name, operator, value[operator], (*path, operator), reading)
        case list():
            yield from _test(name, "in", value, path, reading)
        case _:
            yield from _test(name, "eq", value, path, reading)


def _written_out(data: Mapping[str, object], path: Path, reading: Reading) -> Iterator[Test]:
    name = data["attribute"]
    operators = sorted(key for key in data if key != "attribute")
    if not isinstance(name, str) or not operators:
        message = f"write `{{attribute: plan, in: [pro]}}`, with one operator or more of {', '.join(OPERATORS)}"
        reading.findings.add("condition.empty", message, path)
        return
    for operator in operators:
        yield from _test(name, operator, data[operator], (*path, operator), reading)


def _test(name: str, operator: str, value: object, path: Path, reading: Reading) -> Iterator[Test]:
    if not all(name.split(".")) or len(name) > _LONGEST or name.startswith("$"):
        message = f"{name[:80]!r} is no path of an attribute; write `plan` or `company.size`"
        reading.findings.add("condition.attribute", message, path)
        return
    if operator not in OPERATORS:
        near = did_you_mean(operator, (*OPERATORS, *_WORDS)) or f"; there are {', '.join(OPERATORS)}"
        message = f"there is no operator {operator[:80]!r}{near}"
        reading.findings.add("unknown.operator", message, path)
        return
    right = exact(value)
    if operator in ("in", "not_in") and right == []:
        reading.findings.add("condition.empty", f"`{operator}` of an empty list is nobody; write what is in it", path)
        return
    if reading.take(path, f"attribute {name!r}", predicate, operator, right) is not None:
        yield Test(name, operator, right)


def exact(value: object) -> FlagValue:
    """Make JSON data of what was read: a `Decimal` becomes a float, as values of flags are JSON."""
    match value:
        case Decimal():
            return float(value)
        case list() | tuple():
            return [exact(each) for each in value]
        case Mapping():
            return {str(key): exact(each) for key, each in value.items()}
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"{described(value)} is no JSON data")


def written_condition(condition: Condition) -> dict[str, FlagValue]:
    """Write *condition* as `read_condition` reads it."""
    match condition:
        case All(conditions):
            return {"all": [written_condition(each) for each in conditions]}
        case AnyOf(conditions):
            return {"any": [written_condition(each) for each in conditions]}
        case Not(inner):
            return {"not": written_condition(inner)}
        case Segment(name):
            return {"segment": name}
        case Test(name, operator, value):  # pragma: no branch - the types leave nothing else
            if name in _WORDS:
                return {"attribute": name, operator: value}
            if (operator == "eq" and not isinstance(value, list | Mapping)) or (
                operator == "in" and isinstance(value, list)
            ):
                return {name: value}
            return {name: {operator: value}}


def named_segments(condition: Condition) -> frozenset[str]:
    """List the segments that *condition* names itself."""
    return frozenset(segments_asked(condition))


def segments_asked(condition: Condition) -> Iterator[str]:
    """Give each segment that *condition* names itself, as often as it does."""
    match condition:
        case All(conditions) | AnyOf(conditions):
            for each in conditions:
                yield from segments_asked(each)
        case Not(inner):
            yield from segments_asked(inner)
        case Segment(name):
            yield name
