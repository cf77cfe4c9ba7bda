"""The steps by which a decision was reached. Only `explain` keeps them; on the hot path there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: ``pass``: the rule says nothing; ``allow`` and ``deny``: it decided; ``note``: worth knowing.
Outcome = Literal["pass", "allow", "deny", "note"]


@dataclass(frozen=True, slots=True)
class Step:
    """
    One rule that was asked.

    Attributes:
        rule: ``status``, ``kill``, ``override``, ``plan``, ``trial``, ``default``, ``grant``, ``credit``,
            ``result``, ``requires``, ``enforcement``, ``flag``.
        text: What it found, in a sentence.
        depth: 0 for the key that was asked, 1 for what it requires, and so on.
    """

    key: str
    rule: str
    outcome: Outcome
    text: str
    depth: int = 0
