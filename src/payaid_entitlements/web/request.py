"""
A request as the edge sees it, whatever server and framework it came through: for those who look for a tenant, a version
of the API, a language. Nothing here is believed; it is only read.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final, Protocol

from payaid_entitlements.core.decision import Intent

#: Methods that only read (RFC 9110 section 9.2.1, safe methods).
READS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

Scope = MutableMapping[str, Any]
Environ = Mapping[str, Any]


class Incoming(Protocol):
    """
    A request.

    Attributes:
        native: What callables of the app are given: a scope of ASGI, an environ of WSGI, or the request of a framework
            that has one.
        spells: Does it know how the name of a field was spelled, and how often a field was sent?
    """

    spells: bool

    @property
    def native(self) -> Any:
        """See above."""
        ...

    @property
    def method(self) -> str:
        """In upper case; empty for a websocket, which has none."""
        ...

    @property
    def path(self) -> str:
        """Decoded, with the part below which the app is mounted; as the server gave it, nothing is made plain."""
        ...

    @property
    def paths(self) -> Sequence[str]:
        """
        `path`, and what of it is left below where the app is mounted, by its server (``--root-path``, ``SCRIPT_NAME``)
        or in another app: some begin to read here, and some there.
        """
        ...

    @property
    def query(self) -> str:
        """Without the question mark, not decoded."""
        ...

    @property
    def peer(self) -> str | None:
        """The address at the other end of the connection: of the client, or of the last proxy."""
        ...

    def header(self, name: str) -> Sequence[str]:
        """
        Give the values of a field, as many as it was sent with.

        WSGI joins them by commas into one, and cannot tell ``X-Tenant`` from ``X_Tenant``.

        Args:
            name: In small letters, with hyphens.
        """
        ...

    def is_misspelled(self, name: str) -> bool:
        """Was a field sent that *name* is taken for where hyphens and underscores are one? Not known to WSGI."""
        ...

    def server(self, key: str) -> Any:
        """Give what the server itself says, by its *key* in the scope or environ; None where it says nothing."""
        ...


class ScopeRequest:
    """
    A request of an ASGI scope, of type ``http`` or ``websocket``.

    Args:
        native: Same as `Incoming.native`; None: *scope*.
    """

    __slots__ = ("_scope", "native")

    spells: bool = True

    def __init__(self, scope: Scope, native: Any = None) -> None:
        self._scope = scope
        self.native: Any = scope if native is None else native

    @property
    def method(self) -> str:
        """Same as `Incoming.method`."""
        return str(self._scope.get("method", "")).upper()

    @property
    def path(self) -> str:
        """Same as `Incoming.path`; servers put the mounted part in front (ASGI HTTP specification 2.4)."""
        return str(self._scope.get("path", ""))

    @property
    def paths(self) -> Sequence[str]:
        """Same as `Incoming.paths`. Of a mounted app Starlette remembers where the server has mounted the outermost."""
        path = self.path
        roots = (self._scope.get(name) or "" for name in ("app_root_path", "root_path"))
        return tuple(dict.fromkeys((path, *(below(path, root) for root in roots))))

    @property
    def query(self) -> str:
        """Same as `Incoming.query`."""
        raw: bytes = self._scope.get("query_string", b"")
        return raw.decode("latin-1")

    @property
    def peer(self) -> str | None:
        """Same as `Incoming.peer`."""
        client = self._scope.get("client")
        return None if client is None else str(client[0])

    def header(self, name: str) -> Sequence[str]:
        """Same as `Incoming.header`."""
        wanted = name.encode("latin-1")
        return [value.decode("latin-1") for key, value in self._scope.get("headers", ()) if key.lower() == wanted]

    def is_misspelled(self, name: str) -> bool:
        """Same as `Incoming.is_misspelled`."""
        wanted = name.encode("latin-1")
        for key, _ in self._scope.get("headers", ()):
            if b"_" in key and key.lower().replace(b"_", b"-") == wanted:
                return True
        return False

    def server(self, key: str) -> Any:
        """Same as `Incoming.server`."""
        return self._scope.get(key)


class EnvironRequest:
    """
    A request of a WSGI environ (PEP 3333); also of Django's ``request.META``, on ASGI too.

    Args:
        native: Same as `Incoming.native`; None: *environ*.
    """

    __slots__ = ("_environ", "native")

    spells: bool = False

    def __init__(self, environ: Environ, native: Any = None) -> None:
        self._environ = environ
        self.native: Any = environ if native is None else native

    @property
    def method(self) -> str:
        """Same as `Incoming.method`."""
        return str(self._environ.get("REQUEST_METHOD", "")).upper()

    @property
    def path(self) -> str:
        """Same as `Incoming.path`."""
        return _decoded(f"{self._environ.get('SCRIPT_NAME', '')}{self._environ.get('PATH_INFO', '')}")

    @property
    def paths(self) -> Sequence[str]:
        """Same as `Incoming.paths`."""
        return tuple(dict.fromkeys((self.path, _decoded(str(self._environ.get("PATH_INFO", ""))))))

    @property
    def query(self) -> str:
        """Same as `Incoming.query`."""
        return str(self._environ.get("QUERY_STRING", ""))

    @property
    def peer(self) -> str | None:
        """Same as `Incoming.peer`."""
        peer = self._environ.get("REMOTE_ADDR")
        return str(peer) if peer else None

    def header(self, name: str) -> Sequence[str]:
        """Same as `Incoming.header`."""
        key = name.upper().replace("-", "_")
        value = self._environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        return () if value is None else (str(value),)

    def is_misspelled(self, name: str) -> bool:
        """Same as `Incoming.is_misspelled`: nobody knows."""
        return False

    def server(self, key: str) -> Any:
        """Same as `Incoming.server`."""
        return self._environ.get(key)


def below(path: str, root: str) -> str:
    """
    Take off *root*, below which an app is mounted, as frameworks do before they look for a route.

    ASGI HTTP specification 2.4: ``path`` contains ``root_path``; not all servers put it there.
    """
    if root and path.startswith(root) and path[len(root) :][:1] in ("", "/"):
        return path[len(root) :]
    return path


def _decoded(raw: str) -> str:
    """PEP 3333 gives bytes as latin-1."""
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")


def intent_of(method: str) -> Intent:
    """What a request of *method* is about. A websocket has none: what comes over it may write."""
    return "read" if method in READS else "write"
