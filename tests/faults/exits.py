"""
Ends of programs, each of its own: a program per line of standard input, forked from this one, which has imported all.

A line is JSON: ``{"url", "colour", "state", "end"}``. The answer is ``[status, seconds, said]``: how the program ended,
negative for a signal, how long its end took, and what it printed.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg  # noqa: F401 # what a client would import, so that no program has to
import redis.asyncio  # noqa: F401
import sqlalchemy.ext.asyncio  # noqa: F401

from payaid_entitlements import AsyncEntitlements, Entitlements
from tests.faults.apps import CATALOG

#: Seconds after which a program that has not ended is killed.
LONGEST = 20.0


def program(told: dict[str, Any]) -> Any:
    """Ask something, or not; close the client, or not; return what the program still holds on to when it ends."""
    if told["colour"] == "async":
        return asyncio.run(awaited(told))
    ent = Entitlements.open(told["url"], catalog=CATALOG)
    if told["state"] != "cold":
        # An outage is an answer too.
        ent.check("acme", "crm.page_size")
    if told["state"] == "closed":
        ent.close()
    if told["state"] == "used again":
        ent.close()
        ent.check("acme", "crm.page_size")
    return ent


async def awaited(told: dict[str, Any]) -> Any:
    """Same as `program`, awaited."""
    ent = AsyncEntitlements.open(told["url"], catalog=CATALOG)
    if told["state"] != "cold":
        await ent.check("acme", "crm.page_size")
    if told["state"] == "closed":
        await ent.aclose()
    if told["state"] == "used again":
        await ent.aclose()
        await ent.check("acme", "crm.page_size")
    return ent


def finish(end: str, held: Any) -> None:
    """End this program."""
    match end:
        case "exit":
            sys.exit(3)
        case "raise":
            raise RuntimeError("no more")
        case "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        case "thread":
            # The main thread is gone by then, and no new thread can be started.
            threading.Timer(0.05, held.peek, ["acme", "crm.page_size"]).start()
        case "asks late":
            if isinstance(held, Entitlements):
                atexit.register(held.check, "late", "crm.page_size")
            else:
                atexit.register(lambda: asyncio.run(asked(held)))
        case "child":
            pid = os.fork()
            if pid:
                assert os.waitpid(pid, 0)[1] == 0
        case "return":
            pass


async def asked(ent: AsyncEntitlements) -> None:
    """Ask once more."""
    await ent.check("late", "crm.page_size")


def run(told: dict[str, Any], log: Path) -> bool:
    """Fork a program and write what came of it; True in the program itself, which then has to end."""
    ready, begins = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 2)
        os.dup2(descriptor, 1)
        global held  # noqa: PLW0603 # held on to until the very end, as a module of an app does
        held = program(told)
        os.write(begins, b"x")
        return True
    os.close(begins)
    os.read(ready, 1)
    os.close(ready)
    begun, status = time.monotonic(), None
    while status is None:
        found, status_ = os.waitpid(pid, os.WNOHANG)
        if found:
            status = os.waitstatus_to_exitcode(status_)
        elif time.monotonic() - begun > LONGEST:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            break
        time.sleep(0.005)
    print(json.dumps([status, time.monotonic() - begun, log.read_text()]), flush=True)
    return False


held: Any = None

if __name__ == "__main__":
    place = Path(sys.argv[1])
    for line in sys.stdin.readlines():
        scenario = json.loads(line)
        if run(scenario, place):
            finish(scenario["end"], held)
            break
