"""
The gate: dependencies that bind the tenant of a request and refuse what it does not hold.

Everything here is ``async def``, also what never waits: FastAPI runs a plain function in a thread and in a copy of
the context, where binding a tenant would bind it for nobody.
"""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, params
from starlette.requests import HTTPConnection

from payaid_entitlements.binding import CURRENT, Binding
from payaid_entitlements.core.decision import Intent
from payaid_entitlements.core.identity import identify
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import TenantUnidentified
from payaid_entitlements.guards.requirement import Rank, Requirement, enforce_async
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.fastapi.audit import audit, require_known
from payaid_entitlements.web.fastapi.installing import install, on_startup
from payaid_entitlements.web.fastapi.marks import Mark, maker, mark
from payaid_entitlements.web.fastapi.truth import binding_of


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
            may choose. None, or an id that identifies nobody, is answered with 401.
        user: Any FastAPI dependency that returns the id of the user, for overrides of single users; None for nobody.
        challenge: How to log in, for ``WWW-Authenticate`` on 401.

    Attributes:
        tenant: A dependency that binds the tenant and gives its `TenantView`.
    """

    def __init__(
        self,
        ent: AsyncEntitlements | Entitlements,
        *,
        tenant: Callable[..., Any],
        user: Callable[..., Any] | None = None,
        challenge: str = "Bearer",
    ) -> None:
        self._ent = ent
        self._challenge = challenge
        self._bind = _binding(ent, tenant, user or _nobody)
        # Not cached: where a gate has made sure of the view since it was first given, the newer one is given.
        self.tenant = params.Depends(_viewing(self._bind), use_cache=False)

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
            install(app, self._ent, self._challenge)
            audit(app, self._ent, refuse_unguarded=unguarded == "refuse")

        look_over()
        on_startup(app, look_over)

    def _require(
        self, rank: Rank, key: str, access: Intent | None, legacy: Callable[..., Any] | None
    ) -> params.Depends:
        if access not in (None, "read", "write"):
            raise ValueError(f"access is {access!r}; it is 'read' or 'write'")
        need = Requirement(rank, identify(rank.name.lower(), key), access)
        require_known(self._ent, need)
        required = _requiring(self._bind, need) if legacy is None else _requiring_beside(self._bind, need, legacy)
        mark(required, Mark(need))
        return params.Depends(required)


async def _nobody() -> None:
    """No user."""


def _binding(
    ent: AsyncEntitlements | Entitlements, tenant: Callable[..., Any], user: Callable[..., Any]
) -> Callable[..., AsyncIterator[Binding]]:
    async def bind(
        connection: HTTPConnection,
        found: Annotated[object, Depends(tenant)],
        who: Annotated[object, Depends(user)],
    ) -> AsyncIterator[Binding]:
        binding = await binding_of(ent, connection, _tenant(found), _user(who))
        token = CURRENT.set(binding)
        try:
            yield binding
        finally:
            CURRENT.reset(token)

    mark(bind, Mark(None))
    return bind


def _viewing(bind: Callable[..., object]) -> Callable[..., Awaitable[TenantView]]:
    async def view(binding: Annotated[Binding, Depends(bind)]) -> TenantView:
        return binding.view

    return view


def _tenant(found: object) -> str:
    if found is None:
        raise TenantUnidentified("the tenant dependency gave None")
    return _identified("tenant", found)


def _user(found: object) -> str | None:
    return None if found is None else _identified("user", found)


def _identified(whose: str, found: object) -> str:
    if not isinstance(found, str):
        raise TypeError(f"the {whose} dependency gave {found!r}, a {type(found).__name__}; it must give a str or None")
    try:
        return identify(whose, found)
    except TypeError as error:
        raise TenantUnidentified(str(error)) from None


# Each gate asks the binding of its own, never the one that happens to be current: with two gates on a route that
# would be the tenant of the other.


def _requiring(bind: Callable[..., object], need: Requirement) -> Callable[..., Awaitable[None]]:
    async def required(binding: Annotated[Binding, Depends(bind)]) -> None:
        await enforce_async(binding, (need,))

    return required


def _requiring_beside(
    bind: Callable[..., object], need: Requirement, legacy: Callable[..., Any]
) -> Callable[..., Awaitable[None]]:
    async def required(
        binding: Annotated[Binding, Depends(bind)],
        old_answer: Annotated[bool, Depends(legacy)],
    ) -> None:
        await enforce_async(binding, (Requirement(need.rank, need.key, need.access, lambda: old_answer),))

    return required
