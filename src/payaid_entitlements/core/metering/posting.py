"""
What is posted to a ledger, and what it answers: accounts and whole numbers.

A ledger knows no plan, window or price. Each posting brings all that decides: which lots there are, in the order in
which they are burnt, how much each holds, and what happens beyond. So a limit can be edited at any time and the count
stays, and one conditional statement, or one script, is enough.

All amounts are whole numbers of a feature's smallest unit, at most `MOST`; instants and lengths are microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from payaid_entitlements.core.instant import Instant

#: The largest amount, balance and cap: beyond it a double, which is what scripts in Redis count with, is not exact.
MOST: Final = 2**53 - 1

#: Units of a feature that are counted together: the feature's key and the lot. Compared by their bytes.
AccountId: TypeAlias = tuple[str, str]

#: The lot of a feature's account in which its slots are counted.
SLOTS: Final = "slots"

#: The cap of a line that was fixed in its account when the window was opened (`Open`).
OPENED: Final = "opened"


class Short(StrEnum):
    """What to do when more is asked than there is."""

    REJECT = "reject"  # nothing is taken
    CAP = "cap"  # what is left is taken; nothing left is a refusal
    OVERFLOW = "overflow"  # all is taken, and what is beyond is recorded as overage


@dataclass(frozen=True, slots=True)
class Line:
    """
    A lot of allowance, as a posting sees it.

    Attributes:
        meter: Key of the feature whose units it has: the one that is used, or the credit that pays for it.
        lot: Which one of the meter's lots.
        cap: Units of *meter* that it holds; None without a limit; `OPENED` as its account says.
        cost: Units of *meter* that one unit of the feature costs; 1 for lots of the feature's own.
    """

    meter: str
    lot: str
    cap: int | Literal["opened"] | None
    cost: int = 1

    @property
    def account(self) -> AccountId:
        """Where it is counted."""
        return self.meter, self.lot


@dataclass(frozen=True, slots=True)
class Mark:
    """A total of used units of *meter*, over its lines in the posting, of which others are told when it is reached."""

    meter: str
    at: int


@dataclass(frozen=True, slots=True)
class Debit:
    """
    Use up *amount* units of a feature.

    They are taken from *lines* in their order, from each as much as is free: ``(cap - used - held) // cost``. What is
    left then is overage, and is counted on the line *sink*.

    Attributes:
        amount: At least 1.
        lines: At least one; each account once.
        sink: Index of the line that takes what is beyond all caps.
        beyond: So much overage may there be on the sink, in units of the feature; None for any. 0 is a hard limit.
        grace: With *beyond* None: only so long after the sink came to be over its cap; then 0.
        short: What to do when there is less than *amount*.
        marks: In ascending order of *at* for each meter.
    """

    feature: str
    amount: int
    lines: tuple[Line, ...]
    sink: int = 0
    beyond: int | None = 0
    grace: int | None = None
    short: Short = Short.REJECT
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Set *debit* aside until it is settled or released, at most for *expires_in* by the ledger's clock."""

    debit: Debit
    expires_in: int


@dataclass(frozen=True, slots=True)
class Settle:
    """
    Charge what was really used of the hold that *operation* made, and free the rest.

    More than was held is taken as `Debit` takes, with `Short.OVERFLOW`: it was used, so it is recorded.

    Attributes:
        actual: Units of the feature, at least 0; None for all that is held.
    """

    operation: str
    actual: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """
    Free all of the hold that *operation* made. Of one that is released or expired already, nothing.

    One that was settled is a conflict, unless nothing was charged.
    """

    operation: str


@dataclass(frozen=True, slots=True)
class Extend:
    """Let the hold that *operation* made live *by* longer: so much later than it would have expired."""

    operation: str
    by: int


@dataclass(frozen=True, slots=True)
class Refund:
    """
    Give back what *operation* used up, once, to the lots it came from: overage first, then what was burnt last.

    Attributes:
        amounts: By feature, at most what was taken; None for all of all.
    """

    operation: str
    amounts: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Adjust:
    """Correct what is counted as used by *amount*, up or down, whatever the limit: a balance may become negative."""

    line: Line
    amount: int
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """Fix the cap of an account, once: whoever comes second changes nothing."""

    account: AccountId
    cap: int


@dataclass(frozen=True, slots=True)
class Assign:
    """
    Give a slot of *feature* to *holder*, who has one at most; who has it already keeps it.

    Attributes:
        cap: So many slots there are; None without a limit.
        beyond: So many more may be given; None for any.
        expires_in: Freed after so long, by the ledger's clock; None for never. Given again, it counts anew.
    """

    feature: str
    holder: str
    cap: int | None
    beyond: int | None = 0
    expires_in: int | None = None


