"""
Is this still the log that a reader has read before?

A replica that took over may lack the last changes, and has soon made others in their places: a position alone does not
tell. So it is remembered with which history each position was given to a reader: which store it was, and which run of
which server. Another history is a gap, and the reader forgets all it knows. A server that was started again and lost
nothing makes readers forget too, once.

A position that a channel told of was given by nobody, and clients that share a store have positions of their own. So
each client also compares the history of what it reads with that of what it has read before.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from payaid_entitlements.stores.ports import LogPage

#: So many positions are remembered; a client goes on from the newest that it was given.
REMEMBERED: Final = 64


class Histories:
    """The histories of the positions that one client was given."""

    __slots__ = ("_given", "_last")

    def __init__(self) -> None:
        self._given: OrderedDict[int, bytes] = OrderedDict()
        self._last: bytes | None = None

    def is_another(self, history: bytes, position: int) -> bool:
        """
        Was *position* given in another history than *history*?

        A position that was not given from here, but heard of, is taken to be of the one that was seen last.
        """
        known = self._given.get(position, self._last)
        return known is not None and known != history

    def given(self, history: bytes, page: LogPage) -> LogPage:
        """Remember with which history *page* is given, and give it, with its history."""
        self._last = history
        self._given.pop(page.position, None)
        self._given[page.position] = history
        if len(self._given) > REMEMBERED:
            self._given.popitem(last=False)
        return replace(page, history=history)
