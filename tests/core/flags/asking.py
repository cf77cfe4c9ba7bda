"""Asking rules: a context as a view makes it, and a rule as it is written."""

from __future__ import annotations

from typing import Any

from payaid_entitlements.core.flags import cbor, compiling
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.jsonlogic.reading import read
from payaid_entitlements.core.flags.nodes import Node, Scheme
from payaid_entitlements.core.instant import MICROSECONDS

NOW = 1_800_000_000 * MICROSECONDS + 250_000


def context(attributes: Any = None) -> FlagContext:
    return FlagContext(
        tenant="acme",
        user="u1",
        at=NOW,
        attributes={} if attributes is None else attributes,
        tenant_text=cbor.text("acme"),
        user_text=cbor.text("u1"),
    )


def evaluate(node: Node, attributes: Any = None) -> Any:
    """Ask a node of the flag "f"."""
    compiled = compiling.compile(node, segments={}, key="f")
    return compiled(context(attributes))


def ask(rule: object, attributes: Any = None, *, scheme: Scheme = "v3") -> Any:
    """Ask a rule of the flag "f" that is written as JSON data."""
    return evaluate(read(rule, flag="f", scheme=scheme), attributes)


def apply(rule: object, data: Any = None) -> Any:
    """Apply JsonLogic to data of any kind."""
    compiled = compiling.compile(read(rule), segments={}, element=True)
    made = context()
    made.attributes = data
    return compiled(made)
