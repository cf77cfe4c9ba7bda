"""`payaid demo`: create a database, seed it, start the example app, and tell the story."""

from __future__ import annotations

import importlib.util
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.demo import telling
from payaid_entitlements.cli.demo.stage import Stage
from payaid_entitlements.cli.demo.story import Step, Story
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.examples import example
from payaid_entitlements.cli.opening import Opened, opened
from payaid_entitlements.cli.options import AsJson
from payaid_entitlements.cli.printing import console, emit, escape, notes
from payaid_entitlements.core.instant import moment

#: Seconds after which the story is cut off, whatever it is waiting for, so that the demo ends within 40.
BOUND = 33.0
#: Checks in process that are measured at the end.
_CHECKS = 20_000
_NEEDED = {"fastapi": "fastapi", "uvicorn": "fastapi", "sqlalchemy": "sql"}


def demo(
    serve: Annotated[bool, typer.Option("--serve", help="Keep the app up afterwards, until Ctrl-C.")] = False,
    path: Annotated[
        Path | None,
        typer.Option("--path", help="Keep the database here, instead of a temporary directory."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Watch a real app gate six modules for twelve tenants over HTTP. Ends by itself, within 40 seconds."""
    for package, extra in _NEEDED.items():
        if importlib.util.find_spec(package) is None:
            raise Ending(f"the demo needs {package}; run: pip install 'payaid-entitlements[cli,{extra}]'")
    if path is not None and path.exists():
        raise Ending(f"{path} is there already; the demo begins with an empty database")
    with tempfile.TemporaryDirectory(prefix="payaid-demo-") as temporary, _ended_by_signals():
        database = (path or Path(temporary) / "payaid.db").resolve()
        with Stage(Path(temporary), database) as stage:
            steps = _play(stage, as_json=as_json)
            if serve:
                _keep_up(stage, notes() if as_json else console())
    if not all(step.ok for step in steps):
        raise typer.Exit(REFUSED)


def _play(stage: Stage, *, as_json: bool) -> list[Step]:
    begun = time.perf_counter()
    with stage.bounded(BOUND), opened(stage.url, creates=True, clock=stage.clock) as operator:
        tenants = example("tenants").seed(operator.ent, moment(operator.now))
        starting = time.perf_counter()
        stage.open()
        out = console()
        if not as_json:
            up = time.perf_counter() - starting
            telling.opening(out, database=stage.url, urls=[stage.first.url, stage.second.url], seconds=up)
        login = example("login")
        steps: list[Step] = []
        for step in Story(stage, operator, tenants, login.token, login.signed).tell():
            if not as_json:
                if not steps or steps[-1].chapter != step.chapter:
                    telling.chapter(out, step.chapter)
                telling.told(out, step)
            steps.append(step)
        if as_json:
            emit([step.as_data() for step in steps])
        else:
            telling.closing(out, steps, stage.timings, _in_process(operator), time.perf_counter() - begun)
    return steps


def _in_process(operator: Opened) -> float:
    """Nanoseconds of one check whose answer is near, the best of five rounds."""
    check = operator.ent.check
    check("kaveri", "invoicing")
    rounds = []
    for _ in range(5):
        begun = time.perf_counter_ns()
        for _ in range(_CHECKS // 5):
            check("kaveri", "invoicing")
        rounds.append((time.perf_counter_ns() - begun) / (_CHECKS // 5))
    return min(rounds)


def _keep_up(stage: Stage, out: Console) -> None:
    token, url = example("login").token, stage.first.url
    out.print(
        f"\n[bold]{escape(url)}/docs[/] is up until Ctrl-C; "
        f"its clock is {stage.clock.ahead / 86_400:.1f} days ahead. Try:\n"
    )
    for tenant, route in (("kaveri", "/invoices"), ("crm-only", "/invoices"), ("everything", "/billing")):
        out.print(f"  curl -s -H 'Authorization: Bearer {token(tenant)}' {url}{route}", soft_wrap=True)
    out.print(f"  payaid --url {escape(stage.url)} audit tiny-shop\n", soft_wrap=True)
    while True:
        time.sleep(1)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a polite end (SIGTERM, a closed terminal) unwind like Ctrl-C, so that processes and files go with us."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    names = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What somebody told to ignore a closed terminal (nohup) goes on ignoring it.
    names = [name for name in names if signal.getsignal(name) is not signal.SIG_IGN]
    before = {name: signal.signal(name, leave) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
