"""
What can be changed: the verbs, written once. The two clients differ in what performs a flow.

Datetimes are taken in here and must be aware. All verbs share some arguments:

- ``operation``: your id of the act, the same on each try; repeated, nothing happens and the reason is ``change.repeated``.
- ``as_of``: when the source said it; older than what is known of the same thing, it is ``change.superseded``.
- ``tx``: your open transaction. The change then holds when you commit; this process sees it at its next look at the
  change log, within two seconds, or at once where you ask with ``after=change.revision``.
- ``because``: why; without it, what the `Admin` was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from os import PathLike
from typing import Generic, Literal, TypeVar

from payaid_entitlements.admin.change import Author, Change
from payaid_entitlements.admin.selling import migrate_all, publish_catalog
from payaid_entitlements.admin.switches import set_killed, set_mode
from payaid_entitlements.admin.tenants import Request, Work, change_tenant
from payaid_entitlements.admin.undoing import undo_change
from payaid_entitlements.cache.loading import Setting
from payaid_entitlements.cache.steps import Flow
from payaid_entitlements.core import adding, changing, overriding
from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.changing import When
from payaid_entitlements.core.controls import Enforcement, enforcement
from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.identity import Operation, identify, operation_id
from payaid_entitlements.core.instant import Instant, instant
from payaid_entitlements.core.subscription import MAIN
from payaid_entitlements.core.values import Deny, Value
from payaid_entitlements.errors import ConfigurationError, UnknownTenant
from payaid_entitlements.stores.ports import Transaction

#: What a verb returns: a `Change`, or a coroutine of one.
R = TypeVar("R")


class Verbs(Generic[R]):
    """
    What `Admin` and `AsyncAdmin` can do.

    Args:
        actor: Who asks: a person, or a program such as ``webhook:payments``.
        because: Why, for all calls that do not say it themselves.
        dry_run: Work everything out and write nothing; each `Change` is what it would be.

    Raises:
        TypeError: The actor is nobody.
    """

    def __init__(self, setting: Setting, actor: str, *, because: str | None, dry_run: bool) -> None:
        self._setting = setting
        self._author = Author(identify("actor", actor), because, dry_run)

    def _change(self, flow: Flow[Change]) -> R:
        """Perform a flow."""
        raise TypeError("use Admin or AsyncAdmin")  # pragma: no cover - each client has its own

    # -- subscriptions ------------------------------------------------------------------------------------------

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
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Begin a subscription to the newest version of *plan*, in place of the one of the same *name*.

        Args:
            trial: Begin the plan's trial. Who may have one, and how often, is up to you.
            add_ons: Quantity by add-on.
            anchor: Where billing periods are counted from; None for the start.
            starts: None for now. Nothing is held before; not allowed while another subscription is in force.
            ends: It ends then by contract.
            timezone: IANA name of the zone of its periods; None for the tenant's, else the catalog's.
            name: Tells several subscriptions of one tenant apart.

        Raises:
            UnknownPlan: The catalog has no such plan or add-on.
            ConfigurationError: The plan has no trial, or the add-ons are not for it.
        """
        given: dict[str, object] = {
            "plan": plan,
            "trial": trial,
            "add_ons": dict(add_ons or {}),
            "anchor": _at(anchor),
            "starts": _at(starts),
            "ends": _at(ends),
            "timezone": timezone,
        }
        work = partial(
            changing.subscribe,
            plan=plan,
            trial=trial,
            add_ons=add_ons,
            anchor=_at(anchor),
            starts=_at(starts),
            ends=_at(ends),
            timezone=timezone,
            name=identify("name", name),
        )
        return self._subscription("subscribe", tenant, work, given, name, because, operation, as_of, tx)

    def change_plan(
        self,
        tenant: str,
        plan: str,
        *,
        when: Literal["now", "period_end"] | datetime = "now",
        name: str = MAIN,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Hold the newest version of *plan* from *when* on.

        A trial ends by it: that was the purchase. A change that was scheduled for later is dropped, and add-ons that are
        not for the new plan end. A cancellation, a pause and an overdue payment stay.

        Raises:
            UnknownPlan, UnknownTenant: There is no such plan, or no subscription.
        """
        work = partial(changing.change_plan, plan=plan, when=_when(when), name=identify("name", name))
        given: dict[str, object] = {"plan": plan, "when": _when(when)}
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
        work = partial(adding.set_add_on, add_on=add_on, quantity=quantity, name=identify("name", name))
        given: dict[str, object] = {"add_on": add_on, "quantity": quantity}
        return self._subscription("set_add_on", tenant, work, given, name, because, operation, as_of, tx)

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
        """Let a subscription end at *when*; a trial's period ends with the trial. `undo` takes it back."""
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
        """Pause a subscription, to *until* or until it is resumed. The catalog says what stays open meanwhile."""
        work = partial(changing.pause, until=_at(until), name=identify("name", name))
        return self._subscription("pause", tenant, work, {"until": _at(until)}, name, because, operation, as_of, tx)

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
        """Note that payment is due since *since*: the catalog's grace counts from there. A second failure restarts nothing."""
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

    # -- tenants as a whole -------------------------------------------------------------------------------------

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
        to: Value | Deny,
        *,
        until: datetime | None = None,
        user: str | None = None,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """
        Let a module or feature be *to* for a tenant, whatever was bought.

        Args:
            to: True, False or `DENY` for a module or switch; an amount, ``"500/month"``, `UNLIMITED` or `DENY` for what
                is metered; else a value of the feature's type.
            until: It ends then; None for never.
            user: Only for this user. `DENY` for the tenant or the user beats a value for the other.

        Raises:
            UnknownFeature: The catalog has no such key.
            TypeError: *to* is of another kind than the feature, or nobody said why.
            ConfigurationError: *to* is no value that it can have, or *until* is over.
        """
        given: dict[str, object] = {"feature": feature, "to": _shown(to), "until": _at(until), "user": user}
        work = partial(
            overriding.override,
            feature=feature,
            to=to,
            until=_at(until),
            user=None if user is None else identify("user", user),
            because=because or self._author.because,
            actor=self._author.actor,
        )
        return self._tenant("override", tenant, work, given, because, operation, as_of, tx, user)

    def clear_override(
        self,
        tenant: str,
        feature: str,
        *,
        user: str | None = None,
        because: str | None = None,
        operation: Operation | None = None,
        as_of: datetime | None = None,
        tx: Transaction | None = None,
    ) -> R:
        """Let what was bought count again."""
        work = partial(overriding.clear_override, feature=feature, user=None if user is None else identify("user", user))
        given: dict[str, object] = {"feature": feature, "user": user}
        return self._tenant("clear_override", tenant, work, given, because, operation, as_of, tx, user)

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
        """Move a tenant, with its subscriptions, to another time zone (IANA name). The window that runs ends in the old one."""
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
        """Let every process read a tenant anew: for hosts that keep subscriptions in a table of their own, after changing it."""
        request = self._request("invalidate", tenant, _nothing, {}, because, operation, None, tx)
        return self._change(change_tenant(self._setting, replace(request, is_forced=True)))

    def forget(
        self, tenant: str, *, because: str | None = None, operation: Operation | None = None, tx: Transaction | None = None
    ) -> R:
        """
        Erase all that is known about a tenant, also from the audit trail. That it was erased, when and by whom stays.

        Raises:
            UnknownTenant: Nothing was ever recorded about it.
        """
        request = self._request("forget", tenant, _nothing, {}, because, operation, None, tx)
        return self._change(change_tenant(self._setting, replace(request, erases=True, check=_require_known)))

    # -- what is sold, and switches -----------------------------------------------------------------------------

    def publish(
        self, catalog: Catalog | str | PathLike[str] | Mapping[str, object], *, migrate: Iterable[str] = (), because: str | None = None
    ) -> R:
        """
        Sell what *catalog* says. Each plan that changed gets a new version; who holds an older one keeps it.

        Args:
            catalog: A `Catalog`, or what `Catalog.load` takes.
            migrate: Plans whose holders move to the new version at once.

        Raises:
            CatalogInvalid: It has mistakes, or takes the meaning from what somebody may hold.
        """
        new = catalog if isinstance(catalog, Catalog) else Catalog.load(catalog)
        return self._change(publish_catalog(self._setting, self._by(because), new, tuple(migrate)))

    def migrate(
        self, plan: str, *, to: int | None = None, progress: Callable[[int, int], None] | None = None, because: str | None = None
    ) -> R:
        """
        Move all who hold an older version of *plan* to version *to*, by default the newest.

        Each tenant is a change of its own; interrupted, call it again and it goes on with those who are left.

        Args:
            progress: Is told, after each hundred tenants, how many were looked at and how many moved.
        """
        return self._change(migrate_all(self._setting, self._by(because), plan, to, progress))

    def kill(self, key: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """Turn a module or feature off for everybody, at once."""
        return self._change(set_killed(self._setting, self._by(because), key, True, _operation(operation)))

    def restore(self, key: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """Undo `kill`."""
        return self._change(set_killed(self._setting, self._by(because), key, False, _operation(operation)))

    def set_enforcement(
        self, scope: str, mode: Enforcement | str, *, because: str | None = None, operation: Operation | None = None
    ) -> R:
        """
        Set whether refusals are carried out.

        Args:
            scope: A module, or ``"*"`` for wherever no module has a mode of its own.
            mode: ``off``, ``observe`` or ``enforce``.
        """
        word = enforcement(mode, source="mode")
        return self._change(set_mode(self._setting, self._by(because), scope, word, _operation(operation)))

    def undo(self, change_id: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """
        Let everything that a change touched be, from now on, what it would be without that change.

        An undoing can be undone. What was published or forgotten cannot.

        Raises:
            ChangeConflict: Something of it was changed since; the message names that change: undo it first.
            ConfigurationError: There is no such change, or it cannot be undone.
        """
        author = self._by(because)
        return self._change(undo_change(self._setting, author, identify("change_id", change_id), _operation(operation)))

    # -- how a request is made ----------------------------------------------------------------------------------

    def _by(self, because: str | None) -> Author:
        return replace(self._author, because=because or self._author.because)

    def _request(
        self,
        verb: str,
        tenant: str,
        work: Work,
        given: Mapping[str, object],
        because: str | None,
        operation: Operation | None,
        as_of: datetime | None,
        tx: Transaction | None,
    ) -> Request:
        return Request(
            identify("tenant", tenant),
            verb,
            work,
            given,
            self._by(because),
            operation=_operation(operation),
            as_of=_at(as_of),
            tx=tx,
        )

    def _tenant(
        self,
        verb: str,
        tenant: str,
        work: Work,
        given: Mapping[str, object],
        because: str | None,
        operation: Operation | None,
        as_of: datetime | None,
        tx: Transaction | None,
        user: str | None = None,
    ) -> R:
        request = self._request(verb, tenant, work, given, because, operation, as_of, tx)
        return self._change(change_tenant(self._setting, replace(request, user=user)))

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
        return self._tenant(verb, tenant, partial(changing.set_status, status=status), {}, because, operation, as_of, tx)


def _nothing(on: changing.Ground) -> tuple[()]:
    return ()


def _require_known(document: TenantDocument) -> Flow[None]:
    if not document.revision:
        raise UnknownTenant(f"nothing was ever recorded about tenant {document.tenant!r}")
    yield from ()


def _at(moment: datetime | None) -> Instant | None:
    return None if moment is None else instant(moment)


def _when(when: Literal["now", "period_end"] | datetime) -> When:
    if not isinstance(when, str):
        return instant(when)
    if when in ("now", "period_end"):
        return when
    raise ConfigurationError(f"when={when!r}; write 'now', 'period_end' or give a datetime")


def _operation(operation: Operation | None) -> str | None:
    return None if operation is None else operation_id(operation)


def _shown(to: Value | Deny) -> object:
    """What an override was asked to be, as JSON data; a wrong type is refused later, by name."""
    try:
        return encode_value(to)
    except TypeError:
        return repr(to)
