"""
What is asked of a ledger in Redis, in which order, and what its answers mean: flows, written once for both colours.

A posting is one question. What is about all tenants is asked of each shard: on a cluster of one after the other, where
there is one server of all at once.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.checking import check
from payaid_entitlements.core.metering.kept import PARTS, Book, KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import AccountId, Balance, Posting, Slot
from payaid_entitlements.stores.redis.clients import Part, Script
from payaid_entitlements.stores.redis.ledger import reading, script
from payaid_entitlements.stores.redis.ledger.answers import (
    balance_of,
    book_of,
    book_parts,
    entry_of,
    entry_parts,
    event_of,
    hold_of,
    in_order,
    slot_of,
)
from payaid_entitlements.stores.redis.ledger.keys import SHARDS, Keys, joined
from payaid_entitlements.stores.redis.ledger.packing import encoded, packed

T = TypeVar("T")

#: Entries, accounts and events that one question is about, at most. A millisecond or two of the server's time.
PART: Final = 500

_EVENT = re.compile(r"\d{16}-\d{10}-[01][0-9a-f]")


@dataclass(frozen=True, slots=True)
class Ask:
    """
    A command, or a script, on keys of one shard; of several where there is one server.

    Attributes:
        changes: It is a change, so a lost answer leaves its outcome unknown.
    """

    what: str | Script
    keys: Sequence[bytes]
    parts: Sequence[Part] = ()
    changes: bool = False


Asking = Generator[Ask, Any, T]


class Questions:
    """
    All that is asked of one ledger.

    Args:
        name: Of the ledger, for errors.
        prefix: What its keys begin with.
        keeps_for: Microseconds for which operations are remembered.
        repeats: The client may send a change again that was not answered.
        is_cluster: A question is about one shard only.
    """

    def __init__(self, name: str, prefix: str, keeps_for: int, repeats: bool, is_cluster: bool) -> None:
        self.name, self.keeps_for, self.repeats = name, keeps_for, repeats
        self._keys = Keys(prefix)
        # What is left of the names that were read for the last page of entries: tenant, the page's end, names.
        self._listed: tuple[str, tuple[str, int] | None, list[tuple[str, int]]] = ("", None, [])
        every = range(SHARDS)
        self._groups = [[shard] for shard in every] if is_cluster else [list(every)]
        #: Where a question goes that is about no tenant.
        self.first_key = self._keys.shards[0][0].decode()

    def there(self) -> Asking[None]:
        """See whether it still answers."""
        yield Ask("EXISTS", (self._keys.shards[0][0],))

    def post(
        self,
        tenant: str,
        postings: Sequence[Posting],
        operation: str | None,
        digest: str | None,
        now: Instant | None,
    ) -> Ask:
        """What is asked to carry out *postings*; see `posted_of`. It is no flow, since this is what is done most."""
        check(postings, operation)
        # By this a client that repeats, and may have got through twice, knows its own act again.
        token = secrets.token_hex(4) if self.repeats else None
        text = packed(tenant, postings, operation, digest, now, self.keeps_for, token)
        return Ask(script.POST, self._keys.of(tenant), (text,), changes=True)

    def balances(
        self, tenant: str, accounts: Sequence[AccountId], now: Instant | None
    ) -> Asking[Mapping[AccountId, Balance]]:
        """Read accounts, without what has expired."""
        found: dict[AccountId, Balance] = {}
        for some in _in_parts(accounts):
            text = encoded([now, [joined(*account) for account in some]])
            book, _, _, expiring, *_ = self._keys.of(tenant)
            kept = yield Ask(reading.BALANCES, (book, expiring), (text,))
            for account, (its, used, held) in zip(some, kept, strict=True):
                if its is not None:
                    found[account], _ = balance_of(its, int(used), int(held))
        return found

    def hold(self, tenant: str, operation: str, now: Instant | None) -> Asking[KeptHold | None]:
        """Read a hold that is open."""
        found = yield Ask(reading.HOLD, self._keys.of(tenant)[:1], (encoded([now, operation]),))
        return None if found is None else hold_of(tenant, operation, found)

    def slots(self, tenant: str, feature: str | None, now: Instant | None) -> Asking[Sequence[Slot]]:
        """List slots that have not expired."""
        begin = "" if feature is None else joined(feature, "")
        found = yield Ask(reading.SLOTS, self._keys.of(tenant)[:1], (encoded([now, begin]),))
        return in_order(slot_of(name.decode()[1:], text) for name, text in zip(found[::2], found[1::2], strict=True))

    def claim_events(self, limit: int, lease: int, now: Instant | None) -> Asking[Sequence[UsageEvent]]:
        """Find the oldest events of all shards, and claim those that nobody has claimed meanwhile."""
        waiting: list[str] = []
        for group in self._groups:
            keys = [self._keys.shards[shard][1] for shard in group]
            found = yield Ask(reading.WAITING, keys, (encoded([now, min(limit, PART)]),))
            waiting += (each.decode() for each in found)
        claimed: list[UsageEvent] = []
        for shard, ids in _by_shard(sorted(waiting)[:limit]):
            parts = (encoded([now, lease, ids]),)
            found = yield Ask(reading.CLAIM, self._keys.shards[shard][1:], parts, changes=True)
            claimed += (event_of(name.decode(), text) for name, text in zip(found[::2], found[1::2], strict=True))
        return sorted(claimed, key=lambda event: event.id)

    def drop_events(self, ids: Sequence[str]) -> Asking[None]:
        """Forget events."""
        for shard, its in _by_shard(ids):
            for some in _in_parts(its):
                yield Ask(reading.DROP, self._keys.shards[shard][1:], tuple(some), changes=True)

    def entries(self, tenant: str, after: tuple[str, int] | None, limit: int) -> Asking[Sequence[KeptEntry]]:
        """Read entries in the order of their names: these are read at once, and what they name page by page."""
        _, entries, *_ = self._keys.of(tenant)
        if after is not None and self._listed[:2] == (tenant, after):
            names = self._listed[2]
        else:
            names = yield from self._names(entries, after)
        found: list[KeptEntry] = []
        while names and len(found) < limit:
            some = [names.pop() for _ in range(min(limit - len(found), PART, len(names)))]
            after = some[-1]
            fields = [f"{part}{operation}" for operation, part in some]
            texts = yield Ask("HMGET", (entries,), fields)
            # What is not there any more was forgotten meanwhile.
            found += (entry_of(tenant, field, text) for field, text in zip(fields, texts, strict=True) if text)
        self._listed = (tenant, after, names)
        return found

    def entries_of(self, tenant: str, operation: str) -> Asking[Sequence[KeptEntry]]:
        """Read what is kept of one act."""
        _, entries, *_ = self._keys.of(tenant)
        fields = [f"{part}{operation}" for part in PARTS]
        texts = yield Ask("HMGET", (entries,), fields)
        return [entry_of(tenant, field, text) for field, text in zip(fields, texts, strict=True) if text]

    def _names(self, entries: bytes, after: tuple[str, int] | None) -> Asking[list[tuple[str, int]]]:
        """The operations and parts of all entries behind *after*, the first of them last."""
        cursor, names = 0, set()
        while True:
            cursor, some = yield Ask("HSCAN", (entries,), (cursor, "COUNT", PART))
            names.update(some)
            if cursor == 0:
                break
        begin = (b"", -1) if after is None else (after[0].encode(), after[1])
        found = [(name[1:], int(name[:1])) for name in names]
        return [(name.decode(), part) for name, part in sorted(found, reverse=True) if (name, part) > begin]

    def tenants(self, after: str | None, limit: int) -> Asking[Sequence[str]]:
        """Merge what the shards list: up to where the first of them has more than was asked of it."""
        begin = b"-" if after is None else b"(" + after.encode()
        found: list[bytes] = []
        while len(found) < limit:
            count = min(2 * (limit - len(found)) // SHARDS + 8, PART)
            some: list[bytes] = []
            ends: list[bytes] = []
            for group in self._groups:
                keys = [self._keys.shards[shard][0] for shard in group]
                for page in (yield Ask(reading.TENANTS, keys, (begin, count))):
                    some += page
                    ends += page[count - 1 :]
            end = min(ends, default=None)
            found += sorted(each for each in some if end is None or each <= end)
            if end is None:
                break
            begin = b"(" + end
        return [each.decode() for each in found[:limit]]

    def book(self, tenant: str) -> Asking[Book]:
        """Read all but entries."""
        kept = yield Ask("HGETALL", self._keys.of(tenant)[:1])
        return book_of(tenant, {name.decode(): text for name, text in kept.items()})

    def prune(self, before: Instant, limit: int) -> Asking[int]:
        """Forget old operations, of one tenant after the other."""
        pruned, after = 0, None
        while True:
            page = yield from self.tenants(after, PART)
            for tenant in page:
                if pruned < limit:
                    pruned += yield from self._prune(tenant, before, limit - pruned)
            if len(page) < PART or pruned >= limit:
                return pruned
            after = page[-1]

    def _prune(self, tenant: str, before: Instant, limit: int) -> Asking[int]:
        """Entries are nearly in the order of their time: who finds none that is old looks no further."""
        keys, pruned, first = self._keys.of(tenant), 0, 0
        while pruned < limit:
            page = yield Ask("LRANGE", keys[2:3], (first, first + PART - 1))
            made = [entry.decode().split(" ", 1) for entry in page]
            old = list(dict.fromkeys(name[1:] for at, name in made if int(at) < before))
            if not old:
                break
            text = encoded([None, tenant, self.keeps_for, before, old, min(limit - pruned, PART)])
            pruned += yield Ask(script.PRUNE, keys, (text,), changes=True)
            # Some of them may be gone from the beginning of the list; what is passed over is found another time.
            first += PART
        return pruned

    def forget(self, tenant: str) -> Asking[None]:
        """Forget everything about a tenant."""
        yield Ask(reading.FORGET, self._keys.of(tenant), (tenant,), changes=True)

    def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> Asking[None]:
        """Write entries, then the book."""
        keys = self._keys.of(tenant)[:5]
        for script_, kept in ((reading.ENTER, map(entry_parts, entries)), (reading.FILL, book_parts(book))):
            for some in _in_parts(kept):
                parts = (part for each in some for part in each)
                yield Ask(script_, keys, (tenant, *parts), changes=True)


def _in_parts(all_: Iterable[T]) -> Iterator[Sequence[T]]:
    rest = iter(all_)
    while some := list(islice(rest, PART)):
        yield some


def _by_shard(ids: Iterable[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Events by the shard that has them, which their ids end with; what is no id of ours is no event."""
    found: dict[int, list[str]] = {}
    for each in ids:
        if _EVENT.fullmatch(each):
            found.setdefault(int(each[-2:], 16), []).append(each)
    return iter(found.items())
