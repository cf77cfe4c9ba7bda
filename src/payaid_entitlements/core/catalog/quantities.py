"""
Quantities as people write them: ``100/month``, ``10 GB``, ``24 hours``, ``30/minute``, ``110%``.

Each function reads one text or raises `ValueError`, whose message says what to write instead.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar, cast

from payaid_entitlements.core.catalog.model import (
    WIDTHS,
    Access,
    ConfigType,
    FailPolicy,
    Feature,
    Kind,
    OnExceed,
    Rate,
    Stage,
)
from payaid_entitlements.core.metering.amounts import MOST_DECIMALS, fits
from payaid_entitlements.core.period import parse_duration, parse_interval
from payaid_entitlements.core.values import UNLIMITED, Allowance, Amount, Value
from payaid_entitlements.core.written.plain import DIGITS, described
from payaid_entitlements.core.written.problems import did_you_mean

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Microseconds

_T = TypeVar("_T", int, int | Decimal)

_BYTES: Final = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGTP", start=1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", start=1)},
}
_UNITS: Final = {unit.lower(): size for unit, size in _BYTES.items()}
_SIZE: Final = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z]+)")
_AMOUNT: Final = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,20})?")
_RATE: Final = re.compile(r"([0-9]{1,18})(?:\s*/\s*(.+)|\s+at\s+once)")
_PERCENT: Final = re.compile(r"([0-9]{1,6})\s*%")
_COUNTABLE: Final = (ConfigType.INT, ConfigType.DECIMAL, ConfigType.DURATION, ConfigType.SIZE)


def feature_value(feature: Feature, written: object) -> Value:
    """
    Read what a plan or an add-on writes for *feature*.

    Raises:
        ValueError: It does not fit the feature's kind and type.
    """
    if feature.kind is Kind.SWITCH:
        return _bool(written, "a switch is")
    if feature.kind is Kind.CONFIG:
        return _config(feature, written)
    return _allowance(feature, written)


def _bool(written: object, what: str) -> bool:
    if isinstance(written, bool):
        return written
    raise ValueError(f"{what} true or false, not {described(written)}")


def _config(feature: Feature, written: object) -> Value:
    if feature.type in _COUNTABLE and written == "unlimited":
        return UNLIMITED
    match feature.type, written:
        case ConfigType.BOOL, _:
            return _bool(written, "this is")
        case ConfigType.INT, int() if not isinstance(written, bool):
            return written
        case ConfigType.DECIMAL, int() | Decimal() if not isinstance(written, bool):
            return Decimal(written)
        case ConfigType.STRING, str():
            return written
        case ConfigType.CHOICE, str() if written in feature.choices:
            return written
        case ConfigType.CHOICE, _:
            near = did_you_mean(written, feature.choices) if isinstance(written, str) else ""
            raise ValueError(f"one of {', '.join(feature.choices)}, not {described(written)}{near}")
        case ConfigType.DURATION, str():
            return timedelta(microseconds=parse_duration(written))
        case ConfigType.SIZE, str():
            return size(written)
        case ConfigType.LIST, list():
            return tuple(cast("list[str]", written))
    raise ValueError(f"write {_EXAMPLES[feature.type]}, not {described(written)}")


_EXAMPLES: Final[dict[ConfigType | None, str]] = {
    ConfigType.INT: "a whole number or `unlimited`",
    ConfigType.DECIMAL: "a number or `unlimited`",
    ConfigType.STRING: "text, in quotes where it looks like a number",
    ConfigType.DURATION: "a duration such as `24 hours`, or `unlimited`",
    ConfigType.SIZE: "a size with its unit, such as `10 GB`, or `unlimited`",
    ConfigType.LIST: "a list of texts",
}


def _allowance(feature: Feature, written: object) -> Allowance:
    if written == "unlimited":
        return Allowance(UNLIMITED)
    holds = feature.kind is Kind.ALLOCATION
    if isinstance(written, int | Decimal) and not isinstance(written, bool):
        # Zero needs no window. Anything else without one would be used up for good by a forgotten word.
        if written < 0 or (written and not holds):
            raise ValueError(f"write {'at least 0' if holds else _window_hint(written)}, not {described(written)}")
        return Allowance(countable(whole(written), feature) if holds else written)
    text = written if isinstance(written, str) else ""
    number, slash, window = (part.strip() for part in text.partition("/"))
    if not slash:
        example = "5" if holds else "`100/month`"
        near = did_you_mean(text, ["unlimited"])
        raise ValueError(f"write an amount such as {example}, or `unlimited`, not {described(written)}{near}")
    if holds:
        raise ValueError(f"what is held does not come anew with each {window}; write only {number}")
    limit = countable(amount(number), feature)
    return Allowance(limit, None if window == "lifetime" else parse_interval(window))


def _window_hint(written: int | Decimal) -> str:
    shown = max(written, 1)
    return f"`{shown}/month`, or `{shown}/lifetime` for what never comes anew"


def amount(text: str) -> Amount:
    """Read an amount of units, at least 0."""
    if _AMOUNT.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no amount; write digits, such as 100 or 0.5")
    value = Decimal(text)
    return int(value) if value == int(value) else value


def countable(value: _T, feature: Feature) -> _T:
    """Pass for an amount of which *feature*, with its decimals, can be counted."""
    reason = misfit(value, feature.decimals)
    if reason is None:
        return value
    raise ValueError(f"{described(value)} {reason}")


def misfit(value: Amount, decimals: int) -> str | None:
    """Say why *value* cannot be counted with so many *decimals*; None where it can."""
    if fits(value, decimals):
        return None
    if fits(value, MOST_DECIMALS):
        places = "a whole number" if not decimals else f"at most {decimals} digits behind the point"
        return f"is finer than what is counted; write {places}, or more `decimals` for the feature"
    return "is finer or more than what can be counted"


def whole(value: int | Decimal) -> int:
    """Read a whole number."""
    if value != int(value):
        raise ValueError(f"write a whole number, not {described(value)}")
    return int(value)


def size(text: str) -> int:
    """Read a size in bytes: GB is 10**9 bytes, GiB is 2**30."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; write a number and a unit, such as `10 GB`")
    unit = match[2].lower()
    if unit not in _UNITS:
        raise ValueError(f"{match[2]!r} is no unit of size; there are {', '.join(_BYTES)}")
    value = Decimal(match[1]) * _UNITS[unit]
    if value != int(value) or value >= 10**DIGITS:
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return int(value)


