"""
Setting units aside for one act, and closing what was set aside: all policy of reservations, in either colour.

Who may have them is decided once, when they are set aside. So `settle` asks for no facts and works in an outage of the
store: what was really used is charged, also beyond the hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.answering import look, near_view
from payaid_entitlements.cache.counting import Post, ReadBalances, ReadHold
from payaid_entitlements.cache.steps import Flow
from payaid_entitlements.core.identity import Operation, identify, operation_id
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.amounts import to_amount, to_units
from payaid_entitlements.core.metering.encoding import posted_from
from payaid_entitlements.core.metering.kept import KeptEntry, KeptHold
from payaid_entitlements.core.metering.lots import Metered
from payaid_entitlements.core.metering.posting import Extend, Posted, Release, Settle
from payaid_entitlements.core.metering.usage import Usage, usage
from payaid_entitlements.core.values import Amount
from payaid_entitlements.errors import ConfigurationError, UnknownOperation
from payaid_entitlements.metering.act import act
from payaid_entitlements.metering.attempts import attempt_names, kept, require_another
from payaid_entitlements.metering.consuming import count
from payaid_entitlements.metering.remembering import remembered
from payaid_entitlements.metering.telling import tell
from payaid_entitlements.stores.ports import Transaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.core.metering.posting import AccountId, Balance
    from payaid_entitlements.metering.hearing import Handlers

#: The longest that a hold or a slot may live, and be extended by, at once.
LONGEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Held:
    """
    A hold, as far as it is known here.

    Attributes:
        operation: As the caller named it, as text.
        name: Of the attempt under which the ledger has it.
        metered: How it is counted.
        replayed: The same operation had made it before.
    """

    tenant: str
    operation: str
    name: str
    metered: Metered
    amount: Amount
    expires: Instant
    replayed: bool = False


def reserve(
    setting: Setting,
    handlers: Handlers,
    tenant: str,
    feature: str,
    amount: object,
    *,
    operation: Operation,
    expires_in: timedelta,
) -> Flow[Held]:
    """
    Set *amount* aside, once for *operation*. What an earlier attempt has given back is set aside anew.

    Raises:
        Refused: Less is left, or it is not sold.
        ConfigurationError, TypeError, OperationConflict, StoreUnavailable, OutcomeUnknown: As in `count`.
    """
    length = microseconds("expires_in", expires_in)
    text = operation_id(operation)
    names = require_another(text)
    while True:
        name = next(names)
        asked = replace(act(tenant, "reserve", {feature: amount}, operation, expires_in=length), operation=name)
        counted = yield from count(setting, handlers, asked)
        counted.or_raise()
        posted = cast("Posted", counted.posted)
        metered, filled = counted.view.metering(feature), posted.filled[0]
        held = Held(
            tenant, text, name, metered, to_amount(filled.amount, metered.feature), cast("Instant", filled.expires)
        )
        if not posted.replayed:
            return held
        hold = cast("KeptHold | None", (yield ReadHold(tenant, name, setting.told_time())))
        if hold is not None:
            return replace(held, expires=hold.expires, replayed=True)
        if _is_settled((yield from kept(tenant, name))):
            return replace(held, replayed=True)


def find(setting: Setting, tenant: str, operation: Operation) -> Flow[Held]:
    """
    Find the hold that *operation* made, in whatever process.

    Returns:
        The last attempt, which may be settled, released or expired: settling it says so.

    Raises:
        UnknownOperation: It made none.
        StoreUnavailable: The ledger gave no answer; or the store gave none, and not even the catalog is known.
    """
    text = operation_id(operation)
    identify("tenant", tenant)
    last: Held | None = None
    for name in attempt_names(text):
        hold = cast("KeptHold | None", (yield ReadHold(tenant, name, setting.told_time())))
        if hold is not None:
            return (yield from _as_kept(setting, text, hold))
        entries = yield from kept(tenant, name)
        if 0 not in entries or entries[0].kind != "hold":
            break
        last = yield from _as_entered(setting, text, entries[0])
        if _is_settled(entries):
            break
    if last is None:
        raise UnknownOperation(f"nothing was ever reserved for {tenant!r} by {operation!r}, or long ago")
    return last


def settle(
    setting: Setting, handlers: Handlers, held: Held, actual: object = None, tx: Transaction | None = None
) -> Flow[Usage]:
    """
    Charge *actual* units of what is held, all where it is None, and free the rest.

    Raises:
        TypeError, ConfigurationError: *actual* is no possible amount; or *tx* cannot be joined.
        ReservationExpired, OperationConflict, UnknownOperation, OutcomeUnknown, StoreUnavailable: As in `Ledger.post`.
    """
    metered = held.metered
    units = None if actual is None else to_units(actual, metered.feature, least=0)
    step = Post(held.tenant, (Settle(held.name, units),), now=setting.told_time(), tx=tx)
    posted = cast("Posted", (yield step))
    yield from tell(setting, handlers, crossed=bool(posted.crossings), tx=tx)
    filled = posted.filled[0]
    balances: Sequence[Balance] = filled.balances
    if posted.replayed:
        # What is used now: others have used more since.
        read = ReadBalances(held.tenant, metered.accounts, setting.told_time(), tx)
        balances = metered.in_order(cast("Mapping[AccountId, Balance]", (yield read)))
    said = usage(metered, balances, replayed=posted.replayed)
    return replace(said, taken=to_amount(filled.amount, metered.feature))


def release(setting: Setting, held: Held) -> Flow[None]:
    """Free all that is held; see `Ledger.post`."""
    yield Post(held.tenant, (Release(held.name),), now=setting.told_time())


def extend(setting: Setting, held: Held, by: timedelta) -> Flow[Held]:
    """
    Let a hold live *by* longer.

    Raises:
        TypeError, ConfigurationError: *by* is no possible length.
        ReservationExpired, UnknownOperation, StoreUnavailable: As in `Ledger.post`.
    """
    length = microseconds("by", by)
    posted = cast("Posted", (yield Post(held.tenant, (Extend(held.name, length),), now=setting.told_time())))
    return replace(held, expires=cast("Instant", posted.filled[0].expires))


def microseconds(word: str, length: object) -> int:
    """
    Read how long something lives.

    Raises:
        TypeError: It is no timedelta.
        ConfigurationError: It is not positive, or longer than `LONGEST`.
    """
    if not isinstance(length, timedelta):
        raise TypeError(f"{word}={length!r}: give a timedelta, such as timedelta(minutes=5)")
    if not timedelta(0) < length <= LONGEST:
        raise ConfigurationError(f"{word}={length}: it is more than nothing and at most {LONGEST.days} days")
    return length // timedelta(microseconds=1)


def _is_settled(entries: Mapping[int, KeptEntry]) -> bool:
    return 1 in entries and entries[1].kind == "settle"


def _as_kept(setting: Setting, operation: str, hold: KeptHold) -> Flow[Held]:
    """The hold that a ledger keeps, counted as it was when it was made."""
    debit = hold.debit
    metered = yield from _metering(setting, hold.tenant, debit.feature)
    if metered.lines != debit.lines:
        metered = replace(metered, lines=debit.lines, sink=debit.sink, window=None)
    amount = to_amount(debit.amount, metered.feature)
    return Held(hold.tenant, operation, hold.operation, metered, amount, hold.expires, replayed=True)


def _as_entered(setting: Setting, operation: str, entry: KeptEntry) -> Flow[Held]:
    """A hold that is not open any more."""
    filled = posted_from(entry.answer).filled[0]
    metered = yield from _metering(setting, entry.tenant, filled.feature)
    amount = to_amount(filled.amount, metered.feature)
    return Held(
        entry.tenant, operation, entry.operation, metered, amount, cast("Instant", filled.expires), replayed=True
    )


def _metering(setting: Setting, tenant: str, key: str) -> Flow[Metered]:
    """How *key* is counted now; what was set aside can be closed also in an outage, and of what is sold no more."""
    view = near_view(setting, tenant, None) or (yield from look(setting, tenant))
    return remembered(view, key)
