"""What becomes of acts: `Settle`, `Release`, `Extend` of a hold, `Refund` of what was used; and holds that expire."""

from __future__ import annotations

from dataclasses import replace

from payaid_entitlements.core.metering.draft import Draft, crossings
from payaid_entitlements.core.metering.encoding import posted_from
from payaid_entitlements.core.metering.kept import KeptHold
from payaid_entitlements.core.metering.posting import (
    MOST,
    Extend,
    Filled,
    Posted,
    Refund,
    Release,
    Settle,
    Short,
    Take,
)
from payaid_entitlements.core.metering.spreading import Spread, spread
from payaid_entitlements.errors import ConfigurationError, OperationConflict, ReservationExpired, UnknownOperation


def expire(draft: Draft, hold: KeptHold) -> None:
    """Free what a hold has that nobody settled in time."""
    _free(draft, hold, "expire")


def settle(draft: Draft, posting: Settle) -> Posted:
    """Charge what was used of a hold."""
    operation = posting.operation
    held = _held(draft, operation)
    actual = held.amount if posting.actual is None else posting.actual
    closed = draft.entry(operation, 1)
    if closed is not None and closed.kind == "settle":
        first = posted_from(closed.answer)
        if first.filled[0].amount != actual:
            raise OperationConflict(
                f"reservation {operation!r} was settled before, with {first.filled[0].amount} and not {actual}"
            )
        return first
    hold = _open(draft, operation)
    debit, left, freed, charged = hold.debit, actual, [], []
    # What is held is charged in the order in which it was set aside; overage is the last of it.
    for units in (*_units_by_line(hold, held), held.overage):
        freed.append(units)
        charged.append(min(units, left))
        left -= charged[-1]
    if left:
        # All that is held is used then, so what is free does not change by it.
        more = spread(replace(debit, amount=left, short=Short.OVERFLOW), draft.balances, draft.now)
        assert isinstance(more, Spread)
        charged = [was + units for was, units in zip(charged, (*more.units, more.overage), strict=True)]
    places = (*debit.lines, debit.lines[debit.sink])
    takes = tuple(
        Take(line.meter, line.lot, used * line.cost, -was * line.cost, line.cost)
        for line, used, was in zip(places, charged, freed, strict=True)
        if used or was
    )
    before = draft.totals(debit.lines, debit.marks)
    lines = {line.account: line for line in debit.lines}
    for take in takes:
        # What accounts say of their caps may be newer than the hold: it only speaks of those that are new.
        account = take.meter, take.lot
        draft.move(take, None if account in draft.balances else lines[account])
    marked = crossings(debit.marks, before, draft.totals(debit.lines, debit.marks))
    draft.put_hold(operation, None)
    filled = Filled(actual, charged[-1], takes, draft.balances_of(debit.lines), feature=debit.feature)
    return draft.enter(operation, 1, "settle", None, [filled], marked)


def release(draft: Draft, posting: Release) -> Posted:
    """Free all of a hold."""
    operation = posting.operation
    _held(draft, operation)
    closed = draft.entry(operation, 1)
    if closed is not None:
        first = posted_from(closed.answer)
        if closed.kind == "settle" and first.filled[0].amount:
            raise OperationConflict(f"reservation {operation!r} was settled, with {first.filled[0].amount}; refund it")
        return first
    return _free(draft, _open(draft, operation), "release")


def extend(draft: Draft, posting: Extend) -> Posted:
    """Let a hold live longer."""
    operation = posting.operation
    _held(draft, operation)
    closed = draft.entry(operation, 1)
    if closed is not None and closed.kind == "settle":
        raise OperationConflict(f"reservation {operation!r} was settled; it cannot be extended")
    hold = _open(draft, operation)
    expires = hold.expires + posting.by
    if expires > MOST:
        raise ConfigurationError(f"reservation {operation!r} would never expire; extend it by less")
    draft.put_hold(operation, replace(hold, expires=expires))
    return Posted((Filled(expires=expires, feature=hold.debit.feature),), draft.now)


