"""
From whom a request comes, by a number of proxies that is known: nothing else that is in a request can be believed.

Each proxy appends to ``X-Forwarded-For`` the address that it was called from. With N proxies of one's own the N-th
entry from the right was written by the outermost of them; what is to the left of it is whatever the client sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from payaid_entitlements.core.ratelimit.address import counted_by, read_address
from payaid_entitlements.errors import ConfigurationError

#: Whose address cannot be known. All of them are one caller, so that nobody gains by hiding.
UNKNOWN: Final = "unknown"


def client_address(peer: str | None, forwarded: Sequence[str], *, proxies: int) -> str:
    """
    Say by which address a caller is counted.

    Args:
        peer: The address at the other end of the connection; None where the server does not know it, as behind a
            Unix socket.
        forwarded: The values of all ``X-Forwarded-For`` fields, in their order.
        proxies: How many proxies of one's own a request passes. 0 counts by *peer* and reads no field.

    Returns:
        An IPv4 address; the ``/64`` network of an IPv6 address; `UNKNOWN` where that entry is no address, or where
        fewer proxies wrote than there should be and the peer is unknown. A request that came past the proxies counts
        by its peer.

    Raises:
        ConfigurationError: *proxies* is negative or no whole number.
    """
    if type(proxies) is not int or proxies < 0:
        raise ConfigurationError(
            f"proxies is {proxies!r}; say how many proxies of yours stand before the app: 0 or more"
        )
    if proxies:
        entries = [entry for value in forwarded for entry in value.split(",")]
        if len(entries) >= proxies:
            return _counted(entries[-proxies])
    return UNKNOWN if peer is None else _counted(peer)


def _counted(text: str) -> str:
    address = read_address(text.strip())
    return UNKNOWN if address is None else counted_by(address)
