"""
Regular expressions, read into a program of steps: `patterns` runs it.

A step is a `Char`, one of the ends, or the places to go on from; what is not a jump goes on to the next step, and the
place after the last one accepts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from payaid_entitlements.core.flags.failing import RuleInvalid

#: Bounds of an expression, in characters, nested groups and steps (repetitions are written out).
LONGEST: Final = 250
DEEPEST: Final = 20
MOST_STEPS: Final = 500

START: Final = "start"
END: Final = "end"

_DIGITS: Final = "0123456789"
_WORDS: Final = _DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_SPACES: Final = "\t\n\f\r "
_KINDS: Final = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_META: Final = frozenset("\\.+*?()|[]{}^$/-")


@dataclass(frozen=True, slots=True)
class Char:
    r"""
    One character that is wanted.

    Attributes:
        chars, ranges: The characters, and inclusive ranges of them.
        negated: All others are wanted instead.
        unlike: Sets of which all others are wanted too, as in ``[\D]``.
        folded: Large and small letters are one.
    """

    chars: frozenset[str]
    ranges: tuple[tuple[str, str], ...] = ()
    unlike: tuple[frozenset[str], ...] = ()
    negated: bool = False
    folded: bool = False

    def has(self, char: str) -> bool:
        """Whether *char* is wanted."""
        forms = (char, char.lower(), char.upper()) if self.folded else (char,)
        # The large form of some letters are two, which are no character to look for.
        return any(self._lists(form) for form in forms if len(form) == 1) is not self.negated

    def _lists(self, char: str) -> bool:
        return (
            char in self.chars
            or any(first <= char <= last for first, last in self.ranges)
            or any(char not in others for others in self.unlike)
        )


Step: TypeAlias = Char | str | tuple[int, ...]
Program: TypeAlias = tuple[Step, ...]

# Steps with places counted from their own beginning, so that they can be put anywhere, and repeated.
_Steps: TypeAlias = list[Step]


def program(written: str) -> Program:
    """
    Read an expression.

    Raises:
        RuleInvalid: It is not understood, or beyond the bounds above.
    """
    if len(written) > LONGEST:
        raise RuleInvalid(f"a pattern has at most {LONGEST} characters, this has {len(written)}")
    folded = written.startswith("(?i)")
    reader = _Reader(written, at=4 if folded else 0, folded=folded)
    steps = reader.either()
    if reader.at < len(written):
        raise reader.wrong("nothing to close")
    return tuple(steps)


@dataclass(slots=True)
class _Reader:
    written: str
    at: int
    folded: bool
    depth: int = field(default=0)

    def wrong(self, what: str) -> RuleInvalid:
        return RuleInvalid(f"pattern {self.written!r}, at {self.at}: {what}")

    def next(self) -> str:
        """The character that comes next; empty at the end."""
        return self.written[self.at : self.at + 1]

    def take(self, char: str) -> bool:
        """Go past *char* if it comes next."""
        taken = self.next() == char
        self.at += taken
        return taken

    def any(self) -> str:
        """Go past the next character, which there must be."""
        char = self.next()
        if not char:
            raise self.wrong("it ends too early")
        self.at += 1
        return char

    def either(self) -> _Steps:
        steps = self.row()
        while self.take("|"):
            other = self.row()
            jump: _Steps = [(1, len(steps) + 2)]
            past: _Steps = [(len(steps) + 2 + len(other),)]
            steps = self.fit([*jump, *_moved(steps, 1), *past, *_moved(other, len(steps) + 2)])
        return steps

    def row(self) -> _Steps:
        steps: _Steps = []
        while self.next() not in ("", "|", ")"):
            one = self.repeated(self.one())
            steps = self.fit(steps + _moved(one, len(steps)))
        return steps

    def one(self) -> _Steps:
        char = self.any()
        match char:
            case "^":
                return [START]
            case "$":
                return [END]
            case ".":
                return [Char(frozenset("\n"), negated=True)]
            case "[":
                return [self.listed()]
            case "(":
                return self.group()
            case "\\":
                return [self.escaped()]
            case "*" | "+" | "?" | "{":
                raise self.wrong("nothing to repeat")
        return [Char(frozenset(char), folded=self.folded)]

    def group(self) -> _Steps:
        if self.take("?") and not self.take(":"):
            raise self.wrong("of the groups that begin with '(?' only '(?:' exists, and '(?i)' at the beginning")
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"groups are nested deeper than {DEEPEST}")
        steps = self.either()
        if not self.take(")"):
            raise self.wrong("a group is not closed")
        self.depth -= 1
        return steps

    def escaped(self) -> Char:
        char = self.any()
        if char in _CONTROLS:
            return Char(frozenset(_CONTROLS[char]))
        if char in _META:
            return Char(frozenset(char))
        kind = _KINDS.get(char.lower())
        if kind is None:
            raise self.wrong(f"'\\{char}' is not known")
        return Char(frozenset(kind), negated=char.isupper())

    def listed(self) -> Char:
        negated = self.take("^")
        chars: set[str] = set()
        ranges: list[tuple[str, str]] = []
        unlike: list[frozenset[str]] = []
        first = True
        while first or self.next() != "]":
            low = self.member(unlike)
            first = False
            if len(low) == 1 and self.next() == "-" and self.written[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.member(unlike)
                if len(high) != 1 or high < low:
                    raise self.wrong("a range runs from one character to a later one")
                ranges.append((low, high))
            else:
                chars.update(low)
        self.at += 1
        return Char(frozenset(chars), tuple(ranges), tuple(unlike), negated, self.folded)

    def member(self, unlike: list[frozenset[str]]) -> str:
        """One or more characters of a class; a negated kind goes to *unlike* and gives none."""
        char = self.any()
        if char == "[" and self.next() == ":":
            raise self.wrong("classes with names do not exist")
        if char != "\\":
            return char
        escaped = self.escaped()
        if escaped.negated:
            unlike.append(escaped.chars)
            return ""
        return "".join(escaped.chars)

    def repeated(self, steps: _Steps) -> _Steps:
        times = self.times()
        if times is None:
            return steps
        if steps in ([START], [END]):
            raise self.wrong("an end of the text cannot be repeated")
        self.take("?")  # lazy or not is the same where the answer is yes or no
        if self.next() in ("*", "+", "?", "{"):
            raise self.wrong("repeated twice; use a group")
        least, most = times
        made: _Steps = []
        for _ in range(least):
            made = self.fit(made + _moved(steps, len(made)))
        if most is None:
            loop: _Steps = [(1, len(steps) + 2), *_moved(steps, 1), (0,)]
            return self.fit(made + _moved(loop, len(made)))
        for _ in range(most - least):
            made = self.fit([*made, *_moved([(1, len(steps) + 1), *_moved(steps, 1)], len(made))])
        return made

    def times(self) -> tuple[int, int | None] | None:
        for sign, times in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(sign):
                return times
        if not self.take("{"):
            return None
        inside, closed, _ = self.written[self.at :].partition("}")
        low, comma, high = inside.partition(",")
        if not closed or not _small(low) or not (_small(high) or (comma and not high) or not comma):
            raise self.wrong("'{' repeats as {3}, {3,} or {3,5}, with numbers up to 999; a literal one is '\\{'")
        self.at += len(inside) + 1
        if not comma:
            return int(low), int(low)
        if high and int(high) < int(low):
            raise self.wrong("the greater number comes second")
        return int(low), int(high) if high else None

    def fit(self, steps: _Steps) -> _Steps:
        if len(steps) > MOST_STEPS:
            raise self.wrong(f"written out, it has more than {MOST_STEPS} steps")
        return steps


def _small(written: str) -> bool:
    return written.isascii() and written.isdigit() and len(written) < 4


def _moved(steps: _Steps, by: int) -> _Steps:
    return [tuple(place + by for place in step) if isinstance(step, tuple) else step for step in steps]
