"""What the parts of reading a document share: what was found so far, and how to look something up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from payaid_entitlements.core.written.problems import did_you_mean

if TYPE_CHECKING:
    from datetime import date

    from payaid_entitlements.core.written.problems import Findings, Path

_P = ParamSpec("_P")
_T = TypeVar("_T")

_CODES: Final = {"module or feature": "feature", "rate limit": "rate_limit", "add-on": "add_on"}


@dataclass(slots=True)
class Reading:
    """
    One document while it is read.

    Attributes:
        left_out: What had the wrong shape; what names it is not wrong for that.
        retired: Keys that are never used again, with their day.
        is_whole: Nothing was left out, and every name so far means something.
    """

    findings: Findings
    left_out: frozenset[Path] = frozenset()
    retired: Mapping[str, date] = field(default_factory=dict)
    is_whole: bool = True

    def take(self, path: Path, where: str, read: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        """Return what *read* makes of its arguments; None, and a problem, where it raises `ValueError`."""
        try:
            return read(*args, **kwargs)
        except ValueError as error:
            self.findings.add("wrong.quantity", f"{where}: {error}", path)
            return None

    def names(self, key: str, known: Collection[str], what: str, who: str, path: Path) -> bool:
        """Tell whether *key*, which *who* names as a *what*, is *known*; note a problem where it is not."""
        if key in known:
            return True
        self.is_whole = False
        if key in self.retired:
            message = f"{who} names {key!r}, which was retired on {self.retired[key]}; remove it"
            self.findings.add("key.retired", message, path)
        elif not self.was_left_out(key):
            nobody = "no module defines" if "." in key else "is not defined"
            # Looking for a near name takes a millisecond or two; nobody reads the two hundredth.
            near = did_you_mean(key, known) if self.findings.count < 200 else ""
            message = f"{who} names the {what} {key!r}, which {nobody}{near}"
            self.findings.add(f"unknown.{_CODES.get(what, what)}", message, path)
        return False

    def was_left_out(self, key: str) -> bool:
        """Tell whether *key* is defined, but in a way that could not be read."""
        module, _, feature = key.partition(".")
        places: tuple[Path, ...] = (
            (("modules", module, "features", feature), ("rate_limits", key))
            if feature
            else (
                ("modules", key),
                ("features", key),
                ("plans", key),
                ("rate_limits", key),
                ("add_ons", key),
                ("flags", key),
                ("segments", key),
            )
        )
        return any(place[:end] in self.left_out for place in places for end in range(1, len(place) + 1))
