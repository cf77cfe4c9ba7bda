"""
What processes do that meter at once: each function here runs in a process of its own, with a client of its own.

They ask as an application does, by the public client and with an operation for each act, and repeat what got no answer.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, TypeVar

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.core.metering.posting import Debit
from payaid_entitlements.errors import OperationConflict, OutcomeUnknown, QuotaExceeded, StoreUnavailable
from payaid_entitlements.stores.opening import open_store
from tests.faults.linearizing import Seen
from tests.stores import racing

T = TypeVar("T")

#: How many units are sold of each of the features of which there are ten, and of the one that histories are about.
SOLD, FEW = 5, 12
TENS = [f"shop.m{number}" for number in range(10)]
MANY = 10**9
CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "shop": {"features": {key: {"kind": "quota"} for key in [*(f"m{n}" for n in range(10)), "few", "many"]}}
        },
        "plans": {
            "free": {},
            "pro": {
                "modules": ["shop"],
                "features": {
                    **dict.fromkeys(TENS, f"{SOLD}/month"),
                    "shop.few": f"{FEW}/month",
                    "shop.many": f"{MANY}/month",
                },
            },
        },
    }
)

#: Seconds for which an act is repeated that gets no answer. A server that was killed is back long before.
PATIENCE = 60.0


def sell(url: str, tenants: Sequence[str]) -> None:
    """Put the catalog and *tenants* on its plan into an empty store."""
    store: Any = open_store(url)
    if hasattr(store, "upgrade") and not url.startswith("sqlite"):
        store.upgrade()
    store.close()
    with Entitlements.open(url, catalog=CATALOG) as ent:
        for tenant in tenants:
            # A disk that others use too may be slower than the patience of a client.
            subscribe = ent.admin("test", because="a test").subscribe
            known(partial(subscribe, tenant, "pro", operation=("sell", tenant)))


class Naive:
    """A ledger that reads whether enough is left, and then writes: what a ledger must not be."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def post(self, tenant: str, postings: Sequence[Any], **named: Any) -> Any:
        """Same as `Ledger.post`, of debits, until two do it at once."""
        accounts = [line.account for posting in postings for line in posting.lines]
        found = self._ledger.balances(tenant, accounts)
        used = sum(balance.used for balance in found.values())
        (debit,) = postings
        if used + debit.amount <= sum(line.cap for line in debit.lines):
            # Longer than a process needs to come to the same meter, also where the disk is memory.
            time.sleep(0.02)
            debit = Debit(debit.feature, debit.amount, debit.lines, beyond=None)
        return self._ledger.post(tenant, [debit], **named)


def client(url: str, is_naive: bool = False) -> Entitlements:
    """A client on the store at *url*."""
    if not is_naive:
        return Entitlements.open(url)
    store = open_store(url)
    return Entitlements(store, ledger=Naive(store.ledger))  # type: ignore[attr-defined] # as those do that have one


def known(act: Callable[[], T]) -> T:
    """What *act* gives, repeated until somebody answers."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except StoreUnavailable:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def use_up(
    number: int, url: str, tenants: Sequence[str], times: int, is_naive: bool = False
) -> Counter[tuple[str, str]]:
    """Ask for one unit of each of ten features of *tenants* so many *times*, in an order of one's own; what one got."""
    got: Counter[tuple[str, str]] = Counter()
    turns = [(tenant, feature, time) for tenant in tenants for feature in TENS for time in range(times)]
    random.Random(number).shuffle(turns)
    with client(url, is_naive) as ent:
        for tenant, feature, turn in turns:
            operation = (feature, number, turn)
            try:
                usage = known(partial(ent.consume, tenant, feature, operation=operation))
            except QuotaExceeded:
                continue
            got[tenant, feature] += int(usage.taken)
    return got


@dataclass(frozen=True)
class Sent:
    """One time that a key was sent; *answer*: was it a repetition, and what was taken; None for a conflict."""

    key: int
    amount: int
    answer: tuple[bool, int] | None


