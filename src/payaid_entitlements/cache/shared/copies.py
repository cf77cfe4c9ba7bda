"""
A copy of a tenant's document, as it is written in the shared Redis, and under which key.

``payaid1``, the epoch, the revision, the position of the change log up to which it is true, when it was put there and
what reading it had cost (milliseconds), the length of the tenant's id in bytes; a newline; the id; the document as
JSON, nothing where the store knows nothing of the tenant. All that a reader needs to judge it is in it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.errors import StoreDamaged

#: Bytes of a copy, at most. A longer document is read from the store each time.
MOST_BYTES: Final = 1 << 20
_HEAD: Final = re.compile(rb"payaid1 \w+ (\d+) (\d+) \d+ \d+ (\d+)\n")


@dataclass(frozen=True, slots=True)
class Copy:
    """A document, and the position of the change log up to which it is true."""

    document: TenantDocument
    position: int


def rest_of(tenant: str, document: TenantDocument | None) -> bytes:
    """What of a copy is written here; the script puts before it what it knows."""
    name = tenant.encode()
    return b"%d\n%s%s" % (len(name), name, b"" if document is None else document.to_json().encode())


def copy_of(tenant: str, text: bytes) -> Copy | None:
    """Read the copy of *tenant*; None when it is damaged, of another schema or of somebody else."""
    head = _HEAD.match(text)
    if head is None:
        return None
    revision, position, length = map(int, head.groups())
    name, content = text[head.end() : head.end() + length], text[head.end() + length :]
    if name != tenant.encode():
        return None
    try:
        document = TenantDocument.from_json(content, tenant=tenant) if content else TenantDocument(tenant)
    except StoreDamaged:
        return None
    return Copy(document, position) if document.revision == revision else None


@dataclass(frozen=True, slots=True)
class Places:
    """
    Where everything is. What people name is hashed; each tenant has a hash tag of its own.

    Attributes:
        prefix: What all keys begin with.
        origin: Which store it is about: two that share a Redis have nothing in common.
    """

    prefix: str
    origin: str

    @staticmethod
    def of(prefix: str, first_change: str) -> Places:
        """The places of the store whose oldest change has that id."""
        return Places(prefix, _hashed(first_change, 6))

    def of_tenant(self, tenant: str) -> tuple[str, str]:
        """The keys of the copy and of the lease."""
        tag = f"{{{self.prefix}:{self.origin}:{_hashed(tenant, 15)}}}"
        return tag + "c", tag + "l"

    @property
    def stamp(self) -> str:
        """The key of the reading of the log's end."""
        return f"{{{self.prefix}:{self.origin}}}stamp"

    @property
    def channel(self) -> str:
        """The name under which changes are published."""
        return f"{{{self.prefix}:{self.origin}}}changes"


def _hashed(name: str, size: int) -> str:
    return base64.urlsafe_b64encode(hashlib.blake2b(name.encode(), digest_size=size).digest()).decode()
