"""
Changing a tenant as a whole: what support does.

All verbs share some arguments:

- ``operation``: your id of the act, the same on each try; repeated, nothing happens: reason ``change.repeated``.
- ``as_of``: when the source said it; without it, now. Of what has begun, what was said last holds; where nothing of a
  message holds any more it is ``change.superseded``. At most five minutes ahead of this host's clock.
- ``tx``: your open transaction. The change holds when you commit; this process sees it at its next look at the change
  log, within two seconds, or at once where you ask with ``after=change.revision``.
- ``because``: why; without it, what the `Admin` was made with.
- ``expect``, of overrides: the `TenantView.revision` that you looked at, to be sure of it; without it, what others have
  changed since is overridden too.

Datetimes must be aware.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from payaid_entitlements.admin.asking import Asking, R, optional_instant
from payaid_entitlements.admin.change import Change
from payaid_entitlements.admin.tenants import Request, change_tenant
from payaid_entitlements.cache.counting import ForgetUsage
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Flow, ForgetActivity
from payaid_entitlements.core import changing, overriding
from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.identity import Operation, identify, operation_id, plain
from payaid_entitlements.core.interval import Interval, parse_interval
from payaid_entitlements.core.metering import granting
from payaid_entitlements.core.metering.granting import PRIORITY
from payaid_entitlements.core.values import Amount, Deny, Value
from payaid_entitlements.errors import UnknownTenant
from payaid_entitlements.stores.ports import Transaction


class TenantVerbs(Asking[R]):
    """Verbs about tenants, whether or not they have a subscription."""

    def suspend(
        self,
        tenant: str,
        *,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """Refuse a tenant everything until it is reinstated; no enforcement mode softens that."""
        return self._status("suspend", "suspended", tenant, because, operation, as_of, tx)

    def revoke(
        self,
        tenant: str,
        *,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """Take everything back for good; as `suspend`, in words that say so."""
        return self._status("revoke", "revoked", tenant, because, operation, as_of, tx)

    def reinstate(
        self,
        tenant: str,
        *,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """Lift a suspension or revocation: what was bought counts again."""
        return self._status("reinstate", None, tenant, because, operation, as_of, tx)

    def override(
        self,
        tenant: str,
        feature: str,
        to: Value | Deny | list[str],
        *,
        from_: datetime | None = None,
        until: datetime | None = None,
        user: str | None = None,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Let a module, a feature or a rate limit be *to* for a tenant, whatever was bought.

        Args:
            feature: Its key; of a rate limit ``rate_limits.`` and its key.
            to: True, False or `DENY` for a module or switch; an amount, ``"500/month"``, `UNLIMITED` or `DENY` for what
                is metered; ``"500/hour"``, several such texts, `UNLIMITED` or `DENY` for a rate limit; else a value of
                the feature's type.
            from_: It begins then; None for now.
            until: It ends then, and what was said before counts again; None for never.
            user: Only for this user; of a rate limit only where it is ``per: user``. `DENY` for the tenant or the
                user beats a value for the other.
            expect: Revision of the tenant that you looked at; None where it need not be that.

        Raises:
            ChangeConflict: Somebody has changed the tenant since *expect*.
            UnknownFeature: The catalog has no such key.
            TypeError: *to* is of another kind than the feature, or nobody said why.
            ConfigurationError: *to* is no value that it can have; the interval is over, or empty.
        """
        feature = plain("feature", feature)
        value = tuple(to) if isinstance(to, list) else to
        given: dict[str, object] = {
            "feature": feature,
            "to": encode_value(value),
            "from": optional_instant(from_),
            "until": optional_instant(until),
            "user": user,
        }
        work = partial(
            overriding.override,
            feature=feature,
            to=value,
            from_=optional_instant(from_),
            until=optional_instant(until),
            user=None if user is None else identify("user", user),
            because=because or self._author.because,
            actor=self._author.actor,
        )
        return self._tenant("override", tenant, work, given, because, operation, as_of, tx, user, expect)

    def clear_override(
        self,
        tenant: str,
        feature: str,
        *,
        user: str | None = None,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Let what was bought count again.

        Raises:
            ChangeConflict: Somebody has changed the tenant since *expect*.
        """
        feature = plain("feature", feature)
        work = partial(
            overriding.clear_override, feature=feature, user=None if user is None else identify("user", user)
        )
        given: dict[str, object] = {"feature": feature, "user": user}
        return self._tenant("clear_override", tenant, work, given, because, operation, as_of, tx, user, expect)

    def grant(
        self,
        tenant: str,
        feature: str,
        amount: Amount,
        *,
        expires: datetime | str | None = None,
        priority: int = PRIORITY,
        promotional: bool = False,
        operation: Operation,
        because: str | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Give units of a quota or a credit once, beside what the tenant has; also of what its plan does not list.

        The `Change.id` is the grant's id, of which `void` takes back what is left.

        Args:
            amount: An int, or a Decimal with no more digits than the feature has.
            expires: What is left is gone then. An interval such as ``"1 month"`` or ``"90 days"`` counts from now, in
                the tenant's zone. None for never.
            priority: From 0 to 100; smaller is burnt first. What plans give has 50. Of equal ones what expires first is
                burnt first.
            promotional: It was not paid for: of two that are otherwise equal it is burnt first.

        Raises:
            UnknownFeature: The catalog has no such feature.
            TypeError: It is no quota and no credit; *amount* or *priority* is no number of its kind.
            ConfigurationError: *amount* is nothing, too much or too fine; *priority* is out of bounds; *expires* is
                over, or no interval.
        """
        feature = plain("feature", feature)
        ends = parse_interval(expires) if isinstance(expires, str) else optional_instant(expires)
        given: dict[str, object] = {
            "feature": feature,
            "amount": encode_value(amount),
            "expires": str(ends) if isinstance(ends, Interval) else ends,
            "priority": priority,
            "promotional": promotional,
        }
        work = partial(
            granting.grant,
            feature=feature,
            amount=amount,
            expires=ends,
            priority=priority,
            promotional=bool(promotional),
            because=because or self._author.because,
            actor=self._author.actor,
        )
        return self._tenant("grant", tenant, work, given, because, _required(operation), as_of, tx)

    def void(
        self,
        tenant: str,
        grant: str,
        *,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Take back what is left of a grant; what was used of it stays used.

        Args:
            grant: Its id: that of the change that granted it. `explain` names those in force, also of add-ons.

        Raises:
            ConfigurationError: The tenant has no such grant.
        """
        work = partial(granting.void, id=identify("grant", grant))
        return self._tenant("void", tenant, work, {"grant": grant}, because, operation, as_of, tx)

    def set_timezone(
        self,
        tenant: str,
        timezone: str,
        *,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """Move a tenant to another time zone (IANA name). The running window ends in the old one."""
        timezone = plain("timezone", timezone)
        work = partial(changing.set_timezone, timezone=timezone)
        return self._tenant("set_timezone", tenant, work, {"timezone": timezone}, because, operation, as_of, tx)

    def invalidate(
        self,
        tenant: str,
        *,
        because: str | None = None,
        operation: Operation | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """Let every process read a tenant anew: for hosts that keep subscriptions themselves."""
        request = self._request("invalidate", tenant, _nothing, {}, because, operation, None, tx)
        return self._change(change_tenant(self._setting, replace(request, is_forced=True)))

    def forget(
        self,
        tenant: str,
        *,
        because: str | None = None,
        operation: Operation | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Erase all that is known about a tenant: facts, what the audit trail says of them, and what was counted. That it
        was erased, when and by whom stays.

        Raises:
            UnknownTenant: Nothing was ever recorded about it. What was counted is erased nevertheless.
        """
        request = self._request("forget", tenant, _nothing, {}, because, operation, None, tx)
        return self._change(_forget(self._setting, replace(request, erases=True, check=_require_known)))

    def _status(
        self,
        verb: str,
        status: changing.VendorStatus | None,
        tenant: str,
        because: str | None,
        operation: Operation | None,
        as_of: datetime | None,
        tx: Transaction | None,
    ) -> R:
        return self._tenant(
            verb, tenant, partial(changing.set_status, status=status), {}, because, operation, as_of, tx
        )


def _required(operation: Operation) -> Operation:
    # Left out, Python has said so; None would be a grant that is given once more with each try.
    operation_id(operation)
    return operation


def _nothing(on: Ground) -> tuple[()]:
    return ()


def _forget(setting: Setting, request: Request) -> Flow[Change]:
    if not request.author.is_dry:
        # First: who is interrupted in between repeats it, and who has no facts may have used something all the same.
        yield ForgetUsage(request.tenant, request.tx)
        yield ForgetActivity(request.tenant, request.tx)
        if setting.sightings is not None:
            setting.sightings.forget(request.tenant)
    return (yield from change_tenant(setting, request))


def _require_known(document: TenantDocument) -> Flow[None]:
    if not document.revision:
        raise UnknownTenant(f"nothing was ever recorded about tenant {document.tenant!r}")
    yield from ()
