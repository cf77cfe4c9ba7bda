"""
The intermediate form: every notation of a flag (ours, flagd's) is read into it, and one compiler makes closures of it.

A node gives a JSON value for a context; a flag's targeting gives the name of a variant, or None for its default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from payaid_entitlements.core.flags.details import FlagValue

#: How a bucket is hashed: v3 hashes deterministic CBOR, v2 UTF-8 text. Positions are ``(hash * weights) >> 32``.
Scheme: TypeAlias = Literal["v2", "v3"]


@dataclass(frozen=True, slots=True)
class Const:
    """A value that is written there."""

    value: FlagValue


@dataclass(frozen=True, slots=True)
class Var:
    """
    An attribute by its path, as JsonLogic's ``var``; *default* where it is missing.

    Attributes:
        path: Split at dots; empty for the whole context. May be a node that gives the path.
    """

    path: tuple[str, ...] | Node
    default: Node | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """An operator of JsonLogic, of flagd or of ours, by its name, with its operands."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class If:
    """The consequence of the first condition that is true, else *otherwise*."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node = Const(None)


@dataclass(frozen=True, slots=True)
class Distribute:
    """
    One arm by the position of a hash; None where there is nothing to hash.

    Attributes:
        salt: Hashed with the targeting key, as flagd does with the flag's key; not with a key of the rule's own.
        key: What is hashed; None for the targeting key.
        arms: What comes out with which weight; weights may be nodes.
    """

    salt: str
    key: Node | None
    arms: tuple[tuple[Node, Node | int], ...]
    scheme: Scheme = "v3"


@dataclass(frozen=True, slots=True)
class InSegment:
    """True where the context is in a named segment."""

    segment: str


@dataclass(frozen=True, slots=True)
class Broken:
    """What cannot be evaluated, and why: a bad flag fails alone, when it is asked."""

    message: str


Node: TypeAlias = Const | Var | Call | If | Distribute | InSegment | Broken
