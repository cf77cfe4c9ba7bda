"""
The gate: dependencies that bind the tenant of a request and refuse what it does not hold.

Everything here is ``async def``, also what never waits: FastAPI runs a plain function in a thread and in a copy of
the context, where binding a tenant would bind it for nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from fastapi import FastAPI, params

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.core.flags.asking import read_attributes
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.values import Amount
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.guards.requirement import Rank, Requirement, enforce_async
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.address import client_address
from payaid_entitlements.web.answers import BEARER, Answers, answers_of
from payaid_entitlements.web.fastapi.asking import Whose
from payaid_entitlements.web.fastapi.audit import audit
from payaid_entitlements.web.fastapi.consuming import consuming
from payaid_entitlements.web.fastapi.installing import install
from payaid_entitlements.web.fastapi.limiting import counted_on, counting, counting_before_login
from payaid_entitlements.web.fastapi.marks import Dependency, Mark, maker, mark
from payaid_entitlements.web.needs import require_countable, require_known
from payaid_entitlements.web.starlette.installing import on_startup
from payaid_entitlements.web.taking import is_failure
from payaid_entitlements.web.tenancy import Tenancy
from payaid_entitlements.web.tenancy.agreeing import require_callable


class Gate:
    """
    Lets requests into routers and routes, by what their tenant holds.

    Put ``gate.require_module("crm")`` into the `dependencies` of a router or a route, and
    ``Annotated[TenantView, gate.tenant]`` where a route wants to see the view. All gates and guards of one request
    answer from one view. A view serves for one request: in a websocket that stays open take a new one for each message
    (``ent.tenant(view.tenant)``, or ``ent.bind``).

    Of two gates on one route, for two tenants, each asks for its own; guards and `current_tenant` ask for the one whose
    gate comes last.

    Args:
        ent: Your client. From an `Entitlements` the store is asked in a thread; what is near is answered at once.
        tenant: Any FastAPI dependency that returns the id which your login has *verified*, never one that a client
            may choose; or a `Tenancy`. None, or an id that identifies nobody, is answered with 401.
        user: Any FastAPI dependency that returns the id of the user, for overrides of single users; None for nobody.
        challenge: How to log in, for ``WWW-Authenticate`` on 401.
        proxies: How many proxies of yours each request passes, 0 or more, for rate limits that count by address: each
            of them appends to ``X-Forwarded-For``, and nothing else in it is believed. None reads no address.
        legacy_fields: Also say ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset``, for clients that know no others.
        answers: How refusals are answered: pages, languages, words of yours. It says *challenge* and *legacy_fields*
            then.

    Attributes:
        tenant: A dependency that binds the tenant and gives its `TenantView`.
    """

    def __init__(
        self,
        ent: AsyncEntitlements | Entitlements,
        *,
        tenant: Callable[..., Any] | Tenancy,
        user: Callable[..., Any] | None = None,
        challenge: str = BEARER,
        proxies: int | None = None,
        legacy_fields: bool = False,
        answers: Answers | None = None,
    ) -> None:
        if proxies is not None:
            client_address(None, (), proxies=proxies)  # which says what is wrong with it
        require_callable(tenant)
        self._ent = ent
        self._answers = answers_of(answers, challenge=challenge, legacy_fields=legacy_fields)
        self._proxies = proxies
        self._has_user = user is not None
        find = tenant.dependency if isinstance(tenant, Tenancy) else tenant
        self._whose = Whose(ent, find, user, proxies)
        # Not cached: where a gate has made sure of the view since it was first given, the newer one is given.
        self.tenant = Dependency(_viewing(self._whose), use_cache=False)

    # The key is positional only: FastAPI hands over by name what it reads from a query, so that
    # `Depends(gate.require_module)`, where the call was forgotten, lets nobody pass. The audit says so at start-up.

    @maker
    def require_module(
        self, module: str, /, *, access: Intent | None = None, legacy: Callable[..., Any] | None = None
    ) -> params.Depends:
        """
        Let only tenants in that hold *module*.

        Args:
            access: ``"read"`` lets reading pass where only writing is refused. None: by the method of the request.
            legacy: Any FastAPI dependency that gives your own old answer; it decides until the module is enforced.

        Raises:
            ConfigurationError: The client was opened with a catalog that has no such module.
        """
        return self._require(Rank.MODULE, module, access, legacy)

    @maker
    def require_feature(
        self, feature: str, /, *, access: Intent | None = None, legacy: Callable[..., Any] | None = None
    ) -> params.Depends:
        """Let only tenants in that hold *feature*. Everything else as in `require_module`."""
        return self._require(Rank.FEATURE, feature, access, legacy)

    @maker
    def require_flag(
        self, key: str, /, *, attributes: Mapping[str, object] | Callable[..., Any] | None = None
    ) -> params.Depends:
        """
        Let only those in for whom the boolean flag *key* is on; others are answered with 403.

        It may be a flag that no catalog has: those that `Admin` made are known to the store alone.

        Args:
            attributes: What the flag's rules may look at besides: a mapping, or any FastAPI dependency that gives one,
                or None. Never ``tenant``, ``user``, ``plan``, ``modules`` and ``state``, which are the library's.
        """
        said = attributes if attributes is None or callable(attributes) else read_attributes(attributes)
        return self._require(Rank.FLAG, key, None, None, said)

    @maker
    def rate_limit(self, limit: str, /, *, cost: int = 1, before_login: bool = False) -> params.Depends:
        """
        Count each request on the rate limit *limit*, and answer with 429 where there is no room.

        Before it is asked what the tenant holds, wherever it stands among the gates of a route. The response says how
        the limit stands, also where the request was let through: ``RateLimit-Policy``, ``RateLimit``, ``Retry-After``.

        Args:
            cost: Units that a request weighs.
            before_login: For a limit that counts by address, on routes where nobody has logged in yet: the tenant is
                not asked for, and what the catalog says without any plan holds.

        Raises:
            ConfigurationError: The client was opened with a catalog that has no such limit; or it counts by user or
                address and this gate knows none; or it is one of so many at once, which `concurrent` holds.
        """
        need = counted_on(limit, cost)
        require_known(self._ent.catalog, need)
        require_countable(
            self._ent.catalog,
            limit,
            called="Gate",
            has_user=self._has_user,
            has_address=self._proxies is not None,
            before_login=before_login,
        )
        if before_login:
            counted = counting_before_login(self._ent, need, cost, self._proxies)
        else:
            counted = counting(self._whose, need, cost)
        mark(counted, Mark(need))
        return Dependency(counted)

    @maker
    def consume_quota(
        self,
        feature: str,
        /,
        amount: Amount | Callable[..., Any] = 1,
        *,
        operation: Callable[..., Any] | None,
        failing: Callable[[int], bool] = is_failure,
    ) -> params.Depends:
        """
        Use up units of *feature* for each request, behind all other gates; gives its `Usage`.

        They are given back where the request fails: where its body is not valid, where the route raises, also in the
        middle of a stream, and where it answers with 400 or more. Whoever stops reading has had what was taken.

        A request that is repeated with the same operation uses up nothing more and is let through: a route whose work
        must not be done twice looks at ``usage.replayed``.

        Args:
            amount: Units, or any FastAPI dependency that gives them.
            operation: Any FastAPI dependency that names what is done, the same when it is asked for again: a str, a
                UUID, or a tuple of them. None: the client names it in ``Idempotency-Key``, for this method, path,
                tenant and user; without that field it is answered with 400.
            failing: With which statuses the units are given back.

        Raises:
            ConfigurationError: The client was opened with a catalog in which *feature* is nothing that is used up.
        """
        if not callable(amount) and (isinstance(amount, bool) or not isinstance(amount, int | Decimal)):
            raise TypeError(f"amount={amount!r}: give a number of units, or a dependency that says how many")
        if operation is not None and not callable(operation):
            raise TypeError(f"operation={operation!r}: give a dependency that names what each request does, or None")
        need = Requirement(Rank.QUOTA, identify("feature", feature))
        require_known(self._ent.catalog, need)
        consumed = consuming(self._whose, feature, amount, operation, failing)
        mark(consumed, Mark(need, operation))
        return Dependency(consumed, scope="function")

    def init_app(self, app: FastAPI, *, unguarded: Literal["allow", "refuse"] = "allow") -> None:
        """
        Make *app* answer refusals, in apps that are mounted too, describe them in OpenAPI, and look over its routes.

        Call it when all routes are there. What comes later is looked over when the app starts.

        Args:
            unguarded: ``"refuse"``: a route that no gate or guard stands before, and that is not marked with
                `payaid_entitlements.web.exempt`, does not start. Mounted apps count, also those without routes, such
                as static files; static frontends (``app.frontend``) do not.

        Raises:
            ConfigurationError: A guard stands above a route decorator, where it never runs; a guard has no tenant to
                ask; a key is unknown; a gate stands around routes that it does not reach; a route is unguarded. All
                routes with a mistake are in the message.
        """
        if unguarded not in ("allow", "refuse"):
            raise ValueError(f"unguarded is {unguarded!r}; it is 'allow' or 'refuse'")

        def look_over() -> None:
            install(app, self._ent, self._answers)
            audit(app, self._ent, refuse_unguarded=unguarded == "refuse")

        look_over()
        on_startup(app, look_over)

    def _require(
        self,
        rank: Rank,
        key: str,
        access: Intent | None,
        legacy: Callable[..., Any] | None,
        said: Mapping[str, object] | Callable[..., Any] | None = None,
    ) -> params.Depends:
        if access not in (None, "read", "write"):
            raise ValueError(f"access is {access!r}; it is 'read' or 'write'")
        need = Requirement(rank, identify(rank.name.lower(), key), access, attributes=None if callable(said) else said)
        require_known(self._ent.catalog, need)
        if callable(said):
            required = _requiring_of(self._whose, need, said)
        elif legacy is not None:
            required = _requiring_beside(self._whose, need, legacy)
        else:
            required = _requiring(self._whose, need)
        mark(required, Mark(need))
        return Dependency(required)


def _viewing(whose: Whose) -> Callable[..., Awaitable[TenantView]]:
    async def view(**given: Any) -> TenantView:
        return (await whose.bound(given)).view

    whose.asks(view)
    mark(view, Mark(None))
    return view


def _requiring(whose: Whose, need: Requirement) -> Callable[..., Awaitable[None]]:
    needs = (need,)

    async def required(**given: Any) -> None:
        await enforce_async(await whose.bound(given), needs)

    whose.asks(required)
    return required


def _requiring_of(whose: Whose, need: Requirement, attributes: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    async def required(**given: Any) -> None:
        said = given["said"]
        if said is not None:
            # Here, since what it gave may be something that can be called.
            said = read_attributes(said)
        await enforce_async(await whose.bound(given), (replace(need, attributes=said),))

    whose.asks(required, said=attributes)
    return required


def _requiring_beside(whose: Whose, need: Requirement, legacy: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    async def required(**given: Any) -> None:
        answer = replace(need, legacy=lambda: given["old_answer"])
        await enforce_async(await whose.bound(given), (answer,))

    whose.asks(required, old_answer=legacy)
    return required
