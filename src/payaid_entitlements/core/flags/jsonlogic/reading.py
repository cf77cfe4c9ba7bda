"""
Reading a rule that is written as JSON data.

A JSON object with one key is an operation, as in JsonLogic; all else is a value, and of a list each element is read.
An operator that does not exist breaks the rule and nothing beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from payaid_entitlements.core.flags.coercion import text
from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.failing import RuleInvalid
from payaid_entitlements.core.flags.nodes import Broken, Call, Const, Distribute, If, Node, Scheme, Var

#: How deep a rule may be nested, and how many JSON values it may have, those in lists of literals too.
DEPTH: Final = 64
MOST_VALUES: Final = 50_000

#: How many characters a text in a rule may have.
LONGEST: Final = 10_000

#: What the operators are called in nodes. Three have names of their own there: conditions have operators of the same
#: name, which are false where these are null.
_NAMES: Final[Mapping[str, str]] = {
    **{
        name: name
        for name in (
            *("missing", "missing_some", "==", "===", "!=", "!==", "!", "!!", "or", "and", ">", ">=", "<", "<="),
            *("+", "-", "*", "/", "%", "min", "max", "merge", "cat", "substr"),
            *("map", "filter", "reduce", "all", "none", "some", "sem_ver"),
        )
    },
    "in": "json:in",
    "starts_with": "flagd:starts_with",
    "ends_with": "flagd:ends_with",
}


def read(rule: object, *, flag: str = "", scheme: Scheme = "v3") -> Node:
    """
    Read a rule.

    Args:
        rule: JSON data, with references to other rules already put in.
        flag: Key of the flag, which ``fractional`` hashes with the targeting key.
        scheme: How ``fractional`` hashes.

    Raises:
        RuleInvalid: It is beyond the bounds above, or no JSON data.
    """
    return _Reader(flag, scheme).node(rule, 0)


class _Reader:
    def __init__(self, flag: str, scheme: Scheme) -> None:
        self._flag = flag
        self._scheme: Scheme = scheme
        self._left = MOST_VALUES

    def node(self, rule: object, depth: int) -> Node:
        self._count(depth)
        if isinstance(rule, Mapping):
            if len(rule) == 1:
                ((name, operands),) = rule.items()
                return self._operation(name, operands, depth)
            return Const(self._literal(rule, depth))
        if isinstance(rule, list | tuple):
            nodes = tuple(self.node(item, depth + 1) for item in rule)
            values = [node.value for node in nodes if isinstance(node, Const)]
            return Const(values) if len(values) == len(nodes) else Call("array", nodes)
        return Const(self._scalar(rule))

    def _count(self, depth: int) -> None:
        self._left -= 1
        if depth > DEPTH:
            raise RuleInvalid(f"the rule is nested deeper than {DEPTH}; put parts of it into $evaluators or segments")
        if self._left < 0:
            raise RuleInvalid(f"the rule has more than {MOST_VALUES} values; put long lists into an attribute")

    def _scalar(self, value: object) -> FlagValue:
        if isinstance(value, str):
            if len(value) > LONGEST:
                raise RuleInvalid(f"a text in the rule has {len(value)} characters, more than {LONGEST}")
            return value
        if value is None or isinstance(value, bool | int | float):
            return value
        raise RuleInvalid(f"{type(value).__name__} is no JSON data")

    def _literal(self, value: object, depth: int) -> FlagValue:
        if isinstance(value, Mapping):
            return {self._key(key): self._inside(item, depth) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._inside(item, depth) for item in value]
        return self._scalar(value)

    def _inside(self, value: object, depth: int) -> FlagValue:
        self._count(depth + 1)
        return self._literal(value, depth + 1)

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise RuleInvalid(f"a key that is {type(key).__name__}; JSON has texts only")
        return key

    def _operation(self, name: object, written: object, depth: int) -> Node:
        raw = written if isinstance(written, list | tuple) else [written]
        if name == "fractional":
            return self._fractional(raw, depth)
        operands = tuple(self.node(item, depth + 1) for item in raw)
        match name:
            case "var":
                return _variable(operands)
            case "if" | "?:":
                return _choice(operands)
            case str() if name in _NAMES:
                return Call(_NAMES[name], operands)
        return Broken(f"there is no operator {self._key(name)[:60]!r}")

    def _fractional(self, raw: Sequence[object], depth: int) -> Node:
        key: Node | None = None
        if raw and not isinstance(raw[0], list | tuple):
            key, raw = self.node(raw[0], depth + 1), raw[1:]
        arms = [self._arm(arm, depth + 1) for arm in raw]
        whole = [arm for arm in arms if arm is not None]
        # What is no list of one or two cannot be an arm, and flagd's operators say null to what they cannot read.
        if len(whole) < len(arms) or not arms:
            return Const(None)
        return Distribute(salt=self._flag, key=key, arms=tuple(whole), scheme=self._scheme)

    def _arm(self, arm: object, depth: int) -> tuple[Node, Node | int] | None:
        self._count(depth)
        if isinstance(arm, Mapping):
            made = self.node(arm, depth + 1)
            return Call("arm", (made,)), Call("weight", (made,))
        if not isinstance(arm, list | tuple) or not 1 <= len(arm) <= 2:
            return None
        serve = self.node(arm[0], depth + 1)
        return serve, 1 if len(arm) == 1 else self.node(arm[1], depth + 1)


def _variable(operands: tuple[Node, ...]) -> Node:
    path = operands[0] if operands else Const(None)
    default = operands[1] if len(operands) > 1 else None
    return Var(split(path.value) if isinstance(path, Const) else path, default)


def split(path: object) -> tuple[str, ...]:
    """Take a path apart; null and an empty text are the whole."""
    return () if path is None or path == "" else tuple(text(path).split("."))


def _choice(operands: tuple[Node, ...]) -> Node:
    pairs = tuple(zip(operands[::2], operands[1::2], strict=False))
    otherwise = operands[-1] if len(operands) % 2 else Const(None)
    return If(pairs, otherwise) if pairs else otherwise
