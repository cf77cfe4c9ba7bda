"""`payaid demo`: the screen, what happens when something fails, and that nothing is left behind."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from payaid_entitlements.cli.demo import command, stage, telling
from payaid_entitlements.cli.demo.calling import Caller
from payaid_entitlements.cli.demo.stage import Clock, Stage, Worker
from payaid_entitlements.cli.demo.story import REQUESTS, Step, Story, percentile
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.opening import opened
from payaid_entitlements.cli.program import app
from tests.cli.conftest import Output, Terminal
from tests.cli.test_processes import PAYAID

# -- calling --------------------------------------------------------------------------------------------------------


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A server that gives one answer to each request, each on a connection of its own, and then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answer in answers:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_a_call_that_broke_off_does_not_break_the_next_one() -> None:
    """A connection on which half an exchange is left refuses every later request."""
    with answering(b"", OK) as port:
        caller = Caller("127.0.0.1", port, [])
        with pytest.raises(http.client.RemoteDisconnected):
            caller.get("/")
        assert caller.get("/").status == 200
        caller.close()


def test_after_an_error_of_the_app_the_server_has_hung_up() -> None:
    """The answer promises to keep the connection; a server whose app has failed closes it all the same."""
    with answering(b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nsorry", OK) as port:
        timings: list[float] = []
        caller = Caller("127.0.0.1", port, timings)
        failed = caller.post("/", token="t")
        assert (failed.status, failed.body, failed.said) == (500, {"value": "sorry"}, "500")
        assert caller.get("/").status == 200
        assert len(timings) == 2
        caller.close()


def test_a_list_and_an_empty_body_are_replies_too() -> None:
    with answering(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n[1]",
        b"HTTP/1.1 204 OK\r\nConnection: close\r\n\r\n",
    ) as port:
        caller = Caller("127.0.0.1", port, [])
        assert caller.get("/").body == {"value": [1]}
        assert caller.get("/").body == {}
        caller.close()


# -- the story, where things fail -----------------------------------------------------------------------------------


class Dead:
    """A caller whose process is gone."""

    def get(self, *_: object, **__: object) -> Any:
        raise ConnectionRefusedError("nobody listens")

    post = get


def test_a_step_that_fails_is_told_and_the_next_ones_still_run(terminal: Terminal) -> None:
    gone = SimpleNamespace(call=Dead())
    clock = Clock(terminal.directory / "clock")
    scene = SimpleNamespace(first=gone, second=gone, clock=clock, timings=[])
    with opened(terminal.url, clock=clock) as operator:
        steps = list(Story(scene, operator, {"kaveri": "starter"}, str, repr).tell())  # type: ignore[arg-type] # a fake stage
    clock.close()
    assert [step.chapter for step in steps].count("operators") == 4
    # A share is changed by the operator's own process, which is there; all else asks the app.
    assert {step.step for step in steps if step.ok} <= {step.step for step in steps if "%" in step.step}
    assert steps[0].got == "ConnectionRefusedError: nobody listens"


@pytest.mark.parametrize(
    ("status", "body", "got"),
    [(500, {}, "crm 500"), (403, {"reason": "kill.module"}, "crm 403 kill.module")],
)
def test_an_answer_that_nobody_foresaw_is_told(status: int, body: dict[str, object], got: str) -> None:
    from payaid_entitlements.cli.demo.calling import Reply

    def get(path: str, **_: object) -> Reply:
        return Reply(status, body, 1.0) if path.startswith("/crm") else Reply(402, {}, 1.0)

    scene = SimpleNamespace(first=SimpleNamespace(call=SimpleNamespace(get=get)))
    story = Story(scene, None, {"kaveri": "starter"}, str, repr)  # type: ignore[arg-type] # a fake stage
    assert next(story.tell()).got == got


def test_a_suspension_that_cannot_be_shown_is_not_shown_as_if_it_were(terminal: Terminal) -> None:
    from payaid_entitlements.cli.demo.calling import Reply

    call = SimpleNamespace(get=lambda *_, **__: Reply(402, {"reason": "x"}, 1.0))
    scene = SimpleNamespace(second=SimpleNamespace(call=call))
    story = Story(scene, None, {}, str, repr)  # type: ignore[arg-type] # a fake stage
    seen = story._suspend()
    assert (seen.got, seen.ok) == ("[402, 402, 402] before it was suspended", False)


def test_a_promise_that_is_broken_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from payaid_entitlements.cli.demo import story as module
    from payaid_entitlements.cli.demo.calling import Reply

    slept: list[float] = []
    # Each sleep is two seconds long.
    fake = SimpleNamespace(perf_counter=lambda: 2.0 * len(slept), sleep=slept.append)
    monkeypatch.setattr(module, "time", fake)
    call = SimpleNamespace(get=lambda *_, **__: Reply(200, {}, 1.0))
    story = Story(None, None, {}, str, repr)  # type: ignore[arg-type] # a fake stage
    seen = story._awaited(403, "everything", "/", call)  # type: ignore[arg-type] # a fake caller
    assert (seen.got, seen.ms) == ("200", 6000.0)
    assert len(slept) == 3


@pytest.mark.parametrize(
    ("values", "percent", "value"), [([3.0], 50, 3.0), ([4, 1, 3, 2], 50, 2), ([1, 2, 3], 99, 3), ([1, 2], 0, 1)]
)
def test_percentiles_are_of_what_was_measured(values: list[float], percent: int, value: float) -> None:
    assert percentile(values, percent) == value


# -- the screen -----------------------------------------------------------------------------------------------------


def seen(width: int, *show: Callable[[Console], None]) -> list[str]:
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115 # closed below
    for each in show:
        each(console)
    console.file.close()
    return [line.rstrip() for line in console.export_text().splitlines()]


STEP = Step("money", "tiny-shop buys starter", "applied", "applied", True, 12.34)
REFUSED = Step("money", "crm-only opens [b]invoices[/b]", "402 x", "402 x, try starter", False, 1234.5, "GET /invoices")


def test_a_step_says_what_came_back_and_what_was_expected_where_it_was_not_that() -> None:
    lines = seen(80, lambda out: telling.told(out, STEP), lambda out: telling.told(out, REFUSED))
    assert lines == [
        "✓ tiny-shop buys starter              applied                            12.3 ms",
        "✗ crm-only opens [b]invoices[/b]      402 x, try starter                  1.23 s",
        "                                      expected: 402 x",
        "    GET /invoices",
    ]


def test_the_closing_counts_what_was_well() -> None:
    timings = [1.0] * (REQUESTS - 2) + [9.0] * 2
    lines = seen(100, lambda out: telling.closing(out, [STEP, REFUSED], timings, 480.4, 6.21))
    inside = [line.strip("│ ") for line in lines[2:-1]]
    assert inside == [
        "steps as expected   1 of 2",
        f"a gated request     p50 1.0 ms, p99 1.0 ms of {REQUESTS} requests over HTTP, one after the other",
        "a check in process  480 ns, what is known being near",
        "the whole demo      6.2 s",
    ]


def test_what_was_not_measured_is_not_claimed() -> None:
    lines = seen(100, lambda out: telling.closing(out, [STEP], [1.0], 480.4, 6.21))
    assert not any("gated request" in line for line in lines)


def test_the_demo_is_told_to_people(empty: Terminal) -> None:
    """Once in this process, as it looks; its own processes and its file are gone afterwards."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, ["demo", "--path", "kept.db"])
    assert result.exit_code == 0, result.output
    output = Output(result.exit_code, result.stdout, result.stderr)
    for chapter in (
        "twelve tenants, six modules",
        "one request",
        "money",
        "a rollout",
        "time passes",
        "operators",
        "speed",
    ):
        assert f"\n{chapter} ─" in output.out
    assert "steps as expected   46 of 46" in output.out
    assert '"reason": "plan.module_absent"' in output.out
    assert "payaid explain --reference " in output.out
    assert output.err == ""
    empty.url = f"sqlite:///{empty.directory}/kept.db"
    assert len(empty.run("tenant", "list", "--json").data) == 12

    again = CliRunner().invoke(app, ["demo", "--path", "kept.db"])
    assert again.exit_code == 2
    assert "is there already; the demo begins with an empty database" in again.stderr


