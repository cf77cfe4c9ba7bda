"""Postings that use units up or set them aside, `Debit`, `Hold`, `Adjust`; `Open`, which says how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from payaid_entitlements.core.metering.draft import Draft, crossings
from payaid_entitlements.core.metering.encoding import posted_from
from payaid_entitlements.core.metering.kept import KeptHold
from payaid_entitlements.core.metering.posting import (
    OPENED,
    Adjust,
    Debit,
    Filled,
    Hold,
    Line,
    Open,
    Posted,
    Shortage,
    Take,
)
from payaid_entitlements.core.metering.spreading import TooFew, spread
from payaid_entitlements.errors import OperationConflict


def repeated(draft: Draft, kind: str, operation: str, digest: str | None) -> Posted | None:
    """
    What an act came to that was done before; None where it was not.

    Raises:
        OperationConflict: Another act was done by that operation.
    """
    entry = draft.entry(operation, 0)
    if entry is None:
        return None
    if (entry.kind, entry.digest) != (kind, digest):
        raise OperationConflict(
            f"operation {operation!r} was used before for another {entry.kind}; an operation names one act, once"
        )
    return posted_from(entry.answer)


def debit(draft: Draft, debits: Sequence[Debit], operation: str, digest: str | None) -> Posted:
    """
    Use up units of one feature or more: all, or nothing.

    Each debit finds what those before it have left, where one account pays for several.
    """
    unopened = _unopened(draft, [line for each in debits for line in each.lines])
    if unopened is not None:
        return unopened
    # Of several that one account pays for, each has the same marks: what is reached is reached once.
    lines = {line.account: line for each in debits for line in each.lines}.values()
    marks = list(dict.fromkeys(mark for each in debits for mark in each.marks))
    saved, before = draft.saved(), draft.totals(lines, marks)
    done = []
    for index, each in enumerate(debits):
        found = spread(each, draft.balances, draft.now)
        if isinstance(found, TooFew):
            draft.undo(saved)
            return _short(draft, index, each, found)
        takes = takes_of(each, found.units, found.overage)
        move(draft, each, takes)
        done.append(Filled(found.amount, found.overage, takes, feature=each.feature))
    filled = [replace(gone, balances=draft.balances_of(each.lines)) for each, gone in zip(debits, done, strict=True)]
    marked = crossings(marks, before, draft.totals(lines, marks))
    return draft.enter(operation, 0, "debit", digest, filled, marked)


def hold(draft: Draft, posting: Hold, operation: str, digest: str | None) -> Posted:
    """Set units aside."""
    wanted = posting.debit
    unopened = _unopened(draft, wanted.lines)
    if unopened is not None:
        return unopened
    gone = spread(wanted, draft.balances, draft.now)
    if isinstance(gone, TooFew):
        return _short(draft, 0, wanted, gone)
    takes = tuple(replace(take, used=0, held=take.used) for take in takes_of(wanted, gone.units, gone.overage))
    move(draft, wanted, takes)
    expires = draft.now + posting.expires_in
    kept = replace(wanted, amount=gone.amount)
    draft.put_hold(operation, KeptHold(draft.tenant, operation, kept, takes, draft.now, expires))
    balances = draft.balances_of(wanted.lines)
    filled = Filled(gone.amount, gone.overage, takes, balances, expires=expires, feature=wanted.feature)
    return draft.enter(operation, 0, "hold", digest, [filled], [])


def adjust(draft: Draft, posting: Adjust, operation: str, digest: str | None) -> Posted:
    """Correct what is counted."""
    line = posting.line
    unopened = _unopened(draft, [line])
    if unopened is not None:
        return unopened
    before = draft.totals([line], posting.marks)
    take = Take(line.meter, line.lot, used=posting.amount)
    draft.move(take, line)
    marked = crossings(posting.marks, before, draft.totals([line], posting.marks))
    filled = Filled(posting.amount, 0, (take,), draft.balances_of([line]), feature=line.meter)
    return draft.enter(operation, 0, "adjust", digest, [filled], marked)


def fix(draft: Draft, posting: Open) -> Posted:
    """Fix the cap of an account, unless that was done before."""
    was = draft.balance(posting.account)
    if not was.is_opened:
        draft.put(posting.account, replace(was, cap=posting.cap, is_opened=True))
    filled = Filled(balances=(draft.balance(posting.account),), was_there=was.is_opened, feature=posting.account[0])
    return Posted((filled,), draft.now)


def takes_of(debit: Debit, units: Sequence[int], overage: int) -> tuple[Take, ...]:
    """Movements by which *units* of the lines, and *overage* on the sink, are used up."""
    sink = debit.lines[debit.sink]
    return tuple(
        Take(line.meter, line.lot, used=count * line.cost, cost=line.cost)
        for line, count in [*zip(debit.lines, units, strict=True), (sink, overage)]
        if count
    )


def move(draft: Draft, debit: Debit, takes: Iterable[Take]) -> None:
    """Move units on the accounts of a debit's lines."""
    lines = {line.account: line for line in debit.lines}
    for take in takes:
        draft.move(take, lines[take.meter, take.lot])


def _short(draft: Draft, index: int, debit: Debit, found: TooFew) -> Posted:
    """The answer that a debit does not go far enough."""
    return Posted(at=draft.now, short=Shortage(index, debit.feature, found.room, draft.balances_of(debit.lines)))


def _unopened(draft: Draft, lines: Iterable[Line]) -> Posted | None:
    """The answer that says which accounts have no cap yet; None where all have."""
    found = [line.account for line in lines if line.cap == OPENED and not draft.balance(line.account).is_opened]
    return Posted(at=draft.now, unopened=tuple(dict.fromkeys(found))) if found else None