def refund(draft: Draft, posting: Refund) -> Posted:
    """Give back what was used."""
    operation = posting.operation
    taken = _used_up(draft, operation)
    amounts = {filled.feature: _used_units(filled) for filled in taken}
    wanted = amounts if posting.amounts is None else dict(posting.amounts)
    wanted = {feature: amount for feature, amount in wanted.items() if amount}
    before = draft.entry(operation, 2)
    if before is not None:
        first = posted_from(before.answer)
        if {filled.feature: filled.amount for filled in first.filled if filled.amount} != wanted:
            raise OperationConflict(f"operation {operation!r} was refunded before, with another amount")
        return first
    for feature, amount in wanted.items():
        if amount > amounts.get(feature, 0):
            raise ConfigurationError(
                f"operation {operation!r} used {amounts.get(feature, 0)} of {feature!r}; {amount} cannot be given back"
            )
    back = [_given_back(filled, wanted.get(filled.feature, 0)) for filled in taken]
    for filled in back:
        for take in filled.takes:
            draft.move(take)
    return draft.enter(operation, 2, "refund", None, back, [])


def _given_back(filled: Filled, amount: int) -> Filled:
    """What undoes *amount* of what was taken: its last movements first, which is what was beyond all caps."""
    left, takes = amount, []
    for take in reversed(filled.takes):
        units = min(left, take.used // take.cost)
        left -= units
        if units:
            takes.append(Take(take.meter, take.lot, used=-units * take.cost, cost=take.cost))
    return Filled(amount, min(amount, filled.overage), tuple(reversed(takes)), feature=filled.feature)


def _used_units(filled: Filled) -> int:
    return sum(take.used // take.cost for take in filled.takes)


def _used_up(draft: Draft, operation: str) -> tuple[Filled, ...]:
    """What an operation used up: without movements where it is a hold that came to nothing."""
    act = draft.entry(operation, 0)
    if act is None:
        raise UnknownOperation(f"nothing is known of operation {operation!r}: it was never done, or long ago")
    if act.kind == "adjust":
        raise OperationConflict(f"operation {operation!r} is a correction; correct it by another one")
    filled = posted_from(act.answer).filled
    if act.kind == "debit":
        return filled
    if draft.hold(operation) is not None:
        raise OperationConflict(f"reservation {operation!r} is open; release it, or settle it before it is refunded")
    closed = draft.entry(operation, 1)
    if closed is not None and closed.kind == "settle":
        return posted_from(closed.answer).filled
    return tuple(Filled(feature=each.feature) for each in filled)


def _held(draft: Draft, operation: str) -> Filled:
    """What a hold set aside when it was made."""
    act = draft.entry(operation, 0)
    if act is None or act.kind != "hold":
        raise UnknownOperation(f"nothing is known of a reservation {operation!r}: it was never made, or long ago")
    return posted_from(act.answer).filled[0]


def _open(draft: Draft, operation: str) -> KeptHold:
    hold = draft.hold(operation)
    if hold is None:
        raise ReservationExpired(
            f"reservation {operation!r} has expired or was released; nothing was charged", operation=operation
        )
    return hold


def _units_by_line(hold: KeptHold, held: Filled) -> list[int]:
    """Units that are held within the cap of each line."""
    takes = held.takes[:-1] if held.overage else held.takes
    by_account = {(take.meter, take.lot): take.held // take.cost for take in takes}
    return [by_account.get(line.account, 0) for line in hold.debit.lines]


def _free(draft: Draft, hold: KeptHold, kind: str) -> Posted:
    costs = {line.account: line.cost for line in hold.debit.lines}
    takes = tuple(Take(take.meter, take.lot, held=-take.held, cost=costs[take.meter, take.lot]) for take in hold.takes)
    for take in takes:
        draft.move(take)
    draft.put_hold(hold.operation, None)
    filled = Filled(hold.debit.amount, 0, takes, feature=hold.debit.feature)
    return draft.enter(hold.operation, 1, kind, None, [filled], [])
