"""By which address callers are told apart: one who has many is one caller still."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

#: Bits of an IPv6 address by which callers are told apart: whoever has one address there has 2**64 (RFC 6177).
NETWORK: Final = 64


def counted_by(address: IPv4Address | IPv6Address) -> str:
    """Write an IPv4 address, also where it was written as IPv6, or the ``/64`` network of an IPv6 address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            bits = int(address) >> (128 - NETWORK) << (128 - NETWORK)
            return f"{IPv6Address(bits)}/{NETWORK}"
        address = address.ipv4_mapped
    return str(address)


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address as servers and proxies write it: with brackets, a port, a zone, or bare; None: it is none."""
    if text.startswith("["):
        text, _, _ = text[1:].partition("]")
    elif text.count(":") == 1:
        text, _, _ = text.partition(":")
    text, _, _ = text.partition("%")
    try:
        return ip_address(text)
    except ValueError:
        return None
