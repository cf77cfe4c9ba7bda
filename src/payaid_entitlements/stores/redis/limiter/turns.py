"""
What is asked within one turn of an event loop travels together.

On one server that is one call of the script for all groups; on a cluster, where a script sees the keys of one owner
only, one pipeline for each server. Groups stay independent: each is all or nothing, and none knows of another.

What is sent belongs to nobody who waits: one that is cancelled before is left out, one that is cancelled afterwards
harms no other.

The time is kept here and not by the driver, whose clock goes on while the event loop stands still: then it would drop
answers that have long been there, and everybody would take Redis for gone who has a slow loop.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from redis.asyncio.cluster import PipelineCommand
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError, SlotNotCoveredError
from redis.exceptions import TimeoutError as RedisTimeoutError

from payaid_entitlements.stores.redis.clients import AsyncClient
from payaid_entitlements.stores.redis.failing import FAILURES, unavailable
from payaid_entitlements.stores.redis.limiter.prompt import NOT_HERE
from payaid_entitlements.stores.redis.limiter.script import HIT

#: Groups in one call, so that nobody else waits for long: 128 take the server half a millisecond.
MOST: Final = 128

#: Seconds by which a loop is late that has stood still; and in which it looks at what has come since.
LATE: Final = 0.01

# A host's client may decode what it reads.
_RAW: Final[dict[str, Any]] = {NEVER_DECODE: True}


class _Waiting(NamedTuple):
    """One that waits for the answer to a call."""

    answer: asyncio.Future[bytes]
    keys: Sequence[bytes]
    asked: bytes


class _Turn:
    """What is asked on one event loop, and what is under way."""

    def __init__(self) -> None:
        self.waiting: list[_Waiting] = []
        # A loop alone would forget its tasks.
        self.sending: set[asyncio.Task[None]] = set()


class Turns:
    """The calls of one client, by event loop."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._send = self._send_to_cluster if client.is_cluster else self._send_to_server
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turn] = WeakKeyDictionary()

    def ask(self, keys: Sequence[bytes], asked: bytes) -> asyncio.Future[bytes]:
        """Give what will be the script's answer for one group, or `StoreUnavailable`."""
        loop = asyncio.get_running_loop()
        turn = self._turns.get(loop)
        if turn is None:
            turn = self._turns[loop] = _Turn()
        answer: asyncio.Future[bytes] = loop.create_future()
        if not turn.waiting:
            # Behind all that is ready to run now, and may ask as well.
            loop.call_soon(self._depart, turn)
        turn.waiting.append(_Waiting(answer, keys, asked))
        return answer

    async def settle(self) -> None:
        """Wait until all that was asked on this loop is answered."""
        turn = self._turns.get(asyncio.get_running_loop())
        while turn is not None and (turn.waiting or turn.sending):
            await asyncio.sleep(0)
            await asyncio.gather(*turn.sending, return_exceptions=True)

    def _depart(self, turn: _Turn) -> None:
        waiting, turn.waiting = [each for each in turn.waiting if not each.answer.done()], []
        for begin in range(0, len(waiting), MOST):
            task = asyncio.create_task(self._sent(waiting[begin : begin + MOST]))
            turn.sending.add(task)
            task.add_done_callback(turn.sending.discard)

    async def _sent(self, waiting: Sequence[_Waiting]) -> None:
        """Send what is asked; everybody who still waits is told."""
        loop, waits = asyncio.get_running_loop(), self._client.waits
        timer = None if waits is None else loop.call_later(waits, _give_up, waiting, loop.time() + waits, loop)
        try:
            await self._send(waiting)
        except Exception as error:
            for each in waiting:
                _fail(each, error)
        except asyncio.CancelledError:
            # The loop comes to its end: nobody waits beyond it.
            for each in waiting:
                each.answer.cancel()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    async def _send_to_server(self, waiting: Sequence[_Waiting]) -> None:
        keys = [key for each in waiting for key in each.keys]
        answer: bytes = await self._client.run(HIT, keys, [each.asked for each in waiting])
        for each, line in zip(waiting, answer.split(b"\n"), strict=True):
            _tell(each, line)

    async def _send_to_cluster(self, waiting: Sequence[_Waiting]) -> None:
        cluster = await self._client.raw.initialize()
        by_node: dict[Any, list[_Waiting]] = {}
        for each in waiting:
            try:
                node = cluster.get_node_from_key(each.keys[0] if each.keys else "")
            except SlotNotCoveredError as error:
                _fail(each, error)
            else:
                by_node.setdefault(node, []).append(each)
        answers = await asyncio.gather(*(self._ask_node(node, asking) for node, asking in by_node.items()))
        if not all(answers) or len(waiting) > sum(map(len, by_node.values())):
            # Who it is that has which keys may have changed.
            with suppress(*FAILURES):
                await cluster.nodes_manager.initialize()

    async def _ask_node(self, node: Any, waiting: Sequence[_Waiting], *, anew: bool = False) -> bool:
        """
        Ask one server of a cluster.

        Args:
            anew: It has said that it does not know the script: tell it, in the same round trip.

        Returns:
            False where it is gone, or says that the cluster is.
        """
        sent = [
            PipelineCommand(number, "EVALSHA", HIT.sha, len(each.keys), *each.keys, each.asked, **_RAW)
            for number, each in enumerate(waiting)
        ]
        before = [PipelineCommand(0, "SCRIPT LOAD", HIT.source)] if anew else []
        try:
            await node.execute_pipeline([*before, *sent])
        except FAILURES as error:
            for command in sent:
                command.result = error
        unknown: list[_Waiting] = []
        elsewhere: list[_Waiting] = []
        is_there = True
        for each, command in zip(waiting, sent, strict=True):
            if isinstance(command.result, NoScriptError) and not anew:
                unknown.append(each)
            elif isinstance(command.result, NOT_HERE):
                elsewhere.append(each)
            elif isinstance(command.result, Exception):
                is_there = False
                _fail(each, command.result)
            else:
                _tell(each, command.result)
        for each in elsewhere:
            # One after the other: together they would need a connection each, and learn the same.
            await self._ask_again(each)
        return (not unknown or await self._ask_node(node, unknown, anew=True)) and is_there

    async def _ask_again(self, waiting: _Waiting) -> None:
        try:
            _tell(waiting, await self._client.run(HIT, waiting.keys, (waiting.asked,)))
        except FAILURES as error:
            _fail(waiting, error)


def _give_up(waiting: Sequence[_Waiting], due: float, loop: asyncio.AbstractEventLoop) -> None:
    """Nobody waits beyond *due*, by the clock of *loop*."""
    if loop.time() - due > LATE:
        # The loop stood still, and nobody has looked yet at what has come since. Once: it may be slow all the time.
        loop.call_later(LATE, _give_up, waiting, math.inf, loop)
        return
    for each in waiting:
        _fail(each, RedisTimeoutError("no answer in time"))


def _tell(waiting: _Waiting, answer: bytes) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(answer)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        # One of its own for each who waits: where it is raised is added to it. A mistake of ours stays what it is.
        failure = unavailable(error) if isinstance(error, FAILURES) else error
        failure.__cause__ = None if failure is error else error
        waiting.answer.set_exception(failure)
