"""
Deterministic CBOR of JSON data: the bytes that buckets are hashed of.

RFC 8949 section 4.2.1 (core deterministic encoding), with numbers of one value written one way, as flagd's ADR on
rand units asks: a float without a fraction that fits into 64 bits is an integer.
"""

# Do not change one byte of what this writes: it moves tenants between buckets. Pinned by the golden values.

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from struct import pack, unpack
from typing import Final

#: How deep lists and maps may be nested.
DEPTH: Final = 32

#: How many bytes a list or a map may have. A rule can build one that lies in itself twice, and so on.
LONGEST: Final = 65_536

_TEXT: Final = 3
_LIST: Final = 4
_MAP: Final = 5


class NotEncodable(ValueError):
    """The value is no JSON data, or has a number that JSON does not have: NaN, infinity, beyond 64 bits."""


def _head(major: int, amount: int) -> bytes:
    kind = major << 5
    if amount < 24:
        return bytes((kind | amount,))
    if amount < 1 << 8:
        return bytes((kind | 24, amount))
    if amount < 1 << 16:
        return bytes((kind | 25,)) + amount.to_bytes(2, "big")
    if amount < 1 << 32:
        return bytes((kind | 26,)) + amount.to_bytes(4, "big")
    return bytes((kind | 27,)) + amount.to_bytes(8, "big")


#: Heads of short texts, made once: nearly every id is one.
_HEADS: Final = tuple(_head(_TEXT, length) for length in range(256))


def text(value: str) -> bytes:
    """
    Encode a text.

    Raises:
        NotEncodable: It has half of a surrogate pair, which UTF-8 cannot say.
    """
    try:
        raw = value.encode()
    except UnicodeEncodeError as error:
        raise NotEncodable("half of a surrogate pair is no text") from error
    length = len(raw)
    return (_HEADS[length] if length < 256 else _head(_TEXT, length)) + raw


def encode(value: object, depth: int = 0) -> bytes:
    """
    Encode JSON data; equal numbers and maps in any order come out as the same bytes.

    Args:
        depth: How many lists and maps it already lies in.

    Raises:
        NotEncodable: *value* is none, or is nested deeper than `DEPTH` or longer than `LONGEST`.
    """
    if value is None:
        return b"\xf6"
    if value is False:
        return b"\xf4"
    if value is True:
        return b"\xf5"
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _float(value)
    if depth >= DEPTH:
        raise NotEncodable(f"nested deeper than {DEPTH}")
    if isinstance(value, list | tuple):
        return _fitting(_head(_LIST, len(value)) + b"".join([encode(item, depth + 1) for item in value]))
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    raise NotEncodable(f"{type(value).__name__} is no JSON data")


def _integer(value: int) -> bytes:
    if 0 <= value < 1 << 64:
        return _head(0, value)
    if -(1 << 64) <= value < 0:
        return _head(1, -1 - value)
    raise NotEncodable("an integer beyond 64 bits")


def _float(value: float) -> bytes:
    if not isfinite(value):
        raise NotEncodable("NaN and infinity are no JSON data")
    if value.is_integer() and -(2**63) <= value < 2**64:
        return _integer(int(value))
    # The shortest of half, single and double precision that gives the same value back.
    for head, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            raw = pack(form, value)
        except OverflowError:
            continue
        if unpack(form, raw)[0] == value:
            return head + raw
    return b"\xfb" + pack(">d", value)


def _mapping(value: Mapping[object, object], depth: int) -> bytes:
    pairs = []
    for key, item in value.items():
        if not isinstance(key, str):
            raise NotEncodable("a key that is no text")
        pairs.append((text(key), encode(item, depth + 1)))
    pairs.sort()
    return _fitting(_head(_MAP, len(pairs)) + b"".join([key + item for key, item in pairs]))


def _fitting(made: bytes) -> bytes:
    if len(made) > LONGEST:
        raise NotEncodable(f"longer than {LONGEST} bytes")
    return made
