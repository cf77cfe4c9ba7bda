"""Who asks over the wire: what the host's login has verified, and never what a request says of itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from payaid_entitlements.core.flags.context import TARGETING_KEY
from payaid_entitlements.core.flags.details import FlagError
from payaid_entitlements.core.identity import identify
from payaid_entitlements.errors import TenantUnidentified
from payaid_entitlements.web.ofrep.refusing import Refusing, Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who asks.

    Attributes:
        tenant: Id of the tenant; None for visitors of whom none is known: then flags know nothing that is sold.
        user: Id of the user. None where the login knows none: then flags know none either, and a request's
            ``targetingKey``, which nobody has verified, chooses buckets and no more.
        attributes: What the host knows besides; it counts over what the request says. It cannot say what the library
            knows itself (``tenant``, ``user``, ``plan``, ``modules``, ``state``).
    """

    tenant: str | None
    user: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


#: What a login may return: a caller, the id of a tenant, ids of a tenant and a user, or None for nobody.
Said: TypeAlias = Caller | str | tuple[str, str | None] | None

#: The host's login. What it raises is answered as `serving.app` says.
Authenticate: TypeAlias = Callable[[Scope], Said | Awaitable[Said]]


def caller_of(said: Said) -> Caller:
    """
    Read what a login has returned.

    Raises:
        TenantUnidentified: That is nobody.
        TypeError: It is nothing that a login may return: a mistake of the host.
    """
    match said:
        case None:
            raise TenantUnidentified("the login found nobody")
        case Caller():
            found = said
        case str():
            found = Caller(said)
        case (str() as tenant, str() | None as user):
            found = Caller(tenant, user)
        case _:
            raise TypeError(f"authenticate returned {type(said).__name__}; it is a Caller, a tenant's id, or None")
    try:
        if found.tenant is not None:
            identify("tenant", found.tenant)
        if found.user is not None:
            identify("user", found.user)
    except TypeError as error:
        raise TenantUnidentified(str(error)) from error
    return found


@dataclass(frozen=True, slots=True)
class Believed:
    """
    What a request says of itself, as far as it may.

    Attributes:
        attributes: What flags may look at; ``targetingKey`` is the user's id where the login knows a user.
        key: Stands for a user where the login knows none, for buckets alone; None where there is nothing to stand for.
    """

    attributes: Mapping[str, object]
    key: str | None


def believed(caller: Caller, said: Mapping[str, object]) -> Believed:
    """
    Join what a request says of itself with what is known of the caller.

    Args:
        said: The request's context.

    Raises:
        Refusing: 400, its ``targetingKey`` identifies nobody.
    """
    # What is the library's own (tenant, user, plan ...) is no request's to say: every context leaves it out.
    attributes = {**said, **caller.attributes}
    if caller.user is not None:
        return Believed({**attributes, TARGETING_KEY: caller.user}, None)
    key = attributes.get(TARGETING_KEY)
    if not isinstance(key, str) or not key or key == caller.tenant:
        return Believed(attributes, None)
    try:
        return Believed(attributes, identify(TARGETING_KEY, key))
    except TypeError:
        raise Refusing(400, FlagError.INVALID_CONTEXT, "targetingKey identifies nobody.") from None
