"""What refers to itself in the end, by way of others or at once."""

from __future__ import annotations

from collections.abc import Mapping


def cycles(edges: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Find cycles, each once, beginning with the node that *edges* names first; no recursion."""
    found: list[list[str]] = []
    done: set[str] = set()
    for start in edges:
        if start in done:
            continue
        trail = {start: iter(edges[start])}  # an ordered set of what is being followed
        while trail:
            node = next(reversed(trail))
            following = next((key for key in trail[node] if key in edges and key not in done), None)
            if following is None:
                done.add(node)
                del trail[node]
            elif following in trail:
                keys = list(trail)
                found.append(keys[keys.index(following) :])
            else:
                trail[following] = iter(edges[following])
    return found
