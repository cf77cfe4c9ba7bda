"""The variants of a flag as people write them: their values, and the type that they all have."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.conditions import exact
from payaid_entitlements.core.flags.hashing import MOST_WEIGHT
from payaid_entitlements.core.flags.model import PARTS, FlagType
from payaid_entitlements.core.flags.shares import parts, percent
from payaid_entitlements.core.written.plain import described
from payaid_entitlements.core.written.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.flags.written import WrittenFlag
    from payaid_entitlements.core.written.problems import Path
    from payaid_entitlements.core.written.reading import Reading

#: What a flag has that names no variants.
SWITCH: Final[Mapping[str, FlagValue]] = {"on": True, "off": False}


def read_variants(
    data: WrittenFlag, who: str, path: Path, reading: Reading
) -> tuple[FlagType, Mapping[str, FlagValue]]:
    """Read the variants and their type; what is wrong becomes problems of *reading*."""
    if data.variants is None:
        if data.type not in (None, "boolean"):
            message = f"{who} is of type {data.type} and has no variants; write `variants: {{name: value}}`"
            reading.findings.add("flag.variants", message, path)
        return FlagType.BOOLEAN, SWITCH
    values = {name: exact(value) for name, value in data.variants.items()}
    types = {name: type_of(value) for name, value in values.items()}
    for name, kind in types.items():
        if kind is None:
            message = f"{who}: the variant {name!r} is worth {described(data.variants[name])}; write a value"
            reading.findings.add("flag.variants", message, (*path, "variants", name))
    found = {kind for kind in types.values() if kind is not None}
    if found <= {FlagType.INTEGER, FlagType.FLOAT} and (len(found) == 2 or data.type == "float"):
        # 1 and 0.5 are floats together; 1.0 in a catalog is 1.
        return FlagType.FLOAT, {name: _float(value) for name, value in values.items()}
    kind = next(iter(found), FlagType.BOOLEAN) if data.type is None else FlagType(data.type)
    if len(found) > 1:
        worth = ", ".join(f"{name!r} is {_KINDS[each]}" for name, each in types.items() if each is not None)
        message = f"{who} has variants of several types: {worth}; all are of one"
        reading.findings.add("flag.mixed", message, (*path, "variants"))
    elif found and found != {kind}:
        message = f"{who} is of type {kind}, but its variants are {_KINDS[next(iter(found))]}"
        reading.findings.add("flag.mixed", message, (*path, "type"))
    return kind, values


_KINDS: Final = {
    FlagType.BOOLEAN: "true or false",
    FlagType.STRING: "text",
    FlagType.INTEGER: "a whole number",
    FlagType.FLOAT: "a number",
    FlagType.OBJECT: "a mapping or a list",
}


def type_of(value: FlagValue) -> FlagType | None:
    """Tell the type of a variant that is worth *value*; None where there is none."""
    match value:
        case bool():
            return FlagType.BOOLEAN
        case str():
            return FlagType.STRING
        case int():
            return FlagType.INTEGER
        case float():
            return FlagType.FLOAT if isfinite(value) else None
        case None:
            return None
    return FlagType.OBJECT


def _float(value: FlagValue) -> FlagValue:
    return float(value) if isinstance(value, int) else value


def names_variant(name: str, variants: Mapping[str, FlagValue], who: str, path: Path, reading: Reading) -> bool:
    """Tell whether *name*, which *who* names, is one of *variants*; note a problem where it is not."""
    if name in variants:
        return True
    near = did_you_mean(name, variants) or f"; there are {', '.join(sorted(variants)[:20])}"
    reading.findings.add(
        "unknown.variant", f"{who} names the variant {name[:80]!r}, which it does not have{near}", path
    )
    return False


def weights(arms: list[tuple[str, object]], who: str, path: Path, reading: Reading) -> tuple[tuple[str, int], ...]:
    """Read the weights of *arms*: whole numbers, or percentages that make 100%."""
    is_percent = [isinstance(weight, str) for _, weight in arms]
    read: list[tuple[str, int]] = []
    for variant, weight in arms:
        if isinstance(weight, str):
            share = reading.take(path, f"{who}, split", parts, weight)
            if share is None:
                return ()
            read.append((variant, share))
        elif isinstance(weight, int) and not isinstance(weight, bool) and weight >= 0:
            read.append((variant, weight))
        else:
            message = f"{who}: a weight is a whole number from 0, or a percentage, not {described(weight)}"
            reading.findings.add("split.weight", message, path)
            return ()
    total = sum(weight for _, weight in read)
    if any(is_percent) and (not all(is_percent) or total != PARTS):
        message = f"{who}: percentages of a split make 100% together, not {percent(total)}"
        reading.findings.add("split.weight", message, path)
    elif not 0 < total <= MOST_WEIGHT:
        message = f"{who}: weights of a split are more than 0 together, and at most {MOST_WEIGHT:,}, not {total:,}"
        reading.findings.add("split.weight", message, path)
    return tuple(read)


def true_variant(variants: Mapping[str, FlagValue]) -> str | None:
    """Find the only variant that is true: what a rule gives that does not say what."""
    true = [name for name, value in variants.items() if value is True]
    return true[0] if len(true) == 1 else None
