"""What makes a header believed: it came from a proxy of one's own, which the client cannot write past."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

from payaid_entitlements.core.ratelimit.address import read_address
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.request import Incoming
from payaid_entitlements.web.tenancy.source import Proof

#: Characters that a shared secret has at least: 22 of base 64 are 128 bits.
SHORTEST: Final = 22

Network: TypeAlias = IPv4Network | IPv6Network


def trusted_networks(*networks: str, drops_underscores: bool = False) -> Proof:
    """
    Believe what comes over a connection from *networks*.

    The peer must be the proxy itself, not what ``X-Forwarded-For`` says: see to it that neither the server (uvicorn's
    ``--proxy-headers``, waitress' ``trusted_proxy``) nor other middleware (``ProxyFix``) replaces it by that. Of a
    server behind a Unix socket nothing is known, hence nothing believed: take `shared_secret` there.

    Args:
        networks: Addresses or networks: ``10.0.3.7``, ``10.0.0.0/8``, ``fd00::/8``. An IPv4 address that was mapped
            into IPv6 counts as what it is.
        drops_underscores: Say True where the app runs on a WSGI server that drops fields with underscores in their
            names: gunicorn (unless ``header_map`` is ``dangerous``), waitress and werkzeug do, wsgiref does not. In
            WSGI no address is proof without: a client's ``X_Tenant_Id``, which many proxies let pass, is there the
            same as the ``X-Tenant-Id`` that a proxy writes.

    Raises:
        ConfigurationError: There are none, or one of them is no network. Also at the first request that is to be
            proven in WSGI, without *drops_underscores*.
    """
    if not networks:
        raise ConfigurationError('trusted_networks() trusts nobody; name your proxies: trusted_networks("10.0.3.7")')
    known = [_network(text) for text in networks]

    def is_from_proxy(incoming: Incoming) -> bool:
        if not (incoming.spells or drops_underscores):
            raise ConfigurationError(
                "in WSGI the address of a proxy proves no header, since a client's X_Tenant_Id looks like X-Tenant-Id "
                "there; use shared_secret(..., networks=...), or say drops_underscores=True of gunicorn, waitress or "
                "werkzeug, which drop it"
            )
        return _is_in(known, incoming.peer)

    return is_from_proxy


def shared_secret(header: str, *secrets: str, networks: Sequence[str] = ()) -> Proof:
    """
    Believe what comes with a secret that only the proxy knows.

    The proxy must send it *only* where it writes the tenant too, and must remove what clients send of both fields, in
    both spellings: with hyphens and with underscores.

    Args:
        header: In which field the proxy sends it.
        secrets: What it may be: one; or two while the proxies change over to the next one. 22 characters at least;
            ``python -c "import secrets; print(secrets.token_urlsafe())"`` makes one.
        networks: Where the connection must come from besides, as in `trusted_networks`. None: from anywhere.

    Raises:
        ConfigurationError: There is no secret, or one of them can be guessed; or something else is no network.
    """
    if not secrets:
        raise ConfigurationError(f"shared_secret({header!r}) has no secret; hand it over from your settings")
    if any(not secret or len(secret) < SHORTEST for secret in secrets):
        raise ConfigurationError(
            f"a secret in shared_secret({header!r}) is empty or shorter than {SHORTEST} characters: it can be guessed; "
            'make one: python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    field = field_name(header)
    known = [secret.encode() for secret in secrets]
    around = [_network(text) for text in networks]

    def is_from_proxy(incoming: Incoming) -> bool:
        values = incoming.header(field)
        if len(values) != 1 or (around and not _is_in(around, incoming.peer)):
            return False
        said = values[0].encode("latin-1", "replace")
        # All are compared, so that the time says nothing of which one it was.
        return sum(hmac.compare_digest(said, secret) for secret in known) > 0

    return is_from_proxy


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"a network is wrong: {error}; write 10.0.3.7, 10.0.0.0/8 or fd00::/8") from None


def _is_in(networks: Sequence[Network], peer: str | None) -> bool:
    address = None if peer is None else read_address(peer)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and any(address in network for network in networks)


def field_name(header: str) -> str:
    """
    Read the name of a field: in small letters.

    Raises:
        ConfigurationError: It has other characters than letters, digits and hyphens: with an underscore it is one that
            servers drop.
    """
    if not header or not header.isascii() or not header.replace("-", "a").isalnum():
        raise ConfigurationError(
            f"{header!r} is no name of a field; it has letters, digits and hyphens: X-Tenant-Id (servers drop names "
            "with underscores)"
        )
    return header.lower()
