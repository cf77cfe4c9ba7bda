"""What a change altered, as a line that people read. Who compares writes it: facts, flags, catalogs, switches."""

from __future__ import annotations

from dataclasses import dataclass

from payaid_entitlements.core.instant import Instant


@dataclass(frozen=True, slots=True)
class Altered:
    """
    One thing that is otherwise than before.

    Attributes:
        since: From when on; None for what is not about a tenant.
    """

    what: str
    before: str
    after: str
    since: Instant | None = None

    def __str__(self) -> str:
        return f"{self.what}: {self.before} -> {self.after}"
