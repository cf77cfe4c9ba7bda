"""What the script answers is what the book answers: to postings of chance, on the same accounts, at the same time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from payaid_entitlements.core.metering.posting import (
    MOST,
    OPENED,
    SLOTS,
    AccountId,
    Adjust,
    Assign,
    Balance,
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
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.stores.memory_ledger import MemoryLedger
from payaid_entitlements.stores.redis.ledger import RedisLedger
from tests.stores.redis.conftest import PATIENT

METERS = ("api", 'c"é\U0001d552/\\:1')
LOTS = ("w1", "w2", "r1", "g1")
HOLDERS = ("ann", "bob", "c d")


class Chance:
    """Postings that meet: few accounts, few operations, small and very large numbers."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.now = 1_790_000_000_000_000

    def step(self) -> int:
        """The time of the next posting."""
        self.now += self._random.choice((0, 1, 5, 20))
        return self.now

    def operation(self) -> str:
        return f"op-{self._random.randrange(40)}"

    def digest(self) -> str | None:
        return self._random.choice(("x", "x", "x", "y", None))

    def _amount(self) -> int:
        return self._random.choice((1, 1, 2, 3, 7, 30, MOST))

    def _cap(self) -> Any:
        return self._random.choice((0, 3, 10, 25, 25, 100, None, OPENED, MOST))

    def _line(self, account: tuple[str, str]) -> Line:
        return Line(*account, self._cap(), self._random.choice((1, 1, 1, 2, 3)))

    def _lines(self, accounts: Sequence[tuple[str, str]]) -> tuple[Line, ...]:
        return tuple(map(self._line, accounts))

    def _accounts(self, count: int) -> list[tuple[str, str]]:
        return self._random.sample([(meter, lot) for meter in METERS for lot in LOTS], count)

    def _marks(self) -> tuple[Mark, ...]:
        some = self._random.sample((2, 5, 9, 20, 50), self._random.choice((0, 0, 2)))
        return tuple(Mark(meter, at) for meter in METERS for at in sorted(some))

    def _debit(self, accounts: Sequence[tuple[str, str]]) -> Debit:
        pick = self._random.choice
        lines = self._lines(accounts)
        return Debit(
            pick(("calls", "api")),
            self._amount(),
            lines,
            pick(range(len(lines))),
            pick((0, 0, 4, None, MOST)),
            pick((None, 3, 50)),
            pick(tuple(Short)),
            self._marks(),
        )

    def postings(self) -> list[Posting]:
        pick = self._random.choice
        feature, holder = pick(("seat", "room")), pick(HOLDERS)
        lives = pick((None, 1, 10, 60))
        return pick(
            (
                lambda: [self._debit(self._accounts(1))],
                lambda: [self._debit(self._accounts(1))],
                lambda: [self._debit(self._accounts(3))],
                lambda: (
                    [self._debit(self._accounts(2)) for _ in range(1)]
                    + [self._debit([(f"other{n}", "w1"), (f"other{n}", "w2")]) for n in range(2)]
                ),
                lambda: [Hold(self._debit(self._accounts(pick((1, 2)))), pick((1, 10, 60)))],
                lambda: [Hold(self._debit(self._accounts(pick((1, 2)))), pick((1, 10, 60)))],
                lambda: [Settle(self.operation(), pick((None, 0, 1, 2, 5, 40, MOST)))],
                lambda: [Settle(self.operation(), pick((None, 0, 1, 2)))],
                lambda: [Release(self.operation())],
                lambda: [Extend(self.operation(), pick((1, 30, 2**52)))],
                lambda: [Refund(self.operation(), pick((None, None, (("calls", 1),), (("api", 2), ("calls", 1)))))],
                lambda: [Adjust(self._line(*self._accounts(1)), pick((1, -1, 7, -20, MOST, -MOST)), self._marks())],
                lambda: [Open(*self._accounts(1), pick((0, 5, 40)))],
                lambda: [Assign(feature, holder, pick((0, 1, 2, None)), pick((0, 1, None)), lives)],
                lambda: [Assign(feature, holder, pick((1, 2)), 0, lives)],
                lambda: [Unassign(feature, holder)],
                lambda: [Reassign(feature, holder, pick([each for each in HOLDERS if each != holder]))],
            )
        )()


def _answer(ledger: Any, tenant: str, postings: Sequence[Posting], **named: Any) -> Any:
    try:
        posted = ledger.post(tenant, postings, **named)
    except EntitlementError as error:
        return type(error)
    # What is used of a meter in several lots may be more than is exact; whether a mark is reached is exact.
    rough = tuple(each if each.used <= MOST else replace(each, used=MOST) for each in posted.crossings)
    posted = replace(posted, crossings=rough)
    # A hold that has expired is freed by the next posting; by which one, where that is refused, a ledger may choose.
    return replace(posted, at=0) if isinstance(postings[0], Release) and posted.replayed else posted


def _balances(ledger: Any, tenant: str, accounts: Sequence[AccountId], now: int) -> dict[AccountId, Balance]:
    # The book takes expired slots back when somebody asks for one of the feature, the script at the next posting: so
    # since when there are too many is known a little later, or not any more.
    found = dict(ledger.balances(tenant, accounts, now=now))
    return {key: replace(each, over_since=None) if key[1] == SLOTS else each for key, each in found.items()}


def _same(redis: RedisLedger, memory: MemoryLedger, chance: Chance, tenant: str, times: int) -> None:
    for number in range(times):
        postings, now = chance.postings(), chance.step()
        named: dict[str, Any] = {"now": now}
        if isinstance(postings[0], Debit | Hold | Adjust):
            named |= {"operation": chance.operation(), "digest": chance.digest()}
        expected = _answer(memory, tenant, postings, **named)
        assert _answer(redis, tenant, postings, **named) == expected, (number, postings, named)
        if number % 20 == 0:
            everything = [(meter, lot) for meter in METERS for lot in LOTS] + [("seat", SLOTS), ("room", SLOTS)]
            assert _balances(redis, tenant, everything, now) == _balances(memory, tenant, everything, now)
            assert list(redis.slots(tenant, now=now)) == memory.slots(tenant, now=now)
            for each in range(40):
                assert redis.hold(tenant, f"op-{each}", now=now) == memory.hold(tenant, f"op-{each}", now=now)
    assert _told(redis) == _told(memory)


def _told(ledger: Any) -> list[Any]:
    events = ledger.claim_events(10**6, 10**12)
    ledger.drop_events([each.id for each in events])
    told = [
        (each.tenant, each.operation, each.crossing.mark, min(each.crossing.used, MOST), each.at) for each in events
    ]
    return sorted(told, key=repr)


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
@pytest.mark.parametrize("seeds", [8, pytest.param(1000, marks=pytest.mark.soak)])
def test_postings_of_chance_have_the_same_answers(request: pytest.FixtureRequest, fixture: str, seeds: int) -> None:
    redis = RedisLedger(request.getfixturevalue(fixture) + PATIENT)
    for seed in range(seeds):
        _same(redis, MemoryLedger(), Chance(seed), f"tenant-{seed}", 150)
    redis.close()
