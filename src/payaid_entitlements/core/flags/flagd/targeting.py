"""
What a targeting rule may say: flagd's schema of it (flagd-schemas 0.2.15, ``targeting.json``), held to by hand.

Stricter than the schema where that lets pass what cannot mean anything (two operators in one object, weights that
nobody can be in), milder with versions: ``v1.0.0`` and ``1`` are evaluated, so they are allowed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.flagd.references import REF
from payaid_entitlements.core.written.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from payaid_entitlements.core.flags.details import FlagValue
    from payaid_entitlements.core.written.problems import Findings, Path

#: The sum of weights that flagd can place: a signed integer of 32 bits.
MAX_WEIGHTS: Final = 2_147_483_647

_MANY: Final = 1_000_000

#: How many operands an operator takes, when they are counted and are anything.
_COUNTS: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("if", "?:", "or", "and", "+", "-", "max", "min", "merge", "cat"), (1, _MANY)),
    **dict.fromkeys(("==", "===", "!=", "!==", ">", ">=", "%", "/"), (2, 2)),
    **dict.fromkeys(("map", "filter", "all", "none", "some", "in"), (2, 2)),
    **dict.fromkeys(("<", "<=", "substr"), (2, 3)),
    "reduce": (3, 3),
    "*": (2, _MANY),
}

_COMPARED: Final = frozenset(("=", "!=", ">", "<", ">=", "<=", "~", "^"))

_VERSION: Final = re.compile(r"[vV]?\d+(\.\d+){0,2}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z.-]+)?")

_INJECTED: Final = ("$flagd.timestamp", "$flagd.flagKey")


class Targeting:
    """
    Checks one rule after another and notes what is wrong.

    Attributes:
        evaluators: Names that ``$ref`` may say; none inside of an evaluator.
        broken: Why the rule that was checked last cannot be evaluated at all; empty where it can.
    """

    def __init__(self, findings: Findings, evaluators: Container[str] = ()) -> None:
        self.findings = findings
        self.evaluators = evaluators
        self.broken = ""
        self._special: Mapping[str, Callable[[FlagValue, Path], None]] = {
            "var": self._var,
            "missing": self._missing,
            "missing_some": self._missing_some,
            "!": self._unary,
            "!!": self._unary,
            "starts_with": self._compare,
            "ends_with": self._compare,
            "sem_ver": self._version,
            "fractional": self._fractional,
        }

    def check(self, rule: FlagValue, path: Path) -> None:
        """Check a whole rule; ``{}`` is none, and allowed."""
        self.broken = ""
        if not isinstance(rule, dict):
            self._breaks("targeting.type", "a targeting rule is an object with one operator, or {}", path)
        elif rule:
            self._rule(rule, path)

    def _rule(self, rule: Mapping[str, FlagValue], path: Path) -> None:
        if len(rule) != 1:
            self._wrong("operator.count", "an operation is an object with exactly one operator", path)
            for name, value in rule.items():
                self._any(value, (*path, name))
            return
        ((name, operands),) = rule.items()
        inside = (*path, name)
        if name == REF:
            self._reference(operands, path)
        elif name in self._special:
            self._special[name](operands, inside)
        elif name in _COUNTS:
            least, most = _COUNTS[name]
            if self._counted(operands, least, most, inside):
                self._any(operands, inside)
        else:
            known = (*_COUNTS, *self._special)
            hint = did_you_mean(name, known) or "; a value that looks like an object cannot be written here"
            self._breaks("unknown.operator", f"flagd has no operator {name[:80]!r}{hint}", path)

    def _any(self, value: FlagValue, path: Path) -> None:
        """Check an operand, or a list of operands: anything, and what is in it."""
        if isinstance(value, dict):
            self._rule(value, path)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._any(item, (*path, index))

    def _reference(self, name: FlagValue, path: Path) -> None:
        if isinstance(name, str) and name in self.evaluators:
            return
        self._breaks(
            "unknown.evaluator",
            f"$ref names {str(name)[:80]!r}, which is not under $evaluators; write it there, and no $ref inside of it",
            path,
        )

    def _counted(self, operands: FlagValue, least: int, most: int, path: Path) -> bool:
        if isinstance(operands, list) and least <= len(operands) <= most:
            return True
        amount = str(least) if least == most else f"at least {least}" if most == _MANY else f"{least} to {most}"
        self._wrong("operand.count", f"{path[-1]!r} takes a list of {amount} operands", path)
        self._any(operands, path)
        return False

    def _unary(self, operand: FlagValue, path: Path) -> None:
        if isinstance(operand, list) and len(operand) != 1:
            self._wrong("operand.count", f"{path[-1]!r} takes one operand", path)
        self._any(operand, path)

    def _var(self, operand: FlagValue, path: Path) -> None:
        name = operand
        if isinstance(operand, list):
            name = operand[0] if operand else None
            if not isinstance(name, str) or any(isinstance(item, list | dict) for item in operand[1:]):
                self._wrong("operand.type", "'var' takes a path, a string, and perhaps a plain value instead", path)
        if isinstance(name, str) and name.startswith("$flagd.") and name not in _INJECTED:
            self._wrong("unknown.variable", f"flagd gives {' and '.join(_INJECTED)}, not {name[:80]!r}", path)
        self._any(operand, path)

    def _missing(self, operands: FlagValue, path: Path) -> None:
        if not _strings(operands):
            self._wrong("operand.type", "'missing' takes a list of paths", path)
        self._any(operands, path)

    def _missing_some(self, operands: FlagValue, path: Path) -> None:
        if self._counted(operands, 2, 2, path) and isinstance(operands, list):
            if not _number(operands[0]) or not _strings(operands[1]):
                self._wrong("operand.type", "'missing_some' takes a number and a list of paths", path)
            self._any(operands, path)

    def _compare(self, operands: FlagValue, path: Path) -> None:
        if self._counted(operands, 2, 2, path) and isinstance(operands, list):
            for index, operand in enumerate(operands):
                if not isinstance(operand, str | dict):
                    self._wrong("operand.type", f"{path[-1]!r} compares strings", (*path, index))
            self._any(operands, path)

    def _version(self, operands: FlagValue, path: Path) -> None:
        if not self._counted(operands, 3, 3, path) or not isinstance(operands, list):
            return
        for index in (0, 2):
            version = operands[index]
            if not isinstance(version, dict) and not (isinstance(version, str) and _VERSION.fullmatch(version)):
                self._wrong("version.invalid", "a version is written 1.2.3, perhaps with -beta.1", (*path, index))
        if not isinstance(operands[1], str) or operands[1] not in _COMPARED:
            self._wrong("version.operator", f"'sem_ver' compares by {' '.join(sorted(_COMPARED))}", (*path, 1))
        self._any(operands, path)

    def _fractional(self, operands: FlagValue, path: Path) -> None:
        if not self._counted(operands, 1, _MANY, path) or not isinstance(operands, list):
            return
        arms = operands
        start = 0
        if isinstance(operands[0], dict):
            self._any(operands[0], (*path, 0))
            arms, start = operands[1:], 1
        total = 0
        for index, arm in enumerate(arms, start):
            total += self._arm(arm, (*path, index))
        if total > MAX_WEIGHTS:
            self._wrong("weight.sum", f"weights together are at most {MAX_WEIGHTS:,}; divide them all", path)

    def _arm(self, arm: FlagValue, path: Path) -> int:
        """Check one arm, and give its weight where that is written out."""
        if not isinstance(arm, list) or not 1 <= len(arm) <= 2:
            self._wrong("arm.shape", "an arm is [variant, weight]; what is hashed comes first, as an operation", path)
            self._any(arm, path)
            return 0
        self._any(arm, path)
        weight = arm[1] if len(arm) == 2 else 1
        if isinstance(weight, dict):
            return 0
        if isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
            self._wrong("weight.type", "a weight is a whole number from 0, or an operation", (*path, 1))
            return 0
        return weight

    def _wrong(self, code: str, message: str, path: Path) -> None:
        self.findings.add(code, message, path)

    def _breaks(self, code: str, message: str, path: Path) -> None:
        self._wrong(code, message, path)
        self.broken = self.broken or message


def _strings(value: FlagValue) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _number(value: FlagValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
