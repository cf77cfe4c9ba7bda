"""
What is asked of the shared Redis, what of its answers is believed, and what is done when there is none: flows.

**A copy** says up to which position of the change log it is true. Whoever reads it knows by itself all lines behind
that position, or does not believe it (`LocalCache.known_from`). So nothing that Redis may lose, keep too long or bring
back makes an answer wrong: a lease there only spares work.

**The stamp** says where the log ended, and how long ago that was read from the store. It spares the store a reading by
each process, and is believed for half a second.

See docs/explanation/shared-layer.md for why that is enough.
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from payaid_entitlements.cache.loading import Reading, read_store
from payaid_entitlements.cache.renewing import poll
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.shared import scripts
from payaid_entitlements.cache.shared.copies import MOST_BYTES, Places, copy_of, rest_of
from payaid_entitlements.cache.steps import AskShared, Flow, Pause, Poll, ReadAudit
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.messages import written
from payaid_entitlements.stores.ports import AuditEntry, LogEntry, LogPage

#: Milliseconds that a copy lives, and one that says that the store knows nothing of a tenant: anybody can ask for any
#: number of those.
LIFE: Final = 300_000
LIFE_OF_NOTHING: Final = 5_000
#: Milliseconds after which the lease of who reads the store may be taken over.
LEASED: Final = 400
#: Seconds of one pause of who waits for another's reading, and how many there are: two leases and a little.
PAUSE: Final = 0.02
MOST_PAUSES: Final = 45
#: Milliseconds for which the stamp is believed.
BELIEVED: Final = 500
#: Lines of the log by which a copy may be ahead of who reads it. One that is further ahead is of another store: of one
#: that was restored from a backup of this one, and shares the Redis; its log goes on far behind.
MOST_AHEAD: Final = 1_000_000
#: Lines of the log that a process reads at its start, so that it can judge copies from before.
LOOK_BACK: Final = 5_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """
    Where the change log ended.

    Attributes:
        epoch: Grows not, but changes: copies of another one are of another log.
        age: Milliseconds since that was so; None when it is not known.
        time: What time it was on the server, in milliseconds, when this was asked.
        server: Which run of which server that is.
        is_new: The epoch is another one than this process knew.
    """

    epoch: str
    position: int
    age: int | None
    time: int
    server: str
    is_new: bool


class Sharing:
    """
    What one client knows of the shared Redis.

    Args:
        prefix: What all keys begin with.
        says_now: Tells the time in milliseconds where tests set it; empty for that of the server.
    """

    def __init__(self, prefix: str, says_now: Callable[[], str] = str) -> None:
        self._prefix = prefix
        self._now = says_now
        self.places: Places | None = None
        self.epoch: str | None = None

    # -- the stamp ----------------------------------------------------------------------------------------------------

    def enter(self, setting: Setting) -> Flow[Stamp | None]:
        """Find out which store this is, and read the stamp; before the end of the log is read."""
        yield from self._locate()
        return (yield from self._stamp(setting))

    def _locate(self) -> Flow[Places]:
        """Learn which store it is about: the id of its oldest change was made by chance."""
        oldest = cast("Sequence[AuditEntry]", (yield ReadAudit(limit=1)))
        self.places = Places.of(self._prefix, oldest[0].id if oldest else "")
        return self.places

    def settle(self, setting: Setting, stamp: Stamp | None, position: int) -> Flow[None]:
        """Note that the log ends at *position*, and read what is before that."""
        if stamp is not None:
            yield from self._note(setting, stamp, position, is_cut=position < stamp.position)
        near = setting.near
        known_from = near.known_from
        at = start = max(0, position - LOOK_BACK)
        while at < position:
            page = cast("LogPage", (yield Poll(at)))
            if page.gap or page.position <= at:
                return
            for entry in page.entries:
                if entry.tenant is not None:
                    near.invalidate(entry.tenant, entry.revision, entry.position)
            at = page.position
        near.remember_from(start, known_from)

    def look(self, setting: Setting, needed: float) -> Flow[None]:
        """
        Make sure that what is near is true: by the stamp where that will do, else by the change log.

        Args:
            needed: What is known afterwards was true behind this reading of the clock.
        """
        near = setting.near
        asked_at = near.clock()
        stamp = yield from self._stamp(setting)
        if stamp is not None and stamp.age is not None and stamp.age <= BELIEVED and not stamp.is_new:
            was_true_at = asked_at - stamp.age / 1000
            # Not where there is a doubt, which only a reading of the log settles.
            if was_true_at > needed and near.extend_at(stamp.position, was_true_at) and near.lease > asked_at:
                return
        has_gap = yield from poll(setting)
        position = near.position
        if stamp is not None and position is not None:
            yield from self._note(setting, stamp, position, is_cut=has_gap or position < stamp.position)

    def _stamp(self, setting: Setting) -> Flow[Stamp | None]:
        answer = yield from self._asked(setting, self.stamp_question())
        return None if answer is None else self._adopted(self.stamp_of(answer))

    def _adopted(self, stamp: Stamp) -> Stamp:
        # By this process, not by its thread that listens and reads no log.
        self.epoch = stamp.epoch
        return stamp

    def stamp_question(self) -> AskShared:
        """What is asked for the stamp. Where there is none, an epoch begins."""
        places = cast("Places", self.places)
        return AskShared(scripts.READ_STAMP, (places.stamp,), (_token(), self._now()))

    def stamp_of(self, answer: Sequence[bytes]) -> Stamp:
        """What the answer says."""
        epoch, position, age, time, server = (part.decode() for part in answer)
        is_new = self.epoch not in {None, epoch}
        return Stamp(epoch, int(position), int(age) if age != "-1" else None, int(time), server, is_new)

    def _note(self, setting: Setting, stamp: Stamp, position: int, *, is_cut: bool) -> Flow[None]:
        """
        Note where the log ended when the stamp was asked for.

        Args:
            is_cut: The log was longer once, as before a backup was restored: what is in Redis is about another one.
        """
        places = cast("Places", self.places)
        epoch = _token() if is_cut else stamp.epoch
        arguments = (epoch, position, stamp.time, stamp.server, stamp.epoch, self._now())
        if (yield from self._asked(setting, AskShared(scripts.SET_STAMP, (places.stamp,), arguments))) == 1:
            self.epoch = epoch

    # -- copies -------------------------------------------------------------------------------------------------------

    def read(self, setting: Setting, tenant: str, floor: int, is_past: bool) -> Flow[Reading]:
        """
        Read *tenant* from a copy, or from the store for all who share the Redis.

        Args:
            floor: A copy must be of this revision or a later one.
            is_past: No copy will do.
        """
        if self.epoch is None:
            return (yield from read_store(setting, tenant))
        near, keys, token, is_poisoned = setting.near, cast("Places", self.places).of_tenant(tenant), _token(), False
        for _ in range(MOST_PAUSES):
            if is_past:
                claim = (token, LEASED, int(is_poisoned))
                yield from self._asked(setting, AskShared(scripts.CLAIM, keys, claim))
                return (yield from self._lead(setting, tenant, keys, token))
            # Before it is asked for: what the log told up to here is what a copy must not contradict.
            known_at = near.confirmed
            least = max(floor, near.floor(tenant)), near.known_from
            luck = f"{-math.log(1 - random.random()):.6f}"
            question = (token, LEASED, self.epoch, *least, luck, LIFE, MOST_BYTES, self._now())
            answer = yield from self._asked(setting, AskShared(scripts.FETCH, keys, question))
            if answer is None:
                break
            match answer:
                case [b"copy", text, is_drawn]:
                    copy = copy_of(tenant, text)
                    if copy is None or copy.position > (near.position or 0) + MOST_AHEAD:
                        setting.observer.count("shared.poisoned")
                        is_poisoned = is_past = True
                        continue
                    if is_drawn:
                        return (yield from self._lead(setting, tenant, keys, token))
                    setting.observer.count("shared.copy", "used")
                    return Reading(copy.document, copy.position, known_at, is_copy=True)
                case [b"lease", why]:
                    setting.observer.count("shared.copy", "absent")
                    if why == b"poisoned":
                        setting.observer.count("shared.poisoned")
                    return (yield from self._lead(setting, tenant, keys, token))
            yield Pause(PAUSE * random.uniform(0.75, 1.25))
        return (yield from read_store(setting, tenant))

    def _lead(self, setting: Setting, tenant: str, keys: tuple[str, ...], token: str) -> Flow[Reading]:
        """Read the store and leave a copy for the others."""
        near, epoch = setting.near, self.epoch
        began = near.clock()
        try:
            reading = yield from read_store(setting, tenant)
        except Exception:
            # Whoever waits need not wait for the lease to end.
            yield from self._asked(setting, AskShared(scripts.GIVE_BACK, keys, (token,)))
            raise
        rest = rest_of(tenant, reading.document)
        if reading.as_of is None or len(rest) > MOST_BYTES - 256:
            yield from self._asked(setting, AskShared(scripts.GIVE_BACK, keys, (token,)))
            return reading
        revision, life = (0, LIFE_OF_NOTHING) if reading.document is None else (reading.document.revision, LIFE)
        cost = max(0, round((near.clock() - began) * 1000))
        copy = (token, life, self._now(), cast("str", epoch), revision, reading.as_of, cost, rest)
        yield from self._asked(setting, AskShared(scripts.FILL, keys, copy))
        return reading

    # -- changes ------------------------------------------------------------------------------------------------------

    def announce(self, setting: Setting, entry: LogEntry) -> Flow[None]:
        """
        Tell all others of a change that was committed just now.

        When that fails, or the process dies before, the change log tells them.
        """
        try:
            places = self.places or (yield from self._locate())
        except StoreUnavailable:
            return
        message = written(entry)
        if entry.tenant is None:
            yield from self._asked(setting, AskShared(scripts.TELL, (places.stamp,), (places.channel, message)))
        else:
            keys = places.of_tenant(entry.tenant)
            yield from self._asked(
                setting, AskShared(scripts.ANNOUNCE, keys, (entry.revision, places.channel, message))
            )

    def _asked(self, setting: Setting, ask: AskShared) -> Flow[Any]:
        """What Redis answers; None, and counted, when it does not."""
        try:
            return (yield ask)
        except StoreUnavailable as error:
            setting.observer.count("shared.unavailable")
            if error.__cause__ is not None:
                setting.observer.once(
                    "shared.unavailable",
                    kind=type(error.__cause__).__name__,
                    store_error=str(error),
                    meaning="the store is asked instead",
                )
            return None


def _token() -> str:
    return secrets.token_hex(8)
