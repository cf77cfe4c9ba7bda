"""
Processes that meter until they are killed, and note in a file what they were told: what was noted outlives them.

Each act is noted before it is begun, and once more when it is known what it came to. An act that was begun and not
ended is unknown; repeated, by whichever process, it comes to an end.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

from payaid_entitlements import Entitlements
from payaid_entitlements.errors import EntitlementError, QuotaExceeded, ReservationExpired
from tests.faults.metering import known

#: How long units are set aside by who is then killed.
LEASE = timedelta(seconds=0.5)

KINDS = ("consume", "consume", "settle", "settle", "release", "leave", "refund", "refund a part")


@dataclass(frozen=True)
class Act:
    """
    What a process does.

    Attributes:
        amount, actual: Units that are asked for, and how many of them are charged at last.
    """

    operation: str
    tenant: str
    feature: str
    kind: str
    amount: int
    actual: int

    def carry_out(self, ent: Entitlements) -> int:
        """Do it, or what is left of it; how many units are charged for it. Repeating it says the same."""
        try:
            if self.kind in ("settle", "release", "leave"):
                return self._reserve(ent)
            known(partial(ent.consume, self.tenant, self.feature, self.amount, operation=self.operation))
        except QuotaExceeded:
            return 0
        if self.kind == "consume":
            return self.amount
        some = None if self.kind == "refund" else {self.feature: self.amount - self.actual}
        if some != {self.feature: 0}:
            known(partial(ent.refund, self.tenant, operation=self.operation, amounts=some))
        return 0 if some is None else self.actual

    def _reserve(self, ent: Entitlements) -> int:
        asked = partial(ent.reserve, self.tenant, self.feature, self.amount, operation=self.operation, expires_in=LEASE)
        hold = known(asked)
        if self.kind == "leave":
            hold.hand_over()
            return 0
        if self.kind == "release":
            known(hold.release)
            return 0
        try:
            return int(known(partial(hold.settle, self.actual)).taken)
        except ReservationExpired:
            return 0


class Notes:
    """A file of lines that are there as soon as they are written."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def write(self, **line: object) -> None:
        """Write one line."""
        os.write(self._file, json.dumps(line).encode() + b"\n")


@dataclass
class Noted:
    """
    What was noted in a file: what acts came to by operation, and those of which that is not known.

    *wrong* is what was raised that is not of this library.
    """

    charged: dict[str, int]
    pending: dict[str, Act]
    wrong: list[str]

    @classmethod
    def of(cls, paths: Iterator[Path]) -> Noted:
        """All of several files together."""
        begun: dict[str, Act] = {}
        noted = cls({}, begun, [])
        for path in paths:
            for line in path.read_text().splitlines():
                match json.loads(line):
                    case {"begun": act}:
                        begun[act["operation"]] = Act(**act)
                    case {"done": operation, "charged": charged}:
                        noted.charged[operation] = charged
                    case {"wrong": wrong}:
                        noted.wrong.append(wrong)
        noted.pending = {name: act for name, act in begun.items() if name not in noted.charged}
        return noted


def work(number: int, url: str, folder: str, tenants: list[str], features: list[str], pending: list[Act]) -> None:
    """Carry out what another one has left *pending*, and then acts by chance, until killed or told to stop."""
    chance, notes = random.Random(number), Notes(Path(folder) / f"{number}.jsonl")
    stop = Path(folder) / "stop"
    with Entitlements.open(url) as ent:
        for act in pending:
            notes.write(done=act.operation, charged=act.carry_out(ent))
        for turn in count():
            if stop.exists():
                return
            amount = chance.randint(1, 4)
            act = Act(
                f"{number}.{turn}",
                chance.choice(tenants),
                chance.choice(features),
                chance.choice(KINDS),
                amount,
                chance.randint(1, amount),
            )
            notes.write(begun=asdict(act))
            try:
                notes.write(done=act.operation, charged=act.carry_out(ent))
            except EntitlementError as error:
                notes.write(wrong=f"{act}: gave up: {error!r}")
                return
            except Exception as error:
                notes.write(wrong=f"{act}: {error!r}")
                return
