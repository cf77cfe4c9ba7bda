"""
Telling what was reached, after the commit.

A ledger records it with what reached it, in one transaction. The process that did so tells it at once; what nobody
told, since a process died or has no handlers, is found by whoever next meters and has some, within half a minute. It is
claimed for a while before it is told and dropped afterwards: each is told at least once, and twice only when somebody
dies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.answering import look, near_view
from payaid_entitlements.cache.counting import ClaimEvents, DropEvents
from payaid_entitlements.cache.steps import AfterCommit, CallHost, Flow
from payaid_entitlements.core.instant import MICROSECONDS, moment
from payaid_entitlements.core.metering.amounts import to_amount
from payaid_entitlements.core.metering.lots import threshold_at
from payaid_entitlements.core.observing import log
from payaid_entitlements.errors import EntitlementError, StoreUnavailable, UnknownFeature
from payaid_entitlements.metering.hearing import THRESHOLD, Event, Handler, Handlers

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.stores.ledger import UsageEvent
    from payaid_entitlements.stores.ports import Transaction

#: Seconds after which it is looked for what others have left.
EVERY: Final = 30.0
#: Microseconds for which nobody else tells what was claimed; a handler that failed is called again after it.
LEASE: Final = 60 * MICROSECONDS
#: Microseconds after which what no handler could take in is told no more.
GIVEN_UP: Final = 24 * 3600 * MICROSECONDS
#: Events that are claimed together.
PAGE: Final = 100


def tell(setting: Setting, handlers: Handlers, *, crossed: bool, tx: Transaction | None) -> Flow[None]:
    """
    Tell what was reached; never fails what has just been counted.

    Args:
        crossed: This process has just reached a mark.
        tx: The host's transaction in which it did, and after whose commit it is told.
    """
    if not handlers.of(THRESHOLD):
        return
    now = setting.near.clock()
    if crossed and tx is not None:
        if not (yield AfterCommit(tx, partial(deliver, setting, handlers))):
            # Nobody tells of that commit: whoever meters next looks.
            handlers.looked_at = None
    elif tx is None and (crossed or _is_due(handlers.looked_at, now)):
        handlers.looked_at = now
        yield from deliver(setting, handlers)


def _is_due(looked_at: float | None, now: float) -> bool:
    # A test's clock may have been put back.
    return looked_at is None or not 0 <= now - looked_at < EVERY


def deliver(setting: Setting, handlers: Handlers) -> Flow[None]:
    """Claim what nobody has told and tell it to all handlers, the oldest first."""
    try:
        while True:
            claimed = cast("Sequence[UsageEvent]", (yield ClaimEvents(PAGE, LEASE, setting.told_time())))
            # Of those that one posting reached the lower mark first.
            events = sorted(claimed, key=lambda event: (event.at, event.tenant, event.crossing.mark.at))
            done: list[str] = []
            for event in events:
                is_told = yield from _told(setting, handlers.of(THRESHOLD), event)
                done += [event.id] if is_told or _is_old(setting, event) else []
            if done:
                yield DropEvents(tuple(done))
            if len(events) < PAGE:
                return
    except EntitlementError as error:
        # What is claimed is told by somebody once the lease is over.
        setting.observer.count("events.unavailable")
        setting.observer.once("events.unavailable", kind=type(error).__name__, store_error=str(error))


def _told(setting: Setting, handlers: Sequence[Handler], event: UsageEvent) -> Flow[bool]:
    """Call every handler; True where none of them failed."""
    are_well = True
    said = yield from _said(setting, event)
    for handler in handlers:
        try:
            yield CallHost(partial(handler, said))
        except Exception as error:  # a handler is the host's: whatever it raises is told of, and harms nobody
            are_well = False
            setting.observer.count("event.failed", said.name)
            log.warning(
                "event.failed",
                of=said.name,
                handler=getattr(handler, "__qualname__", repr(handler)),
                error=f"{type(error).__name__}: {error}",
                event_id=said.id,
                meaning="it is called again within minutes",
            )
    return are_well


def _said(setting: Setting, event: UsageEvent) -> Flow[Event]:
    """The event as it is told: which part of the limit it was follows from what the tenant holds now."""
    mark = event.crossing.mark
    view = near_view(setting, event.tenant, None) or (yield from look(setting, event.tenant))
    try:
        metered = view.metering(mark.meter)
    except (StoreUnavailable, UnknownFeature, TypeError):
        # Nobody can be asked, or it is sold no more: what is known is told.
        feature, limit = view.definitions().get(mark.meter), None
    else:
        feature, limit = metered.feature, metered.limit
    return Event(
        THRESHOLD,
        event.id,
        event.tenant,
        mark.meter,
        None if not limit else threshold_at(limit, mark.at),
        mark.at if feature is None else to_amount(mark.at, feature),
        event.crossing.used if feature is None else to_amount(event.crossing.used, feature),
        event.operation,
        moment(event.at),
    )


def _is_old(setting: Setting, event: UsageEvent) -> bool:
    return event.at < setting.now() - GIVEN_UP
