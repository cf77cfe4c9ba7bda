"""Whom a flag is asked about, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from payaid_entitlements.core.instant import Instant

#: What OpenFeature calls the id that is hashed where a flag names no other: the host's, else the user's, else the
#: tenant's.
TARGETING_KEY: Final = "targetingKey"


class FlagContext:
    """
    What a flag may look at. Made once for each view and never changed.

    Attributes:
        tenant, user: Ids; None where there is none. Either may be what a flag buckets by.
        at: The instant that it is about; schedules and ``$flagd.timestamp`` read this and no clock.
        attributes: What the host says besides, over what the library knows itself (``tenant``, ``user``, ``plan``,
            ``modules``, ``state``); JSON data. ``targetingKey`` is in it too, where somebody gave one.
        tenant_text, user_text: The same ids as deterministic CBOR text strings (RFC 8949 4.2), of which buckets are
            hashed; None where there is none, or an empty one, which is never hashed. Where there is a text and no
            user, it is that of ``targetingKey``, of which nobody has verified that it is this user's: it chooses a
            bucket of flags that bucket by user, and nothing else.
    """

    __slots__ = ("at", "attributes", "tenant", "tenant_text", "user", "user_text")

    def __init__(
        self,
        *,
        tenant: str | None,
        user: str | None,
        at: Instant,
        attributes: Mapping[str, object],
        tenant_text: bytes | None,
        user_text: bytes | None,
    ) -> None:
        self.tenant = tenant
        self.user = user
        self.at = at
        self.attributes = attributes
        self.tenant_text = tenant_text
        self.user_text = user_text
