"""The one form in which equal catalogs are equal text, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from payaid_entitlements.core.written.problems import Path

# Sections in which the order of keys says something: it ranks plans, and is the order of lists.
# Elsewhere {title, kind} and {kind, title} are the same content.
_ORDERED: Final = frozenset({("plans",), ("add_ons",), ("modules",), ("features",)})


def content_hash(document: Mapping[str, object]) -> str:
    """
    Hash a document that is JSON data: SHA-256 of its canonical form, hexadecimal.

    Comments, formatting and the order of fields do not count. The order of plans, add-ons, modules
    and features does: it is their rank.
    """
    text = json.dumps(canonical(document), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(data: object, path: Path = ()) -> object:
    """Write JSON data in the one form in which equal content is equal text."""
    match data:
        case dict():
            items = [(key, canonical(value, (*path, key))) for key, value in data.items()]
            return [[key, value] for key, value in items] if is_ordered(path) else dict(sorted(items))
        case list():
            return [canonical(value, (*path, "")) for value in data]
    return data


def is_ordered(path: Path) -> bool:
    """Tell whether the order of the keys at *path* is part of the content."""
    return path in _ORDERED or (len(path) == 3 and path[0] == "modules" and path[2] == "features")
