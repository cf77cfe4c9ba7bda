"""
Changing subscriptions: what billing does.

All verbs share some arguments:

- ``operation``: your id of the act, the same on each try; repeated, nothing happens: reason ``change.repeated``.
- ``as_of``: when the source said it; without it, now. Of what has begun, what was said last holds; where nothing of a
  message holds any more it is ``change.superseded``. At most five minutes ahead of this host's clock.
- ``tx``: your open transaction. The change holds when you commit; this process sees it at its next look at the change
  log, within two seconds, or at once where you ask with ``after=change.revision``.
- ``because``: why; without it, what the `Admin` was made with.

Datetimes must be aware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Literal

from payaid_entitlements.admin.asking import Asking, R, by_key, optional_instant
from payaid_entitlements.admin.tenants import Work, change_tenant
from payaid_entitlements.core import adding, changing
from payaid_entitlements.core import provider_ids as naming
from payaid_entitlements.core.ground import When
from payaid_entitlements.core.identity import Operation, identify, plain
from payaid_entitlements.core.instant import instant
from payaid_entitlements.core.metering.carrying import CARRY_MODES, CarryMode
from payaid_entitlements.core.subscription import MAIN
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ports import Transaction


class SubscriptionVerbs(Asking[R]):
    """Verbs about subscriptions. A host that keeps those itself (``subscriptions=``) gets a `ConfigurationError`."""

    def subscribe(
        self,
        tenant: str,
        plan: str,
        *,
        trial: bool = False,
        add_ons: Mapping[str, int] | None = None,
        anchor: datetime | None = None,
        starts: datetime | None = None,
        ends: datetime | None = None,
        timezone: str | None = None,
        provider_ids: Mapping[str, str] | None = None,
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Begin a subscription to the newest version of *plan*, in place of the one of the same *name*.

        What was said before about the one before, and arrives after this, is superseded.

        Args:
            trial: Begin the plan's trial. Who may have one, and how often, is up to you.
            add_ons: Quantity by add-on.
            anchor: Where billing periods are counted from; None for the start.
            starts: None for now. Nothing is held before; not allowed while another subscription is in force.
            ends: It ends then by contract; in the future, after *starts*. To note one that is over, leave this out and
                ``cancel(tenant, when=...)`` at that instant.
            timezone: IANA name of the zone of its periods; None for the tenant's, else the catalog's.
            provider_ids: What payment providers call it, by provider: ``{"stripe": "sub_1Q"}``.
            name: Tells several subscriptions of one tenant apart.

        Raises:
            UnknownPlan: The catalog has no such plan or add-on.
            ConfigurationError: The plan has no trial, or the add-ons are not for it; an instant makes no sense.
        """
        plan, add_ons, provider_ids = (
            plain("plan", plan),
            by_key("add_ons", add_ons),
            by_key("provider_ids", provider_ids),
        )
        given: dict[str, object] = {
            "plan": plan,
            "trial": trial,
            "add_ons": add_ons,
            "anchor": optional_instant(anchor),
            "starts": optional_instant(starts),
            "ends": optional_instant(ends),
            "timezone": timezone,
            "provider_ids": provider_ids,
        }
        work = partial(
            changing.subscribe,
            plan=plan,
            trial=trial,
            add_ons=add_ons,
            anchor=optional_instant(anchor),
            starts=optional_instant(starts),
            ends=optional_instant(ends),
            timezone=timezone,
            provider_ids=provider_ids,
            name=identify("name", name),
        )
        return self._subscription("subscribe", tenant, work, given, name, because, operation, as_of, tx)

    def change_plan(
        self,
        tenant: str,
        plan: str,
        *,
        when: Literal["now", "period_end"] | datetime = "now",
        usage: CarryMode = "carry_usage",
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Hold the newest version of *plan* from *when* on.

        A trial ends by it: that was the purchase, and takes back that the trial was cancelled. A change that was
        scheduled for later is dropped, and add-ons that are not for the new plan end. Any other cancellation, a pause
        and an overdue payment stay.

        Args:
            usage: What was used in the windows that run counts against the new limits (``carry_usage``); or what
                is left of the old limits can be used besides, until their windows end (``carry_balance``); or neither
                (``fresh``). Of a plan that is held already nothing begins anew, however often it is said.

        Raises:
            UnknownPlan, UnknownTenant: There is no such plan, or no subscription.
            ConfigurationError: *when* is over, and there is no *as_of* that says who said so then; *usage* is another
                word.
        """
        plan = plain("plan", plan)
        if usage not in CARRY_MODES:
            raise ConfigurationError(f"usage={usage!r}; write one of {', '.join(map(repr, CARRY_MODES))}")
        work = partial(changing.change_plan, plan=plan, when=_when(when), usage=usage, name=identify("name", name))
        given: dict[str, object] = {"plan": plan, "when": _when(when)}
        if usage != "carry_usage":
            # Releases that knew no other did not write it down, and their operations may be repeated.
            given["usage"] = usage
        return self._subscription("change_plan", tenant, work, given, name, because, operation, as_of, tx)

    def set_add_on(
        self,
        tenant: str,
        add_on: str,
        quantity: int,
        *,
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Hold *quantity* of an add-on from now on; 0 gives it back.

        Raises:
            UnknownPlan, UnknownTenant: There is no such add-on, or no subscription.
            ConfigurationError: It is not for the plan that is held, or too many.
        """
        add_on = plain("add_on", add_on)
        work = partial(adding.set_add_on, add_on=add_on, quantity=quantity, name=identify("name", name))
        given: dict[str, object] = {"add_on": add_on, "quantity": quantity}
        return self._subscription("set_add_on", tenant, work, given, name, because, operation, as_of, tx)

    def set_provider_id(
        self,
        tenant: str,
        provider: str,
        id: str | None,
        *,
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Note what a payment provider calls a subscription; None for nothing any more. No decision looks at it.

        Raises:
            UnknownTenant: There is no such subscription.
            TypeError: The provider or the id identifies nothing.
        """
        work = partial(naming.set_provider_id, provider=provider, id=id, name=identify("name", name))
        given: dict[str, object] = {"provider": provider, "id": id}
        return self._subscription("set_provider_id", tenant, work, given, name, because, operation, as_of, tx)

    def cancel(
        self,
        tenant: str,
        *,
        when: Literal["now", "period_end"] | datetime = "period_end",
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Let a subscription end at *when*; a trial's period ends with the trial.

        Cancelling never lengthens: of several cancellations the earliest counts, and what is over stays over
        (``change.unchanged``). `undo` takes one back. In a message, pass the instant that the provider names:
        "period_end" is worked out from what has arrived by then.
        """
        work = partial(changing.cancel, when=_when(when), name=identify("name", name))
        return self._subscription("cancel", tenant, work, {"when": _when(when)}, name, because, operation, as_of, tx)

    def pause(
        self,
        tenant: str,
        until: datetime | None = None,
        *,
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Pause a subscription, to *until* or until it is resumed. The catalog says what stays open meanwhile.

        Raises:
            ConfigurationError: *until* is over already.
        """
        work = partial(changing.pause, until=optional_instant(until), name=identify("name", name))
        return self._subscription(
            "pause", tenant, work, {"until": optional_instant(until)}, name, because, operation, as_of, tx
        )

    def resume(
        self,
        tenant: str,
        *,
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """End the pause of a subscription."""
        work = partial(changing.resume, name=identify("name", name))
        return self._subscription("resume", tenant, work, {}, name, because, operation, as_of, tx)

    def past_due(
        self,
        tenant: str,
        since: datetime,
        *,
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """Note that payment is due since *since*: grace counts from the earliest failure after the last payment."""
        work = partial(changing.past_due, since=instant(since), name=identify("name", name))
        given: dict[str, object] = {"since": instant(since)}
        return self._subscription("past_due", tenant, work, given, name, because, operation, as_of, tx)

    def paid(
        self,
        tenant: str,
        *,
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """Note that nothing is due any more."""
        work = partial(changing.paid, name=identify("name", name))
        return self._subscription("paid", tenant, work, {}, name, because, operation, as_of, tx)

    def _subscription(
        self,
        verb: str,
        tenant: str,
        work: Work,
        given: Mapping[str, object],
        name: str,
        because: str | None,
        operation: Operation | None,
        as_of: datetime | None,
        tx: Transaction | None,
    ) -> R:
        request = self._request(verb, tenant, work, {**given, "name": name}, because, operation, as_of, tx)
        return self._change(change_tenant(self._setting, replace(request, is_about_subscription=True)))


def _when(when: Literal["now", "period_end"] | datetime) -> When:
    if not isinstance(when, str):
        return instant(when)
    if when in ("now", "period_end"):
        return when
    raise ConfigurationError(f"when={when!r}; write 'now', 'period_end' or give a datetime")
