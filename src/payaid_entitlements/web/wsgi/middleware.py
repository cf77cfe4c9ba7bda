"""The middleware: whoever asks in the app behind it, asks about the tenant of the request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.finding import LazyBinding, Who
from payaid_entitlements.web.request import EnvironRequest, intent_of
from payaid_entitlements.web.routing import Routes, known
from payaid_entitlements.web.tenancy import Tenancy, finder_of
from payaid_entitlements.web.wsgi.binding import Binder
from payaid_entitlements.web.wsgi.calling import App, Call, Environ, StartResponse
from payaid_entitlements.web.wsgi.mapping import needed, require_mapped


class EntitlementsMiddleware:
    """
    Binds the tenant of each request for a WSGI app, and answers what is refused in it.

    Guards (``@require_feature(...)``) and ``current_tenant()`` work everywhere in *app*, also while its body is read.
    The tenant is looked for when somebody first asks: whoever logs in may stand between this and the app, unless
    *routes* are asked, which is before the app runs.

    Args:
        app: Any WSGI app.
        entitlements: Your client.
        tenant: Gives the id that your login has *verified*, of an environ, never one that a client may choose; or a
            `Tenancy`. None, or an id that identifies nobody, is answered with 401.
        user: Gives the id of the user, for overrides of single users; None for nobody.
        routes: What each route needs. Where it refuses what it does not know, and *app* is one of Flask, its routes are
            held against it now, and again at the first request, which fails where one is missing.
        proxies: How many proxies of yours each request passes, 0 or more, for rate limits that count by address. None
            reads no address.
        answers: How refusals are said.

    Raises:
        ConfigurationError: *entitlements* is an `AsyncEntitlements`, for which a WSGI app cannot wait; *proxies* is no
            number of proxies; the catalog does not know a key of *routes*; or *routes* lack one of the app's.
    """

    def __init__(
        self,
        app: App,
        entitlements: Entitlements,
        *,
        tenant: Callable[[Environ], str | None] | Tenancy,
        user: Callable[[Environ], str | None] | None = None,
        routes: Routes | None = None,
        proxies: int | None = None,
        answers: Answers | None = None,
    ) -> None:
        self._app = app
        self._binder = Binder(entitlements, proxies)
        self._client = entitlements
        self._tenant = finder_of(tenant, EnvironRequest)
        self._user = user
        self._answers = answers or Answers()
        self._routes = known(routes, entitlements.catalog)
        self._is_mapped = self._routes is None
        self._require_mapped()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass on."""
        if not self._is_mapped:
            # Frameworks take no more routes once they have begun to serve.
            self._require_mapped()
            self._is_mapped = True
        address = partial(self._binder.address, environ) if self._binder.has_address else None
        binding = LazyBinding(
            self._client, partial(self._find, environ), lambda: intent_of(environ["REQUEST_METHOD"]), address=address
        )
        call = Call(binding, self._answers, environ, start_response)
        if self._routes is None:
            return call.run(self._app)
        routes = self._routes
        return call.run(self._app, lambda: needed(routes, environ))

    def _require_mapped(self) -> None:
        if self._routes is not None and self._routes.unmapped == "refuse":
            require_mapped(self._app, self._routes)

    def _find(self, environ: Environ) -> Who:
        return self._tenant(environ), None if self._user is None else self._user(environ)
