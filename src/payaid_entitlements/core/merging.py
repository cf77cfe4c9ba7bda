"""
What a source sells, and how several sources become one value. The rule is stated per feature, never guessed.

Switches join by "or"; config values by the feature's `merge`; allowances of one window add up. 100 a month and 1,000 a
year have no sum: of different windows the one that gives more in the long run holds, and the others are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import cast

from payaid_entitlements.core.catalog.model import AddOn, ConfigType, Feature, Kind, Merge, Plan
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.interval import Interval
from payaid_entitlements.core.values import UNLIMITED, Allowance, Amount, Value

#: Microseconds of an average month of the Gregorian calendar: 400 years have 146,097 days.
_MONTH = 146_097 * DAY // 4_800


@dataclass(frozen=True, slots=True)
class Source:
    """
    A plan version with its add-ons.

    Attributes:
        add_ons: (add-on, quantity), in the order of the catalog.
    """

    plan: Plan
    add_ons: tuple[tuple[AddOn, int], ...] = ()

    def opens(self, module: str) -> bool:
        """Does it include *module*?"""
        return module in self.plan.modules or any(module in add_on.modules for add_on, _ in self.add_ons)

    def value(self, feature: Feature) -> Value | None:
        """
        What it sells of *feature*; None when it does not list it.

        The plan's value is replaced by the largest `override`, then each `increment` is added times its quantity,
        then it is lifted to the largest `max`.
        """
        value = self.plan.features.get(feature.key)
        replacing = [add_on.override[feature.key] for add_on, _ in self.add_ons if feature.key in add_on.override]
        if replacing:
            value = largest(feature, replacing)
        more = [
            (add_on.increment[feature.key], times) for add_on, times in self.add_ons if feature.key in add_on.increment
        ]
        if more:
            value = _increased(feature, value, more)
        lifting = [add_on.max[feature.key] for add_on, _ in self.add_ons if feature.key in add_on.max]
        if lifting:
            value = largest(feature, [*lifting, *([] if value is None else [value])])
        return value

    def named(self, feature_or_module: str) -> str:
        """What of it sells *feature_or_module*, in words: the plan, else the add-on."""
        plan = self.plan
        if feature_or_module not in plan.modules and feature_or_module not in plan.features:
            for add_on, _ in self.add_ons:
                if feature_or_module in add_on.modules or any(
                    feature_or_module in given for given in (add_on.increment, add_on.override, add_on.max)
                ):
                    return f"add-on {add_on.key}@{add_on.version}"
        return f"plan {plan.key}@{plan.version}"


def is_held(feature: Feature, value: Value | None) -> bool:
    """Is *value* something? A switch must be on, an allowance above 0; any config value is one."""
    match feature.kind:
        case Kind.SWITCH:
            return value is True or value is UNLIMITED
        case Kind.CONFIG:
            return value is not None
        case _:
            return value is UNLIMITED or (isinstance(value, Allowance) and not is_zero(value))


def suits(feature: Feature | None, value: Value) -> bool:
    """Is *value* of a type that *feature*, or a module (None), can have?"""
    if feature is None or feature.kind is Kind.SWITCH:
        return isinstance(value, bool)
    if feature.kind.is_metered:
        return isinstance(value, Allowance) or value is UNLIMITED
    match feature.type:
        case ConfigType.BOOL:
            return isinstance(value, bool)
        case ConfigType.STRING | ConfigType.CHOICE:
            return isinstance(value, str)
        case ConfigType.LIST:
            return isinstance(value, tuple)
        case ConfigType.DURATION:
            return isinstance(value, timedelta) or value is UNLIMITED
    return value is UNLIMITED or (isinstance(value, int | Decimal) and not isinstance(value, bool))


def is_zero(allowance: Allowance) -> bool:
    """Is it listed, but with none?"""
    return allowance.limit is not UNLIMITED and allowance.limit <= 0


def merge(feature: Feature, values: Sequence[Value]) -> Value:
    """
    Join what several sources sell of *feature*.

    Args:
        values: At least one, that of the highest authority first.
    """
    if len(values) == 1:
        return values[0]
    match feature.kind:
        case Kind.SWITCH:
            return any(value is True for value in values)
        case Kind.CONFIG:
            if feature.merge is Merge.MAX:
                return largest(feature, values)
            if feature.merge is Merge.MIN:
                return _by_size(feature, values)[0]
            return values[0]
        case _:
            return together([(value, 1) for value in values])


def _increased(feature: Feature, value: Value | None, more: Sequence[tuple[Value, int]]) -> Value | None:
    if feature.kind.is_metered:
        # All at once: one after the other, their order would decide which window holds.
        return together([*([] if value is None else [(value, 1)]), *more])
    for each, times in more:
        value = plus(value, each, times)
    return value


def together(allowances: Sequence[tuple[Value, int]]) -> Value:
    """
    Join allowances, each so many times over, in whatever order; see the law of this module.

    Without a limit is without a limit; of two that give equally much in the long run the longer window holds.
    """
    by_window: dict[object, Allowance] = {}
    for value, times in allowances:
        limit, per = (value.limit, value.per) if isinstance(value, Allowance) else (UNLIMITED, None)
        if limit is UNLIMITED:
            return Allowance(UNLIMITED)
        known = by_window.get(window_of(per), Allowance(0, per))
        by_window[window_of(per)] = Allowance(cast("Amount", known.limit) + limit * times, _shorter(known.per, per))
    return max(by_window.values(), key=_in_the_long_run)


def window_of(per: Interval | None) -> tuple[int, ...] | None:
    """What is equal for equal windows, however they are written: a year is 12 months."""
    return None if per is None else (per.elapsed, per.days, per.months)


def _shorter(one: Interval | None, other: Interval | None) -> Interval | None:
    """Of one window written in two ways the one with the smaller number, so that no order decides."""
    return one if one is None or other is None or one.count <= other.count else other


def plus(value: Value | None, more: Value, times: int) -> Value:
    """
    Add *more*, *times* over, to the *value* of a config feature. Without a limit is without a limit.

    Of lengths of time the longest that there is stands for all that are longer.
    """
    if value is UNLIMITED or more is UNLIMITED:
        return UNLIMITED
    match value, more:
        case None, bool() | str() | tuple():
            return more
        case None, int() | Decimal():
            return more * times
        case None | timedelta(), timedelta():
            try:
                return (value or timedelta()) + more * times
            except OverflowError:
                return timedelta.max
        case int() | Decimal() as held_amount, int() | Decimal() as amount:
            return held_amount + amount * times
        case tuple() as held_list, tuple() as items:
            return (*held_list, *(item for item in items if item not in held_list))
    return more


def largest(feature: Feature, values: Iterable[Value]) -> Value:
    """
    The greatest of *values*; without a limit is greater than all; of choices the later one.

    Of values without an order, such as texts, it is the last.
    """
    return _by_size(feature, values)[-1]


def _by_size(feature: Feature, values: Iterable[Value]) -> list[Value]:
    return sorted(
        values, key=lambda value: _in_the_long_run(value) if isinstance(value, Allowance) else size(feature, value)
    )


def _in_the_long_run(allowance: Allowance) -> tuple[int, Decimal | Fraction, Amount, tuple[int, ...]]:
    limit, per = allowance.limit, allowance.per
    # The window comes last, what never comes anew as the longest: of several that give nothing no order decides.
    window = (1,) if per is None else (0, per.months, per.days, per.elapsed, -per.count)
    return (*_rate(allowance), 0 if limit is UNLIMITED else limit, window)


def size(feature: Feature, value: Value) -> tuple[int, Decimal | Fraction]:
    """
    A number to compare values of *feature* by: more is greater, without a limit the greatest.

    An allowance counts by what it gives in the long run; one that never comes anew is less than any that does.
    """
    match value:
        case Allowance():
            return _rate(value)
        case bool() | int() | Decimal():
            return (0, Decimal(value))
        case timedelta():
            return (0, Decimal(value // timedelta(microseconds=1)))
        case str():
            return (0, Decimal(feature.choices.index(value) if value in feature.choices else -1))
        case tuple():
            return (0, Decimal(len(value)))
        case _:
            return (2, Decimal(0))


def _rate(allowance: Allowance) -> tuple[int, Decimal | Fraction]:
    limit, per = allowance.limit, allowance.per
    if limit is UNLIMITED:
        return (2, Decimal(0))
    if per is None or is_zero(allowance):
        return (0, Decimal(limit))
    return (1, Fraction(limit) / average_length(per))


def average_length(per: Interval) -> int:
    """Microseconds that a window takes on the average."""
    return per.elapsed + per.days * DAY + per.months * _MONTH