def send(number: int, url: str, tenant: str, letters: Sequence[Sequence[tuple[int, int]]]) -> list[Sent]:
    """Send one's own share of *letters*: keys with the amounts that are asked."""
    sent = []
    with client(url) as ent:
        for key, amount in letters[number]:
            try:
                usage = known(partial(ent.consume, tenant, "shop.many", amount, operation=("key", key)))
                sent.append(Sent(key, amount, (usage.replayed, int(usage.taken))))
            except OperationConflict:
                sent.append(Sent(key, amount, None))
    return sent


def live(number: int, url: str, tenants: Sequence[str], length: int, is_naive: bool = False) -> list[list[Seen]]:
    """Do *length* acts by chance for each of *tenants*, all processes one tenant after the other; what one saw."""
    with client(url, is_naive) as ent:
        known(lambda: ent.usage(tenants[0], "shop.few"))
        return [_Life(ent, number, tenant, is_naive).live(length) for tenant in tenants]


class _Life:
    def __init__(self, ent: Entitlements, number: int, tenant: str, is_naive: bool) -> None:
        self._ent, self._number, self._tenant = ent, number, tenant
        self._chance = random.Random(f"{number} {tenant}")
        self._seen: list[Seen] = []
        self._verbs = ["take"] * 4 + ["read"] * 2
        if not is_naive:
            self._verbs += ["hold"] * 3 + ["again"]
        self._taken: list[tuple[str, int]] = []
        self._holds: dict[str, Any] = {}

    def live(self, length: int) -> list[Seen]:
        racing._met[0].wait(PATIENCE)
        for turn in range(length):
            verb = self._chance.choice(self._verbs)
            name, amount = f"{self._number}.{turn}", self._chance.randint(1, 3)
            if self._holds and self._chance.random() < 0.5:
                name, hold = self._holds.popitem()
                self._close(name, hold)
            elif verb == "again" and self._taken:
                name, amount = self._chance.choice(self._taken)
                if self._chance.random() < 0.5:
                    self._taken.remove((name, amount))
                    self._act("refund", name, amount, partial(self._refund, name))
                else:
                    self._act("take", name, amount, partial(self._take, name, amount))
            elif verb == "hold":
                self._act("hold", name, amount, partial(self._hold, name, amount))
            elif verb == "read":
                self._act("read", name, 0, self._read)
            elif self._act("take", name, amount, partial(self._take, name, amount)) in ("new", "again"):
                self._taken.append((name, amount))
        for hold in self._holds.values():
            hold.hand_over()
        return self._seen

    def _act(self, verb: str, name: str, amount: int, act: Callable[[], Any]) -> Any:
        """Do it, repeat at once what is unknown, and note both."""
        for _ in range(2):
            began = time.monotonic()
            try:
                answer = act()
            except OutcomeUnknown:
                self._seen.append(Seen(began, inf, verb, name, amount))
                continue
            except StoreUnavailable:
                # Said to be sure that nothing was done: so it is not in the history.
                return None
            self._seen.append(Seen(began, time.monotonic(), verb, name, amount, answer))
            return answer
        return None

    def _take(self, name: str, amount: int) -> str:
        try:
            usage = self._ent.consume(self._tenant, "shop.few", amount, operation=name)
        except QuotaExceeded:
            return "short"
        return "again" if usage.replayed else "new"

    def _hold(self, name: str, amount: int) -> str:
        try:
            hold = self._ent.reserve(self._tenant, "shop.few", amount, operation=name)
        except QuotaExceeded:
            return "short"
        self._holds[name] = hold
        return "again" if hold.replayed else "new"

    def _close(self, name: str, hold: Any) -> None:
        if self._chance.random() < 0.3:
            self._act("release", name, 0, lambda: _none(hold.release()))
            return
        actual = self._chance.randint(1, hold.amount)
        self._act("settle", name, actual, lambda: "again" if hold.settle(actual).replayed else "new")

    def _refund(self, name: str) -> str:
        usages = self._ent.refund(self._tenant, operation=name)
        return "again" if usages["shop.few"].replayed else "new"

    def _read(self) -> tuple[int, int]:
        usage = self._ent.usage(self._tenant, "shop.few")["shop.few"]
        return int(usage.used), int(usage.held)


def _none(nothing: None) -> str:
    """Who gives back is not told whether it was a repetition."""
    return "done"
