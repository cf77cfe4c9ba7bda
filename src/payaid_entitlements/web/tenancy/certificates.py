"""A tenant that a client's TLS certificate names, where somebody has verified it: the server, or a proxy before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from payaid_entitlements.errors import ConfigurationError, TenantUnidentified
from payaid_entitlements.web.request import Incoming
from payaid_entitlements.web.tenancy.proofs import field_name
from payaid_entitlements.web.tenancy.source import Lookup, Proof, Source, always, ambiguous, looked_up, one_value

#: What a server or proxy says of a certificate that it has verified.
SUCCESS: Final = "SUCCESS"


def mtls(
    attribute: str = "CN",
    *,
    header: str | None = None,
    verify: str = "X-Client-Verify",
    behind: Proof | None = None,
    tenant: Lookup | None = None,
) -> Source:
    """
    Read an attribute of the subject of the client's certificate.

    Where the server ends TLS it says the subject: by the TLS extension of ASGI (``client_cert_name``); as Apache, by
    ``SSL_CLIENT_VERIFY`` and ``SSL_CLIENT_S_DN_CN`` in the environ; or, as gunicorn, by the connection itself. Where a
    proxy does it, it sends both in fields: nginx' ``$ssl_client_s_dn`` and ``$ssl_client_verify``.

    Args:
        attribute: Of the subject: ``CN``, ``O``, ``OU``, ``UID``. Where it has two of them, that is a `TenantConflict`.
        header: In which field a proxy sends the subject, as RFC 4514 writes it: ``CN=acme,O=Acme Ltd``.
        verify: In which field the proxy says ``SUCCESS``.
        behind: What tells that the fields are the proxy's. Needed with *header*.
        tenant: Looks up whose the subject is, where the attribute is not the id itself; None for nobody's.

    A certificate that could not be verified is refused with 401.

    Raises:
        ConfigurationError: *header* without *behind*, or *behind* without *header*.
    """
    if (header is None) != (behind is None):
        raise ConfigurationError(
            "mtls(header=..., behind=...) need each other: any client can write a header, so say which proxy wrote it; "
            "without both the server itself must end TLS"
        )
    name = f"certificate {attribute}"
    if header is None or behind is None:
        return Source(name, lambda incoming: _looked_up(_of_server(incoming, attribute, name), tenant), always)
    subject, verified = field_name(header), field_name(verify)

    def read(incoming: Incoming) -> Any:
        said = one_value(incoming, subject, name)
        if not said:
            return None
        if one_value(incoming, verified, name) != SUCCESS:
            raise TenantUnidentified("the client's certificate was not verified")
        return _looked_up(_one(said, attribute, name), tenant)

    return Source(name, read, behind)


def _looked_up(found: str | None, tenant: Lookup | None) -> Any:
    return None if found is None else looked_up(found, tenant)


def _of_server(incoming: Incoming, attribute: str, name: str) -> str | None:
    tls = (incoming.server("extensions") or {}).get("tls")
    if isinstance(tls, Mapping):
        if tls.get("client_cert_error"):
            raise TenantUnidentified("the client's certificate was not verified")
        subject = tls.get("client_cert_name")
        return _one(subject, attribute, name) if subject else None
    peer = getattr(incoming.server("gunicorn.socket"), "getpeercert", None)
    if peer is not None:
        return _of_peer(peer(), attribute, name)
    verified = incoming.server("SSL_CLIENT_VERIFY")
    if verified in (None, "", "NONE"):
        return None
    if verified != SUCCESS:
        raise TenantUnidentified("the client's certificate was not verified")
    key = f"SSL_CLIENT_S_DN_{attribute}"
    found: str | None = incoming.server(key)
    if incoming.server(f"{key}_1") is not None:
        raise ambiguous(name, f"{found}, {incoming.server(f'{key}_1')}")
    return found


def _of_peer(certificate: Mapping[str, Any] | None, attribute: str, name: str) -> str | None:
    """Of what `ssl.SSLSocket.getpeercert` gives: nothing, where no certificate was sent, or none was looked at."""
    subject = [pair for names in (certificate or {}).get("subject", ()) for pair in names]
    values = [value for kind, value in subject if _SHORT.get(kind, kind).upper() == attribute.upper()]
    return _only(values, name, ", ".join(f"{kind}={value}" for kind, value in subject))


def _one(subject: str, attribute: str, name: str) -> str | None:
    try:
        values = [value for kind, value in attributes_of(subject) if kind == attribute.upper()]
    except ValueError:
        raise ambiguous(name, subject) from None
    return _only(values, name, subject)


def _only(values: Sequence[str], name: str, subject: str) -> str | None:
    if len(values) > 1:
        raise ambiguous(name, subject)
    return values[0] if values else None


#: As RFC 4514 section 3 calls what OpenSSL, and so Python, calls by its whole name.
_SHORT: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "userId": "UID",
    "domainComponent": "DC",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
    "streetAddress": "STREET",
}


_PAIR: Final = re.compile(r"\s*([A-Za-z0-9.-]+)=((?:[^\\,;+\"<>\x00]|\\[0-9A-Fa-f]{2}|\\[^0-9A-Fa-f])*)([,+]|$)")
_ESCAPED: Final = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)")


def attributes_of(subject: str) -> Iterator[tuple[str, str]]:
    r"""
    Read a name as RFC 4514 writes it: ``CN=acme,O=Acme\, Ltd``; types in capital letters.

    Raises:
        ValueError: It is written otherwise: in quotes, or with slashes, as OpenSSL did once.
    """
    at = 0
    while True:
        found = _PAIR.match(subject, at)
        if found is None or found[2].lstrip().startswith("#"):
            raise ValueError(f"no name of RFC 4514: {subject!r}")
        yield found[1].upper(), _ESCAPED.sub(_plain, found[2].strip())
        at = found.end()
        if not found[3]:
            return


def _plain(found: re.Match[str]) -> str:
    return bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", "replace") if found[1] else str(found[2])
