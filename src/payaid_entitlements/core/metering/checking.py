"""
Is a posting one that a ledger can count? Programs make postings, so what is wrong here is a program's mistake.

A wrong kind is a `TypeError`, a wrong value a `ConfigurationError`: nothing is rounded, clamped or guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from payaid_entitlements.core.metering.posting import (
    MOST,
    NEEDS_OPERATION,
    OPENED,
    SLOTS,
    AccountId,
    Adjust,
    Assign,
    Debit,
    Extend,
    Hold,
    Line,
    Mark,
    Open,
    Posting,
    Reassign,
    Refund,
    Release,
    Settle,
    Short,
    Unassign,
)
from payaid_entitlements.errors import ConfigurationError

#: The longest that a hold or a slot lives, in microseconds: some 142 years. With the time it stays below `MOST`.
LONGEST: Final = 2**52


def check(postings: Sequence[Posting], operation: str | None) -> None:
    """
    Refuse what cannot be posted.

    Raises:
        TypeError: A number is no int (a bool or a float is none), a text no str, a posting none of ours.
        ConfigurationError: A number is out of its range, or postings do not go together.
    """
    if not postings:
        raise ConfigurationError("there is nothing to post")
    kinds = {type(posting) for posting in postings}
    for posting in postings:
        rule = _RULES.get(type(posting))
        if rule is None:
            raise TypeError(f"{posting!r} is no posting")
        rule(posting)
    if len(postings) > 1:
        if kinds != {Debit}:
            raise ConfigurationError("only debits are posted together; post each other kind by itself")
        debits = cast("Sequence[Debit]", postings)
        if len({debit.feature for debit in debits}) < len(debits):
            raise ConfigurationError("a feature comes twice in one posting; add its amounts up")
    if operation is None and not kinds.isdisjoint(NEEDS_OPERATION):
        raise ConfigurationError("what moves units is an operation: give it an id that is the same when it is repeated")
    if operation is not None:
        _text("operation", operation)


def _whole(name: str, number: object, least: int, most: int = MOST) -> None:
    # A subclass, such as an IntEnum, may say anything of itself.
    if type(number) is not int:
        raise TypeError(f"{name} is an int, not {type(number).__name__} ({number!r})")
    if not least <= number <= most:
        shown = number if abs(number) < 10**40 else "a number of more than 40 digits"
        raise ConfigurationError(f"{name} is {shown}; it must be from {least} to {most}")


def _maybe(name: str, number: object, least: int, most: int = MOST) -> None:
    if number is not None:
        _whole(name, number, least, most)


def _text(name: str, text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{name} is a str, not {type(text).__name__} ({text!r})")
    if not text:
        raise ConfigurationError(f"{name} is empty")


def _once(accounts: list[AccountId]) -> None:
    if len(set(accounts)) < len(accounts):
        twice = sorted({each for each in accounts if accounts.count(each) > 1})
        raise ConfigurationError(f"accounts {twice} come twice in one debit")


def _debit(debit: Debit) -> None:
    _text("feature", debit.feature)
    _whole("amount", debit.amount, 1)
    if not debit.lines:
        raise ConfigurationError(f"a debit of {debit.feature!r} has no lines")
    for line in debit.lines:
        _line(line)
    _once([line.account for line in debit.lines])
    _whole("sink", debit.sink, 0, len(debit.lines) - 1)
    _maybe("beyond", debit.beyond, 0)
    _maybe("grace", debit.grace, 0)
    if not isinstance(debit.short, Short):
        raise TypeError(f"short is a Short, not {debit.short!r}")
    _marks(debit.marks)


def _line(line: Line) -> None:
    if not isinstance(line, Line):
        raise TypeError(f"{line!r} is no Line")
    _account(line.account)
    if line.cap != OPENED:
        _maybe("cap", line.cap, 0)
    _whole("cost", line.cost, 1)


def _account(account: AccountId) -> None:
    meter, lot = account
    _text("meter", meter)
    _text("lot", lot)
    if lot == SLOTS:
        raise ConfigurationError(f"lot {SLOTS!r} is where slots are counted; only Assign and Unassign move it")


def _marks(marks: tuple[Mark, ...]) -> None:
    for mark in marks:
        _text("meter of a mark", mark.meter)
        _whole("at of a mark", mark.at, 1)


def _hold(hold: Hold) -> None:
    _debit(hold.debit)
    _whole("expires_in", hold.expires_in, 1, LONGEST)


def _settle(settle: Settle) -> None:
    _text("operation", settle.operation)
    _maybe("actual", settle.actual, 0)


def _release(release: Release) -> None:
    _text("operation", release.operation)


def _extend(extend: Extend) -> None:
    _text("operation", extend.operation)
    _whole("by", extend.by, 1, LONGEST)


def _refund(refund: Refund) -> None:
    _text("operation", refund.operation)
    if refund.amounts is None:
        return
    for feature, amount in refund.amounts:
        _text("feature", feature)
        _whole("amount", amount, 1)
    if not refund.amounts or len(dict(refund.amounts)) < len(refund.amounts):
        raise ConfigurationError(f"amounts of a refund are by feature, each once: {refund.amounts}")


def _adjust(adjust: Adjust) -> None:
    _line(adjust.line)
    _whole("amount", adjust.amount, -MOST)
    if adjust.amount == 0:
        raise ConfigurationError("amount is 0; it corrects nothing")
    _marks(adjust.marks)


def _open(opened: Open) -> None:
    _account(opened.account)
    _whole("cap", opened.cap, 0)


def _assign(assign: Assign) -> None:
    _slot(assign.feature, assign.holder)
    _maybe("cap", assign.cap, 0)
    _maybe("beyond", assign.beyond, 0)
    _maybe("expires_in", assign.expires_in, 1, LONGEST)


def _unassign(unassign: Unassign) -> None:
    _slot(unassign.feature, unassign.holder)


def _reassign(reassign: Reassign) -> None:
    _slot(reassign.feature, reassign.holder)
    _text("to", reassign.to)


def _slot(feature: str, holder: str) -> None:
    _text("feature", feature)
    _text("holder", holder)


_RULES: Final[dict[type, Callable[[Any], None]]] = {
    Debit: _debit,
    Hold: _hold,
    Settle: _settle,
    Release: _release,
    Extend: _extend,
    Refund: _refund,
    Adjust: _adjust,
    Open: _open,
    Assign: _assign,
    Unassign: _unassign,
    Reassign: _reassign,
}
