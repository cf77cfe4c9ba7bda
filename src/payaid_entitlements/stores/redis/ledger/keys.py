"""
Under which keys a ledger keeps what, and how it is written there.

Tenants are dealt out to `SHARDS` shards by a hash of their id, and a shard has one hash tag: so one script can change
all that is kept of a tenant together with the lists, of all tenants and of all events, that name it; and nothing is
ever in one of them only. On a cluster the shards are spread over the masters. A tenant's id stands behind the tag and
a letter, where nothing that it contains can mean anything.

==== ====== ==========================================================================================================
key  type   holds
==== ====== ==========================================================================================================
b:id hash   ``aACCOUNT``: used, held, cap, since when over it, folded; ``hOPERATION``: an open hold; ``sSLOT``: a slot
e:id hash   part and operation: an entry, as JSON
q:id list   when entries were made, and what they are called: the oldest first
x:id sorted ``hOPERATION`` and ``sSLOT`` by when they expire
t    sorted tenants, in the order of bytes
v    sorted ids of events, by when they may be claimed
w    hash   id: an event
==== ====== ==========================================================================================================

Two names are written as one, ACCOUNT or SLOT, behind the length of the first: see `joined`.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

#: How many shards there are. Fixed by what is stored: with another number nothing would be found.
SHARDS: Final = 32


class Keys:
    """
    The keys of one ledger.

    Args:
        prefix: What the keys begin with, in braces.
    """

    def __init__(self, prefix: str) -> None:
        self._tags = tuple(f"{{{prefix}:u:{shard:02x}}}" for shard in range(SHARDS))
        #: Of each shard: the tenants, the ids of the events, the events.
        self.shards = tuple((f"{tag}t".encode(), f"{tag}v".encode(), f"{tag}w".encode()) for tag in self._tags)
        # Who is metered is metered again soon. Text that is encoded already is sent a little sooner.
        self.of = lru_cache(4096)(self._of)

    def _of(self, tenant: str) -> tuple[bytes, ...]:
        """The keys of *tenant*, then those of its shard: as scripts take them."""
        number = shard_of(tenant)
        own = (f"{self._tags[number]}{kind}:{tenant}".encode() for kind in "beqx")
        return (*own, *self.shards[number])


def shard_of(tenant: str) -> int:
    """The shard of *tenant*. Never change it: see `SHARDS`."""
    return hashlib.blake2b(tenant.encode(), digest_size=1).digest()[0] % SHARDS


@lru_cache(8192)
def joined(first: str, second: str) -> str:
    """Write two names as one, behind the length of the first in bytes; no two others are written like it."""
    return f"{len(first.encode())}:{first}{second}"


@lru_cache(8192)
def parted(name: str) -> tuple[str, str]:
    """The two names that *name* was made of."""
    length, _, rest = name.encode().partition(b":")
    return rest[: int(length)].decode(), rest[int(length) :].decode()
