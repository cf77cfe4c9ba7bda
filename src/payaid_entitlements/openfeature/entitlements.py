"""What is sold, asked as flags: may they, how much, and what is it worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, ProviderNotReadyError, TargetingKeyMissingError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.hook import Hook

from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.decision import Reason as Because
from payaid_entitlements.core.values import UNLIMITED, Allowance
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import UnknownFeature
from payaid_entitlements.openfeature.asking import Asking
from payaid_entitlements.openfeature.kinds import Kind, fitting
from payaid_entitlements.openfeature.looking import Looking
from payaid_entitlements.openfeature.whom import whom
from payaid_entitlements.view import TenantView

#: The integer that stands for "without a limit": the largest that fits 64 bits. As a float it is infinite.
NO_LIMIT: Final = 2**63 - 1

#: Kinds of features of which units are counted, and whose number is their limit.
_METERED: Final = frozenset({"quota", "allocation", "credit"})


class EntitlementProvider(Asking):
    """
    Entitlements by OpenFeature: a flag's key is that of a module or feature.

    A boolean is whether the tenant may use it now, and what it is worth where it is a boolean config feature. A number
    is a config value (of a length of time its seconds), or the limit of what is metered: 0 where it is not held,
    `NO_LIMIT` or infinity where there is none. A string is a config value. An object is a list, or the decision as the
    tenant's own browser may see it.

    An outage is answered by the fail policies, never by the caller's default: that could open what nobody has bought.
    For a key that is in no catalog the SDK gives the default, so let it be False.

    Args:
        ent: A client of either colour. Of an async one, a plain question is answered from what is near or not at all.
        tenant: See `FlagProvider`.
        hooks: Of the host's, which run around each question.
    """

    def __init__(
        self, ent: Entitlements | AsyncEntitlements, *, tenant: str | None = None, hooks: Sequence[Hook] = ()
    ) -> None:
        super().__init__("payaid entitlements", hooks)
        self._looking = Looking(ent)
        self._tenant = tenant

    def resolve(
        self, key: str, default: Any, context: EvaluationContext | None, kind: Kind
    ) -> FlagResolutionDetails[Any]:
        """Same as `Asking.resolve`."""
        about = whom(context, self._tenant)
        view = _somebodys(self._looking.view(about))
        if not view.decide(key, "write").allowed:
            view = self._looking.confirmed(view, about)
        return resolution(view, key, default, kind)

    async def resolve_async(
        self, key: str, default: Any, context: EvaluationContext | None, kind: Kind
    ) -> FlagResolutionDetails[Any]:
        """Same as `Asking.resolve_async`."""
        about = whom(context, self._tenant)
        view = _somebodys(await self._looking.view_async(about))
        if not view.decide(key, "write").allowed:
            view = await self._looking.confirmed_async(view, about)
        return resolution(view, key, default, kind)


def _somebodys(view: TenantView | None) -> TenantView:
    if view is None:
        raise TargetingKeyMissingError("an entitlement is somebody's: the context names no tenant, and none is bound")
    return view


def resolution(view: TenantView, key: str, default: Any, kind: Kind) -> FlagResolutionDetails[Any]:
    """
    Say in OpenFeature's words what *view* says of *key*.

    Raises:
        FlagNotFoundError: No catalog has the key.
        ProviderNotReadyError: The store gave no answer, and a number or a text was asked for.
        TypeMismatchError: It has no such value.
    """
    try:
        decision = view.check(key)
    except UnknownFeature as error:
        raise FlagNotFoundError(str(error)) from None
    if decision.reason is Because.CATALOG_UNKNOWN:
        raise FlagNotFoundError(f"the catalog has no module or feature {key!r}")
    value = _worth(decision, view.kind(key), kind)
    metadata: dict[str, bool | int | float | str] = {"reason": decision.reason.value, "degraded": decision.degraded}
    if decision.plan is not None:
        metadata["plan"] = decision.plan
    told = MappingProxyType(metadata)
    if value is None and decision.reason is Because.STORE_UNAVAILABLE:
        raise ProviderNotReadyError(f"the store gave no answer about {key!r}; what it is worth is not known")
    if value is None:
        # Nothing is held, and nothing of it has a value of its own.
        return FlagResolutionDetails(default, reason=Reason.DEFAULT, flag_metadata=told)
    variant = None if kind is not Kind.BOOLEAN else "on" if value else "off"
    reason = reason_of(decision)
    return FlagResolutionDetails(fitting(key, value, kind), reason=reason, variant=variant, flag_metadata=told)


def reason_of(decision: Decision) -> Reason:
    """OpenFeature's word for why: a refusal too is the outcome of rules about this tenant."""
    if decision.degraded or decision.reason is Because.STORE_UNAVAILABLE:
        return Reason.STALE
    return Reason.DISABLED if decision.reason is Because.ENFORCEMENT_KILLED else Reason.TARGETING_MATCH


def _worth(decision: Decision, feature: str | None, kind: Kind) -> object:
    """What is asked for; None where the tenant holds nothing that has such a value."""
    value = decision.value
    if kind is Kind.BOOLEAN:
        return decision.allowed and value is not False
    if kind is Kind.OBJECT and not isinstance(value, tuple):
        return decision.to_public()
    if isinstance(value, Allowance) or feature in _METERED:
        if not decision.allowed:
            return 0
        value = value.limit if isinstance(value, Allowance) else value
    if value is UNLIMITED:
        return math.inf if kind is Kind.FLOAT else NO_LIMIT
    if not decision.allowed:
        return None
    if isinstance(value, Decimal):
        return float(value)
    return value.total_seconds() if isinstance(value, timedelta) else value
