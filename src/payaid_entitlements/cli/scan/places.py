"""What a scan finds, and what it looks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from payaid_entitlements.core.catalog import Catalog

#: Words of a name that is about what a customer has bought: ``org.plan``, ``PLAN_NAME``, ``subscription_tier``.
_PLANNISH: Final = re.compile(r"(?:^|_)(?:plan|tier|edition|package|subscription)(?:$|_(?:name|key|id|code|slug|type))")
#: Settings that switch something on for everybody, as hosts name them.
SETTING: Final = re.compile(r"FEATURE_[A-Z][A-Z0-9_]*")
#: What a key looks like.
KEY: Final = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)*")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """
    A line of a file.

    Attributes:
        line: From 1.
        text: What stands there, in one line.
    """

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Asked:
    """A key that is asked for at a place by our API; *kind* is ``feature``, ``limit`` or ``flag``."""

    place: Place
    key: str
    kind: str


@dataclass(slots=True)
class Found:
    """
    All that one scan finds.

    Attributes:
        files: How many were read.
        comparisons: Places at which a plan is compared by hand.
        asked: Keys that our API is asked for.
        mentioned: Texts that may be keys, wherever they stand.
        unreadable: Files that could not be read, each with why.
    """

    files: int = 0
    comparisons: set[Place] = field(default_factory=set)
    asked: set[Asked] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


class Terms:
    """
    The words that a scan knows.

    Args:
        plans: Names of plans besides those of *catalog*: those that your own code has.
    """

    def __init__(self, catalog: Catalog, plans: Iterable[str] = ()) -> None:
        self.catalog = catalog
        self.plans = frozenset((*catalog.plans, *plans))
        words = "|".join(re.escape(each.replace("-", "_")) for each in sorted(self.plans))
        self._is_plan = re.compile(rf"(?:is|has)_(?:{words})(?:_plan|_tier)?")

    def is_plannish(self, name: str) -> bool:
        """Is *name* the name of something that is a plan?"""
        return _PLANNISH.search(name.lower()) is not None

    def asks_plan(self, name: str) -> bool:
        """Is *name* that of a truth about one plan: ``is_pro``?"""
        return self._is_plan.fullmatch(name.lower()) is not None

    def are_plans(self, texts: Iterable[object]) -> bool:
        """Are *texts* at least two names of plans, and nothing else?"""
        found = list(texts)
        return len(found) > 1 and all(isinstance(each, str) and each in self.plans for each in found)
