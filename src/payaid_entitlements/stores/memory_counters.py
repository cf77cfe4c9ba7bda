"""
The states of many counters in little space: bounded, and a counter that is live is never dropped.

A counter takes some 170 bytes: its key is a digest of 15 bytes, and its state one number (GCRA) or a few packed ones.
Each state says when it ends, that is, from when on it is as good as none. What has ended makes room: a part of all
counters is looked through whenever it has doubled, and several parts when there is no room left. If there is none then
either, the new counter is refused: to drop a live one would let its owner begin anew.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Final, TypeAlias

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy, State

#: The state of a counter: one number of all those of GCRA, or when it ends and the numbers of its algorithm.
Packed: TypeAlias = int | bytes
Pack: TypeAlias = Callable[[State], Packed | None]

#: Bytes of a counter, beside those of its numbers: of its key, of a small number, and of its place in a dict. Measured.
COUNTER: Final = 166
#: Parts that are looked through for one new counter at most, when there is no room: a millisecond's work.
_MOST_PARTS: Final = 4
#: Bytes for which there is one more part, and the most parts there are.
_PART: Final = 2**18
_MOST: Final = 256
#: A part is looked through when it has so many counters at least.
_FEW: Final = 64
#: The number of a GCRA counter: its theoretical arrival time in the lowest bits, the quota by which it was counted from
#: here on, and the rest, which mostly is 0.
QUOTA_BITS: Final = 53
REST_BITS: Final = 80
_PLAIN: Final = 2**REST_BITS
_TIME: Final = 2**QUOTA_BITS - 1
_QUOTA: Final = 2 ** (REST_BITS - QUOTA_BITS) - 1
_FOREVER: Final = 2**63


class Part:
    """
    A part of all counters.

    Attributes:
        states: By key.
        look_at: So many counters make it worth while to look for ended ones.
        quiet_until: None ends before.
    """

    __slots__ = ("look_at", "quiet_until", "states")

    def __init__(self) -> None:
        self.states: dict[bytes, Packed] = {}
        self.look_at = _FEW
        self.quiet_until: Instant = _FOREVER


class Counters:
    """
    All of them. Whoever calls this has the lock.

    Args:
        most_bytes: Which they may take, by the estimate above.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        #: What they take now.
        self.bytes = 0
        self._parts = [Part() for _ in range(min(_MOST, max(1, most_bytes // _PART)))]
        self._turn = cycle(self._parts)

    def __len__(self) -> int:
        return sum(len(part.states) for part in self._parts)

    def part(self, key: bytes) -> Part:
        """Where the counter of *key* is, or would be. *key* is as good as random."""
        return self._parts[(key[0] | key[1] << 8) % len(self._parts)]

    def write(self, places: Sequence[tuple[Part, bytes]], states: Sequence[Packed | None], now: Instant) -> bool:
        """
        Write the states at *places*, or none of them.

        Args:
            states: None for a counter that is as good as none.

        Returns:
            Was there room?
        """
        if len(places) == 1:
            [(part, key)], [state] = places, states
            was = part.states.get(key)
            if was is not None and state is not None and _size(was) == _size(state):
                # Mostly it is so, and then all of the below comes to this.
                part.states[key] = state
                part.quiet_until = min(part.quiet_until, _ends(state))
                return True
        changes = [(part, key, part.states.get(key), state) for (part, key), state in zip(places, states, strict=True)]
        more = sum(_size(state) - _size(was) for _, _, was, state in changes)
        if more > 0 and self.bytes + more > self.most_bytes and not self._make_room(more, now):
            return False
        for part, key, _, state in changes:
            # Not by what was there: making room may have dropped it.
            self.bytes += _size(state) - _size(part.states.get(key))
            if state is None:
                part.states.pop(key, None)
                continue
            if len(part.states) >= part.look_at and key not in part.states:
                self._look_through(part, now)
            part.states[key] = state
            part.quiet_until = min(part.quiet_until, _ends(state))
        return True

    def _make_room(self, more: int, now: Instant) -> bool:
        """Drop what has ended until there is room for *more* bytes."""
        looked_at = 0
        for _ in self._parts:
            part = next(self._turn)
            if part.quiet_until <= now:
                self._look_through(part, now)
                looked_at += 1
                if self.bytes + more <= self.most_bytes:
                    return True
                if looked_at == _MOST_PARTS:
                    break
        return False

    def _look_through(self, part: Part, now: Instant) -> None:
        """Drop what has ended in *part*."""
        ends = {
            key: state & _TIME if type(state) is int and state < _PLAIN else _ends(state)
            for key, state in part.states.items()
        }
        for key, end in ends.items():
            if end <= now:
                self.bytes -= _size(part.states.pop(key))
        part.quiet_until = min((end for end in ends.values() if end > now), default=_FOREVER)
        part.look_at = max(_FEW, 2 * len(part.states))


def _pack_gcra(state: State, window: int) -> Packed:
    tat, rest, quota = state
    return rest << REST_BITS | quota << QUOTA_BITS | tat


def _pack_sliding_log(state: State, window: int) -> Packed:
    return _packed(state[-2] + window, state)


def _pack_sliding_counter(state: State, window: int) -> Packed:
    return _packed(state[0] + 2 * window, state)


def _pack_fixed_window(state: State, window: int) -> Packed:
    return _packed(state[0] + window, state)


def _pack_concurrency(state: State, window: int) -> Packed:
    return _packed(max(state[::2]), state)


def _packed(ends: Instant, state: State) -> Packed:
    return struct.pack(f"<{len(state) + 1}q", ends, *state)


_PACKS: Final[Mapping[Algorithm, Callable[[State, int], Packed]]] = {
    Algorithm.GCRA: _pack_gcra,
    Algorithm.SLIDING_LOG: _pack_sliding_log,
    Algorithm.SLIDING_COUNTER: _pack_sliding_counter,
    Algorithm.FIXED_WINDOW: _pack_fixed_window,
    Algorithm.CONCURRENCY: _pack_concurrency,
}


def packer(policy: Policy) -> Pack:
    """What writes a state of *policy* in little space: None for an empty one."""
    pack, window = _PACKS[policy.algorithm], policy.window
    return lambda state: pack(state, window) if state else None


def unpack(state: Packed | None) -> State:
    """Read what a `packer` has written."""
    if state is None:
        return ()
    if isinstance(state, int):
        return state & _TIME, state >> REST_BITS, state >> QUOTA_BITS & _QUOTA
    return struct.unpack_from(f"<{len(state) // 8 - 1}q", state, 8)


def _ends(state: Packed) -> Instant:
    """From when on *state* is as good as none."""
    if isinstance(state, int):
        # What is left of a microsecond is over with it.
        return (state & _TIME) + (state >> REST_BITS > 0)
    return int.from_bytes(state[:8], "little")


def _size(state: Packed | None) -> int:
    """How many bytes a counter takes."""
    if state is None:
        return 0
    return COUNTER if isinstance(state, int) else COUNTER + len(state)
