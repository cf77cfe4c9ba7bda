"""
Whose request is it? Found out inside whatever dependency of a gate asks first, and bound for all that follows.

One dependency of FastAPI costs each request as much as all that we do in it, and one that yields four times that. So a
gate has one alone, which takes what the host's login gives and what it needs itself; what was bound is put back by
middleware (`Around`), not by the dependency.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, Final, TypeAlias

from fastapi import Depends
from starlette.requests import HTTPConnection

from payaid_entitlements.binding import CURRENT, Binding
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.web.fastapi.truth import binding_of
from payaid_entitlements.web.finding import identified

#: What a dependency is called with: values by the names of its signature.
Given: TypeAlias = dict[str, Any]

_CONNECTION: Final = Parameter("connection", Parameter.KEYWORD_ONLY, annotation=HTTPConnection)


class Whose:
    """
    Finds out whose request it is.

    Args:
        ent: Of either colour.
        tenant: Any dependency that gives the verified id.
        user: Any dependency that gives the user's; None where users are not known.
        proxies: How many stand before the app; None reads no address.
    """

    __slots__ = ("_ent", "_logins", "_proxies")

    def __init__(
        self,
        ent: AsyncEntitlements | Entitlements,
        tenant: Callable[..., Any],
        user: Callable[..., Any] | None,
        proxies: int | None,
    ) -> None:
        self._ent = ent
        self._proxies = proxies
        self._logins = {"tenant": tenant} if user is None else {"tenant": tenant, "user": user}

    def asks(self, function: Callable[..., Any], **more: Callable[..., Any] | None) -> None:
        """
        Let FastAPI call *function*, which takes keywords alone, with what `bound` needs and what *more* gives.

        Args:
            more: Dependencies, by the names under which *function* finds what they give; None for none.
        """
        parameters = [_CONNECTION]
        for name, call in (*self._logins.items(), *more.items()):
            if call is not None:
                annotation = Annotated[Any, Depends(call)]
                parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation))
        # FastAPI reads the signature, as inspect does; there is no other way to say it of names that are known here.
        function.__signature__ = Signature(parameters)  # type: ignore[attr-defined] # read by FastAPI

    async def bound(self, given: Given) -> Binding:
        """
        Bind whose request it is.

        Each gate asks for its own, never for the one that happens to be bound: with two gates on a route that would be
        the tenant of the other.

        Raises:
            TenantUnidentified: It names nobody.
        """
        connection: HTTPConnection = given["connection"]
        tenant, user = identified((given["tenant"], given.get("user")))
        binding = await binding_of(self._ent, connection, tenant, user, self._proxies)
        CURRENT.set(binding)
        return binding
