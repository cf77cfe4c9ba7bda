"""What processes do that race. Each function here runs in a process of its own, with a store of its own."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from threading import Barrier
from time import sleep
from typing import Any, cast

from sqlalchemy import create_engine, event

from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.metering.posting import Debit, Line
from payaid_entitlements.errors import ChangeConflict
from payaid_entitlements.stores.opening import open_async_store, open_store
from payaid_entitlements.stores.sql import SQLStore, begin_immediate
from payaid_entitlements.testing.contracts.writes import tenant_write

_met: list[Barrier] = []


def meet(barrier: Barrier) -> None:
    """Note, in a process that has begun, where to wait for the others."""
    _met.append(barrier)


def together(act: Callable[..., Any], number: int, args: tuple[object, ...]) -> Any:
    """Do *act* when all others are ready too."""
    _met[0].wait(60)
    return act(number, *args)


def prepare(number: int, url: str) -> str:
    """Make a database ready that has nothing yet."""
    store = open_store(url)
    try:
        store.prepare()
        return "ready"
    finally:
        store.close()


def upgrade(number: int, url: str) -> int:
    """Create the tables."""
    store = SQLStore(url)
    try:
        return store.upgrade()
    finally:
        store.close()


def tally(number: int, url: str, times: int) -> None:
    """Add to one set of tallies as often as *times*, against all others, each in another order of fields."""
    store = open_store(url)
    fields = ["in/n", "in/failed", "out/n", f"own/{number}"]
    try:
        for time in range(times):
            begin = (number + time) % len(fields)
            store.add_tallies("flag:1", dict.fromkeys(fields[begin:] + fields[:begin], number + time))
    finally:
        store.close()


def tallied(racers: int, times: int) -> dict[str, int]:
    """What `tally` of all *racers* comes to."""
    own = {f"own/{number}": sum(number + time for time in range(times)) for number in range(racers)}
    return dict.fromkeys(("in/n", "in/failed", "out/n"), sum(own.values())) | own


def change_many(number: int, url: str, tenants: int, times: int) -> list[str]:
    """Change each of *tenants* as often as *times*, against all others; the operations that were applied."""
    store = open_store(url)
    applied = []
    for time in range(times):
        for tenant in (f"tenant-{each}" for each in range(tenants)):
            operation = f"{number}/{time}/{tenant}"
            while True:
                known = store.read([tenant]).get(tenant)
                expect = 0 if known is None else known.revision
                write = tenant_write(tenant, known, plan=str(_count(known) + 1), detail={"asked": operation})
                try:
                    first = store.apply(
                        write, expect=expect, actor=f"process-{number}", because=None, operation=operation
                    )
                    break
                except ChangeConflict:
                    continue
            again = store.apply(write, expect=expect, actor=f"process-{number}", because=None, operation=operation)
            if first.applied and (again.id, again.applied, again.position) == (first.id, False, first.position):
                applied.append(operation)
    store.close()
    return applied


def _count(known: TenantDocument | None) -> int:
    """How often a tenant was changed, as the last change wrote it."""
    if known is None:
        return 0
    (line,) = known.timelines.values()
    return int(cast("dict[str, str]", line.facts[-1].value)["plan"])


def do_the_same(number: int, url: str, times: int) -> list[tuple[str, bool]]:
    """Do the acts that all others do too; each one's change and whether it was applied here."""
    store = open_store(url)
    outcomes = []
    for time in range(times):
        write = tenant_write(f"tenant-{time}", detail={"asked": time})
        outcome = store.apply(write, expect=0, actor=f"process-{number}", because=None, operation=f"act-{time}")
        outcomes.append((outcome.id, outcome.applied))
    store.close()
    return outcomes


def change_once(number: int, url: str, times: int) -> list[str]:
    """Change one tenant from each of *times* revisions, as all others do too at that moment; how each try ended."""
    store, known, ends = open_store(url), None, []
    for revision in range(times):
        write = tenant_write("acme", known, modules=[f"module-{number}"])
        try:
            store.apply(write, expect=revision, actor=f"process-{number}", because=None)
            ends.append("applied")
        except ChangeConflict:
            ends.append("conflict")
        _met[0].wait(60)
        known = store.read(["acme"])["acme"]
    store.close()
    return ends