def test_what_the_demo_needs_is_said(empty: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else object())
    output = empty.run("demo")
    assert output.code == 2
    assert output.err == "payaid: the demo needs uvicorn; run: pip install 'payaid-entitlements[cli,fastapi]'"


def test_a_step_that_is_not_ok_is_the_exit_code(empty: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "open", lambda self: self)
    monkeypatch.setattr(Story, "tell", lambda self: iter([STEP, REFUSED]))
    output = empty.run("demo", "--json")
    assert output.code == 1
    assert output.data == [STEP.as_data(), REFUSED.as_data()]


@pytest.mark.parametrize("as_json", [False, True])
def test_serve_keeps_the_app_up_until_somebody_ends_it(
    empty: Terminal, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    def open_(self: Stage) -> Stage:
        self.first = self.second = SimpleNamespace(url="http://127.0.0.1:1")  # type: ignore[assignment] # a fake worker
        return self

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stage, "open", open_)
    monkeypatch.setattr(Story, "tell", lambda self: iter([STEP]))
    monkeypatch.setattr("payaid_entitlements.cli.demo.command.time.sleep", interrupted)
    output = empty.run("demo", "--serve", *(["--json"] if as_json else []))
    assert output.code == 130
    assert "http://127.0.0.1:1/docs is up until Ctrl-C" in (output.err if as_json else output.out)
    if as_json:
        assert output.data == [STEP.as_data()]


