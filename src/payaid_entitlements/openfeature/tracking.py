"""What is tracked: that something happened which flags are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tracked:
    """
    Something that happened, as ``client.track`` was told of it.

    Attributes:
        name: What it was.
        tenant, user: To whom; None where the context names none.
        value: How much; None where that was not said.
        attributes: What else was said of it, and not of whom.
        at: When.
    """

    name: str
    tenant: str | None
    user: str | None
    value: float | None
    attributes: Mapping[str, object]
    at: datetime


class TrackingSink(Protocol):
    """Where tracked events go."""

    def track(self, tracked: Tracked) -> None:
        """Take one event. Must not block; what it raises is counted (``flag.tracking_lost``) and harms nobody."""
        ...
