"""Choosing an arm by the position of a hash. As much as can be is worked out beforehand: one hash, one comparison."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.hashing import MOST_WEIGHT, keyed, murmur3, position, threshold
from payaid_entitlements.core.flags.nodes import Scheme

Step: TypeAlias = Callable[[FlagContext], object]
#: What is hashed; None where there is nothing to hash.
Bytes: TypeAlias = Callable[[FlagContext], bytes | None]


def of_key(salt: str, scheme: Scheme) -> Bytes:
    """The bytes of salt and targeting key. An empty key is none, and so is what is no text."""

    def bytes_v2(context: FlagContext) -> bytes | None:
        key = _key(context)
        return _utf8(salt + key) if isinstance(key, str) and key else None

    if scheme == "v2":
        return bytes_v2
    prefix = keyed(salt)

    def bytes_v3(context: FlagContext) -> bytes | None:
        key = _key(context)
        if not isinstance(key, str) or not key:
            return None
        try:
            return prefix + cbor.text(key)
        except cbor.NotEncodable:
            return None

    return bytes_v3


def of_value(key: Step, scheme: Scheme) -> Bytes:
    """The bytes of a value that the rule names: all but null and lists, an empty text too; in v2 of texts only."""

    def bytes_v2(context: FlagContext) -> bytes | None:
        value = key(context)
        return _utf8(value) if isinstance(value, str) else None

    def bytes_v3(context: FlagContext) -> bytes | None:
        value = key(context)
        if value is None or isinstance(value, list | tuple):
            return None
        try:
            return cbor.encode(value)
        except cbor.NotEncodable:
            return None

    return bytes_v2 if scheme == "v2" else bytes_v3


def _key(context: FlagContext) -> object:
    attributes: object = context.attributes
    # Within a loop the attributes are an element, which may be anything. A dict is known sooner than a Mapping.
    return attributes.get("targetingKey") if isinstance(attributes, dict | Mapping) else None


def _utf8(written: str) -> bytes | None:
    try:
        return written.encode()
    except UnicodeEncodeError:
        return None


def fixed(material: Bytes, values: Sequence[object], weights: Sequence[object]) -> Step:
    """Choose among constant arms of constant weights."""
    ends = ends_of(weights)
    if ends is None:
        return lambda _: None
    whole = ends[-1]
    bounds = [threshold(end, whole) for end in ends]
    arms = tuple(values)
    if len(arms) == 2:
        first, second = arms
        bound = bounds[0]

        def either(context: FlagContext) -> object:
            raw = material(context)
            if raw is None:
                return None
            return first if murmur3(raw) < bound else second

        return either

    def choose(context: FlagContext) -> object:
        raw = material(context)
        return None if raw is None else arms[bisect_right(bounds, murmur3(raw))]

    return choose


def moving(material: Bytes, arms: Sequence[Step], weights: Sequence[Step]) -> Step:
    """Choose among arms that are worked out, by weights that are."""

    def choose(context: FlagContext) -> object:
        raw = material(context)
        if raw is None:
            return None
        ends = ends_of([weight(context) for weight in weights])
        if ends is None:
            return None
        return arms[bisect_right(ends, position(murmur3(raw), ends[-1]))](context)

    return choose


def ends_of(weights: Sequence[object]) -> list[int] | None:
    """
    Where each arm ends, exclusive.

    A negative weight is 0: a rollout by the clock computes such ones. None where a weight is no whole number, or
    their sum is 0 or beyond flagd's limit.
    """
    ends: list[int] = []
    total = 0
    for weight in weights:
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            return None
        # NaN and infinity are no whole numbers either.
        if isinstance(weight, float) and not weight.is_integer():
            return None
        total += max(0, int(weight))
        ends.append(total)
    return ends if 0 < total <= MOST_WEIGHT else None
