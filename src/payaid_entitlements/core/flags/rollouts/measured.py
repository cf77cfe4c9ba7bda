"""What was measured while a step runs, as processes have counted it together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.rollouts.histogram import BUCKETS

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.context import FlagContext
    from payaid_entitlements.core.flags.model import Guard


class Arm(StrEnum):
    """On which side of a rollout somebody is to whom its rule applies."""

    INSIDE = "in"
    CONTROL = "out"


#: How many failed is always measured.
ERROR_RATE: Final = "error_rate"
LATENCY: Final = "latency"

#: Fields of a tally that are of no metric: samples, ids, and processes that have counted ids.
SAMPLES: Final = "samples"
IDS: Final = "ids"
PROCESSES: Final = "processes"
BAD: Final = "bad"
OF: Final = "of"
_BUCKET: Final = "le"
_NUMBERS: Final = frozenset(map(str, range(BUCKETS)))


@dataclass(frozen=True, slots=True)
class Measuring:
    """
    A step that is measured.

    Attributes:
        attempt: Of the step; names the tally.
        guard: What it is measured for.
        side: Gives the arm and the id of a context; None for who is not concerned: the rule does not apply, or
            something that comes before it decides.
    """

    flag: str
    attempt: int
    guard: Guard
    side: Callable[[FlagContext], tuple[Arm, str] | None]


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of how many were bad."""

    bad: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """
    What was measured on one side.

    Attributes:
        samples: How many requests.
        ids: How many tenants, or users, or whoever is bucketed; each process counts its own, so that one may be counted
            by all of them.
        rates: By metric.
        amounts: How many amounts were in each bucket (see `histogram`), by metric.
    """

    samples: int = 0
    ids: int = 0
    rates: Mapping[str, Rate] = field(default_factory=dict)
    amounts: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    def rate(self, metric: str) -> Rate:
        """Give what is known of a rate; none of none where nothing is."""
        return self.rates.get(metric, Rate())


@dataclass(frozen=True, slots=True)
class Measured:
    """
    Both sides.

    Attributes:
        processes: How many have counted.
    """

    inside: Side = Side()
    control: Side = Side()
    processes: int = 0

    @staticmethod
    def of(amounts: Mapping[str, int]) -> Measured:
        """Read tallies; what is no field of ours (a newer release adds some) or makes no sense is left out."""
        sides = {arm.value: _Reading() for arm in Arm}
        processes = 0
        for name, amount in amounts.items():
            path = name.split("/")
            if amount < 0:
                continue
            if path == [PROCESSES]:
                processes = amount
            elif path[0] in sides:
                sides[path[0]].take(path[1:], amount)
        return Measured(sides[Arm.INSIDE].side(), sides[Arm.CONTROL].side(), processes)


def tally(flag: str, attempt: int) -> str:
    """Name the tally of one step of one try: what is measured under another share is another thing."""
    return f"rollout/{flag}/{attempt}"


def count_field(arm: Arm, name: str) -> str:
    """Name the field of `SAMPLES` or `IDS`."""
    return f"{arm.value}/{name}"


def rate_field(arm: Arm, metric: str, name: str) -> str:
    """Name the field of `BAD` or `OF` of a rate."""
    return f"{arm.value}/{metric}/{name}"


def amount_field(arm: Arm, metric: str, number: int) -> str:
    """Name the field of a bucket of an amount."""
    return f"{arm.value}/{metric}/{_BUCKET}/{number}"


class _Reading:
    """One side as it is read, field by field."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.bad: dict[str, int] = {}
        self.of: dict[str, int] = {}
        self.amounts: defaultdict[str, dict[int, int]] = defaultdict(dict)

    def take(self, path: list[str], amount: int) -> None:
        match path:
            case ["samples" | "ids" as name]:
                self.counts[name] = amount
            case [*metric, "bad"]:
                self.bad["/".join(metric)] = amount
            case [*metric, "of"]:
                self.of["/".join(metric)] = amount
            case [*metric, "le", number] if number in _NUMBERS:
                self.amounts["/".join(metric)][int(number)] = amount

    def side(self) -> Side:
        return Side(
            self.counts.get(SAMPLES, 0),
            self.counts.get(IDS, 0),
            # Never more bad ones than there were: somebody may read between two additions.
            {metric: Rate(min(self.bad.get(metric, 0), of), of) for metric, of in self.of.items()},
            self.amounts,
        )
