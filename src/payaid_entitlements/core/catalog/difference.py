"""What differs between two catalogs, as they are written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from payaid_entitlements.core.catalog.canonical import is_ordered
from payaid_entitlements.core.written.plain import is_decimal
from payaid_entitlements.core.written.problems import Path, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payaid_entitlements.core.catalog.model import Catalog

_Section: TypeAlias = "Mapping[str, object]"


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One place where two catalogs differ.

    Attributes:
        path: Where, dotted: ``plans.starter.features.seats``.
        before: What the older one says there, as text; None where it says nothing.
        after: What the newer one says; None where it says nothing.
    """

    path: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.path}: added, {self.after}"
        if self.after is None:
            return f"{self.path}: removed, was {self.before}"
        return f"{self.path}: {self.before} -> {self.after}"


def difference(old: Catalog, new: Catalog) -> tuple[Difference, ...]:
    """
    List what differs, in the order of the newer catalog; empty exactly when the hashes are equal.

    Whole plans, features and so on that came or went are one difference each. An order that says
    something, such as the rank of plans, is one too.
    """
    return tuple(_compare(old.document, new.document, ()))


def _compare(before: object, after: object, path: Path) -> Iterator[Difference]:
    if _is_section(before) and _is_section(after):
        yield from _compare_sections(cast("_Section", before), cast("_Section", after), path)
    elif (older := _exactly(before)) != (newer := _exactly(after)):
        texts = _shown(before), _shown(after)
        # 5 and "5" look alike and are not: then the exact form tells them apart.
        yield Difference(dotted(path), *(texts if texts[0] != texts[1] else (older, newer)))


def _compare_sections(before: _Section, after: _Section, path: Path) -> Iterator[Difference]:
    kept = [key for key in before if key in after]
    now = [key for key in after if key in before]
    if is_ordered(path) and kept != now:
        yield Difference(f"{dotted(path)} (order)", ", ".join(kept), ", ".join(now))
    for key in (*after, *(key for key in before if key not in after)):
        here = (*path, key)
        if key not in before:
            yield Difference(dotted(here), None, _shown(after[key]))
        elif key not in after:
            yield Difference(dotted(here), _shown(before[key]), None)
        else:
            yield from _compare(before[key], after[key], here)


def _is_section(data: object) -> bool:
    return isinstance(data, dict) and not is_decimal(data)


def _exactly(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True)


def _shown(data: object) -> str:
    match data:
        case str():
            return data
        case {"$decimal": str(text)}:
            return text
        case dict():
            return "{" + ", ".join(f"{key}: {_shown(value)}" for key, value in data.items()) + "}"
        case list():
            return "[" + ", ".join(_shown(item) for item in data) + "]"
    return _exactly(data)
