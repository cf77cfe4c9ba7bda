"""The order in which flags and segments are compiled: each after those that it names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

#: How long a chain may be. Evaluating goes down it, so it is far less than Python's stack is deep.
LONGEST_CHAIN: Final = 50
#: How many may be asked for one answer. Each names others, and these others: two each, and fifty steps down that is
#: more than anybody can wait for.
MOST_ASKED: Final = 10_000
#: Why one in a circle cannot be answered.
CIRCLE: Final = "what it needs is a circle"


def in_order(edges: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """
    Give all keys of *edges*, each after those that it names, with why it cannot be answered (empty: it can).

    Those in a circle cannot. Who names one of them is none of them. What is named and is no key counts for nothing;
    what is named twice is asked twice.
    """
    waiting = {key: {each for each in named if each in edges} for key, named in edges.items()}
    needed_by: dict[str, list[str]] = {}
    for key, needs in waiting.items():
        for each in needs:
            needed_by.setdefault(each, []).append(key)
    depth: dict[str, int] = {}
    asked: dict[str, int] = {}
    ready = [key for key, needs in waiting.items() if not needs]
    while True:
        for key in ready:
            # Cut at the limit: whoever names one whose chain is too long begins a new one.
            length = 1 + max((depth[each] for each in waiting[key]), default=0)
            asked[key] = 1 + sum(asked.get(each, 0) for each in edges[key])
            why = ""
            if length > LONGEST_CHAIN:
                why = f"what it needs is a chain longer than {LONGEST_CHAIN}"
            elif asked[key] > MOST_ASKED:
                why = f"what it needs, and what that needs, is asked more than {MOST_ASKED:,} times; name less"
            depth[key], asked[key] = (0, 1) if why else (length, asked[key])
            yield key, why
            ready.extend(
                other
                for other in needed_by.get(key, ())
                if other not in depth and all(each in depth for each in waiting[other])
            )
        circle = _in_a_circle({key: needs for key, needs in waiting.items() if key not in depth})
        if not circle:
            return
        ready = []
        for key in circle:
            depth[key] = 0
            yield key, CIRCLE
        ready = [key for key, needs in waiting.items() if key not in depth and all(each in depth for each in needs)]


def _in_a_circle(waiting: Mapping[str, set[str]]) -> list[str]:
    """Find those of *waiting* that are in a circle, or between two: all but those that only name one."""
    rest = dict(waiting)
    while True:
        needed = {each for needs in rest.values() for each in needs}
        kept = {key: needs for key, needs in rest.items() if key in needed}
        if len(kept) == len(rest):
            return list(kept)
        rest = kept