# -- processes ------------------------------------------------------------------------------------------------------


def listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def as_at_a_terminal() -> Iterator[None]:
    """A shell's background jobs ignore SIGINT, and so does all that they start; what is handled is not inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.usefixtures("as_at_a_terminal")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_however_the_demo_ends_no_process_is_left(tmp_path: Path, number: int, code: int) -> None:
    # An interrupt that comes while coverage asks itself whether to trace a file is lost there.
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    with subprocess.Popen(
        [*PAYAID, "demo"],
        cwd=tmp_path,
        env={**untraced, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        line = next(line for line in demo.stdout if line.startswith("│ app"))
        ports = [int(word.rpartition(":")[2]) for word in line.split() if word.startswith("http://")]
        assert [listens(port) for port in ports] == [True, True]
        demo.send_signal(number)
        demo.stdout.read()
        assert demo.wait(30) == code
    # What was killed could not wait for its children: they notice by themselves.
    patience = time.monotonic() + 10
    while any(listens(port) for port in ports) and time.monotonic() < patience:
        time.sleep(0.02)
    assert [listens(port) for port in ports] == [False, False]
    if number is not signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []


def test_an_app_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemError('no luck')\n")
    worker = Worker(tmp_path, dict(os.environ), tmp_path / "log")
    with pytest.raises(Ending, match=r"(?s)the example app did not start:.*SystemError: no luck"):
        worker.listen([])
    worker.ask_to_leave()
    worker.see_off(time.monotonic() + 5)


def test_a_process_that_does_not_leave_is_killed(tmp_path: Path) -> None:
    worker = Worker(tmp_path, dict(os.environ), tmp_path / "log")
    os.kill(worker.pid, signal.SIGSTOP)
    worker.ask_to_leave()
    worker.see_off(time.monotonic())
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_a_stage_is_closed_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()
    monkeypatch.setattr(stage.Stage, "close", lambda self: closed.set())
    with Stage(tmp_path, tmp_path / "x.db").bounded(0.0):
        assert closed.wait(10)


def test_moving_the_clock_moves_it_everywhere(tmp_path: Path) -> None:
    from payaid_entitlements.cli.examples import example

    clock = Clock(tmp_path / "clock")
    os.environ["PAYAID_DEMO_CLOCK"] = str(clock.path)
    try:
        theirs = example("clock").demo_clock()
    finally:
        del os.environ["PAYAID_DEMO_CLOCK"]
    clock.advance(days=1, hours=1)
    assert clock.ahead == 90_000.0
    assert 90_000 - 60 < theirs() - time.time() <= 90_000
    clock.close()
    assert example("clock").demo_clock() is time.time


def test_a_polite_end_unwinds_as_ctrl_c_does_and_nohup_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), command._ended_by_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)  # never so long: the signal comes first
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