def write_slowly(number: int, url: str, times: int, is_joined: bool) -> list[str]:
    """
    Change tenants of one's own, each in a transaction that is held open between its position and its commit.

    Returns:
        The tenants that were changed. Every fifth transaction of a host is rolled back.
    """
    engine = create_engine(_driven(url))
    if engine.dialect.name == "sqlite":
        begin_immediate(engine)
    store, done = SQLStore(engine), []
    if not is_joined:
        event.listen(engine, "commit", lambda connection: sleep(0.003 * (number % 3)))
    for time in range(times):
        tenant = f"{number}-{time}"
        if not is_joined:
            store.apply(tenant_write(tenant), expect=0, actor="asha", because=None)
            done.append(tenant)
            continue
        with engine.connect() as connection, connection.begin() as transaction:
            store.apply(tenant_write(tenant), expect=0, actor="asha", because=None, tx=connection)
            sleep(0.003 * (number % 3))
            if time % 5 == 4:
                transaction.rollback()
            else:
                transaction.commit()
                done.append(tenant)
    engine.dispose()
    return done


def _driven(url: str) -> str:
    """*url* with the driver's name, as SQLAlchemy wants it of a host."""
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    backend, rest = url.split(":", 1)
    return f"{drivers.get(backend, backend)}:{rest}"


def fork_with_connections(number: int, url: str, is_async: bool) -> list[int]:
    """Use a store, fork, and use it in the parent and in the children at once; how each child ended."""
    store = _Using(url, is_async)
    store.use(f"parent-{number}", 0)
    children = []
    for child in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                store.begin_anew()
                store.use(f"child-{number}-{child}", 0)
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(pid)
    store.use(f"parent-{number}", 10)
    ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    store.use(f"parent-{number}", 20)
    store.close()
    return ends


class _Using:
    def __init__(self, url: str, is_async: bool) -> None:
        self._loop = asyncio.new_event_loop() if is_async else None
        self._store: Any = open_async_store(url) if is_async else open_store(url)

    def _do(self, answer: Any) -> Any:
        return answer if self._loop is None else self._loop.run_until_complete(answer)

    def use(self, tenant: str, revision: int) -> None:
        """Ten changes of *tenant*, each read back."""
        for at in range(revision, revision + 10):
            known = self._do(self._store.read([tenant])).get(tenant)
            write = tenant_write(tenant, known)
            self._do(self._store.apply(write, expect=at, actor="asha", because=None))
            assert self._do(self._store.read([tenant]))[tenant] == write.document

    def begin_anew(self) -> None:
        """Run on a loop of this process: that of the parent goes on there."""
        # Kept: a loop that is let go of takes its wakening out of the selector, which parent and child share.
        self._inherited = self._loop
        if self._loop is not None:
            self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self._do(self._store.close() if self._loop is None else self._store.aclose())


def use_up(number: int, url: str, tenants: int, units: int) -> int:
    """
    Use units of *tenants* in an order of one's own until none has any left; how many one got.

    Each has *units*, in two lots whose order is by chance too, and each act is done by two at once.
    """
    chance, store, got = random.Random(number), open_store(url), 0
    turns = [(tenant, time) for tenant in range(tenants) for time in range(2 * units)]
    chance.shuffle(turns)
    for tenant, time in turns:
        lines = [Line("emails", "w0", units // 2), Line("emails", "g1", units - units // 2)]
        chance.shuffle(lines)
        operation = f"{number // 2}/{time}"
        posted = store.ledger.post(
            f"tenant-{tenant}", [Debit("emails", 1, tuple(lines))], operation=operation, digest="-"
        )
        got += sum(filled.amount for filled in posted.filled) if not posted.replayed else 0
    store.close()
    return got
