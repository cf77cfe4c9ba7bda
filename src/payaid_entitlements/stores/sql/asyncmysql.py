"""
A question's limits on our own asyncmy connections.

The driver keeps its limits in a structure that only its own compiled code reads, so they are set before each use.
"""

from __future__ import annotations

from typing import Any

from asyncmy.connection import Connection

from payaid_entitlements.stores.hurry import silence


class _Connection(Connection):
    _connect_timeout: Any
    _read_timeout: Any

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)  # type: ignore[no-untyped-call] # their stubs say no types
        self._to_connect, self._to_read = self._connect_timeout, self._read_timeout

    async def connect(self) -> None:  # type: ignore[override] # it gives nothing, whatever their stubs say
        self._connect_timeout = silence(self._to_connect)
        await super().connect()

    async def _fill_buffer(self, need: int) -> None:
        self._read_timeout = silence(self._to_read)
        await super()._fill_buffer(need)  # type: ignore[misc] # it is not in their stubs


async def connect(*args: Any, **named: Any) -> Connection:
    """Connect as ``asyncmy.connect`` does."""
    connection = _Connection(*args, **named)
    await connection.connect()
    return connection
