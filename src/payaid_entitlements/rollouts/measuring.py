"""
What a client does with measurements: counts them near, and every few seconds lets the store add them up.

Whoever measures when it is time does so, off all locks, and then lets rollouts go on; nothing that goes wrong there
reaches the host's request.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import AddTallies, Flow, Prepare
from payaid_entitlements.core.flags.rollouts.measured import tally
from payaid_entitlements.forking import after_fork
from payaid_entitlements.rollouts.samples import Sample, fields, happened
from payaid_entitlements.rollouts.tallies import Tallies
from payaid_entitlements.stores.ports import MOST_TALLIES
from payaid_entitlements.view import TenantView

#: Seconds between two flushes of a process, at least; up to half as much again, so that processes take turns.
EVERY: Final = 4.0

#: Lets the rollouts of some flags go on where it is time.
Conduct = Callable[[frozenset[str]], Flow[object]]


class Measuring:
    """
    Measurements of one client.

    Args:
        conduct: Is run after each flush, with the flags that were measured.
    """

    def __init__(self, setting: Setting, conduct: Conduct) -> None:
        self._setting = setting
        self._conduct = conduct
        self._tallies = Tallies()
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Wait for no lock, as after a fork."""
        self._lock = threading.Lock()
        self._flags: set[str] = set()
        self._due = self._next()

    def note(
        self,
        view: TenantView,
        flag: str,
        sample: Sample,
        *,
        failed: bool,
        latency: timedelta | None,
    ) -> Flow[None] | None:
        """
        Count one sample.

        Returns:
            What to run now; None mostly.

        Raises:
            TypeError: *latency* is none.
            UnknownFlag: There is no such flag, and the client is strict.
        """
        if latency is not None and not isinstance(latency, timedelta):
            raise TypeError(f"latency={latency!r}: give a timedelta")
        step, side = view.rollout_side(flag)
        with self._lock:
            self._flags.add(flag)
        if step is not None and side is not None:
            arm, whose = side
            counts = fields(step.guard, arm, failed=bool(failed), latency=latency, metrics=sample.metrics)
            if not self._tallies.add(flag, tally(flag, step.attempt), arm, whose, counts):
                self._setting.observer.count("rollout.unmeasured", flag)
        return self._go_on() if self._is_due() else None

    def happened(self, view: TenantView, name: str, value: float | None) -> Flow[None] | None:
        """
        Count something that happened to *view*, for all rollouts whose guards look at it; see `samples.happened`.

        Returns:
            What to run now; None mostly.
        """
        for flag in view.measured_flags:
            step, side = view.rollout_side(flag)
            if step is not None and side is not None and (counts := happened(step.guard, side[0], name, value)):
                with self._lock:
                    self._flags.add(flag)
                if not self._tallies.add(flag, tally(flag, step.attempt), *side, counts):
                    self._setting.observer.count("rollout.unmeasured", flag)
        return self._go_on() if self._is_due() else None

    def flush(self) -> Flow[None]:
        """
        Let the store add up what waits.

        Raises:
            StoreUnavailable: No answer. What it was asked to add is lost, since it may have been added: counted twice,
                it would be believed twice as much. The rest waits on.
        """
        names = self._tallies.names()
        if names:
            # Nothing is taken before it is known that somebody answers.
            yield Prepare()
        for name in names:
            amounts = list(self._tallies.take(name).items())
            for first in range(0, len(amounts), MOST_TALLIES):
                yield AddTallies(name, dict(amounts[first : first + MOST_TALLIES]))

    def complain(self, error: Exception) -> None:
        """Count what went wrong, and say it once: the host's request is served all the same."""
        self._setting.observer.count("rollout.unflushed", type(error).__name__)
        self._setting.observer.once(
            "rollout.unflushed", store_error=str(error), meaning="rollouts stand still until measurements arrive"
        )

    def _go_on(self) -> Flow[None]:
        with self._lock:
            flags, self._flags = frozenset(self._flags), set()
        yield from self.flush()
        yield from self._conduct(flags)

    def _is_due(self) -> bool:
        if self._setting.near.clock() < self._due:
            return False
        with self._lock:
            # Of many threads that find it is time one does it.
            if self._setting.near.clock() < self._due:
                return False
            self._due = self._next()
            return True

    def _next(self) -> float:
        return self._setting.near.clock() + EVERY * random.uniform(1, 1.5)  # nobody guesses it for gain
