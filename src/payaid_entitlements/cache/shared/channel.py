"""How changes are heard of where a Redis is shared: whoever changes something publishes it there, after the commit."""

from __future__ import annotations

from typing import Final, cast

from payaid_entitlements.cache.local import LocalCache
from payaid_entitlements.cache.shared.copies import Places
from payaid_entitlements.cache.shared.sharing import Sharing
from payaid_entitlements.stores.redis.clients import AsyncClient, Client
from payaid_entitlements.stores.redis.listening import Head, RedisChannel, RedisWire

#: Milliseconds; an older stamp spares nobody a reading of the log.
OLDEST: Final = 2_000


class SharedChannel:
    """
    Same as `Channel`, of the shared Redis. A wire reads the stamp; who writes it is whoever reads the log.

    Args:
        client: Tells where the server is.
        sharing: Knows which store it is about, once a question was asked.
        near: Knows which lines were heard of; those that the stamp does not know yet were not cut off.
    """

    def __init__(self, client: Client | AsyncClient, sharing: Sharing, near: LocalCache) -> None:
        self._client = client
        self._sharing = sharing
        self._near = near

    def connect(self) -> RedisWire:
        """Same as `Channel.connect`."""
        # The first question has found out which store it is, and has started whoever listens.
        places = cast("Places", self._sharing.places)
        return RedisChannel(self._client, places.stamp, places.channel, self._head).connect()

    def _head(self, wire: RedisWire) -> Head | None:
        ask = self._sharing.stamp_question()
        stamp = self._sharing.stamp_of(wire.run(ask.script, ask.keys, ask.arguments))
        if stamp.age is None or stamp.age > OLDEST:
            return None
        # The epoch says which log it is, and a new run of the server may have lost what was published.
        history = f"{stamp.epoch} {stamp.server}".encode()
        return Head(max(stamp.position, self._near.position or 0), stamp.age / 1000, history)
