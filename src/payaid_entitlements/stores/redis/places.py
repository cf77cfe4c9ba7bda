"""
Where a Redis is: URLs as people write them, and what of them may be shown.

Everything of ours in a URL begins with ``payaid_`` and is taken out before a driver sees it. Of the driver's own
options all are passed on: what a URL says wins over what we would say.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis import Redis
from redis.connection import parse_url

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.keeping import KEEP, KEPT, kept_for

#: The schemes of URLs that name a Redis, and the driver's word for each.
SCHEMES: Final[Mapping[str, str]] = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "redis+cluster": "redis",
    "rediss+cluster": "rediss",
}

#: All keys begin with it, in braces, unless a URL says otherwise: ``?payaid_prefix=app``.
PREFIX: Final = "payaid"

#: Seconds to connect, and to wait for an answer.
PATIENCE: Final = 0.2

# A driver opens connections as they are needed, and refuses the 101st question at once unless told otherwise.
# RESP2: by RESP3, redis-py 8 sends on an idle connection that the server has closed (asyncio), and the command fails.
_OURS: Final[Mapping[str, Any]] = {
    "max_connections": 500,
    "protocol": 2,
}

#: What the driver makes of the address; not all of it is an option of its clients.
_TAKEN = frozenset({"path"})

_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Place:
    """
    A Redis, as a URL names it.

    Attributes:
        name: For people: without user, password and options.
        prefix: What all our keys begin with.
        is_cluster: Is it reached as a cluster?
        nodes: Host and port of each server that was named; empty for a socket.
        options: What the driver's constructor takes, for either colour; with the password.
        keeps_for: Microseconds for which a ledger there remembers operations.
    """

    name: str
    prefix: str
    is_cluster: bool
    nodes: tuple[tuple[str, int], ...]
    options: Mapping[str, Any] = field(repr=False)
    keeps_for: int = KEPT


def place_of(url: str, patience: float = PATIENCE) -> Place:
    """
    Read *url*.

    Several servers of a cluster are separated by commas: ``redis+cluster://one:7000,two:7000``.

    Args:
        patience: Seconds to connect, and to wait for an answer, where the URL does not say.

    Raises:
        ConfigurationError: It is no URL of a Redis, or has an option of ours that there is not.
    """
    # Neither the text nor what a parser says of it is shown: a part of it may be a password.
    try:
        return _read(url, patience)
    except ConfigurationError:
        raise
    except (LookupError, ValueError, TypeError):
        raise ConfigurationError(
            "this is no URL of a Redis; write redis://:password@host:6379/0, rediss://..., redis+cluster://host:7000 "
            "or unix:///path/to/redis.sock, with characters such as / and # of a password as %2F and %23"
        ) from None


def checked_prefix(prefix: str) -> str:
    """
    Return *prefix*.

    Raises:
        ConfigurationError: It has characters that a key's hash tag may not have.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"payaid_prefix={prefix!r}: write 1 to 64 letters, digits, dots, colons, dashes or underscores"
        )
    return prefix


def _read(url: str, patience: float) -> Place:
    parts = urlsplit(url)
    scheme = SCHEMES[parts.scheme]
    is_cluster = parts.scheme.endswith("+cluster")
    query = parse_qsl(parts.query, keep_blank_values=True)
    if not all(name.isidentifier() for name, _ in query):
        # As where a password has a ?: all behind it would be left out, and another server asked.
        raise ValueError
    ours = {name: value for name, value in query if name.startswith("payaid_")}
    prefix = checked_prefix(ours.pop("payaid_prefix", PREFIX))
    keeps_for = kept_for(ours.pop(KEEP)) if KEEP in ours else KEPT
    if ours:
        raise ConfigurationError(f"no option of Redis is called {min(ours)!r}; there are payaid_prefix and {KEEP}")
    login, at, hosts = parts.netloc.rpartition("@")
    theirs = urlencode([(name, value) for name, value in query if not name.startswith("payaid_")])
    one = f"{scheme}://{login}{at}{hosts.split(',')[0]}{parts.path}?{theirs}"
    found: dict[str, Any] = parse_url(one)  # type: ignore[no-untyped-call] # the driver says no types
    found.pop("connection_class", None)
    for name in found.keys() - _TAKEN - inspect.signature(Redis.__init__).parameters.keys():
        raise ConfigurationError(f"redis-py has no option {name!r}")
    waits = {"socket_timeout": patience, "socket_connect_timeout": patience}
    options: dict[str, Any] = {**waits, **_OURS, **found}
    if scheme == "unix":
        options["unix_socket_path"] = options.pop("path")
        return Place(f"unix://{parts.path}", prefix, False, (), options, keeps_for)
    if not re.fullmatch(r"/?\d*", parts.path) or parts.fragment:
        raise ValueError
    if scheme == "rediss":
        options["ssl"] = True
    options.pop("host", None)
    options.pop("port", None)
    nodes = tuple(_node(host) for host in hosts.split(","))
    number = options.get("db", 0)
    if is_cluster:
        if number:
            raise ConfigurationError("a cluster has no numbered databases; leave the number out of the URL")
        options.pop("db", None)
    elif len(nodes) > 1:
        raise ConfigurationError("redis:// names one server; write redis+cluster:// for several of a cluster")
    shown = ",".join(f"{host}:{port}" for host, port in nodes)
    name = f"{parts.scheme}://{shown}" + (f"/{number}" if number else "")
    return Place(name, prefix, is_cluster, nodes, options, keeps_for)


def _node(host: str) -> tuple[str, int]:
    parts = urlsplit(f"redis://{host}")
    return parts.hostname or "localhost", parts.port or 6379
