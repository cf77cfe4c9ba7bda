"""The middleware for WSGI: finds the version of a request before the app runs, and says it on the response."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, TypeAlias

from payaid_entitlements.core.observing import Observer
from payaid_entitlements.errors import EntitlementError, TenantConflict, TenantUnidentified, UnknownApiVersion
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.later import close
from payaid_entitlements.web.request import EnvironRequest
from payaid_entitlements.web.tenancy import Tenancy, finder_of
from payaid_entitlements.web.versions.choosing import ApiVersions, Chosen
from payaid_entitlements.web.versions.current import CURRENT_VERSION
from payaid_entitlements.web.versions.telling import Teller
from payaid_entitlements.web.versions.version import Version

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Callable[[bytes], object]]
App: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]


class VersionsMiddleware:
    """
    Put it around an app, outside of `EntitlementsMiddleware` where that asks a table of routes about versions.

    Args:
        app: Any WSGI app.
        versions: Of its API.
        tenant: Whose request it is, for pinned versions: a `Tenancy`, or a function that takes the environ and gives
            the id which your login has verified. It is asked before *app* runs.
        observer: Counts requests by version: ``ent.observer``.
        answers: How refusals are said.

    Raises:
        ConfigurationError: *versions* are pinned, and no *tenant* says whose requests are.
    """

    def __init__(
        self,
        app: App,
        versions: ApiVersions,
        *,
        tenant: Tenancy | Callable[[Environ], Any] | None = None,
        observer: Observer | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.app = app
        self._teller = Teller(versions, None if tenant is None else finder_of(tenant, EnvironRequest), observer)
        self._answers = answers or Answers()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        response = _Response(start_response, self._teller, environ)
        try:
            response.chosen = self._chosen(response.incoming, environ)
        except (UnknownApiVersion, TenantConflict, TenantUnidentified) as error:
            return self._refuse(error, environ, response)
        version = response.chosen.version
        token = CURRENT_VERSION.set(version)
        try:
            body = self.app(environ, response.start)
        except UnknownApiVersion as error:
            return self._refuse(error, environ, response)
        finally:
            CURRENT_VERSION.reset(token)
        made_by = environ.get("wsgi.file_wrapper")
        # Nothing of the app runs while these are read; and a server sends its own file by itself.
        if type(body) in (list, tuple) or (isinstance(made_by, type) and type(body) is made_by):
            return body
        return _Body(body, version, lambda error: self._refuse(error, environ, response))

    def _chosen(self, incoming: EnvironRequest, environ: Environ) -> Chosen:
        chosen = self._teller.seek(incoming, environ)
        if isinstance(chosen, Chosen):
            return chosen
        close(chosen)
        raise TypeError("tenant= or pinned= must be awaited, which nothing can in WSGI; make it a plain function")

    def _refuse(self, error: EntitlementError, environ: Environ, response: _Response) -> Iterable[bytes]:
        self._teller.count_refused(error)
        said = self._answers.say(
            error, accept=environ.get("HTTP_ACCEPT", ""), language=environ.get("HTTP_ACCEPT_LANGUAGE", "")
        )
        headers = [*said.headers.items(), ("Content-Length", str(len(said.content)))]
        # Where the app has begun and then raised, the server takes this in its place, or breaks off.
        more = (sys.exc_info(),) if response.has_begun else ()
        response.start(f"{said.status} {HTTPStatus(said.status).phrase}", headers, *more)
        return () if environ.get("REQUEST_METHOD") == "HEAD" else (said.content,)


class _Response:
    """Stands in for the server's ``start_response``, and says the version."""

    __slots__ = ("_begin", "_teller", "chosen", "has_begun", "incoming")

    def __init__(self, begin: StartResponse, teller: Teller, environ: Environ) -> None:
        self._begin = begin
        self._teller = teller
        self.incoming = EnvironRequest(environ)
        self.chosen: Chosen | None = None
        self.has_begun = False

    def start(self, status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
        self.has_begun = True
        there = {name.lower() for name, _ in headers}
        return self._begin(status, [*headers, *self._teller.fields(self.chosen, self.incoming, there)], *more)


class _Body:
    """
    A body that is made while the server reads it: the version is known for each piece, and for the end.

    Of an app that is a generator nothing has run before: what is refused before its first piece is answered.
    """

    __slots__ = ("_body", "_has_sent", "_pieces", "_refuse", "_version")

    def __init__(
        self, body: Iterable[bytes], version: Version, refuse: Callable[[UnknownApiVersion], Iterable[bytes]]
    ) -> None:
        self._body = body
        self._version = version
        self._refuse = refuse
        self._pieces: Iterator[bytes] | None = None
        self._has_sent = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = CURRENT_VERSION.set(self._version)
        try:
            if self._pieces is None:
                self._pieces = iter(self._body)
            piece = next(self._pieces)
        except UnknownApiVersion as error:
            if self._has_sent:
                raise
            self._pieces = iter(self._refuse(error))
            piece = next(self._pieces, b"")
        finally:
            CURRENT_VERSION.reset(token)
        self._has_sent = self._has_sent or bool(piece)
        return piece

    def close(self) -> None:
        """Let the app tidy up, as the server does when it has read all, or has broken off."""
        end = getattr(self._body, "close", None)
        if end is not None:
            token = CURRENT_VERSION.set(self._version)
            try:
                end()
            finally:
                CURRENT_VERSION.reset(token)
