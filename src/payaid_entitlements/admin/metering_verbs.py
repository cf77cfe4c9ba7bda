"""Verbs about what is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from payaid_entitlements.admin.asking import Asking
from payaid_entitlements.admin.change import Change, ChangeReason
from payaid_entitlements.admin.tenants import Request, change_tenant
from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.identity import operation_id, plain
from payaid_entitlements.core.instant import moment
from payaid_entitlements.metering.correcting import correct, correction

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.ground import Ground
    from payaid_entitlements.core.identity import Operation
    from payaid_entitlements.core.values import Amount
    from payaid_entitlements.stores.ports import Transaction

R = TypeVar("R")


class MeteringVerbs(Asking[R]):
    """Verbs about what tenants have used."""

    def adjust(
        self,
        tenant: str,
        feature: str,
        amount: Amount,
        *,
        operation: Operation,
        because: str | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Correct what is counted as used of a quota or a credit by *amount*, up or down, whatever the limit.

        It is in the audit trail first and then in the ledger: whoever was interrupted in between repeats it, with the
        same operation, and it is done once. To take it back, adjust by the opposite.

        Args:
            amount: More than 0 where more was used, less than 0 where less was; what is used may come below 0.

        Raises:
            UnknownFeature: The catalog has no such feature.
            TypeError: It is not used up, the amount is no number, or the operation identifies nothing.
            ConfigurationError: The amount is 0 or not possible, or only credits pay for the feature.
            OperationConflict: The operation was used before for something else.
            StoreUnavailable: No answer.
        """
        feature = plain("feature", feature)
        given: dict[str, object] = {"feature": feature, "amount": encode_value(amount)}
        operation = operation_id(operation)
        request = self._request("adjust", tenant, _nothing, given, because, operation, None, tx)
        return self._change(_adjust(self._setting, replace(request, is_forced=True), operation, feature, amount))


def _nothing(on: Ground) -> tuple[()]:
    return ()


def _adjust(setting: Setting, request: Request, operation: str, feature: str, amount: Amount) -> Flow[Change]:
    what = yield from correction(setting, request.tenant, feature, amount, request.tx)
    change = yield from change_tenant(setting, request)
    altered = (Altered(f"used of {feature}", str(what.before), str(what.after)),)
    if request.author.is_dry:
        return replace(change, altered=altered) if change.reason is ChangeReason.DRY_RUN else change
    # What a repetition of the change is known by, the ledger needs not compare again.
    if not (yield from correct(setting, what, operation, f"adjust {feature} {what.units}", request.tx)):
        return change
    done = moment(setting.now())
    return replace(change, applied=True, reason=ChangeReason.APPLIED, altered=altered, effective_at=done)
