"""
What a client would rather read: a page or a document (RFC 9110 section 12.5.1), and in which language (12.5.4). Pure.

Fields come from anybody and may be long or nonsense: what cannot be read counts as not said, and the work is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

#: Characters of a field that are looked at. Browsers send some 150.
_MOST: Final = 2_048
#: RFC 9110 section 12.4.2.
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
#: RFC 4647 section 2.1.
_RANGE: Final = re.compile(r"\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_PAGE: Final = ("text/html", "text/*", "*/*")
_DOCUMENT: Final = ("application/problem+json", "application/json", "application/*", "*/*")


def prefers_page(accept: str) -> bool:
    """
    Would whoever sent this ``Accept`` rather have a page than a problem document?

    A document wins ties, and where neither is asked for. Of ranges the most specific one counts.
    """
    # Nearly all programs: they ask for JSON, for anything, or say nothing.
    if "text/" not in accept.lower():
        return False
    weights: dict[str, float] = {}
    for item, parameters, weight in _items(accept):
        # We have no other variant: a range of one, such as `text/html;level=1`, is not of ours.
        if parameters in ("", "charset=utf-8"):
            weights[item] = max(weight, weights.get(item, 0.0))
    return _first(weights, _PAGE) > _first(weights, _DOCUMENT)


def _first(weights: dict[str, float], ranges: Collection[str]) -> float:
    return next((weights[each] for each in ranges if each in weights), 0.0)


def ranges(languages: str) -> list[str]:
    """The language ranges of an ``Accept-Language``, lower-case, the most wanted first; without what is not wanted."""
    found = [(weight, item) for item, _, weight in _items(languages) if weight and _RANGE.fullmatch(item)]
    return [item for _, item in sorted(found, key=lambda each: -each[0])]


def lookup(wanted: Collection[str], known: Collection[str]) -> str | None:
    """
    Find one of *known*, lower-case language tags, for the ranges *wanted*: RFC 4647 section 3.4.

    ``de-CH-1996`` asks for itself, then for ``de-ch``, then for ``de``. None where nothing fits: the default then.
    """
    for tag in wanted:
        subtags = tag.split("-")
        while subtags:
            found = "-".join(subtags)
            if found in known:
                return found
            # A single letter at the end, which the RFC takes off at once, ends no tag that there is.
            subtags.pop()
    return None


def _items(value: str) -> Iterator[tuple[str, str, float]]:
    """Each item, its parameters and its weight, all lower-case. Quoted text with a comma in it is nothing we offer."""
    for part in value[:_MOST].lower().split(","):
        item, *parameters = (each.strip(" \t") for each in part.split(";"))
        weight = 1.0
        others = []
        for each in parameters:
            if each.startswith("q="):
                if not _WEIGHT.fullmatch(each, 2):
                    break
                weight = float(each[2:])
            elif each:
                others.append(each.replace('"', ""))
        else:
            if item:
                yield item, ";".join(others), weight
