"""A table of routes, asked about an environ; and held against what an app has."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from payaid_entitlements.errors import ConfigurationError, RouteUnknown
from payaid_entitlements.web.needs import Needs
from payaid_entitlements.web.routing import EXEMPT, Routes
from payaid_entitlements.web.wsgi.calling import Environ

#: Stands for a segment that nobody has written down.
_ANY: Final = "~"
_NAMED: Final = re.compile(r"<[^<>]*>")
_LONG: Final = re.compile(r"<path(?:\([^()]*\))?:[^<>]*>")


def needed(routes: Routes, environ: Environ) -> Needs | None:
    """
    Say what *routes* need for the request of *environ*; None for nothing.

    Raises:
        RouteUnknown: They do not know it, or it could be read in two ways.
    """
    method: str = environ["REQUEST_METHOD"]
    # As bytes, which PEP 3333 gives as latin-1; frameworks take no path for the root.
    path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace") or "/"
    found = routes.match(method, path, _raw(environ))
    if found is None:
        raise RouteUnknown(f"{method} {path!r}")
    return None if found is EXEMPT else found


def _raw(environ: Environ) -> bytes | None:
    """The path as it was sent, where the server tells: gunicorn in one place, werkzeug and waitress in another."""
    uri = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    return None if not isinstance(uri, str) else uri.partition("?")[0].encode("latin-1", "replace")


def require_mapped(app: object, routes: Routes) -> None:
    """
    Hold the routes of *app* against *routes*, as far as they are known: where it is one of Flask.

    Raises:
        ConfigurationError: Names all of them to which some request leads that *routes* answer with 404.
    """
    # Whoever has made an app of it has imported it: we need not.
    flask: Any = sys.modules.get("flask")
    inside = getattr(app, "__self__", app)  # of `app.wsgi_app`
    mistakes = list(_unmapped(inside, routes)) if flask is not None and isinstance(inside, flask.Flask) else []
    if mistakes:
        raise ConfigurationError(
            "\n  ".join(("these routes are in no line of the table of routes; map them, or exempt:", *mistakes))
        )


def _unmapped(app: Any, routes: Routes) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods or {"ANY"}):
            # Flask answers it itself.
            if method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
                continue
            if any(routes.match(method, sample) is None for sample in _samples(rule.rule)):
                yield f"{method} {rule.rule}"


def _samples(rule: str) -> Iterator[str]:
    """Paths that lead to *rule*: with one segment for each name, and with two where a name may hold slashes."""
    for path in (_ANY, f"{_ANY}/{_ANY}"):
        yield _NAMED.sub(_ANY, _LONG.sub(path, rule))