def rate(text: str) -> Rate:
    """Read a rate: ``30/minute``, ``100/15 minutes``, ``5 at once``."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        near = did_you_mean(text, ["unlimited"])
        raise ValueError(
            f"{text!r} is no rate; write calls and a window, such as `30/minute`, or `5 at once`, or `unlimited`{near}"
        )
    limit, window = int(match[1]), match[2]
    length = None if window is None else parse_duration(window if window[0].isdecimal() else f"1 {window}")
    if not limit or length == 0:
        raise ValueError(f"{text!r} lets no call pass; a rate is at least one call in a window")
    return Rate(limit, length)


def rates(texts: list[str]) -> tuple[Rate, ...]:
    """Read several rates that all hold, no two over one window; nothing for ``unlimited``."""
    if texts == ["unlimited"]:
        return ()
    if "unlimited" in texts:
        raise ValueError("`unlimited` stands alone; remove the rates beside it, or remove it")
    read = tuple(rate(text) for text in texts)
    if len(read) > 1 and any(item.window is None for item in read):
        raise ValueError("`at once` stands alone; for calls in a window define another rate limit")
    if len({item.window for item in read}) < len(read):
        raise ValueError("two rates have the same window; keep the smaller one")
    return read


def on_exceed(text: str) -> OnExceed:
    """Read what happens above a limit."""
    match text.split(maxsplit=1):
        case ["hard" | "soft" | "warn" as kind]:
            return OnExceed(kind)
        case ["soft_until", percent]:
            found = _PERCENT.fullmatch(percent)
            if found is None or int(found[1]) < 100:
                raise ValueError(f"`soft_until` takes at least 100%, such as `soft_until 110%`, not {percent!r}")
            return OnExceed("soft_until", percent=int(found[1]))
        case ["grace_then_block", length]:
            return OnExceed("grace_then_block", grace=duration(length))
    words = ("hard", "soft", "soft_until 110%", "grace_then_block 3 days", "warn")
    raise ValueError(f"write one of {', '.join(words)}, not {described(text)}{did_you_mean(text, words)}")


def on_outage(text: str) -> FailPolicy:
    """Read what to answer when the store cannot be reached."""
    match text.split(maxsplit=1):
        case ["closed" | "open" as kind]:
            return FailPolicy(kind)
        case ["last_known_good", length]:
            return FailPolicy("last_known_good", duration(length))
    words = ("closed", "open", "last_known_good 10 minutes")
    raise ValueError(f"write one of {', '.join(words)}, not {described(text)}{did_you_mean(text, words)}")


def stages(texts: list[str]) -> tuple[Stage, ...]:
    """Read consecutive stages, each no wider; the last one has no end, and nothing is left after one that has."""
    read = [_stage(text) for text in texts]
    for (before, narrow), (text, wide) in pairwise(zip(texts, read, strict=True)):
        if WIDTHS[wide.access] > WIDTHS[narrow.access]:
            raise ValueError(
                f"`{text}` opens more than `{before}` before it: who goes on not paying would get back what was lost"
            )
    for text, stage in zip(texts[:-1], read, strict=False):
        if stage.length is None:
            raise ValueError(f"only the last stage has no end; write `{text} for 7 days`")
    if read[-1].length is not None:
        read.append(Stage(Access.NONE))
    return tuple(read)


def _stage(text: str) -> Stage:
    access, _, length = (part.strip() for part in text.partition(" for "))
    if access not in tuple(Access):
        near = did_you_mean(access, list(Access))
        raise ValueError(f"write `full for 7 days`, `read_only for 14 days` or `none`, not {described(text)}{near}")
    return Stage(Access(access), duration(length) if length else None)


def duration(text: str) -> Microseconds:
    """Read a length of time that is more than none."""
    read = parse_duration(text)
    if not read:
        raise ValueError(f"{text!r} is no time at all")
    return read