@dataclass(frozen=True, slots=True)
class Unassign:
    """Free the slot of *holder*; who has none has none."""

    feature: str
    holder: str


@dataclass(frozen=True, slots=True)
class Reassign:
    """
    Hand the slot of *holder* over to *to*; refused where both have one, or neither.

    It does not expire any more, whatever was said when it was given. Where *holder* has none and *to* has one, that was
    done before, and *to* keeps it as it is.
    """

    feature: str
    holder: str
    to: str


Posting: TypeAlias = Debit | Hold | Settle | Release | Extend | Refund | Adjust | Open | Assign | Unassign | Reassign

#: Of which postings an operation is required: whatever moves units and is not named by what it is about.
NEEDS_OPERATION: Final = (Debit, Hold, Adjust)


@dataclass(frozen=True, slots=True)
class Balance:
    """
    What an account says.

    Attributes:
        used, held: Units; *used* may be more than the cap, and less than 0.
        cap: As the line of the last `Debit`, `Hold` or `Adjust` said that moved units on it, or as it was opened; None
            for no limit, or nothing known.
        is_opened: *cap* was fixed by `Open`.
        over_since: Since when *used* is beyond the cap; None where it is not.
    """

    used: int = 0
    held: int = 0
    cap: int | None = None
    is_opened: bool = False
    over_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class Take:
    """
    Units of *meter* that were moved on an account: *used* and *held* by so much, up or down.

    Attributes:
        cost: Units of *meter* for one unit of the feature: *used* and *held* are multiples of it.
    """

    meter: str
    lot: str
    used: int = 0
    held: int = 0
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Slot:
    """Who holds a slot of a feature, since when, and until when at most."""

    feature: str
    holder: str
    since: Instant
    expires: Instant | None = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """A mark that was reached by a posting: *used* units of *mark.meter* after it, fewer than *mark.at* before."""

    mark: Mark
    used: int


@dataclass(frozen=True, slots=True)
class Filled:
    """
    What became of one posting.

    Attributes:
        amount: Units of the feature that were taken, set aside, charged, given back or adjusted by.
        overage: How many of them were beyond all caps.
        takes: The movements, in the order of the lines; what is beyond all caps is the last one by itself, also where
            the sink's account is among the others already.
        balances: Of the posting's lines (of a hold's, for `Settle`), in their order, afterwards; of the account that
            is opened, or in which slots are counted; empty for `Release`, `Extend` and `Refund`.
        slot: For `Assign` and `Reassign`.
        was_there: For `Assign`: the holder had the slot already; for `Reassign`: it was handed over before; for
            `Unassign`: there was one; for `Open`: the cap was fixed before.
        expires: For `Hold` and `Extend`.
        feature: Of which the units are; the meter, for `Adjust` and `Open`.
    """

    amount: int = 0
    overage: int = 0
    takes: tuple[Take, ...] = ()
    balances: tuple[Balance, ...] = ()
    slot: Slot | None = None
    was_there: bool = False
    expires: Instant | None = None
    feature: str = ""


@dataclass(frozen=True, slots=True)
class Shortage:
    """
    Why nothing was done: of *feature* only *room* units, fewer than were asked, can be had after the postings before.

    Attributes:
        index: Of the posting.
        balances: Of its lines, in their order, as they are; for `Assign` of the account of its slots.
        frees_at: For `Assign`: when the next slot expires by itself; None where none does.
    """

    index: int
    feature: str
    room: int
    balances: tuple[Balance, ...] = ()
    frees_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """
    What posting came to: all of it, or nothing.

    Exactly one of *filled*, *short* and *unopened* says something.

    Attributes:
        filled: One for each posting, and for `Refund` one for each of the act's; of the first time, where it was
            replayed.
        at: When, by the ledger's clock; of the first time.
        replayed: This operation was posted before; nothing was moved now.
        short: Nothing was done, for this.
        unopened: Nothing was done, since these accounts of lines with `OPENED` have no cap yet.
        crossings: Marks that were reached, for the caller who wants to tell at once; those who do not hear of them
            from this are told by the ledger's events.
    """

    filled: tuple[Filled, ...] = ()
    at: Instant = 0
    replayed: bool = False
    short: Shortage | None = None
    unopened: tuple[AccountId, ...] = ()
    crossings: tuple[Crossing, ...] = ()
