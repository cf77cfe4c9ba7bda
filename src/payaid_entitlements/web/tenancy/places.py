"""Tenants in the address of a request: its subdomain or its path. Any client can write them; see `Tenancy`."""

from __future__ import annotations

import re
from posixpath import normpath
from typing import Any, Final

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.request import Incoming
from payaid_entitlements.web.tenancy.source import Lookup, Source, ambiguous, looked_up, one_value

#: A label of a host's name (RFC 1123 section 2.1), in small letters; also what IDNA makes of other scripts.
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def subdomain(*, of: str, without: tuple[str, ...] = ("www",), tenant: Lookup | None = None) -> Source:
    """
    Read the label before your domain in ``Host``: ``acme`` of ``acme.example.com``, in small letters.

    Ports and a trailing dot are passed over; hosts elsewhere name nobody. ``X-Forwarded-Host`` is never read.

    Args:
        of: Your domain: ``"example.com"``; its name in ASCII.
        without: Labels that name nobody.
        tenant: Looks up whose the label is, where that is not the id itself; None for nobody's. It may be a coroutine
            function, in an asynchronous app.

    A host with two labels, or with one that is none, is a `TenantConflict`.

    Raises:
        ConfigurationError: *of* is no domain.
    """
    labels = of.lower().rstrip(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ConfigurationError(f"subdomain(of={of!r}) is no domain; write it without scheme and port: example.com")
    suffix = "." + ".".join(labels)

    def read(incoming: Incoming) -> Any:
        said = one_value(incoming, "host", _SUBDOMAIN)
        if said is None:
            return None
        host = _without_port(said.lower())
        if not host.endswith(suffix):
            return None
        label = host.removesuffix(suffix)
        if not _LABEL.fullmatch(label):
            raise ambiguous(_SUBDOMAIN, said)
        return None if label in without else looked_up(label, tenant)

    return Source(_SUBDOMAIN, read, None)


_SUBDOMAIN: Final = "subdomain"


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and (not port or (port.isascii() and port.isdigit())) else host).removesuffix(".")


def path(*, prefix: str = "/t/", tenant: Lookup | None = None) -> Source:
    """
    Read the segment of the path behind *prefix*: ``acme`` of ``/t/acme/invoices``.

    Where the app is mounted, by its server or in another app, the path begins there, too.

    Args:
        prefix: Begins and ends with a slash. Paths that begin otherwise name nobody.
        tenant: As in `subdomain`.

    A path that others may read as another one (with ``//`` up to that segment, with ``/./`` or ``/../`` anywhere, also
    encoded) is a `TenantConflict`.

    Raises:
        ConfigurationError: *prefix* does not begin and end with a slash.
    """
    if not prefix.startswith("/") or not prefix.endswith("/"):
        raise ConfigurationError(f'path(prefix={prefix!r}) begins and ends with a slash: path(prefix="/t/")')
    depth = prefix.count("/")

    def named(said: str) -> str:
        segments = said.split("/")
        if "//" in said or "/." in said:
            plain = f"{normpath(f'/{said}')}/".lstrip("/")
            is_unclear = "." in segments or ".." in segments or "" in segments[1 : min(depth + 1, len(segments) - 1)]
            if is_unclear and (said.startswith(prefix) or plain.startswith(prefix[1:])):
                raise ambiguous(_PATH, said)
        return segments[depth] if said.startswith(prefix) and depth < len(segments) else ""

    def read(incoming: Incoming) -> Any:
        found = {segment for said in incoming.paths if (segment := named(said))}
        if len(found) > 1:
            raise ambiguous(_PATH, incoming.path)
        return looked_up(found.pop(), tenant) if found else None

    return Source(_PATH, read, None)


_PATH: Final = "path"
