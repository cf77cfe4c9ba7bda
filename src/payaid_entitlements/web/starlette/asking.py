"""What a gate puts around routes, mounts and apps: it asks before they run, and answers where nobody may pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from payaid_entitlements.binding import CURRENT, Binding
from payaid_entitlements.core.identity import Operation
from payaid_entitlements.core.values import Amount
from payaid_entitlements.errors import ConfigurationError, EntitlementError
from payaid_entitlements.guards.limiting import Limited
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.web.answers import ANSWERED, Answers
from payaid_entitlements.web.asgi.exchange import Exchange
from payaid_entitlements.web.finding import view_of_refused_async
from payaid_entitlements.web.needs import Needs, ask_async
from payaid_entitlements.web.preflights import passes
from payaid_entitlements.web.refusing import Refusal
from payaid_entitlements.web.request import ScopeRequest
from payaid_entitlements.web.settling import settled
from payaid_entitlements.web.starlette.installing import respond, said_to
from payaid_entitlements.web.taking import Failing, Taken, Takings, operation_of, take_async


@dataclass(frozen=True, slots=True)
class Take:
    """
    Units of a quota that each request uses up.

    Attributes:
        feature: Key of the quota.
        amount: Units, or a function of the request that says how many.
        operation: A function of the request that names what is done; None where the client does, by its
            ``Idempotency-Key``.
        failing: With which statuses they are given back.
    """

    feature: str
    amount: Amount | Callable[[HTTPConnection], Amount]
    operation: Callable[[HTTPConnection], Operation] | None
    failing: Failing


class Asker(Protocol):
    """
    The gate, as far as those who ask for it have to know it.

    Attributes:
        key: Where the scope of a request keeps the binding of this gate.
        answers: How refusals are said.
    """

    key: str
    answers: Answers


class Asked:
    """
    Asks before an app runs.

    Args:
        app: A route, a mount or an app.
        gate: Whose tenant is asked.
        needs: What it must hold.
        take: What it uses up besides.
        before: A limit on which requests are counted by their address, whoever they are of.
    """

    def __init__(
        self, app: ASGIApp, gate: Asker, needs: Needs, take: Take | None = None, before: Limited | None = None
    ) -> None:
        self.app = app
        self.needs = needs
        self.take = take
        self._before = before
        self._gate = gate

    @property
    def is_entitling(self) -> bool:
        """Does it refuse those who do not hold something?"""
        return is_entitling(self.needs, self.take)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, and answer or pass on."""
        kind = scope["type"]
        if kind not in ("http", "websocket") or (
            scope.get("method") == "OPTIONS" and passes(ScopeRequest(scope), self.app)
        ):
            await self.app(scope, receive, send)
            return
        binding = bound_by(self._gate, scope)
        if isinstance(binding, Exchange):
            # As it is here: middleware of a mount may have taken its method from ``X-HTTP-Method-Override``.
            binding.scope = scope
        connection = WebSocket(scope, receive, send) if kind == "websocket" else HTTPConnection(scope)
        takings = Takings()
        try:
            if self._before is not None:
                await _count_before_login(binding, self._before)
            await ask_async(binding, self.needs)
            if self.take is not None:
                taken = await _taken(binding, self.take, connection)
                takings.add(taken)
                scope.setdefault(usages_of(self._gate), {}).update(taken.usages)
        except ANSWERED as error:
            # Here, and not raised: what is between here and whoever answers may make a 500 of it.
            response = await respond(connection, await refusal_of(self._gate.answers, connection, error, binding))
            if response is not None:
                await response(scope, receive, send)
            return
        if self.take is None:
            await self.app(scope, receive, send)
        else:
            await settled(self.app, scope, receive, send, takings)


def is_entitling(needs: Needs, take: Take | None) -> bool:
    """Do they refuse those who do not hold something? How often is not who: a limit alone lets everybody pass."""
    return needs.is_entitling or take is not None


def bound_by(gate: Asker, scope: Scope) -> Binding:
    """
    Give what *gate* has bound for a request.

    Raises:
        ConfigurationError: Nothing: it is not in the app.
    """
    binding: Binding | None = scope.get(gate.key)
    if binding is None:
        raise ConfigurationError("a gate is asked here that is not in the app: call gate.init_app(app)")
    return binding


def usages_of(gate: Asker) -> str:
    """Where the scope of a request keeps what it has used up at *gate*, by feature."""
    return f"{gate.key}.usages"


async def _count_before_login(binding: Binding, limit: Limited) -> None:
    outcome: RateLimitOutcome = await binding.act_async(
        lambda client: client.try_rate_limit(None, limit.key, cost=limit.cost, address=binding.address)
    )
    if binding.outcomes is not None:
        binding.outcomes.append(outcome)
    outcome.or_raise()


async def _taken(binding: Binding, take: Take, connection: HTTPConnection) -> Taken:
    amount = take.amount(connection) if callable(take.amount) else take.amount
    if take.operation is None:
        view = await binding.found_async()
        operation: Operation = operation_of(ScopeRequest(connection.scope), take.feature, view.user)
    else:
        operation = take.operation(connection)
    return await take_async(binding, {take.feature: amount}, operation, failing=take.failing)


async def refusal_of(
    answers: Answers, connection: HTTPConnection, error: EntitlementError, binding: Binding | None
) -> Refusal:
    """What *connection* is told of *error*, by the view that refused it; None: nobody is bound."""
    view = None if binding is None else await view_of_refused_async(binding, error)
    return said_to(answers, connection, error, view)


class Noted:
    """
    Keeps the binding of a gate with the request, for those who ask for it: another gate further inside may have bound
    another tenant.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        binding = scope[self._key] = CURRENT.get()
        try:
            await self.app(scope, receive, send)
        finally:
            # It knows the scope, too, or a copy that has the key as well: rings that only the garbage collector would
            # find.
            scope.pop(self._key, None)
            if isinstance(binding, Exchange):
                binding.scope = scope
