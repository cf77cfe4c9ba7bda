"""The gate: what is asked before the routes, the mounts and all of an app of Starlette."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.core.decision import Intent
from payaid_entitlements.core.flags.asking import read_attributes
from payaid_entitlements.core.identity import Operation, identify
from payaid_entitlements.core.values import Amount
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.guards.limiting import Limited
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.address import client_address
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.needs import Needs, require_countable, require_known
from payaid_entitlements.web.refusing import Refusal
from payaid_entitlements.web.request import ScopeRequest
from payaid_entitlements.web.starlette.asking import Asked, Noted, Take, bound_by, refusal_of, usages_of
from payaid_entitlements.web.starlette.audit import audit
from payaid_entitlements.web.starlette.following import follow_in_all
from payaid_entitlements.web.starlette.installing import answer_in_all, on_startup
from payaid_entitlements.web.taking import Failing, is_failure
from payaid_entitlements.web.tenancy import Tenancy, finder_of

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.usage import Usage


class Gate:
    """
    Lets requests into routes and mounts, by what their tenant holds.

    What its verbs give goes into ``middleware=[...]`` of a `Route`, a `WebSocketRoute`, a `Mount`, a `Router` or a
    whole app: ``Mount("/crm", routes=..., middleware=[gate.require_module("crm")])``. Guards of the library
    (``@require_feature(...)`` on an endpoint) and `current_tenant_async` work in every route. The tenant is looked for
    when somebody asks, behind the middleware of the app that logs in. All of one request answer from one view.

    Args:
        ent: Your client. From an `Entitlements` the store is asked in a thread; what is near is answered at once.
        tenant: A `Tenancy`, or a function that takes the connection and gives the id which your login has *verified*,
            never one that a client may choose; it may be a coroutine function. None is answered with 401.
        user: A function that takes the connection and gives the id of the user, for overrides of single users.
        proxies: How many proxies of yours each request passes, 0 or more, for rate limits that count by address. None
            reads no address.
        answers: How refusals are said.
    """

    def __init__(
        self,
        ent: AsyncEntitlements | Entitlements,
        *,
        tenant: Tenancy | Callable[[HTTPConnection], Any],
        user: Callable[[HTTPConnection], Any] | None = None,
        proxies: int | None = None,
        answers: Answers | None = None,
    ) -> None:
        if proxies is not None:
            client_address(None, (), proxies=proxies)  # which says what is wrong with it
        self.answers = answers or Answers()
        self.key = f"payaid_entitlements.gate.{id(self)}"
        self._ent = ent
        self._proxies = proxies
        self._tenant: Callable[..., Any] = finder_of(tenant, _incoming)
        self._user = user

    async def tenant(self, connection: HTTPConnection) -> TenantView:
        """
        Give what the tenant of this request holds.

        Raises:
            TenantUnidentified: It is a request of nobody.
            ConfigurationError: The gate is not in the app.
            ViewExpired: The view was taken longer ago than one may be used.
        """
        view = await bound_by(self, connection.scope).found_async()
        view.require_young()
        return view

    def usage(self, connection: HTTPConnection, feature: str) -> Usage:
        """
        Give what is left of a quota that this request has used up at `consume_quota`.

        Its `replayed` says that the same was asked for before, and paid for then.

        Raises:
            LookupError: Nothing of *feature* was used up.
        """
        usages: Mapping[str, Usage] = connection.scope.get(usages_of(self), {})
        return usages[feature]

    def require_module(self, module: str, /, *, access: Intent | None = None) -> Middleware:
        """
        Let only tenants in that hold *module*.

        Args:
            access: ``"read"`` lets reading pass where only writing is refused. None: by the method of the request.

        Raises:
            ConfigurationError: The client was opened with a catalog that has no such module.
        """
        return self._require(Rank.MODULE, module, access)

    def require_feature(self, feature: str, /, *, access: Intent | None = None) -> Middleware:
        """Let only tenants in that hold *feature*. Everything else as in `require_module`."""
        return self._require(Rank.FEATURE, feature, access)

    def require_flag(self, key: str, /, *, attributes: Mapping[str, object] | None = None) -> Middleware:
        """
        Let only those in for whom the boolean flag *key* is on; others are answered with 403.

        It may be a flag that no catalog has: those that `Admin` made are known to the store alone.

        Args:
            attributes: What the flag's rules may look at besides.
        """
        said = None if attributes is None else read_attributes(attributes)
        return self._asking(Needs(requirements=(Requirement(Rank.FLAG, identify("flag", key), attributes=said),)))

    def rate_limit(self, limit: str, /, *, cost: int = 1, before_login: bool = False) -> Middleware:
        """
        Count each request on the rate limit *limit*, and answer with 429 where there is no room.

        Put it before what else is asked. The response says how the limit stands, also where the request was let
        through.

        Args:
            cost: Units that a request weighs.
            before_login: For a limit that counts by address, on routes where nobody has logged in yet: the tenant is
                not looked for, and what the catalog says without any plan holds.

        Raises:
            ConfigurationError: The client was opened with a catalog that has no such limit; or it counts by user or
                address and this gate knows none; or it is one of so many at once.
        """
        require_known(self._ent.catalog, Requirement(Rank.LIMIT, identify("limit", limit)))
        require_countable(
            self._ent.catalog,
            limit,
            called="Gate",
            has_user=self._user is not None,
            has_address=self._proxies is not None,
            before_login=before_login,
        )
        counted = Limited(limit, cost)
        return self._asking(Needs(), before=counted) if before_login else self._asking(Needs(limits=(counted,)))

    def consume_quota(
        self,
        feature: str,
        amount: Amount | Callable[[HTTPConnection], Amount] = 1,
        /,
        *,
        operation: Callable[[HTTPConnection], Operation] | None = None,
        failing: Failing = is_failure,
    ) -> Middleware:
        """
        Use up units of a quota for each request, and give them back where it fails.

        A request that is repeated with the same operation uses up nothing more and is let through: an endpoint whose
        work must not be done twice looks at ``gate.usage(connection, feature).replayed``.

        Args:
            amount: Units, or a function of the connection that says how many.
            operation: A function of the connection that names what is done, the same when it is asked for again. None:
                the client does, by its ``Idempotency-Key``; a request without one is answered with 400.
            failing: With which statuses units are given back.

        Raises:
            ConfigurationError: The client was opened with a catalog that has no such quota.
        """
        require_known(self._ent.catalog, Requirement(Rank.QUOTA, identify("feature", feature)))
        return self._asking(Needs(), Take(feature, amount, operation, failing))

    def init_app(self, app: Starlette, *, unguarded: Literal["allow", "refuse"] = "allow") -> None:
        """
        Bind the tenant of each request to *app*, answer refusals in it and in apps that are mounted, look over routes.

        It stands innermost among the middleware of the app: behind what logs in, and below what adds fields to every
        response, such as CORS. Call it when all routes are there; what comes later is looked over when the app starts.

        Args:
            unguarded: ``"refuse"``: a route that no gate or guard stands before, and that is not marked with
                `payaid_entitlements.web.exempt`, does not start. Mounted apps count, also those without routes, such
                as static files.

        Raises:
            ConfigurationError: A guard stands where it never runs, a key is unknown, or a route is unguarded. All
                routes with a mistake are in the message.
        """
        if unguarded not in ("allow", "refuse"):
            raise ValueError(f"unguarded is {unguarded!r}; it is 'allow' or 'refuse'")

        def look_over() -> None:
            answer_in_all(app, self._say)
            follow_in_all(app)
            audit(app, self._ent.catalog, refuse_unguarded=unguarded == "refuse")

        around: Any = self._around
        if not any(each.cls == around for each in app.user_middleware):
            asked: object = Asked
            at = next(
                (at for at, each in enumerate(app.user_middleware) if each.cls is asked), len(app.user_middleware)
            )
            app.user_middleware.insert(at, Middleware(around))
            app.middleware_stack = None
            on_startup(app, look_over)
        look_over()

    def _around(self, app: ASGIApp) -> ASGIApp:
        user = self._user
        return EntitlementsMiddleware(
            Noted(app, self.key),
            self._ent,
            tenant=lambda scope: self._tenant(HTTPConnection(scope)),
            user=None if user is None else lambda scope: user(HTTPConnection(scope)),
            proxies=self._proxies,
            answers=self.answers,
        )

    async def _say(self, connection: HTTPConnection, error: EntitlementError) -> Refusal:
        # None where an app that is mounted here runs by itself as well.
        binding = connection.scope.get(self.key) or CURRENT.get()
        return await refusal_of(self.answers, connection, error, binding)

    def _require(self, rank: Rank, key: str, access: Intent | None) -> Middleware:
        if access not in (None, "read", "write"):
            raise ValueError(f"access is {access!r}; it is 'read' or 'write'")
        need = Requirement(rank, identify(rank.name.lower(), key), access)
        require_known(self._ent.catalog, need)
        return self._asking(Needs(requirements=(need,)))

    def _asking(self, needs: Needs, take: Take | None = None, before: Limited | None = None) -> Middleware:
        return Middleware(Asked, self, needs, take, before)


def _incoming(connection: HTTPConnection) -> ScopeRequest:
    return ScopeRequest(connection.scope, connection)
