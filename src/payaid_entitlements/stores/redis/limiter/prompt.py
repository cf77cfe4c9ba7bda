"""A client of Redis that answers soon, or says soon that it does not, also where a whole cluster is out of reach."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from redis import RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from payaid_entitlements.stores.redis.clients import Client, Part, Script
from payaid_entitlements.stores.redis.failing import FAILURES

#: What a server of a cluster says that has done nothing. Asked once more, it is done where it belongs.
NOT_HERE: Final = (NoScriptError, MovedError, AskError, TryAgainError)

# Signs that somebody else may have the keys by now.
_GONE: Final = (RedisConnectionError, RedisTimeoutError, SlotNotCoveredError, ClusterDownError)


class PromptClient(Client):
    """
    Same as `Client`, but for scripts on a cluster.

    Where a server does not answer, the driver asks one after the other of all servers who has its keys now, and whoever
    has called waits for that. Here a thread does it, and nobody waits.
    """

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._looking = threading.Lock()

    def run(self, script: Script, keys: Sequence[Part], arguments: Sequence[Part]) -> Any:
        """Same as `Client.run`."""
        cluster = self.raw
        if self._place is None or not isinstance(cluster, RedisCluster):
            return super().run(script, keys, arguments)
        asking: Any = cluster
        try:
            server = asking.get_redis_connection(asking.get_node_from_key(keys[0] if keys else ""))
            return self._ask_at_once(server, "EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NOT_HERE:
            return super().run(script, keys, arguments)
        except _GONE:
            if self._looking.acquire(blocking=False):
                threading.Thread(
                    target=_look, args=(cluster, self._looking), name="payaid-looking", daemon=True
                ).start()
            raise


def _look(cluster: Any, looking: threading.Lock) -> None:
    """Find out which server has which keys by now."""
    try:
        with suppress(*FAILURES):
            cluster.nodes_manager.initialize()
    finally:
        looking.release()
