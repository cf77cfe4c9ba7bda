"""The dependency that uses up units of a quota for a request, and gives them back when it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from payaid_entitlements.core.values import Amount
from payaid_entitlements.web.fastapi.asking import Whose
from payaid_entitlements.web.request import ScopeRequest
from payaid_entitlements.web.taking import Failing, Takings, operation_of, take_async

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.usage import Usage

#: Where the scope of a request keeps what it has used up.
TAKINGS: Final = "payaid_takings"


def consuming(
    whose: Whose,
    feature: str,
    amount: Amount | Callable[..., Any],
    operation: Callable[..., Any] | None,
    failing: Failing,
) -> Callable[..., AsyncIterator[object]]:
    """
    Use up *amount* of *feature* for the tenant of the request; gives the `Usage`.

    FastAPI resolves all dependencies before it says what is wrong with a body, and leaves those of scope ``function``
    before the response is sent: what is thrown in here is whatever kept the request from being handled.
    """

    async def consumed(**given: Any) -> AsyncIterator[Usage]:
        connection: HTTPConnection = given["connection"]
        binding = await whose.bound(given)
        units = given.get("units", amount)
        if operation is None:
            named: Any = operation_of(ScopeRequest(connection.scope), feature, binding.view.user)
        else:
            named = given["named"]
        taken = await take_async(binding, {feature: units}, named, failing=failing)
        takings: Takings | None = connection.scope.get(TAKINGS)
        if takings is not None:
            takings.add(taken)
        try:
            yield taken.usages[feature]
        except WebSocketDisconnect:
            raise  # whoever leaves has had it
        except BaseException as error:
            # Who knows with what it is answered decides: nobody, where no gate is installed. A handler that closes a
            # websocket for what went wrong says nothing of that.
            went_wrong = connection.scope["type"] == "websocket" and isinstance(error, Exception)
            if takings is None or went_wrong:
                await taken.give_back_async()
            raise

    whose.asks(consumed, units=amount if callable(amount) else None, named=operation)
    return consumed
