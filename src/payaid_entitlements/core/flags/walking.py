"""Going through the nodes of a rule: what is in it, and whether it is within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from payaid_entitlements.core.flags.failing import RuleInvalid
from payaid_entitlements.core.flags.nodes import Call, Distribute, If, Node, Var

#: How deep nodes may be nested, and how many there may be. Compiling and evaluating go as deep as this.
DEPTH: Final = 100
MOST_NODES: Final = 50_000

#: How many operators may go through lists, of each of which the work is bounded.
MOST_LOOPS: Final = 16
LOOPS: Final = frozenset({"map", "filter", "reduce", "all", "none", "some"})


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that *node* is made of, in the order in which they are written."""
    match node:
        case Var(path, default):
            given = () if default is None else (default,)
            return given if isinstance(path, tuple) else (path, *given)
        case Call(_, operands):
            return operands
        case If(branches, otherwise):
            return (*(part for branch in branches for part in branch), otherwise)
        case Distribute(key=key, arms=arms):
            parts = [part for arm in arms for part in arm if not isinstance(part, int)]
            return tuple(parts) if key is None else (key, *parts)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """
    Give *node* and all that it is made of.

    Raises:
        RuleInvalid: There is more than `DEPTH`, `MOST_NODES` and `MOST_LOOPS` allow.
    """
    waiting = [(node, 0)]
    met = loops = 0
    while waiting:
        one, depth = waiting.pop()
        met += 1
        loops += isinstance(one, Call) and one.operator in LOOPS
        if depth > DEPTH or met > MOST_NODES or loops > MOST_LOOPS:
            raise RuleInvalid(
                f"a rule is at most {DEPTH} deep, with {MOST_NODES} parts and {MOST_LOOPS} loops; make it smaller"
            )
        yield one
        waiting.extend((child, depth + 1) for child in reversed(children(one)))


def reads_clock(node: Node) -> bool:
    """Whether the answer may change with time alone. A path that is only known later may lead to the clock too."""
    return any(
        isinstance(one, Var) and (not isinstance(one.path, tuple) or one.path in _TO_THE_CLOCK) for one in walk(node)
    )


_TO_THE_CLOCK: Final = ((), ("$flagd",), ("$flagd", "timestamp"))
