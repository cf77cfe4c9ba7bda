"""A terminal for tests: a directory, a seeded store, the clock standing at one instant, and what came out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import time_machine
from typer.main import get_command
from typer.testing import CliRunner

from payaid_entitlements import Entitlements
from payaid_entitlements.cli.examples import example
from payaid_entitlements.cli.program import app

#: Building all commands costs as much as running one; `CliRunner` would do it each time.
COMMAND = get_command(app)
#: When all of it happens; in Kolkata it is half past nine in the evening.
NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Output:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)


@dataclass
class Terminal:
    """Runs commands in this process. *now* may be moved between them."""

    directory: Path
    url: str
    now: datetime = NOW
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, answers: str = "") -> Output:
        environment = {"PAYAID_URL": self.url, "COLUMNS": "140", **self.environment}
        with time_machine.travel(self.now, tick=False):
            result = CliRunner(env=environment).invoke(app, list(arguments), input=answers)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        # Tables are padded to their width; what is compared is what is seen.
        return Output(result.exit_code, *(_seen(each) for each in (result.stdout, result.stderr)))

    def changed(self, *arguments: str) -> str:
        """Make a change, and return its id."""
        output = self.run(*arguments, "--json", "--yes")
        assert output.code == 0, output.err
        return str(output.data["change"])

    def later(self, **length: float) -> None:
        self.now += timedelta(**length)


def _seen(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.fixture
def nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the shell of whoever runs the tests says is not what they are about."""
    for name in ("PAYAID_URL", "PAYAID_ENFORCEMENT", "FEATURE_LICENSING", "FEATURE_MODULE_GATING", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the tenants of the example; made once, copied for each test."""
    file = tmp_path_factory.mktemp("seeded") / "payaid.db"
    with time_machine.travel(NOW, tick=False), Entitlements.open(f"sqlite:///{file}") as ent:
        example("tenants").seed(ent, NOW)
    return file


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody_asks: None) -> Iterator[Terminal]:
    """A terminal in an empty directory, where no store is yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("typer.testing._get_command", lambda _: COMMAND)
    yield Terminal(tmp_path, "sqlite:///payaid.db")
    structlog.reset_defaults()


@pytest.fixture
def terminal(empty: Terminal, seeded: Path) -> Terminal:
    """A terminal beside a seeded store."""
    shutil.copy(seeded, empty.directory / "payaid.db")
    return empty


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and somebody sits at the terminal who can be asked."""
    seat = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    return lambda: monkeypatch.setattr("payaid_entitlements.cli.confirming.sys", seat)
