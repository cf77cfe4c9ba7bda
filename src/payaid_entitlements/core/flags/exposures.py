"""
Who was shown which variant, for those who analyse experiments: told once in a while and not with each evaluation.

Nothing of this runs until a sink is set. Then the snapshot of flags is wrapped (`exposing`), so that evaluating is not
taxed by a question whether somebody listens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.bucketing import whose
from payaid_entitlements.core.flags.compiled import CompiledFlag, Evaluate
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagDetails, FlagReason
from payaid_entitlements.core.flags.hashing import murmur3, threshold
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.forking import after_fork

#: Exposures that are remembered, so that they are told once. When there are more, a new window begins early: some
#: are told again and none is lost. About 8 MB when it is full.
MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Exposure:
    """
    Somebody was shown a variant.

    Attributes:
        flag, variant: What was shown.
        rule: Id of the rule that decided; None where the default came out.
        reason: OpenFeature's word for why.
        targeting_key: Id that the flag buckets by. Who has none takes no part.
        tenant, user: Whom it was about.
        attempt: Of a guarded rollout, as what is measured of it is named; 0 without one.
        at: When it was shown first in this process and this window.
    """

    flag: str
    variant: str
    rule: str | None
    reason: FlagReason
    targeting_key: str
    tenant: str | None
    user: str | None
    attempt: int
    at: datetime


class ExposureSink(Protocol):
    """Where exposures go: a queue, a log, an analytics client."""

    def expose(self, exposure: Exposure) -> None:
        """
        Take one exposure.

        Must not block: it is called by whoever evaluates the flag, in its thread or event loop. What it raises is
        counted (``flag.exposure_lost``) and harms nobody.
        """
        ...


class Exposures:
    """
    Those who listen, and what they were told.

    Args:
        sink: Is told.
        flags: Keys of the flags that it wants to hear of; None for all.
        sample: Share of the ids of which it hears, in parts of `PARTS`. Who is in is a matter of the flag and the id
            alone, in every process, and independent of what they are shown.
        per: Seconds for which an exposure is not told again.
        clock: Seconds, never running backwards.
        observer: Is told what a sink has raised.
        bound: Exposures that are remembered.
    """

    def __init__(
        self,
        sink: ExposureSink,
        *,
        flags: Collection[str] | None,
        sample: int,
        per: float,
        clock: Callable[[], float],
        observer: Observer,
        bound: int = MOST,
    ) -> None:
        self._sink = sink
        self._flags = None if flags is None else frozenset(flags)
        self._below = threshold(sample)
        self._per = per
        self._clock = clock
        self._observer = observer
        self._bound = bound
        self._ends = clock() + per
        # Hashes, of 64 bits and different in each process: of 100,000 two are the same once in three billion times.
        self._told: set[int] = set()
        self.unlock()
        after_fork(self.unlock)

    def unlock(self) -> None:
        """Wait for nobody, as after a fork."""
        self._lock = threading.Lock()

    def wants(self, flag: str) -> bool:
        """Does the sink want to hear of *flag*?"""
        return self._flags is None or flag in self._flags

    def watching(self, flag: CompiledFlag, attempt: int) -> Evaluate:
        """Make the function that evaluates *flag* and tells of it."""
        defined = flag.flag

        def watched(context: FlagContext) -> FlagDetails:
            # Looked up each time: most flags are compiled when they are first asked.
            details = flag.evaluate(context)
            # Where there is no variant the caller's own default is shown; what is off is shown to nobody in particular.
            if details.variant is not None and details.reason is not FlagReason.DISABLED:
                identity = whose(defined, context)
                if identity is not None:
                    self._tell(details, details.variant, identity, context, attempt)
            return details

        return watched

    def _tell(self, details: FlagDetails, variant: str, identity: str, context: FlagContext, attempt: int) -> None:
        key = details.key
        said = hash((key, variant, attempt, identity))
        with self._lock:
            now = self._clock()
            if now >= self._ends or len(self._told) >= self._bound:
                self._told, self._ends = set(), now + self._per
            if said in self._told:
                return
            self._told.add(said)
        if murmur3(cbor.text(f"$exposure/{key}/{identity}")) >= self._below:
            return
        exposure = Exposure(
            key,
            variant,
            details.rule,
            details.reason,
            identity,
            context.tenant,
            context.user,
            attempt,
            moment(context.at),
        )
        try:
            self._sink.expose(exposure)
        except Exception as error:  # whatever it is, the flag has its answer
            self._observer.count("flag.exposure_lost", key)
            self._observer.once("flag.exposure_lost", flag=key, kind=type(error).__name__)


def exposing(snapshot: FlagSnapshot, listening: Collection[Exposures]) -> FlagSnapshot:
    """
    Make of *snapshot* one whose evaluations are told of.

    ``origin`` of what comes is *snapshot* itself: for those who look at flags without showing anybody anything.
    """
    flags: dict[str, CompiledFlag] = {}
    for key, flag in snapshot.flags.items():
        progress = snapshot.progress.get(key)
        attempt = 0 if progress is None else progress.attempt
        flags[key] = flag
        for each in listening:
            if each.wants(key):
                flags[key] = replace(flag, evaluate=each.watching(flags[key], attempt), of_user=None)
    narrowing: Mapping[str, tuple[CompiledFlag, ...]] = {
        key: tuple(flags[each.flag.key] for each in those) for key, those in snapshot.narrowing.items()
    }
    return replace(
        snapshot, flags=MappingProxyType(flags), narrowing=MappingProxyType(dict(narrowing)), origin=snapshot
    )
