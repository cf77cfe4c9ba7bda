"""From OpenFeature's evaluation context to ours: whom the question is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import InvalidContextError

from payaid_entitlements.core.identity import identify

#: The attribute that names the user, where the targeting key is the tenant.
USER = "user"

#: Nearly all that contexts hold, which is JSON already.
_PLAIN = frozenset({bool, float, int, str})


@dataclass(frozen=True, slots=True)
class Whom:
    """
    Whom a question is about.

    Attributes:
        tenant, user: Ids; None where the context names none.
        attributes: JSON data; ``targetingKey`` is in it where there is one.
    """

    tenant: str | None
    user: str | None
    attributes: Mapping[str, object]


def whom(context: EvaluationContext | None, tenant: str | None) -> Whom:
    """
    Read *context*.

    Args:
        tenant: The attribute that names the tenant; the targeting key then is the user. None: the targeting key is
            the tenant, and the attribute ``user`` may name a user.

    Raises:
        InvalidContextError: An id is none, such as ``"None"`` or a number.
    """
    if context is None:
        return Whom(None, None, {})
    key = context.targeting_key or None
    attributes = {name: plain(value) for name, value in context.attributes.items()}
    if key is not None:
        attributes["targetingKey"] = key
    if tenant is None:
        return Whom(_id("targeting_key", key), _id(USER, attributes.get(USER)), attributes)
    return Whom(_id(tenant, attributes.get(tenant)), _id("targeting_key", key), attributes)


def _id(name: str, value: object) -> str | None:
    if value is None:
        return None
    try:
        return identify(name, value)
    except TypeError as error:
        raise InvalidContextError(str(error)) from None


def plain(value: object) -> object:
    """
    *value* as JSON data: instants become text, as RFC 3339 writes them.

    Raises:
        InvalidContextError: It is nested too deep to be read, or in itself.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise InvalidContextError("an attribute of the context is nested too deep; say it flatter") from None


def _plain(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
