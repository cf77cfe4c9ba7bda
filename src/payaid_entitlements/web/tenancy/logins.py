"""Tenants that a login of the host has verified: in a token, a session, an API key, or what a callable knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from payaid_entitlements.errors import ConfigurationError, TenantUnidentified
from payaid_entitlements.web.later import then
from payaid_entitlements.web.request import Incoming
from payaid_entitlements.web.tenancy.proofs import field_name
from payaid_entitlements.web.tenancy.source import Lookup, Source, always

#: Finds something that the host's login left in a request: it is given `Incoming.native`.
Kept = Callable[[Any], Any]


def by(find: Kept, *, name: str = "callable") -> Source:
    """
    Ask a callable of yours, which is given the request: the scope, environ or request object.

    Args:
        find: Returns the id that your login has verified, or None for nobody; also a coroutine function, in an
            asynchronous app.
        name: How it is called in the log where places disagree.
    """
    return Source(_callable("by", find, name), lambda incoming: find(incoming.native), always)


def claim(name: str, claims: Kept) -> Source:
    """
    Read a claim of a token that your login has verified.

    Args:
        name: Of the claim: ``"org_id"``.
        claims: Finds the claims of the *verified* token: ``state("claims")``, or a callable that is given the request.
            None where there is no token.
    """
    return Source(_callable("claim", claims, f"claim {name}"), _member(name, claims), always)


def session(key: str, of: Kept | None = None) -> Source:
    """
    Read an entry of the session.

    Args:
        key: Of the entry.
        of: Finds the session. None: ``scope["session"]`` or ``request.session``, as Starlette and Django keep it; say
            ``of=lambda _: flask.session`` in Flask.
    """
    kept = _session if of is None else of
    return Source(_callable("session", kept, f"session {key}"), _member(key, kept), always)


def api_key(lookup: Lookup, *, header: str = "X-API-Key", scheme: str | None = None, prefix: str = "") -> Source:
    """
    Look up whose API key a request carries.

    Args:
        lookup: Given the key, returns the tenant's id or None; also a coroutine function, in an asynchronous app. Keep
            hashes of keys, and look up the hash.
        header: Where it stands.
        scheme: With ``header="Authorization"``: before the key, ``Bearer`` or ``ApiKey`` for instance. Other schemes
            are not ours, and name nobody.
        prefix: What every key of yours begins with; what begins otherwise is another credential, and names nobody.

    A key that *lookup* does not know is refused with 401, whatever else the request says.

    Raises:
        ConfigurationError: *header* is ``Authorization``, without a scheme.
    """
    field = field_name(header)
    if field == "authorization" and not scheme:
        raise ConfigurationError(
            'api_key(header="Authorization") must know its scheme: scheme="Bearer", or header="X-API-Key" without one'
        )
    name = _callable("api_key", lookup, "API key")

    def read(incoming: Incoming) -> Any:
        # Called so that tools which report errors with all variables, as Sentry, know what not to show.
        secret = _sent(incoming, field, scheme)
        if not secret or not secret.startswith(prefix):
            return None
        return then(lookup(secret), _known)

    return Source(name, read, always)


def _sent(incoming: Incoming, field: str, scheme: str | None) -> str | None:
    if len(incoming.header(field)) > 1 or incoming.is_misspelled(field):
        # Not a conflict, whose message shows what was sent.
        raise TenantUnidentified("the request has several API keys, or one in a field with underscores")
    for value in incoming.header(field):
        word, _, rest = value.partition(" ")
        if scheme is None:
            return value.strip()
        if word.lower() == scheme.lower():
            return rest.strip()
    return None


def _known(found: object) -> object:
    if found is None:
        raise TenantUnidentified("the API key of the request is none of ours")
    return found


def state(name: str) -> Kept:
    """Find what a login left in the state of the request: ``request.state.claims``, ``scope["state"]["claims"]``."""

    def find(native: Any) -> Any:
        kept = native.get("state") if isinstance(native, Mapping) else getattr(native, "state", None)
        return kept.get(name) if isinstance(kept, Mapping) else getattr(kept, name, None)

    return find


def user(attribute: str) -> Kept:
    """
    Find an attribute of the user who has logged in: ``request.user.org_id``, ``scope["user"].org_id``.

    None where nobody has: as Django and Starlette say it, ``is_authenticated``.
    """

    def find(native: Any) -> Any:
        who = _kept(native, "user")
        if not getattr(who, "is_authenticated", who is not None):
            return None
        return getattr(who, attribute, None)

    return find


def environ(key: str) -> Kept:
    """
    Find what a login left in the environ of WSGI, under a key of its own: ``environ("myapp.claims")``.

    Raises:
        ConfigurationError: It is one that clients write.
    """
    if key.startswith("HTTP_") or key in _WRITTEN_BY_CLIENTS:
        raise ConfigurationError(
            f"any client can write {key!r}; use header(..., behind=...), or a key of your login's own"
        )

    def find(native: Any) -> Any:
        kept = native if isinstance(native, Mapping) else getattr(native, "environ", None) or native.META
        return kept.get(key)

    return find


_WRITTEN_BY_CLIENTS: Final = frozenset(
    {"PATH_INFO", "QUERY_STRING", "REQUEST_URI", "RAW_URI", "CONTENT_TYPE", "CONTENT_LENGTH", "SERVER_NAME"}
)


def _session(native: Any) -> Any:
    return _kept(native, "session")


def _kept(native: Any, name: str) -> Any:
    """Find what middleware of Starlette keeps in the scope, and that of Django on the request."""
    if isinstance(native, Mapping):
        return native.get(name)
    # By its attributes Starlette asserts that such middleware is there. Requests of Django may have a scope, too.
    scope = getattr(native, "scope", None)
    return (
        scope.get(name) if isinstance(scope, Mapping) and not hasattr(native, "META") else getattr(native, name, None)
    )


def _member(name: str, of: Kept) -> Callable[[Incoming], Any]:
    return lambda incoming: then(of(incoming.native), lambda kept: None if kept is None else kept.get(name))


def _callable(what: str, given: object, name: str) -> str:
    if not callable(given):
        raise ConfigurationError(f"{what}() needs a callable that is given the request, not {given!r}")
    return name
