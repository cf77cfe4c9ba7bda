"""Rows as a posting changes them. Those that were loaded stay as they are, and nothing is written if it fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from payaid_entitlements.core.identity import change_id
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.encoding import posted_data
from payaid_entitlements.core.metering.kept import KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import (
    MOST,
    OPENED,
    AccountId,
    Balance,
    Crossing,
    Filled,
    Line,
    Mark,
    Posted,
    Slot,
    Take,
)
from payaid_entitlements.core.metering.rows import EntryId, Outcome, Rows, SlotId
from payaid_entitlements.core.metering.spreading import NOTHING
from payaid_entitlements.errors import ConfigurationError


class Draft:
    """
    What is known of a tenant's rows at *now*, and what is changed of them.

    Attributes:
        balances: Of all accounts that are there.
    """

    def __init__(self, rows: Rows, now: Instant) -> None:
        self.now = now
        self.tenant = rows.tenant
        self.balances = dict(rows.accounts)
        self._rows = rows
        self._accounts: dict[AccountId, Balance] = {}
        self._entries: dict[EntryId, KeptEntry] = {}
        self._holds: dict[str, KeptHold | None] = {}
        self._slots: dict[SlotId, Slot | None] = {}
        self._events: list[UsageEvent] = []

    def balance(self, account: AccountId) -> Balance:
        """What an account says."""
        return self.balances.get(account, NOTHING)

    def balances_of(self, lines: Iterable[Line]) -> tuple[Balance, ...]:
        """What the accounts of *lines* say."""
        return tuple(self.balance(line.account) for line in lines)

    def entry(self, operation: str, part: int) -> KeptEntry | None:
        """An entry, if there is one."""
        key = operation, part
        return self._entries.get(key) or self._rows.entries.get(key)

    def hold(self, operation: str) -> KeptHold | None:
        """A hold, if it is open."""
        return self._holds[operation] if operation in self._holds else self._rows.holds.get(operation)

    def slot(self, feature: str, holder: str) -> Slot | None:
        """A slot, if somebody has it."""
        key = feature, holder
        return self._slots[key] if key in self._slots else self._rows.slots.get(key)

    def move(self, take: Take, line: Line | None = None) -> None:
        """
        Move units on an account.

        Args:
            line: Where it says a cap, the account notes that, unless its own was fixed when it was opened.

        Raises:
            ConfigurationError: There would be more than can be counted.
        """
        account = take.meter, take.lot
        was = self.balance(account)
        used, held = was.used + take.used, was.held + take.held
        if used < -MOST or used + held > MOST:
            raise ConfigurationError(
                f"tenant {self.tenant!r} would have {used} used and {held} held of {take.meter!r} ({take.lot}); "
                f"a ledger counts to {MOST}"
            )
        cap = was.cap if line is None or was.is_opened or line.cap == OPENED else line.cap
        # By the cap of now: what was over one that was raised since then begins to be over anew.
        since = was.over_since if cap is not None and was.used > cap else None
        self.put(account, replace(was, used=used, held=held, cap=cap, over_since=since))

    def saved(self) -> tuple[dict[AccountId, Balance], dict[AccountId, Balance]]:
        """What accounts say by now, for `undo`."""
        return dict(self.balances), dict(self._accounts)

    def undo(self, saved: tuple[dict[AccountId, Balance], dict[AccountId, Balance]]) -> None:
        """Let accounts say again what they said when this was *saved*."""
        self.balances, self._accounts = saved

    def put(self, account: AccountId, balance: Balance) -> None:
        """Write an account; since when it is over its cap comes of what it says."""
        is_over = balance.cap is not None and balance.used > balance.cap
        since = (self.now if balance.over_since is None else balance.over_since) if is_over else None
        self.balances[account] = self._accounts[account] = replace(balance, over_since=since)

    def enter(
        self,
        operation: str,
        part: int,
        kind: str,
        digest: str | None,
        filled: Sequence[Filled],
        marked: Sequence[Crossing],
    ) -> Posted:
        """Write down an act, and tell of the marks that it reached."""
        posted = Posted(tuple(filled), self.now, crossings=tuple(marked))
        takes = tuple(take for each in filled for take in each.takes)
        answer = posted_data(posted)
        entry = KeptEntry(self.tenant, operation, part, kind, digest, self.now, takes, answer)
        self._entries[operation, part] = entry
        for number, crossing in enumerate(marked):
            named = event_id(self.tenant, operation, number, self.now)
            self._events.append(UsageEvent(named, self.tenant, operation, crossing, self.now))
        return posted

    def put_hold(self, operation: str, hold: KeptHold | None) -> None:
        """Write a hold, or take it away."""
        self._holds[operation] = hold

    def put_slot(self, feature: str, holder: str, slot: Slot | None) -> None:
        """Write a slot, or take it away."""
        self._slots[feature, holder] = slot

    def totals(self, lines: Iterable[Line], marks: Iterable[Mark]) -> list[int]:
        """For each mark what is used of its meter."""
        by_meter: dict[str, int] = {}
        for line in lines:
            by_meter[line.meter] = by_meter.get(line.meter, 0) + self.balance(line.account).used
        return [by_meter.get(mark.meter, 0) for mark in marks]

    def outcome(self, posted: Posted) -> Outcome:
        """The answer, and all that differs from what was loaded."""
        return Outcome(
            posted, self._accounts, tuple(self._entries.values()), self._holds, self._slots, tuple(self._events)
        )


def crossings(marks: Sequence[Mark], before: Sequence[int], after: Sequence[int]) -> list[Crossing]:
    """Those *marks* that were reached between two totals."""
    return [
        Crossing(mark, reached)
        for mark, was, reached in zip(marks, before, after, strict=True)
        if was < mark.at <= reached
    ]


def event_id(tenant: str, operation: str, number: int, at: Instant) -> str:
    """An id that sorts by *at*, and is the same when the same act is worked out again."""
    named = json.dumps([tenant, operation, number]).encode()
    return change_id(at, int.from_bytes(hashlib.sha256(named).digest()))
